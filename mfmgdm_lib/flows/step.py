"""One step of a frozen flow: forwards, backwards, and the determinant of its Jacobian."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib.descents.descent import Descent, Move
from mfmgdm_lib.errors import DivergedError, NotInvertibleError, renumbered
from mfmgdm_lib.flows.root_finding import find_origin
from mfmgdm_lib.log_determinants import Backend, StepDeterminant, choose_backend
from mfmgdm_lib.processes.base import generator

__all__ = ["FrozenStep"]

_SLACK = 2.0**10 * torch.finfo(torch.float64).eps
"""How far outside the support, relative to a path's largest entry, round-off may put an origin at its edge."""


class FrozenStep:
    """A step x ← x − γ J_Φᵀ(x) r̄ of independent paths, with a mismatch r̄ that is given.

    Args:
        model: the descent, with ensembles of one path.
        index: t, the number of steps before this one.
        mismatch: r̄, (K,); None for MGDM, where that of each path is its own.
    """

    def __init__(self, model: Descent, index: int, mismatch: Tensor | None) -> None:
        self._model, self.index, self._mismatch = model, index, mismatch
        self._energy, self._rate = model.energy, model.rate

    # --- forwards ----------------------------------------------------------------------------------------------------

    def advance(self, paths: Tensor, *, graph: bool = False) -> Tensor:
        """The paths (N, d) after the step, differentiable where a graph is wanted.

        Raises:
            DivergedError: a path stopped being finite.
        """
        if graph:
            move = self._model.support.keep_inside(paths, paths - self._differentiable_force(paths))
        elif self._mismatch is None:
            move = self._model.move(self._model.evaluate(paths, self.index))
        else:
            move = self._move(paths)
        return self._check_not_diverged(move.paths)

    def advance_with_determinant(
        self, paths: Tensor, backend: Backend, rng: np.random.Generator | None, *, may_fold: bool = False
    ) -> tuple[Tensor, StepDeterminant]:
        """The paths (N, d) after the step, and the determinant of its Jacobian.

        Raises:
            NotInvertibleError: a Jacobian that is not positive definite, unless it may fold.
            DivergedError: a path stopped being finite.
        """
        if self._mismatch is None:
            move, determinant = backend.step(self._model, self._model.evaluate(paths, self.index), rng)
        else:
            move = self._move(paths)
            determinant = backend.uncoupled(self._energy, paths, self._weights(paths), move.moved, rng)
        if not may_fold:
            self._check_not_folded(determinant)
        return self._check_not_diverged(move.paths), determinant

    def _move(self, paths: Tensor) -> Move:
        return self._model.support.keep_inside(paths, paths - self._energy.gradient(paths, self._weights(paths)))

    def _weights(self, paths: Tensor) -> Tensor:
        """γ times the mismatch, for each path (N, K), with no graph."""
        if self._mismatch is None:
            return self._rate * (self._energy(paths) - self._model.target.mean.to(paths))
        return (self._rate * self._mismatch.detach()).to(paths).expand(len(paths), -1)

    def _differentiable_force(self, paths: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = paths if paths.requires_grad else paths.detach().requires_grad_()
            energies = self._energy(leaf)
            if self._mismatch is None:
                potential = 0.5 * self._rate * (energies - self._model.target.mean.to(paths)).square().sum()
            else:
                potential = (energies * (self._rate * self._mismatch).to(paths)).sum()
            (force,) = torch.autograd.grad(potential, leaf, create_graph=True)
        return force

    # --- backwards ---------------------------------------------------------------------------------------------------

    def origin(self, points: Tensor, *, examine: bool = True) -> Tensor:
        """Where the step leads to `points` (N, d) from, float64, with all entries moved.

        Args:
            points: where it leads to.
            examine: whether to look at Jacobians about which the search has told nothing: not where the determinant is
                asked for next.

        Raises:
            NotInvertibleError: no origin that can be found or that is inside the support, or one at which the Jacobian
                is seen not to be positive definite.
        """
        origin = find_origin(self._force, self._linearize, points)
        paths, outside = origin.paths, torch.zeros_like(origin.found)
        if not self._model.support.whole_line:
            inside = self._model.support.nearest(paths)
            outside = ((paths - inside).abs() > _SLACK * points.abs().amax(-1, keepdim=True)).any(-1)
            paths = inside
        self._check_found(origin.found, outside)
        if examine and not origin.contracting.all():
            self._check_still_definite(paths, (~origin.contracting).nonzero()[:, 0])
        return paths

    def determinant(
        self, paths: Tensor, backend: Backend, rng: np.random.Generator | None, *, may_fold: bool = False
    ) -> StepDeterminant:
        """The determinant of the Jacobian of the step from `paths` (N, d), where all entries move.

        Raises:
            NotInvertibleError: a Jacobian that is not positive definite, unless it may fold.
        """
        if self._mismatch is None:  # without a support, for round-off at 0 must not decide what moves
            unbounded = Descent(self._energy, self._model.target, self._model.step_size, ensemble_size=1)
            determinant = backend.step(unbounded, unbounded.evaluate(paths, self.index), rng)[1]
        else:
            determinant = backend.uncoupled(self._energy, paths, self._weights(paths), None, rng)
        if not may_fold:
            self._check_not_folded(determinant)
        return determinant

    def _force(self, paths: Tensor) -> Tensor:
        """What the step takes away; not finite where the energies are not."""
        return self._energy.gradient(paths, self._weights(paths))

    def _linearize(self, paths: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The force, and the product with its derivative."""
        force, curve = self._energy.linearize(paths, self._weights(paths))
        if self._mismatch is not None:
            return force, curve
        rows = self._energy.jacobian(paths)

        def product(vectors: Tensor) -> Tensor:
            changes = (rows @ vectors[..., None]).mT  # of the energies, and so of the mismatch
            return curve(vectors) + self._rate * (changes @ rows)[..., 0, :]

        return force, product

    # --- checks ------------------------------------------------------------------------------------------------------

    def _check_not_diverged(self, paths: Tensor) -> Tensor:
        broken = ~torch.isfinite(paths).all(-1)
        if broken.any():
            particle = int(broken.nonzero()[0])
            raise DivergedError(
                f"{{path}} is not finite after step {self.index} with step_size {self._model.step_size:g};"
                " expected finite paths all the way. Use a smaller step size.",
                step=self.index + 1,
                particle=particle,
            )
        return paths

    def _check_found(self, found: Tensor, outside: Tensor) -> None:
        lost = ~found | outside
        if lost.any():
            particle = int(lost.nonzero()[0])
            kind = " in the support all of whose entries moved" if found[particle] else " that can be found"
            raise NotInvertibleError(
                f"{{path}} has no origin{kind} at step {self.index} with step_size {self._model.step_size:g};"
                " expected a path like those that the flow draws, in the units of the target. Standardise the series"
                " if it is on another scale, or use a smaller step size.",
                step=self.index,
                particle=particle,
            )

    def _check_still_definite(self, paths: Tensor, places: Tensor) -> None:
        """Look at the Jacobians of those paths for which the iteration itself has not told."""
        backend = choose_backend(self._model, length=paths.shape[-1])
        with renumbered(places.tolist()):
            self.determinant(paths[places], backend, generator(0))

    def _check_not_folded(self, determinant: StepDeterminant) -> None:
        if determinant.non_positive.any():
            particle = int(determinant.non_positive.nonzero()[0])
            raise NotInvertibleError(
                f"the Jacobian of step {self.index} for {{path}} has {int(determinant.non_positive[particle])}"
                f" eigenvalues at or below 0 with step_size {self._model.step_size:g}; expected all above 0, so that"
                " the step can be inverted. Use a smaller step size.",
                step=self.index,
                particle=particle,
            )
