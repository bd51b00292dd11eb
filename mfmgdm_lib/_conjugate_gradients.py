"""Conjugate gradients for many systems (I − B) y = b at once, each with step lengths of its own.

PyTorch has none, and those of SciPy take one system at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["TINY", "Solutions", "conjugate_gradients"]

TINY = 1e-300
"""Keeps a quotient finite whose numerator is zero."""


class Solutions(NamedTuple):
    """What was found of n matrices with r right-hand sides each."""

    values: Tensor
    """The y, (n, r, d), float64; of a matrix that is not positive definite, those before that was seen."""
    residuals: Tensor
    """b − (I − B) y, (n, r, d), float64."""
    sound: Tensor
    """Whether all right-hand sides of a matrix are solved, and it is positive definite as far as was seen, (n,)."""


def conjugate_gradients(
    product: Callable[[Tensor], Tensor], targets: Tensor, *, tolerance: float, max_steps: int
) -> Solutions:
    """Solve (I − B) y = b (Hestenes and Stiefel, 1952) until every residual is `tolerance` times its start.

    Args:
        product: B, symmetric: from (n, d) to (n, d), for each of the n matrices, in the dtype of `targets`.
        targets: b, (n, r, d).
        tolerance: what is left of a residual, relative to its start.
        max_steps: products with B at most, for each of the r.

    Example:
        >>> conjugate_gradients(lambda x: 0.5 * x, torch.ones(1, 1, 3), tolerance=1e-9, max_steps=3).values
        tensor([[[2., 2., 2.]]], dtype=torch.float64)
    """
    values, residuals = torch.zeros_like(targets, dtype=torch.float64), targets.double()
    directions, power = residuals, residuals.square().sum(-1)
    goal, going = tolerance**2 * power, torch.ones_like(power, dtype=torch.bool)
    sound = going.all(-1)
    for _ in range(max_steps):
        products = torch.stack([product(each) for each in directions.to(targets).unbind(1)], 1)
        images = directions - products.double()
        curvature = (directions * images).sum(-1)
        going &= curvature > 0
        sound &= (going | (power <= goal)).all(-1)
        lengths = torch.where(going & sound[:, None], power / curvature.clamp(min=TINY), 0.0)
        values = values + lengths[..., None] * directions
        residuals = residuals - lengths[..., None] * images
        power, last = residuals.square().sum(-1), power
        if ((power <= goal) | ~sound[:, None]).all():
            break
        directions = residuals + (power / last.clamp(min=TINY))[..., None] * directions
    return Solutions(values, residuals, sound & (power <= goal).all(-1))
