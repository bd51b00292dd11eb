"""The S&P 500 of arch, returns, standardisation and its inverse, and checks of series."""

from __future__ import annotations

import datetime
import itertools
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import mfmgdm_lib as mm
from mfmgdm_lib import data

PRICES = pd.Series([100.0, 110.0, 99.0], index=pd.bdate_range("2024-01-04", periods=3), name="shares")
PRICES.attrs = {"source": "a test", "unit": "SEK"}

# --- the S&P 500 ---


def test_prices_are_the_adjusted_closes_that_arch_ships() -> None:
    from arch.data import sp500

    closes = data.sp500()
    assert len(closes) == 5031
    np.testing.assert_array_equal(closes, sp500.load()["Adj Close"])


def test_first_and_last_prices_are_those_that_were_published() -> None:
    closes = data.sp500()
    assert closes.iloc[[0, 1, -1]].round(2).tolist() == [1228.10, 1244.78, 2506.85]


def test_prices_are_dated_ordered_and_complete() -> None:
    closes = data.sp500()
    assert isinstance(closes.index, pd.DatetimeIndex) and closes.index.tz is None
    assert closes.index.is_monotonic_increasing and closes.index.is_unique
    assert (str(closes.index[0].date()), str(closes.index[-1].date())) == ("1999-01-04", "2018-12-31")
    assert closes.dtype == np.float64 and np.isfinite(closes).all()
    pd.testing.assert_series_equal(data.check_series(closes, "closes", kind="price"), closes)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2008-09-15", "2008-10-15", "2008-09-15", "2008-10-15"),
        ("2008-09-13", None, "2008-09-15", "2018-12-31"),  # a Saturday: the window opens on the Monday
        (None, "1999-01-10", "1999-01-04", "1999-01-08"),
        (datetime.date(2008, 9, 15), pd.Timestamp("2008-10-15 12:00"), "2008-09-15", "2008-10-15"),
    ],
)
def test_window_holds_the_prices_between_its_dates(
    start: str | datetime.date | None, end: str | datetime.date | None, first: str, last: str
) -> None:
    window = data.sp500(start=start, end=end)
    assert (str(window.index[0].date()), str(window.index[-1].date())) == (first, last)
    pd.testing.assert_series_equal(window, data.sp500().loc[first:last])


def test_window_without_prices_says_which_there_are() -> None:
    with pytest.raises(ValueError, match="expected a window that overlaps 1999-01-04 to 2018-12-31"):
        data.sp500(start="2020-01-01")


def test_prices_say_their_source_and_unit() -> None:
    assert data.sp500().attrs == {
        "source": "arch.data.sp500, adjusted close",
        "unit": "index points",
        "frequency": "daily",
        "longest_gap_days": 7,  # September 2001
    }


# --- returns ---


def test_log_returns_are_log_ratios() -> None:
    closes = data.sp500()
    returns = data.returns(closes)
    expected = [math.log(b / a) for a, b in itertools.pairwise(closes)]
    np.testing.assert_allclose(returns, expected, rtol=0, atol=1e-15)
    assert returns.index.equals(closes.index[1:]) and returns.dtype == np.float64
    assert returns.name == "S&P 500 log-return"
    assert returns.attrs == closes.attrs | {
        "unit": "log-return per trading day",
        "level_unit": "index points",
        "returns": "log",
    }
    assert closes.attrs["unit"] == "index points"


@pytest.mark.parametrize("kind", ["log", "difference"])
def test_levels_undo_returns(kind: str) -> None:
    changes = data.returns(PRICES, kind)
    found = data.levels(changes, PRICES.iloc[0], kind)
    np.testing.assert_allclose(found, PRICES, rtol=1e-12)  # a few hundred sums of round-off 2⁻⁵²
    paths = np.stack([changes, -changes])
    assert data.levels(paths, PRICES.iloc[0], kind).shape == (2, len(PRICES))


@pytest.mark.parametrize(
    ("changes", "first", "kind", "said"),
    [
        ([0.1, 0.2], 0.0, "log", "first is 0.0.*above 0"),
        ([0.1, 0.2], float("nan"), "log", "first is nan"),
        ([0.1, float("nan")], 1.0, "log", "changes has 1 entries that are NaN"),
        ([800.0, 0.2], 1.0, "log", "reach inf"),
        ([-800.0, 0.2], 1.0, "log", "reach .* and 0.0"),
        ([0.1, 0.2], 1.0, "none", "kind is 'none'"),
    ],
)
def test_levels_that_cannot_be_are_refused(changes: list[float], first: float, kind: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        data.levels(np.array(changes), first, kind)


def test_differences_keep_the_unit_and_take_levels_below_0() -> None:
    rates = pd.Series([1, -1, -4], index=pd.bdate_range("2024-01-02", periods=3))
    rates.attrs["unit"] = "percent per annum"
    changes = data.returns(rates, "difference")
    assert changes.tolist() == [-2.0, -3.0] and changes.dtype == np.float64 and changes.name == "difference"
    assert changes.attrs == {
        "unit": "percent per annum per trading day",
        "level_unit": "percent per annum",
        "returns": "difference",
    }


@pytest.mark.parametrize(
    ("frequency", "unit"),
    [
        ("B", "log-return per trading day"),
        ("7D", "log-return per week"),
        ("ME", "log-return per month"),
        ("2D", "log-return per observation"),
        ("h", "log-return per observation"),
    ],
)
def test_unit_says_per_what(frequency: str, unit: str) -> None:
    index = pd.date_range("2024-01-05", periods=6, freq=frequency)
    assert data.returns(pd.Series(1.5, index=index)).attrs["unit"] == unit


def test_unit_of_a_short_window_goes_by_the_frequency_of_the_whole() -> None:
    around_a_weekend = data.sp500().iloc[4:6]
    assert around_a_weekend.index.to_series().diff().iloc[-1] == pd.Timedelta(days=3)
    assert data.returns(around_a_weekend).attrs["unit"] == "log-return per trading day"


@pytest.mark.parametrize(
    ("series", "kind", "error", "message"),
    [
        (PRICES.iloc[:1], "log", ValueError, "series has 1 points; expected at least 2"),
        (PRICES.iloc[:0], "difference", ValueError, "series has 0 points; expected at least 2"),
        (PRICES - 110, "log", ValueError, r'series is -10\.0 on 2024-01-04; expected prices above 0.*"difference"'),
        (PRICES.where(PRICES != 110, 0), "log", ValueError, r"series is 0\.0 on 2024-01-05"),
        (
            PRICES.where(PRICES != 110),
            "log",
            ValueError,
            "1 values that are missing or infinite, the first on 2024-01-05",
        ),
        (PRICES.where(PRICES != 110, np.inf), "difference", ValueError, "missing or infinite, the first on 2024-01-05"),
        (PRICES, "simple", ValueError, "kind is 'simple'; expected one of 'log', 'difference'"),
        (PRICES.astype(str), "log", TypeError, "series has dtype object; expected real numbers"),
        (PRICES > 100, "difference", TypeError, "series has dtype bool; expected real numbers"),
        (PRICES.to_numpy(), "log", TypeError, "series is a ndarray; expected a pandas Series"),
    ],
)
def test_levels_without_returns_are_refused(series: pd.Series, kind: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        data.returns(series, kind)


def test_levels_without_dates_are_named_by_their_index() -> None:
    assert data.returns(pd.Series([1.0, 2.0]), "difference").attrs["unit"] == "unit of the levels per observation"
    with pytest.raises(ValueError, match=r"series is 0\.0 on index 1"):
        data.returns(pd.Series([1.0, 0.0]))


# --- scaling ---


def test_standardised_series_has_mean_0_and_standard_deviation_1_and_can_be_undone() -> None:
    returns = data.returns(data.sp500())
    scaled = data.standardize(returns)
    assert float(scaled.mean()) == pytest.approx(0.0, abs=1e-14)
    assert float(scaled.to_numpy().std()) == pytest.approx(1.0, abs=1e-14)
    restored = data.unstandardize(scaled, scaled)
    np.testing.assert_allclose(restored, returns, rtol=0, atol=1e-16)  # two roundings of values below 0.12
    assert scaled.index.equals(returns.index) and scaled.name == returns.name
    assert scaled.attrs["source"] == returns.attrs["source"] and scaled.attrs["unit"] == "standard deviations"
    assert restored.attrs == returns.attrs and restored.index.equals(returns.index)


def test_standardising_leaves_the_series_alone() -> None:
    before, attrs = PRICES.copy(), dict(PRICES.attrs)
    scaled = data.standardize(PRICES)
    data.unstandardize(scaled, scaled)
    pd.testing.assert_series_equal(PRICES, before)
    assert PRICES.attrs == attrs and scaled.attrs["unit"] == "standard deviations"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by_attrs", [False, True])
def test_paths_of_every_kind_keep_their_shape_and_dtype(dtype: str, by_attrs: bool) -> None:
    series = data.standardize(pd.Series([1.0, 5.0]))
    scaled = series.attrs if by_attrs else series
    values = np.array([[0.0, 1.0, -1.0], [2.0, 0.5, -0.5]], dtype=dtype)
    expected = values * 2 + 3
    array = data.unstandardize(values, scaled)
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, expected)
    tensor = data.unstandardize(torch.from_numpy(values), scaled)
    assert tensor.dtype == getattr(torch, dtype)
    np.testing.assert_array_equal(tensor.numpy(), expected)
    path = data.unstandardize(pd.Series(values[0], name="path"), scaled)
    assert path.dtype == dtype and path.name == "path" and path.tolist() == expected[0].tolist()


@pytest.mark.parametrize(
    ("values", "scaled", "error", "message"),
    [
        (np.zeros(2), PRICES, ValueError, r"scaled has \['source', 'unit'\]; expected attrs with mean and stddev"),
        (np.zeros(2), {"mean": 1.0}, ValueError, r"scaled has \['mean'\]; expected attrs with mean and stddev"),
        (np.zeros(2), (1.0, 2.0), ValueError, "scaled has tuple; expected attrs with mean and stddev"),
        (np.zeros(2, dtype=int), {"mean": 1.0, "stddev": 2.0}, TypeError, "values has dtype int64; expected a real"),
        (torch.zeros(2, dtype=torch.cfloat), {"mean": 1.0, "stddev": 2.0}, TypeError, "values has dtype torch.complex"),
        ([0.0], {"mean": 1.0, "stddev": 2.0}, TypeError, "values is a list; expected a Series"),
    ],
)
def test_what_cannot_be_scaled_back_is_refused(
    values: np.ndarray, scaled: pd.Series, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        data.unstandardize(values, scaled)


# --- checks ---


@pytest.mark.parametrize(
    "index",
    [pd.RangeIndex(3), pd.date_range("2024-01-02", periods=3, tz="UTC")],
    ids=["numbers", "time zone"],
)
def test_series_without_plain_dates_is_refused(index: pd.Index) -> None:
    with pytest.raises(TypeError, match="prices is not indexed by dates without time zone"):
        data.check_series(pd.Series([1.0, 2.0, 3.0], index=index), "prices")


def test_window_keeps_its_last_day_whole() -> None:
    hours = pd.date_range("2024-01-02 10:00", periods=4, freq="10h")
    kept = data.check_series(pd.Series(1.0, index=hours), "hours", start="2024-01-02", end="2024-01-02")
    assert kept.index.equals(hours[:2])


def test_today_and_tomorrow_are_no_future_but_the_day_after_is() -> None:
    # Where the day begins first, tomorrow is today.
    today = pd.Timestamp(datetime.datetime.now(datetime.UTC).date())
    for days, fine in [(0, True), (1, True), (3, False)]:
        series = pd.Series([1.0, 1.0], index=pd.DatetimeIndex(["2024-01-02", today + pd.Timedelta(days=days)]))
        if fine:
            assert len(data.check_series(series, "prices")) == 2
        else:
            with pytest.raises(ValueError, match="in the future"):
                data.check_series(series, "prices")


@pytest.mark.parametrize(("after", "fine"), [(199.9, True), (200.0, False), (50.1, True), (50.0, False)])
def test_price_may_not_double_or_halve(after: float, fine: bool) -> None:
    series = pd.Series([100.0, after], index=pd.bdate_range("2024-01-04", periods=2))
    if fine:
        assert len(data.check_series(series, "prices", kind="price")) == 2
    else:
        with pytest.raises(ValueError, match="expected less than a factor of 2"):
            data.check_series(series, "prices", kind="price")


def test_importing_the_library_loads_none_of_what_only_downloads_need() -> None:
    code = "import sys, mfmgdm_lib; print([m for m in ('requests', 'arch', 'platformdirs') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.strip() == "[]"


# --- what Python has ---


@pytest.mark.parametrize("size", [1e300, 1e-300, 1.0])
def test_values_of_any_size_are_standardised_to_the_same_digits(size: float) -> None:
    power = 2.0 ** int(np.frexp(size)[1])
    plain = np.random.default_rng(0).standard_normal(500)
    scaled, expected = data.standardize(pd.Series(plain * power)), data.standardize(pd.Series(plain))
    np.testing.assert_array_equal(scaled, expected)
    assert scaled.attrs["stddev"] == expected.attrs["stddev"] * power
    np.testing.assert_allclose(data.unstandardize(scaled, scaled), plain * power, rtol=1e-13)


def test_series_whose_squares_vanish_is_refused_by_generate() -> None:
    tiny = pd.Series(np.random.default_rng(0).standard_normal(500) * 1e-300)
    with pytest.raises(ValueError, match=r"standard deviation of 0\.0 .*Standardise it first"):
        mm.generate(tiny)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_returns_of_dates_with_a_zone_are_those_without(zone: str) -> None:
    dates = pd.bdate_range("2024-03-04", periods=30)  # the clock changes on the 10th
    prices = pd.Series(np.arange(1.0, 31.0), dates)
    zoned = data.returns(prices.tz_localize(zone))
    np.testing.assert_array_equal(zoned, data.returns(prices))
    assert zoned.attrs["unit"] == "log-return per trading day" and zoned.index[0] == dates[1].tz_localize(zone)


@pytest.mark.parametrize("kind", ["log", "difference"])
def test_returns_of_dates_that_do_not_ascend_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"2024-01-05 after 2024-01-08.*series\.sort_index\(\)"):
        data.returns(PRICES[::-1], kind)
    with pytest.raises(ValueError, match="each once"):
        data.returns(pd.concat([PRICES[:1], PRICES]), kind)
    np.testing.assert_array_equal(data.returns(PRICES[::-1].sort_index(), kind), data.returns(PRICES, kind))


@pytest.mark.parametrize("dtype", ["Float64", "Int64", "float64[pyarrow]"])
def test_missing_values_of_pandas_own_types_are_missing(dtype: str) -> None:
    whole = pd.Series([100, 110, 99, 120], dtype=dtype)
    np.testing.assert_array_equal(data.returns(whole), data.returns(whole.astype("float64")))
    np.testing.assert_array_equal(data.standardize(whole), data.standardize(whole.astype("float64")))
    holed = whole.copy()
    holed[1] = pd.NA
    for function in (data.returns, data.standardize, mm.generate):
        with pytest.raises(ValueError, match=r"missing|NaN"):
            function(pd.concat([holed] * 100, ignore_index=True))


def test_masked_values_of_an_array_are_missing() -> None:
    values = np.random.default_rng(0).standard_normal(500)
    masked = np.ma.array(values, mask=values > 2.5)
    with pytest.raises(ValueError, match=r"masked values, the first at index.*compressed\(\)"):
        mm.generate(masked)
    assert mm.generate(np.ma.array(values), 1, 64).paths.isfinite().all()


CHANGES = np.random.default_rng(0).standard_normal(300)


@pytest.mark.parametrize(
    ("levels", "mend"),
    [
        (CHANGES, "look like returns already. Leave returns"),
        (np.cumsum(CHANGES), "fell below 0, need differences"),
        (np.where(np.arange(300) == 7, 0.0, 100.0 + CHANGES), r"on index 7.*single 0 among 300.*missing value"),
        (np.where(np.arange(300) == 7, -37.6, 100.0 + CHANGES), "-37.6 on index 7.*fell below 0, need differences"),
    ],
    ids=["returns", "rates", "a zero", "a price below 0"],
)
def test_levels_that_have_no_logarithm_are_told_apart(levels: np.ndarray, mend: str) -> None:
    with pytest.raises(ValueError, match=mend):
        data.returns(pd.Series(levels))
