"""The cache of downloaded series: one CSV file for each query, with a checksum."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mfmgdm_lib._arrays import named_errors, replace_file
from mfmgdm_lib._checks import spell_date
from mfmgdm_lib.data.files import read_table
from mfmgdm_lib.errors import NewerFormatError

__all__ = ["Query", "cache_folder", "cached", "load", "read_cached", "save", "verify_cache"]

FORMAT = 1  # of the layout; a file with a higher one is from a later library
_COLUMNS = ["source", "id", "first", "last", "rows", "retrieved", "sha256", "path"]
_log = logging.getLogger("mfmgdm_lib")


class Query(NamedTuple):
    """A series of a source in a window of dates; no `end` means whatever there was by then."""

    source: str
    identifier: str
    start: str | None
    end: str | None

    def __str__(self) -> str:
        return f"{self.source} {self.identifier} from {self.start or 'the first'} to {self.end or 'the last'}"

    @property
    def path(self) -> Path:
        """Where the series is kept, or will be; names that look the same on some disks differ by their digests."""
        window = "_".join(filter(None, [self.start, self.end]))
        words = re.sub(r"[^\w.=-]+", "-", "-".join(filter(None, [self.source, self.identifier, window])), flags=re.A)
        return cache_folder() / f"{words}-{hashlib.sha256(json.dumps(self).encode()).hexdigest()[:8]}.csv"


def cache_folder() -> Path:
    """Return the folder of downloaded series: MFMGDM_CACHE_DIR, or a place of the system's for such files."""
    if named := os.environ.get("MFMGDM_CACHE_DIR"):
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("mfmgdm", appauthor=False) / "data"


def save(query: Query, series: pd.Series) -> pd.Series:
    """Keep the answer to a query, and return it with the `sha256` of its lines of dates and values.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    lines = (f"{date:%Y-%m-%d},{value!r}\n" for date, value in zip(series.index, series.tolist(), strict=True))
    body = ("date,value\n" + "".join(lines)).encode()
    series.attrs["sha256"] = hashlib.sha256(body).hexdigest()
    about = {"format": FORMAT, **query._asdict(), "name": series.name, "attrs": series.attrs}
    rest = f"# about: {json.dumps(about, ensure_ascii=False)}\n".encode() + body
    path = query.path
    mend = "Free some space, or name another folder in the environment variable MFMGDM_CACHE_DIR."
    with named_errors(path, mend):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, _checksum(rest) + b"\n" + rest)
    return series


def load(query: Query) -> pd.Series | None:
    """Return the answer that was kept, or None; a damaged file is renamed, reported and counts as none.

    Raises:
        NewerFormatError: a file that a newer version of the library wrote.
    """
    path = query.path
    try:
        about, series = _read(path)
        if {field: about.get(field) for field in Query._fields} != query._asdict():
            raise ValueError(f"{path} answers another query; expected {query}.")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        if isinstance(error, NewerFormatError):
            raise
        aside = path.with_name(f"{path.name}.damaged")
        with named_errors(aside, "Delete the damaged file, or name another folder in MFMGDM_CACHE_DIR."):
            path.replace(aside)
        _log.warning("Set aside a damaged file as %s, and asking for the series again: %s", aside, error)
        return None
    return series


def cached() -> pd.DataFrame:
    """List the downloaded series that are kept, without asking anyone.

    Returns:
        A row for each file: `source`, `id`, `first` and `last` date (YYYY-MM-DD), `rows`, `retrieved` (ISO time, UTC),
        `sha256` of the lines of dates and values, and `path`. A damaged file has a row with its path alone.
    """
    return verify_cache()[_COLUMNS]


def verify_cache() -> pd.DataFrame:
    """List the downloaded series that are kept, and whether each file is as it was written; nothing is changed.

    Returns:
        The table of `cached` with a column `state`: "ok", "damaged", or "newer" for a later library's file.

    Example:
        >>> import os, tempfile, unittest.mock
        >>> with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.dict(os.environ, MFMGDM_CACHE_DIR=folder):
        ...     list(verify_cache().columns)
        ['source', 'id', 'first', 'last', 'rows', 'retrieved', 'sha256', 'path', 'state']
    """
    rows = [_row(path) for path in sorted(cache_folder().glob("*.csv"))]
    return pd.DataFrame(rows, columns=[*_COLUMNS, "state"])


def read_cached(path: Path) -> pd.Series:
    """Return the series of one file of the cache.

    Raises:
        ValueError: a damaged file, or one of a later library.
    """
    return _read(path)[1]


def _row(path: Path) -> list[Any]:
    try:
        about, series = _read(path)
    except ValueError as error:
        return [*[""] * 4, 0, "", "", str(path), "newer" if isinstance(error, NewerFormatError) else "damaged"]
    dates = [spell_date(date) for date in series.index[[0, -1]]]
    kept = [len(series), *(str(series.attrs.get(name, "")) for name in ("retrieved", "sha256"))]
    return [about.get("source", ""), about.get("identifier", ""), *dates, *kept, str(path), "ok"]


def _read(path: Path) -> tuple[dict[str, Any], pd.Series]:
    first, _, rest = path.read_bytes().partition(b"\n")
    if first != _checksum(rest):
        raise ValueError(f"{path} does not match its checksum; expected a file as it was written.")
    line, _, body = rest.partition(b"\n")
    about = _read_about(path, line)
    series = read_table(str(path), body).series(0, 1).rename(about["name"])
    series.attrs = about["attrs"]
    return about, series


def _read_about(path: Path, line: bytes) -> dict[str, Any]:
    """What the second line of a file says."""
    try:
        about = json.loads(line.removeprefix(b"# about: "))
        version, name, attrs = (about[field] for field in ("format", "name", "attrs"))
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} does not say its format, name and attrs ({error!r}); expected all three.") from error
    if not (isinstance(version, int) and isinstance(name, str) and isinstance(attrs, dict)):
        raise ValueError(
            f"{path} has format {version!r}, name {name!r}, attrs {attrs!r}; expected a number, text, names."
        )
    if version > FORMAT:
        raise NewerFormatError(path, version, FORMAT)
    return dict(about)


def _checksum(rest: bytes) -> bytes:
    return b"# sha256: " + hashlib.sha256(rest).hexdigest().encode()
