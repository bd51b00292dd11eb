"""AR(p): likelihood, autocovariances and paths against statsmodels, the exact covariance and the paper's draws."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import torch
from statsmodels.tsa.arima_process import ArmaProcess, arma_acovf
from statsmodels.tsa.statespace.sarimax import SARIMAX

from mfmgdm_lib.processes import AR
from mfmgdm_lib.processes.autoregressive import _MANY

COEFFICIENTS = [[0.1], [-0.7], [0.999], [0.2, -0.1], [1.6, -0.9], [-0.1, 0.2, 0.1], [0.5, 0.0, 0.0, 0.0, 0.3]]
ROUND_OFF = 1e-12  # of sums of a few hundred products of order 1 in float64

# The first 8 values of the first 4 paths that the paper's code draws from default_rng((3, 12345)), in float32.
PUBLISHED_PATHS = [
    [0.4276681, -0.023276484, -0.43840063, 0.77707005, -0.11590159, -0.6691489, 2.2719674, -0.39097846],
    [0.18059474, -0.13691753, -0.31070563, -1.7550144, 0.10648433, -0.7750881, -0.9364819, 0.09693725],
    [0.06579613, 0.25051048, 0.9205474, -0.32292446, -1.7869116, -0.16258775, 0.56378216, -0.9199954],
    [1.2556872, 0.72172177, -1.6707926, -0.7090134, 1.4033793, 1.0244313, -0.7579543, -0.7956002],
]


def exact_autocovariance(process: AR, n: int) -> np.ndarray:
    """Autocovariances at lags 0 … n − 1 by statsmodels."""
    polynomial = np.concatenate(([1.0], -process.coefficients))
    return np.asarray(arma_acovf(polynomial, [1.0], n, sigma2=process.innovation_std**2))


@pytest.mark.parametrize("coefficients", COEFFICIENTS, ids=str)
def test_autocovariance_is_that_of_statsmodels(coefficients: list[float]) -> None:
    process = AR(coefficients, innovation_std=0.7)
    ours, theirs = process.autocovariance(30), exact_autocovariance(process, 31)
    # Both solve a linear system; near a unit root its condition number is about 1 / (1 − φ)² = 10⁶ for φ = 0.999.
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=0)


@pytest.mark.parametrize("n_lags", [0, 1, 2, 3, 10])
def test_autocovariance_has_as_many_lags_as_asked(n_lags: int) -> None:
    process = AR([-0.1, 0.2, 0.1])
    np.testing.assert_array_equal(process.autocovariance(n_lags), process.autocovariance(20)[: n_lags + 1])
    assert process.autocovariance(n_lags).shape == (n_lags + 1,)


@pytest.mark.parametrize("coefficients", COEFFICIENTS, ids=str)
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 40])
def test_log_prob_is_that_of_the_multivariate_normal(coefficients: list[float], length: int) -> None:
    process = AR(coefficients, innovation_std=1.3)
    x = process.sample(4, length, seed=1)
    covariance = torch.from_numpy(scipy.linalg.toeplitz(exact_autocovariance(process, length)))
    normal = torch.distributions.MultivariateNormal(torch.zeros(length, dtype=torch.float64), covariance)
    # Relative to values of order `length`; statsmodels' variance near the unit root is good to about 1e-12 · 10³.
    torch.testing.assert_close(process.log_prob(x), normal.log_prob(x), rtol=0, atol=1e-9)


@pytest.mark.parametrize("coefficients", COEFFICIENTS, ids=str)
def test_log_prob_is_the_exact_likelihood_of_statsmodels(coefficients: list[float]) -> None:
    process = AR(coefficients, innovation_std=0.7)
    (x,) = process.sample(1, 300, seed=2)
    reference = SARIMAX(x.numpy(), order=(process.order, 0, 0))
    likelihood = reference.loglike(np.append(process.coefficients, process.innovation_std**2))
    # The Kalman filter stops updating its covariance once steady to 1e-19 relative, so round-off of 300 terms is left.
    assert float(process.log_prob(x)) == pytest.approx(likelihood, abs=1e-8)


@pytest.mark.parametrize("coefficients", COEFFICIENTS, ids=str)
def test_marginal_variance_is_one_unless_an_innovation_std_is_given(coefficients: list[float]) -> None:
    process = AR(coefficients)
    assert process.stddev == pytest.approx(1.0, abs=ROUND_OFF)
    assert process.autocovariance(0)[0] == pytest.approx(1.0, abs=ROUND_OFF)
    assert AR(coefficients, innovation_std=process.innovation_std * 3).stddev == pytest.approx(3.0, abs=ROUND_OFF)


def test_innovation_variance_of_the_papers_ar_is_its_099() -> None:
    assert AR([0.1]).innovation_std ** 2 == pytest.approx(0.99, abs=1e-15)


def test_papers_seed_gives_the_papers_paths() -> None:
    ours = AR([0.1]).sample(4, 1024, seed=(3, 12345))[:, :8].numpy()
    np.testing.assert_allclose(ours, PUBLISHED_PATHS, rtol=2.0**-23)  # two roundings to float32


@pytest.mark.parametrize("coefficients", [[0.1], [0.2, -0.1], [-0.1, 0.2, 0.1]], ids=str)
def test_paths_are_those_of_statsmodels_once_the_start_is_forgotten(coefficients: list[float]) -> None:
    process = AR(coefficients)
    theirs = ArmaProcess(np.concatenate(([1.0], -process.coefficients)), [1.0]).generate_sample(
        (5, 1024),
        scale=process.innovation_std,
        distrvs=np.random.default_rng((3, 12345)).standard_normal,
        axis=-1,
        burnin=102,
    )
    # What is left of the start after 102 steps is below 0.65¹⁰² = 1e-19, so only round-off differs.
    np.testing.assert_allclose(process.sample(5, 1024, seed=(3, 12345)).numpy(), theirs, rtol=0, atol=1e-13)


@pytest.mark.parametrize("coefficients", [[0.999], [1.6, -0.9], [0.5, 0.0, 0.0, 0.0, 0.3]], ids=str)
def test_paths_are_stationary_from_the_first_point(coefficients: list[float]) -> None:
    n, length = 20_000, 6  # so short that the burn-in is no help: its length is the order
    process = AR(coefficients)
    x = process.sample(n, length, seed=3).numpy()
    exact = scipy.linalg.toeplitz(exact_autocovariance(process, length))
    # Var of x_i x_j is γ_ii γ_jj + γ_ij² for a Gaussian law; 5 standard errors, for 21 entries at once.
    standard_error = np.sqrt((np.outer(np.diag(exact), np.diag(exact)) + exact**2) / n)
    assert (np.abs(x.T @ x / n - exact) < 5 * standard_error).all()


def test_log_prob_of_slow_paths_counts_the_first_point() -> None:
    x = torch.full((1, 2), 3.0, dtype=torch.float64)
    # By hand: x_1 ~ N(0, 1), x_2 | x_1 ~ N(0.5 x_1, 0.75).
    by_hand = -0.5 * 9.0 - 0.5 * 2.25 / 0.75 - 0.5 * np.log(0.75) - np.log(2 * np.pi)
    assert float(AR([0.5]).log_prob(x)) == pytest.approx(by_hand, abs=1e-14)


def test_a_single_number_is_taken_as_one_coefficient() -> None:
    assert AR(0.1).coefficients.tolist() == [0.1]  # type: ignore[arg-type]


def test_repr_says_what_the_process_is() -> None:
    assert repr(AR([0.2, -0.1], innovation_std=0.5)) == "AR([0.2, -0.1], innovation_std=0.5)"


@pytest.mark.parametrize("coefficients", COEFFICIENTS)
def test_approximate_likelihood_starts_from_the_marginal_and_zeros(coefficients: list[float]) -> None:
    process = AR(coefficients)
    x = process.sample(3, 9, seed=4)
    padded = torch.cat([torch.zeros(3, process.order, dtype=torch.float64), x], dim=1)
    expected = torch.distributions.Normal(0.0, process.stddev).log_prob(x[:, 0])
    for i in range(1, 9):
        before = padded[:, i : i + process.order].flip(-1)
        mean = before @ torch.as_tensor(process.coefficients)
        expected = expected + torch.distributions.Normal(mean, process.innovation_std).log_prob(x[:, i])
    torch.testing.assert_close(process.approximate_log_prob(x), expected, rtol=ROUND_OFF, atol=ROUND_OFF * 1e3)
    if process.order == 1:  # the first value has its marginal law, and there is nothing before it
        torch.testing.assert_close(process.approximate_log_prob(x), process.log_prob(x), rtol=1e-9, atol=1e-9)
    else:
        assert not torch.isclose(process.approximate_log_prob(x), process.log_prob(x), rtol=1e-6).all()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_approximate_likelihood_of_paths_shorter_than_the_order(length: int) -> None:
    process = AR([-0.1, 0.2, 0.1])
    assert torch.isfinite(process.approximate_log_prob(process.sample(4, length, seed=1))).all()


@pytest.mark.parametrize("coefficients", COEFFICIENTS, ids=str)
def test_many_paths_are_those_of_a_filter(coefficients: list[float]) -> None:
    process, order = AR(coefficients), len(coefficients)
    innovations = process.innovation_std * np.random.default_rng(1).standard_normal((_MANY, 70))
    root = np.linalg.cholesky(process._state_covariance) / process.innovation_std
    polynomial = np.concatenate(([1.0], -process.coefficients))
    innovations[:, :order] = scipy.signal.lfilter(polynomial, [1.0], innovations[:, :order] @ root.T)
    expected = scipy.signal.lfilter([1.0], polynomial, innovations)[:, max(64 // 10, order) :]
    drawn = process.sample(_MANY, 64, seed=1).numpy()
    np.testing.assert_allclose(drawn, expected, rtol=0, atol=ROUND_OFF * np.abs(expected).max())
