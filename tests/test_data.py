"""The S&P 500 that ships with arch: dates, windows, values, and standardisation that can be undone."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from mfmgdm_lib import data


def test_returns_are_log_ratios_of_the_adjusted_closes_that_arch_ships() -> None:
    from arch.data import sp500

    closes = sp500.load()["Adj Close"].to_numpy()
    returns = data.sp500()
    assert len(returns) == len(closes) - 1 == 5030
    np.testing.assert_allclose(returns.to_numpy(), [math.log(b / a) for a, b in itertools.pairwise(closes)], atol=1e-15)


def test_first_return_is_that_of_the_published_closes() -> None:
    # 4 and 5 January 1999: 1228.10 and 1244.78.
    assert float(data.sp500().iloc[0]) == pytest.approx(math.log(1244.780029 / 1228.099976), abs=1e-9)


def test_returns_are_dated_ordered_and_complete() -> None:
    returns = data.sp500()
    assert isinstance(returns.index, pd.DatetimeIndex)
    assert returns.index.is_monotonic_increasing and returns.index.is_unique
    assert (str(returns.index[0].date()), str(returns.index[-1].date())) == ("1999-01-05", "2018-12-31")
    assert returns.dtype == np.float64 and np.isfinite(returns).all()


def test_latest_n_returns_are_the_end_of_the_series() -> None:
    latest = data.sp500(n=4096)
    pd.testing.assert_series_equal(latest, data.sp500().iloc[-4096:])
    assert (str(latest.index[0].date()), str(latest.index[-1].date())) == ("2002-09-24", "2018-12-31")


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2008-09-15", "2008-10-15", "2008-09-15", "2008-10-15"),
        ("2008-09-13", None, "2008-09-15", "2018-12-31"),  # a Saturday: the window opens on the Monday
        (None, "1999-01-10", "1999-01-05", "1999-01-08"),
    ],
)
def test_window_holds_the_returns_between_its_dates(start: str | None, end: str | None, first: str, last: str) -> None:
    window = data.sp500(start=start, end=end)
    assert (str(window.index[0].date()), str(window.index[-1].date())) == (first, last)
    pd.testing.assert_series_equal(window, data.sp500().loc[first:last])


def test_n_counts_back_from_the_end_of_the_window() -> None:
    window = data.sp500(n=5, end="2008-10-15")
    assert len(window) == 5 and str(window.index[-1].date()) == "2008-10-15"


def test_returns_say_their_source_and_unit() -> None:
    assert data.sp500().attrs == {"source": "arch.data.sp500, adjusted close", "unit": "log-return per trading day"}


def test_standardised_series_has_mean_0_and_standard_deviation_1_and_can_be_undone() -> None:
    returns = data.sp500(n=4096)
    scaled = data.standardize(returns)
    assert float(scaled.mean()) == pytest.approx(0.0, abs=1e-14)
    assert float(scaled.to_numpy().std()) == pytest.approx(1.0, abs=1e-14)
    restored = scaled * scaled.attrs["stddev"] + scaled.attrs["mean"]
    np.testing.assert_allclose(restored, returns, rtol=0, atol=1e-16)  # two roundings of values below 0.12
    assert scaled.index.equals(returns.index) and scaled.name == returns.name
    assert scaled.attrs["source"] == returns.attrs["source"] and scaled.attrs["unit"] == "standard deviations"


def test_standardising_leaves_the_series_alone() -> None:
    returns = data.sp500(n=100)
    data.standardize(returns)
    pd.testing.assert_series_equal(returns, data.sp500(n=100))
    assert returns.attrs == data.sp500().attrs
