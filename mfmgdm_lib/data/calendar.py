"""The dates that follow those of a series, by their spacing and days of the week."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mfmgdm_lib._checks import check_positive_int, spell_date
from mfmgdm_lib.data.series import describe
from mfmgdm_lib.errors import Message

__all__ = ["dates_after"]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_SELDOM = 0.05
"""Share of the dates below which a day of the week is an exception: each of five or seven has more than a seventh."""


def dates_after(dates: pd.Index, n: int) -> pd.DatetimeIndex:
    """Return the n dates that follow a series, as far as its own dates tell.

    A daily series goes on at the days of the week that it has, Monday to Friday for most markets, holidays included,
    for which there is no rule here; a weekly one every seven days; a monthly one at the ends of months, the last of
    their Mondays to Fridays, or their first days, if the last year's are such, else on the same day of each month.

    Args:
        dates: ascending dates of a series, at least 10, with a time zone or without.
        n: how many are wanted.

    Returns:
        Dates after the last one, in the same time zone.

    Raises:
        TypeError: no dates.
        ValueError: dates of another spacing, such as minutes, or more than there is room for in pandas.

    Example:
        >>> dates_after(pd.bdate_range("2024-01-01", "2024-03-01"), 2).strftime("%Y-%m-%d").tolist()
        ['2024-03-04', '2024-03-05']
    """
    check_positive_int("n", n)
    if not isinstance(dates, pd.DatetimeIndex):
        raise TypeError(
            Message(
                f"the series has an index of the type {type(dates).__name__}; expected dates, a pandas DatetimeIndex.",
                "Leave dates out, or give the series such an index.",
                option="Leave --dates out.",
            )
        )
    frequency = describe(pd.Series(0.0, dates))["frequency"]
    if len(dates) < 10 or frequency not in _OFFSETS:
        raise ValueError(
            Message(
                f"the series has {len(dates)} dates, {frequency}; expected at least 10 that are daily, weekly or"
                " monthly, of which the next are known.",
                "Leave dates out: points are numbered then.",
                option="Leave --dates out: points are numbered then.",
            )
        )
    last = dates[-1]
    try:
        following = pd.date_range(last, periods=n + 1, freq=_OFFSETS[frequency](dates))
    except (pd.errors.OutOfBoundsDatetime, OverflowError) as error:
        raise ValueError(
            Message(
                f"{n} dates after {spell_date(last)} go beyond what pandas has dates for; expected fewer.",
                "Use shorter paths, or leave dates out.",
                option="Use a smaller --length, or leave --dates out.",
            )
        ) from error
    return following[following > last][:n]


def _daily(dates: pd.DatetimeIndex) -> pd.offsets.CustomBusinessDay:
    share = np.bincount(dates.dayofweek, minlength=7) / len(dates)
    open_days = [day for day, often in zip(_DAYS, share, strict=True) if often > _SELDOM]
    return pd.offsets.CustomBusinessDay(weekmask=" ".join(open_days))  # type: ignore[call-arg]


def _weekly(dates: pd.DatetimeIndex) -> pd.offsets.Day:
    return pd.offsets.Day(7)


def _monthly(dates: pd.DatetimeIndex) -> pd.offsets.BaseOffset:
    """The rule for all of the last year, in which weekends tell ends of months from their last weekdays."""
    for rule in (pd.offsets.MonthEnd(), pd.offsets.BMonthEnd(), pd.offsets.MonthBegin(), pd.offsets.BMonthBegin()):
        if all(rule.is_on_offset(date) for date in dates[-12:]):
            return rule
    return pd.DateOffset(months=1)


_OFFSETS = {"daily": _daily, "weekly": _weekly, "monthly": _monthly}
