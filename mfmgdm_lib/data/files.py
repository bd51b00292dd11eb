"""Series read from CSV files, with errors that give the line."""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import itertools
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mfmgdm_lib.data.series import describe
from mfmgdm_lib.errors import Message

__all__ = ["read_csv"]

_COMMENTS = re.compile(r"([ \t]*(#[^\r\n]*)?(\r\n|\r|\n))+")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?")
_ZONED = re.compile(r"\d{4}-\d{2}-\d{2}[T ][\d:.]+ ?(Z|UTC|[+-]\d{2}:?\d{2})")
_DAY_OR_MONTH_FIRST = re.compile(r"\d{1,2}([/.-])\d{1,2}\1(\d{2}|\d{4})( .*)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(([,' \u00a0\u202f])\d{3})(\2\d{3})*(\.\d*)?", re.ASCII)
_MISSING = {"", ".", "-", "na", "n/a", "nan", "null", "none", "#n/a"}
_YEARS = range(1678, 2262)  # those that pandas can count the nanoseconds of


class _Line(NamedTuple):
    number: int
    cells: list[str]


def read_csv(
    path: str | os.PathLike[str], date_column: str | None = None, value_column: str | None = None
) -> pd.Series:
    r"""Read a series from a CSV file: a line of column names, then a line for each date.

    The file is UTF-8, its columns are separated by commas, its dates are written as 2024-03-01 or, with a time of day,
    as 2024-03-01 17:30, and its numbers have a decimal point and no thousands separators. Lines before the names that
    begin with # are skipped. Nothing is guessed, repaired or left out: a value that is missing is an error.

    Args:
        path: where the file is.
        date_column: name of the column of dates; None for the first.
        value_column: name of the column of values; None for the only other column that has numbers in it.

    Returns:
        A float64 series by ascending date. Its `attrs` have the `source`, the `unit` (which a file does not say), the
        `frequency` in words ("daily", "weekly", "monthly", "intraday" or "irregular", by the median spacing), the
        `longest_gap_days`, the `sha256` of the file, and a `note` if the dates were descending, and were turned round.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that is empty, of another encoding or without rows; a column that is not there, or several to
            choose from; a date or a number that cannot be read, or read in one way only; a value that is missing;
            dates that are there twice, or neither ascending nor descending.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "rates.csv")
        ...     _ = path.write_text("date,value\n2024-01-02,3.95\n2024-01-03,3.91\n")
        ...     rates = read_csv(path)
        >>> rates.tolist(), rates.name, rates.attrs["frequency"]
        ([3.95, 3.91], 'value', 'daily')
    """
    path = Path(path)
    content = path.read_bytes()
    header, lines = _split(path, _decode(path, content))
    dates_at = _find(path, header, date_column) if date_column is not None else 0
    values_at = _find(path, header, value_column) if value_column is not None else _guess(path, header, lines, dates_at)
    dates = [_read_date(path, line, line.cells[dates_at]) for line in lines]
    values = _read_values(path, lines, values_at)
    backwards = _is_backwards(path, lines, dates)
    series = pd.Series(values, index=pd.DatetimeIndex(dates, name="date"), dtype="float64", name=header[values_at])
    series = series.iloc[::-1] if backwards else series
    series.attrs = {
        "source": f"{path.name}, column {header[values_at]}",
        "unit": "unit of the file",
        "sha256": hashlib.sha256(content).hexdigest(),
        **describe(series),
    }
    if backwards:
        series.attrs["note"] = "the dates of the file are descending; the series was turned round"
    return series


def _decode(path: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}, line {content.count(10, 0, error.start) + 1} has the byte {content[error.start]:#04x};"
            " expected UTF-8. Save the file in that encoding."
        ) from error
    if not text.strip():
        raise ValueError(f"{path} is empty; expected a line of column names and lines of data. Save it again.")
    return text


def _split(path: Path, text: str) -> tuple[list[str], list[_Line]]:
    """Return the names of the columns, and the lines below them."""
    if comments := _COMMENTS.match(text):  # blanked, so that the lines keep their numbers
        text = re.sub(r"[^\r\n]", "", comments[0]) + text[comments.end() :]
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [_Line(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {reader.line_num} cannot be split ({error}); expected cells separated by commas."
            " Mend its quotation marks."
        ) from error
    rows = [row for row in rows if any(row.cells)]
    if not rows:
        raise ValueError(f"{path} has comments only; expected a line of column names. Save it again.")
    header, lines = rows[0].cells, rows[1:]
    _check_header(path, header)
    if not lines:
        raise ValueError(f"{path} has column names and no rows; expected a row for each date. Save it again.")
    for line in lines:
        if len(line.cells) != len(header):
            raise ValueError(
                f"{path}, line {line.number} has {len(line.cells)} cells; expected {len(header)}, one for each column."
                " Remove thousands separators and decimal commas, or fill what is missing."
            )
    return header, lines


def _check_header(path: Path, header: list[str]) -> None:
    if _ISO.fullmatch(header[0]):
        raise ValueError(
            f"{path} begins with the date {header[0]}; expected column names. Put a line such as date,value first."
        )
    if len(header) == 1:
        other = next((mark for mark in (";", "\t", "|") if mark in header[0]), None)
        found = f"separates its columns by {other!r}" if other else f"has one column, {header[0]!r}"
        raise ValueError(f"{path} {found}; expected two columns or more, separated by commas. Save it again.")


def _find(path: Path, header: list[str], name: str) -> int:
    if header.count(name) != 1:
        raise ValueError(
            f"{path} has {header.count(name)} columns named {name!r}; expected one, of {_listed(header)}. Name another."
        )
    return header.index(name)


def _guess(path: Path, header: list[str], lines: Sequence[_Line], dates_at: int) -> int:
    """Return the only column that may be meant; one number in it is enough for that, so that none is passed over."""
    others = [at for at in range(len(header)) if at != dates_at]
    found = [at for at in others if any(_is_number(line.cells[at]) for line in lines)]
    if len(others) > 1 and len(found) != 1:
        columns = f"{len(found)} columns of numbers beside {header[dates_at]!r}, of {_listed(header)}"
        said = f"{path} has {columns}; expected one."
        raise ValueError(Message(said, "Name it as value_column.", option="Name it with --column."))
    return (found or others)[0]


def _is_number(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _GROUPED.fullmatch(cell))


def _listed(header: list[str]) -> str:
    return ", ".join(map(repr, header))


def _read_date(path: Path, line: _Line, cell: str) -> datetime.datetime:
    expected, mend = "a date such as 2024-03-01", "Write it in that way."
    if _ISO.fullmatch(cell):
        try:
            date = datetime.datetime.fromisoformat(cell)
            if date.year in _YEARS:
                return date
            expected = f"a year from {_YEARS[0]} to {_YEARS[-1]}"
        except ValueError as error:
            expected += f" ({error})"
    elif _ZONED.fullmatch(cell):
        expected, mend = "a time without zone", "Choose one zone for the whole file, and leave it out."
    elif _DAY_OR_MONTH_FIRST.fullmatch(cell):
        expected += ", which cannot be read with day and month swapped"
        mend = "Rewrite the column, with pandas.to_datetime(column, dayfirst=True) or dayfirst=False."
    raise ValueError(f"{path}, line {line.number} has the date {cell!r}; expected {expected}. {mend}")


def _read_values(path: Path, lines: Sequence[_Line], at: int) -> list[float]:
    missing = [line.number for line in lines if line.cells[at].lower() in _MISSING]
    if missing:
        where = ", ".join(map(str, missing[:5])) + (", …" if len(missing) > 5 else "")
        raise ValueError(
            f"{path} has no value on {len(missing)} lines ({where}); expected a number on each. Delete those lines if"
            " nothing was quoted on those dates, or fill them in."
        )
    return [_read_number(path, line, line.cells[at]) for line in lines]


def _read_number(path: Path, line: _Line, cell: str) -> float:
    if _NUMBER.fullmatch(cell) and math.isfinite(value := float(cell)):
        return value
    mend = "Remove the thousands separators." if _GROUPED.fullmatch(cell) else "Correct it, or name another column."
    if re.fullmatch(r"[+-]?\d+,\d+", cell):
        mend = "Write a decimal point, and no thousands separators."
    raise ValueError(f"{path}, line {line.number} has {cell!r}; expected a finite number such as 1234.5. {mend}")


def _is_backwards(path: Path, lines: Sequence[_Line], dates: list[datetime.datetime]) -> bool:
    seen: dict[datetime.datetime, int] = {}
    for line, date in zip(lines, dates, strict=True):
        if date in seen:
            raise ValueError(
                f"{path}, line {line.number} has the date of line {seen[date]}, {date}; expected each date once."
                " Delete one of the two."
            )
        seen[date] = line.number
    steps = list(itertools.pairwise(dates))
    if all(before > after for before, after in steps) and steps:
        return True
    for line, (before, after) in zip(lines[1:], steps, strict=True):
        if after < before:
            raise ValueError(
                f"{path}, line {line.number} has {after} after {before}; expected dates that ascend, or descend, from"
                " first to last. Sort the lines by date."
            )
    return False
