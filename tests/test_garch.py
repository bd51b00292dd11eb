"""GARCH(1, 1) with and without an AR(1) mean: likelihood against arch and quadrature, moments against theory."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch
from arch.univariate import GARCH as ArchGARCH
from arch.univariate import Normal, SkewStudent, StudentsT

from mfmgdm_lib.processes import AR, ARGARCH, GARCH

PROCESSES = [
    GARCH(0.03, 0.1, 0.87),
    GARCH(0.03, 0.1, 0.87, degrees_of_freedom=4.5),
    ARGARCH(-0.05, 0.02, 0.12, 0.85, mean=0.04),
    ARGARCH(0.7, 1.5, 0.3, 0.4, mean=-2.0, degrees_of_freedom=3.0),
    ARGARCH(0.5, 0.4, 0.0, 0.9),
    ARGARCH(0.0, 0.4, 0.6, 0.0),
]
ROUND_OFF = 1e-12  # of sums of some hundred numbers of order 1 in float64

FALLS = [  # those that tell falls from rises
    GARCH(0.03, 0.1, 0.87),
    ARGARCH(-0.05, 0.02, 0.02, 0.85, mean=0.04, asymmetry=0.2),
    ARGARCH(0.1, 0.02, 0.3, 0.6, degrees_of_freedom=5.0, asymmetry=-0.25),
    ARGARCH(0.1, 0.02, 0.1, 0.8, degrees_of_freedom=5.0, skew=0.3),
    ARGARCH(-0.06, 0.002, 0.0, 0.9, mean=0.1, degrees_of_freedom=8.0, asymmetry=0.15, skew=-0.2),
]

every_process = pytest.mark.parametrize("process", PROCESSES, ids=repr)
every_process_with_falls = pytest.mark.parametrize("process", PROCESSES + FALLS[1:], ids=repr)


def start_variance(process: ARGARCH) -> float:
    return process.omega / (1 - process.alpha - process.beta - (process.asymmetry or 0.0) * share_of_falls(process))


def share_of_falls(process: ARGARCH) -> float:
    """E[ε² 1(ε < 0)] by arch."""
    if process.skew is None:
        return 0.5
    return float(SkewStudent().partial_moment(2, 0.0, [process.degrees_of_freedom, process.skew]))


def log_density(process: ARGARCH, values: np.ndarray) -> np.ndarray:
    """Of innovations of variance 1, by SciPy and arch."""
    nu = process.degrees_of_freedom
    if process.skew is not None:
        return np.asarray(
            SkewStudent().loglikelihood([nu, process.skew], values, np.ones_like(values), individual=True)
        )
    law = scipy.stats.norm() if nu is None else scipy.stats.t(nu, scale=math.sqrt((nu - 2) / nu))
    return np.asarray(law.logpdf(values))


def log_prob_by_recursion(process: ARGARCH, x: np.ndarray) -> float:
    """Log-density of one path, point by point from the definition."""
    variance = start_variance(process)
    total, innovation = 0.0, 0.0
    for t, value in enumerate(x):
        if t == 0:
            spread = math.sqrt(variance / (1 - process.phi**2))
            innovation = (value - process.mean) * math.sqrt(1 - process.phi**2)
            total += log_density(process, np.array([(value - process.mean) / spread]))[0] - math.log(spread)
        else:
            feedback = process.alpha + (process.asymmetry or 0.0) * (innovation < 0)
            variance = process.omega + feedback * innovation**2 + process.beta * variance
            innovation = value - process.mean - process.phi * (x[t - 1] - process.mean)
            total += log_density(process, np.array([innovation / math.sqrt(variance)]))[0] - 0.5 * math.log(variance)
    return float(total)


@every_process_with_falls
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 64, 100])
def test_log_prob_is_that_of_the_recursion(process: ARGARCH, length: int) -> None:
    (x,) = process.sample(1, length, seed=0)
    assert float(process.log_prob(x)) == pytest.approx(log_prob_by_recursion(process, x.numpy()), abs=ROUND_OFF * 100)


@every_process
def test_log_prob_after_the_first_point_is_that_of_arch(process: ARGARCH) -> None:
    (x,) = process.sample(1, 200, seed=1)
    deviations = x.numpy() - process.mean
    innovations = deviations[1:] - process.phi * deviations[:-1]
    # arch starts at ω + (α + β) · backcast: the backcast that gives the variance of the second point here.
    first = (1 - process.phi**2) * deviations[0] ** 2
    backcast = (process.alpha * first + process.beta * start_variance(process)) / (process.alpha + process.beta)
    variances = np.empty_like(innovations)
    ArchGARCH().compute_variance(
        np.array([process.omega, process.alpha, process.beta]),
        innovations,
        variances,
        backcast,
        np.tile([0.0, np.inf], (len(innovations), 1)),  # where arch would cut its variances off
    )
    nu = process.degrees_of_freedom
    law, parameters = (Normal(), np.array([])) if nu is None else (StudentsT(), np.array([nu]))
    ours = float(process.log_prob(x) - process.log_prob(x[:1]))
    assert ours == pytest.approx(law.loglikelihood(parameters, innovations, variances), abs=ROUND_OFF * 200)


@every_process
def test_density_of_two_points_has_the_moments_of_the_process(process: ARGARCH) -> None:
    # The trapezium rule in asinh(x): the integrands vanish exponentially in it, also with heavy tails, where those of
    # second moments go as exp(−(degrees − 2) |s|) and leave e⁻³⁰ beyond the ends.
    s = torch.linspace(-30.0, 30.0, 1001, dtype=torch.float64)
    x, weights = process.mean + torch.sinh(s), torch.cosh(s) * (s[1] - s[0])
    one = process.log_prob(x[:, None]).exp() * weights
    # Two points are far apart in scale: the second is seen from where the mean would take it.
    expected = process.mean + process.phi * (x - process.mean)
    second = expected[:, None] + torch.sinh(s)
    first = x[:, None].expand_as(second)
    two = process.log_prob(torch.stack([first, second], -1)).exp() * weights[:, None] * weights
    variance, deviation = process.stddev**2, x - process.mean
    assert float(one.sum()) == pytest.approx(1.0, abs=1e-11)
    assert float(one @ deviation**2) == pytest.approx(variance, rel=1e-11)
    assert float(two.sum()) == pytest.approx(1.0, abs=1e-11)
    assert float((two * (second - process.mean)).sum()) == pytest.approx(0.0, abs=1e-11)
    assert float((two * (second - process.mean) ** 2).sum()) == pytest.approx(variance, rel=1e-11)
    covariance = float((two * (second - process.mean) * deviation[:, None]).sum())
    assert covariance == pytest.approx(process.phi * variance, abs=1e-11 * variance)


@pytest.mark.parametrize("phi", [0.0, 0.8, -0.4])
def test_without_feedback_it_is_an_autoregression(phi: float) -> None:
    process, plain = ARGARCH(phi, 0.49, 0.0, 0.0), AR([phi], innovation_std=0.7)
    x = plain.sample(3, 50, seed=2)
    torch.testing.assert_close(process.log_prob(x), plain.log_prob(x), rtol=0, atol=ROUND_OFF * 50)
    assert process.stddev == pytest.approx(plain.stddev, rel=1e-14)


@pytest.mark.parametrize("nu", [2.001, 5.0, 1e4, 1e7, 1e15])
def test_student_innovations_have_unit_variance_and_their_density(nu: float) -> None:
    x = torch.tensor([[0.0], [0.3], [-2.0], [10.0]], dtype=torch.float64)
    law = scipy.stats.norm() if nu == 1e15 else scipy.stats.t(nu, scale=math.sqrt((nu - 2) / nu))
    ours = GARCH(1.0, 0.0, 0.0, degrees_of_freedom=nu).log_prob(x)
    # log Γ(ν/2) is of the size of ν log ν and carries its rounding, below ν = 2 · 10⁶ where an expansion takes over.
    np.testing.assert_allclose(ours.numpy(), law.logpdf(x[:, 0].numpy()), rtol=0, atol=1e-8 if nu > 1e6 else 1e-10)


@every_process_with_falls
def test_gradient_is_the_derivative_of_the_values(process: ARGARCH) -> None:
    x = process.sample(2, 7, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(process.log_prob, x)


@pytest.mark.parametrize("nu", [None, 5.0])
def test_draws_are_those_of_numpy_row_by_row(nu: float | None) -> None:
    rng = np.random.default_rng(4)
    expected = rng.standard_normal((3, 8)) if nu is None else rng.standard_t(nu, (3, 8)) * math.sqrt(3 / 5)
    x = GARCH(1.0, 0.0, 0.0, degrees_of_freedom=nu).sample(3, 8, seed=4)
    np.testing.assert_array_equal(x.numpy(), expected)


def test_kurtosis_builds_up_from_that_of_the_innovations_to_the_stationary_one() -> None:
    n, process = 300_000, GARCH(0.5, 0.2, 0.3)
    stationary = 3.0 * (1 - 0.5**2) / (1 - 0.5**2 - 2 * 0.2**2)  # Bollerslev (1986), for Gaussian innovations
    fourth = process.sample(n, 20, seed=5)[:, [0, -1]].pow(4)  # 0.5¹⁹ of the start is left
    # The variance is 1, and the eighth moment exists: 105 α⁴ + 60 α³β + 18 α²β² + 4 αβ³ + β⁴ < 1. 4 standard errors.
    start_error, end_error = (4 * fourth.std(0) / n**0.5).tolist()
    start, end = fourth.mean(0).tolist()
    assert start == pytest.approx(3.0, abs=start_error)
    assert end == pytest.approx(stationary, abs=end_error)
    assert stationary - end_error > 3.0 + start_error  # or the two could not be told apart


@pytest.mark.parametrize("process", [process for process in PROCESSES if process.degrees_of_freedom is None], ids=repr)
def test_autocovariance_of_the_paths_is_that_of_an_autoregression(process: ARGARCH) -> None:
    n = 20_000
    deviations = process.sample(n, 4, seed=6) - process.mean
    for lag in range(1, 4):
        products = deviations[:, 0] * deviations[:, lag]
        # Paths are independent; 4.5 standard errors, for 12 numbers.
        exact = process.phi**lag * process.stddev**2
        assert float(products.mean()) == pytest.approx(exact, abs=4.5 * float(products.std()) / n**0.5)


def test_garch_is_the_ar_garch_without_a_mean() -> None:
    general = ARGARCH(0.0, 0.03, 0.1, 0.87, degrees_of_freedom=6.0)
    special = GARCH(0.03, 0.1, 0.87, degrees_of_freedom=6.0)
    x = special.sample(2, 20, seed=7)
    assert torch.equal(x, general.sample(2, 20, seed=7))
    assert torch.equal(special.log_prob(x), general.log_prob(x))


@pytest.mark.parametrize(("nu", "skew"), [(5.0, 0.3), (8.0, -0.2), (3.0, -0.9)])
def test_skewed_draws_are_those_of_hansen_s_law_by_arch(nu: float, skew: float) -> None:
    x = ARGARCH(0.0, 1.0, 0.0, 0.0, degrees_of_freedom=nu, skew=skew).sample(1, 50_000, seed=8)[0].numpy()
    found = scipy.stats.kstest(x, lambda values: SkewStudent().cdf(values, [nu, skew]))
    assert found.pvalue > 1e-3


@pytest.mark.parametrize("process", FALLS[1:], ids=repr)
def test_variance_with_falls_is_stationary(process: ARGARCH) -> None:
    n = 100_000
    squares = (process.sample(n, 3, seed=9) - process.mean).square()
    errors = 4.5 * squares.std(0) / n**0.5
    assert ((squares.mean(0) - process.stddev**2).abs() < errors).all()
    wrong = process.omega / (1 - process.alpha - process.beta - (process.asymmetry or 0.0)) / (1 - process.phi**2)
    assert process.asymmetry is None or abs(wrong / process.stddev**2 - 1) > 0.3  # or the test could not tell


def test_asymmetry_of_zero_and_no_skew_change_nothing() -> None:
    plain, zero = (ARGARCH(0.1, 0.03, 0.1, 0.8, degrees_of_freedom=6.0, asymmetry=value) for value in (None, 0.0))
    x = plain.sample(2, 20, seed=7)
    assert torch.equal(x, zero.sample(2, 20, seed=7)) and torch.equal(plain.log_prob(x), zero.log_prob(x))
    skewed = ARGARCH(0.1, 0.03, 0.1, 0.8, degrees_of_freedom=6.0, skew=0.0)
    torch.testing.assert_close(skewed.log_prob(x), plain.log_prob(x), rtol=0, atol=ROUND_OFF * 20)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"asymmetry": -0.2}, r"asymmetry is -0.2 with alpha 0.1; expected at least -0.1"),
        ({"asymmetry": 0.3}, r"asymmetry is 0.3 .* leaves 1.05"),
        ({"skew": 0.1}, r"skew is 0.1 with degrees_of_freedom None"),
        ({"skew": 1.0, "degrees_of_freedom": 5.0}, r"skew is 1.0; expected a number between -1 and 1"),
    ],
)
def test_falls_that_have_no_law_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ARGARCH(0.0, 0.1, 0.1, 0.8, **arguments)  # type: ignore[arg-type]


def test_repr_says_what_the_process_is() -> None:
    assert repr(GARCH(0.03, 0.1, 0.87)) == "GARCH(0.03, 0.1, 0.87)"
    assert repr(ARGARCH(0.1, 0.03, 0.1, 0.8, mean=0.5, degrees_of_freedom=6)) == (
        "ARGARCH(0.1, 0.03, 0.1, 0.8, degrees_of_freedom=6, mean=0.5)"
    )
