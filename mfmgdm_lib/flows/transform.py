"""The steps of a frozen flow, forwards and backwards, with the determinants of their Jacobians."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._checks import first_true
from mfmgdm_lib._progress import progress
from mfmgdm_lib.descents.descent import Descent, Move
from mfmgdm_lib.energies.base import Derivatives
from mfmgdm_lib.errors import DivergedError, NotInvertibleError, renumbered
from mfmgdm_lib.flows.root_finding import find_origin
from mfmgdm_lib.log_determinants import Backend, StepDeterminant
from mfmgdm_lib.log_determinants.stepping import check_not_folded
from mfmgdm_lib.processes.base import generator

__all__ = ["FrozenState", "FrozenTransform", "apply_in_chunks"]

_CHUNK_POINTS = 2**17
"""Points (paths × time) in work at once: what stays in the processor's cache."""

_SLACK = 2.0**10 * torch.finfo(torch.float64).eps
"""How far outside the support, relative to a path's largest entry, round-off may put an origin at its edge."""


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
    """The map x_0 → x_T of independent paths by T steps x ← x − γ J_Φᵀ(x) r̄_t, with mismatches r̄_t that are given.

    The errors of its methods are those that `FrozenFlow` names.

    Args:
        model: the descent, whose ensembles have one path.
        mismatches: r̄_t = Φ̄_t − α, (T, K); None for MGDM, where a path has its own.
        n_steps: T.
        backend: calculates the determinants.
        may_fold: whether a Jacobian may have eigenvalues that are not above 0.
        rng: for a backend that needs random numbers.
    """

    def __init__(
        self,
        model: Descent,
        mismatches: Tensor | None,
        n_steps: int,
        backend: Backend,
        *,
        may_fold: bool = False,
        rng: np.random.Generator | None = None,
    ) -> None:
        self._model, self._mismatches, self._n_steps = model, mismatches, n_steps
        self._backend, self._may_fold, self._rng = backend, may_fold, rng
        self._energy, self._rate = model.energy, model.rate

    # --- forwards ----------------------------------------------------------------------------------------------------

    def forward(self, paths: Tensor, *, graph: bool, check: bool = True) -> Tensor:
        """Return the ends of paths (N, d), differentiable where a graph is wanted.

        Without a check those that stop being finite are NaN.
        """
        lost = torch.zeros(len(paths), dtype=torch.bool, device=paths.device)
        for step in range(self._n_steps):
            if graph:
                move = self._model.support.keep_inside(paths, paths - self._differentiable_force(paths, step))
            elif self._mismatches is None:
                move = self._model.move(self._model.evaluate(paths, step))
            else:
                move = self._move(paths, step)
            if check:
                paths = self._check_not_diverged(move.paths, step)
            else:
                # Energies take finite paths only: what is lost goes on from 0.
                lost = lost | ~torch.isfinite(move.paths).all(-1)
                paths = move.paths.masked_fill(lost[:, None], 0.0)
        return paths.masked_fill(lost[:, None], torch.nan) if lost.any() else paths

    def states(self, paths: Tensor, log_prob: Tensor) -> Iterator[FrozenState]:
        """Yield the states of paths (N, d) at t = 0, …, T, with `log_prob` (N,) their log-density at t = 0."""
        variance = torch.zeros_like(log_prob)
        yield FrozenState(0, paths, log_prob, variance)
        for step in range(self._n_steps):
            if self._mismatches is None:
                move, determinant = self._backend.step(self._model, self._model.evaluate(paths, step), self._rng)
            else:
                move = self._move(paths, step)
                determinant = self._own_determinant(paths, step, move.moved, self._rng)
            if not self._may_fold:
                check_not_folded(determinant, self._model, step)
            paths = self._check_not_diverged(move.paths, step)
            log_prob = log_prob - determinant.per_path
            variance = variance + determinant.standard_error.square()
            yield FrozenState(step + 1, paths, log_prob, variance.sqrt())

    def _weighted(self, paths: Tensor, step: int) -> tuple[Tensor, Derivatives]:
        """γ times the mismatch, for each path (N, K), with no graph, and the derivatives that it is a weight of."""
        if self._mismatches is None:
            energies, derivatives = self._energy.evaluate(paths)
            return self._rate * (energies - self._model.target.mean.to(paths)), derivatives
        weights = (self._rate * self._mismatches[step].detach()).to(paths).expand(len(paths), -1)
        return weights, self._energy.derivatives(paths)

    def _force(self, paths: Tensor, step: int) -> Tensor:
        """What the step takes away; not finite where the energies are not."""
        weights, derivatives = self._weighted(paths, step)
        return derivatives.gradient(weights)

    def _move(self, paths: Tensor, step: int) -> Move:
        return self._model.support.keep_inside(paths, paths - self._force(paths, step))

    def _differentiable_force(self, paths: Tensor, step: int) -> Tensor:
        with torch.enable_grad():
            leaf = paths if paths.requires_grad else paths.detach().requires_grad_()
            energies = self._energy(leaf)
            if self._mismatches is None:
                potential = 0.5 * self._rate * (energies - self._model.target.mean.to(paths)).square().sum()
            else:
                potential = (energies * (self._rate * self._mismatches[step]).to(paths)).sum()
            (force,) = torch.autograd.grad(potential, leaf, create_graph=True)
        return force

    def _check_not_diverged(self, paths: Tensor, step: int) -> Tensor:
        if torch.isfinite(paths.detach().sum()):  # quicker than to look at each entry, and they are finite then
            return paths
        if (particle := first_true(~torch.isfinite(paths).all(-1))) is not None:
            raise DivergedError(
                f"{{path}} is not finite after step {step} with step_size {self._model.step_size:g};"
                " expected finite paths all the way. Use a smaller step size.",
                step=step + 1,
                particle=particle,
            )
        return paths

    # --- backwards ---------------------------------------------------------------------------------------------------

    def backward(self, points: Tensor) -> Tensor:
        """Return the starts of points (N, d), float64, whose Jacobians are all positive definite.

        An iteration that contracts says that a Jacobian is; the others are looked at.
        """
        self._check_energies(points)
        moved = None
        for step in reversed(range(self._n_steps)):
            reached = points
            points, contracting = self._origin(reached, step, moved)
            moved = points - reached
            if not contracting.all():
                places = (~contracting).nonzero()[:, 0]
                with renumbered(places.tolist()):
                    determinant = self._determinant(points[places], step, generator(0))
                    check_not_folded(determinant, self._model, step, "Use a smaller step size.")
        return points

    def backward_with_determinants(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the starts of points (N, d), float64, the sum of their log-determinants and its variance, (N,)."""
        self._check_energies(points)
        change = variance = torch.zeros_like(points[:, 0])
        moved = None
        for step in reversed(range(self._n_steps)):
            reached = points
            points, _ = self._origin(reached, step, moved)
            moved = points - reached
            determinant = self._determinant(points, step, self._rng)
            if not self._may_fold:
                check_not_folded(determinant, self._model, step)
            change = change + determinant.per_path
            variance = variance + determinant.standard_error.square()
        return points, change, variance

    def _origin(self, points: Tensor, step: int, moved: Tensor | None) -> tuple[Tensor, Tensor]:
        """Where a step leads to points (N, d) from, with all entries moved; and whether the force contracts there.

        The search begins as far from the points as the origin of the step after it was: steps change little.
        """
        near = points if moved is None else points + moved
        origin = find_origin(lambda y: self._force(y, step), lambda y: self._linearize(y, step), points, near)
        paths, lost = origin.paths, ~origin.found
        if not self._model.support.whole_line:
            inside = self._model.support.nearest(paths)
            lost |= ((paths - inside).abs() > _SLACK * points.abs().amax(-1, keepdim=True)).any(-1)
            paths = inside
        if (particle := first_true(lost)) is not None:
            kind = " in the support all of whose entries moved" if origin.found[particle] else " that can be found"
            raise NotInvertibleError(
                f"{{path}} has no origin{kind} at step {step} with step_size {self._model.step_size:g};"
                " expected a path like those that the flow draws, in the units of the target. Standardise the series"
                " if it is on another scale, or use a smaller step size.",
                step=step,
                particle=particle,
            )
        return paths, origin.contracting

    def _determinant(self, paths: Tensor, step: int, rng: np.random.Generator | None) -> StepDeterminant:
        """The determinant of the Jacobian of a step from paths (N, d), where all entries move."""
        if self._mismatches is not None:
            return self._own_determinant(paths, step, None, rng)
        # Without a support, for round-off at 0 must not decide what moves.
        unbounded = Descent(self._energy, self._model.target, self._model.step_size, ensemble_size=1)
        return self._backend.step(unbounded, unbounded.evaluate(paths, step), rng)[1]

    def _own_determinant(
        self, paths: Tensor, step: int, moved: Tensor | None, rng: np.random.Generator | None
    ) -> StepDeterminant:
        """That of a step whose mismatch is given."""
        return self._backend.uncoupled(self._energy, paths, self._weighted(paths, step)[0], moved, rng)

    def _linearize(self, paths: Tensor, step: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The force, and the product with its derivative."""
        weights, derivatives = self._weighted(paths, step)
        force, curve = derivatives.linearize(weights)
        if self._mismatches is not None:
            return force, curve
        rows = self._energy.jacobian(paths)

        def product(vectors: Tensor) -> Tensor:
            changes = (rows @ vectors[..., None]).mT  # of the energies, and so of the mismatch
            return curve(vectors) + self._rate * (changes @ rows)[..., 0, :]

        return force, product

    def _check_energies(self, points: Tensor) -> None:
        if (particle := first_true(~torch.isfinite(self._energy.evaluate(points)[0]).all(-1))) is not None:
            raise DivergedError(
                "{path} has an infinite or NaN energy; expected a path in the units of the target."
                " Standardise the series first.",
                step=self._n_steps,
                particle=particle,
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
