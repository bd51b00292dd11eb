"""Dates after those of a series."""

from __future__ import annotations

import pandas as pd
import pytest

from mfmgdm_lib.data import dates_after


@pytest.mark.parametrize(
    ("dates", "following"),
    [
        (pd.bdate_range("2024-01-01", periods=40), ["2024-02-26", "2024-02-27"]),
        (pd.bdate_range("2024-01-01", periods=40).delete([5, 12]), ["2024-02-26", "2024-02-27"]),
        (pd.date_range("2024-01-01", periods=41), ["2024-02-11", "2024-02-12"]),
        (pd.bdate_range("2024-01-01", periods=40, freq="C", weekmask="Sun Mon Tue Wed Thu"), ["2024-02-26"]),
        (pd.date_range("2024-01-05", periods=20, freq="W-FRI"), ["2024-05-24", "2024-05-31"]),
        (pd.date_range("2022-01-31", periods=24, freq="ME"), ["2024-01-31", "2024-02-29"]),
        (pd.date_range("2022-01-31", periods=24, freq="BME"), ["2024-01-31", "2024-02-29", "2024-03-29"]),
        (pd.date_range("2022-01-01", periods=24, freq="MS"), ["2024-01-01", "2024-02-01"]),
        (pd.date_range("2022-01-15", periods=24, freq=pd.DateOffset(months=1)), ["2024-01-15", "2024-02-15"]),
        (pd.bdate_range("2024-01-01", periods=40, tz="America/New_York"), ["2024-02-26"]),
    ],
    ids=[
        "markets",
        "holidays",
        "every day",
        "Sunday to Thursday",
        "weeks",
        "months",
        "weekdays",
        "firsts",
        "15th",
        "zone",
    ],
)
def test_dates_go_on_as_they_were(dates: pd.DatetimeIndex, following: list[str]) -> None:
    assert list(dates_after(dates, len(following))) == [pd.Timestamp(day, tz=dates.tz) for day in following]


@pytest.mark.parametrize(
    ("dates", "n", "said"),
    [
        (pd.date_range("2024-01-01", periods=40, freq="h"), 3, "intraday"),
        (pd.bdate_range("2024-01-01", periods=5), 3, "5 dates"),
        (pd.bdate_range("2024-01-01", periods=40), 10**6, "1000000 dates after 2024-02-23"),
    ],
)
def test_dates_that_are_not_known_are_refused(dates: pd.DatetimeIndex, n: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dates_after(dates, n)


def test_an_index_of_numbers_is_refused() -> None:
    with pytest.raises(TypeError, match="RangeIndex"):
        dates_after(pd.RangeIndex(40), 3)
