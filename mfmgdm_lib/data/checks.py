"""Checks of the dates and values of a series."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import spell_date

__all__ = ["check_series", "check_values", "parse_window"]

# From one price to the next; a larger one is more often a split that was not adjusted for than a market's doing.
LARGEST_FACTOR = 2.0
RATES = (-5.0, 30.0)  # percent per annum; rates have been below zero, but a price or an error code is no rate

_CHECK = "Check the source; if the values are right, save them as a CSV file and use read_series."


@checked
def check_series(
    series: pd.Series, name: str, *, kind: str | None = None, start: str | None = None, end: str | None = None
) -> pd.Series:
    """Return the part of a dated series that is in a window, if all of it is fit for use.

    Args:
        series: numbers by date.
        name: what to call it in an error.
        kind: "price" for numbers above 0 that change by less than a factor of 2 from one to the next, "rate" for
            percent per annum between −5 and 30, None for any.
        start: first date wanted, as YYYY-MM-DD.
        end: last date wanted, which is kept.

    Raises:
        TypeError: not a series by date.
        ValueError: a NaN, dates that are out of order, twice there or in the future, an implausible number, or fewer
            than two rows in the window.

    Example:
        >>> rates = pd.Series([4.0, 3.5, 3.75], index=pd.date_range("2024-01-02", periods=3))
        >>> len(check_series(rates, "ten years", kind="rate", start="2024-01-03"))
        2
    """
    if not isinstance(series.index, pd.DatetimeIndex) or series.index.tz is not None:
        raise TypeError(f"{name} is not indexed by dates without time zone; expected a DatetimeIndex. Convert it.")
    values = check_values(name, series)
    _check_dates(name, series.index)
    if kind == "rate":
        low, high = RATES
        _refuse(name, series, (values < low) | (values > high), f"{low:g} to {high:g} percent per annum")
    if kind == "price":
        _refuse(name, series, values <= 0, "a price above 0")
        before, after = values[:-1], values[1:]
        jumps = (after / LARGEST_FACTOR >= before) | (before / LARGEST_FACTOR >= after)
        _refuse(name, series, np.append(False, jumps), f"less than a factor of {LARGEST_FACTOR:g}", change=True)
    inside = series.loc[start:end]
    if len(inside) < 2:
        there = f"{spell_date(series.index[0])} to {spell_date(series.index[-1])}" if len(series) else "no date"
        raise ValueError(
            f"{name} has {len(inside)} rows from {start or 'the first'} to {end or 'the last'}; expected at least 2,"
            f" and it covers {there}. Widen the window."
        )
    return inside


def check_values(name: str, series: pd.Series) -> np.ndarray:
    """Return the values of a series as float64.

    Raises:
        TypeError: not a pandas series of real numbers.
        ValueError: a NaN or infinite value.
    """
    if not isinstance(series, pd.Series):
        raise TypeError(f"{name} is a {type(series).__name__}; expected a pandas Series. Use pd.Series(...) first.")
    if series.dtype.kind not in "fiu":
        raise TypeError(f"{name} has dtype {series.dtype}; expected real numbers. Convert it to float64 first.")
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)  # also where a type of pandas' own has a mask
    bad = ~np.isfinite(values)
    if bad.any():
        raise ValueError(
            f"{name} has {bad.sum()} values that are missing or infinite, the first on"
            f" {spell_date(series.index[bad][0])}; expected finite numbers. Use series.dropna() first, or fill them in."
        )
    return values


def parse_window(start: str | datetime.date | None, end: str | datetime.date | None) -> tuple[str | None, str | None]:
    """Return the two ends of a window as YYYY-MM-DD.

    Raises:
        ValueError: no date, or an end before the start.
    """
    first, last = _parse_date("start", start), _parse_date("end", end)
    if first is not None and last is not None and last < first:
        raise ValueError(
            f"start {first!r} is after end {last!r}; expected a window that overlaps some dates. Swap them."
        )
    return first, last


def _parse_date(name: str, value: str | datetime.date | None) -> str | None:
    if value is None:
        return None
    try:
        date = datetime.date.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(date, datetime.date):
            raise ValueError(f"a {type(value).__name__}")
        return f"{date:%Y-%m-%d}"
    except ValueError as error:
        raise ValueError(f"{name} is {value!r}; expected a date such as '2003-01-01'. ({error})") from error


def _check_dates(name: str, index: pd.DatetimeIndex) -> None:
    # Where the day begins first, it is tomorrow for half of the world.
    after_tomorrow = pd.Timestamp.now("UTC").tz_localize(None).normalize() + pd.Timedelta(days=2)
    if index.has_duplicates:
        fault, expected = f"{spell_date(index[index.duplicated()][0])} more than once", "each date once"
    elif not index.is_monotonic_increasing:
        at = int(np.argmax(index[1:] < index[:-1])) + 1
        fault, expected = f"{spell_date(index[at])} after {spell_date(index[at - 1])}", "ascending dates"
    elif len(index) and index[-1] >= after_tomorrow:
        fault, expected = f"{spell_date(index[-1])}, in the future", "dates up to today"
    else:
        return
    raise ValueError(f"{name} has {fault}; expected {expected}. {_CHECK}")


def _refuse(name: str, series: pd.Series, bad: np.ndarray, expected: str, *, change: bool = False) -> None:
    if not bad.any():
        return
    at = int(np.argmax(bad))
    found = [f"{series.iloc[i]} on {spell_date(series.index[i])}" for i in range(max(at - 1, 0), at + 1)]
    told = f"goes from {found[0]} to {found[1]}" if change else f"is {found[-1]}"
    raise ValueError(f"{name} {told}; expected {expected}. {_CHECK}")
