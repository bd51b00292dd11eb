"""Energies of fields: means of moduli after one layer of two-dimensional wavelets, and after two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib.energies.base import Record, RecordedEnergy
from mfmgdm_lib.energies.scattering.field_filters import FieldFilters, field_signal, field_spectrum
from mfmgdm_lib.energies.scattering.nonlinearities import ComplexModulus
from mfmgdm_lib.energies.scattering.wavelets import check_octaves, morlet_2d
from mfmgdm_lib.specification import register

__all__ = ["FieldScatteringMean", "WaveletL1"]


_BANK_BYTES = 2**20
"""Size of the signals of one bank of filters of a field: what stays near the processor."""


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # cached tensors have to serve autograd too
def make_banks(
    shape: tuple[int, int], octaves: int, angles: int, dtype: torch.dtype, device: torch.device
) -> list[list[FieldFilters]]:
    """The filters of each octave, in banks of some angles each, ready for fields of one dtype on one device."""
    at_once = max(1, _BANK_BYTES // (2 * dtype.itemsize * shape[0] * shape[1]))
    return [
        [FieldFilters(bank[first : first + at_once], dtype, device) for first in range(0, angles, at_once)]
        for bank in morlet_2d(shape, octaves, angles)
    ]


class _FieldEnergy(RecordedEnergy):
    """The parameters and filters that energies of fields share."""

    _layers: int

    def __init__(self, shape: Sequence[int], *, J: int = 5, angles: int = 8) -> None:
        self.shape = _check_shape(shape)
        self.J = check_octaves(J, min(self.shape), minimum=1, larger="larger fields")
        self.angles = check_positive_int("angles", angles)
        self.labels = tuple(self._name_values())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shape}, J={self.J}, angles={self.angles})"

    @property
    def event_shape(self) -> tuple[int, int]:
        """The shape of a field, (H, W)."""
        return self.shape

    def _name_values(self) -> list[str]:
        """One name for each value, in order."""
        waves = [[f"W{j}∠{angle}" for angle in range(self.angles)] for j in range(self.J)]
        names = [f"⟨|{wave} x|⟩" for octave in waves for wave in octave]
        if self._layers == 2:
            for j, octave in enumerate(waves):
                slower = [wave for later in waves[j + 1 :] for wave in later]
                names += [f"⟨|{second}|{first} x||⟩" for first in octave for second in slower]
        return names

    def _record(self, x: Tensor) -> _Means:
        octaves = make_banks(self.shape, self.J, self.angles, x.dtype, x.device)
        slower = [[bank for later in octaves[j + 1 :] for bank in later] for j in range(self.J)]
        branches = [(bank, slower[j] if self._layers == 2 else []) for j, banks in enumerate(octaves) for bank in banks]
        return _Means(branches, x, self.shape)

    @property
    def _signals(self) -> int:
        # Of an octave: filtered signals, their moduli's inverses, gradients, and the spectra of those.
        return 8 * self.angles * (1 + (self.angles * (self.J - 1) if self._layers == 2 else 0))


class _Branch:
    """Fields of one spectrum (n, H · W) after one bank of filters, and their moduli after slower ones."""

    def __init__(self, bank: FieldFilters, slower: list[FieldFilters], spectrum: Tensor) -> None:
        self.bank, self.slower = bank, slower
        self.first = ComplexModulus(bank(spectrum))
        if slower:
            spectrum = field_spectrum(self.first.value, bank.shape)
        self.second = [ComplexModulus(other(spectrum)) for other in slower]

    @property
    def values(self) -> tuple[Tensor, Tensor]:
        """Averages of the moduli of both layers, (n, C) and (n, C, C₂), differentiable by autograd."""
        return self._averages(self.first.value, [modulus.value for modulus in self.second])

    @staticmethod
    def _averages(first: Tensor, second: list[Tensor]) -> tuple[Tensor, Tensor]:
        means = first.mean(-1)
        return means, torch.cat([part.mean(-1) for part in second], -1) if second else means.new_empty(*means.shape, 0)

    def linearize(self, on: Tensor, on_second: Tensor, out: Tensor) -> Callable[[Tensor, Tensor], None]:
        """Add the spectrum of the force to `out`, (n, H · W).

        Args:
            on: gradients in each point of the first layer's moduli, (n, C, 1).
            on_second: those of the second layer, (n, C, C₂, 1).
            out: complex.

        Returns:
            A function that takes the spectra of vectors, and adds that of their product with the Hessian.
        """
        sizes = [modulus.y.shape[-2] for modulus in self.second]
        parts = on_second.split(sizes, -2) if sizes else ()
        scaled_second = [modulus.scale(part) for modulus, part in zip(self.second, parts, strict=True)]
        back = self._back(modulus.pullback(part) for modulus, part in zip(self.second, scaled_second, strict=True))
        scaled = self.first.scale(on if back is None else on + back)
        self.bank.adjoint(self.first.pullback(scaled), out)

        def times(spectrum: Tensor, out: Tensor) -> None:
            dy, d_first = self.bank(spectrum), None
            if self.slower:
                du = field_spectrum(self.first.pushforward(dy), self.bank.shape)
                triples = zip(self.second, scaled_second, self.slower, strict=True)
                d_first = self._back(modulus.pullback_change(part, None, other(du)) for modulus, part, other in triples)
            self.bank.adjoint(self.first.pullback_change(scaled, d_first, dy), out)

        return times

    def _back(self, pulled: Iterable[Tensor]) -> Tensor | None:
        """Gradients in the first layer's moduli, (n, C, H · W), of those in the second's filtered signals."""
        if not self.slower:
            return None
        total = torch.zeros_like(self.first.y)
        for other, signals in zip(self.slower, pulled, strict=True):
            other.adjoint(signals, total)
        return field_signal(total, self.bank.shape)

    def pushforward(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """Changes of the averages, (n, C) and (n, C, C₂), with vectors of a spectrum."""
        du = self.first.pushforward(self.bank(spectrum))
        if self.slower:
            spectrum = field_spectrum(du, self.bank.shape)
        pairs = zip(self.second, self.slower, strict=True)
        return self._averages(du, [modulus.pushforward(other(spectrum)) for modulus, other in pairs])

    def rows(self) -> tuple[Tensor, Tensor]:
        """Rows of the Jacobian, (n, C, H · W) and (n, C, C₂, H · W), by adjoints of one filter of each layer."""
        first, shape, points = self.first, self.bank.shape, self.first.y.shape[-1]

        def through_first(on: Tensor) -> Tensor:
            return field_signal(self.bank.adjoint_each(first.pullback(first.scale(on))), shape)

        even = first.y.real.new_full((), 1 / points)
        second = [first.y.real.new_empty((*first.y.shape[:2], 0, points))]
        for modulus, other in zip(self.second, self.slower, strict=True):
            on = field_signal(other.adjoint_each(modulus.pullback(modulus.scale(even))), shape)
            second.append(through_first(on.movedim(2, 0)).movedim(0, 2))
        return through_first(even), torch.cat(second, 2)


class _Means(Record):
    """Fields (n, H · W) after one layer or two, a branch at a time, and the averages of all moduli."""

    def __init__(
        self, branches: list[tuple[FieldFilters, list[FieldFilters]]], x: Tensor, shape: tuple[int, int]
    ) -> None:
        self._filters, self._x, self._shape = branches, x, shape

    def _branches(self) -> Iterator[_Branch]:
        """All branches, one after the other: they take much more memory than the fields."""
        spectrum = field_spectrum(self._x, self._shape)
        return (_Branch(bank, slower, spectrum) for bank, slower in self._filters)

    @cached_property
    def _kept(self) -> list[_Branch]:
        return list(self._branches())

    @property
    def values(self) -> Tensor:
        return _join(branch.values for branch in self._branches())

    def force(self, weights: Tensor) -> Tensor:
        """The force for weights (n, K), with no more than one branch in memory."""
        return self._linearize(self._branches(), weights, keep=False)[0]

    def linearize(self, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The force for weights (n, K), and the product with the Hessian."""
        force, multiply = self._linearize(self._kept, weights, keep=True)

        def product(vectors: Tensor) -> Tensor:
            spectrum = field_spectrum(vectors, self._shape)
            total = torch.zeros_like(spectrum)
            for times in multiply:
                times(spectrum, total)
            return field_signal(total, self._shape)

        return force, product

    def _linearize(
        self, branches: Iterable[_Branch], weights: Tensor, *, keep: bool
    ) -> tuple[Tensor, list[Callable[[Tensor, Tensor], None]]]:
        """The force, and the products of all branches if they are to be kept."""
        total = torch.zeros_like(self._x, dtype=self._x.dtype.to_complex())
        multiply = []
        for branch, on, on_second in zip(branches, *self._part(weights / self._x.shape[-1]), strict=True):
            times = branch.linearize(on, on_second, total)
            if keep:
                multiply.append(times)
        return field_signal(total, self._shape), multiply

    def _part(self, weights: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Weights (n, K) of each branch's averages, (n, C, 1) and (n, C, C₂, 1)."""
        first = [bank.count for bank, _ in self._filters]
        second = [sum(other.count for other in slower) for _, slower in self._filters]
        parts = weights.unsqueeze(-1).split([*first, *(a * b for a, b in zip(first, second, strict=True))], 1)
        pairs = zip(parts[len(first) :], first, second, strict=True)
        return list(parts[: len(first)]), [part.unflatten(1, (a, b)) for part, a, b in pairs]

    def pushforward(self, vectors: Tensor) -> Tensor:
        """The product J_Φ v, (n, K), for vectors (n, H · W)."""
        spectrum = field_spectrum(vectors, self._shape)
        return _join(branch.pushforward(spectrum) for branch in self._kept)

    def rows(self) -> Tensor:
        """J_Φ, (n, K, H · W)."""
        return _join(branch.rows() for branch in self._branches())


def _join(branches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """What belongs to the values, in order: those of the first layer (n, C, *), then the second's (n, C, C₂, *)."""
    first, second = zip(*branches, strict=True)
    return torch.cat([*first, *(part.flatten(1, 2) for part in second)], 1)


@register
class WaveletL1(_FieldEnergy):
    r"""Means of the moduli of a field's wavelet coefficients: their size at each scale and angle.

    .. math:: \Phi(x) = \bigl(\langle |x \star \psi_{j,l}| \rangle\bigr), \qquad j < J,\; l < L

    with kymatio's Morlet wavelets of two dimensions and circular convolutions at the full resolution (Bruna and Mallat
    2013; Andreux et al. 2020). K = J · L. The energy does not change when a field is shifted, on a torus, nor with its
    level, and doubles with the field. Derivatives of a modulus near 0 are set to 0, as in `ScatteringMean`.

    Args:
        shape: (H, W), points of a field along each axis.
        J: octaves; a side of the field has at least 2ᴶ points.
        angles: L wavelets of each octave.

    Raises:
        TypeError, ValueError: a shape, J or number of angles that do not fit together.

    Example:
        >>> energy = WaveletL1((32, 32))
        >>> energy.dim, energy.labels[0], energy.labels[-1]
        (40, '⟨|W0∠0 x|⟩', '⟨|W4∠7 x|⟩')
        >>> energy(torch.zeros(2, 32, 32)).shape
        torch.Size([2, 40])
    """

    _layers = 1


@register
class FieldScatteringMean(_FieldEnergy):
    r"""Means of a field's scattering coefficients: those of `WaveletL1`, and of moduli at slower scales still.

    .. math:: \Phi(x) = \bigl(\langle |x \star \psi_{j,l}| \rangle,\;
              \langle \bigl||x \star \psi_{j,l}| \star \psi_{k,m}\bigr| \rangle\bigr), \qquad j < k < J,\; l, m < L

    All angles are paired, so K = J L + J (J − 1) L² / 2. Filters, arguments and errors are those of `WaveletL1`; the
    counterpart for series is `ScatteringMean`.

    Example:
        >>> energy = FieldScatteringMean((32, 32), J=5, angles=2)
        >>> energy.dim, energy.labels[0], energy.labels[-1]
        (50, '⟨|W0∠0 x|⟩', '⟨|W4∠1|W3∠1 x||⟩')
        >>> energy(torch.zeros(2, 32, 32)).shape
        torch.Size([2, 50])
    """

    _layers = 2

    def __init__(self, shape: Sequence[int], *, J: int = 5, angles: int = 2) -> None:
        super().__init__(shape, J=J, angles=angles)


def _check_shape(shape: Sequence[int]) -> tuple[int, int]:
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise TypeError(
            f"shape is {shape!r}; expected two whole numbers, height and width. Pass some such as (32, 32)."
        )
    return check_positive_int("shape[0]", shape[0], minimum=2), check_positive_int("shape[1]", shape[1], minimum=2)
