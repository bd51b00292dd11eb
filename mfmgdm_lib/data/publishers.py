"""The publishers of series: the address, the format and the units of each."""

from __future__ import annotations

import csv
import datetime
import io
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import pandas as pd

__all__ = ["PUBLISHERS", "Publisher", "Website"]

Build = Callable[[str, str | None, str | None], str]
Read = Callable[[bytes, str], pd.Series]

_EURO_AAA = "B.U2.EUR.4F.G_N_A.SV_C_YM."
"""Spot rates of euro-area central governments rated AAA, Svensson's curve; the last part names the maturity."""


@dataclass(frozen=True, kw_only=True)
class Publisher:
    """Who publishes series, and what they mean.

    Attributes:
        title: name, with what its series are.
        unit: of the values.
        kind: of the values, for `check_series`.
        canonical: spells an identifier in one way.
        files: names of series in a folder of files, beside those made from the identifier.
    """

    title: str
    unit: str = "percent per annum"
    kind: str = "rate"
    canonical: Callable[[str], str] = str
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Website(Publisher):
    """A publisher that answers at an address, and how to read its answers.

    Attributes:
        base: the address that all questions begin with.
        address: what follows, for an identifier and a window.
        read: turns a body into a series, in the order of the body, missing days left out and counted in
            `attrs["dropped"]`; it may raise whatever odd input makes it raise.
        shape: what a body has to look like.
    """

    base: str
    address: Build
    read: Read
    shape: str

    def url(self, identifier: str, start: str | None, end: str | None) -> str:
        """Return the address that answers for a series and a window, YYYY-MM-DD."""
        return self.base + self.address(identifier, start, end)


def _series(dates: list[Any], values: list[float], dropped: int = 0) -> pd.Series:
    series = pd.Series(values, index=pd.DatetimeIndex(dates, name="date"), dtype="float64")
    if dropped:
        series.attrs["dropped"] = dropped
    return series


def _riksbank_address(series_id: str, start: str | None, end: str | None) -> str:
    return "/".join(filter(None, [quote(series_id, safe=""), start or "1900-01-01", end]))


def _read_riksbank(body: bytes, series_id: str) -> pd.Series:
    rows = json.loads(body)
    values = [math.nan if row["value"] is None else float(row["value"]) for row in rows]
    return _series([_iso(row["date"]) for row in rows], values)


def _fred_address(series_id: str, start: str | None, end: str | None) -> str:
    return "?" + urlencode({"id": series_id} | ({"cosd": start} if start else {}) | ({"coed": end} if end else {}))


def _read_fred(body: bytes, series_id: str) -> pd.Series:
    rows = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    date = next(iter(rows[0])) if rows else ""  # its name has changed over the years
    return _read_column(rows, date, series_id)


def _ecb_address(key: str, start: str | None, end: str | None) -> str:
    window = ({"startPeriod": start} if start else {}) | ({"endPeriod": end} if end else {})
    return f"{quote(_full_key(key), safe='')}?{urlencode(window | {'format': 'csvdata'})}"


def _read_ecb(body: bytes, key: str) -> pd.Series:
    rows = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    for row in rows:
        if not row["KEY"].endswith(_full_key(key)):
            raise ValueError(f"a row of {row['KEY']}")
    return _read_column(rows, "TIME_PERIOD", "OBS_VALUE")


def _full_key(key: str) -> str:
    return key if "." in key else _EURO_AAA + key


def _canonical_key(key: str) -> str:
    return key.removeprefix("YC.").removeprefix(_EURO_AAA)


def _read_column(rows: list[dict[str, str]], date: str, value: str) -> pd.Series:
    """Read two columns; both publishers leave the value of a holiday empty, or put a mark there."""
    kept = [row for row in rows if row[value].strip() not in ("", ".", "NaN")]
    return _series([_iso(row[date]) for row in kept], [float(row[value]) for row in kept], len(rows) - len(kept))


def _iso(text: str) -> datetime.date:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError(f"the date {text!r}")
    return datetime.date.fromisoformat(text)


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
        address=_riksbank_address,
        read=_read_riksbank,
        shape="a JSON list of objects with date and value",
    ),
    "fred": Website(
        title="Federal Reserve Bank of St. Louis, FRED",
        base="https://fred.stlouisfed.org/graph/fredgraph.csv",
        address=_fred_address,
        read=_read_fred,
        shape="CSV with a column of dates and one named like the series",
        files={"DGS5": "rates/usd_5y.csv", "DGS10": "rates/usd_10y.csv"},
    ),
    "ecb": Website(
        title="European Central Bank, yield curve",
        base="https://data-api.ecb.europa.eu/service/data/YC/",
        address=_ecb_address,
        read=_read_ecb,
        shape="CSV with columns KEY, TIME_PERIOD and OBS_VALUE",
        canonical=_canonical_key,
        files={"SR_5Y": "rates/eur_5y.csv", "SR_10Y": "rates/eur_10y.csv"},
    ),
}
