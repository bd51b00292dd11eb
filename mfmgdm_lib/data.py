"""Real series, dated and with their units; so far the S&P 500 that ships with `arch`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mfmgdm_lib._checks import as_series, check_positive_int

__all__ = ["sp500", "standardize"]


def sp500(n: int | None = None, *, start: str | None = None, end: str | None = None) -> pd.Series:
    """Daily log-returns of the S&P 500, 1999-01-05 to 2018-12-31, from the installed package `arch`; no network.

    Args:
        n: how many of the latest returns of the window to keep; None keeps all.
        start: first date wanted, such as "2003-01-01"; None for the first there is.
        end: last date wanted; None for the last there is.

    Returns:
        A float64 series of log-returns (dimensionless, per trading day), indexed by date.

    Raises:
        ValueError: dates that cannot be read, an empty window, or fewer than `n` returns in it.

    Example:
        >>> returns = sp500(n=4096)
        >>> len(returns), str(returns.index[0].date()), str(returns.index[-1].date())
        (4096, '2002-09-24', '2018-12-31')
    """
    from arch.data import sp500 as embedded  # slow to import, and only this function needs it

    closes = embedded.load()["Adj Close"]
    returns = np.log(closes).diff().iloc[1:].loc[_date("start", start) : _date("end", end)]
    if returns.empty:
        raise ValueError(
            f"start {start!r} and end {end!r} leave no returns; expected a window that overlaps"
            f" {closes.index[1].date()} to {closes.index[-1].date()}. Move one of the two."
        )
    if n is not None and check_positive_int("n", n) > len(returns):
        raise ValueError(f"n is {n}; expected at most the {len(returns)} returns there are. Widen the window.")
    returns = returns if n is None else returns.iloc[-n:]
    returns.attrs.update(source="arch.data.sp500, adjusted close", unit="log-return per trading day")
    return returns.rename("S&P 500 log-return")


def standardize(series: pd.Series) -> pd.Series:
    """Shift and scale a series to mean 0 and standard deviation 1 (Section 5.2).

    Args:
        series: finite numbers that are not all the same.

    Returns:
        A series with the same index. Its `attrs` keep the `mean` and `stddev` (divisor: the length) that undo it.

    Example:
        >>> returns = sp500(n=4096)
        >>> scaled = standardize(returns)
        >>> restored = scaled * scaled.attrs["stddev"] + scaled.attrs["mean"]
        >>> bool(abs(restored - returns).max() < 1e-15)
        True
    """
    if not isinstance(series, pd.Series):
        raise TypeError(f"series is a {type(series).__name__}; expected a pandas Series. Use pd.Series(...) first.")
    values = as_series("series", series).numpy()
    mean, stddev = float(values.mean()), float(values.std())
    scaled = pd.Series((values - mean) / stddev, index=series.index, name=series.name)
    scaled.attrs = {**series.attrs, "mean": mean, "stddev": stddev, "unit": "standard deviations"}
    return scaled


def _date(name: str, value: str | None) -> pd.Timestamp | None:
    try:
        return None if value is None else pd.Timestamp(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {value!r}; expected a date such as '2003-01-01'. ({error})") from error
