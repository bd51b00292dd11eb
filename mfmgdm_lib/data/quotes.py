"""Daily prices from Yahoo Finance by the package yfinance."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import quote

import pandas as pd

__all__ = ["address", "get_quotes"]

TIMEOUT = 60.0
"""Seconds for one answer."""

_DAY = datetime.timedelta(days=1)
_WITHOUT = "put the series into a folder as a CSV file, and name the folder in the environment variable MFMGDM_DATA_DIR"
_MEND = f"Try again later, or {_WITHOUT}."


def address(symbol: str) -> str:
    """Return where a person finds a series; yfinance knows the addresses that programs ask.

    Example:
        >>> address("^GSPC")
        'https://finance.yahoo.com/quote/%5EGSPC'
    """
    return f"https://finance.yahoo.com/quote/{quote(symbol, safe='')}"


def get_quotes(symbol: str, start: str | None, end: str | None) -> pd.Series:
    """Return the adjusted closes of the days that are over, by the exchange's calendar.

    Args:
        symbol: as Yahoo spells it.
        start: first date wanted, YYYY-MM-DD; None for the first there is.
        end: last date wanted, which is included; None for yesterday.

    Returns:
        Prices by ascending date without time zone, shape (days,); days without a price are left out and counted in
        `attrs["dropped"]`.

    Raises:
        ConnectionError: no answer, or one that asks to wait.
        ValueError: Yahoo has no such symbol, no prices in the window, or answers in a shape that yfinance cannot read.

    Example:
        >>> from unittest import mock
        >>> days = pd.DatetimeIndex(["2024-01-02", "2024-01-03"], tz="America/New_York")
        >>> with mock.patch("yfinance.Ticker") as ticker:
        ...     ticker.return_value.history.return_value = pd.DataFrame({"Close": [4743.0, 4705.0]}, index=days)
        ...     get_quotes("^GSPC", "2024-01-02", "2024-01-03").tolist()
        [4743.0, 4705.0]
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

    where, window = address(symbol), _window(start, end)
    YfData.cache_get.cache_clear()  # it would answer a repeated question, or a refused one, out of memory
    # By default yfinance logs what went wrong, and returns an empty table.
    hidden, yfinance.config.debug.hide_exceptions = yfinance.config.debug.hide_exceptions, False
    try:
        return yfinance.Ticker(symbol).history(
            **window, interval="1d", auto_adjust=True, actions=False, keepna=True, timeout=TIMEOUT
        )
    except (YFRateLimitError, YFDataException) as error:
        raise ConnectionError(
            f"{where} could not be read ({error}); expected prices. Wait some minutes and try again, or {_WITHOUT}."
        ) from error
    except YFTickerMissingError as error:
        raise ValueError(
            f"{where} has no prices ({error.rationale}); expected a series by that name, with data in the window. Check"
            f" the identifier and the window, or {_WITHOUT}."
        ) from error
    except OSError as error:  # those of the connection, of either package that yfinance may ask through
        raise ConnectionError(
            f"{where} could not be read ({type(error).__name__}: {error}); expected a whole answer. {_MEND}"
        ) from error
    except Exception as error:  # yfinance has no error for answers of a shape that it did not expect
        raise ValueError(
            f"{where} answered something that cannot be read ({type(error).__name__}: {error}); expected daily prices."
            f" {_MEND}"
        ) from error
    finally:
        yfinance.config.debug.hide_exceptions = hidden


def _window(start: str | None, end: str | None) -> dict[str, Any]:
    """Spell a window as yfinance wants it: without its end, and by name where it begins with the first day."""
    after = datetime.date.fromisoformat(end) + _DAY if end else None
    return {"period": None if start else "max", "start": start, "end": after}
