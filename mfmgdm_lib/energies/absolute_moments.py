"""Mean square and mean absolute value of a path, the moments that hold fields near −1 and 1."""

from __future__ import annotations

import torch
from torch import Tensor

from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib.energies.base import Energy
from mfmgdm_lib.specification import register

__all__ = ["AbsoluteMoments"]


@register
class AbsoluteMoments(Energy):
    """Mean square and mean absolute value of a path, over all of its axes.

    By Jensen's inequality both are 1 only where every value is −1 or 1.

    Args:
        axes: number of axes of a path: 1 for a series, 2 for a field.

    Raises:
        ValueError: a number that is not above 0.

    Example:
        >>> AbsoluteMoments(axes=2)(torch.tensor([[1.0, -1.0], [3.0, 1.0]])).tolist()
        [3.0, 1.5]
    """

    labels = ("mean square", "mean absolute value")

    def __init__(self, axes: int = 1) -> None:
        self.axes = check_positive_int("axes", axes)

    def __repr__(self) -> str:
        return "AbsoluteMoments()" if self.axes == 1 else f"AbsoluteMoments(axes={self.axes})"

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """Shape of a path: any size along each axis."""
        return (None,) * self.axes

    def _evaluate(self, x: Tensor) -> Tensor:
        flat = x.flatten(-self.axes)
        return torch.stack([flat.square().mean(-1), flat.abs().mean(-1)], dim=-1)
