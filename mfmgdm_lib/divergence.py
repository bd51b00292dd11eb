"""Entropy, log-likelihood and reverse KL divergence along a descent, with standard errors."""

from __future__ import annotations

import functools
import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib._deprecated import renamed
from mfmgdm_lib._progress import progress
from mfmgdm_lib.descents.descent import Descent, State
from mfmgdm_lib.errors import DescentError, DivergedError, NotInvertibleError, StuckError
from mfmgdm_lib.log_determinants import Backend, Determinants, ProbingBackend, StepDeterminant, choose_backend
from mfmgdm_lib.log_determinants.quadrature import integrate, quadrature_error, quadrature_nodes
from mfmgdm_lib.processes.base import Process, Seed, generator
from mfmgdm_lib.support import as_support

__all__ = ["DivergenceRun", "DivergenceTrace", "reverse_kl_trace"]


Outcome = Literal["completed", "diverged", "not invertible", "stuck"]
"""How a descent ended."""

_OUTCOMES: dict[type[DescentError], Outcome] = {
    DivergedError: "diverged",
    NotInvertibleError: "not invertible",
    StuckError: "stuck",
}


@dataclass(frozen=True)
class DivergenceTrace:
    """What is known of the law q_t of a descent at t = 0, 1, …, T, from N sampled paths.

    Attributes:
        log_q: log q_t of each path at its place x_t, nats, (T + 1, N). An ensemble's log-density is shared
            out evenly where it is joint, so a mean over paths is the ensemble's value divided by its size.
        log_p: log-likelihood of each path under the process, nats, (T + 1, N).
        loss: mean over ensembles of L = ½‖Φ̄ − α‖² / ‖α‖², (T + 1,).
        mean_energy: energies averaged over all paths, (T + 1, K).
        determinant_error: standard error of `reverse_kl` that comes from estimating determinants, nats, (T + 1,); 0 for
            an exact backend. Where every path has probes of its own it is a part of `standard_error`, not added to it.
        quadrature_error: estimate of the error of `reverse_kl`, nats, (T + 1,), that comes from determinants of some of
            the steps only; 0 where all were calculated.
        moved: share of the entries that step t moves, (T + 1,): below 1 where some would have left the support; 1 at
            the end, after which there is no step. A step that leaves entries where they are is not one-to-one: from
            there on `log_q` counts one origin of each path, and `reverse_kl` is a lower bound.
        folded: share of the ensembles whose Jacobian has an eigenvalue that is not above 0 at step t, (T + 1,): with
            `Determinants(on_fold="record")` only. Such a step folds space, and `reverse_kl` is a lower bound from
            there on, too.
        paths: x_T, the paths where the descent ended, (N, length).
        members: paths in each ensemble.
        determinants: name of the backend that calculated them.
        observed: what `observe` asked for, by name, (T + 1, N) each.
        result: "completed", "diverged" (an energy stopped being finite), "not invertible" (a step's Jacobian is not
            positive definite) or "stuck" (a step would take every entry of an ensemble out of the support).
        message: what happened, in words; empty where the descent completed.
        step: the step at which it stopped; T is that step, but the one before where it diverged. A descent that
            diverges at step 0 has a single row, of NaN.
    """

    log_q: np.ndarray
    log_p: np.ndarray
    loss: np.ndarray
    mean_energy: np.ndarray
    determinant_error: np.ndarray
    quadrature_error: np.ndarray
    moved: np.ndarray
    folded: np.ndarray
    paths: Tensor
    members: int
    determinants: str
    observed: Mapping[str, np.ndarray] = field(default_factory=dict)
    result: Outcome = "completed"
    message: str = ""
    step: int = 0

    @property
    def jacobian(self) -> str:
        """Former name of `determinants`."""
        warnings.warn("DivergenceTrace.jacobian is now determinants", DeprecationWarning, stacklevel=2)
        return self.determinants

    @property
    def entropy(self) -> np.ndarray:
        """Estimate of H(q_t) for each path, nats, (T + 1,)."""
        return np.asarray(-self.log_q.mean(-1))

    @property
    def log_likelihood(self) -> np.ndarray:
        """Estimate of E_q[log p(X)] for each path, nats, (T + 1,)."""
        return np.asarray(self.log_p.mean(-1))

    @property
    def reverse_kl(self) -> np.ndarray:
        """Estimate of KL(q_t ‖ p) for each path, nats, (T + 1,): −entropy − log_likelihood."""
        return np.asarray((self.log_q - self.log_p).mean(-1))

    @property
    def standard_error(self) -> np.ndarray:
        """Standard error of `reverse_kl`, nats, (T + 1,), from the spread of the N paths.

        It treats paths as independent. Those of a coupled ensemble are not quite: the notebooks compare it with
        the spread over independent ensembles. Where a path has a density of 0 it is NaN.
        """
        with np.errstate(invalid="ignore"):
            return np.asarray((self.log_q - self.log_p).std(-1, ddof=1) / math.sqrt(self.log_q.shape[-1]))

    @property
    def best_step(self) -> int:
        """The step at which `reverse_kl` is smallest."""
        return int(self.reverse_kl.argmin())


_MAX_PROBES = 16
"""Probes for a step at most, however rough they are."""

_SMOOTHING = 1 / 8
"""Weight of the latest step in the running variance that probes are chosen by: one step alone knows its own roughly."""

Observer = Callable[[Tensor], Tensor]
"""Something worth knowing of each path: a function from paths (N, length) to (N,)."""


_FORMER = {
    "initial": "start",
    "n_particles": "n_paths",
    "jacobian": "determinants.backend",
    "step_error": "determinants.step_error",
    "determinant_every": "determinants.every",
    "on_fold": "determinants.on_fold",
}
"""Arguments of release 0.1, and what they are called now."""


class DivergenceRun:
    """A divergence trace in the making: it can be watched, put down at any step and taken up again later.

    It takes the arguments of `reverse_kl_trace`, which is a run from start to end. `checkpoint` returns all it needs to
    go on; given them by `restore`, another run with the same arguments ends with the same bits.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, seed=1)
        >>> model, start = mm.MFMGDM(energy, target, step_size=10.0), mm.initial_distribution(process)
        >>> def begin():
        ...     return DivergenceRun(model, process, start, n_steps=6, n_paths=4, seed=2)
        >>> run = begin()
        >>> for step in run.steps():
        ...     if step == 3:
        ...         put_down = run.checkpoint()
        >>> again = begin()
        >>> again.restore(put_down)
        >>> list(again.steps())
        [3, 4, 5, 6]
        >>> bool((again.trace().log_q == run.trace().log_q).all())
        True
    """

    @renamed({"determinants": Determinants}, **_FORMER)
    def __init__(
        self,
        model: Descent,
        process: Process,
        start: Process,
        *,
        n_steps: int,
        n_paths: int = 128,
        length: int | None = None,
        seed: Seed,
        determinants: str | Backend | Determinants = "auto",
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        observe: Mapping[str, Observer] | None = None,
        throw: bool = True,
    ) -> None:
        check_positive_int("n_paths", n_paths, minimum=2)
        self.n_steps = check_positive_int("n_steps", n_steps, minimum=0)
        length = model.energy.path_length(length)
        self._determinants = Determinants.of(determinants)
        self._backend = choose_backend(model, determinants, length=length)
        _check_supports(model, process, start)
        self.model, self._throw = model, throw
        self._stopped: DescentError | None = None
        rng = generator(seed)
        self._paths = start.sample(n_paths, length, rng).to(device, dtype)
        self._entropy = None if seed is None else rng.integers(2**32, size=4).tolist()
        self._start, self.step = start.log_prob(self._paths.double()).cpu().numpy(), 0
        self._nodes = quadrature_nodes(n_steps, self._determinants.every)
        self._observers: dict[str, Observer] = {"log_p": process.log_prob, **(observe or {})}
        # Made beforehand: small arrays left behind by every step would keep the large ones' memory from being reused.
        each = dict.fromkeys(["log_determinant", *self._observers], (n_paths,))
        shapes = {**each, "determinant_error": (), "loss": (), "mean_energy": (model.energy.dim,)}
        self._records = {name: np.full((n_steps + 1, *shape), np.nan) for name, shape in shapes.items()}
        self._records |= {"moved": np.ones(n_steps + 1), "folded": np.zeros(n_steps + 1)}
        self._running, self._latest = 0.0, 0.0  # sum of the mean log-determinants so far, and the last of them
        self._variance = math.nan  # of a step's mean log-determinant from a single probe, averaged over the last steps

    def steps(self) -> Iterator[int]:
        """Go on to the last step, and yield each t from the present one on, when all about x_t has been written down.

        Raises:
            DescentError: one of those that `reverse_kl_trace` names, unless `throw` is false.
        """
        left = self.n_steps - self.step
        try:
            for state in self.model.steps(self._paths, left, self._update, start=self.step, show_progress=False):
                self._write_down(state)
                yield state.step
        except DescentError as error:
            self._stopped = error
            if self._throw:
                raise

    @property
    def reverse_kl(self) -> float:
        """Estimate of KL(q_t ‖ p) for each path at the present step, nats; between determinants a rough one."""
        return float((self._start - self._records["log_p"][self.step]).mean() - self._running)

    def trace(self) -> DivergenceTrace:
        """What is known up to the present step."""
        records = {name: record[: self.step + 1] for name, record in self._records.items()}
        logs, errors = records.pop("log_determinant")[:-1], records.pop("determinant_error")[:-1]
        nodes = self._nodes[self._nodes < self.step]
        rest = {name: records.pop(name) for name in self._observers if name != "log_p"}
        changes, error = integrate(logs, errors, nodes)
        log_q = self._start - changes
        return DivergenceTrace(
            log_q=log_q,
            determinant_error=error,
            quadrature_error=quadrature_error(logs, nodes),
            observed=rest,
            paths=self._paths,
            members=self.model.members(len(self._paths)),
            determinants=self._backend.name,
            result=_OUTCOMES[type(self._stopped)] if self._stopped else "completed",
            message=str(self._stopped or ""),
            step=self._stopped.step if self._stopped else self.step,
            **records,
        )

    def checkpoint(self) -> dict[str, np.ndarray]:
        """All that `restore` needs, as arrays of numbers."""
        records = {name: record[: self.step + 1] for name, record in self._records.items()}
        running = np.array([self._running, self._latest, self._variance])
        return {**records, "paths": self._paths.cpu().numpy(), "running": running}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go back to where `checkpoint` was called, in this run or another one with the same arguments.

        Raises:
            ValueError: a checkpoint of a run with other arguments, as far as its shapes and names tell.
        """
        expected = {name: record.shape[1:] for name, record in self._records.items()}
        found = {name: array.shape[1:] for name, array in arrays.items() if name in expected}
        steps = len(arrays.get("loss", ())) - 1
        same = found == expected and {"paths", "running"} <= set(arrays) and arrays["paths"].shape == self._paths.shape
        if not same or not 0 <= steps <= self.n_steps:
            raise ValueError(
                f"the checkpoint has {steps} steps and {found}; expected at most {self.n_steps} and {expected}."
                " Restore it into a run with the arguments of the one it was made by."
            )
        for name, record in self._records.items():
            record[: steps + 1] = arrays[name]
        self._paths = torch.from_numpy(arrays["paths"]).to(self._paths)
        self.step, (self._running, self._latest, self._variance) = steps, arrays["running"].tolist()
        self._choose_probes()

    def _update(self, state: State) -> Tensor:
        if self._nodes[np.searchsorted(self._nodes, state.step)] != state.step:
            move = self.model.move(state)
        else:
            # A generator for each step: what it draws does not hang on where the run was taken up.
            rng = None if self._entropy is None else np.random.default_rng([*self._entropy, state.step])
            move, determinant = self._backend.step(self.model, state, rng)
            self._learn_variance(determinant)
            self._choose_probes()
            folded = determinant.non_positive > 0
            if folded.any() and self._determinants.on_fold == "raise":
                raise _not_invertible(determinant, state, self.model)
            self._records["folded"][state.step] = float(folded.double().mean())
            self._records["log_determinant"][state.step] = determinant.per_path.cpu()
            self._records["determinant_error"][state.step] = determinant.mean_error
            self._latest = float(determinant.per_path.mean())
        if move.moved is not None:
            self._records["moved"][state.step] = float(move.moved.double().mean())
        self._running += self._latest
        return move.paths

    def _learn_variance(self, determinant: StepDeterminant) -> None:
        errors = determinant.blocks_error
        probes = self._backend.probes if isinstance(self._backend, ProbingBackend) else 1
        latest = float(errors.square().sum()) / len(errors) ** 2 * probes
        before = latest if math.isnan(self._variance) else self._variance
        self._variance = before + _SMOOTHING * (latest - before)

    def _choose_probes(self) -> None:
        """Send as many probes at the next step as the last ones would have needed."""
        wanted = self._determinants.step_error
        if wanted is not None and isinstance(self._backend, ProbingBackend) and not math.isnan(self._variance):
            probes = min(max(1, math.ceil(self._variance / wanted**2)), _MAX_PROBES)
            self._backend = self._backend.with_probes(probes)

    def _write_down(self, state: State) -> None:
        self.step, self._paths = state.step, state.paths
        paths = state.paths.double()
        values = {name: observer(paths) for name, observer in self._observers.items()}
        values |= {"loss": state.loss.mean(), "mean_energy": state.energies.mean(0)}
        for name, value in values.items():
            self._records[name][state.step] = value.cpu()


P = ParamSpec("P")
T = TypeVar("T")


def _begun_by(begin: Callable[P, DivergenceRun]) -> Callable[[Callable[[DivergenceRun], T]], Callable[P, T]]:
    """Let a function of a run take the arguments that the run begins with."""

    def decorate(finish: Callable[[DivergenceRun], T]) -> Callable[P, T]:
        @renamed({"determinants": Determinants}, **_FORMER)
        @functools.wraps(finish)
        def whole(*args: P.args, **options: P.kwargs) -> T:
            return finish(begin(*args, **options))

        returned = inspect.signature(finish).return_annotation
        whole.__signature__ = inspect.signature(begin).replace(return_annotation=returned)  # type: ignore[attr-defined]
        return whole

    return decorate


@_begun_by(DivergenceRun)
def reverse_kl_trace(run: DivergenceRun) -> DivergenceTrace:  # noqa: D417 -- those of the run stand for it
    r"""Follow the reverse KL divergence of a model's law from a process through a descent (Section 3.2).

    .. math:: \log q_T(x_T) = \log q_0(x_0) - \sum_{t<T} \log |\det J_g(x_t)|, \qquad
              \mathrm{KL}(q_T \| p) = \mathbb E[\log q_T(X) - \log p(X)]

    Args:
        model: the descent, `MGDM` or `MFMGDM`, with the support of the process and one inner step.
        process: the law p.
        start: the law q_0 of the starting paths.
        n_steps: number of steps T.
        n_paths: number of paths N, at least 2.
        length: points d of each path; None for the length that the energy is made for, or the paper's 1024.
        seed: whatever `numpy.random.default_rng` takes; the paper's is (2, 12345). Random probes come after the
            starting paths from the same generator, and belong to a step, wherever a run was taken up.
        determinants: the name of a backend, "auto", "banded", "dense" or "stochastic"; a backend; or a `Determinants`.
        dtype: of the paths; all sums and likelihoods are in float64 whatever it is.
        device: where the paths are.
        observe: more to be written down of the paths at each step: functions from float64 paths (N, length) to
            (N,), by name.
        throw: whether a descent that cannot go on is an error; else the trace holds what came before, and its `result`
            and `message` say what happened.

    Returns:
        The trace; its arrays have one entry for each of t = 0 … n_steps.

    Raises:
        NotInvertibleError: a step whose Jacobian is not positive definite.
        StuckError: a step would take every entry of an ensemble out of the support.
        DivergedError: an energy stopped being finite.
        ValueError: a model or a start whose support is not that of the process, or several inner steps.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, seed=(3, 12345))
        >>> start = mm.initial_distribution(process)
        >>> model = mm.MGDM(energy, target, step_size=10.0)
        >>> trace = mm.reverse_kl_trace(model, process, start, n_steps=40, seed=(2, 12345))
        >>> trace.best_step, round(float(trace.reverse_kl.min()), 2), trace.determinants, trace.result
        (36, 2.76, 'banded', 'completed')
    """
    bar = progress(run.steps(), total=run.n_steps + 1, description=type(run.model).__name__)
    for _ in bar:
        bar.set_postfix_str(f"KL {run.reverse_kl:.2f} nats", refresh=False)
    return run.trace()


def _check_supports(model: Descent, process: Process, start: Process) -> None:
    support = as_support(process.support)
    if support.whole_line or model.support == support == as_support(start.support):
        return
    raise ValueError(
        f"{process!r} lives on {process.support}, the model on {model.support} and the start on {start.support};"
        " expected the same for all three. Pass support=process.support to the model, and start from"
        " initial_distribution(process)."
    )


def _not_invertible(determinant: StepDeterminant, state: State, model: Descent) -> NotInvertibleError:
    ensemble = int(determinant.non_positive.nonzero()[0])
    members = model.members(len(state.paths))
    who = "{path}" if members == 1 else f"the ensemble of paths {ensemble * members} to {(ensemble + 1) * members - 1}"
    return NotInvertibleError(
        f"the Jacobian of step {state.step} has {int(determinant.non_positive[ensemble])} eigenvalues at or below 0"
        f" for {who} with step_size {model.step_size:g}; expected all above 0, so that the step can be inverted."
        " Use a smaller step size, or pass determinants=Determinants(on_fold='record') for a lower bound.",
        step=state.step,
        particle=ensemble if members == 1 else None,
    )
