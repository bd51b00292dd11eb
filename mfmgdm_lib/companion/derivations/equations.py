"""Sections 2 to 4 as printed: each equation held against the library, automatic differentiation or a closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, jacrev, vmap

from mfmgdm_lib.companion.paper import Checks
from mfmgdm_lib.companion.synthetic import SyntheticExperiment
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.models import MFMGDM, MGDM
from mfmgdm_lib.processes import AR

__all__ = ["autoregression_checks", "descent_checks", "inner_problem_checks", "likelihood_checks"]

# Unless a comment says otherwise, what is compared is a handful of float64 operations on numbers of order 1 to 10.


def _pull(energy: Energy, x: Tensor, residuals: Tensor) -> Tensor:
    """J_Φᵀ of each path (N, d) times its residual (N, K), with J_Φ by automatic differentiation: (N, d)."""
    return (residuals[:, None] @ vmap(jacrev(energy))(x))[:, 0]


def descent_checks(experiment: SyntheticExperiment) -> Checks:
    """Check the set, the loss and the step, paper eqs. (1) to (3), and the drift of Langevin dynamics (Section 2).

    Args:
        experiment: whose energy, target, step size and start are taken.

    Raises:
        AssertionError: the library deviates from an equation.
    """
    checks, energy, alpha, mgdm = Checks(), experiment.energy, experiment.target.mean, experiment.model(1)
    size = alpha.square().sum()
    rate = mgdm.step_size / size

    def half_square(path: Tensor) -> Tensor:
        return 0.5 * (energy(path) - alpha).square().sum()

    start = mgdm.evaluate(experiment.start.sample(64, 1024, experiment.initial_seed))
    end = mgdm.evaluate(mgdm.sample(start.paths, 300))
    distance = [(state.energies - alpha).norm(dim=1) for state in (start, end)]
    what = "distance to the target against √(2L) ‖α‖, with L by the library"
    checks.close("eq-1", what, (2 * end.loss).sqrt() * alpha.norm(), distance[1], tolerance=1e-12)
    inside = [int((values < 0.01).sum()) for values in distance]
    what = "for ε = 0.01: after 300 steps of MGDM all of 64 paths are in the set, at the start not 1 in 20"
    checks.true("eq-1", what, inside[1] == 64 and inside[0] < 64 / 20)

    x = experiment.start.sample(4, 16, seed=1)
    state, slope = mgdm.evaluate(x), vmap(grad(half_square))(x)
    moved = mgdm.update(state)
    what = "loss by the library, times ‖α‖², against the equation"
    checks.close("eq-2", what, state.loss * size, vmap(half_square)(x), tolerance=1e-12)
    what = "a step by the library against one along its gradient, by automatic differentiation"
    checks.close("eq-2", what, moved, x - rate * slope, tolerance=1e-12)
    what = "a step by the library against the equation, with J by automatic differentiation"
    checks.close("eq-3", what, moved, x - rate * _pull(energy, x, energy(x) - alpha), tolerance=1e-12)
    half = MGDM(energy, experiment.target, mgdm.step_size / 2)
    what = "with E = L and its noise left out, against a step of MGDM at half the rate"
    checks.close("eq-langevin", what, x - 0.5 * rate * slope, half.update(half.evaluate(x)), tolerance=1e-12)
    return checks


def likelihood_checks(experiment: SyntheticExperiment) -> Checks:
    """Check both lines of the likelihood of an AR(1), and the sums, paper eq. (5), that they are made of (Section 3.1).

    Args:
        experiment: whose energy and start are taken.

    Raises:
        AssertionError: the library deviates from an equation.
    """
    checks, x, std = Checks(), 3 * experiment.start.sample(50, 40, seed=2), 1.5
    lag_1, lag_0 = (x[:, 1:] * x[:, :-1]).sum(1), x.square().sum(1)
    for phi in (0.1, -0.7):
        double, name = 2 * std**2, f"φ = {phi:g}, 50 paths of noise: "
        line_1 = -(x[:, 1:] - phi * x[:, :-1]).square().sum(1) / double - (1 - phi**2) / double * x[:, 0] ** 2
        line_2 = 2 * phi / double * lag_1 - (1 + phi**2) / double * lag_0
        constant = 0.5 * math.log(1 - phi**2) - 0.5 * 40 * math.log(math.pi * double)
        what = name + "log-density less the exponent is one constant, that of a Gaussian"
        density = AR([phi], innovation_std=std).log_prob(x)
        # Round-off of sums of 40 terms of order 10.
        checks.close("eq-ar-likelihood", what, density - line_1, constant, tolerance=1e-11)
        what = name + "the exponents differ by the two ends and by nothing else"
        ends = phi**2 / double * (x[:, 0] ** 2 + x[:, -1] ** 2)
        checks.close("eq-ar-family", what, line_1 - line_2, ends, tolerance=1e-11)
    sums = torch.stack((lag_1, lag_0), dim=1)
    what = "the two sums against d times the energies of the library"
    checks.close("eq-5", what, sums, 40 * experiment.energy(x), tolerance=1e-11)
    return checks


def _deviations(process: AR) -> np.ndarray:
    """Undo the recursion: how far what is left is from white noise, in standard errors, (2 + p,).

    Of its variance, of the products of neighbours, and of its products with the points before.
    """
    p, x = process.order, process.sample(2000, 53, seed=4).numpy()
    left = x[:, p:] - sum(phi * x[:, p - lag : -lag] for lag, phi in enumerate(process.coefficients, 1))
    noise, first = left / process.innovation_std, x[:, :p]
    variance, neighbours = noise.var() - 1, (noise[:, 1:] * noise[:, :-1]).mean()
    rest = (noise[:, :1] * first).mean(0) * 2000**0.5
    return np.array([variance * (noise.size / 2) ** 0.5, neighbours * noise.size**0.5, *rest])


def _yule_walker(process: AR) -> tuple[np.ndarray, np.ndarray]:
    """Autocovariances at lags 0 to 20, and what the Yule–Walker equations make of them."""
    gamma = process.autocovariance(20)
    made = [sum(phi * gamma[abs(k - j)] for j, phi in enumerate(process.coefficients, 1)) for k in range(21)]
    made[0] += process.innovation_std**2
    return gamma, np.array(made)


def _is_accepted(coefficients: Sequence[float]) -> bool:
    try:
        AR(coefficients)
    except ValueError:
        return False
    return True


def autoregression_checks() -> Checks:
    """Check AR(p), paper eq. (4) and Section 5.1: sampled recursion, autocovariances and region of stationarity.

    Raises:
        AssertionError: the library deviates from an equation.
    """
    checks = Checks()
    table_1 = [AR([0.2, -0.1]), AR([-0.1, 0.2, 0.1])]
    for key, name, processes in (("eq-4", "AR(0.1)", [AR([0.1])]), ("eq-ar-p", "both of Table 1 with p > 1", table_1)):
        worst = max(abs(_deviations(process)).max() for process in processes)
        what = f"{name}: undone on 2000 paths, the recursion leaves white noise, within 4 standard errors"
        checks.true(key, what, worst < 4)
        gamma, made = (np.stack(values) for values in zip(*map(_yule_walker, processes), strict=True))
        what = f"{name}: autocovariances against the Yule–Walker equations, lags 0 to 20"
        checks.close(key, what, gamma, made, 1e-12)
        checks.close(key, f"{name}: marginal variance against 1", gamma[:, 0], 1.0, 1e-12)
    what = "AR(0.6) with σ = 1.5: marginal variance against σ²/(1 − φ²)"
    variance = AR([0.6], innovation_std=1.5).stddev ** 2
    checks.close("eq-4", what, variance, 1.5**2 / (1 - 0.6**2), tolerance=1e-12)
    plane = [(one, two) for one in np.linspace(-2.05, 2.05, 15) for two in np.linspace(-1.05, 1.05, 15)]
    accepted = [_is_accepted(pair) for pair in plane]
    stationary = [bool((abs(np.polynomial.Polynomial([1.0, -one, -two]).roots()) > 1).all()) for one, two in plane]
    what = (
        "225 pairs of coefficients: accepted by the library where the roots of π are outside the unit circle,"
        " and only there"
    )
    checks.true("eq-ar-p", what, accepted == stationary and 50 < sum(accepted) < 175)
    return checks


def inner_problem_checks(experiment: SyntheticExperiment) -> Checks:
    """Check the way from the inner least-squares problem to one mean-field step, paper eq. (6) (Section 4).

    Args:
        experiment: whose energy, target and start are taken.

    Raises:
        AssertionError: the library deviates from an equation.
    """
    checks, energy, target = Checks(), experiment.energy, experiment.target
    alpha, lam, gamma = target.mean, 3.0, 0.7
    size = float(alpha.square().sum())
    x = experiment.start.sample(5, 12, seed=5)
    elsewhere = x + 0.3 * experiment.start.sample(5, 12, seed=6)
    mean = torch.stack([energy(path) - alpha for path in x]).mean(0).expand(5, 2)
    h = -gamma * mean
    wanted = energy(x) - alpha + h

    def objective(xi: Tensor, power: int = 2) -> Tensor:
        """The norm over all paths and energies, and its power."""
        return (energy(xi) - alpha - wanted).square().sum() ** (power / 2)

    def inner_step(xi: Tensor, wanted: Tensor) -> Tensor:
        return xi - lam * _pull(energy, xi, energy(xi) - alpha - wanted)

    model = MFMGDM(energy, target, gamma * size)
    mismatch = model.evaluate(x).mismatch
    what = "mismatch by the library, of each path, against the average over the ensemble"
    checks.close("eq-mean-energy", what, mismatch, mean, tolerance=1e-13)
    what = "direction by the library, −γ times the mismatch, against the equation"
    checks.close("eq-direction", what, -model.rate * mismatch, h, tolerance=1e-13)
    what = "line 1 by automatic differentiation against line 2, away from the start"
    slope = grad(objective)(elsewhere)
    checks.close("eq-inner-1", what, elsewhere - 0.5 * lam * slope, inner_step(elsewhere, wanted), tolerance=1e-12)
    bare, norm = grad(lambda xi: 0.5 * objective(xi, power=1))(elsewhere), objective(elsewhere, power=1)
    what = "the objective without its square, as in the text, has another gradient: this one over 2 ‖·‖"
    alike = torch.allclose(bare * 2 * norm, 0.5 * slope, rtol=0, atol=1e-12)
    checks.true("eq-inner-1", what, alike and bool(norm < 0.4))
    xi = x
    for _ in range(3):
        xi = inner_step(xi, energy(x) - alpha - mean)
    three = MFMGDM(energy, target, lam * size, inner_steps=3)
    what = "three iterations, for γ = 1, against three inner steps of the library"
    checks.close("eq-inner-2", what, three.update(three.evaluate(x)), xi, tolerance=1e-12)
    first, second = inner_step(x, wanted), x - lam * gamma * _pull(energy, x, mean)
    what = "one iteration from the start, line 1 of the inner problem, against the equation"
    checks.close("eq-one-step-1", what, x - 0.5 * lam * grad(objective)(x), first, tolerance=1e-12)
    checks.close("eq-one-step-2", "the equation against the line before it", second, first, tolerance=1e-12)
    composite = MFMGDM(energy, target, lam * gamma * size)
    moved = composite.update(composite.evaluate(x))
    what = "a step by the library with the rate λγ against the first inner step"
    checks.close("eq-6", what, moved, first, tolerance=1e-12)
    slope = grad(lambda xi: 5 * 0.5 * (energy(xi) - alpha).mean(0).square().sum())(x)
    what = "the same against a gradient step on N · ½‖Φ̄ − α‖², by automatic differentiation"
    checks.close("eq-6", what, moved, x - lam * gamma * slope, tolerance=1e-12)
    return checks
