"""Energy iii of Section 5.1: covariances of two layers of scattering with rectifiers."""

from __future__ import annotations

from itertools import combinations_with_replacement, product

import torch
from torch import Tensor

from mfmgdm_lib.energies.scattering.coefficients import Coefficient
from mfmgdm_lib.energies.scattering.layers import PHASES, Layers, TwoLayerEnergy, TwoLayerRecord, rectified
from mfmgdm_lib.specification import register

__all__ = ["ScatteringCovariance"]


@register
class ScatteringCovariance(TwoLayerEnergy):
    r"""Energy iii before its projection: covariances over time of rectified scattering (paper Section 5.1).

    .. math:: u_{j\theta} = \operatorname{Re}(e^{-i\theta} x \star \psi_j)_+, \quad
              u_{j\theta k} = \operatorname{Re}(u_{j\theta} \star \psi_k)_+, \qquad
              j < 4,\; \theta \in \{0, \pi/3\},\; k < 6

    are 8 + 48 signals, and the upper triangle of their covariance (divisor d − 1) has K = 1596 entries, row by row. The
    paper projects them on 20 principal components: `Projection.fit` does. The energy does not change when a path is
    shifted in time, and goes with the square of its size.

    Args:
        length: points d of a path, a power of two of at least 256.
        J: octaves of kymatio's bank, of J + 1 wavelets; log₂ d at most.
        wavelets: how many of them the first and the second layer have, from the highest frequency on.

    Raises:
        TypeError, ValueError: a length, J or number of wavelets that do not fit together.

    Example:
        >>> energy = ScatteringCovariance(1024)
        >>> energy.dim, energy.labels[1], energy.labels[-1]
        (1596, 'cov(0∠0, 0∠π/3)', 'cov(3∠π/3→5, 3∠π/3→5)')
    """

    _layers = staticmethod(rectified)

    def _name_coefficients(self) -> tuple[Coefficient, ...]:
        first = list(product(range(self.wavelets[0]), PHASES))
        signals: list[tuple[tuple[int, ...], str, str]] = [((j,), phase, f"{j}∠{phase}") for j, phase in first]
        signals += [((j, k), phase, f"{j}∠{phase}→{k}") for (j, phase), k in product(first, range(self.wavelets[1]))]
        return tuple(
            Coefficient(f"cov({left}, {right})", (a, b), (phase_a, phase_b))
            for (a, phase_a, left), (b, phase_b, right) in combinations_with_replacement(signals, 2)
        )

    @property
    def _signals(self) -> int:
        return len(PHASES) * self.wavelets[0] * (1 + self.wavelets[1])

    def _record(self, x: Tensor) -> _Covariance:
        return _Covariance(self.layers_for(x), x)


class _Covariance(TwoLayerRecord):
    """Covariances of the signals."""

    def __init__(self, layers: Layers, x: Tensor) -> None:
        super().__init__(layers, x)
        self._centred = _centre(self.first.value, self.second.value)
        count = self._centred.shape[1]
        self._row, self._column = torch.triu_indices(count, count, device=x.device)

    @property
    def values(self) -> Tensor:
        covariance = self._centred @ self._centred.mT / (self._centred.shape[-1] - 1)
        return covariance[:, self._row, self._column]

    def _signal_gradients(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        return self._pair(weights, self._centred)

    def _signal_gradients_change(
        self, weights: Tensor, du_first: Tensor, dy_second: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        return self._pair(weights, _centre(du_first, self.second.pushforward(dy_second)))

    def _pair(self, weights: Tensor, centred: Tensor) -> tuple[Tensor, Tensor]:
        """Signals times the matrix with the weights in its upper triangle, and times its transpose."""
        n, count, length = centred.shape
        matrix = weights.new_zeros(n, count, count)
        matrix[:, self._row, self._column] = weights / (length - 1)
        first = self.first.value.shape[1]
        weighted = (matrix + matrix.mT) @ centred
        return weighted[:, :first], weighted[:, first:].unflatten(1, (first, -1))


def _centre(first: Tensor, second: Tensor) -> Tensor:
    """All signals less their means over time, (n, C₁ + C₁C₂, time)."""
    signals = torch.cat([first, second.flatten(1, 2)], dim=1)
    return signals.sub_(signals.mean(-1, keepdim=True))
