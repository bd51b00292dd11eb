"""Gradient descent of ensembles of paths by their mean energy, paper eqs. (3) and (6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import constraints

from mfmgdm_lib._checks import check_finite, check_paths, check_positive, check_positive_int
from mfmgdm_lib._progress import progress
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.errors import DivergedError, StuckError
from mfmgdm_lib.specification import register
from mfmgdm_lib.support import REAL_LINE, Move, as_support, check_inside
from mfmgdm_lib.target import Target

__all__ = ["Descent", "Move", "State"]


@dataclass(frozen=True)
class State:
    """Where N paths stand after some steps.

    Attributes:
        step: t, the number of steps taken.
        paths: x_t, (N, time).
        energies: Φ(x_t), (N, K).
        mismatch: what drives each path, (N, K): Φ − α averaged over the path's ensemble (over itself alone in MGDM).
        loss: L = ½‖mismatch‖² / ‖α‖² for each path, (N,); equal within an ensemble.
    """

    step: int
    paths: Tensor
    energies: Tensor
    mismatch: Tensor
    loss: Tensor


@register
class Descent:
    """Gradient descent of ensembles of paths by their mean energy, paper eqs. (3) and (6).

    One rule covers both models: a path moves by −γ J_Φᵀ times the mismatch Φ − α averaged over its ensemble.
    With ensembles of one path that is MGDM, eq. (3); with all paths in one ensemble it is MF–MGDM, eq. (6).

    An entry that a step would take out of the support keeps its value (App. B).

    Args:
        energy: Φ.
        target: α, of the same K energies.
        step_size: s, dimensionless; the rate of eqs. (3) and (6) is γ = s / ‖α‖², because the loss is relative.
        ensemble_size: paths in each ensemble, taken in order; None puts all in one.
        support: where the values of a path lie, best passed on as `process.support`: an `Interval`, a `Support` of your
            own, or `constraints.real`, `constraints.nonnegative` or `constraints.interval` of `torch.distributions`.
        inner_steps: iterations, at the rate γ, of the inner problem of Section 4: to bring Φ(x') to Φ(x) less the
            mismatch. The paper's models have one, and so must a model whose divergence is wanted.

    Raises:
        ValueError: a step size that is not above 0, a target of other energies, or another support.
    """

    def __init__(
        self,
        energy: Energy,
        target: Target,
        step_size: float,
        *,
        ensemble_size: int | None = None,
        support: constraints.Constraint = REAL_LINE,
        inner_steps: int = 1,
    ) -> None:
        if target.labels != energy.labels:
            raise ValueError(
                f"target has the energies {target.labels}; expected those of {energy!r}: {energy.labels}."
                " Estimate the target with the same energy."
            )
        self.energy = energy
        self.target = target
        self.step_size = check_positive("step_size", step_size)
        self.ensemble_size = None if ensemble_size is None else check_positive_int("ensemble_size", ensemble_size)
        self.support = as_support(support)
        self.inner_steps = check_positive_int("inner_steps", inner_steps)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.energy!r}, step_size={self.step_size:g})"

    @property
    def rate(self) -> float:
        """γ of eqs. (3) and (6): s / ‖α‖²."""
        return self.step_size / float(self.target.mean.square().sum())

    def members(self, n_paths: int) -> int:
        """Number of paths in each ensemble when there are `n_paths` in all."""
        size = n_paths if self.ensemble_size is None else self.ensemble_size
        if n_paths % size:
            raise ValueError(
                f"ensemble_size is {size}; expected a divisor of the {n_paths} paths. Change one of the two."
            )
        return size

    def evaluate(self, paths: Tensor, step: int = 0) -> State:
        """Return the state of `paths` (N, time) at step `step`; a pure function.

        Raises:
            DivergedError: an energy is not finite.
        """
        broken = ~torch.isfinite(paths).all(-1)
        if not broken.any():
            energies = self.energy(paths)
            broken = ~torch.isfinite(energies).all(-1)
        if broken.any():
            particle = int(broken.nonzero()[0])
            raise DivergedError(
                f"{{path}} has an infinite or NaN energy at step {step} with step_size {self.step_size:g};"
                " expected finite energies all the way. Use a smaller step size.",
                step=step,
                particle=particle,
            )
        target = self.target.mean.to(paths)
        members = self.members(len(paths))
        mismatch = energies - target
        if members > 1:
            grouped = mismatch.unflatten(0, (-1, members))
            mismatch = grouped.mean(1, keepdim=True).expand_as(grouped).flatten(0, 1)
        loss = 0.5 * mismatch.square().sum(-1) / target.square().sum()
        return State(step, paths, energies, mismatch, loss)

    def update(self, state: State) -> Tensor:
        """Return the paths (N, time) one step after `state`: x − γ J_Φᵀ(x) · mismatch; a pure function.

        Raises:
            StuckError: every entry of an ensemble would leave the support.
        """
        move = self.move(state)
        wanted = state.energies - state.mismatch
        for _ in range(self.inner_steps - 1):
            residual = self.energy(move.paths) - wanted
            force = self.energy.gradient(move.paths, self.rate * residual)
            move = self.support.keep_inside(move.paths, move.paths - force)
        return move.paths

    def move(self, state: State, force: Tensor | None = None) -> Move:
        """Return the first inner step from `state`, and the entries that it moved (App. B); a pure function.

        Args:
            state: where the paths stand.
            force: γ J_Φᵀ(x) · mismatch, (N, time), by a caller who has it already.

        Raises:
            StuckError: every entry of an ensemble would leave the support.
        """
        if force is None:
            force = self.energy.gradient(state.paths, self.rate * state.mismatch)
        move = self.support.keep_inside(state.paths, state.paths - force)
        if move.moved is not None:
            self._check_not_stuck(move.moved, state.step)
        return move

    def _check_not_stuck(self, moved: Tensor, step: int) -> None:
        members = self.members(len(moved))
        stuck = ~moved.unflatten(0, (-1, members)).flatten(1).any(-1)
        if not stuck.any():
            return
        first = int(stuck.nonzero()[0]) * members
        who = "{path}" if members == 1 else f"the ensemble of paths {first} to {first + members - 1}"
        raise StuckError(
            f"step {step} would take every entry of {who} out of the support with step_size {self.step_size:g};"
            " expected at least one that can move, for without it no step ever will. Use a smaller step size.",
            step=step,
            particle=first if members == 1 else None,
        )

    def steps(
        self,
        x0: Tensor,
        n_steps: int,
        update: Callable[[State], Tensor] | None = None,
        *,
        start: int = 0,
        show_progress: bool = True,
    ) -> Iterator[State]:
        """Yield the states at t = 0, 1, …, n_steps, so a caller can watch what it likes.

        Args:
            x0: starting paths (N, time), inside the support; their dtype and device are kept.
            n_steps: number of steps T.
            update: stands in for `self.update` where a caller calculates more along with it.
            start: number of steps that x0 has behind it already, where a descent goes on.
            show_progress: whether there is a bar at a terminal, where a caller has none of its own.

        Raises:
            DivergedError: an energy stopped being finite; the error names the step.
        """
        check_positive_int("n_steps", n_steps, minimum=0)
        check_finite("x0", check_paths("x0", x0, minimum_length=self.energy.minimum_length))
        if x0.ndim != 2:
            raise ValueError(f"x0 has shape {tuple(x0.shape)}; expected (paths, time). Use x0[None] for one path.")
        if len(x0) == 0:
            raise ValueError(f"x0 has shape {tuple(x0.shape)}; expected at least one path. Use x0[None] for one path.")
        if not self.support.whole_line:
            mend = "Start from `initial_distribution(process)`, or give the model another support."
            check_inside("x0", x0, self.support, "the model", mend)
        state = self.evaluate(x0, start)
        yield state
        later = range(start + 1, start + n_steps + 1)
        for step in progress(later, total=n_steps, description=type(self).__name__) if show_progress else later:
            state = self.evaluate((update or self.update)(state), step)
            yield state

    def sample(self, x0: Tensor, n_steps: int) -> Tensor:
        """Return the paths after `n_steps` steps from x0 (N, time): a tensor like x0.

        Raises:
            DivergedError: an energy stopped being finite; the error names the step.
        """
        for state in self.steps(x0, n_steps):
            last = state
        return last.paths
