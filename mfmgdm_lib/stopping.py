"""When to stop a descent without knowing the process: where the price of a step exceeds what it gains."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_positive, check_positive_int
from mfmgdm_lib._threads import one_thread
from mfmgdm_lib.descents.descent import Descent, State
from mfmgdm_lib.descents.gradient_flow import FlowState
from mfmgdm_lib.entropy import check_no_last, check_not_shared
from mfmgdm_lib.log_determinants import Backend, Determinants, Stochastic, choose_backend
from mfmgdm_lib.log_determinants.backends import flattened, step_with_determinant
from mfmgdm_lib.log_determinants.stochastic import moving
from mfmgdm_lib.processes.base import Seed, generator

__all__ = ["BalancedStop", "balanced_state", "balanced_stop", "paths_for_price"]

IN_A_ROW = 5
"""Steps in a row whose price exceeds their gain, at the first of which a descent is stopped."""

_FAR = 2.0
"""Factor between gain and latest price from which on it is clear which is larger, without calculating the price."""

_SMOOTHING = 1 / 8
"""Weight of the latest step in the running variance of prices: one draw alone knows its own error roughly."""

_DEGENERATE = 1e-12
"""Eigenvalues of a correlation matrix, relative to the largest, that are round-off."""


@dataclass(frozen=True)
class BalancedStop:
    """Where a descent is to stop, and why.

    Attributes:
        step: t, the first of five steps in a row whose price exceeds their gain; `max_steps` where there were none.
        reached: whether there were.
        price: −log|det C| / N of each step taken, nats per path, (T,), averaged over ensembles of N paths. T is
            `step` + 5 where the stop was reached, else `max_steps`. Where it was not calculated it is interpolated, by
            its logarithm where all are positive.
        priced: whether it was, (T,).
        gain: the fall of V in each step, nats per path, (T,).
        price_error: standard error of `price`, (T,); 0 from exact backends, NaN where it was not calculated.
        moved: share of the entries that each step moves, (T,): below 1 where some would have left the support.
        folded: share of the ensembles whose Jacobian has an eigenvalue that is not above 0, (T,); NaN where the
            price was not calculated. A stochastic backend sees only those of capacitance matrices.
        paths: where the descent stops, x_step, (N, time).
        mismatches: r̄ in each step up to there, (step, K), float64, on the host: what a frozen flow keeps. None for
            several ensembles.
        members: paths of each ensemble.
        determinants: name of the backend.
    """

    step: int
    reached: bool
    priced: np.ndarray
    price: np.ndarray
    gain: np.ndarray
    price_error: np.ndarray
    moved: np.ndarray
    folded: np.ndarray
    paths: Tensor
    mismatches: Tensor | None
    members: int
    determinants: str

    @property
    def total_price(self) -> float:
        """What the steps up to the stop cost, nats per path."""
        return float(self.price[: self.step].sum())

    @property
    def undecided(self) -> int:
        """Steps whose price and gain differ by less than the standard error of the price."""
        return int((np.abs(self.price - self.gain) < self.price_error).sum())

    @property
    def message(self) -> str:
        """What happened, in words."""
        taken = len(self.price)
        parts = [
            f"stops at step {self.step}: from there on the price of {IN_A_ROW} steps in a row exceeds their gain"
            if self.reached
            else f"never stops within {taken} steps"
        ]
        if self.undecided:
            parts.append(
                f"{self.undecided} of {taken} steps are undecided: price and gain differ by less than the error"
            )
        if (self.moved < 1.0).any():
            parts.append(
                f"{int((self.moved < 1.0).sum())} of {taken} steps leave entries where they are, the most a share of"
                f" {1.0 - self.moved.min():.2g}; they are not one-to-one, and cost more than their price"
            )
        if (self.folded > 0.0).any():
            parts.append(
                f"{int((self.folded > 0.0).sum())} of {int(self.priced.sum())} steps looked at fold space, and cost"
                " more than their price"
            )
        return "; ".join(parts)


@checked
def balanced_stop(
    model: Descent,
    x0: Tensor,
    max_steps: int,
    *,
    determinants: str | Backend | Determinants = "auto",
    seed: Seed = 0,
) -> BalancedStop:
    r"""Descend until the price of a step exceeds what it gains, five steps in a row.

    The price of coupling N paths is what the capacitance matrix C takes of the entropy of each, and the gain is the
    fall of what a wrong mean costs each, in the Gaussian approximation in energy space:

    .. math:: \text{price} = -\frac1N \log\det C, \qquad
              \text{gain} = V_t - V_{t+1}, \quad V = \tfrac12 \bar r^\top \Sigma_\Phi^{-1} \bar r.

    Σ_Φ is the covariance of the energies of single paths, estimated at each step from all paths at hand, and V is the
    mean over ensembles. Neither needs the process. An ensemble of one path, as in MGDM, takes its deviation from others
    for a wrong mean, and the spread of all shrinks with it: there r̄ is the mean over all paths, and Σ_Φ that of x0.

    Near rest both are sums over the directions in which the mismatch decays, and the rule stops when the mean mismatch
    is as small as its own standard error, V ≈ K / (2N).

    The price changes slowly. Where a step gains more than twice the latest price it is calculated at some steps only,
    each more than twice as late as the one before, and interpolated between. The first of the five steps always has its
    own calculated, and so have the other four, but for those that gain less than half of an exact one.

    A price that is estimated has an error, and a step counts only where its price exceeds its gain by more than one
    standard error, averaged over the last steps, for lucky draws would else be believed more easily than others. Five
    of them in a row have a probability of 10⁻⁴. Where errors are large against prices the stop
    comes late or never; see `BalancedStop.undecided`. A step that folds space or leaves entries where they are costs
    more than its price, so it counts as it is, unless its price is not finite. Everything runs in one thread, so the
    decision does not depend on the number of cores.

    Args:
        model: the descent, with one inner step.
        x0: starting paths, (N, time), more than there are energies.
        max_steps: number of steps at most.
        determinants: the name of a backend, a backend, or a `Determinants`, of which only the backend counts. Folds are
            recorded in any case.
        seed: of random probes, for stochastic backends: whatever `numpy.random.default_rng` takes.

    Raises:
        DivergedError: an energy stopped being finite.
        StuckError: a step would take every entry of an ensemble out of the support.
        ValueError: no more paths than energies, several inner steps, or a model with a map at its end or shared out
            over processes.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, seed=(3, 12345))
        >>> x0 = mm.processes.WhiteNoise().sample(128, 1024, seed=(2, 12345))
        >>> stop = mm.balanced_stop(mm.MFMGDM(energy, target, step_size=10.0), x0, max_steps=200)
        >>> stop.step, stop.reached  # the divergence, which the rule does not see, is smallest at step 157
        (164, True)
    """
    check_positive_int("max_steps", max_steps)
    check_not_shared(model)
    check_no_last(model)
    backend = choose_backend(model, determinants, length=math.prod(x0.shape[1:]))
    if len(x0) <= model.energy.dim:
        raise ValueError(
            f"x0 has {len(x0)} paths for {model.energy.dim} energies; expected more paths than energies, for the"
            " covariance of these. Use more paths."
        )
    with one_thread():
        return _descend(model, x0, max_steps, backend, generator(seed))


def _descend(model: Descent, x0: Tensor, max_steps: int, backend: Backend, rng: np.random.Generator) -> BalancedStop:
    entropy = rng.integers(2**32, size=4).tolist()  # a generator for each step, whichever are calculated
    members, spreads = model.members(len(x0)), list[Tensor]()
    costs: list[float] = []
    moves: list[Tensor | None] = []
    found = {name: np.full(max_steps, np.nan) for name in ("price", "price_error", "folded")}
    moved, latest, variance, due = np.ones(max_steps), math.nan, math.nan, 0
    before: State | None = None
    first, in_a_row = x0, 0  # the paths at the first of the last steps that count, and the number of these
    mismatches: list[Tensor] = []

    def cost(state: State) -> float:
        if members > 1:
            return _wrong_mean(state.mismatch[::members], _covariance(state.energies))
        spreads[:] = spreads or [_covariance(state.energies)]
        return _wrong_mean(state.mismatch.mean(0, keepdim=True), spreads[0])

    def update(state: State) -> Tensor:
        move = model.move(state)
        moves[:] = [move.moved]
        return move.paths

    for state in model.steps(x0, max_steps, update):
        costs.append(cost(state))
        if members == len(x0) > 1:
            mismatches.append(state.mismatch[0].double().cpu())
        if before is not None:
            step, gain = before.step, costs[-2] - costs[-1]
            moved[step] = 1.0 if moves[0] is None else float(moves[0].double().mean())
            counts = in_a_row > 0 and variance == 0.0 and _FAR * max(gain, 0.0) < latest
            if not counts and (step >= due or step == max_steps - 1 or not gain > _FAR * abs(latest)):
                draws = np.random.default_rng([*entropy, step])
                latest, error, folded = _price(backend, model, before, moves[0], draws)
                found["price"][step], found["price_error"][step], found["folded"][step] = latest, error, folded
                due = 2 * step + 3
                variance = error**2 if math.isnan(variance) else variance + _SMOOTHING * (error**2 - variance)
                counts = latest - gain > math.sqrt(variance)  # not where one is NaN
            first = before.paths if counts and in_a_row == 0 else first
            in_a_row = in_a_row + 1 if counts else 0
        if in_a_row == IN_A_ROW:
            break
        before = state
    reached, taken = in_a_row == IN_A_ROW, len(costs) - 1
    stop = taken - IN_A_ROW if reached else max_steps
    known = {name: values[:taken] for name, values in found.items()}
    priced = np.isfinite(known["price"])
    known["price"] = _interpolated(known["price"])
    return BalancedStop(
        step=stop,
        reached=reached,
        gain=-np.diff(costs),
        priced=priced,
        moved=moved[:taken],
        paths=first if reached else state.paths,
        mismatches=torch.stack(mismatches)[:stop] if mismatches else None,
        members=members,
        determinants=backend.name,
        **known,
    )


def _price(
    backend: Backend, model: Descent, state: State, moved: Tensor | None, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Price of the step from `state`, nats per path, its standard error, and the share of ensembles folded.

    Of what a `Stochastic` estimates only the capacitance is wanted.
    """
    members = model.members(len(state.paths))
    if isinstance(backend, Stochastic):
        flat, place = flattened(model, state)
        mask = moving(place.paths, None if moved is None else moved.flatten(1))
        log_abs, _, folds, mean_error = backend.capacitance(flat, place, mask, rng)
    else:
        determinant = step_with_determinant(backend, model, state, rng)[1]
        log_abs, folds = determinant.capacitance, determinant.non_positive
        mean_error = float(determinant.capacitance_error.norm()) / len(log_abs)
    return -float(log_abs.mean()) / members, mean_error / members, float((folds > 0).double().mean())


def _interpolated(price: np.ndarray) -> np.ndarray:
    """The prices (T,) with those that are NaN interpolated: by the logarithm where all are positive, as they grow."""
    steps, known = np.arange(len(price)), np.isfinite(price)
    if not known.any():
        return price
    if (price[known] > 0.0).all():
        return np.where(known, price, np.exp(np.interp(steps, steps[known], np.log(price[known]))))
    return np.interp(steps, steps[known], price[known])


def _covariance(energies: Tensor) -> Tensor:
    """Covariance of the energies (N, K) of single paths, (K, K)."""
    return torch.cov(energies.double().T).reshape(energies.shape[1], -1)


def _wrong_mean(mismatch: Tensor, covariance: Tensor) -> float:
    """V = ½ r̄ᵀ Σ_Φ⁻¹ r̄ averaged over mismatches (E, K), nats; directions without any spread are left out."""
    scale = covariance.diagonal().sqrt()
    scale = scale.where(scale > 0, 1.0)
    eigenvalues, basis = torch.linalg.eigh(covariance / scale / scale[:, None])
    projected = (mismatch.double() / scale) @ basis
    known = eigenvalues > _DEGENERATE * eigenvalues[-1]
    return 0.5 * float((projected[:, known].square() / eigenvalues[known]).sum(-1).mean())


def balanced_state(states: Iterable[FlowState]) -> FlowState:
    r"""The state of a gradient flow after the last step that gains more than its price.

    In a step of length h, so small that the matrix G of `GradientFlow` hardly changes, log det C of `balanced_stop`
    becomes the logarithm of :math:`\det e^{-hG}`, so that

    .. math:: \text{price} = \frac{h}{N} \operatorname{tr} G, \qquad \text{gain} = V_t - V_{t+1}.

    Both are exact in the limit of small steps. Steps of a flow get longer and longer, and a few dozen lead to its end.
    So all are looked at, where a descent goes by the first five in a row whose price exceeds their gain: from heavy
    tails V rises at first, since Σ_Φ falls faster than the mismatch does.

    The steepest directions of energy space have most of tr G, and all wait for them: where they are far apart in
    scale, the flow stops with others far from the target.

    Args:
        states: those of one ensemble, of more paths than energies, from the first on.

    Raises:
        ValueError: steps without a price, as those of a flow of many energies that does not write G down.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, seed=(3, 12345))
        >>> x0 = mm.processes.WhiteNoise().sample(128, 1024, seed=(2, 12345))
        >>> last = balanced_state(mm.GradientFlow(energy, target, tolerance=2e-5).steps(x0, duration=2500.0))
        >>> f"{last.time:.0f}"  # steps are 400 long there; the descent by steps of size 10 stops at step 164
        '1502'
    """
    last, cost = None, math.inf
    for state in states:
        if math.isnan(state.price):
            raise ValueError(
                f"step {state.step} has no price, for its flow does not write G down; expected one that does."
                " Use GradientFlow without gram_paths."
            )
        with one_thread():
            before, cost = cost, _wrong_mean(state.mismatch[:1], _covariance(state.energies))
        last = state if before - cost > state.price else last
    if last is None:
        raise ValueError("states is empty; expected those of a flow. Use GradientFlow.steps.")
    return last


@checked
def paths_for_price(stop: BalancedStop, price: float, *, n_steps: int | None = None) -> int:
    """The number of paths N that an ensemble needs for its coupling to cost each path at most `price`.

    The price of a path times N hardly depends on N: the capacitance matrix is that of a mean over paths. So one
    descent of few paths tells it for many. A larger ensemble stops later, and so pays for more steps.

    Args:
        stop: a descent by `balanced_stop`, of any number of paths.
        price: of all steps together, nats per path.
        n_steps: steps that the larger ensemble takes; None for as many as `stop` took. Those beyond have the price of
            the last one, as they have at rest.

    Raises:
        ValueError: a price that is not above 0, or a descent whose own is not finite.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, seed=(3, 12345))
        >>> x0 = mm.processes.WhiteNoise().sample(32, 1024, seed=(2, 12345))
        >>> stop = mm.balanced_stop(mm.MFMGDM(energy, target, step_size=10.0), x0, max_steps=200)
        >>> mm.paths_for_price(stop, 0.1, n_steps=200)  # 11.8 nats in all
        118
    """
    check_positive("price", price)
    taken = len(stop.price)
    n_steps = taken if n_steps is None else check_positive_int("n_steps", n_steps)
    total = stop.members * float(stop.price[:n_steps].sum() + max(0, n_steps - taken) * stop.price[-1])
    if not math.isfinite(total):
        raise ValueError(
            f"stop has the price {total} nats; expected a finite one. Use a smaller step size: some step is singular."
        )
    return max(1, math.ceil(total / price))
