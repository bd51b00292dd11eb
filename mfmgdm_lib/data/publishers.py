"""The publishers of series: the address, the format and the units of each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import pandas as pd
import pyarrow as pa

from mfmgdm_lib.data.dates import parse_dates
from mfmgdm_lib.data.files import read_table

__all__ = ["PUBLISHERS", "Publisher", "Website"]

_EURO_AAA = "B.U2.EUR.4F.G_N_A.SV_C_YM."
"""Spot rates of euro-area central governments rated AAA, Svensson's curve; the last part names the maturity."""

_RIKSBANK_RATES = r"[A-Z]{2}(GVB\d.*|TB\d.*|MB\d.*|DP\d.*|CB(REPO|DEPO|LEND)EFF)|SWESTR.*"
"""Bonds, bills, deposits and the rates of the bank itself, and not SEKUSDPMI, the price of a dollar in crowns."""

_FRED_RATES = (
    r"D?GS\d+(MO|Y)?|D?TB\d+(MS|YR|WK)?|DFII\d+|T\d+Y(\d+[YM]|FF|IE)M?|D?(AAA|BAA|PRIME|FF)|MPRIME|MORTGAGE\d+US"
    r"|FEDFUNDS|EFFR|OBFR|IORB|SOFR(\d+DAYAVG)?|DFEDTAR[LU]?|DCP[FN]\w*|IR(LTLT|STCI|3TIB)01\w+"
)
"""Yields, bills, policy and money market rates by their usual names; exchange rates and indices have others."""


@dataclass(frozen=True, kw_only=True)
class Publisher:
    """Who publishes series, and what they mean."""

    title: str
    unit: str = "unit of the publisher"
    kind: str | None = None  # as for `check_series`
    rates: str = "(?!)"  # a pattern of the identifiers of interest rates; the others may be in any unit
    dates: str | None = None  # name of the column of dates in its CSV files; None for the first
    values: str = "{}"  # name of the column of values there, for an identifier
    canonical: Callable[[str], str] = str  # spells an identifier in one way
    files: Mapping[str, str] = field(default_factory=dict)  # other names in a folder of files, by identifier

    def meaning(self, identifier: str) -> tuple[str, str | None]:
        """The unit of a series, and its kind as for `check_series`, as far as they are known."""
        if re.fullmatch(self.rates, identifier):
            return "percent per annum", "rate"
        return self.unit, self.kind


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
    dates = parse_dates(pa.array([row["date"] for row in rows], pa.string()))
    return pd.Series([row["value"] for row in rows], index=dates, dtype="float64")


def _read_fred(body: bytes, series_id: str) -> pd.Series:
    table = read_table("the answer", body)
    return table.series(0, table.find(series_id), drop_missing=True)  # the name of the dates has changed over the years


def _read_ecb(body: bytes, key: str) -> pd.Series:
    table = read_table("the answer", body)
    for found in table.columns[table.find("KEY")].unique().to_pylist():
        if not found.endswith(_full_key(key)):
            raise ValueError(f"a row of {found}")
    return table.series(table.find("TIME_PERIOD"), table.find("OBS_VALUE"), drop_missing=True)


PUBLISHERS: dict[str, Publisher] = {
    "yahoo": Publisher(
        title="Yahoo Finance, daily adjusted close",
        unit="units of the quotation",
        kind="price",
        values="Close",
        files={"^GSPC": "sp500.csv"},
    ),
    "riksbank": Website(
        title="Sveriges Riksbank, SWEA",
        base="https://api.riksbank.se/swea/v1/Observations/",
        address=lambda key, start, end: "/".join(filter(None, [quote(key, safe=""), start or "1900-01-01", end])),
        read=_read_riksbank,
        shape="a JSON list of objects with date and value",
        rates=_RIKSBANK_RATES,
    ),
    "fred": Website(
        title="Federal Reserve Bank of St. Louis, FRED",
        base="https://fred.stlouisfed.org/graph/fredgraph.csv",
        address=lambda key, start, end: _query(id=key, cosd=start, coed=end),
        read=_read_fred,
        shape="CSV with a column of dates and one named like the series",
        rates=_FRED_RATES,
        files={"DGS5": "rates/usd_5y.csv", "DGS10": "rates/usd_10y.csv"},
    ),
    "ecb": Website(
        title="European Central Bank, yield curve",
        base="https://data-api.ecb.europa.eu/service/data/YC/",
        address=lambda key, start, end: (
            quote(_full_key(key), safe="") + _query(startPeriod=start, endPeriod=end, format="csvdata")
        ),
        read=_read_ecb,
        rates=r"(.*\.)?(SR|IF|PY)_\d+[YM].*",  # the parameters of the curve are none
        dates="TIME_PERIOD",
        values="OBS_VALUE",
        shape="CSV with columns KEY, TIME_PERIOD and OBS_VALUE",
        canonical=lambda key: key.removeprefix("YC.").removeprefix(_EURO_AAA),
        files={"SR_5Y": "rates/eur_5y.csv", "SR_10Y": "rates/eur_10y.csv"},
    ),
}
"""Who publishes which series, by a short name."""
