"""When to stop a descent without knowing the process: where the price of a step exceeds what it gains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._checks import check_positive, check_positive_int
from mfmgdm_lib._threads import one_thread
from mfmgdm_lib.descents.descent import Descent, Move, State
from mfmgdm_lib.entropy import check_not_shared
from mfmgdm_lib.log_determinants import Backend, Determinants, Stochastic, choose_backend
from mfmgdm_lib.log_determinants.backends import flattened, step_with_determinant
from mfmgdm_lib.log_determinants.stochastic import moving, require_generator
from mfmgdm_lib.processes.base import Seed, generator

__all__ = ["BalancedStop", "balanced_stop", "paths_for_price"]

IN_A_ROW = 5
"""Steps in a row whose price exceeds their gain, at the first of which a descent is stopped."""

_DEGENERATE = 1e-12
"""Eigenvalues of a correlation matrix, relative to the largest, that are round-off."""


@dataclass(frozen=True)
class BalancedStop:
    """Where a descent is to stop, and why.

    Attributes:
        step: t, the first of five steps in a row whose price exceeds their gain; `max_steps` where there were none.
        reached: whether there were.
        price: −log|det C| / N of each step taken, nats per path, (T,), averaged over ensembles of N paths. T is
            `step` + 5 where the stop was reached, else `max_steps`.
        gain: the fall of V in each step, nats per path, (T,).
        price_error: standard error of `price`, (T,); 0 from exact backends.
        moved: share of the entries that each step moves, (T,): below 1 where some would have left the support.
        folded: share of the ensembles whose Jacobian has an eigenvalue that is not above 0, (T,). A stochastic backend
            sees only those of capacitance matrices.
        paths: where the descent stops, x_step, (N, time).
        members: paths of each ensemble.
        determinants: name of the backend.
    """

    step: int
    reached: bool
    price: np.ndarray
    gain: np.ndarray
    price_error: np.ndarray
    moved: np.ndarray
    folded: np.ndarray
    paths: Tensor
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
            parts.append(f"{self.undecided} of {taken} steps are undecided: price and gain differ by less than the error")
        if (self.moved < 1.0).any():
            parts.append(
                f"{int((self.moved < 1.0).sum())} steps leave entries where they are, the most a share of"
                f" {1.0 - self.moved.min():.2g}; they are not one-to-one, and cost more than their price"
            )
        if (self.folded > 0.0).any():
            parts.append(f"{int((self.folded > 0.0).sum())} steps fold space, and cost more than their price")
        return "; ".join(parts)


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
    mean over ensembles. Neither needs the process. Near rest both are sums over the directions in which the mismatch
    decays, and the rule stops when the mean mismatch is as small as its own standard error, V ≈ K / (2N).

    A price that is estimated has an error, and a step counts only where its price exceeds its gain by more than one
    standard error: five lucky draws in a row have a probability of 10⁻⁴. Where errors are large against prices the stop
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
        ValueError: no more paths than energies, several inner steps, or a model shared out over processes.

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
    backend = choose_backend(model, determinants, length=math.prod(x0.shape[1:]))
    if len(x0) <= model.energy.dim:
        raise ValueError(
            f"x0 has {len(x0)} paths for {model.energy.dim} energies; expected more paths than energies, whose covariance"
            " is wanted. Use more paths."
        )
    with one_thread():
        return _descend(model, x0, max_steps, backend, generator(seed))


def _descend(model: Descent, x0: Tensor, max_steps: int, backend: Backend, rng: np.random.Generator) -> BalancedStop:
    prices: list[_Price] = []
    costs: list[float] = []
    first, in_a_row = x0, 0  # the paths at the first of the last steps that count, and the number of these

    def update(state: State) -> Tensor:
        move, price = _priced(backend, model, state, rng)
        prices.append(price)
        return move.paths

    for state in model.steps(x0, max_steps, update):
        costs.append(_wrong_mean(state, model.members(len(x0))))
        if prices:
            last = prices[-1]
            counts = last.value - (costs[-2] - costs[-1]) > last.error  # not where one is NaN
            first = before if counts and in_a_row == 0 else first
            in_a_row = in_a_row + 1 if counts else 0
        if in_a_row == IN_A_ROW:
            break
        before = state.paths
    reached = in_a_row == IN_A_ROW
    columns = {name: np.array([getattr(price, name) for price in prices]) for name in ("moved", "folded")}
    return BalancedStop(
        step=len(prices) - IN_A_ROW if reached else max_steps,
        reached=reached,
        price=np.array([price.value for price in prices]),
        gain=-np.diff(costs),
        price_error=np.array([price.error for price in prices]),
        paths=first if reached else state.paths,
        members=model.members(len(x0)),
        determinants=backend.name,
        **columns,
    )


@dataclass(frozen=True)
class _Price:
    """Price of one step, nats per path, its standard error, and the shares of entries moved and ensembles folded."""

    value: float
    error: float
    moved: float
    folded: float


def _priced(backend: Backend, model: Descent, state: State, rng: np.random.Generator) -> tuple[Move, _Price]:
    """Take the step from `state`; of what a `Stochastic` estimates only the capacitance is wanted."""
    members = model.members(len(state.paths))
    if isinstance(backend, Stochastic):
        move = model.move(state)
        flat, place = flattened(model, state)
        mask = moving(place.paths, None if move.moved is None else move.moved.flatten(1))
        log_abs, _, folds, mean_error = backend.capacitance(flat, place, mask, require_generator(rng))
    else:
        move, determinant = step_with_determinant(backend, model, state, rng)
        log_abs, folds = determinant.capacitance, determinant.non_positive
        mean_error = float(determinant.capacitance_error.norm()) / len(log_abs)
    moved = 1.0 if move.moved is None else float(move.moved.double().mean())
    folded = float((folds > 0).double().mean())
    return move, _Price(-float(log_abs.mean()) / members, mean_error / members, moved, folded)


def _wrong_mean(state: State, members: int) -> float:
    """V = ½ r̄ᵀ Σ_Φ⁻¹ r̄, nats per path, averaged over ensembles; directions without any spread are left out."""
    covariance = torch.cov(state.energies.double().T).reshape(state.energies.shape[1], -1)
    scale = covariance.diagonal().sqrt()
    scale = scale.where(scale > 0, 1.0)
    eigenvalues, basis = torch.linalg.eigh(covariance / scale / scale[:, None])
    projected = (state.mismatch[::members].double() / scale) @ basis
    known = eigenvalues > _DEGENERATE * eigenvalues[-1]
    return 0.5 * float((projected[:, known].square() / eigenvalues[known]).sum(-1).mean())


def paths_for_price(stops: BalancedStop | Sequence[BalancedStop], price: float) -> int:
    """The number of paths N that an ensemble needs for its coupling to cost each path at most `price`.

    The price of a path times N hardly depends on N: the capacitance matrix is that of a mean over paths. So one
    descent of few paths tells it for many. A larger ensemble stops later, and so pays for more steps: this is the
    price of as many steps as `stops` took, which may be more than up to their own stop.

    Args:
        stops: one or several descents by `balanced_stop`, whose price of all steps taken is averaged.
        price: nats per path.

    Raises:
        ValueError: a price that is not above 0, or descents whose price is not finite.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, seed=(3, 12345))
        >>> x0 = mm.processes.WhiteNoise().sample(32, 1024, seed=(2, 12345))
        >>> stop = mm.balanced_stop(mm.MFMGDM(energy, target, step_size=10.0), x0, max_steps=200)
        >>> mm.paths_for_price(stop, 0.1) > 32
        True
    """
    check_positive("price", price)
    found = [stops] if isinstance(stops, BalancedStop) else list(stops)
    totals = [stop.members * float(stop.price.sum()) for stop in found]
    if not totals or not math.isfinite(sum(totals)):
        raise ValueError(
            f"stops has {len(totals)} descents with the prices {totals}, nats; expected at least one, and finite ones."
            " Use a smaller step size."
        )
    return max(1, math.ceil(sum(totals) / len(totals) / price))
