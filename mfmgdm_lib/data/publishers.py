"""The publishers of series: the address, the format and the units of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import pandas as pd

from mfmgdm_lib.data.files import Table, parse_dates

__all__ = ["PUBLISHERS", "Publisher", "Website"]

_EURO_AAA = "B.U2.EUR.4F.G_N_A.SV_C_YM."
"""Spot rates of euro-area central governments rated AAA, Svensson's curve; the last part names the maturity."""


@dataclass(frozen=True, kw_only=True)
class Publisher:
    """Who publishes series, and what they mean."""

    title: str
    unit: str = "percent per annum"
    kind: str = "rate"  # as for `check_series`
    canonical: Callable[[str], str] = str  # spells an identifier in one way
    files: Mapping[str, str] = field(default_factory=dict)  # other names in a folder of files, by identifier


@dataclass(frozen=True, kw_only=True)
class Website(Publisher):
    """A publisher that answers at an address, `base` with what `address` adds for an identifier and a window.

    `read` turns an answer that has the `shape` into a series, in the order of the answer, with missing days left out
    and counted in `attrs["dropped"]`; it may raise whatever odd input makes it raise.
    """

    base: str
    address: Callable[[str, str | None, str | None], str]
    read: Callable[[bytes, str], pd.Series]
    shape: str


def _query(**parts: str | None) -> str:
    return "?" + urlencode({name: value for name, value in parts.items() if value})


def _full_key(key: str) -> str:
    return key if "." in key else _EURO_AAA + key


def _read_riksbank(body: bytes, series_id: str) -> pd.Series:
    rows = json.loads(body)
    dates = parse_dates("the answer", pd.Series([row["date"] for row in rows], dtype="object"))
    return pd.Series([row["value"] for row in rows], index=dates, dtype="float64")


def _read_fred(body: bytes, series_id: str) -> pd.Series:
    table = Table("the answer", body)
    return table.series(0, table.find(series_id), drop_missing=True)  # the name of the dates has changed over the years


def _read_ecb(body: bytes, key: str) -> pd.Series:
    table = Table("the answer", body)
    for found in table.cells.iloc[:, table.find("KEY")].unique():
        if not found.endswith(_full_key(key)):
            raise ValueError(f"a row of {found}")
    return table.series(table.find("TIME_PERIOD"), table.find("OBS_VALUE"), drop_missing=True)


PUBLISHERS: dict[str, Publisher] = {
    "yahoo": Publisher(
        title="Yahoo Finance, daily adjusted close",
        unit="units of the quotation",
        kind="price",
        files={"^GSPC": "sp500.csv"},
    ),
    "riksbank": Website(
        title="Sveriges Riksbank, SWEA",
        base="https://api.riksbank.se/swea/v1/Observations/",
        address=lambda key, start, end: "/".join(filter(None, [quote(key, safe=""), start or "1900-01-01", end])),
        read=_read_riksbank,
        shape="a JSON list of objects with date and value",
    ),
    "fred": Website(
        title="Federal Reserve Bank of St. Louis, FRED",
        base="https://fred.stlouisfed.org/graph/fredgraph.csv",
        address=lambda key, start, end: _query(id=key, cosd=start, coed=end),
        read=_read_fred,
        shape="CSV with a column of dates and one named like the series",
        files={"DGS5": "rates/usd_5y.csv", "DGS10": "rates/usd_10y.csv"},
    ),
    "ecb": Website(
        title="European Central Bank, yield curve",
        base="https://data-api.ecb.europa.eu/service/data/YC/",
        address=lambda key, start, end: (
            quote(_full_key(key), safe="") + _query(startPeriod=start, endPeriod=end, format="csvdata")
        ),
        read=_read_ecb,
        shape="CSV with columns KEY, TIME_PERIOD and OBS_VALUE",
        canonical=lambda key: key.removeprefix("YC.").removeprefix(_EURO_AAA),
        files={"SR_5Y": "rates/eur_5y.csv", "SR_10Y": "rates/eur_10y.csv"},
    ),
}
"""Who publishes which series, by a short name."""
