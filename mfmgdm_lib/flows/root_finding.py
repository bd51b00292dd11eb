"""The inverse of a step, by fixed-point iteration and Newton's method."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mfmgdm_lib._conjugate_gradients import TINY, conjugate_gradients

__all__ = ["Force", "Linearization", "Origin", "find_origin"]

Force = Callable[[Tensor], Tensor]
"""What a step takes away from each path: a function from (n, d) to (n, d), a path at a time, for any n."""

Linearization = Callable[[Tensor], tuple[Tensor, Callable[[Tensor], Tensor]]]
"""The force, and its symmetric derivative as a product: from (n, d) to (n, d) and a function from (n, d) to (n, d)."""

_EPSILON = torch.finfo(torch.float64).eps

_TIGHT = 4.0
"""Residual, in units of the round-off of a path, ε times its norm, at which an origin is as good as can be told."""

_LOOSE = 2.0**10
"""The same where no iteration makes it smaller: a force is a sum of many terms, with a round-off of its own."""

_SLOW = 0.5
"""Factor between one residual and the next from which on Newton's method takes over."""

_MAX_NEWTON = 50
_MAX_HALVINGS = 30
_MAX_PRODUCTS = 200

_SOLVED = 1e-4
"""Residual, relative to its start, at which a Newton direction is good enough: each step then gains four digits."""


class Origin(NamedTuple):
    """Where N paths came from."""

    paths: Tensor
    """The origins y, (N, d)."""
    found: Tensor
    """Whether there is one, (N,) of bool."""
    contracting: Tensor
    """Whether the force contracts there, (N,) of bool, so that the step's Jacobian is positive definite."""


def find_origin(force: Force, linearize: Linearization, x: Tensor, near: Tensor | None = None) -> Origin:
    """Solve y − force(y) = x for each path of x (N, d), float64 and finite, beginning `near` (N, d), or at x.

    The iteration y ← x + force(y) gets there where the force contracts well, as it does where steps are small. The
    other paths go on with Newton's method: its directions by conjugate gradients, its steps halved until the residual
    shrinks. It starts from where they are, and ends where the step's Jacobian stops being positive definite.
    """
    paths, contracting = _contract(force, x, x if near is None else near)
    found = contracting.clone()
    if not found.all():
        left = (~found).nonzero()[:, 0]
        paths[left], found[left] = _newton(force, linearize, x[left], paths[left])
    return Origin(paths, found, contracting)


def _contract(force: Force, x: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """Iterate y ← x + force(y) from `near` while it contracts: the y of each path or where Newton begins, and which."""
    result, converged = x.clone(), torch.zeros(len(x), dtype=torch.bool, device=x.device)
    here = x + force(near)
    first = last = _norm(here - near)
    floor = _EPSILON * (_norm(x) + _norm(here - x))
    left = torch.arange(len(x), device=x.device)
    going = torch.isfinite(last)
    while True:
        if not going.all():
            left, x, here, first, last, floor = (part[going] for part in (left, x, here, first, last, floor))
        if len(left) == 0:
            return result, converged
        after = x + force(here)
        change = _norm(here.sub_(after))
        ratio = change / last.clamp(min=TINY)
        # What is left after this iteration is as much smaller than the change as that is than the one before.
        done = (change * ratio <= _TIGHT * floor) | (change <= _TIGHT * floor)
        done |= (ratio > _SLOW) & (change <= _LOOSE * floor)
        going = ~done & (ratio <= _SLOW)
        if not going.all():
            kept = ~going & (done | (change < first))
            result[left[kept]], converged[left[done]] = after[kept], True
        here, last = after, change


def _newton(force: Force, linearize: Linearization, x: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Newton's method from `start`: the y of each path, and whether it solves the equation."""
    result, found = start.clone(), torch.zeros(len(x), dtype=torch.bool, device=x.device)
    left, here = torch.arange(len(x), device=x.device), start
    residual = x + force(here) - here
    stuck = torch.zeros_like(found)
    for _ in range(_MAX_NEWTON):
        size, floor = _norm(residual), _EPSILON * torch.maximum(_norm(x), _norm(here))
        done = (size <= _TIGHT * floor) | (stuck & (size <= _LOOSE * floor))
        result[left], found[left[done]] = here, True
        going = ~done & ~stuck & torch.isfinite(size)
        if not going.any():
            break
        left, x, here, residual = (part[going] for part in (left, x, here, residual))
        solved = conjugate_gradients(
            linearize(here)[1], residual[:, None], tolerance=_SOLVED, max_steps=_MAX_PRODUCTS
        ).values[:, 0]
        # Where that has not even begun, for the Jacobian is not positive definite, there is a direction all the same.
        direction = torch.where(solved.any(-1, keepdim=True), solved, residual)
        here, residual, stuck = _line_search(force, x, here, residual, direction)
    return result, found


def _line_search(
    force: Force, x: Tensor, here: Tensor, residual: Tensor, direction: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Go along `direction`, half as far each time until the residual shrinks: y, its residual, and who is stuck."""
    here, residual = here.clone(), residual.clone()
    left, length = torch.arange(len(x), device=x.device), 1.0
    for _ in range(_MAX_HALVINGS):
        trial = here[left] + length * direction[left]
        inside = torch.isfinite(trial).all(-1)
        trial = torch.where(inside[:, None], trial, here[left])
        missing = x[left] + force(trial) - trial
        # A comparison with what is not finite is false, which counts as no improvement.
        better = inside & (_norm(missing) < (1.0 - 1e-4 * length) * _norm(residual[left]))
        here[left[better]], residual[left[better]] = trial[better], missing[better]
        left, length = left[~better], 0.5 * length
        if len(left) == 0:
            break
    stuck = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    stuck[left] = True
    return here, residual, stuck


def _norm(x: Tensor) -> Tensor:
    """Euclidean norm of each path, (n,)."""
    return torch.linalg.vecdot(x, x).sqrt()
