"""Back-tests: statistics by hand, scores against closed forms, sizes of tests under the null, and the figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from mfmgdm_lib.backtests import (
    DailyForecasts,
    backtest,
    backtest_table,
    compare_backtests,
    daily_forecasts,
    mean_gain,
    shortfall_test,
)
from mfmgdm_lib.coverage import conditional_coverage, independence, unconditional_coverage
from mfmgdm_lib.plotting import backtest_figure
from mfmgdm_lib.plotting.widths import narrow_screen
from mfmgdm_lib.processes.conditional import ConditionalLaw

SHARES = (0.95, 0.99)


class Autoregression(ConditionalLaw):
    """x_t = φ x_{t−1} + s ε_t with a law of ε from SciPy, as a law of a day given those before."""

    def __init__(self, phi: float = 0.5, scale: float = 1.0, noise: Any = scipy.stats.norm) -> None:
        self.phi, self.scale, self.noise = phi, scale, noise

    def _means(self, x: Tensor) -> np.ndarray:
        return self.phi * np.r_[0.0, x.numpy()[:-1]]

    def log_densities(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self.noise.logpdf(x.numpy(), self._means(x), self.scale))

    def probabilities(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self.noise.cdf(x.numpy(), self._means(x), self.scale))

    def quantiles(self, levels: Sequence[float] | Tensor, x: Tensor) -> Tensor:
        standard = self.noise.ppf(np.asarray(levels))
        return torch.from_numpy(self._means(x)[:, None] + self.scale * standard)

    def sample(self, n: int, horizon: int, *, given: Any, seed: Any) -> Tensor:
        raise NotImplementedError

    def series(self, n: int, seed: int) -> Tensor:
        x, noise = np.zeros(n), self.noise.rvs(size=n, random_state=np.random.default_rng(seed))
        for t in range(n):
            x[t] = self.phi * (x[t - 1] if t else 0.0) + self.scale * noise[t]
        return torch.from_numpy(x)


LAW = Autoregression()


class Student:
    """Student's t of three degrees of freedom, with the methods of SciPy's laws."""

    nu = 3.0

    def logpdf(self, x: np.ndarray, at: np.ndarray, scale: float) -> np.ndarray:
        return scipy.stats.t.logpdf(x, self.nu, at, scale)  # type: ignore[no-any-return]

    def cdf(self, x: np.ndarray, at: np.ndarray, scale: float) -> np.ndarray:
        return scipy.stats.t.cdf(x, self.nu, at, scale)  # type: ignore[no-any-return]

    def ppf(self, levels: np.ndarray) -> np.ndarray:
        return scipy.stats.t.ppf(levels, self.nu)  # type: ignore[no-any-return]


def forecasts_of(law: Autoregression, seed: int = 0, days: int = 400, of: Autoregression = LAW) -> DailyForecasts:
    return daily_forecasts(law, of.series(days + 100, seed), days)


def test_forecasts_are_those_of_the_last_days_given_the_days_before() -> None:
    x = LAW.series(300, seed=0)
    table = daily_forecasts(LAW, x, days=100).table
    means = 0.5 * x[199:-1].numpy()
    assert table["return"].tolist() == x[200:].tolist() and table.index.tolist() == list(range(200, 300))
    for share, quantile, shortfall in ((95, 1.6448536269514722, 2.0627128), (99, 2.3263478740408408, 2.6652142)):
        np.testing.assert_allclose(table[f"value at risk, {share} %"], quantile - means, rtol=0, atol=1e-12)
        # 6·10⁻⁵ of the shortfall around the mean, as the docstring says
        np.testing.assert_allclose(table[f"expected shortfall, {share} %"], shortfall - means, rtol=0, atol=1.6e-4)
    np.testing.assert_allclose(table["probability"], scipy.stats.norm.cdf(x[200:].numpy() - means), rtol=0, atol=1e-12)


def test_crps_and_log_score_are_those_of_a_gaussian() -> None:
    table = forecasts_of(Autoregression(scale=2.0)).table
    z = scipy.stats.norm.ppf(table["probability"])
    # Gneiting and Raftery (2007), Section 4.2
    exact = 2.0 * (z * (2.0 * scipy.stats.norm.cdf(z) - 1.0) + 2.0 * scipy.stats.norm.pdf(z) - math.pi**-0.5)
    np.testing.assert_allclose(table["CRPS"], exact, rtol=0, atol=2e-4)  # 10⁻⁴ standard deviations
    np.testing.assert_allclose(table["log score"], scipy.stats.norm.logpdf(z) - math.log(2.0), rtol=0, atol=1e-10)


def test_shortfall_of_a_heavy_tail_is_that_of_student() -> None:
    nu = Student.nu
    table = daily_forecasts(Autoregression(0.0, noise=Student()), LAW.series(9, 0), 5).table
    for share in SHARES:
        quantile = scipy.stats.t.ppf(1.0 - share, nu)
        # McNeil, Frey and Embrechts (2015), Example 2.15
        exact = scipy.stats.t.pdf(quantile, nu) / (1.0 - share) * (nu + quantile**2) / (nu - 1.0)
        found = table[f"expected shortfall, {100 * share:g} %"]
        np.testing.assert_allclose(found, exact, rtol=3e-4)


def test_coverage_by_hand() -> None:
    """10 violations of 100 at 95 %: −2 log of 0.95⁹⁰ 0.05¹⁰ over 0.9⁹⁰ 0.1¹⁰."""
    hits = np.arange(100) < 10
    statistic, p_value = unconditional_coverage(hits, 0.95)
    expected = -2.0 * (90 * math.log(0.95 / 0.9) + 10 * math.log(0.05 / 0.1))
    assert statistic == pytest.approx(expected) and p_value == pytest.approx(math.erfc(math.sqrt(expected / 2.0)))
    # Ten in a row at the beginning: 9 of the 10 days before are followed by another, none of the other 89.
    free = 9 * math.log(0.9) + math.log(0.1)
    bound = 9 * math.log(9 / 99) + 90 * math.log(90 / 99)
    assert independence(hits)[0] == pytest.approx(2.0 * (free - bound))
    given = 9 * math.log(0.05) + 90 * math.log(0.95)
    statistic, p_value = conditional_coverage(hits, 0.95)
    assert statistic == pytest.approx(2.0 * (free - given)) and p_value == pytest.approx(math.exp(-statistic / 2.0))


@pytest.mark.parametrize("hits", [np.zeros(100, dtype=bool), np.ones(100, dtype=bool)])
def test_statistics_are_finite_without_a_violation_and_with_nothing_else(hits: np.ndarray) -> None:
    assert independence(hits) == (0.0, 1.0)
    n, probability = len(hits), 0.05 if hits.all() else 0.95
    assert unconditional_coverage(hits, 0.95)[0] == pytest.approx(-2.0 * n * math.log(probability))
    assert conditional_coverage(hits, 0.95)[0] == pytest.approx(-2.0 * (n - 1) * math.log(probability))


def test_sizes_of_coverage_tests_are_those_of_the_null() -> None:
    """Of 2000 series of 2000 days with 100 violations each on average, so many are refused at 10 %."""
    rng, n = np.random.default_rng(0), 2000
    p_values = []
    for _ in range(n):
        hits = rng.random(2000) < 0.05
        p_values.append([unconditional_coverage(hits, 0.95)[1], conditional_coverage(hits, 0.95)[1]])
    refused = (np.array(p_values) < 0.1).mean(0)
    # The number of violations is binomial: the exact size of Kupiec's test sums over it.
    counts = np.arange(2001)
    law = scipy.stats.binom.pmf(counts, 2000, 0.05)
    exact = sum(law[k] for k in counts if unconditional_coverage(np.arange(2000) < k, 0.95)[1] < 0.1)
    error = math.sqrt(0.1 * 0.9 / n)
    assert abs(refused[0] - exact) < 4.0 * error
    # Where 5 pairs of days are expected, the chi-squared law is rough: of 10 000 other series 11.4 % are refused.
    assert abs(refused[1] - 0.1) < 4.0 * error + 0.02


def test_clusters_are_refused_by_independence_alone() -> None:
    hits = np.tile(np.repeat([True, False], [5, 95]), 10)
    assert unconditional_coverage(hits, 0.95)[1] == pytest.approx(1.0, abs=1e-5)
    assert independence(hits)[1] < 1e-6 and conditional_coverage(hits, 0.95)[1] < 1e-6


def test_shortfall_statistic_by_hand() -> None:
    losses, tail = np.array([3.0, 0.0, 1.0, 0.5]), np.full((4, 64), 2.0)
    statistic, _ = shortfall_test(losses, losses > 0.8, tail, 0.75)
    assert statistic == pytest.approx(1.0 - (3.0 / 2.0 + 1.0 / 2.0) / (4 * 0.25))


def test_shortfall_p_values_are_uniform_under_the_null() -> None:
    law, p_values = Autoregression(0.1), []
    for seed in range(100):
        forecasts = daily_forecasts(law, law.series(300, seed), 250, (0.95,))
        p_values.append(backtest_table(forecasts, seed=seed).loc["expected shortfall Z2, 95 %", "p-value"])
    assert scipy.stats.kstest(p_values, "uniform").pvalue > 1e-4


def test_losses_larger_than_the_law_has_them_are_found() -> None:
    law = Autoregression(0.1)
    x = law.series(2000, seed=1)
    narrow = backtest(Autoregression(0.1, scale=0.8), x, days=1500)
    right = backtest(law, x, days=1500)
    wide = backtest(Autoregression(0.1, scale=1.25), x, days=1500)
    for share in ("95 %", "99 %"):
        row = f"expected shortfall Z2, {share}"
        assert narrow.loc[row, "value"] < right.loc[row, "value"] < wide.loc[row, "value"]
        assert narrow.loc[row, "p-value"] < 0.001 < right.loc[row, "p-value"] and wide.loc[row, "p-value"] > 0.99
        assert narrow.loc[f"unconditional coverage LR, {share}", "p-value"] < 0.001
    assert right.loc["log score, mean", "value"] > max(t.loc["log score, mean", "value"] for t in (narrow, wide))
    assert right.loc["CRPS, mean", "value"] < min(t.loc["CRPS, mean", "value"] for t in (narrow, wide))
    assert right.loc["violations, 99 %", "expected"] == pytest.approx(15.0)


def test_mean_gain_has_the_error_of_the_stationary_bootstrap() -> None:
    """Lemma 1 of Politis and Romano (1994) has the variance of its means in closed form."""
    x, block = LAW.series(500, seed=3).numpy(), 10
    mean, error = mean_gain(x, block=block)
    centred, n = x - x.mean(), len(x)
    circular = np.array([(centred * np.roll(centred, -lag)).mean() for lag in range(n)])
    lags = np.arange(1, n)
    variance = (circular[0] + 2.0 * ((1.0 - lags / n) * (1.0 - 1.0 / block) ** lags * circular[1:]).sum()) / n
    assert mean == pytest.approx(x.mean())
    assert error == pytest.approx(math.sqrt(variance), rel=4.0 / math.sqrt(2000.0))  # 1000 samples: 1/√2000 each
    assert error > 1.3 * x.std() / math.sqrt(n)  # dependence is part of it
    assert mean_gain(x, block=block) == (mean, error) != mean_gain(x, block=block, seed=1)


def test_gain_of_nothing_has_no_error() -> None:
    assert mean_gain(np.zeros(100)) == (0.0, 0.0)


def test_comparison_is_of_the_same_days_and_above_0_for_the_better() -> None:
    right, wide = (daily_forecasts(law, LAW.series(1000, 5), 800) for law in (LAW, Autoregression(scale=1.5)))
    table = compare_backtests(right, wide)
    difference = right.table["log score"] - wide.table["log score"]
    assert table.loc["log score", "gain"] == pytest.approx(difference.mean())
    assert table.loc["CRPS", "gain"] == pytest.approx((wide.table["CRPS"] - right.table["CRPS"]).mean())
    assert (table["gain"] > 4.0 * table["standard error"]).all()
    np.testing.assert_allclose(compare_backtests(wide, right)["gain"], -table["gain"], rtol=1e-12)
    with pytest.raises(ValueError, match="same days"):
        compare_backtests(right, forecasts_of(LAW))


@pytest.mark.parametrize(
    ("days", "shares", "said"), [(300, SHARES, "days is 300"), (0, SHARES, "days is 0"), (9, (95.0,), "shares has 95")]
)
def test_days_and_shares_out_of_range_are_refused(days: int, shares: tuple[float, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        daily_forecasts(LAW, LAW.series(300, 0), days, shares)


def test_block_longer_than_the_days_is_refused() -> None:
    with pytest.raises(ValueError, match="block is 20 with 10 days"):
        mean_gain(np.arange(10.0))


def test_figure_marks_violations_and_has_a_band_for_the_histogram() -> None:
    x = LAW.series(500, seed=0)
    series = pd.Series(x.numpy(), pd.bdate_range("2020-01-01", periods=500))
    forecasts = daily_forecasts(LAW, series, 400)
    figure = backtest_figure(forecasts, unit="points")
    left, right = figure.axes
    for line, share in zip((left.lines[2], left.lines[4]), SHARES, strict=True):
        hits = forecasts.violations(share)
        assert np.asarray(line.get_ydata()).tolist() == x[100:].numpy()[hits].tolist() and hits.sum() > 1
    (band,) = (patch for patch in right.patches if isinstance(patch, Rectangle))
    low, high = band.get_y(), band.get_y() + band.get_height()
    assert scipy.stats.binom.cdf(low - 1, 400, 0.05) <= 0.025 <= scipy.stats.binom.cdf(low, 400, 0.05)
    assert scipy.stats.binom.cdf(high - 1, 400, 0.05) < 0.975 <= scipy.stats.binom.cdf(high, 400, 0.05)
    with narrow_screen():
        assert len(backtest_figure(forecasts).axes) == 2
