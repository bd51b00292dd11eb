"""The address book of the data room: for each publisher, where to ask, how to read the answer, and what it means."""

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
from zoneinfo import ZoneInfo

import pandas as pd

__all__ = ["PUBLISHERS", "Publisher"]

Build = Callable[[str, str | None, str | None], str]
Read = Callable[[bytes, str], pd.Series]

_EURO_AAA = "B.U2.EUR.4F.G_N_A.SV_C_YM."
"""Spot rates of euro-area central governments rated AAA, Svensson's curve; the last part names the maturity."""

_BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
_YAHOO_REACH = datetime.timedelta(days=99 * 365)  # it refuses longer windows


@dataclass(frozen=True)
class Publisher:
    """Who publishes series, and how.

    Attributes:
        title: name, with what its series are.
        base: the address that all questions begin with.
        address: what follows, for an identifier and a window.
        read: turns a body into a series, in the order of the body, missing days left out and counted in
            `attrs["dropped"]`; it may raise whatever odd input makes it raise.
        shape: what a body has to look like.
        unit: of the values.
        kind: of the values, for `check_series`.
        agent: who to say is asking.
        canonical: spells an identifier in one way.
        files: names of series in a folder of files, beside those made from the identifier.
    """

    title: str
    base: str
    address: Build
    read: Read
    shape: str
    unit: str = "percent per annum"
    kind: str = "rate"
    agent: str = "Mozilla/5.0 (compatible; mfmgdm_lib)"
    canonical: Callable[[str], str] = str
    files: Mapping[str, str] = field(default_factory=dict)

    def url(self, identifier: str, start: str | None, end: str | None) -> str:
        """Return the address that answers for a series and a window, YYYY-MM-DD."""
        return self.base + self.address(identifier, start, end)


def _series(dates: list[Any], values: list[float], dropped: int = 0) -> pd.Series:
    series = pd.Series(values, index=pd.DatetimeIndex(dates, name="date"), dtype="float64")
    if dropped:
        series.attrs["dropped"] = dropped
    return series


def _yahoo_address(symbol: str, start: str | None, end: str | None) -> str:
    # A day more at either end: sessions begin and end by the exchange's clock. What is outside is cut off later.
    day, midnight = datetime.timedelta(days=1), datetime.time(tzinfo=datetime.UTC)
    last = datetime.date.fromisoformat(end) if end else datetime.datetime.now(datetime.UTC).date()
    first = datetime.date.fromisoformat(start) - day if start else last - _YAHOO_REACH
    seconds = [int(datetime.datetime.combine(date, midnight).timestamp()) for date in (first, last + 2 * day)]
    return f"{quote(symbol, safe='')}?{urlencode({'period1': seconds[0], 'period2': seconds[1], 'interval': '1d'})}"


def _read_yahoo(body: bytes, symbol: str) -> pd.Series:
    chart = json.loads(body)["chart"]
    if error := chart.get("error"):
        raise ValueError(f"{error['code']}: {error['description']}")
    (result,) = chart["result"]
    stamps = result.get("timestamp", [])
    closes = result["indicators"]["adjclose"][0]["adjclose"] if stamps else []
    zone = _zone(result["meta"])
    today = datetime.datetime.now(zone).date()
    dates = [datetime.datetime.fromtimestamp(stamp, zone).date() for stamp in stamps]
    # The price of a day that is not over still moves, and would be another one the next time.
    over = [(date, close) for date, close in zip(dates, closes, strict=True) if date < today]
    kept = [(date, float(close)) for date, close in over if close is not None]
    return _series([date for date, _ in kept], [close for _, close in kept], len(over) - len(kept))


def _zone(meta: Mapping[str, Any]) -> datetime.tzinfo:
    """The exchange's time zone: by its name, which knows of summer time, or else by today's offset."""
    if name := meta.get("exchangeTimezoneName"):
        return ZoneInfo(name)
    return datetime.timezone(datetime.timedelta(seconds=meta["gmtoffset"]))


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


PUBLISHERS = {
    "yahoo": Publisher(
        title="Yahoo Finance, daily adjusted close",
        base="https://query1.finance.yahoo.com/v8/finance/chart/",
        address=_yahoo_address,
        read=_read_yahoo,
        shape="JSON with chart.result[0].timestamp and indicators.adjclose",
        unit="units of the quotation",
        kind="price",
        agent=_BROWSER,
        files={"^GSPC": "sp500.csv"},
    ),
    "riksbank": Publisher(
        title="Sveriges Riksbank, SWEA",
        base="https://api.riksbank.se/swea/v1/Observations/",
        address=_riksbank_address,
        read=_read_riksbank,
        shape="a JSON list of objects with date and value",
    ),
    "fred": Publisher(
        title="Federal Reserve Bank of St. Louis, FRED",
        base="https://fred.stlouisfed.org/graph/fredgraph.csv",
        address=_fred_address,
        read=_read_fred,
        shape="CSV with a column of dates and one named like the series",
        files={"DGS5": "rates/usd_5y.csv", "DGS10": "rates/usd_10y.csv"},
    ),
    "ecb": Publisher(
        title="European Central Bank, yield curve",
        base="https://data-api.ecb.europa.eu/service/data/YC/",
        address=_ecb_address,
        read=_read_ecb,
        shape="CSV with columns KEY, TIME_PERIOD and OBS_VALUE",
        canonical=_canonical_key,
        files={"SR_5Y": "rates/eur_5y.csv", "SR_10Y": "rates/eur_10y.csv"},
    ),
}
