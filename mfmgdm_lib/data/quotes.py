"""Daily prices from Yahoo Finance by the package yfinance."""

from __future__ import annotations

import datetime
from urllib.parse import quote

import pandas as pd

__all__ = ["address", "get_quotes"]

_WITHOUT = "put the series into a folder as a CSV file, and name the folder in the environment variable MFMGDM_DATA_DIR"


def address(symbol: str) -> str:
    """Return where a person finds a series; yfinance knows the addresses that programs ask."""
    return f"https://finance.yahoo.com/quote/{quote(symbol, safe='')}"


def get_quotes(symbol: str, start: str | None, end: str | None) -> pd.Series:
    """Return the adjusted closes from one day to another, as YYYY-MM-DD, that are over by the exchange's calendar.

    Returns:
        Prices by ascending date without time zone; days without a price are left out and counted in `attrs["dropped"]`.

    Raises:
        ConnectionError: no answer, or one that asks to wait.
        ValueError: Yahoo has no such symbol, no prices in the window, or answers in a shape that yfinance cannot read.
    """
    table = _ask(symbol, start, end)
    if table.empty:
        return pd.Series(dtype="float64")
    days = pd.DatetimeIndex(table.index)
    # The price of a day that is not over still moves, and would be another one the next time.
    over = days < pd.Timestamp.now(tz=days.tz).normalize()
    dates = days[over].tz_localize(None).normalize().rename("date")
    closes = pd.Series(table["Close"].to_numpy(dtype="float64")[over], index=dates)
    series = closes.dropna()
    if dropped := len(closes) - len(series):
        series.attrs["dropped"] = dropped
    return series


def _ask(symbol: str, start: str | None, end: str | None) -> pd.DataFrame:
    """Let yfinance ask, and say in this library's words what went wrong."""
    import yfinance  # slow to import, and only this function needs it
    from yfinance.data import YfData
    from yfinance.exceptions import YFDataException, YFRateLimitError, YFTickerMissingError

    where = address(symbol)
    window = {"start": start, "end": datetime.date.fromisoformat(end) + datetime.timedelta(days=1) if end else None}
    kind = {"interval": "1d", "auto_adjust": True, "actions": False, "keepna": True}
    YfData.cache_get.cache_clear()  # it would answer a repeated question, or a refused one, out of memory
    # By default yfinance logs what went wrong, and returns an empty table.
    hidden, yfinance.config.debug.hide_exceptions = yfinance.config.debug.hide_exceptions, False
    try:
        return yfinance.Ticker(symbol).history(period=None if start else "max", **window, **kind, timeout=60.0)
    except (YFRateLimitError, YFDataException) as error:
        raise ConnectionError(
            f"{where} could not be read ({error}); expected prices. Wait some minutes and try again, or {_WITHOUT}."
        ) from error
    except YFTickerMissingError as error:
        raise ValueError(
            f"{where} has no prices ({error.rationale}); expected a series by that name, with data in the window. Check"
            f" the identifier and the window, or {_WITHOUT}."
        ) from error
    except Exception as error:  # yfinance has no error for answers of a shape that it did not expect
        lost = isinstance(error, OSError)  # as errors of the connection are, of either package that it may ask through
        raise (ConnectionError if lost else ValueError)(
            f"{where} cannot be read ({type(error).__name__}: {error});"
            f" expected daily prices. Try again later, or {_WITHOUT}."
        ) from error
    finally:
        yfinance.config.debug.hide_exceptions = hidden
