"""Appendix B: two ways to stay at or above zero, their Jacobians, and the density where values have two origins."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy.integrate
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.func import jacrev

from mfmgdm_lib.companion.closed_forms import LinearEnergy
from mfmgdm_lib.companion.derivations.brute_force import ensemble_step, masked_lines, random_step
from mfmgdm_lib.companion.paper import Checks
from mfmgdm_lib.companion.synthetic import SyntheticExperiment
from mfmgdm_lib.descents import Descent, Move, State
from mfmgdm_lib.energies import Autocovariance, StylizedFacts
from mfmgdm_lib.log_determinants import log_determinant
from mfmgdm_lib.models import MFMGDM, MGDM
from mfmgdm_lib.processes import Exponential
from mfmgdm_lib.target import Target

__all__ = ["HalfLine", "half_line", "half_line_entropies", "projection_checks", "pull_bounds"]


class HalfLine(NamedTuple):
    """A step that takes c off every value, of exponential values of mean 1: the arguments of `half_line_steps`."""

    before: np.ndarray
    """Values before the step."""
    maps: dict[str, np.ndarray]
    """Where each of the two ways takes them."""
    after: dict[str, Tensor]
    """Paths after the step."""
    densities: dict[str, dict[str, np.ndarray]]
    """Their density, from each of the origins."""


def _taken_off(before: State, kept: Move) -> float:
    apart = before.paths - kept.paths
    return float(apart[apart != 0].mean())


def half_line(before: State, kept: Move) -> HalfLine:
    """Follow what a step does to single values by the ReLU, and where it has left entries as they were.

    Args:
        before: exponential values of mean 1.
        kept: the step from there, which takes one number off all entries that move.
    """
    c, line = _taken_off(before, kept), np.linspace(0.0, 3.0, 601)
    came, stayed = np.exp(-(line + c)), np.where(line < c, np.exp(-line), np.nan)
    both = {"both": came + np.nan_to_num(stayed), "came from y + c": came, "stayed at y": stayed}
    return HalfLine(
        line,
        {"ReLU": np.maximum(line - c, 0.0), "kept": np.where(line < c, line, line - c)},
        {"ReLU": torch.relu(before.paths - c), "kept": kept.paths},
        {"ReLU": {"came from y + c": came}, "kept": both},
    )


def half_line_entropies(model: Descent, before: State, kept: Move) -> tuple[float, float]:
    """Entropy of a value after such a step, nats: by the change of variables, and of the density with both origins.

    Raises:
        AssertionError: values after the step do not have that density, or the formula loses entropy of the start, 1.
    """
    n_paths, length = before.paths.shape
    size, c = n_paths * length, _taken_off(before, kept)
    log_q = Exponential(1.0).log_prob(before.paths) - log_determinant(model, before, "dense").per_path
    by_formula = -float(log_q.mean()) / length
    share = math.exp(-c)  # what comes from y + c, relative to what stays at y

    def surprise(y: float) -> float:
        """−q log q for the density of both."""
        density = math.exp(-y) * ((y < c) + share)
        return -density * math.log(density)

    truth = scipy.integrate.quad(surprise, 0, c)[0] + scipy.integrate.quad(surprise, c, 60)[0]
    low = float((kept.paths < c).double().mean())
    allowed = 4 * math.sqrt(share**2 * (1 - share**2) / size)
    checks = Checks()
    checks.true("eq-b-masked", "the density is the sum of both", abs(low - (1 - share**2)) < allowed)
    checks.true("eq-b-masked", "the formula keeps the entropy of the start", abs(by_formula - 1.0) < 4 / size**0.5)
    return by_formula, truth


def _relu_step(model: Descent, paths: Tensor) -> Tensor:
    return torch.relu(ensemble_step(model, paths)).flatten()


def projection_checks() -> Checks:
    """Check steps that end in a ReLU or leave entries as they are, and their determinants (App. B).

    Raises:
        AssertionError: the library deviates from the appendix.
    """
    checks, ten = Checks(), "10 random steps of 4 paths of 12 points"
    zero_rows, log_dets, taken, printed, lines = [], [], [], [], []
    ours: dict[str, list[float]] = {"banded": [], "dense": []}
    for seed in range(10):
        paths = random_step(seed, support=constraints.nonnegative)[1].paths
        for energy in (StylizedFacts(lags=1), Autocovariance()):
            aim = 0.5 * energy(paths).mean(0)
            target = Target(aim, torch.zeros_like(aim), energy.labels, "half the mean")
            plain = MFMGDM(energy, target, step_size=4.0)
            model = MFMGDM(energy, target, step_size=4.0, support=constraints.nonnegative)
            state, g = model.evaluate(paths), ensemble_step(plain, paths)
            matrix, clips = jacrev(partial(_relu_step, plain))(paths).flatten(1), (g < 0).flatten()
            zero_rows.append(bool(0 < clips.sum() < 48) and torch.equal((matrix == 0).all(1), clips))
            log_dets.append(float(torch.linalg.slogdet(matrix).logabsdet))
            lines.append(masked_lines(model, state))
            taken.append(model.update(state))
            printed.append(torch.where(g >= 0, g, paths))
            for backend, found in ours.items():
                found.append(float(log_determinant(model, state, backend).per_path.sum()))
    what = f"rows that vanish are those of entries clipped, by automatic differentiation, {ten} by two energies"
    checks.true("eq-b-relu", what, all(zero_rows))
    checks.true("eq-b-relu", "log|det| is −∞, the same steps", all(value == -math.inf for value in log_dets))
    # Jacobians of 48 rows with condition numbers below 1000: round-off stays below 48 × 1000 × 2.2e-16 = 1.1e-11.
    what = f"a step by the library against the equation, {ten} by two energies"
    checks.close("eq-b-masked", what, torch.stack(taken), torch.stack(printed), tolerance=1e-12)
    wholes, blocks = ([line[name] for line in lines] for name in ("whole", "entries that moved"))
    what = "log|det| of the whole Jacobian, by automatic differentiation, against that of the block that moved"
    checks.close("eq-b-masked", f"{what}, the same steps", wholes, blocks, tolerance=1e-10)
    for backend, found in ours.items():
        checks.close("eq-b-masked", f"the same against the library's {backend} backend", wholes, found, tolerance=1e-10)

    pair, unit = LinearEnergy(torch.full((1, 2), 0.5)), torch.ones(1).double()
    short = MGDM(pair, Target(unit, 0 * unit, pair.labels, "mean 1"), 1.0, support=constraints.nonnegative)
    images = short.update(short.evaluate(torch.tensor([[0.2, 3.0], [0.65, 3.15]], dtype=torch.float64)))
    what = "not one-to-one: MGDM by the mean of two points takes (0.2, 3) and (0.65, 3.15) to (0.2, 2.7)"
    checks.close("eq-b-masked", what, images, [[0.2, 2.7], [0.2, 2.7]], tolerance=1e-14)
    return checks


def pull_bounds(experiment: SyntheticExperiment, n_steps: int) -> tuple[float, float]:
    """How low both models could push an entry of 128 paths by autocovariances at lags 1 and 0 (App. B).

    Returns:
        The greatest mismatch at lag 1, whose neighbours pull an entry down only if it is above 0, and the least factor
        1 − (2γ/d) · (mismatch at lag 0) of an entry itself, over all paths and steps.
    """
    x0, lows, factors = experiment.start.sample(128, experiment.length, experiment.initial_seed), [], []
    for model in map(experiment.model, (1, None)):
        for state in model.steps(x0, n_steps):
            lag_1, lag_0 = state.mismatch.amax(0).tolist()
            lows.append(lag_1)
            factors.append(1 - 2 * model.rate / experiment.length * lag_0)
    return max(lows), min(factors)
