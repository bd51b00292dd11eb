"""Wavelet filter banks in the frequency domain: Morlet's by kymatio, and Battle–Lemarié's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import zeta

from mfmgdm_lib._checks import check_positive_int

__all__ = ["FilterBank", "battle_lemarie", "check_length", "check_octaves", "morlet"]

SHORTEST = 256
"""Fewest points of a path that the filters of Section 5.1 are made for."""

_TOP = 0.425
"""Centre of the highest Battle–Lemarié filter, cycles per sample."""

_MOTHER = 0.75935273
"""Centre of the Battle–Lemarié mother wavelet, cycles per sample, as the filters behind the paper have it.

The mean frequency of |ψ̂|² is 0.75940; those filters lie lower by a factor of 1 − 6·10⁻⁵.
"""

_REACH = 7 / 8
"""Frequency, in cycles per sample, from which the filters behind the paper are 0. It cuts the highest one alone."""


@dataclass(frozen=True)
class FilterBank:
    """Band-pass filters and one low-pass filter on the Fourier grid k / length, k = 0 … length − 1.

    All are real in frequency, so each is symmetric about its centre in time; a band-pass filter is complex in time.

    Attributes:
        band_passes: ψ̂_j, highest frequency first, float64 (J, length).
        low_pass: φ̂, float64 (length,).
        centres: frequency of each band-pass filter, cycles per sample, (J,).
    """

    band_passes: np.ndarray
    low_pass: np.ndarray
    centres: np.ndarray

    def __post_init__(self) -> None:
        for array in (self.band_passes, self.low_pass, self.centres):
            array.flags.writeable = False  # banks are shared

    @property
    def frequencies(self) -> np.ndarray:
        """The grid in cycles per sample, from 0 to 1, (length,); what lies above ½ are negative frequencies."""
        return np.arange(len(self.low_pass)) / len(self.low_pass)


@lru_cache(maxsize=32)
def morlet(length: int, octaves: int) -> FilterBank:
    """Kymatio's Morlet filters, one for each octave: energies ii and iii of Section 5.1.

    Args:
        length: points of the grid.
        octaves: J; there are J + 1 band-pass filters, at 0.35 · 2⁻ʲ cycles per sample for j = 0 … J, and the
            low-pass filter averages over 2ᴶ points.

    Example:
        >>> bank = morlet(1024, octaves=8)
        >>> bank.band_passes.shape, bank.centres[:3].tolist()
        ((9, 1024), [0.35, 0.175, 0.0875])
    """
    from kymatio.scattering1d.filter_bank import scattering_filter_factory  # slow to import, and only needed here

    low_pass, band_passes, _ = scattering_filter_factory(length, octaves, (1, 1), 2**octaves)
    return FilterBank(
        band_passes=np.stack([made["levels"][0] for made in band_passes]),
        low_pass=low_pass["levels"][0].copy(),
        centres=np.array([made["xi"] for made in band_passes]),
    )


@lru_cache(maxsize=32)
def battle_lemarie(length: int, octaves: int) -> FilterBank:
    r"""Moduli of the cubic Battle–Lemarié wavelet: energy iv of Section 5.1.

    With :math:`S(\omega) = \sum_k (\omega + 2\pi k)^{-8}` the mother wavelet and the scaling function have

    .. math:: |\hat\psi(\omega)| = \omega^{-4} \sqrt{\frac{S(\omega/2 + \pi)}{S(\omega)\, S(\omega/2)}}, \qquad
              \hat\varphi(\omega) = \omega^{-4} S(\omega)^{-1/2}

    (Mallat, A Wavelet Tour of Signal Processing, Section 7.1). Filters keep the main lobe, up to ω = 4π, of positive
    frequencies; the highest reaches past half the sampling rate, so it is not quite analytic.

    Args:
        length: points of the grid.
        octaves: J band-pass filters, at 0.425 · 2⁻ʲ cycles per sample for j = 0 … J − 1; the low-pass filter has
            the scale of the last.

    Example:
        >>> bank = battle_lemarie(2048, octaves=7)
        >>> bank.band_passes.shape, float(bank.low_pass[0])
        ((7, 2048), 1.0)
    """
    frequency = np.arange(length) / length
    centres = _TOP * 2.0 ** -np.arange(octaves)
    band_passes = np.zeros((octaves, length))
    for row, centre in zip(band_passes, centres, strict=True):
        omega = 2 * np.pi * frequency * _MOTHER / centre
        kept = (omega > 0) & (omega <= 4 * np.pi) & (frequency < _REACH)
        row[kept] = _mother(omega[kept])
    low_pass = np.ones(length)
    both_sides = np.minimum(frequency, 1 - frequency)[1:]
    low_pass[1:] = _scaling(2 * np.pi * both_sides * _MOTHER / centres[-1])
    return FilterBank(band_passes, low_pass, centres)


def _mother(omega: np.ndarray) -> np.ndarray:
    """|ψ̂(ω)| for ω > 0."""
    return np.asarray(np.sqrt(_poles(omega / 2 + np.pi) / (_poles(omega) * _poles(omega / 2))) / omega**4)


def _scaling(omega: np.ndarray) -> np.ndarray:
    """φ̂(ω) for ω > 0."""
    return np.asarray(1 / (omega**4 * np.sqrt(_poles(omega))))


def _poles(omega: np.ndarray) -> np.ndarray:
    """S(ω) by Hurwitz' zeta function; infinite at the multiples of 2π, where ψ̂ and φ̂ are 0."""
    turn = np.mod(omega / (2 * np.pi), 1.0)
    with np.errstate(divide="ignore"):
        return np.asarray((zeta(8, turn) + zeta(8, 1 - turn)) / (2 * np.pi) ** 8)


def check_length(length: int) -> int:
    """Return `length` if it is a power of two that the filters are made for."""
    check_positive_int("length", length)
    if length < SHORTEST or length & (length - 1):
        nearest = max(SHORTEST, 2 ** (int(length).bit_length() - 1))
        raise ValueError(
            f"length is {length}; expected a power of two of at least {SHORTEST}, so that the filters fit and FFTs are"
            f" fast. Cut or extend the paths to {nearest} points."
        )
    return int(length)


def check_octaves(octaves: int, length: int, *, minimum: int) -> int:
    """Return `octaves` if filters that slow still fit into `length` points, and there are enough of them."""
    check_positive_int("J", octaves, minimum=minimum)
    if 2**octaves > length:
        raise ValueError(
            f"J is {octaves}; expected at most {length.bit_length() - 1}, for a filter at scale 2^J has to fit into the"
            f" {length} points. Use a smaller J or longer paths."
        )
    return int(octaves)
