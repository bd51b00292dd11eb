"""Energies of fields: means of moduli after one layer of two-dimensional wavelets, and after two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib.energies.base import Record, RecordedEnergy
from mfmgdm_lib.energies.scattering.field_filters import FieldFilters
from mfmgdm_lib.energies.scattering.nonlinearities import Modulus
from mfmgdm_lib.energies.scattering.wavelets import check_octaves, morlet_2d
from mfmgdm_lib.specification import register

__all__ = ["FieldScatteringMean", "WaveletL1"]


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # cached tensors have to serve autograd too
def _make_filters(
    shape: tuple[int, int], octaves: int, angles: int, dtype: torch.dtype, device: torch.device
) -> list[FieldFilters]:
    """The filters of each octave, ready for fields of one dtype on one device."""
    return [FieldFilters(bank, dtype, device) for bank in morlet_2d(shape, octaves, angles)]


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
        filters = _make_filters(self.shape, self.J, self.angles, x.dtype, x.device)
        return _Means(filters, x, self._layers)

    @property
    def _signals(self) -> int:
        return 2 * self.dim


class _Means(Record):
    """Fields (n, H · W) after one layer or two, an octave at a time, and the averages of all moduli."""

    def __init__(self, filters: list[FieldFilters], x: Tensor, layers: int) -> None:
        self.filters = filters
        spectra = filters[0].spectrum(x)
        self.first = [Modulus(bank(spectra)) for bank in filters]
        self.second: list[list[Modulus]] = [[] for _ in filters]
        if layers == 2:
            for j, moduli in enumerate(self.first[:-1]):
                spectra = filters[0].spectrum(moduli.value)
                self.second[j] = [Modulus(bank(spectra)) for bank in filters[j + 1 :]]

    @property
    def values(self) -> Tensor:
        return self._averages(
            [moduli.value for moduli in self.first],
            [[moduli.value for moduli in group] for group in self.second],
        )

    @staticmethod
    def _averages(first: list[Tensor], second: list[list[Tensor]]) -> Tensor:
        """Averages (n, K) of signals (n, L, H · W) of each octave, and (n, L, L, H · W) of each pair of them."""
        means = [signals.mean(-1) for signals in first]
        means += [torch.cat([signals.mean(-1) for signals in group], -1).flatten(1) for group in second if group]
        return torch.cat(means, dim=1)

    def _parted(self, weights: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Gradients of Σ_k w_k Φ_k in each point of the signals of both layers, (n, L, 1) and (n, L, L, 1)."""
        octaves, angles = len(self.first), self.first[0].y.shape[1]
        weights = weights / self.first[0].y.shape[-1]
        counts = [angles] * octaves + [angles * angles * len(group) for group in self.second]
        parts = weights.unsqueeze(-1).split(counts, dim=1) if any(self.second) else ()
        first = list(parts[:octaves] or weights.unsqueeze(-1).split(angles, dim=1))
        second = [
            list(part.unflatten(1, (angles, -1)).split(angles, dim=2)) if group else []
            for group, part in zip(self.second, parts[octaves:] or self.second, strict=True)
        ]
        return first, second

    def linearize(self, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The force for weights (n, K), and the product with the Hessian."""
        filters = self.filters
        on_first, on_second = self._parted(weights)
        scaled_second = [
            [moduli.scale(on) for moduli, on in zip(group, ons, strict=True)]
            for group, ons in zip(self.second, on_second, strict=True)
        ]
        scaled_first = []
        total = filters[0].no_spectra(weights.shape[:1])
        for j, (moduli, on) in enumerate(zip(self.first, on_first, strict=True)):
            pulled = [each.pullback(scaled) for each, scaled in zip(self.second[j], scaled_second[j], strict=True)]
            back = self._back(j, pulled)
            scaled_first.append(moduli.scale(on if back is None else on + back))
            filters[j].adjoint(moduli.pullback(scaled_first[j]), out=total)
        force = filters[0].signal(total)

        def times(vectors: Tensor) -> Tensor:
            spectra = filters[0].spectrum(vectors)
            total = torch.zeros_like(spectra)
            for j, moduli in enumerate(self.first):
                dy = filters[j](spectra)
                back = None
                if self.second[j]:
                    du = filters[0].spectrum(moduli.pushforward(dy))
                    pulled = [
                        each.pullback_change(scaled, None, bank(du))
                        for each, scaled, bank in zip(self.second[j], scaled_second[j], filters[j + 1 :], strict=True)
                    ]
                    back = self._back(j, pulled)
                filters[j].adjoint(moduli.pullback_change(scaled_first[j], back, dy), out=total)
            return filters[0].signal(total)

        return force, times

    def _back(self, j: int, pulled: list[Tensor]) -> Tensor | None:
        """Gradients in the moduli of octave j, (n, L, H · W), of those in what is filtered of them; None for 0."""
        if not pulled:
            return None
        total = self.filters[0].no_spectra(pulled[0].shape[:2])
        for bank, signals in zip(self.filters[j + 1 :], pulled, strict=True):
            bank.adjoint(signals, out=total)
        return self.filters[0].signal(total)

    def rows(self) -> Tensor:
        """J_Φ, (n, K, H · W): of one layer each filter has a row, from its own signals alone."""
        if any(self.second):
            return super().rows()
        each = self.first[0].y.new_tensor(1.0 / self.first[0].y.shape[-1])
        pulled = [moduli.pullback(moduli.scale(each)) for moduli in self.first]
        rows = [self.filters[0].signal(bank.adjoint_each(y)) for bank, y in zip(self.filters, pulled, strict=True)]
        return torch.cat(rows, dim=1)

    def pushforward(self, vectors: Tensor) -> Tensor:
        """The product J_Φ v, (n, K), for vectors (n, H · W)."""
        filters = self.filters
        spectra = filters[0].spectrum(vectors)
        first = [moduli.pushforward(bank(spectra)) for moduli, bank in zip(self.first, filters, strict=True)]
        second: list[list[Tensor]] = []
        for j, group in enumerate(self.second):
            spectra = filters[0].spectrum(first[j]) if group else spectra
            second.append(
                [each.pushforward(bank(spectra)) for each, bank in zip(group, filters[j + 1 :], strict=False)]
            )
        return self._averages(first, second)


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
