"""Moments of the values of a field, whatever their places."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib.energies.base import Energy
from mfmgdm_lib.specification import register

__all__ = ["FieldMoments"]


@checked
@register
class FieldMoments(Energy):
    r"""Means of powers of the values of a field, :math:`\Phi_p(x) = \frac1{HW} \sum_r x_r^p`.

    With the powers 1 to 4 they fix the mean, the variance, the skewness and the kurtosis of the values of a field, as
    in the texture model of Portilla and Simoncelli (2000).

    Args:
        powers: p, whole numbers from 1 on, in ascending order.

    Example:
        >>> energy = FieldMoments((1, 2))
        >>> energy(torch.tensor([[1.0, 3.0], [0.0, 0.0]])).tolist()
        [1.0, 2.5]
    """

    event_shape = (None, None)
    minimum_length = 1

    def __init__(self, powers: Sequence[int] = (1, 2, 3, 4)) -> None:
        self.powers = tuple(check_positive_int("powers", power) for power in powers)
        if not self.powers or list(self.powers) != sorted(set(self.powers)):
            raise ValueError(f"powers is {self.powers}; expected different ones in ascending order. Use (1, 2, 3, 4).")
        self.labels = tuple(f"mean of power {power}" for power in self.powers)

    def __repr__(self) -> str:
        return f"FieldMoments({self.powers})"

    def _evaluate(self, x: Tensor) -> Tensor:
        return torch.stack([x.pow(power).mean((-2, -1)) for power in self.powers], dim=-1)

    def _slopes(self, x: Tensor) -> Tensor:
        """Derivatives of the summands, (*, K, H, W)."""
        return torch.stack([power * x.pow(power - 1) for power in self.powers], dim=-3) / (x.shape[-2] * x.shape[-1])

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the force, (*, H, W)."""
        return (weights[..., None, None] * self._slopes(x)).sum(-3)

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force, (*, H, W), and the product with the Hessian, which is diagonal."""
        curves = [power * (power - 1) * x.pow(max(power - 2, 0)) for power in self.powers]
        diagonal = (weights[..., None, None] * torch.stack(curves, dim=-3)).sum(-3) / (x.shape[-2] * x.shape[-1])
        return self.gradient(x, weights), lambda vectors: diagonal * vectors

    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ, (*, K, H, W)."""
        return self._slopes(x)
