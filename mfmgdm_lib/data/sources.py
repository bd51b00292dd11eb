"""Series from publishers, from a folder of files, from the cache or by download; and the S&P 500 of arch."""

from __future__ import annotations

import datetime
import os
import re
from pathlib import Path
from typing import Any

import pandas as pd

from mfmgdm_lib._checks import check_member, spell_date
from mfmgdm_lib.data.cache import Query, cache_folder, cached, load, read_cached, save
from mfmgdm_lib.data.checks import check_series, parse_window
from mfmgdm_lib.data.download import get
from mfmgdm_lib.data.files import describe_file, read_table
from mfmgdm_lib.data.publishers import PUBLISHERS, Publisher, Website
from mfmgdm_lib.data.quotes import address, get_quotes
from mfmgdm_lib.data.series import describe
from mfmgdm_lib.errors import Message

__all__ = ["ecb", "fetch", "fred", "kept", "riksbank", "sp500", "yahoo"]

Date = str | datetime.date | None

_IDENTIFIER = re.compile(r"[A-Za-z0-9_^][A-Za-z0-9_^=&.-]*")


def fetch(
    source: str, identifier: str, start: Date = None, end: Date = None, *, refresh: bool | str = False
) -> pd.Series:
    r"""Return a series from a publisher: from MFMGDM_DATA_DIR, if that is set, from the cache, or else by asking.

    If MFMGDM_DATA_DIR names a folder, nothing is downloaded, and the series is read from SOURCE/IDENTIFIER.csv or
    IDENTIFIER.csv there, or, for "yahoo" ^GSPC, "fred" DGS5 and DGS10, "ecb" SR_5Y and SR_10Y, from sp500.csv and
    rates/usd_5y.csv, usd_10y.csv, eur_5y.csv and eur_10y.csv. Otherwise an answer is kept, in the folder that
    MFMGDM_CACHE_DIR names or in the user's cache, and the same question is answered from there ever after, without a
    network; without an `end`, it goes as far as it did the first time.

    Args:
        source: "yahoo", "riksbank", "fred" or "ecb".
        identifier: the publisher's name for the series.
        start: first date wanted, such as "2003-01-01"; None for the first there is.
        end: last date wanted; None for the last there is.
        refresh: whether to ask again, even if there is an answer in the cache. If a value was revised since, that is an
            error; "accept" takes the new values.

    Returns:
        A float64 series by ascending date. Its `attrs` have `source`, `unit`, `frequency`, `longest_gap_days`,
        `sha256` and the `path` of the file; of a download also `url`, `retrieved` (ISO time, UTC) and the number of
        days without a value, which are left out, as `dropped`; and a `note` where the window is not covered.

    Raises:
        ConnectionError: no whole answer; it says from where, and what came instead.
        FileNotFoundError: MFMGDM_DATA_DIR is set, and there is no such file there.
        ValueError: an identifier or a date that cannot be one, no data in the window, an answer that cannot be read, an
            implausible value, or a revised one.
        OSError: the cache cannot be written to.

    Example:
        >>> import os, pathlib, tempfile, unittest.mock
        >>> with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.dict(os.environ, MFMGDM_DATA_DIR=folder):
        ...     _ = pathlib.Path(folder, "DGS10.csv").write_text("date,value\n2024-01-02,3.95\n2024-01-03,3.91\n")
        ...     fetch("fred", "DGS10").tolist()
        [3.95, 3.91]
    """
    publisher = PUBLISHERS[check_member("source", source, tuple(PUBLISHERS))]
    if not isinstance(refresh, (bool, str)) or refresh not in (False, True, "accept"):
        raise ValueError(f'refresh is {refresh!r}; expected False, True or "accept". Choose one of them.')
    if not isinstance(identifier, str) or not _IDENTIFIER.fullmatch(identifier):
        raise ValueError(
            f"identifier is {identifier!r}; expected a name such as 'DGS10' or '^GSPC'. Check its spelling."
        )
    query = Query(source, publisher.canonical(identifier), *parse_window(start, end))
    if folder := os.environ.get("MFMGDM_DATA_DIR"):
        return _read_local(Path(folder).expanduser(), query, publisher)
    old = load(query)
    if old is not None and not refresh:
        return _at(query.path, old)
    new = _download(query, publisher)
    if old is not None and refresh != "accept":
        _check_revision(query, old, new)
    return _at(query.path, save(query, new))


def kept(source: str, identifier: str) -> pd.Series:
    """Return a series that was fetched before, from the cache and without a network, whatever its dates.

    Arguments and result are those of `fetch`.

    Raises:
        FileNotFoundError: the cache has no such series.
        ValueError: it has several, of other dates.
    """
    canonical = PUBLISHERS[check_member("source", source, tuple(PUBLISHERS))].canonical(identifier)
    table = cached()
    here = table[(table["source"] == source) & (table["id"] == canonical)]
    if here.empty:
        raise FileNotFoundError(
            f"{cache_folder()} has no {source} {identifier}; expected one that was fetched. Fetch it first."
        )
    if len(here) > 1:
        raise ValueError(
            f"{cache_folder()} has {len(here)} files of {source} {identifier}, of other dates; expected one. Name the"
            f" file: {', '.join(here['path'])}."
        )
    path = Path(here["path"].item())
    return _at(path, read_cached(path))


def _at(path: Path, series: pd.Series) -> pd.Series:
    """The series, with the file that it is kept in among its `attrs`."""
    series.attrs["path"] = str(path)
    return series


def yahoo(symbol: str, start: Date = None, end: Date = None) -> pd.Series:
    """Daily adjusted closing prices from Yahoo Finance, such as "^GSPC", for days that are over there.

    It is the column `Close` of the package yfinance with `auto_adjust=True`: corrected for splits and dividends, so
    that the past of a share changes with its next dividend; for personal use. Arguments and errors as for `fetch`.
    """
    return fetch("yahoo", symbol, start, end)


def riksbank(series_id: str, start: Date = None, end: Date = None) -> pd.Series:
    """Interest rates from Sveriges Riksbank (Section 5.2), such as "USGVB10Y", in percent per annum, and other series.

    Of those that are no interest rates, such as "SEKUSDPMI", the unit is left to the publisher. About five questions a
    minute are answered. Arguments and errors as for `fetch`.
    """
    return fetch("riksbank", series_id, start, end)


def fred(series_id: str, start: Date = None, end: Date = None) -> pd.Series:
    """Interest rates from FRED, such as "DGS10", in percent per annum, and other series, such as "VIXCLS".

    Of those that are no interest rates, the unit is left to the publisher. Arguments and errors as for `fetch`.
    """
    return fetch("fred", series_id, start, end)


def ecb(key: str, start: Date = None, end: Date = None) -> pd.Series:
    """Spot rates of the euro area from the European Central Bank, in percent per annum, continuously compounded.

    The key is a maturity of the curve of central governments rated AAA, such as "SR_10Y", or a full key of the data set
    YC, such as "B.U2.EUR.4F.G_N_C.SV_C_YM.SR_10Y". Arguments and errors as for `fetch`.
    """
    return fetch("ecb", key, start, end)


def sp500(*, start: Date = None, end: Date = None) -> pd.Series:
    """Daily adjusted closes of the S&P 500, 1999-01-04 to 2018-12-31, from the installed package `arch`; no network.

    The arguments and the result are as for `fetch`; dates that cannot be read, or without prices, are a ValueError.

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


def _read_local(folder: Path, query: Query, publisher: Publisher) -> pd.Series:
    names = [f"{query.source}/{query.identifier}.csv", f"{query.identifier}.csv"]
    names += [publisher.files[query.identifier]] if query.identifier in publisher.files else []
    found = next((name for name in names if (folder / name).is_file()), None)
    if found is None:
        raise FileNotFoundError(
            f"MFMGDM_DATA_DIR is {str(folder)!r}, which has none of {', '.join(names)}; expected one of these files."
            " Put it there, or unset MFMGDM_DATA_DIR to download the series."
        )
    path = folder / found
    content = path.read_bytes()
    try:
        series = describe_file(_read_rows(str(path), content, query, publisher), path.name, content)
    except ValueError as error:
        # What the error names are arguments of read_series, which nobody can give here.
        raise ValueError(
            f"{error} The file can be read by read_series, with such arguments: save what it returns in its place, as"
            " columns date and value."
        ) from error
    source = f"{found} in MFMGDM_DATA_DIR, for {query.source} {query.identifier}"
    return _at(path, _finish(series, query, publisher, {"source": source}))


def _read_rows(title: str, content: bytes, query: Query, publisher: Publisher) -> pd.Series:
    """The rows of a file, laid out as the publisher does or with one column of numbers, in the order of the file."""
    table = read_table(title, content)
    dates, values = publisher.dates, publisher.values.format(query.identifier)
    dates_at = table.find(dates) if dates in table.names else 0
    known = any(name == values or name.startswith(f"{values}/") for name in table.names)
    values_at = table.find(values) if known else table.find_values(dates_at)
    return table.series(dates_at, values_at, drop_missing=True)


def _download(query: Query, publisher: Publisher) -> pd.Series:
    if isinstance(publisher, Website):
        url = publisher.base + publisher.address(*query[1:])
        series = _read_website(url, query, publisher)
    else:
        url = address(query.identifier)
        series = get_quotes(*query[1:])
    if series.empty:
        raise ValueError(f"{url} has no data; expected some for {query}. Check the identifier or move the window.")
    retrieved = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return _finish(series, query, publisher, {"source": publisher.title, "url": url, "retrieved": retrieved})


def _read_website(url: str, query: Query, publisher: Website) -> pd.Series:
    body = get(url)
    try:
        series = publisher.read(body, query.identifier) if body.strip() else pd.Series(dtype="float64")
        if any(date != date.normalize() for date in series.index):
            raise ValueError("a date with a time of day")
        return series
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{url} answered something that cannot be read ({type(error).__name__}: {error}); expected"
            f" {publisher.shape}. Check the identifier, or put the series as a CSV file into MFMGDM_DATA_DIR."
        ) from error


def _finish(series: pd.Series, query: Query, publisher: Publisher, about: dict[Any, Any]) -> pd.Series:
    """Check a series, cut it to the window, and say what it is and where it leaves the window open."""
    name, attrs = f"{query.source} {query.identifier}", series.attrs
    unit, kind = publisher.meaning(query.identifier)
    series = check_series(series, name, kind=kind, start=query.start, end=query.end).rename(query.identifier)
    series.attrs = {**attrs, **about, "unit": unit, **describe(series)}
    first, last = series.index[[0, -1]]
    slack = pd.Timedelta(days=7 + series.attrs["longest_gap_days"])  # more than holidays and weekends
    notes = []
    if query.start is not None and first - pd.Timestamp(query.start) > slack:
        notes.append(f"begins on {spell_date(first)}, after the start asked for")
    if query.end is not None and pd.Timestamp(query.end) - last > slack:
        notes.append(f"ends on {spell_date(last)}, before the end asked for")
    if notes:
        series.attrs["note"] = "; ".join(filter(None, [attrs.get("note"), " and ".join(notes)]))
    return series


def _check_revision(query: Query, old: pd.Series, new: pd.Series) -> None:
    """Refuse an answer that differs from an earlier one on a date between the first and the last of both."""
    first, last = max(old.index[0], new.index[0]), min(old.index[-1], new.index[-1])
    pair = pd.concat([old.loc[first:last], new.loc[first:last]], axis=1, keys=["old", "new"])
    differing = pair[pair["old"].ne(pair["new"])]
    if len(differing):
        before, after = ("no value" if pd.isna(value) else repr(float(value)) for value in differing.iloc[0])
        said = (
            f"{query} is {after} on {spell_date(differing.index[0])} and {len(differing)} values in all were"
            f" revised; expected {before}, as in the copy of {old.attrs.get('retrieved')}, {query.path}. Keep that, or"
            " replace it with"
        )
        raise ValueError(Message(said, 'fetch(..., refresh="accept").', option="--refresh --accept."))
