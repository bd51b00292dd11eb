"""Statistics of paths against statsmodels and NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from statsmodels.tsa.stattools import acf
from torch import Tensor

from mfmgdm_lib.companion.path_summaries import describe_paths, describe_series
from mfmgdm_lib.statistics import (
    autocorrelation,
    gaussian_contour,
    histogram,
    leverage,
    maximum_drawdown,
    path_statistics,
    return_statistics,
    separation,
    tail_index,
    time_asymmetry,
)


def test_autocorrelation_is_that_of_statsmodels(noise: Callable[..., Tensor]) -> None:
    x = noise(2, 3, 200) + 5.0  # a mean that has to be taken out
    ours = autocorrelation(x, lags=12)
    assert ours.shape == (2, 3, 12)
    for path, values in zip(x.flatten(0, 1).numpy(), ours.flatten(0, 1).numpy(), strict=True):
        np.testing.assert_allclose(values, acf(path, nlags=12, fft=False)[1:], rtol=0, atol=1e-13)


def test_autocorrelation_does_not_depend_on_location_and_scale(noise: Callable[..., Tensor]) -> None:
    x = noise(100)
    torch.testing.assert_close(autocorrelation(3.0 - 7.0 * x, 5), autocorrelation(x, 5), rtol=0, atol=1e-13)


def test_histogram_is_the_density_of_all_values(noise: Callable[..., Tensor]) -> None:
    x, edges = noise(3, 500), np.linspace(-6.0, 6.0, 25)
    np.testing.assert_allclose(histogram(x, edges), np.histogram(x.numpy(), edges, density=True)[0], atol=1e-14)


def test_histogram_counts_values_beyond_its_edges_in_the_total() -> None:
    x, edges = torch.tensor([[0.5, 0.5, 1.5, 9.0]]), np.array([0.0, 1.0, 3.0])
    assert histogram(x, edges).tolist() == [2 / 4, 1 / 4 / 2]


def test_contour_lies_at_its_number_of_standard_deviations(noise: Callable[..., Tensor]) -> None:
    points = noise(400, 2).numpy() @ np.array([[2.0, 1.0], [0.0, 0.3]]) + [10.0, -3.0]
    contour = gaussian_contour(points, n_std=1.5, resolution=33)
    away = contour - points.mean(0)
    distance = np.sqrt(np.einsum("ni,ij,nj->n", away, np.linalg.inv(np.cov(points.T)), away))
    assert contour.shape == (33, 2)
    np.testing.assert_allclose(distance, 1.5, rtol=0, atol=1e-12)
    np.testing.assert_allclose(contour[0], contour[-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(contour[:-1].mean(0), points.mean(0), rtol=0, atol=1e-12)


def test_separation_is_in_units_of_the_baseline_and_knows_its_error(noise: Callable[..., Tensor]) -> None:
    n, m, runs = 50, 80, 400
    shifts, errors = [], []
    for k in range(runs):
        values, baseline = 2.0 + 3.0 * noise(n, 2, seed=2 * k), 1.0 + 0.5 * noise(m, 2, seed=2 * k + 1)
        table = separation(values, baseline)
        shifts.append(table["shift"])
        errors.append(table["standard_error"])
    mean, spread, claimed = np.mean(shifts), np.std(shifts), np.mean(errors)
    # The unit is itself estimated, to 1/√(2 · 79); with it the shift of 2 gets an error that `separation` leaves out.
    of_the_unit = 2.0 / np.sqrt(2 * (m - 1))
    assert abs(mean - 2.0) < 4 * spread / np.sqrt(2 * runs) + 2.0 / m
    assert abs(spread / np.hypot(claimed, of_the_unit) - 1) < 4 / np.sqrt(4 * runs)


# --- descriptions ------------------------------------------------------------------------------------------------

SHARES = [0.001, 0.01, 0.05, 0.95, 0.99, 0.999]


def test_statistics_of_paths_are_those_of_statsmodels_scipy_and_numpy(noise: Callable[..., Tensor]) -> None:
    paths = 0.3 + 2.0 * noise(3, 200).pow(3)
    found = path_statistics(paths, lags=4)
    names = [f"{kind} {lag}" for kind in ("acf", "squares") for lag in range(1, 5)]
    assert set(found) == {*names, "mean", "stddev", "kurtosis", *(f"tail {share}" for share in SHARES)}
    for n, path in enumerate(paths.numpy()):
        for lag in range(1, 5):
            assert float(found[f"acf {lag}"][n]) == pytest.approx(acf(path, nlags=4, fft=False)[lag], abs=1e-12)
            of_squares = acf(path**2, nlags=4, fft=False)[lag]
            assert float(found[f"squares {lag}"][n]) == pytest.approx(of_squares, abs=1e-12)
        for share in SHARES:
            assert float(found[f"tail {share}"][n]) == pytest.approx(np.quantile(path, share), rel=1e-12)
        assert float(found["mean"][n]) == pytest.approx(path.mean(), rel=1e-12)
        assert float(found["stddev"][n]) == pytest.approx(path.std(), rel=1e-12)
        assert float(found["kurtosis"][n]) == pytest.approx(scipy.stats.kurtosis(path, fisher=False), rel=1e-12)


def test_description_of_paths_has_the_quantiles_over_them(noise: Callable[..., Tensor]) -> None:
    paths = noise(33, 60)
    found, values = describe_paths(paths, lags=3), path_statistics(paths, lags=3)
    assert set(found) == {*values, "marginal"}
    for name, each in values.items():
        # Of 33 values and 33 shares, from 0 to 1, the quantiles are the values in order.
        assert found[name].index.tolist() == [k / 32 for k in range(33)]
        np.testing.assert_allclose(found[name], np.sort(each.numpy()), rtol=0, atol=1e-12)


def test_marginal_is_the_density_of_all_points_on_bins_of_a_quarter(noise: Callable[..., Tensor]) -> None:
    paths = noise(40, 60)
    marginal = describe_paths(paths, lags=3)["marginal"]
    assert marginal.index.tolist() == [-8.0 + k / 4 for k in range(64)]
    for left in (-1.0, 0.0, 2.5):
        share = float(((paths >= left) & (paths < left + 0.25)).double().mean())
        assert marginal[left] == pytest.approx(4 * share, abs=1e-12)
    paths[0, 0] = 9.0  # beyond the edges
    assert describe_paths(paths, lags=3)["marginal"].sum() / 4 == pytest.approx(1 - 1 / 2400, abs=1e-12)


def test_description_of_a_series_has_its_values_and_their_spread_over_windows(noise: Callable[..., Tensor]) -> None:
    series = noise(350).pow(3)
    found = describe_series(series, window=100, lags=3)
    assert set(found) == {"value", "spread", "marginal"}
    whole, windows = path_statistics(series[None], 3), path_statistics(series[:300].reshape(3, 100), 3)
    assert set(found["value"].index) == set(found["spread"].index) == set(whole)
    for name in whole:
        assert found["value"][name] == pytest.approx(float(whole[name]), abs=1e-12)
        assert found["spread"][name] == pytest.approx(float(windows[name].std()), abs=1e-12)  # divisor 2
    pd.testing.assert_series_equal(found["marginal"], describe_paths(series[None], lags=3)["marginal"])


def test_single_window_has_no_spread(noise: Callable[..., Tensor]) -> None:
    found = describe_series(noise(199), window=100, lags=3)
    assert found["spread"].isna().all() and found["value"].notna().all()


def test_description_of_paths_that_are_too_short_for_the_lags_is_refused(noise: Callable[..., Tensor]) -> None:
    assert describe_paths(noise(2, 21))["acf 20"].notna().all()
    with pytest.raises(ValueError, match=r"paths has shape \(2, 20\).*at least 21 points"):
        describe_paths(noise(2, 20))


def test_description_of_a_series_shorter_than_a_window_is_refused(noise: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match=r"series .*expected"):
        describe_series(noise(99), window=100, lags=3)


def test_statistics_of_single_precision_paths_are_those_of_double(noise: Callable[..., Tensor]) -> None:
    paths = noise(3, 200)
    double, single = path_statistics(paths, lags=4), path_statistics(paths.float(), lags=4)
    for name, values in single.items():
        # Sums of 200 terms of order 10, each rounded.
        torch.testing.assert_close(values.double(), double[name], rtol=0, atol=200 * 2.0**-23)


# --- what markets show beyond these ------------------------------------------------------------------------------


def test_leverage_is_the_correlation_with_later_squares(noise: Callable[..., Tensor]) -> None:
    x = 0.3 + noise(2, 3, 100).pow(3)
    found = leverage(x, 4)
    assert found.shape == (2, 3, 4)
    for path, values in zip(x.flatten(0, 1).numpy(), found.flatten(0, 1).numpy(), strict=True):
        squares = path**2 - (path**2).mean()
        for lag in range(1, 5):
            pairs = (path - path.mean())[:-lag] @ squares[lag:]
            assert values[lag - 1] == pytest.approx(pairs / 100 / path.std() / squares.std(), abs=1e-13)


def test_leverage_is_negative_where_falls_make_the_next_moves_large() -> None:
    rng, falls, rises = np.random.default_rng(0), np.empty(20_000), np.empty(20_000)
    last = 0.0
    for t, draw in enumerate(rng.standard_normal(20_000)):
        last = draw * (1.5 if last < 0 else 0.5)
        falls[t], rises[t] = last, -last
    found = leverage(torch.from_numpy(np.stack([falls, rises])), 3)
    # Standard error 1/√20000 = 0.007 for values with thin tails; twice that with these.
    assert found[0, 0] < -0.2 and abs(float(found[0, 2])) < 0.1
    torch.testing.assert_close(found[0], -found[1], rtol=0, atol=1e-12)


def test_time_asymmetry_is_that_of_numpy_and_turns_with_time(noise: Callable[..., Tensor]) -> None:
    x = noise(2, 90).pow(3)
    for path, found in zip(x.numpy(), time_asymmetry(x, 7).numpy(), strict=True):
        parts = np.lib.stride_tricks.sliding_window_view(path, 7)
        trends, volatilities = parts.sum(-1) ** 2, (parts**2).sum(-1)
        forward = np.corrcoef(trends[:-7], volatilities[7:])[0, 1]
        assert found == pytest.approx(forward - np.corrcoef(volatilities[:-7], trends[7:])[0, 1], abs=1e-12)
    torch.testing.assert_close(time_asymmetry(x.flip(-1), 7), -time_asymmetry(x, 7), rtol=0, atol=1e-12)


def test_time_asymmetry_is_positive_where_trends_make_volatility() -> None:
    rng = np.random.default_rng(0)
    x, noise = np.zeros((40, 2040)), rng.standard_normal((40, 2040))
    for t in range(2040):
        trend = x[:, max(0, t - 20) : t].sum(-1)
        x[:, t] = np.sqrt(0.5 + 0.5 * np.minimum(trend**2 / 20, 4.0)) * noise[:, t]
    found = time_asymmetry(torch.from_numpy(x[:, 40:]))
    assert float(found.mean()) > 5 * float(found.std()) / 40**0.5


@pytest.mark.parametrize("exponent", [2.0, 3.0, 5.0])
def test_tail_index_is_the_exponent_of_a_power_law(exponent: float) -> None:
    draws = np.random.default_rng(0).pareto(exponent, 40_000) + 1.0
    signs = np.random.default_rng(1).choice([-1.0, 1.0], 40_000)
    found = float(tail_index(torch.from_numpy(draws * signs)))
    # 2000 values: a relative standard error of 1/√2000; the sample's mean, at most 3/√40000, moves values from 2 on.
    assert found == pytest.approx(exponent, rel=4 / 2000**0.5 + 0.01)
    moved = float(tail_index(torch.from_numpy(draws * signs + 100.0)))
    assert moved == pytest.approx(found, rel=1e-9)  # round-off of the mean, over the smallest distance


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_share_of_the_tail_has_to_be_a_share(noise: Callable[..., Tensor], share: float) -> None:
    with pytest.raises(ValueError, match=r"share is .* above 0 and below 1"):
        tail_index(noise(100), share)


def test_drawdown_counts_from_the_start_and_from_every_high(noise: Callable[..., Tensor]) -> None:
    assert float(maximum_drawdown(torch.tensor([-1.0, 0.5, 0.25]))) == 1.0
    assert float(maximum_drawdown(torch.tensor([1.0, 2.0]))) == 0.0
    x = noise(4, 60)
    for path, found in zip(x.numpy(), maximum_drawdown(x).numpy(), strict=True):
        levels = np.r_[0.0, path.cumsum()]
        assert found == pytest.approx(max(levels[s] - levels[t] for t in range(61) for s in range(t + 1)), abs=1e-12)


def test_statistics_of_returns_are_those_of_scipy_and_numpy(noise: Callable[..., Tensor]) -> None:
    paths = 0.1 + noise(3, 150).pow(3)
    found = return_statistics(paths)
    for n, path in enumerate(paths.numpy()):
        assert float(found["skewness"][n]) == pytest.approx(scipy.stats.skew(path), rel=1e-12)
        sizes = acf(np.abs(path), nlags=100, fft=False)
        for lag in (50, 100):
            assert float(found[f"sizes {lag}"][n]) == pytest.approx(sizes[lag], abs=1e-12)
        for points in (5, 20):
            sums = np.lib.stride_tricks.sliding_window_view(path, points).sum(-1)
            assert float(found[f"sum {points} stddev"][n]) == pytest.approx(sums.std() / path.std() / points**0.5)
            kurtosis = scipy.stats.kurtosis(sums, fisher=False)
            assert float(found[f"sum {points} kurtosis"][n]) == pytest.approx(kurtosis, rel=1e-12)
    for name, values in (
        ("leverage 1", leverage(paths)[:, 0]),
        ("leverage", leverage(paths).mean(-1)),
        ("time asymmetry", time_asymmetry(paths)),
        ("tail index", tail_index(paths)),
    ):
        assert torch.equal(found[name], values)
