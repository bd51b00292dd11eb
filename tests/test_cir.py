"""CIR: its law by quadrature and by mpmath, its draws against NumPy's, and its boundary at zero."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Autocovariance
from mfmgdm_lib.processes import CIR

PAPERS = [CIR(0.5, 1.0, 1.0), CIR(2**-0.5, 2**0.5, 1.0)]
PROCESSES = [
    *PAPERS,
    CIR(0.05, 1.0, 1.0),  # order −0.9 of the Bessel function
    CIR(0.25, 1.0, 1.0, dt=0.1),
    CIR(1.3, 0.7, 0.8, dt=0.3),
    CIR(0.5, 9.65, 0.5, dt=0.25),  # order 37.6
    CIR(2.0, 3.0, 0.2, dt=0.05),  # order 299
    CIR(30.0, 1.0, 5.0, dt=2.0),  # every point forgets the one before it
]

# Points for integrals over the half-line: the trapezium rule in log x, whose error is far below round-off, as the
# integrands vanish smoothly at both ends: x^0.1 at e⁻³²⁰ is 1e-14.
LOG_GRID = torch.linspace(-320.0, 9.0, 200_001, dtype=torch.float64)
GRID, WEIGHTS = LOG_GRID.exp(), LOG_GRID.exp() * (LOG_GRID[1] - LOG_GRID[0])
# A log-density is a sum of a few numbers of at most 10⁴ here, each good to 2⁻⁵³ relative.
ROUND_OFF = 1e-11

every_process = pytest.mark.parametrize("process", PROCESSES, ids=repr)


def stationary(process: CIR, x: Tensor | float) -> Tensor:
    return process.log_prob(torch.as_tensor(x, dtype=torch.float64)[..., None]).exp()


def transition(process: CIR, before: Tensor | float, now: Tensor | float) -> Tensor:
    """Density of a point given the one before it, from the density of paths alone."""
    before, now = torch.broadcast_tensors(*(torch.as_tensor(x, dtype=torch.float64) for x in (before, now)))
    return (process.log_prob(torch.stack([before, now], -1)) - process.log_prob(before[..., None])).exp()


def log_density_by_mpmath(process: CIR, before: float, now: float) -> float:
    """Logarithm of the joint density of two points, by its textbook formula, with 50 digits."""
    with mpmath.workdps(50):
        kappa, theta, sigma, dt, x, y = map(
            mpmath.mpf, (process.kappa, process.theta, process.sigma, process.dt, before, now)
        )
        decay = mpmath.exp(-kappa * dt)
        c = 2 * kappa / (sigma**2 * (1 - decay))
        shape, scale = 2 * kappa * theta / sigma**2, sigma**2 / (2 * kappa)
        u, v, q = c * x * decay, c * y, shape - 1
        bessel = mpmath.besseli(q, 2 * mpmath.sqrt(u * v))
        log_transition = mpmath.log(c) - u - v + q / 2 * mpmath.log(v / u) + mpmath.log(bessel)
        log_first = (shape - 1) * mpmath.log(x) - x / scale - mpmath.loggamma(shape) - shape * mpmath.log(scale)
        return float(log_first + log_transition)


@every_process
def test_first_point_has_the_gamma_law(process: CIR) -> None:
    x = torch.tensor([1e-9, 0.01, 0.5, 1.0, 3.0, 20.0], dtype=torch.float64)
    shape, scale = 2 * process.kappa * process.theta / process.sigma**2, process.sigma**2 / (2 * process.kappa)
    expected = scipy.stats.gamma(shape, scale=scale)
    np.testing.assert_allclose(process.log_prob(x[:, None]), expected.logpdf(x), rtol=1e-13, atol=ROUND_OFF)
    assert (process.mean, process.stddev) == pytest.approx((expected.mean(), expected.std()), rel=1e-14)


@every_process
@pytest.mark.parametrize("before", [0.0, 0.02, 1.0, 7.0])
def test_transition_integrates_to_one_with_the_mean_and_variance_of_the_diffusion(process: CIR, before: float) -> None:
    decay = math.exp(-process.kappa * process.dt)
    mean = before * decay + process.theta * (1 - decay)
    variance = process.sigma**2 / process.kappa * (before * decay * (1 - decay) + process.theta * (1 - decay) ** 2 / 2)
    if before == 0.0:  # the density of a first point of 0 may be 0 or infinite: its limit
        before = 1e-20
    density = transition(process, before, GRID) * WEIGHTS
    assert float(density.sum()) == pytest.approx(1.0, rel=ROUND_OFF)
    assert float(density @ GRID) == pytest.approx(mean, rel=ROUND_OFF)
    assert float(density @ (GRID - mean) ** 2) == pytest.approx(variance, rel=ROUND_OFF)


@every_process
@pytest.mark.parametrize("now", [1e-6, 0.3, 2.0, 11.0])
def test_gamma_law_is_stationary(process: CIR, now: float) -> None:
    later = (stationary(process, GRID) * transition(process, GRID, now)) @ WEIGHTS
    assert float(later) == pytest.approx(float(stationary(process, now)), rel=ROUND_OFF)


@every_process
@pytest.mark.parametrize(("before", "now"), [(0.4, 1.1), (2.0, 0.01), (5.0, 6.0)])
def test_one_long_step_is_two_short_ones(process: CIR, before: float, now: float) -> None:
    kappa, theta, sigma, dt = process.kappa, process.theta, process.sigma, process.dt
    first, second = CIR(kappa, theta, sigma, 0.3 * dt), CIR(kappa, theta, sigma, 0.7 * dt)
    by_two = (transition(first, before, GRID) * transition(second, GRID, now)) @ WEIGHTS
    assert float(by_two) == pytest.approx(float(transition(process, before, now)), rel=ROUND_OFF)


@every_process
def test_transition_is_the_noncentral_chi_square_of_scipy(process: CIR) -> None:
    before, now = np.meshgrid([0.1, 0.5, 1.0, 3.0], [0.2, 0.9, 1.4, 4.0])
    decay = math.exp(-process.kappa * process.dt)
    c = 2 * process.kappa / (process.sigma**2 * (1 - decay))
    law = scipy.stats.ncx2(4 * process.kappa * process.theta / process.sigma**2, 2 * c * decay * before)
    expected = law.logpdf(2 * c * now) + math.log(2 * c)
    ours = transition(process, torch.from_numpy(before), torch.from_numpy(now)).log().numpy()
    # SciPy's Bessel function underflows, and ours as a density, where they are this unlikely.
    comparable = (expected > -600) & np.isfinite(ours)
    assert comparable.sum() >= 4
    np.testing.assert_allclose(ours[comparable], expected[comparable], rtol=ROUND_OFF, atol=ROUND_OFF)


EXTREMES = [(1e-12, 1e-12), (1e-12, 1.0), (1.0, 1e-12), (1e-12, 3e5), (3e5, 1e-12), (1e3, 1.3e3), (2e5, 2.5e5)]


@pytest.mark.parametrize("process", [*PROCESSES[:3], CIR(0.5, 9.65, 0.5, dt=0.25), CIR(1.0, 0.3, 1.0)], ids=repr)
@pytest.mark.parametrize(("before", "now"), EXTREMES)
def test_log_prob_at_extremes_is_that_of_mpmath(process: CIR, before: float, now: float) -> None:
    x = torch.tensor([before, now], dtype=torch.float32)
    single, double = process.log_prob(x), process.log_prob(x.double())
    expected = log_density_by_mpmath(process, *x.tolist())
    # (√u − √v)² is good to 2⁻⁵⁰ (√u + √v) |√u − √v|, and that is at most the size of the terms that it replaces.
    assert float(double) == pytest.approx(expected, rel=1e-13, abs=1e-14 * (before + now) + ROUND_OFF)
    assert single.dtype == torch.float32
    assert float(single) == float(double.float())


def test_log_prob_of_a_path_is_the_sum_over_its_steps() -> None:
    process = PAPERS[1]
    (x,) = process.sample(1, 9, seed=0)
    steps = transition(process, x[:-1], x[1:]).log().sum() + process.log_prob(x[:1])
    assert float(process.log_prob(x)) == pytest.approx(float(steps), abs=1e-12)


@every_process
def test_gradient_is_the_derivative_of_the_values(process: CIR) -> None:
    # Away from 0, where the differences that the derivatives are checked against would be coarse.
    x = process.theta * torch.linspace(0.5, 2.0, 8, dtype=torch.float64).reshape(4, 2).T.contiguous()
    assert torch.autograd.gradcheck(process.log_prob, x.requires_grad_())


@every_process
def test_path_below_zero_has_no_density_and_leaves_the_others_alone(process: CIR) -> None:
    x = process.sample(3, 6, seed=2)
    x[1, 2], x[1, 4] = -1e-9, -1e300
    x.requires_grad_()
    log_prob = process.log_prob(x)
    log_prob.sum().backward()
    assert log_prob[1] == -torch.inf
    assert torch.equal(log_prob[[0, 2]].detach(), process.log_prob(x[[0, 2]]).detach())
    assert x.grad is not None and torch.isfinite(x.grad).all()
    assert (x.grad[[0, 2]] != 0).all() and (x.grad[1] == 0).all()


@pytest.mark.parametrize(
    ("process", "density"),
    [(CIR(0.25, 1.0, 1.0), math.inf), (PAPERS[0], None), (CIR(0.5, 0.49, 0.7), None), (PAPERS[1], -math.inf)],
    ids=["order below 0", "order 0", "order 0 but for rounding", "order above 0"],
)
@pytest.mark.parametrize("at", [0, 3, 5])
def test_density_at_zero_goes_by_the_order(process: CIR, density: float | None, at: int) -> None:
    x = process.sample(1, 6, seed=3)
    x[0, at] = 0.0
    x.requires_grad_()
    log_prob = process.log_prob(x)
    log_prob.sum().backward()
    if density is None:
        nearby = x.detach().clone()
        nearby[0, at] = 1e-18  # times slopes of some hundreds
        assert float(log_prob.detach()) == pytest.approx(float(process.log_prob(nearby)), abs=1e-12)
    else:
        assert float(log_prob.detach()) == density
    assert x.grad is not None
    others = [i for i in range(6) if i != at]
    assert torch.isfinite(x.grad[0, others]).all()
    assert not torch.isnan(x.grad).any()


@every_process
def test_draws_are_those_of_numpy_one_time_after_the_other(process: CIR) -> None:
    n, length = 5, 4
    kappa, theta, sigma, dt = process.kappa, process.theta, process.sigma, process.dt
    rng = np.random.default_rng((3, 12345))
    decay = math.exp(-kappa * dt)
    c = 2 * kappa / (sigma**2 * (1 - decay))
    expected = [rng.gamma(2 * kappa * theta / sigma**2, sigma**2 / (2 * kappa), n)]
    for _ in range(length - 1):
        u = c * decay * expected[-1]
        expected.append(rng.noncentral_chisquare(4 * kappa * theta / sigma**2, 2 * u, n) / (2 * c))
    x = process.sample(n, length, seed=(3, 12345)).numpy()
    # The same draws from parameters that are rounded in another order, a few units in the last place for each step.
    np.testing.assert_allclose(x, np.stack(expected, axis=1), rtol=1e-13)


@every_process
def test_autocovariance_of_the_paths_decays_as_that_of_the_diffusion(process: CIR) -> None:
    n = 40_000
    deviations = process.sample(n, 4, seed=4) - process.mean
    for lag in range(4):
        products = deviations[:, 0] * deviations[:, lag]
        exact = process.stddev**2 * math.exp(-process.kappa * process.dt * lag)
        # Paths are independent; 4.5 standard errors, for 32 numbers.
        assert float(products.mean()) == pytest.approx(exact, abs=4.5 * float(products.std()) / n**0.5)


def test_target_is_that_of_paths_drawn_at_once() -> None:
    energy, process = Autocovariance(), PAPERS[0]
    target = mm.estimate_target(energy, process, n_samples=1300, length=64, seed=(3, 12345))
    at_once = energy(process.sample(1300, 64, seed=(3, 12345)))
    torch.testing.assert_close(target.mean, at_once.mean(0), rtol=0, atol=1e-12)
    # E[x_i x_(i−1)] = θ² + e^−κ · variance, 63 of them over 64; E[x_i²] = θ² + variance.
    exact = torch.tensor([63 / 64 * (1 + math.exp(-0.5)), 2.0]).double()
    assert ((target.mean - exact).abs() < 4 * target.standard_error).all()


def test_repr_says_what_the_process_is() -> None:
    assert repr(CIR(0.5, 1.0, 1.0)) == "CIR(kappa=0.5, theta=1, sigma=1)"
    assert repr(CIR(0.5, 1.0, 1.0, dt=0.25)) == "CIR(kappa=0.5, theta=1, sigma=1, dt=0.25)"
