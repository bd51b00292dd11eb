"""Wavelet filter banks in the frequency domain: Morlet's of one and two dimensions, and Battle–Lemarié's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy

from mfmgdm_lib._checks import check_positive_int

__all__ = ["FilterBank", "battle_lemarie", "check_length", "check_octaves", "morlet", "morlet_2d"]

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

_FAINTEST = 2.0**-24
"""Part of a two-dimensional filter's peak below which it is 0: the round-off of kymatio's, which are float32."""

_COPIES = 2
"""Periods on either side of the field from which kymatio adds up a two-dimensional wavelet."""


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


@lru_cache(maxsize=8)
def morlet_2d(shape: tuple[int, int], octaves: int, angles: int) -> np.ndarray:
    r"""Kymatio's Morlet filters of fields, for each octave at several angles, on the Fourier grid of the field.

    .. math:: \psi(u) = \frac{s}{2\pi\sigma^2}\, e^{-(v_1^2 + s^2 v_2^2) / 2\sigma^2} (e^{i \xi v_1} - \beta), \qquad
              \sigma = 0.8 \cdot 2^j,\; \xi = \tfrac34 \pi\, 2^{-j},\; s = 4 / L

    where v is u turned by an angle, L the number of angles, and β makes the mean 0 (Bruna and Mallat 2013; Andreux et
    al. 2020). A field is periodic, so ψ is added up over periods: five along each axis, which cuts off some of the
    slowest. The filters are calculated here in double precision, and agree with kymatio's, in single precision, to
    some 10⁻⁷ of their peak. What is less than 2⁻²⁴ of it is 0.

    Args:
        shape: (H, W), points of the grid.
        octaves: J; the wavelets of octave j are about 2ʲ points wide.
        angles: L angles, a multiple of π / L each.

    Returns:
        ψ̂, real, float64 (J, L, H, W).

    Example:
        >>> bank = morlet_2d((32, 32), octaves=5, angles=8)
        >>> bank.shape, float(np.abs(bank[..., 0, 0]).max())
        ((5, 8, 32, 32), 0.0)
    """
    turns = (int(angles - angles / 2 - 1) - np.arange(angles)) * np.pi / angles
    bank = np.stack([[_morlet_2d(shape, j, turn, 4.0 / angles) for turn in turns] for j in range(octaves)])
    bank[np.abs(bank) < _FAINTEST * np.abs(bank).max((-2, -1), keepdims=True)] = 0.0
    bank.flags.writeable = False  # banks are shared
    return bank


def _morlet_2d(shape: tuple[int, int], j: int, turn: float, slant: float) -> np.ndarray:
    """One of these filters, (H, W)."""
    width, frequency = 0.8 * 2**j, 0.75 * np.pi / 2**j
    direction = np.cos(turn), np.sin(turn)
    reach = 10 * width / min(1.0, slant)  # beyond it e⁻⁵⁰ is left
    copies = [min(_COPIES, int(np.ceil(reach / size))) for size in shape]
    (down, across), (wave_down, wave_across), (phase_down, phase_across) = zip(
        *(_axis(*each, frequency) for each in zip(shape, copies, direction, strict=True)), strict=True
    )
    along = direction[0] * down[:, None] + direction[1] * across
    beside = direction[0] * across - direction[1] * down[:, None]
    bell = np.exp((along**2 + (slant * beside) ** 2) / (-2 * width**2))
    bells = bell.reshape(-1, shape[0], len(across) // shape[1], shape[1])
    # e^{iξv} is a product of one wave along each axis, and of a phase for each period.
    wave = wave_down[:, None] * np.einsum("irjc,i,j->rc", bells, phase_down, phase_across) * wave_across
    hump = bells.sum((0, 2))
    wave -= wave.sum() / hump.sum() * hump
    norm = 2 * 3.1415 * width**2 / slant  # kymatio's π
    return np.asarray(np.fft.fft2(wave).real / norm)


def _axis(size: int, copies: int, direction: float, frequency: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of an axis with periods on either side, a wave on one period, and its phase at the start of each."""
    points = np.arange(-copies * size, (copies + 1) * size, dtype=float)
    waves = np.exp(1j * frequency * direction * points)
    return points, waves[copies * size :][:size], waves[::size]


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
        return np.asarray((scipy.special.zeta(8, turn) + scipy.special.zeta(8, 1 - turn)) / (2 * np.pi) ** 8)


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


def check_octaves(octaves: int, length: int, *, minimum: int, larger: str = "longer paths") -> int:
    """Return `octaves` if filters that slow still fit into `length` points, and there are enough of them."""
    check_positive_int("J", octaves, minimum=minimum)
    if 2**octaves > length:
        raise ValueError(
            f"J is {octaves}; expected at most {length.bit_length() - 1}, for a filter at scale 2^J has to fit into the"
            f" {length} points. Use a smaller J or {larger}."
        )
    return int(octaves)
