"""The change of entropy in each step of a coupled descent, in its parts, with bounds from norms and from traces."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib.descents.communicator import LOCAL
from mfmgdm_lib.descents.descent import Descent, State
from mfmgdm_lib.log_determinants import Backend, Determinants, choose_backend
from mfmgdm_lib.log_determinants.backends import flattened, step_with_determinant
from mfmgdm_lib.log_determinants.moments import StepMoments, step_moments
from mfmgdm_lib.log_determinants.stochastic import moving
from mfmgdm_lib.processes.base import Seed, generator

__all__ = ["EntropyTrace", "check_no_last", "check_not_shared", "entropy_bounds"]


@dataclass(frozen=True)
class EntropyTrace:
    """What each step of a descent does to the entropy of E ensembles, and bounds of it: nats per path, (T, E) each.

    A sum over steps and a mean over ensembles estimates the change of H(q_t) and its bounds.

    Attributes:
        steps: the steps looked at, (T,).
        blocks: mean log|det A_n| over the paths of an ensemble: what the transport of single paths does.
        capacitance: log|det C| divided by the paths of the ensemble: the price of their coupling.
        norms: bound A, from below, by the largest eigenvalues of the blocks and of the coupling; −inf where these add
            up to 1 or more.
        lower: bound B, from below, by the trace and the Frobenius norm; −inf where the largest eigenvalue may be 1 or
            more, so that the step may fold.
        upper: bound B, from above, by the trace; inf where the step may fold, for then there is none.
        at_rest: what the step would do without a mismatch, log det(I − (γ/N) Σ_n J_n J_nᵀ) / N: constant where a
            descent has come to rest.
        error: standard error of blocks + capacitance; 0 from exact backends.
        bound_error: standard error of `lower` and `upper`; 0 from exact backends.
        moved: share of the ensemble's entries that the step moves.
        folded: eigenvalues of the ensemble's Jacobian that are not above 0: where there are any, the change of entropy
            is smaller than log|det|.
        members: paths of each ensemble.
        determinants: name of the backend.
    """

    steps: np.ndarray
    blocks: np.ndarray
    capacitance: np.ndarray
    norms: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    at_rest: np.ndarray
    error: np.ndarray
    bound_error: np.ndarray
    moved: np.ndarray
    folded: np.ndarray
    members: int
    determinants: str

    @property
    def change(self) -> np.ndarray:
        """The change of entropy, blocks + capacitance, nats per path, (T, E)."""
        return np.asarray(self.blocks + self.capacitance)


@checked
def entropy_bounds(
    model: Descent,
    x0: Tensor,
    n_steps: int,
    *,
    every: int = 1,
    determinants: str | Backend | Determinants = "auto",
    seed: Seed = None,
) -> EntropyTrace:
    r"""Follow the change of entropy along a descent, with bounds that need no determinant.

    A step of N coupled paths has the Jacobian I − M with M = S + R,

    .. math:: S = \operatorname{diag}_n \gamma \sum_k \bar r_k H_k(x^{(n)}), \qquad
              R = \frac\gamma N \mathcal J^\top \mathcal J, \quad \operatorname{rank} R \le K.

    The change of entropy of each path is log det(I − M) / N. By Weyl's inequalities at most K eigenvalues of M are
    above s = λ_max(S), and none above s + λ_max(R), so (A)

    .. math:: \Delta H \ge \Bigl(d - \frac KN\Bigr) \log(1 - s) + \frac KN \log(1 - s - \lambda_{\max}(R)),

    and since μ ≤ −log(1 − μ) ≤ μ + μ² / (2(1 − λ)) for all μ ≤ λ < 1 with λ ≥ 0, (B)

    .. math:: -\frac1N \Bigl[\operatorname{tr} M + \frac{\|M\|_F^2}{2 (1 - \lambda)}\Bigr]
              \le \Delta H \le -\frac1N \operatorname{tr} M.

    The bounds are this library's own; the theorem of the paper's later versions is not known to it. Where a support
    keeps entries where they are, all of this holds for those that move.

    Args:
        model: the descent, with one inner step.
        x0: starting paths, (N, time).
        n_steps: number of steps T.
        every: distance of the steps that are looked at. Each takes a determinant and all rows of the Jacobian.
        determinants: the name of a backend, a backend, or a `Determinants`, of which only the backend counts.
        seed: for the stochastic backend, which needs one: whatever `numpy.random.default_rng` takes.

    Raises:
        DivergedError: an energy stopped being finite.
        ValueError: a model with several inner steps, with a map at its end, or shared out over processes.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, length=64, seed=1)
        >>> x0 = mm.processes.WhiteNoise().sample(32, 64, seed=2)
        >>> trace = mm.entropy_bounds(mm.MFMGDM(energy, target, step_size=1.0), x0, n_steps=20)
        >>> bool(((trace.lower <= trace.change) & (trace.change <= trace.upper)).all())
        True
        >>> bool((trace.norms <= trace.lower).all())
        True
    """
    check_positive_int("n_steps", n_steps)
    check_positive_int("every", every)
    check_not_shared(model)
    check_no_last(model)
    backend = choose_backend(model, determinants, length=math.prod(x0.shape[1:]))
    rng = None if seed is None else generator(seed)
    rows: list[dict[str, Tensor]] = []

    def update(state: State) -> Tensor:
        if state.step % every:
            return model.update(state)
        move, determinant = step_with_determinant(backend, model, state, rng)
        moved = None if move.moved is None else move.moved.flatten(1)
        flat, place = flattened(model, state)
        mask = moving(place.paths, moved)
        moments = step_moments(backend, flat, place, mask, rng)
        members = model.members(len(mask))
        shared = determinant.blocks_error.unflatten(0, (-1, members)).square().sum(1).sqrt()
        rows.append(
            {
                "blocks": determinant.blocks.unflatten(0, (-1, members)).mean(1),
                "capacitance": determinant.capacitance / members,
                "error": torch.hypot(shared, determinant.capacitance_error) / members,
                "moved": moments.entries / (members * mask.shape[1]),
                "folded": determinant.non_positive,
                **_bounds(moments, members),
            }
        )
        return move.paths

    for _ in model.steps(x0, n_steps, update):
        pass
    columns = {name: torch.stack([row[name] for row in rows]).cpu().numpy() for name in rows[0]}
    return EntropyTrace(
        steps=np.arange(0, n_steps, every), members=model.members(len(x0)), determinants=backend.name, **columns
    )


def _bounds(moments: StepMoments, members: int) -> dict[str, Tensor]:
    """Bounds A and B and the line at rest, nats per path, (E,) each."""
    n_coupled = torch.tensor(moments.coupling.shape[1], dtype=torch.float64, device=moments.trace.device)
    n_coupled = torch.minimum(n_coupled, moments.entries)
    alone, both = 1.0 - moments.blocks_largest, 1.0 - moments.blocks_largest - moments.coupling[:, -1]
    norms = (moments.entries - n_coupled) * alone.log() + n_coupled * both.log()
    room = 1.0 - moments.largest
    within = room > 0
    lower = -moments.trace - moments.square / (2.0 * room)
    rest = (1.0 - moments.coupling).log().sum(-1)  # NaN where a step at rest would fold
    error = torch.hypot(moments.trace_error, moments.square_error / (2.0 * room)) / members
    return {
        "norms": norms.where(both > 0, -torch.inf) / members,
        "lower": lower.where(within, -torch.inf) / members,
        "upper": (-moments.trace).where(within, torch.inf) / members,
        "at_rest": rest / members,
        "bound_error": error.where(moments.trace_error > 0, 0.0),
    }


def check_no_last(model: Descent) -> None:
    """Refuse a model with a map at its end, which is no gradient step.

    Raises:
        ValueError: it has one.
    """
    if model.last is not None:
        raise ValueError(
            f"the model has last={model.last!r}; expected None, for a map at the end has neither a price nor a bound."
            " Use the model without it, and map the paths afterwards."
        )


def check_not_shared(model: Descent) -> None:
    """Refuse a model that is shared out over processes.

    Raises:
        ValueError: it is.
    """
    if model.communicator is not LOCAL:
        raise ValueError(
            f"the model is shared out over {model.communicator.count} processes; expected all paths in this one."
            " Use the model itself in a single process."
        )
