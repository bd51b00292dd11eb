"""The lookup of a publisher's series in a local folder, in the cache, or by download."""

from __future__ import annotations

import csv
import datetime
import os
import re
from pathlib import Path
from typing import Any

import pandas as pd

from mfmgdm_lib._checks import check_member
from mfmgdm_lib.data.cache import Question, check_revision, load, save
from mfmgdm_lib.data.checks import check_series, parse_window, spell_date
from mfmgdm_lib.data.download import get
from mfmgdm_lib.data.files import read_csv
from mfmgdm_lib.data.publishers import PUBLISHERS, Publisher, Website
from mfmgdm_lib.data.quotes import address, get_quotes
from mfmgdm_lib.data.series import describe

__all__ = ["Date", "fetch"]

Date = str | datetime.date | None

_IDENTIFIER = re.compile(r"[A-Za-z0-9_^][A-Za-z0-9_^=&.-]*")


def fetch(
    source: str, identifier: str, start: Date = None, end: Date = None, *, refresh: bool | str = False
) -> pd.Series:
    r"""Return a series from a publisher: from MFMGDM_DATA_DIR, if that is set, from the cache, or else by asking.

    If the environment variable MFMGDM_DATA_DIR names a folder, the series is read from a CSV file there and nothing is
    downloaded. The names that are tried are SOURCE/IDENTIFIER.csv, IDENTIFIER.csv, and, for "yahoo" ^GSPC, "fred" DGS5
    and DGS10, "ecb" SR_5Y and SR_10Y, sp500.csv and rates/usd_5y.csv, usd_10y.csv, eur_5y.csv and eur_10y.csv.

    Otherwise an answer is kept, in the folder that MFMGDM_CACHE_DIR names or in the user's cache, and the same question
    is answered from there ever after, without a network; without an `end`, it goes as far as it did the first time.

    Args:
        source: "yahoo", "riksbank", "fred" or "ecb".
        identifier: the publisher's name for the series.
        start: first date wanted, such as "2003-01-01"; None for the first there is.
        end: last date wanted; None for the last there is.
        refresh: whether to ask again, even if there is an answer in the cache. If a value was revised since, that is an
            error; "accept" takes the new values.

    Returns:
        A float64 series by ascending date. Its `attrs` have `source`, `unit`, `frequency`, `longest_gap_days`,
        `sha256`; of a download also `url`, `retrieved` (ISO time, UTC), and, where the answer had days without a value,
        which are left out, their number as `dropped`; and a `note` where the window is not covered.

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
    if refresh not in (False, True, "accept"):
        raise ValueError(f'refresh is {refresh!r}; expected False, True or "accept". Choose one of them.')
    if not isinstance(identifier, str) or not _IDENTIFIER.fullmatch(identifier):
        raise ValueError(
            f"identifier is {identifier!r}; expected a name such as 'DGS10' or '^GSPC'. Check its spelling."
        )
    question = Question(source, publisher.canonical(identifier), *parse_window(start, end))
    if folder := os.environ.get("MFMGDM_DATA_DIR"):
        return _read_local(Path(folder).expanduser(), question, publisher)
    old = load(question)
    if old is not None and not refresh:
        return old
    new = _download(question, publisher)
    if old is not None and refresh != "accept":
        check_revision(question, old, new)
    return save(question, new)


def _read_local(folder: Path, question: Question, publisher: Publisher) -> pd.Series:
    identifier = question.identifier
    names = [f"{question.source}/{identifier}.csv", f"{identifier}.csv"]
    if identifier in publisher.files:
        names.append(publisher.files[identifier])
    found = next((name for name in names if (folder / name).is_file()), None)
    if found is None:
        raise FileNotFoundError(
            f"MFMGDM_DATA_DIR is {str(folder)!r}, which has none of {', '.join(names)}; expected one of these files."
            " Put it there, or unset MFMGDM_DATA_DIR to download the series."
        )
    series = read_csv(folder / found)
    source = f"{found} in MFMGDM_DATA_DIR, for {question.source} {identifier}"
    return _finish(series, question, publisher, {**series.attrs, "source": source})


def _download(question: Question, publisher: Publisher) -> pd.Series:
    if isinstance(publisher, Website):
        url = publisher.url(*question[1:])
        series = _read_website(url, question, publisher)
    else:
        url = address(question.identifier)
        series = get_quotes(*question[1:])
    retrieved = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    if series.empty:
        raise ValueError(f"{url} has no data; expected some for {question}. Check the identifier or move the window.")
    attrs = {"source": publisher.title, "url": url, "retrieved": retrieved, **series.attrs}
    return _finish(series, question, publisher, attrs)


def _read_website(url: str, question: Question, publisher: Website) -> pd.Series:
    body = get(url)
    try:
        return publisher.read(body, question.identifier) if body.strip() else pd.Series(dtype="float64")
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError, csv.Error) as error:
        raise ValueError(
            f"{url} answered something that cannot be read ({type(error).__name__}: {error}); expected"
            f" {publisher.shape}. Check the identifier, or put the series as a CSV file into MFMGDM_DATA_DIR."
        ) from error


def _finish(series: pd.Series, question: Question, publisher: Publisher, attrs: dict[Any, Any]) -> pd.Series:
    """Check a series, cut it to the window, and say what it is."""
    name = f"{question.source} {question.identifier}"
    series = check_series(series, name, kind=publisher.kind, start=question.start, end=question.end)
    series = series.rename(question.identifier)
    series.attrs = {**attrs, "unit": publisher.unit, **describe(series)}
    if note := _shortfall(series, question):
        series.attrs["note"] = "; ".join(filter(None, [attrs.get("note"), note]))
    return series


def _shortfall(series: pd.Series, question: Question) -> str:
    """Say where a series leaves more of the window open than holidays and weekends would."""
    first, last = series.index[0], series.index[-1]
    slack = pd.Timedelta(days=7 + series.attrs.get("longest_gap_days", 0))
    late = question.start is not None and first - pd.Timestamp(question.start) > slack
    early = question.end is not None and pd.Timestamp(question.end) - last > slack
    return " and ".join(
        [f"begins on {spell_date(first)}, after the start asked for"] * late
        + [f"ends on {spell_date(last)}, before the end asked for"] * early
    )
