"""Student's t with sides of different scales, mapped to a standard Gaussian of the same probability and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special
import torch
from torch import Tensor

__all__ = ["student_quantiles", "student_scores"]


def student_scores(z: Tensor, degrees_of_freedom: float, skew: float = 0.0) -> Tensor:
    """Return Φ⁻¹(F(z)), where F is Student's t stretched by 1 − λ below 0 and by 1 + λ above; autograd follows.

    Args:
        z: numbers of any shape, float32 or float64.
        degrees_of_freedom: ν, above 0.
        skew: λ, between −1 and 1.

    Returns:
        A tensor like `z`.

    Example:
        >>> z = torch.tensor([-2.0, 0.0, 2.0], dtype=torch.float64)
        >>> student_scores(z, 5.0)[[0, 2]].numpy().round(3).tolist()
        [-1.636, 1.636]
    """
    scores: Tensor = _Scores.apply(z, degrees_of_freedom, skew)  # type: ignore[no-untyped-call]
    return scores


def student_quantiles(scores: np.ndarray, degrees_of_freedom: float, skew: float = 0.0) -> np.ndarray:
    """Return what `student_scores` takes to these scores, float64 of the same shape.

    Example:
        >>> student_quantiles(np.array([-1.0, 1.0]), 5.0).round(3).tolist()
        [-1.111, 1.111]
    """
    # Each side from its own tail, where a probability near 1 would lose all digits.
    lower, upper = scipy.special.ndtr(scores) / (1.0 - skew), scipy.special.ndtr(-scores) / (1.0 + skew)
    below = lower < 0.5
    level = np.where(below, lower, np.minimum(upper, 0.5))
    quantiles = scipy.special.stdtrit(degrees_of_freedom, level)
    return np.asarray(np.where(below, 1.0 - skew, 1.0 + skew) * np.where(below, quantiles, -quantiles))


class _Scores(torch.autograd.Function):
    """The scores, whose derivative is the ratio of the two densities."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, degrees_of_freedom: float, skew: float) -> Tensor:
        values = z.detach().cpu().double().numpy()
        side = np.where(values < 0.0, 1.0 - skew, 1.0 + skew)
        tails = side * scipy.special.stdtr(degrees_of_freedom, -np.abs(values) / side)
        tails = np.maximum(tails, np.finfo(np.float64).tiny)  # so far out no score is larger than 38
        scores = torch.from_numpy(np.asarray(np.where(values < 0.0, 1.0, -1.0) * scipy.special.ndtri(tails))).to(z)
        ctx.save_for_backward(z, scores)
        ctx.law = degrees_of_freedom, skew
        return scores

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        z, scores = ctx.saved_tensors
        nu, skew = ctx.law
        constant = 0.5 * math.log(2.0 * math.pi) - float(scipy.special.betaln(0.5 * nu, 0.5)) - 0.5 * math.log(nu)
        side = torch.where(z < 0.0, 1.0 - skew, 1.0 + skew)
        log_ratio = constant - 0.5 * (nu + 1.0) * torch.log1p((z / side).square() / nu) + 0.5 * scores.square()
        return gradients[0] * log_ratio.exp(), None, None
