"""Several laws joined by a Gaussian copula: the density, the margins and the dependence that is fitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

import mfmgdm_lib as mm
from mfmgdm_lib.processes import AR, ARGARCH, GARCH, GaussianCopula, StudentNoise, WhiteNoise
from mfmgdm_lib.processes.base import InnovationProcess

SKEWED = ARGARCH(0.2, 0.3, 0.1, 0.6, degrees_of_freedom=9.0, asymmetry=0.1, skew=-0.2)
LAWS: dict[str, InnovationProcess] = {
    "white noise": WhiteNoise(1.0, 2.0),
    "Student noise": StudentNoise(5.0, -1.0, 0.5),
    "GARCH": GARCH(0.1, 0.2, 0.5),
    "AR-GARCH, Student t": ARGARCH(-0.3, 0.1, 0.2, 0.5, mean=0.5, degrees_of_freedom=4.0),
    "AR-GARCH, falls": SKEWED,
}
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=list(LAWS))


def matrix(correlation: float) -> list[list[float]]:
    return [[1.0, correlation], [correlation, 1.0]]


@every_law
def test_scores_of_paths_are_standard_gaussian_and_lead_back_to_them(law: InnovationProcess) -> None:
    x = law.sample(50, 200, seed=3)
    scores = law.normal_scores(x)
    # 1.95/√n is passed by one law in a thousand (Kolmogorov).
    assert scipy.stats.kstest(scores.flatten().numpy(), "norm").statistic < 1.95 / 10_000**0.5
    # SciPy's quantiles of Student's t are good to 10⁻¹⁰ (see below); a GARCH carries that on for some points.
    torch.testing.assert_close(law.from_normal_scores(scores), x, rtol=1e-8, atol=1e-8)


def test_density_is_the_product_of_the_margins_and_the_copula_s() -> None:
    law = GaussianCopula([StudentNoise(5.0), StudentNoise(8.0)], matrix(0.6))
    x = law.sample(3, (2, 4), seed=1)
    first, second = (scipy.stats.t(nu, scale=((nu - 2) / nu) ** 0.5) for nu in (5.0, 8.0))
    a, b = x[:, 0].numpy(), x[:, 1].numpy()
    scores = np.stack([scipy.stats.norm.ppf(first.cdf(a)), scipy.stats.norm.ppf(second.cdf(b))], -1)
    together = scipy.stats.multivariate_normal([0, 0], matrix(0.6)).logpdf(scores)
    copula = together - scipy.stats.norm.logpdf(scores).sum(-1)
    expected = (first.logpdf(a) + second.logpdf(b) + copula).sum(-1)
    np.testing.assert_allclose(law.log_prob(x).numpy(), expected, rtol=0, atol=1e-9)


def test_density_of_a_point_integrates_to_one() -> None:
    law = GaussianCopula([StudentNoise(6.0), SKEWED], matrix(-0.7))
    # t = sinh u covers tails of power 7 to 10⁻⁷ of their probability; the trapezoidal rule has hardly an error there.
    u = torch.linspace(-5.0, 5.0, 401, dtype=torch.float64)
    x = torch.cartesian_prod(u.sinh(), u.sinh()).unsqueeze(-1)
    weights = torch.cartesian_prod(u.cosh(), u.cosh()).prod(-1) * (10.0 / 400) ** 2
    assert float((law.log_prob(x).exp() * weights).sum()) == pytest.approx(1.0, abs=1e-5)


def test_log_prob_is_the_law_that_sample_draws_from() -> None:
    laws = [ARGARCH(0.3, 0.4, 0.1, 0.5, degrees_of_freedom=12.0, skew=0.2), StudentNoise(12.0), GARCH(0.3, 0.2, 0.4)]
    law = GaussianCopula(laws, [[1.0, 0.6, -0.2], [0.6, 1.0, 0.3], [-0.2, 0.3, 1.0]])
    x = law.sample(20_000, (3, 3), seed=8).requires_grad_()
    (score,) = torch.autograd.grad(law.log_prob(x).sum(), x)
    x, score = x.detach().flatten(1), score.flatten(1)
    # Stein's identities E[score_i] = 0 and E[score_i x_j] = −δ_ij, 90 numbers within 5 standard errors.
    products = score[:, :, None] * torch.cat([torch.ones(len(x), 1, dtype=x.dtype), x], dim=1)[:, None, :]
    products[:, :, 1:] += torch.eye(9)
    assert (products.mean(0).abs() < 5 * products.std(0) / len(x) ** 0.5).all()


def test_each_channel_has_its_own_law_and_one_law_alone_is_unchanged_by_the_others() -> None:
    law = GaussianCopula([SKEWED, WhiteNoise()], matrix(0.8))
    x = law.sample(4, (2, 50), seed=2)
    independent = GaussianCopula([SKEWED, WhiteNoise()], matrix(0.0))
    expected = SKEWED.log_prob(x[:, 0]) + WhiteNoise().log_prob(x[:, 1])
    torch.testing.assert_close(independent.log_prob(x), expected, rtol=0, atol=1e-10)
    assert torch.equal(independent.sample(4, (2, 50), seed=2)[:, 0], x[:, 0])  # the first row of the root is (1, 0)


def test_moments_are_those_of_all_channels_together() -> None:
    law = GaussianCopula([WhiteNoise(1.0, 2.0), WhiteNoise(-3.0, 0.5)], matrix(0.1))
    assert law.mean == -1.0 and law.stddev == pytest.approx(((4.0 + 0.25) / 2 + 4.0) ** 0.5)


def test_fitted_correlation_is_that_of_the_innovations_even_where_laws_are_misfits() -> None:
    laws = [SKEWED, StudentNoise(3.0)]
    (series,) = GaussianCopula(laws, matrix(0.7)).sample(1, (2, 4096), seed=5)
    right = GaussianCopula.fit(laws, series).correlation
    misfit = GaussianCopula.fit([laws[0], WhiteNoise()], series).correlation
    # The standard error of a correlation of Gaussian scores is (1 − ρ²)/√n.
    assert float(right[0, 1]) == pytest.approx(0.7, abs=5 * 0.51 / 64)
    assert torch.equal(misfit, right)  # ranks of a series do not change with a law of independent points
    assert repr(GaussianCopula.fit(laws, series)).endswith(f"correlation=[1 {right[0, 1]:.3g}; {right[0, 1]:.3g} 1])")


def test_law_comes_back_from_its_description_and_draws_path_by_path() -> None:
    law = GaussianCopula([SKEWED, WhiteNoise()], matrix(0.8))
    again = mm.from_spec(mm.spec(law))
    x = law.sample(6, (2, 30), seed=4)
    assert torch.equal(again.sample(6, (2, 30), seed=4), x) and torch.equal(again.log_prob(x), law.log_prob(x))
    rng = np.random.default_rng(4)
    assert torch.equal(torch.cat([law.sample(n, (2, 30), rng) for n in (1, 5)]), x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: GaussianCopula([AR([0.1]), WhiteNoise()], matrix(0.1)), TypeError, r"laws has AR.*Use WhiteNoise"),  # type: ignore[list-item]
        (lambda: GaussianCopula([WhiteNoise()], [[1.0]]), ValueError, "laws has 1 laws; expected at least 2"),
        (lambda: GaussianCopula([WhiteNoise()] * 3, matrix(0.1)), ValueError, r"expected a symmetric matrix \(3, 3\)"),
        (lambda: GaussianCopula([WhiteNoise()] * 2, [[1, 0.1], [0.2, 1]]), ValueError, "expected a symmetric matrix"),
        (lambda: GaussianCopula([WhiteNoise()] * 2, [[2, 0.1], [0.1, 2]]), ValueError, r"\[2.0, 2.0\] on its diagonal"),
        (lambda: GaussianCopula([WhiteNoise()] * 2, matrix(1.0)), ValueError, "a function of the others. Leave it out"),
        (
            lambda: GaussianCopula([WhiteNoise()] * 2, matrix(0.1)).sample(1, 64, seed=0),
            ValueError,
            r"length is 64; expected the shape of a path, \(2, time\)",
        ),
        (
            lambda: GaussianCopula([WhiteNoise()] * 2, matrix(0.1)).log_prob(torch.zeros(4, 3, 8)),
            ValueError,
            r"x has shape \(4, 3, 8\); expected \(\*, 2, time\)",
        ),
    ],
)
def test_what_has_no_copula_is_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
