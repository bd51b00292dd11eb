"""The transition density of CIR checked against its stochastic differential equation (Section 5.1)."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import scipy.integrate
import scipy.stats
import torch
from torch import Tensor

from mfmgdm_lib.companion.paper import Checks
from mfmgdm_lib.companion.synthetic import CIR_EXPONENTIAL, CIR_TRUNCATED
from mfmgdm_lib.processes import CIR

__all__ = [
    "errors_of_draws",
    "forward_equation",
    "log_density_by_scipy",
    "moments_by_equations",
    "moments_by_quadrature",
    "short_moves",
    "transition_checks",
    "transition_density",
]


def transition_density(process: CIR, before: Tensor, now: Tensor) -> Tensor:
    """Density of a rate given the one before, from the library's densities of paths; the shapes broadcast.

    Example:
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> transition_density(CIR(0.5, 1.0, 1.0), one, one).numpy().round(4).tolist()
        [0.4672]
    """
    before, now = torch.broadcast_tensors(before, now)
    return (process.log_prob(torch.stack([before, now], -1)) - process.log_prob(before[..., None])).exp()


def log_density_by_scipy(process: CIR, path: Tensor) -> float:
    """Log-likelihood of one path, nats, from SciPy's gamma and noncentral chi-square laws."""
    kappa, theta, sigma, dt = process.kappa, process.theta, process.sigma, process.dt
    c = 2 * kappa / (sigma**2 * (1 - math.exp(-kappa * dt)))
    values = path.numpy()
    first = scipy.stats.gamma(2 * kappa * theta / sigma**2, scale=sigma**2 / (2 * kappa))
    later = scipy.stats.ncx2(4 * kappa * theta / sigma**2, 2 * c * math.exp(-kappa * dt) * values[:-1])
    return float(first.logpdf(values[0]) + (later.logpdf(2 * c * values[1:]) + math.log(2 * c)).sum())


def moments_by_quadrature(process: CIR, before: Tensor) -> Tensor:
    """Mean and variance of the rate one spacing after each of `before` (n,), from the density: (2, n).

    The trapezium rule in the logarithm of the rate is exact to round-off here.
    """
    log_grid = torch.linspace(-320.0, 9.0, 100_001, dtype=torch.float64)
    values, weights = log_grid.exp(), log_grid.exp() * (log_grid[1] - log_grid[0])
    density = transition_density(process, before[:, None], values) * weights
    mean = density @ values
    return torch.stack([mean, (density * (values - mean[:, None]) ** 2).sum(1)])


def moments_by_equations(process: CIR, before: Tensor) -> Tensor:
    """The same by dm = κ(θ − m) dt and dv = (σ²m − 2κv) dt, the averages of the diffusion."""

    def slope(_: float, y: np.ndarray) -> tuple[float, float]:
        return process.kappa * (process.theta - y[0]), process.sigma**2 * y[0] - 2 * process.kappa * y[1]

    starts = [(rate, 0.0) for rate in before.tolist()]
    solved = [scipy.integrate.solve_ivp(slope, (0, process.dt), y0, rtol=1e-11, atol=1e-13) for y0 in starts]
    return torch.from_numpy(np.stack([solution.y[:, -1] for solution in solved], axis=1))


def forward_equation(process: CIR, before: float, now: Tensor) -> Tensor:
    """Both sides of ∂p/∂t = −∂(κ(θ − r)p)/∂r + ½ ∂²(σ²rp)/∂r² at rates `now` (n,): (2, n).

    Derivatives are differences of fourth order.
    """
    kappa, theta, sigma = process.kappa, process.theta, process.sigma
    start = torch.tensor(before, dtype=torch.float64)

    def p(r: Tensor, dt: float = process.dt) -> Tensor:
        return transition_density(CIR(kappa, theta, sigma, dt), start, r)

    def sides(h: float) -> Tensor:
        above, below = now + h, now - h
        drift = [kappa * (theta - r) * p(r) for r in (above, below)]
        spread = [0.5 * sigma**2 * r * p(r) for r in (above, now, below)]
        change = (p(now, process.dt + h) - p(now, process.dt - h)) / (2 * h)
        flow = (drift[1] - drift[0]) / (2 * h) + (spread[0] - 2 * spread[1] + spread[2]) / h**2
        return torch.stack([change, flow])

    return (4 * sides(0.002) - sides(0.004)) / 3


def short_moves(process: CIR, before: float, dt: float) -> tuple[Tensor, Tensor]:
    """Mean and mean square of a move in a short time, over the time, (2,); and κ(θ − r) and σ²r, what they tend to."""
    kappa, theta, sigma = process.kappa, process.theta, process.sigma
    start = torch.tensor(before, dtype=torch.float64)
    now = start + sigma * math.sqrt(before * dt) * torch.linspace(-12.0, 12.0, 4001, dtype=torch.float64)
    density = transition_density(CIR(kappa, theta, sigma, dt), start, now) * (now[1] - now[0])
    moves = torch.stack([(density * (now - start) ** n).sum() / dt for n in (1, 2)])
    return moves, torch.tensor([kappa * (theta - before), sigma**2 * before], dtype=torch.float64)


def errors_of_draws(process: CIR, n: int, seed: int) -> Tensor:
    """Mean and variance of `n` draws given the one before, less the diffusion's, in standard errors: (4,).

    Each is weighted by 1 and by the rate before, so that an error in the dependence on it shows.
    """
    before, now = process.sample(n, 2, seed).T
    decay = math.exp(-process.kappa * process.dt)
    error = now - process.theta - (before - process.theta) * decay
    own = process.sigma**2 / process.kappa * (1 - decay) * (before * decay + 0.5 * process.theta * (1 - decay))
    products = [e * weight for e in (error, error**2 - own) for weight in (torch.ones_like(before), before)]
    return torch.stack([e.mean() / e.std() * n**0.5 for e in products])


def transition_checks() -> Checks:
    """Check the likelihood of CIR, Section 5.1, with Bessel functions of several orders, those of the paper among them.

    Raises:
        AssertionError: the library's density is not that of the diffusion.
    """
    orders = {
        "−1/2": CIR(0.25, 1.0, 1.0),
        "0": cast(CIR, CIR_EXPONENTIAL.process),
        "1": cast(CIR, CIR_TRUNCATED.process),
        "2.7": CIR(0.74, 2.5, 1.0, dt=0.4),
    }
    checks, every = Checks(), orders.values()
    paths = [process.sample(1, 40, seed=5)[0] for process in every]
    library = [float(process.log_prob(path)) for process, path in zip(every, paths, strict=True)]
    scipys = [log_density_by_scipy(process, path) for process, path in zip(every, paths, strict=True)]
    what = "log-likelihood of a path against SciPy's gamma and noncentral χ² laws; Bessel functions of orders "
    # 40 terms of order 1 to 10, each good to 1e-13 in SciPy.
    checks.close("eq-cir", what + ", ".join(orders), library, scipys, tolerance=1e-10)
    before = torch.tensor([0.05, 1.0, 4.0], dtype=torch.float64)
    by_density = torch.stack([moments_by_quadrature(process, before) for process in every])
    by_equations = torch.stack([moments_by_equations(process, before) for process in every])
    what = "mean and variance of a transition against the diffusion's moment equations; the same orders"
    # The equations are solved to 1e-11 a step.
    checks.close("eq-cir", what, by_density, by_equations, tolerance=1e-8)
    now = torch.tensor([0.4, 1.0, 2.3], dtype=torch.float64)
    change, flow = torch.stack([forward_equation(process, 0.8, now) for process in every], dim=1)
    what = "the transition density solves the diffusion's forward equation; the same orders"
    # What is left of the differences is h⁴ = 2e-11 times sixth derivatives, of order 10³ at most.
    checks.close("eq-cir", what, change, flow, tolerance=1e-7)
    moves, limits = map(torch.stack, zip(*(short_moves(process, 1.3, 1e-4) for process in every), strict=True))
    what = "mean and mean square of a move in dt = 0.0001, over dt, against κ(θ − r) and σ²r; the same orders"
    # To first order in dt = 1e-4 they are off by κ²(θ − r) dt/2 and by (drift² + …) dt.
    checks.close("eq-cir", what, moves, limits, tolerance=1e-3)
    draws = torch.stack([errors_of_draws(process, 100_000, seed=6) for process in every])
    what = "mean and variance of 100 000 draws given the one before: within 4.5 standard errors; the same orders"
    checks.true("eq-cir", what, bool(draws.abs().max() < 4.5))
    return checks
