"""Gradient descent of ensembles of paths by their mean energy, paper eqs. (3) and (6)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor
from torch.distributions import constraints

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_finite, check_paths, check_positive, check_positive_int, first_true, spelled_shape
from mfmgdm_lib._progress import progress
from mfmgdm_lib.descents.communicator import LOCAL, Communicator
from mfmgdm_lib.descents.constraint import Constraint, PointwiseMap
from mfmgdm_lib.energies import Concatenate, Energy
from mfmgdm_lib.energies.base import Derivatives
from mfmgdm_lib.energies.transforms import concatenated
from mfmgdm_lib.errors import DivergedError, StuckError, concerned
from mfmgdm_lib.specification import register
from mfmgdm_lib.support import REAL_LINE, Move, as_support, check_inside
from mfmgdm_lib.target import Target

__all__ = ["Descent", "Move", "State"]


@dataclass(frozen=True)
class State:
    """Where N paths stand after some steps.

    Attributes:
        step: t, the number of steps taken.
        paths: x_t, (N, time), or (N, *event_shape) where paths are no series; so everywhere below.
        energies: Φ(x_t), (N, K).
        mismatch: what drives each path, (N, K): Φ − α averaged over the path's ensemble (over itself alone in MGDM).
        loss: L = ½‖mismatch‖² / ‖α‖² for each path, (N,); equal within an ensemble.
        ends: whether the step from here is the last one, and a map of the model's takes its place.
        derivatives: those of Φ at the paths, with what its values took; None in states that are kept for long, since
            that is large.
    """

    step: int
    paths: Tensor
    energies: Tensor
    mismatch: Tensor
    loss: Tensor
    ends: bool = False
    derivatives: Derivatives | None = field(default=None, repr=False, compare=False)


@checked
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
        constraint: what each path is led to by itself, whatever its ensemble; its gradient is added to every step.
        last: a map of each value that takes the place of the last gradient step, such as `SignedPower`.

    Raises:
        ValueError: a step size that is not above 0, a target of other energies, another support, or a constraint on
            other paths or with several inner steps.
    """

    communicator: Communicator = LOCAL
    """Who knows the paths that other processes have; see `shared`."""

    def __init__(
        self,
        energy: Energy,
        target: Target,
        step_size: float,
        *,
        ensemble_size: int | None = None,
        support: constraints.Constraint = REAL_LINE,
        inner_steps: int = 1,
        constraint: Constraint | None = None,
        last: PointwiseMap | None = None,
    ) -> None:
        if target.labels != energy.labels:
            raise ValueError(
                f"target has the energies {target.labels}; expected those of {energy!r}: {energy.labels}."
                " Estimate the target with the same energy."
            )
        self.energy = energy
        self.target = target
        self.step_size = check_positive("step_size", step_size)
        self._square = float(target.mean.square().sum())  # ‖α‖², which every step takes
        self.ensemble_size = None if ensemble_size is None else check_positive_int("ensemble_size", ensemble_size)
        self.support = as_support(support)
        self.inner_steps = check_positive_int("inner_steps", inner_steps)
        self.constraint, self.last = constraint, last
        if constraint is not None and self.inner_steps > 1:
            raise ValueError(
                f"inner_steps is {self.inner_steps} with a constraint; expected 1, for the inner problem knows none."
                " Use inner_steps=1."
            )
        _ = self.driving  # says whether the constraint is one on the same paths

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.energy!r}, step_size={self.step_size:g})"

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """Shape of a path, that of the energy."""
        return self.energy.event_shape

    @property
    def rate(self) -> float:
        """γ of eqs. (3) and (6): s / ‖α‖²."""
        return self.step_size / self._square

    @property
    def driving(self) -> Energy:
        """The energies whose gradients make a step: Φ, and after it the potential of a constraint if there is one."""
        return self.energy if self.constraint is None else Concatenate(self.energy, self.constraint.potential)

    def weights(self, state: State) -> Tensor:
        """Weights of those gradients for each path, (N, K) or (N, K + 1): γ times the mismatch, and γ_c."""
        weights = self.rate * state.mismatch
        if self.constraint is None:
            return weights
        return torch.cat([weights, weights.new_full((len(weights), 1), self.constraint.rate)], dim=-1)

    def shared(self, communicator: Communicator, n_paths: int) -> Self:
        r"""The same descent for this process's own paths, where other processes have the rest of the ensemble.

        What an MF–MGDM step needs of the other paths is the mean mismatch, and what its determinant needs of them is
        the capacitance matrix (see `log_determinant`):

        .. math:: \bar r = \frac1N \sum_{\text{processes}} \sum_{n} (\Phi(x^{(n)}) - \alpha), \qquad
                  C = I_K - \frac{\gamma}{N} \sum_{\text{processes}} \sum_{n} J_n A_n^{-1} J_n^\top .

        So a step sends K numbers, and K² + 1 more where the determinant is wanted: the matrix, and how many eigenvalues
        of blocks are not above 0. On the half-line one more says whether any entry moved. In MGDM nothing is sent.

        Args:
            communicator: adds up over the processes.
            n_paths: paths N in all processes.

        Raises:
            ValueError: ensembles of another size than 1 or N.
        """
        if self.ensemble_size not in (None, 1, n_paths):
            raise ValueError(
                f"the model has ensemble_size={self.ensemble_size} for {n_paths} paths; expected 1, or None for one"
                " ensemble of all. Use several runs for several ensembles: they have nothing to tell each other."
            )
        part = copy.copy(self)
        part.communicator, part.ensemble_size = communicator, 1 if self.ensemble_size == 1 else None
        return part

    @property
    def ensemble(self) -> Communicator:
        """Adds up over an ensemble: the communicator where all paths are in one, and nobody but this process else."""
        return self.communicator if self.ensemble_size is None else LOCAL

    def members(self, n_paths: int) -> int:
        """Number of paths in each ensemble when there are `n_paths` in this process."""
        check_positive_int("n_paths", n_paths)
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
        check_paths("paths", paths)
        if paths.ndim < 2 or not len(paths):
            raise ValueError(f"paths has shape {tuple(paths.shape)}; expected (N, time). Use paths[None] for one path.")
        finite = torch.isfinite(paths.flatten(1).sum(-1))  # quicker than to look at each entry
        if not finite.all():
            finite = torch.isfinite(paths).flatten(1).all(-1)
        if finite.all():
            energies, derivatives = self.energy.evaluate(paths)
            finite = torch.isfinite(energies).all(-1)
        else:
            energies, derivatives = paths.new_full((len(paths), self.energy.dim), torch.nan), None
        target = self.target.mean.to(paths)
        mismatch, members = energies - target, self.members(len(paths))
        if members > 1 or self.ensemble.count > 1:  # what is not finite here, other processes see in the mean
            grouped = mismatch.unflatten(0, (-1, members))
            mismatch = self.ensemble.mean(grouped).expand_as(grouped).flatten(0, 1)
        broken = first_true(~finite)
        if broken is not None or (self.ensemble.count > 1 and not torch.isfinite(mismatch[0]).all()):
            who = "a path of another process" if broken is None else "{path}"
            raise DivergedError(
                f"{who} has an infinite or NaN energy at step {step} with step_size {self.step_size:g};"
                " expected finite energies all the way. Use a smaller step size.",
                step=step,
                particle=None if broken is None else self.communicator.first + broken,
            )
        loss = 0.5 * mismatch.square().sum(-1) / target.square().sum()
        return State(step, paths, energies, mismatch, loss, derivatives=derivatives)

    def derivatives(self, state: State) -> Derivatives:
        """Return those of the driving energies at the paths of a state, with what it has for them if that still holds.

        It does not where paths have been changed in place, and where it is of another energy.
        """
        own, paths, driving = state.derivatives, state.paths, self.driving
        if own is None or not own.serve(self.energy, paths):
            return driving.derivatives(paths)
        if self.constraint is None:
            return own
        return concatenated(driving, paths, [own, self.constraint.potential.derivatives(paths)])

    def update(self, state: State) -> Tensor:
        """Return the paths (N, time) one step after `state`: x − γ J_Φᵀ(x) · mismatch; a pure function.

        Raises:
            StuckError: every entry of an ensemble would leave the support.
        """
        move = self.move(state)
        wanted = state.energies - state.mismatch
        for _ in range(0 if state.ends else self.inner_steps - 1):
            residual = self.energy(move.paths) - wanted
            force = self.energy.gradient(move.paths, self.rate * residual)
            move = self.support.keep_inside(move.paths, move.paths - force)
        return move.paths

    def move(self, state: State, force: Tensor | None = None) -> Move:
        """Return the first inner step from `state`, and the entries that it moved (App. B); a pure function.

        Args:
            state: where the paths stand.
            force: γ J_Φᵀ(x) · mismatch and that of a constraint, (N, time), by a caller who has it already.

        Raises:
            StuckError: every entry of an ensemble would leave the support.
        """
        if state.ends and self.last is not None:
            return self.support.keep_inside(state.paths, self.last(state.paths))
        if force is not None and check_paths("force", force).shape != state.paths.shape:
            raise ValueError(
                f"force has shape {tuple(force.shape)}; expected {tuple(state.paths.shape)}, that of the paths. Leave"
                " it out to have it computed."
            )
        if force is None:
            force = self.derivatives(state).gradient(self.weights(state))
        move = self.support.keep_inside(state.paths, state.paths - force)
        if move.moved is not None or (self.ensemble.count > 1 and not self.support.whole_line):
            self._check_not_stuck(move, state.step)
        return move

    def _check_not_stuck(self, move: Move, step: int) -> None:
        own = self.members(len(move.paths))
        moved = torch.ones_like(move.paths, dtype=torch.bool) if move.moved is None else move.moved
        moving = moved.unflatten(0, (-1, own)).flatten(1).any(-1)
        stuck = first_true(self.ensemble.sum(moving.double()) == 0.0)
        if stuck is None:
            return
        members = self.ensemble.size(own)
        first = stuck * members + (self.communicator.first if self.ensemble is LOCAL else 0)
        who, particle = concerned(first, members)
        raise StuckError(
            f"step {step} would take every entry of {who} out of the support with step_size {self.step_size:g};"
            " expected at least one that can move, for without it no step ever will. Use a smaller step size.",
            step=step,
            particle=particle,
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
        if x0.ndim != 1 + self.energy.event_ndim or len(x0) == 0:
            expected = f"(paths, {spelled_shape(self.event_shape)}) with at least one path"
            raise ValueError(f"x0 has shape {tuple(x0.shape)}; expected {expected}. Use x0[None] for one path.")
        if not self.support.whole_line:
            mend = "Start from `initial_distribution(process)`, or give the model another support."
            check_inside("x0", x0, self.support, "the model", mend)
        end = start + n_steps

        def evaluated(paths: Tensor, step: int) -> State:
            state = self.evaluate(paths, step)
            return replace(state, ends=True) if self.last is not None and step == end - 1 else state

        # States that are yielded may be kept, and what derivatives keep is large: that is for the next step alone.
        state, derivatives = _parted(evaluated(x0, start))
        yield state
        later = range(start + 1, end + 1)
        for step in progress(later, total=n_steps, description=type(self).__name__) if show_progress else later:
            paths = (update or self.update)(replace(state, derivatives=derivatives))
            derivatives = None  # before there are the next ones
            state, derivatives = _parted(evaluated(paths, step))
            yield state

    def sample(self, x0: Tensor, n_steps: int) -> Tensor:
        """Return the paths after `n_steps` steps from x0 (N, time): a tensor like x0.

        Raises:
            DivergedError: an energy stopped being finite; the error names the step.
        """
        for state in self.steps(x0, n_steps):
            last = state
        return last.paths


def _parted(state: State) -> tuple[State, Derivatives | None]:
    """A state without its derivatives, and these."""
    return replace(state, derivatives=None), state.derivatives
