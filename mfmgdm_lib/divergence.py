"""Entropy, log-likelihood and reverse KL divergence along a descent, with standard errors."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import as_shape, check_device, check_positive_int
from mfmgdm_lib._deprecated import renamed
from mfmgdm_lib._progress import progress
from mfmgdm_lib.descents.descent import Descent, State
from mfmgdm_lib.log_determinants import Backend, Determinants, choose_backend
from mfmgdm_lib.log_determinants.quadrature import integrate, quadrature_error
from mfmgdm_lib.log_determinants.stepping import DeterminantSteps
from mfmgdm_lib.processes.base import Process, Seed, Size, generator
from mfmgdm_lib.runs.run import Run, descent_states, new_records
from mfmgdm_lib.support import as_support

__all__ = ["DivergenceTrace", "divergence_run", "reverse_kl_trace"]


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
    result: str = "completed"
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


@checked
@renamed({"determinants": Determinants}, **_FORMER)
def divergence_run(
    model: Descent,
    process: Process,
    start: Process,
    *,
    n_steps: int,
    n_paths: int = 128,
    length: Size | None = None,
    seed: Seed,
    determinants: str | Backend | Determinants = "auto",
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    observe: Mapping[str, Observer] | None = None,
    throw: bool = True,
) -> Run[DivergenceTrace]:
    """Begin a divergence trace that can be watched, stopped at any step and continued later.

    It takes the arguments of `reverse_kl_trace`, which is a run from start to end. The `summary` of the run is the
    trace up to its present step, its `value` the present divergence, nats per path; between determinants a rough one.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, seed=1)
        >>> model, start = mm.MFMGDM(energy, target, step_size=10.0), mm.initial_distribution(process)
        >>> def begin():
        ...     return divergence_run(model, process, start, n_steps=6, n_paths=4, seed=2)
        >>> run = begin()
        >>> for step in run.steps():
        ...     if step == 3:
        ...         stopped = run.checkpoint()
        >>> again = begin()
        >>> again.restore(stopped)
        >>> list(again.steps())
        [3, 4, 5, 6]
        >>> bool((again.summary().log_q == run.summary().log_q).all())
        True
    """
    check_positive_int("n_paths", n_paths, minimum=2)
    check_positive_int("n_steps", n_steps, minimum=0)
    length = model.energy.path_length(length, process, start)
    points, device = math.prod(as_shape("length", length)), check_device("device", device)
    wanted = Determinants.of(determinants)
    choose_backend(model, wanted, length=points)  # says what is wrong with it before anything is drawn
    _check_supports(model, process, start)
    rng = generator(seed)
    paths = start.sample(n_paths, length, rng).to(device, dtype)
    entropy = None if seed is None else rng.integers(2**32, size=4).tolist()
    log_q0 = start.log_prob(paths.double()).cpu().numpy()
    steps = DeterminantSteps(model, wanted, n_steps=n_steps, n_paths=n_paths, length=points, entropy=entropy)
    observers: dict[str, Observer] = {"log_p": process.log_prob, **(observe or {})}
    shapes = {**dict.fromkeys(observers, (n_paths,)), "loss": (), "mean_energy": (model.energy.dim,)}

    def observed(state: State) -> dict[str, Tensor]:
        doubled = state.paths.double()
        values = {name: observer(doubled) for name, observer in observers.items()}
        return values | {"loss": state.loss.mean(), "mean_energy": state.energies.mean(0)}

    def value(run: Run[DivergenceTrace]) -> float:
        change = run.records["mean_log_determinant"][: run.step].sum()
        return float((log_q0 - run.records["log_p"][run.step]).mean() - change)

    return Run(
        descent_states(model, n_steps, steps.update),
        paths,
        n_steps,
        records={**steps.records, **new_records(shapes, n_steps)},
        observe=observed,
        summary=lambda run: _trace(run, log_q0, steps, model.members(n_paths), list(observers)[1:]),
        value=value,
        title=type(model).__name__,
        throw=throw,
    )


def _trace(
    run: Run[DivergenceTrace], log_q0: np.ndarray, steps: DeterminantSteps, members: int, observed: Sequence[str]
) -> DivergenceTrace:
    """What a run knows at its present step."""
    records = run.written()
    logs, errors = records["log_determinant"][:-1], records["determinant_error"][:-1]
    nodes = steps.nodes[steps.nodes < run.step]
    changes, error = integrate(logs, errors, nodes)
    return DivergenceTrace(
        log_q=log_q0 - changes,
        determinant_error=error,
        quadrature_error=quadrature_error(logs, nodes),
        observed={name: records[name] for name in observed},
        paths=run.paths,
        members=members,
        determinants=steps.name,
        result=run.stopped.outcome if run.stopped else "completed",
        message=str(run.stopped or ""),
        step=run.stopped.step if run.stopped else run.step,
        **{name: records[name] for name in ("log_p", "loss", "mean_energy", "moved", "folded")},
    )


P = ParamSpec("P")
T = TypeVar("T")


def _with_arguments_of(other: Callable[P, object]) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """Tell type checkers and `inspect` that a function takes the arguments of another one."""

    def decorate(function: Any) -> Any:
        returned = inspect.signature(function).return_annotation
        function.__signature__ = inspect.signature(other).replace(return_annotation=returned)
        return function

    return decorate


@checked
@renamed({"determinants": Determinants}, **_FORMER)
@_with_arguments_of(divergence_run)
def reverse_kl_trace(*args: Any, **options: Any) -> DivergenceTrace:  # noqa: D417 -- those of the run
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
            starting paths from the same generator, and belong to a step, wherever a run was resumed.
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
    run = divergence_run(*args, **options)
    bar = progress(run.steps(), total=run.n_steps + 1, description=run.title)
    for _ in bar:
        if bar.disable:
            continue
        bar.set_postfix_str(f"KL {run.value():.2f} nats", refresh=False)
    return run.summary()


def _check_supports(model: Descent, process: Process, start: Process) -> None:
    support = as_support(process.support)
    if support.whole_line or model.support == support == as_support(start.support):
        return
    raise ValueError(
        f"{process!r} lives on {process.support}, the model on {model.support} and the start on {start.support};"
        " expected the same for all three. Pass support=process.support to the model, and start from"
        " initial_distribution(process)."
    )
