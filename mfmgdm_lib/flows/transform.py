"""The steps of a frozen flow one after another, forwards and backwards, a chunk of paths at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._progress import progress
from mfmgdm_lib.descents.descent import Descent
from mfmgdm_lib.errors import DivergedError, renumbered
from mfmgdm_lib.flows.step import FrozenStep
from mfmgdm_lib.log_determinants import Backend

__all__ = ["FrozenState", "FrozenTransform", "apply_in_chunks"]

_CHUNK_POINTS = 2**17
"""Points (paths × time) in work at once: what stays in the processor's cache."""


class FrozenState(NamedTuple):
    """Where N paths stand after some steps of a frozen flow."""

    step: int
    """t, the number of steps taken."""
    paths: Tensor
    """x_t, (N, d)."""
    log_prob: Tensor
    """log q_t(x_t), nats, (N,), float64."""
    standard_error: Tensor
    """Standard error of `log_prob`, (N,), from estimated determinants; 0 from an exact backend."""


class FrozenTransform:
    """The map x_0 → x_T of independent paths by T steps of a descent with given mismatches.

    Args:
        model: the descent, whose ensembles have one path.
        mismatches: Φ̄_t − α, (T, K); None for MGDM, where a path has its own.
        n_steps: T.
    """

    def __init__(self, model: Descent, mismatches: Tensor | None, n_steps: int) -> None:
        rows = [None] * n_steps if mismatches is None else list(mismatches)
        self._steps = [FrozenStep(model, index, row) for index, row in enumerate(rows)]
        self._energy = model.energy

    def forward(self, paths: Tensor, *, graph: bool) -> Tensor:
        """Return the ends of paths (N, d), differentiable where a graph is wanted."""
        for step in self._steps:
            paths = step.advance(paths, graph=graph)
        return paths

    def states(
        self, paths: Tensor, log_prob: Tensor, backend: Backend, rng: np.random.Generator | None, *, may_fold: bool
    ) -> Iterator[FrozenState]:
        """Yield the states of paths (N, d) at t = 0, …, T, with `log_prob` (N,) their log-density at t = 0."""
        variance = torch.zeros_like(log_prob)
        yield FrozenState(0, paths, log_prob, variance)
        for step in self._steps:
            paths, determinant = step.advance_with_determinant(paths, backend, rng, may_fold=may_fold)
            log_prob = log_prob - determinant.per_path
            variance = variance + determinant.standard_error.square()
            yield FrozenState(step.index + 1, paths, log_prob, variance.sqrt())

    def backward(
        self,
        points: Tensor,
        backend: Backend | None = None,
        rng: np.random.Generator | None = None,
        *,
        may_fold: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the starts of points (N, d), float64; with a backend, the sum of log-determinants and its variance."""
        self._check_energies(points)
        change = variance = torch.zeros_like(points[:, 0])
        for step in reversed(self._steps):
            points = step.origin(points, examine=backend is None)
            if backend is not None:
                determinant = step.determinant(points, backend, rng, may_fold=may_fold)
                change = change + determinant.per_path
                variance = variance + determinant.standard_error.square()
        return points, change, variance

    def _check_energies(self, points: Tensor) -> None:
        broken = ~torch.isfinite(self._energy(points)).all(-1)
        if broken.any():
            raise DivergedError(
                "{path} has an infinite or NaN energy; expected a path in the units of the target."
                " Standardise the series first.",
                step=len(self._steps),
                particle=int(broken.nonzero()[0]),
            )


def apply_in_chunks(
    function: Callable[[Tensor], tuple[Tensor, ...]], paths: Tensor, places: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Apply a function to a chunk of paths (N, d) at a time, and join its results along their first axis.

    Args:
        function: from paths (n, d) to tensors (n, …).
        paths: all paths.
        places: numbers of the paths to apply it to, at least one; None for all. Errors number a path among all.
    """
    places = torch.arange(len(paths)) if places is None else places
    pieces = places.split(max(1, _CHUNK_POINTS // paths.shape[-1]))
    results = []
    for piece in progress(pieces, total=len(pieces), description="FrozenFlow"):
        with renumbered(piece.tolist()):
            results.append(function(paths[piece]))
    return tuple(torch.cat(part) for part in zip(*results, strict=True))
