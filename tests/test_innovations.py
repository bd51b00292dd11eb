"""Laws of innovations: densities, tails, quantiles and scores against SciPy and arch, moments against quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from arch.univariate import SkewStudent

from mfmgdm_lib.processes.innovations import (
    GaussianInnovations,
    InnovationLaw,
    SkewedStudentInnovations,
    StudentInnovations,
    innovation_law,
)

LAWS: list[InnovationLaw] = [
    GaussianInnovations(),
    StudentInnovations(2.1),
    StudentInnovations(6.0),
    StudentInnovations(100.0),
    SkewedStudentInnovations(2.1, 0.6),
    SkewedStudentInnovations(6.0, -0.4),
    SkewedStudentInnovations(100.0, 0.1),
]
every_law = pytest.mark.parametrize("law", LAWS, ids=repr)

Z = np.array([-1e3, -30.0, -2.0, -0.1, 0.0, 0.1, 1.0, 30.0, 1e3])
LEVELS = np.array([1e-60, 1e-12, 1e-3, 0.2, 0.5, 0.7, 0.999])


def quantile_error(law: InnovationLaw) -> float:
    """Relative error of the probability of a quantile: SciPy finds those of Student's t to 10⁻¹⁰.

    In the tails a probability goes as z to the power −ν. A Gaussian one loses as many digits as z² has.
    """
    return 1e-10 * law.degrees_of_freedom if isinstance(law, StudentInnovations) else 1e-12


def tails(law: InnovationLaw, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities below and above by SciPy, of Hansen's law (1994) from its two halves."""
    if isinstance(law, GaussianInnovations):
        return scipy.stats.norm.cdf(z), scipy.stats.norm.sf(z)
    assert isinstance(law, StudentInnovations)
    nu, skew = law.degrees_of_freedom, getattr(law, "skew", 0.0)
    c = math.gamma((nu + 1) / 2) / (math.sqrt(math.pi * (nu - 2)) * math.gamma(nu / 2))
    a = 4 * skew * c * (nu - 2) / (nu - 1)
    b = math.sqrt(1 + 3 * skew**2 - a**2)
    values = (b * z + a) / math.sqrt((nu - 2) / nu)
    side = np.where(values < 0, 1 - skew, 1 + skew)
    tail = side * scipy.stats.t.sf(np.abs(values) / side, nu)
    return np.where(values < 0, tail, 1 - tail), np.where(values < 0, 1 - tail, tail)


def log_density(law: InnovationLaw, z: np.ndarray) -> np.ndarray:
    """By SciPy and arch."""
    if isinstance(law, GaussianInnovations):
        return scipy.stats.norm.logpdf(z)
    assert isinstance(law, StudentInnovations)
    nu, ones = law.degrees_of_freedom, np.ones_like(z)
    if isinstance(law, SkewedStudentInnovations):
        return SkewStudent().loglikelihood([nu, law.skew], z, ones, individual=True)
    return scipy.stats.t.logpdf(z, nu, scale=math.sqrt((nu - 2) / nu))


def moment(law: InnovationLaw, power: int, below: float = math.inf) -> float:
    """E[ε^power 1(ε < below)] by quadrature in asinh ε, in which all integrands vanish exponentially."""

    def integrand(s: float) -> float:
        z = math.sinh(s)
        return z**power * math.exp(float(law.log_density(torch.tensor(z, dtype=torch.float64)))) * math.cosh(s)

    # Of a t with 2.1 degrees the second moments go as exp(−0.1 |s|): e⁻³⁰ of them is left beyond the ends.
    end = min(math.asinh(below), 300.0)
    points = [point for point in (-10.0, 0.0, 10.0) if point < end]
    return scipy.integrate.quad(integrand, -300.0, end, points=points, limit=1000, epsabs=1e-12, epsrel=1e-12)[0]


@every_law
def test_density_is_that_of_scipy_and_arch(law: InnovationLaw) -> None:
    found = law.log_density(torch.from_numpy(Z)).numpy()
    # Round-off of log Γ(50), which is 140, and of terms up to 10³ log 10³; 10⁶ for a Gaussian, relative.
    np.testing.assert_allclose(found, log_density(law, Z), rtol=1e-13, atol=1e-12)
    leaf = torch.from_numpy(np.array([-30.0, -2.0, -0.3, 0.4, 3.0])).requires_grad_()
    assert torch.autograd.gradcheck(law.log_density, leaf)


@every_law
def test_mean_is_0_and_variance_1_and_the_semivariance_is_that_below_0(law: InnovationLaw) -> None:
    assert moment(law, 0) == pytest.approx(1.0, abs=1e-10)
    assert moment(law, 1) == pytest.approx(0.0, abs=1e-10)
    assert moment(law, 2) == pytest.approx(1.0, abs=1e-10)
    # The quadrature of the law itself is on an infinite interval, to 10⁻¹⁰ where it says so.
    assert law.semivariance == pytest.approx(moment(law, 2, 0.0), abs=1e-6 if "2.1" in repr(law) else 1e-9)


@every_law
def test_probabilities_have_digits_in_both_tails(law: InnovationLaw) -> None:
    z = torch.from_numpy(Z)
    lower, upper = tails(law, Z)
    np.testing.assert_allclose(law.probabilities(z).numpy(), lower, rtol=1e-12)
    np.testing.assert_allclose(law.probabilities(z, upper=True).numpy(), upper, rtol=1e-12)
    assert law.probabilities(z.float()).dtype == torch.float32


@every_law
def test_probabilities_of_quantiles_are_their_levels(law: InnovationLaw) -> None:
    levels = torch.from_numpy(LEVELS)
    for upper in (False, True):
        again = law.probabilities(law.quantiles(levels, upper=upper), upper=upper).numpy()
        np.testing.assert_allclose(again, LEVELS, rtol=quantile_error(law))


@every_law
def test_quantiles_are_those_of_scipy_and_arch(law: InnovationLaw) -> None:
    levels = LEVELS[1:]
    if isinstance(law, SkewedStudentInnovations):
        expected = SkewStudent().ppf(levels, [law.degrees_of_freedom, law.skew])
    elif isinstance(law, StudentInnovations):
        nu = law.degrees_of_freedom
        expected = scipy.stats.t.ppf(levels, nu, scale=math.sqrt((nu - 2) / nu))
    else:
        expected = scipy.stats.norm.ppf(levels)
    np.testing.assert_allclose(law.quantiles(torch.from_numpy(levels)).numpy(), expected, rtol=1e-8, atol=1e-14)


@every_law
def test_scores_have_the_same_probabilities_and_lead_back(law: InnovationLaw) -> None:
    z = Z[1:-1]
    scores = law.scores(torch.from_numpy(z))
    lower, upper = tails(law, z)
    # Φ⁻¹ of a probability p of e⁻⁴⁵⁰ and its inverse amplify round-off by the square of the score.
    np.testing.assert_allclose(scipy.stats.norm.cdf(scores.numpy()), lower, rtol=1e-11)
    np.testing.assert_allclose(scipy.stats.norm.sf(scores.numpy()), upper, rtol=1e-11)
    np.testing.assert_allclose(law.from_scores(scores).numpy(), z, rtol=1e-8, atol=1e-12)
    leaf = torch.from_numpy(np.array([-30.0, -2.0, -0.3, 0.4, 3.0, 30.0])).requires_grad_()
    assert torch.autograd.gradcheck(law.scores, leaf)


@every_law
def test_draws_are_of_the_law_whatever_number_of_paths_follows(law: InnovationLaw) -> None:
    draws = law.draw(np.random.default_rng(0), (100, 200))
    assert draws.shape == (100, 200) and draws.dtype == np.float64
    uniform = law.probabilities(torch.from_numpy(draws)).numpy().ravel()
    # 1.95/√n is passed by one law in a thousand (Kolmogorov).
    assert scipy.stats.kstest(uniform, "uniform").statistic < 1.95 / uniform.size**0.5
    np.testing.assert_array_equal(law.draw(np.random.default_rng(0), (3, 200)), draws[:3])


def test_law_without_a_skew_is_the_symmetric_one() -> None:
    z = torch.from_numpy(Z)
    plain, zero = StudentInnovations(5.0), SkewedStudentInnovations(5.0, 0.0)
    assert torch.equal(plain.log_density(z), zero.log_density(z))
    assert torch.equal(plain.probabilities(z), zero.probabilities(z))


def test_law_is_the_one_that_its_parameters_name() -> None:
    assert innovation_law() == GaussianInnovations()
    assert innovation_law(5.0) == StudentInnovations(5.0)
    assert innovation_law(5.0, 0.1) == SkewedStudentInnovations(5.0, 0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2.0, None), r"degrees_of_freedom is 2.0; expected a finite number above 2.* or None for Gaussian"),
        ((math.inf, 0.1), "degrees_of_freedom is inf; expected a finite number above 2"),
        ((None, 0.1), "skew is 0.1 with degrees_of_freedom None; expected a Student's t.* Leave it out"),
        ((5.0, -1.0), "skew is -1.0; expected a number between -1 and 1. Use one closer"),
        ((5.0, math.nan), "skew is nan; expected a number between -1 and 1"),
    ],
)
def test_parameters_without_a_law_are_refused(arguments: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        innovation_law(*arguments)
