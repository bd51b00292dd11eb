"""Series from CSV text by one strict parser, with errors that give the line."""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from mfmgdm_lib.data.series import describe
from mfmgdm_lib.errors import Message

__all__ = ["Table", "parse_dates", "read_csv"]

_COMMENTS = re.compile(r"([ \t]*(#[^\r\n]*)?(\r\n?|\n))+")
_LINE_BREAK = r"\r\n?|\n"
_ISO = r"(?a)\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?"
_NUMBER = r"(?a)[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_GROUPED = r"(?a)[+-]?\d{1,3}(([,' \u00a0\u202f])\d{3})(\2\d{3})*(\.\d*)?"
_MISSING = {"", ".", "-", "na", "n/a", "nan", "null", "none", "#n/a"}

# What else a date or a number may look like; what is expected in its place, and the mend.
_OTHER_DATES = {
    _ISO: ("a year from 1678 to 2261", "Write it in that way."),  # whose nanoseconds pandas can count
    r"(?a)\d{4}-\d{2}-\d{2}[T ][\d:.]+ ?(Z|UTC|[+-]\d{2}:?\d{2})": (
        "a time without zone",
        "Choose one zone for the whole file, and leave it out.",
    ),
    r"\d{1,2}([/.-])\d{1,2}\1(\d{2}|\d{4})( .*)?": (
        "a date such as 2024-03-01, which cannot be read with day and month swapped",
        "Rewrite the column, with pandas.to_datetime(column, dayfirst=True) or dayfirst=False.",
    ),
    ".*": ("a date such as 2024-03-01", "Write it in that way."),
}
_OTHER_NUMBERS = {
    r"[+-]?\d+,\d+": "Write a decimal point, and no thousands separators.",
    _GROUPED: "Remove the thousands separators.",
    ".*": "Correct it, or name another column.",
}


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
    table = Table(str(path), content)
    if table.cells.empty:
        raise ValueError(f"{path} has column names and no rows; expected a row for each date. Save it again.")
    dates_at = 0 if date_column is None else table.find(date_column)
    values_at = table.find_values(dates_at) if value_column is None else table.find(value_column)
    series = table.series(dates_at, values_at)
    descending = table.is_descending(pd.DatetimeIndex(series.index))
    series = series.iloc[::-1] if descending else series
    source, sha256 = f"{path.name}, column {series.name}", hashlib.sha256(content).hexdigest()
    series.attrs = {"source": source, "unit": "unit of the file", "sha256": sha256, **describe(series)}
    if descending:
        series.attrs["note"] = "the dates of the file are descending; the series was turned round"
    return series


class Table:
    """Cells of a CSV text, split but not yet read: dates and numbers come out of its columns, all of them or none.

    Attributes:
        title: what errors call the text.
        names: of the columns.
        cells: text without surrounding blanks, a row for each date, labelled by its line in the text.
    """

    def __init__(self, title: str, content: bytes) -> None:
        self.title = title
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{title}, line {content.count(10, 0, error.start) + 1} has the byte {content[error.start]:#04x};"
                " expected UTF-8. Save the file in that encoding."
            ) from error
        comments = match[0] if (match := _COMMENTS.match(text)) else ""
        skipped = len(re.findall(_LINE_BREAK, comments))
        self.names = self._split_names(text[len(comments) :], "comments only" if "#" in comments else "no text")
        rows = self._split("\n" * skipped + text[len(comments) :], skipped)
        self.cells = rows[rows.fillna("").astype(bool).any(axis=1)].iloc[1:]
        if (short := self.cells.isna().any(axis=1)).any():
            line = short.idxmax()
            raise ValueError(
                f"{title}, line {line} has {self.cells.loc[line].count()} cells; expected {len(self.names)}, one for"
                " each column. Fill what is missing."
            )

    def find(self, name: str) -> int:
        """Return where the one column of a name is."""
        if self.names.count(name) != 1:
            raise ValueError(
                f"{self.title} has {self.names.count(name)} columns named {name!r}; expected one, of"
                f" {', '.join(map(repr, self.names))}. Name another."
            )
        return self.names.index(name)

    def find_values(self, dates_at: int) -> int:
        """Return the only column that may be meant; one number in it is enough, so that none is passed over."""
        others = [at for at in range(len(self.names)) if at != dates_at]
        if len(others) == 1:
            return others[0]
        columns = {at: self.cells.iloc[:, at].str for at in others}
        found = [at for at, text in columns.items() if (text.fullmatch(_NUMBER) | text.fullmatch(_GROUPED)).any()]
        if len(found) != 1:
            said = (
                f"{self.title} has {len(found)} columns of numbers beside {self.names[dates_at]!r}, of"
                f" {', '.join(map(repr, self.names))}; expected one."
            )
            raise ValueError(Message(said, "Name it as value_column.", option="Name it with --column."))
        return found[0]

    def series(self, dates_at: int, values_at: int, *, drop_missing: bool = False) -> pd.Series:
        """Return numbers by date in the order of the lines, and the number of lines dropped in `attrs["dropped"]`."""
        cells = self.cells.iloc[:, values_at]
        missing = cells.str.lower().isin(_MISSING)
        if missing.any() and not drop_missing:
            where = ", ".join(map(str, cells.index[missing][:5])) + (", …" if missing.sum() > 5 else "")
            raise ValueError(
                f"{self.title} has no value on {missing.sum()} lines ({where}); expected a number on each. Delete those"
                " lines if nothing was quoted on those dates, or fill them in."
            )
        dates, cells = parse_dates(self.title, self.cells.iloc[:, dates_at][~missing]), cells[~missing]
        values = cells.where(cells.str.fullmatch(_NUMBER), "nan").astype("float64")
        if not np.isfinite(values).all():
            cell = cells[line := values.index[~np.isfinite(values)][0]]
            mend = next(mend for shape, mend in _OTHER_NUMBERS.items() if re.fullmatch(shape, cell, re.DOTALL))
            raise ValueError(f"{self.title}, line {line} has {cell!r}; expected a finite number such as 1234.5. {mend}")
        series = pd.Series(values.to_numpy(), index=dates, name=self.names[values_at])
        if missing.any():
            series.attrs["dropped"] = int(missing.sum())
        return series

    def is_descending(self, dates: pd.DatetimeIndex) -> bool:
        """Return whether the dates of the lines descend; refuse those that are there twice or in no order."""
        lines = self.cells.index
        if (twice := dates.duplicated()).any():
            at = int(twice.argmax())
            raise ValueError(
                f"{self.title}, line {lines[at]} has the date of line {lines[dates == dates[at]][0]}, {dates[at]};"
                " expected each date once. Delete one of the two."
            )
        if not (dates.is_monotonic_increasing or dates.is_monotonic_decreasing):
            at = int(np.argmax(dates[1:] < dates[:-1])) + 1
            raise ValueError(
                f"{self.title}, line {lines[at]} has {dates[at]} after {dates[at - 1]}; expected dates that ascend, or"
                " descend, from first to last. Sort the lines by date."
            )
        return not dates.is_monotonic_increasing

    def _split_names(self, text: str, otherwise: str) -> list[str]:
        names = [name.strip() for name in next(csv.reader(io.StringIO(text, newline="")), [])]
        more = "expected two columns or more, separated by commas. Save it again"
        if not any(names):
            fault = f"is empty, with {otherwise}; expected a line of column names and lines of data. Save it again"
        elif re.fullmatch(_ISO, names[0]):
            fault = f"begins with the date {names[0]}; expected column names. Put a line such as date,value first"
        elif len(names) == 1 and (other := re.search(r"[;\t|]", names[0])):
            fault = f"separates its columns by {other[0]!r}; {more}"
        elif len(names) == 1:
            fault = f"has one column, {names[0]!r}; {more}"
        else:
            return names
        raise ValueError(f"{self.title} {fault}.")

    def _split(self, text: str, skipped: int) -> pd.DataFrame:
        """Return the rows of cells by line, the names first and blank ones too, with None where a row is short."""
        try:
            # This engine, unlike that in C, does not fill short rows, cut a cell at a NUL byte or mend quotation marks.
            rows = pd.read_csv(
                io.StringIO(text, newline=""),
                engine="python",
                skiprows=skipped,
                header=None,
                dtype=str,
                na_filter=False,
                skip_blank_lines=False,
            ).apply(lambda cells: cells.str.strip())
        except pd.errors.ParserError as error:
            raise ValueError(
                f"{self.title} cannot be split ({error}); expected cells separated by commas, one for each column."
                " Remove thousands separators and decimal commas, or mend quotation marks."
            ) from error
        breaks = rows.apply(lambda cells: cells.str.count(_LINE_BREAK)).sum(axis=1).astype(int) if '"' in text else 0
        rows.index = skipped + np.arange(1, len(rows) + 1) + np.cumsum(breaks)
        return rows


def parse_dates(title: str, cells: pd.Series) -> pd.DatetimeIndex:
    """Return the dates that cells spell as 2024-03-01, with a time of day or without.

    Raises:
        ValueError: another spelling, or no such day.
    """
    dates = pd.to_datetime(cells.where(cells.str.fullmatch(_ISO)), format="ISO8601", errors="coerce")
    if (bad := dates.isna()).any():
        cell = cells[line := bad.idxmax()]
        expected, mend = next(told for shape, told in _OTHER_DATES.items() if re.fullmatch(shape, cell, re.DOTALL))
        try:
            datetime.datetime.fromisoformat(cell)
        except ValueError as error:
            expected = f"a date such as 2024-03-01 ({error})" if re.fullmatch(_ISO, cell) else expected
        raise ValueError(f"{title}, line {line} has the date {cell!r}; expected {expected}. {mend}")
    return pd.DatetimeIndex(dates, name="date")
