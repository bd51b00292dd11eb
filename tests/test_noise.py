"""White noise and Student t noise: density against SciPy, moments by quadrature and from draws, and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from mfmgdm_lib.processes import GARCH, StudentNoise, WhiteNoise

PROCESSES = [
    StudentNoise(5.0),
    StudentNoise(2.5, mean=-3.0, stddev=0.02),
    StudentNoise(40.0, mean=100.0, stddev=7.0),
]

every_process = pytest.mark.parametrize("process", PROCESSES, ids=repr)


def test_papers_seed_gives_the_draws_of_numpy() -> None:
    expected = np.random.default_rng((2, 12345)).standard_normal((128, 1024))
    np.testing.assert_array_equal(WhiteNoise().sample(128, 1024, seed=(2, 12345)).numpy(), expected)


def test_log_prob_is_the_sum_of_normal_log_densities() -> None:
    law = WhiteNoise(mean=-1.5, stddev=2.5)
    x = law.sample(3, 17, seed=0)
    expected = torch.distributions.Normal(torch.tensor(-1.5).double(), 2.5).log_prob(x).sum(-1)
    torch.testing.assert_close(law.log_prob(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("stddev", [0.3, 1.0, 4.0])
def test_entropy_is_that_of_independent_normals(stddev: float) -> None:
    one = float(torch.distributions.Normal(0.0, torch.tensor(stddev, dtype=torch.float64)).entropy())
    assert WhiteNoise(2.0, stddev).entropy(10) == pytest.approx(10 * one, abs=1e-12)


def scale(process: StudentNoise) -> float:
    """That of the t distribution, whose variance is ν / (ν − 2) times its square."""
    return process.stddev * math.sqrt((process.degrees_of_freedom - 2) / process.degrees_of_freedom)


@every_process
def test_log_prob_is_the_sum_of_scipy_s_over_the_points(process: StudentNoise) -> None:
    x = process.sample(4, 50, seed=0)
    expected = scipy.stats.t.logpdf(x.numpy(), process.degrees_of_freedom, process.mean, scale(process)).sum(-1)
    # Round-off of a sum of 50 terms of order 10.
    np.testing.assert_allclose(process.log_prob(x), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("nu", [2.001, 1e4, 1e7, 1e12])
def test_log_prob_is_good_from_the_heaviest_tails_to_none(nu: float) -> None:
    x = torch.tensor([[0.0], [0.3], [-2.0], [10.0]], dtype=torch.float64)
    ours = StudentNoise(nu).log_prob(x)
    law = scipy.stats.t(nu, scale=math.sqrt((nu - 2) / nu)) if nu < 1e6 else scipy.stats.norm()
    # A normal law is x⁴ / 4ν away.
    np.testing.assert_allclose(ours, law.logpdf(x[:, 0].numpy()), rtol=0, atol=1e-10 if nu < 1e6 else 1e4 / nu + 1e-8)


@every_process
def test_density_integrates_to_one_and_has_the_moments_of_the_process(process: StudentNoise) -> None:
    # The trapezium rule in asinh(x): integrands vanish as exp(−(degrees − 2) |s|), and leave e⁻⁴⁰ beyond the ends.
    s = torch.linspace(-80.0, 80.0, 8001, dtype=torch.float64)
    deviation, weights = scale(process) * torch.sinh(s), scale(process) * torch.cosh(s) * (s[1] - s[0])
    density = process.log_prob((process.mean + deviation)[:, None]).exp() * weights
    assert float(density.sum()) == pytest.approx(1.0, abs=1e-11)
    assert float(density @ deviation) == pytest.approx(0.0, abs=1e-11 * process.stddev)
    assert float(density @ deviation**2) == pytest.approx(process.stddev**2, rel=1e-10)


@every_process
def test_points_are_independent_draws_of_the_law(process: StudentNoise) -> None:
    x = process.sample(200, 100, seed=1).numpy()
    law = scipy.stats.t(process.degrees_of_freedom, process.mean, scale(process))
    # Kolmogorov and Smirnov would see a deviation of 1 % in 20 000 draws; one in 10⁵ is as far away by chance.
    assert scipy.stats.kstest(x.ravel(), law.cdf).pvalue > 1e-5
    # Ranks have a variance, whatever the tails: correlations of neighbours within 4 standard errors of 0.
    ranks = law.cdf(x) - 0.5
    products = ranks[:, 1:] * ranks[:, :-1]
    assert abs(products.mean()) < 4 * products.std() / products.size**0.5


def test_draws_are_those_of_numpy_row_by_row() -> None:
    expected = np.random.default_rng(4).standard_t(6.0, (3, 8)) * math.sqrt(4 / 6) * 0.5 + 2.0
    np.testing.assert_allclose(StudentNoise(6.0, 2.0, 0.5).sample(3, 8, seed=4), expected, rtol=0, atol=1e-15)


def test_it_is_a_garch_whose_variance_stands_still() -> None:
    noise, other = StudentNoise(5.0, stddev=0.3), GARCH(0.09, 0.0, 0.0, degrees_of_freedom=5.0)
    x = noise.sample(3, 20, seed=2)
    torch.testing.assert_close(x, other.sample(3, 20, seed=2), rtol=0, atol=1e-15)
    torch.testing.assert_close(noise.log_prob(x), other.log_prob(x), rtol=0, atol=1e-12)


def test_light_tails_are_those_of_white_noise() -> None:
    x = WhiteNoise(1.0, 2.0).sample(3, 20, seed=3)
    # Each of 20 points is off by less than x⁴ / 4ν, x up to 4.
    torch.testing.assert_close(
        StudentNoise(1e9, 1.0, 2.0).log_prob(x),
        WhiteNoise(1.0, 2.0).log_prob(x),
        rtol=0,
        atol=20 * 64 / 1e9 + 20 * 1e-7,
    )


def test_gradient_is_the_derivative_of_the_values() -> None:
    process = StudentNoise(5.0, 0.3, 2.0)
    assert torch.autograd.gradcheck(process.log_prob, process.sample(2, 7, seed=3).requires_grad_())


def test_float32_stays_float32() -> None:
    process = StudentNoise(5.0)
    x = process.sample(4, 50, seed=5)
    single = process.log_prob(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), process.log_prob(x), rtol=0, atol=50 * 10 * 2.0**-23)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2.0,), "degrees_of_freedom is 2.0; expected a finite number above 2.*Use more of them, or WhiteNoise"),
        ((math.inf,), "degrees_of_freedom is inf"),
        ((math.nan,), "degrees_of_freedom is nan"),
        ((5.0, math.nan), "mean is nan; expected a finite number. Use one such as 0.0"),
        ((5.0, -math.inf), "mean is -inf"),
        ((5.0, 0.0, 0.0), "stddev is 0.0; expected a finite number above 0"),
        ((5.0, 0.0, -1.0), "stddev is -1.0"),
    ],
)
def test_arguments_out_of_range_are_said(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StudentNoise(*arguments)


@pytest.mark.parametrize(("n", "length", "name"), [(0, 3, "n is 0"), (3, 0, "length is 0")])
def test_samples_of_nothing_are_refused(n: int, length: int, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        StudentNoise(5.0).sample(n, length, seed=0)


def test_repr_says_what_it_is() -> None:
    assert repr(StudentNoise(5.0, -1.0, 0.25)) == "StudentNoise(5, mean=-1, stddev=0.25)"
