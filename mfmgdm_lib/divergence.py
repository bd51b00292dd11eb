"""The ruler: entropy, log-likelihood and reverse KL divergence along a descent, with standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.distributions import constraints

from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib.descent import Descent, State
from mfmgdm_lib.errors import DescentError, NotInvertibleError
from mfmgdm_lib.jacobian import Backend, StepDeterminant, choose_backend
from mfmgdm_lib.processes.base import Process, Seed, generator

__all__ = ["DivergenceTrace", "reverse_kl_trace"]


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
        moved: share of the entries that step t moves, (T + 1,): below 1 where some would have left the support; 1 at
            the end, after which there is no step. A step that leaves entries where they are is not one-to-one: from
            there on `log_q` counts one origin of each path, and `reverse_kl` is a lower bound.
        paths: x_T, the paths where the descent ended, (N, length).
        members: paths in each ensemble.
        jacobian: the backend that calculated the determinants.
    """

    log_q: np.ndarray
    log_p: np.ndarray
    loss: np.ndarray
    mean_energy: np.ndarray
    determinant_error: np.ndarray
    moved: np.ndarray
    paths: Tensor
    members: int
    jacobian: str

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
        the spread over independent ensembles.
        """
        return np.asarray((self.log_q - self.log_p).std(-1, ddof=1) / math.sqrt(self.log_q.shape[-1]))

    @property
    def best_step(self) -> int:
        """The step at which `reverse_kl` is smallest."""
        return int(self.reverse_kl.argmin())


def reverse_kl_trace(
    model: Descent,
    process: Process,
    initial: Process,
    *,
    n_steps: int,
    n_particles: int = 128,
    length: int | None = None,
    seed: Seed,
    jacobian: str | Backend = "auto",
) -> DivergenceTrace:
    r"""Follow the reverse KL divergence of a model's law from a process through a descent (Section 3.2).

    .. math:: \log q_T(x_T) = \log q_0(x_0) - \sum_{t<T} \log |\det J_g(x_t)|, \qquad
              \mathrm{KL}(q_T \| p) = \mathbb E[\log q_T(X) - \log p(X)]

    Args:
        model: the descent, `MGDM` or `MFMGDM`, with the support of the process and one inner step.
        process: the law p.
        initial: the law q_0 of the starting paths.
        n_steps: number of steps T.
        n_particles: number of paths N, at least 2.
        length: points d of each path; None for the length that the energy is made for, or the paper's 1024.
        seed: whatever `numpy.random.default_rng` takes; the paper's is (2, 12345). Random probes come after the
            starting paths from the same generator.
        jacobian: backend of the determinants: "auto", "structured", "dense", "stochastic", or a `Stochastic` with
            settings of its own.

    Returns:
        The trace; its arrays have one entry for each of t = 0 … n_steps.

    Raises:
        NotInvertibleError: a step whose Jacobian is not positive definite. Its `trace` holds what came before.
        StuckError: a step would take every entry of an ensemble out of the support.
        DivergedError: an energy stopped being finite. Its `trace` holds what came before.
        ValueError: a model or a start whose support is not that of the process, or several inner steps.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, seed=(3, 12345))
        >>> initial = mm.initial_distribution(process)
        >>> model = mm.MGDM(energy, target, step_size=10.0)
        >>> trace = mm.reverse_kl_trace(model, process, initial, n_steps=40, seed=(2, 12345))
        >>> trace.best_step, round(float(trace.reverse_kl.min()), 2), trace.jacobian
        (36, 2.76, 'structured')
    """
    check_positive_int("n_particles", n_particles, minimum=2)
    check_positive_int("n_steps", n_steps, minimum=0)
    length = model.energy.path_length(length)
    backend = choose_backend(model, jacobian, length=length)
    _check_supports(model, process, initial)
    rng = generator(seed)
    x0 = initial.sample(n_particles, length, rng)
    log_q, variance = initial.log_prob(x0), 0.0
    # Arrays made beforehand: small ones left behind by every step would keep the large ones' memory from being reused.
    shapes = ((n_particles,), (n_particles,), (), (model.energy.dim,), ())
    records = [np.empty((n_steps + 1, *shape)) for shape in shapes]
    moved = np.ones(n_steps + 1)

    def update(state: State) -> Tensor:
        nonlocal log_q, variance
        move, determinant = backend.step(model, state, None if seed is None else rng)
        _check_invertible(determinant, state, model)
        log_q = log_q - determinant.per_path
        variance += determinant.mean_error**2
        if move.moved is not None:
            moved[state.step] = float(move.moved.double().mean())
        return move.paths

    state = None
    try:
        for state in model.steps(x0, n_steps, update):
            values = (log_q, process.log_prob(state.paths), state.loss.mean(), state.energies.mean(0))
            for record, value in zip(records, values, strict=False):
                record[state.step] = value.cpu()
            records[-1][state.step] = math.sqrt(variance)
    except DescentError as error:
        error.trace = _collect(records, moved, state, model, backend) if state is not None else None
        raise
    assert state is not None  # `steps` yields at least the start
    return _collect(records, moved, state, model, backend)


def _collect(
    records: list[np.ndarray], moved: np.ndarray, state: State, model: Descent, backend: Backend
) -> DivergenceTrace:
    log_q, log_p, loss, energies, error, moved = (record[: state.step + 1] for record in (*records, moved))
    members = model.members(len(state.paths))
    return DivergenceTrace(log_q, log_p, loss, energies, error, moved, state.paths, members, backend.name)


def _check_supports(model: Descent, process: Process, initial: Process) -> None:
    if process.support is constraints.real or model.support is process.support is initial.support:
        return
    raise ValueError(
        f"{process!r} lives on {process.support}, the model on {model.support} and the start on {initial.support};"
        " expected the same for all three. Pass support=process.support to the model, and start from"
        " initial_distribution(process)."
    )


def _check_invertible(determinant: StepDeterminant, state: State, model: Descent) -> None:
    if not determinant.non_positive.any():
        return
    ensemble = int(determinant.non_positive.nonzero()[0])
    members = model.members(len(state.paths))
    who = (
        f"path {ensemble}"
        if members == 1
        else f"the ensemble of paths {ensemble * members} to {(ensemble + 1) * members - 1}"
    )
    raise NotInvertibleError(
        f"the Jacobian of step {state.step} has {int(determinant.non_positive[ensemble])} eigenvalues at or below 0"
        f" for {who} with step_size {model.step_size:g}; expected all above 0, so that the step can be inverted."
        " Use a smaller step size.",
        step=state.step,
        particle=ensemble if members == 1 else None,
    )
