"""Series from CSV, Parquet and Excel files, by one strict parser."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as csv_reader

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_member
from mfmgdm_lib.data.numbers import check_marks
from mfmgdm_lib.data.rows import Batch, read_rows
from mfmgdm_lib.data.series import describe
from mfmgdm_lib.data.table import Table
from mfmgdm_lib.data.workbooks import parquet_table, workbook_rows
from mfmgdm_lib.errors import Message

__all__ = ["describe_file", "read_csv", "read_series", "read_table"]

_COMMENTS = re.compile(r"(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n?|\n))+")
_LINE_BREAK = re.compile(r"\r\n?|\n")
_BATCH = 4096  # rows that are lists of Python's text at a time, which takes several times the bytes of the file
_OTHER_FILES = {
    b"\xd0\xcf\x11\xe0": ("an Excel workbook of the old kind", "Save it as .xlsx or as CSV."),
    b"BZh": ("packed by bzip2", "Unpack it, or pack it by gzip."),
    b"\xfd7zXZ": ("packed by xz", "Unpack it, or pack it by gzip."),
    b"\x28\xb5\x2f\xfd": ("packed by zstd", "Unpack it, or pack it by gzip."),
    b"PK": ("a zip archive, and no Excel workbook", "Unpack it, and name the file that was in it."),
    b"%PDF": ("a PDF document", "Save the table as CSV."),
}


@checked
def read_series(
    path: str | os.PathLike[str],
    date_column: str | None = None,
    value_column: str | None = None,
    *,
    missing: str = "error",
    na_values: Sequence[str | float] = (),
    separator: str = ",",
    decimal: str = ".",
    thousands: str | None = None,
    date_format: str | None = None,
    time_column: str | None = None,
    zone: str | None = None,
    where: Mapping[str, str] | None = None,
    skip_rows: int = 0,
    skip_footer: int = 0,
    header: bool = True,
    encoding: str = "utf-8",
    sheet: str | None = None,
) -> pd.Series:
    r"""Read a series from a CSV, Parquet or Excel file: column names, then a row for each date.

    Nothing is guessed, repaired or left out: what can be read in two ways is an error that names the argument which
    decides. Lines before the names that begin with # are skipped. Dates are taken in any order that can be read in one
    way only: 2024-03-01, 20240301, 2024/3/1, 2024-03, 1 Mar 2024, March 1, 2024, with a time of day or without, and
    01/03/2024 where a number above 12 in the column says which one is the day. A sign such as $ or % that all values
    have is taken for their unit. The rows of names that pandas writes for columns of several levels are joined, as
    Close/AAA; where a first level is there once, it is enough.

    Args:
        path: where the file is; CSV may be packed by gzip.
        date_column: name of the column of dates; None for the first.
        value_column: name of the column of values; None for the only other column that has numbers in it.
        missing: "error", or "drop" to leave out rows without a value: empty cells, ".", "-", "NA", "NaN", "null" …
        na_values: other texts or numbers that stand for no value, such as -99.99.
        separator: what is between cells.
        decimal: mark before decimals, "." or ",".
        thousands: mark between groups of digits, such as ","; None for none.
        date_format: a format of `strptime`, such as "%d/%m/%Y"; "epoch-s", "epoch-ms", "epoch-us" or "epoch-ns" for
            counts since 1970 in UTC; "excel" for its count of days.
        time_column: name of a column of times of day beside the dates.
        zone: time zone of the clock, such as "America/New_York". Dates with an offset are converted to it, others are
            taken as what the clock shows; the series then has dates with this zone.
        where: texts by column, of the rows to be taken, such as {"Symbol": "AAA"}.
        skip_rows: lines to be left out at the beginning.
        skip_footer: lines to be left out at the end, not counting blank ones.
        header: whether there are column names; without, the columns are called "1", "2" and so on.
        encoding: of text.
        sheet: of an Excel workbook, which needs the package openpyxl; None for the only one.

    Returns:
        A float64 series by ascending date. Its `attrs` have the `source`, the `unit` (which a file does not say, unless
        all values have a sign such as $), the `frequency` in words ("daily", "weekly", "monthly", "intraday" or
        "irregular", by the median spacing), the `longest_gap_days`, the `sha256` of the file, the number of rows that
        were `dropped`, if any, and a `note` if the dates were descending, and were turned round.

    Raises:
        FileNotFoundError: no such file.
        ImportError: an Excel workbook, and openpyxl is not installed.
        ValueError: a file that is empty, damaged, of another encoding or without rows; a column that is not there, or
            several to choose from; a date or a number that cannot be read, or not in one way only; a value that is
            missing; dates that are there twice, or neither ascending nor descending; an argument out of range.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "rates.csv")
        ...     _ = path.write_text("Datum;Kurs\n02.01.2024;3,95\n31.01.2024;3,91\n")
        ...     rates = read_series(path, separator=";", decimal=",")
        >>> rates.tolist(), rates.name, str(rates.index[0].date())
        ([3.95, 3.91], 'Kurs', '2024-01-02')
    """
    path = Path(path)
    check_member("missing", missing, ("error", "drop"))
    check_marks(separator, decimal, thousands)
    content = path.read_bytes()
    table = read_table(
        str(path),
        content,
        separator=separator,
        decimal=decimal,
        skip_rows=skip_rows,
        skip_footer=skip_footer,
        header=header,
        encoding=encoding,
        sheet=sheet,
    ).where(where or {})
    if not len(table):
        raise ValueError(f"{path} has column names and no rows; expected a row for each date. Save it again.")
    dates_at = 0 if date_column is None else table.find(date_column)
    times_at = None if time_column is None else table.find(time_column)
    others = [dates_at, *([] if times_at is None else [times_at]), *map(table.find, where or {})]
    values_at = table.find_values(*others) if value_column is None else table.find(value_column)
    series = table.series(
        dates_at,
        values_at,
        times_at=times_at,
        drop_missing=missing == "drop",
        na_values=na_values,
        decimal=decimal,
        thousands=thousands,
        date_format=date_format,
        zone=zone,
    )
    return describe_file(series, path.name, content)


read_csv = read_series
"""The former name of `read_series`, from when it read CSV files alone."""


def describe_file(series: pd.Series, name: str, content: bytes) -> pd.Series:
    """Return the series of a file by ascending date, with what there is to say about it in its `attrs`."""
    attrs = {"source": f"{name}, column {series.name}", "unit": "unit of the file", **series.attrs}
    attrs["sha256"] = hashlib.sha256(content).hexdigest()
    if len(series) > 1 and series.index[0] > series.index[-1]:
        series = series.iloc[::-1]
        attrs["note"] = "the dates of the file are descending; the series was turned round"
    series.attrs = {**attrs, **describe(series)}
    return series


def read_table(
    title: str,
    content: bytes,
    *,
    separator: str = ",",
    decimal: str = ".",
    skip_rows: int = 0,
    skip_footer: int = 0,
    header: bool = True,
    encoding: str = "utf-8",
    sheet: str | None = None,
) -> Table:
    """Return the cells of a file as text; `title` is what errors call it, the rest as for `read_series`."""
    for name, count in (("skip_rows", skip_rows), ("skip_footer", skip_footer)):
        if count < 0:
            raise ValueError(f"{name} is {count}; expected a number of lines, 0 or more. Correct it.")
    if content.startswith(b"\x1f\x8b"):
        content = _unpack(title, content)
    if skip_footer and content.endswith(b"\0"):
        content, skip_footer = content.rstrip(b"\0"), skip_footer - 1
    if content.startswith(b"PAR1"):
        return parquet_table(title, content, decimal)
    is_workbook = content.startswith(b"PK") and b"[Content_Types].xml" in content
    for start, (what, mend) in _OTHER_FILES.items():
        if content.startswith(start) and not is_workbook:
            raise ValueError(f"{title} is {what}; expected CSV, Parquet or an Excel workbook. {mend}")
    if is_workbook:
        batches = workbook_rows(title, content, sheet, decimal, skip_rows)
    else:
        batches = _text_rows(title, content, separator, skip_rows, encoding)
        if not skip_footer and (table := _plain_table(title, content, separator, skip_rows, header, encoding)):
            return table
    try:
        return read_rows(title, batches, header=header, skip_footer=skip_footer, separator=separator)
    except csv.Error as error:
        raise ValueError(
            f"{title} cannot be split ({error}); expected cells separated by {separator!r}, one for each column."
            " Mend quotation marks."
        ) from error


def _unpack(title: str, content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{title} cannot be unpacked ({error}); expected a whole file packed by gzip. Fetch it again."
        ) from error


def _plain_table(
    title: str, content: bytes, separator: str, skip_rows: int, header: bool, encoding: str
) -> Table | None:
    """The same as `read_rows` gives, ten times as fast, for UTF-8 without quotation marks, blank rows or faults."""
    odd = b'"' in content or b"\0" in content or content.count(b"\r") != content.count(b"\r\n")
    if odd or encoding.lower().replace("-", "") != "utf8":
        return None
    breaks = [match.end() for match in islice(re.finditer(rb"\n", content), skip_rows + 64)]
    try:
        begin = content[: breaks[-1]] if breaks else content
        head = read_rows(title, _text_rows(title, begin, separator, skip_rows, encoding), header=header)
        first = int(head.lines[0])
        rest = csv_reader.read_csv(
            pa.BufferReader(pa.py_buffer(content).slice(breaks[first - 2] if first > 1 else 0)),
            csv_reader.ReadOptions(use_threads=False, column_names=[str(at) for at in range(len(head.names))]),
            csv_reader.ParseOptions(delimiter=separator, quote_char=False, ignore_empty_lines=False),
            csv_reader.ConvertOptions(
                column_types={str(at): pa.string() for at in range(len(head.names))}, strings_can_be_null=False
            ),
        )
    except (ValueError, IndexError):
        return None
    columns = [pc.utf8_trim_whitespace(column) for column in rest.columns]
    if pc.any(pc.equal(columns[0], "")).as_py():
        return None
    return Table(title, head.names, columns, np.arange(first, first + len(rest)))


def _text_rows(title: str, content: bytes, separator: str, skip_rows: int, encoding: str) -> Iterator[Batch]:
    """The lines of a CSV text, split into cells."""
    encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    skipped = _check_text(title, content, encoding, skip_rows)
    lines = io.TextIOWrapper(io.BytesIO(content), encoding, newline="")
    for _ in range(skipped):
        next(lines)
    reader, before = csv.reader(lines, delimiter=separator, strict=True), 0
    while rows := list(islice(reader, _BATCH)):
        spans = np.ones(len(rows), dtype=np.int64)
        if reader.line_num != before + len(rows):  # a cell in quotation marks may have lines of its own
            spans += [sum(len(_LINE_BREAK.findall(cell)) for cell in row) for row in rows]
        yield skipped + before + np.cumsum(spans) - spans + 1, rows
        before = reader.line_num


def _check_text(title: str, content: bytes, encoding: str, skip_rows: int) -> int:
    """Refuse what is no text in the encoding, or no table; return the number of lines before the column names."""
    try:
        text = content.decode(encoding)
    except LookupError as error:
        raise ValueError(f"encoding is {encoding!r}; expected one that Python knows, such as 'cp1252'.") from error
    except UnicodeDecodeError as error:
        expected = "UTF-8" if encoding == "utf-8-sig" else encoding
        utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        other = "utf-16" if utf16 else "cp1252"
        what = "If the file is from Excel or Windows, it may be" if not utf16 else "Its first bytes are those of"
        said = (
            f"{title}, line {content.count(10, 0, error.start) + 1} has the byte {content[error.start]:#04x}; expected"
            f" {expected}. {what} {other}:"
        )
        raise ValueError(Message(said, f"use encoding={other!r}.", option=f"use --encoding {other}.")) from error
    if (at := text.find("\0")) >= 0:
        line = text.count("\n", 0, at) + 1
        said = f"{title}, line {line} has {text.count(chr(0))} NUL bytes; expected text."
        if text[at:].strip("\0\r\n"):
            raise ValueError(f"{said} Fetch the file again.")
        mend = "They are the end of a file that was not written whole: fetch it again, or leave them out with {}."
        raise ValueError(Message(said, mend.format("skip_footer=1"), option=mend.format("--skip-footer 1")))
    if re.match(r"\s*<(!doctype|html|\?xml)", text[:200], re.IGNORECASE):
        raise ValueError(f"{title} is a web page or XML; expected CSV. Download the table itself.")
    breaks = [match.end() for match in islice(_LINE_BREAK.finditer(text), skip_rows)]
    start = breaks[-1] if breaks else 0
    match = _COMMENTS.match(text, start)
    comments = match[0] if match else ""
    if "#" in comments and not text[start + len(comments) :].strip():
        raise ValueError(
            f"{title} is empty, with comments only; expected a line of column names and lines of data. Save it again."
        )
    return len(breaks) + len(_LINE_BREAK.findall(comments))
