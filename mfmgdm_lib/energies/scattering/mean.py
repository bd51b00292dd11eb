"""Energy ii of Section 5.1: time averages of two layers of scattering with moduli."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from mfmgdm_lib.energies.scattering.coefficients import Coefficient
from mfmgdm_lib.energies.scattering.layers import TwoLayerEnergy, TwoLayerRecord, moduli
from mfmgdm_lib.specification import register

__all__ = ["ScatteringMean"]


@register
class ScatteringMean(TwoLayerEnergy):
    r"""Energy ii: time averages of first- and second-order scattering, with moduli (paper Section 5.1).

    .. math:: \Phi(x) = \bigl(\langle |x \star \psi_j| \rangle,\;
              \langle \bigl||x \star \psi_j| \star \psi_k\bigr| \rangle\bigr), \qquad j < 4,\; k < 6

    with kymatio's Morlet wavelets and circular convolutions at the full rate (Andreux et al. 2020). All pairs of j and
    k are there, K = 28. The energy does not change when a path is shifted in time, and doubles with the path.

    Args:
        length: points d of a path, a power of two of at least 256.
        J: octaves of kymatio's bank, of J + 1 wavelets; log₂ d at most.
        wavelets: how many of them the first and the second layer have, from the highest frequency on.

    Raises:
        TypeError, ValueError: a length, J or number of wavelets that do not fit together.

    Example:
        >>> energy = ScatteringMean(1024)
        >>> energy.dim, energy.labels[0], energy.labels[-1]
        (28, '⟨|W0 x|⟩', '⟨|W5|W3 x||⟩')
        >>> energy(torch.zeros(2, 1024)).shape
        torch.Size([2, 28])
    """

    _layers = staticmethod(moduli)

    def _name_coefficients(self) -> tuple[Coefficient, ...]:
        first, second = map(range, self.wavelets)
        return (
            *(Coefficient(f"⟨|W{j} x|⟩", ((j,),)) for j in first),
            *(Coefficient(f"⟨|W{k}|W{j} x||⟩", ((j, k),)) for j, k in product(first, second)),
        )

    @property
    def _signals(self) -> int:
        return 2 * self.wavelets[0] * self.wavelets[1]

    def _record(self, x: Tensor) -> _Mean:
        return _Mean(self.layers_for(x), x)


class _Mean(TwoLayerRecord):
    """Averages of the signals."""

    @property
    def values(self) -> Tensor:
        return torch.cat([self.first.value.mean(-1), self.second.value.mean(-1).flatten(1)], dim=1)

    def _signal_gradients(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        each = weights.unsqueeze(-1) / self.layers.boundary.length
        first = self.first.value.shape[1]
        return each[:, :first], each[:, first:].unflatten(1, (first, -1))

    def _signal_gradients_change(
        self, weights: Tensor, du_first: Tensor, dy_second: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        return None, None

    def rows(self) -> Tensor:
        """J_Φ, (n, K, time), each row by the adjoint of one filter of each layer."""
        boundary, first, second, _ = self.layers
        even = self.first.value.new_full((), 1 / boundary.length)
        through_second = second.adjoint_each(self.second.pullback(self.second.scale(even)))
        on_first = boundary.signal(through_second).movedim(2, 0)
        of_first, of_second = (
            boundary.signal(first.adjoint_each(self.first.pullback(self.first.scale(on)))) for on in (even, on_first)
        )
        return torch.cat([of_first, of_second.movedim(0, 2).flatten(1, 2)], dim=1)
