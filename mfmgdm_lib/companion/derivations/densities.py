"""Section 3.2: the density that a descent carries along, held against derivatives, kernels and Gaussian laws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import pandas as pd
import scipy.stats
import torch
from scipy.stats import sem
from torch import Tensor
from torch.distributions import kl_divergence
from torch.func import jacrev, vmap

from mfmgdm_lib.companion.closed_forms import LinearEnergy, gaussian_law, linear_descent, mean_field_limit
from mfmgdm_lib.companion.paper import Checks
from mfmgdm_lib.companion.synthetic import SyntheticExperiment
from mfmgdm_lib.descents import Descent
from mfmgdm_lib.divergence import DivergenceTrace, reverse_kl_trace
from mfmgdm_lib.energies import Autocovariance
from mfmgdm_lib.log_determinants import log_determinant
from mfmgdm_lib.processes import AR, WhiteNoise
from mfmgdm_lib.target import Target

__all__ = [
    "KernelEstimate",
    "claimed_errors",
    "divergence_parts",
    "excess_over_limit",
    "falls_as_inverse",
    "flow_checks",
    "fold_radius",
    "gaussian_checks",
    "joint_and_path",
    "kernel_estimate",
    "mean_descent",
    "parts_checks",
    "seen_errors",
]

_NOISE, _SHIFTED = WhiteNoise(), WhiteNoise(mean=1.0)


# --- the formula ---------------------------------------------------------------------------------------------------


class KernelEstimate(NamedTuple):
    """A log-density by kernels at the paths of a trace, and what it is off by."""

    log_density: np.ndarray
    """By the narrower kernels, nats, (N,)."""
    bias: float
    """Its mean, less that of the trace, nats."""
    allowed: float
    """By how much kernels may fall short: what doubling their width adds, and `noise`."""
    noise: float
    """Four standard errors of the bias."""


def kernel_estimate(trace: DivergenceTrace, ends: Tensor) -> KernelEstimate:
    """Estimate the log-density at the end of a trace by kernels on `ends` (n, d), other paths of the same descent.

    Kernels smear, so their mean log-density is too small, by an amount that shrinks at least in proportion to their
    width: what a width leaves is no more than what doubling it adds.
    """
    density, smooth = (scipy.stats.gaussian_kde(ends.T, width).logpdf(trace.paths.T) for width in (0.07, 0.14))
    narrow, wide = density - trace.log_q[-1], smooth - trace.log_q[-1]
    noise = 4 * narrow.std() / len(narrow) ** 0.5
    return KernelEstimate(density, float(narrow.mean()), float((narrow - wide).mean() + noise), float(noise))


def flow_checks(estimate: KernelEstimate) -> Checks:
    """Check the density of a flow, the unnumbered equation of Section 3.2: by derivatives, and in the plane by kernels.

    Raises:
        AssertionError: the library deviates from the equation.
    """
    checks = Checks()
    small = SyntheticExperiment(AR([0.5]), Autocovariance(), 0.2, n_steps=10, n_paths=4, length=16)
    energy, rate, alpha = small.energy, small.model(1).rate, small.target.mean

    def step(x: Tensor) -> Tensor:
        """Paper eq. (3), with the target that the paper absorbs into the energy."""
        return x - rate * jacrev(energy)(x).T @ (energy(x) - alpha)

    states = [small.start.sample(4, 16, small.initial_seed)]
    for _ in range(10):
        states.append(vmap(step)(states[-1]))
    start = small.start.log_prob(states[0])
    jacobians = [vmap(jacrev(step))(x) for x in states[:-1]]
    by_sum = start - sum(torch.linalg.slogdet(jacobian).logabsdet for jacobian in jacobians)

    def all_steps(x: Tensor) -> Tensor:
        for _ in range(10):
            x = step(x)
        return x

    at_once = start - torch.linalg.slogdet(vmap(jacrev(all_steps))(states[0])).logabsdet
    log_q = small.trace(ensemble_size=1).log_q[-1]
    # Round-off of ten log-determinants, each of 16 factors of order 1, in float64.
    what = "log-density (d = 16, 10 steps) against the equation, with automatic derivatives"
    checks.close("eq-flow", what, log_q, by_sum, tolerance=1e-12)
    what = "the same against one determinant of all ten steps at once"
    checks.close("eq-flow", what, log_q, at_once, tolerance=1e-12)
    what = "divergence in the plane: kernels fall short of it by no more than their bias"
    checks.true("eq-flow", what, -estimate.allowed < estimate.bias < estimate.noise)
    return checks


def fold_radius(model: Descent) -> float:
    """How far from 0 the first step of a descent of paths of two points folds the plane, to 0.01; infinite beyond 8."""
    radius = torch.linspace(0.0, 8.0, 801, dtype=torch.float64)
    angle = torch.linspace(0.0, math.pi, 61, dtype=torch.float64)
    rays = torch.stack((angle.cos(), angle.sin()), dim=-1)
    for part in radius.split(50):
        around = model.evaluate((part[:, None, None] * rays).flatten(0, 1))
        folds = (log_determinant(model, around).non_positive > 0).reshape(-1, 61).any(-1)
        if folds.any():
            return float(part[folds].min())
    return math.inf


# --- where the answer is known -------------------------------------------------------------------------------------


def mean_descent(length: int, members: int) -> Descent:
    """A descent that asks for paths of mean 1, at 5 % a step, in ensembles of `members` paths."""
    energy, one = LinearEnergy(torch.full((1, length), 1 / length)), torch.ones(1).double()
    target = Target(one, 0 * one, energy.labels, "mean 1")
    return Descent(energy, target, 0.05 * length, ensemble_size=members)


def gaussian_checks() -> Checks:
    """Check log-densities of linear descents and the divergence (Section 1) against the Gaussian laws that they have.

    Raises:
        AssertionError: the library deviates from a closed form.
    """
    checks = Checks()
    for name, members in (("MGDM", 1), ("MF–MGDM, N = 16", 16)):
        model = mean_descent(8, members)
        run = reverse_kl_trace(model, _SHIFTED, _NOISE, n_steps=10, n_paths=32, length=8, seed=1, determinants="dense")
        law = linear_descent(model, _NOISE, n_steps=10, members=members)
        joint = run.log_q[-1].reshape(-1, members).sum(1)
        exact = law.joint.log_prob(run.paths.reshape(-1, 8 * members))
        # Round-off of the quadratic form of up to 128 terms of order 1 under a condition number below 3.
        what = f"{name}: joint log-density of each ensemble against the Gaussian that it is"
        checks.close("eq-flow", what, joint, exact, tolerance=1e-11)
    one, other = (gaussian_law(AR(phi), 64) for phi in ([0.5], [0.2, -0.1]))
    cross = other.log_prob(one.mean) - 0.5 * (other.precision_matrix * one.covariance_matrix).sum()
    what = "−H(q) − E log p of two autoregressions (d = 64) against the closed form for Gaussians"
    checks.close("eq-kl", what, -one.entropy() - cross, kl_divergence(one, other), tolerance=1e-11)
    return checks


def joint_and_path(members: int, n_steps: int) -> dict[str, float]:
    """Divergences of `mean_descent` of 16 points after some steps, nats: of the "joint" law, over N, and of one "path".

    Raises:
        AssertionError: they do not differ by the total correlation, over N.
    """
    law = linear_descent(mean_descent(16, members), _NOISE, n_steps=n_steps, members=members)
    truth = gaussian_law(_SHIFTED, 16)
    joint, path = law.joint_kl(truth), law.path_kl(truth)
    # Round-off of a few 10⁻¹⁶ times the condition number of the joint covariance, which is 0.95^-400 = 10⁹ at the most.
    if not abs(joint - path - law.total_correlation) < 1e-6:
        raise AssertionError(f"joint {joint} less path {path} is not the total correlation {law.total_correlation}")
    return {"joint": joint, "path": path}


def excess_over_limit(experiment: SyntheticExperiment, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """How much larger the divergence of finite ensembles is than that of the mean-field limit (Section 4).

    Args:
        experiment: its last step is looked at, from its own starting paths: 16 ensembles of each size, or 512 paths.
        sizes: of ensembles, (n,).

    Returns:
        The excess and its standard error, nats per path, (n,) each.
    """
    start, process, steps = cast(WhiteNoise, experiment.start), experiment.process, experiment.n_steps
    limit = mean_field_limit(experiment.model(), start, n_steps=steps, length=experiment.length)
    found = []
    for size in map(int, sizes):
        n_paths = max(512, 16 * size)
        run = experiment.trace(size, n_paths=n_paths)
        x0 = start.sample(n_paths, experiment.length, experiment.initial_seed)  # those that the run starts from
        gap = (run.log_q - run.log_p)[-1] - limit.log_ratio(x0, process, steps).numpy()
        each = gap.reshape(-1, size).mean(1)
        found.append((each.mean(), sem(each)))
    excess, errors = np.transpose(found)
    return excess, errors


def falls_as_inverse(sizes: np.ndarray, values: np.ndarray, errors: np.ndarray) -> bool:
    """Whether values with standard errors, (n,) each, are one constant over their sizes, and the first not 0.

    Size times value is then χ² about its mean, with n − 1 degrees of freedom. The next order, 1/N², is allowed for by
    what it would add at the first size, 8: an eighth of the constant.
    """
    levels, spread = values * sizes, errors * sizes
    constant = np.average(levels, weights=spread**-2)
    misfit = (((levels - constant) / spread) ** 2).sum()
    allowed = scipy.stats.chi2.ppf(0.9999, len(sizes) - 1) + (constant / 8 / spread[0]) ** 2
    return bool(misfit < allowed and levels[0] > 20 * spread[0])


# --- what an estimate is worth -------------------------------------------------------------------------------------


def divergence_parts(trace: DivergenceTrace, process: AR, start: WhiteNoise) -> pd.DataFrame:
    """Entropy of a Gaussian start, its expected log-likelihood and its divergence: exactly, and from a trace's paths.

    Returns:
        Columns "exact", "estimate" and "standard error" (of the estimate), nats per path.
    """
    length = trace.paths.shape[-1]
    p, q0 = (gaussian_law(law, length) for law in (process, start))
    expected = p.log_prob(q0.mean) - 0.5 * p.precision_matrix.trace()
    draws = np.stack([-trace.log_q[0], trace.log_p[0], trace.log_q[0] - trace.log_p[0]])
    return pd.DataFrame(
        {
            "exact": [start.entropy(length), float(expected), float(kl_divergence(q0, p))],
            "estimate": draws.mean(1),
            "standard error": sem(draws, axis=1),
        },
        index=["entropy of the start", "its expected log-likelihood", "its reverse KL"],
    )


def parts_checks(parts: pd.DataFrame) -> Checks:
    """Check what `divergence_parts` returns for white noise against AR(0.1): the unnumbered equation of Section 1.

    Raises:
        AssertionError: an estimate is too far off.
    """
    checks = Checks()
    what = (
        "entropy, log-likelihood and divergence of white noise against AR(0.1), d = 1024: from 2048 paths,"
        " within 4 standard errors of the exact"
    )
    close = abs(parts["estimate"] - parts["exact"]) < 4 * parts["standard error"]
    checks.true("eq-kl", what, bool(close.all()))
    return checks


def claimed_errors(values: np.ndarray, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The standard error that a run of n of the independent `values` claims: mean over runs, and its error, (n,) each.

    Args:
        values: nats per path; cut into runs.
        sizes: paths in a run, each a divisor of their number.
    """
    runs = [sem(values.reshape(-1, n), axis=1) for n in sizes]
    return np.array([run.mean() for run in runs]), np.array([sem(run) for run in runs])


def seen_errors(values: np.ndarray, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The same as the spread of the means of runs, and its error."""
    means = [values.reshape(-1, n).mean(1) for n in sizes]
    spread = np.array([mean.std(ddof=1) for mean in means])
    return spread, spread / np.sqrt(2 * (np.array([len(mean) for mean in means]) - 1))
