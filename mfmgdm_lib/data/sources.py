"""One function for each source of series: arch's S&P 500, Yahoo, Riksbank, FRED and ECB."""

from __future__ import annotations

import pandas as pd

from mfmgdm_lib.data.checks import parse_window, spell_date
from mfmgdm_lib.data.lookup import Date, fetch
from mfmgdm_lib.data.series import describe

__all__ = ["ecb", "fred", "riksbank", "sp500", "yahoo"]


def sp500(*, start: Date = None, end: Date = None) -> pd.Series:
    """Daily adjusted closes of the S&P 500, 1999-01-04 to 2018-12-31, from the installed package `arch`; no network.

    Args:
        start: first date wanted, such as "2003-01-01"; None for the first there is.
        end: last date wanted; None for the last there is.

    Returns:
        A float64 series of prices in index points, by date.

    Raises:
        ValueError: dates that cannot be read, or a window without prices.

    Example:
        >>> closes = sp500(start="2008-09-15", end="2008-09-16")
        >>> closes.round(2).tolist()
        [1192.7, 1213.6]
    """
    from arch.data import sp500 as embedded  # slow to import, and only this function needs it

    closes = embedded.load()["Adj Close"].astype("float64")
    first, last = parse_window(start, end)
    window = closes.loc[first:last].rename("S&P 500").rename_axis("date")
    if window.empty:
        raise ValueError(
            f"start {start!r} and end {end!r} leave no prices; expected a window that overlaps"
            f" {spell_date(closes.index[0])} to {spell_date(closes.index[-1])}. Move one of the two."
        )
    window.attrs = {"source": "arch.data.sp500, adjusted close", "unit": "index points", **describe(window)}
    return window


def yahoo(symbol: str, start: Date = None, end: Date = None) -> pd.Series:
    r"""Daily adjusted closing prices from Yahoo Finance, for days that are over, by the exchange's calendar.

    It is the column `Close` of the package yfinance with `auto_adjust=True`: corrected for splits and dividends, so
    that the past of a share changes with its next dividend.
    `fetch` says how it is kept and read; the data are for personal use.

    Args:
        symbol: as Yahoo spells it, such as "^GSPC" for the S&P 500.
        start: first date wanted; None for the first there is.
        end: last date wanted; None for yesterday.

    Returns:
        Prices in the units of the quotation, as from `fetch`.

    Raises:
        ConnectionError: as `fetch`.
        ValueError: as `fetch`.

    Example:
        >>> import os, pathlib, tempfile, unittest.mock
        >>> with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.dict(os.environ, MFMGDM_DATA_DIR=folder):
        ...     _ = pathlib.Path(folder, "^GSPC.csv").write_text("date,close\n2024-01-02,4743.0\n2024-01-03,4705.0\n")
        ...     yahoo("^GSPC").tolist()
        [4743.0, 4705.0]
    """
    return fetch("yahoo", symbol, start, end)


def riksbank(series_id: str, start: Date = None, end: Date = None) -> pd.Series:
    r"""Interest rates from Sveriges Riksbank, the source of Section 5.2; about five questions a minute are answered.

    Args:
        series_id: as the bank spells it, such as "USGVB10Y" or "EMGVB5Y".
        start: first date wanted; None for the first there is.
        end: last date wanted; None for the last there is.

    Returns:
        Rates in percent per annum, as from `fetch`.

    Raises:
        ConnectionError: as `fetch`.
        ValueError: as `fetch`.

    Example:
        >>> import os, pathlib, tempfile, unittest.mock
        >>> with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.dict(os.environ, MFMGDM_DATA_DIR=folder):
        ...     _ = pathlib.Path(folder, "EMGVB5Y.csv").write_text("date,value\n2024-01-02,2.01\n2024-01-03,1.98\n")
        ...     riksbank("EMGVB5Y", end="2024-01-03").tolist()
        [2.01, 1.98]
    """
    return fetch("riksbank", series_id, start, end)


def fred(series_id: str, start: Date = None, end: Date = None) -> pd.Series:
    r"""Interest rates from FRED, of the Federal Reserve Bank of St. Louis; holidays are left out.

    Args:
        series_id: as FRED spells it, such as "DGS10".
        start: first date wanted; None for the first there is.
        end: last date wanted; None for the last there is.

    Returns:
        Rates in percent per annum, as from `fetch`.

    Raises:
        ConnectionError: as `fetch`.
        ValueError: as `fetch`.

    Example:
        >>> import os, pathlib, tempfile, unittest.mock
        >>> with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.dict(os.environ, MFMGDM_DATA_DIR=folder):
        ...     _ = pathlib.Path(folder, "DGS5.csv").write_text("date,value\n2024-01-02,3.93\n2024-01-03,3.90\n")
        ...     fred("DGS5").attrs["unit"]
        'percent per annum'
    """
    return fetch("fred", series_id, start, end)


def ecb(key: str, start: Date = None, end: Date = None) -> pd.Series:
    r"""Spot rates of the euro area's yield curve, from the European Central Bank.

    Args:
        key: the maturity, such as "SR_10Y", for the curve of central governments rated AAA; or a full key of the data
            set YC, such as "B.U2.EUR.4F.G_N_C.SV_C_YM.SR_10Y".
        start: first date wanted; None for the first there is.
        end: last date wanted; None for the last there is.

    Returns:
        Rates in percent per annum, continuously compounded, as from `fetch`.

    Raises:
        ConnectionError: as `fetch`.
        ValueError: as `fetch`.

    Example:
        >>> import os, pathlib, tempfile, unittest.mock
        >>> with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.dict(os.environ, MFMGDM_DATA_DIR=folder):
        ...     _ = pathlib.Path(folder, "SR_10Y.csv").write_text("date,value\n2024-01-02,2.12\n2024-01-03,2.06\n")
        ...     ecb("B.U2.EUR.4F.G_N_A.SV_C_YM.SR_10Y").name
        'SR_10Y'
    """
    return fetch("ecb", key, start, end)
