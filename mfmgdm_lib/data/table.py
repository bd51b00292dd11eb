"""Tables of text cells, from which a series takes its dates and values, with errors that give the line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mfmgdm_lib._checks import spell_date
from mfmgdm_lib.data.dates import DateError, are_dates, parse_dates
from mfmgdm_lib.data.numbers import are_like_numbers, are_missing, explain_number, parse_numbers
from mfmgdm_lib.errors import Message

__all__ = ["Table"]

_TIME_OF_DAY = r"^\d{1,2}:?\d{2}(:?\d{2}(\.\d+)?)?( ?[AaPp][Mm])?$"


class Table:
    """Cells of text, split but not yet read: dates and numbers come out of its columns, all of them or none.

    Args:
        title: what errors call the text.
        names: of the columns.
        columns: cells without surrounding blanks, pyarrow arrays of equal length.
        lines: (rows,), where in the text each row is.
    """

    def __init__(self, title: str, names: list[str], columns: list[Any], lines: np.ndarray) -> None:
        self.title, self.names, self.columns, self.lines = title, names, columns, lines

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, wanted: Mapping[str, str]) -> Table:
        """Return the rows that have certain texts in certain columns."""
        keep = np.ones(len(self), dtype=bool)
        for name, text in wanted.items():
            column = self.columns[self.find(name)]
            here = np.asarray(pc.equal(column, text))
            if not here.any():
                there = ", ".join(map(repr, pc.unique(column).to_pylist()[:5]))
                raise ValueError(
                    f"{self.title} has no row with {text!r} in {name!r}; expected one of {there}, …. Name another."
                )
            keep &= here
        return self._rows(keep)

    def find(self, name: str) -> int:
        """Return where the one column of a name is; of names in levels, such as Close/AAA, the first may be enough."""
        matching = [at for at, other in enumerate(self.names) if other == name]
        matching = matching or [at for at, other in enumerate(self.names) if other.startswith(f"{name}/")]
        if len(matching) != 1:
            raise ValueError(
                f"{self.title} has {len(matching)} columns named {name!r}; expected one, of"
                f" {', '.join(map(repr, self.names))}. Name another."
            )
        return matching[0]

    def find_values(self, *others: int) -> int:
        """Return the only column beside some others that may be meant; one number in it is enough."""
        rest = [at for at in range(len(self.names)) if at not in others]
        if len(rest) == 1:
            return rest[0]
        index = [at for at in rest if self.names[at] in ("", "Unnamed: 0") and self._counts_rows(at)]
        found = [at for at in rest if are_like_numbers(self.columns[at]).any() and at not in index]
        if len(found) != 1:
            said = (
                f"{self.title} has {len(found)} columns of numbers beside {self.names[others[0]]!r}, of"
                f" {', '.join(map(repr, self.names))}; expected one."
            )
            raise ValueError(Message(said, "Name it as value_column.", option="Name it with --column."))
        return found[0]

    def series(
        self,
        dates_at: int,
        values_at: int,
        *,
        times_at: int | None = None,
        drop_missing: bool = False,
        na_values: Sequence[str | float] = (),
        decimal: str = ".",
        thousands: str | None = None,
        date_format: str | None = None,
        zone: str | None = None,
    ) -> pd.Series:
        """Return numbers by date in the order of the lines.

        Its `attrs` have the number of lines without a value that were `dropped`, and the sign of the `unit`, if any.
        """
        dates = self._dates(dates_at, times_at, date_format, zone)
        values, missing, unit = self._values(values_at, na_values, decimal, thousands)
        if missing.any() and not drop_missing:
            found = self.lines[missing]
            where = ", ".join(map(str, found[:5])) + (", …" if len(found) > 5 else "")
            said = f"{self.title} has no value on {len(found)} lines ({where}); expected a number on each."
            mend = "Leave such lines out with {}, or fill them in."
            raise ValueError(Message(said, mend.format('missing="drop"'), option=mend.format("--missing drop")))
        series = pd.Series(values, index=dates, name=self.names[values_at])[~missing]
        if missing.any():
            series.attrs["dropped"] = int(missing.sum())
        if unit is not None:
            series.attrs["unit"] = unit
        (self._rows(~missing) if missing.any() else self)._check_order(series, dates_at, values_at)
        return series

    def _rows(self, keep: np.ndarray) -> Table:
        mask = pa.array(keep)
        return Table(self.title, self.names, [column.filter(mask) for column in self.columns], self.lines[keep])

    def _values(
        self, at: int, na_values: Sequence[str | float], decimal: str, thousands: str | None
    ) -> tuple[np.ndarray, np.ndarray, str | None]:
        """Numbers of a column, which of them are missing, and the sign of their unit."""
        cells = self.columns[at]
        missing = are_missing(cells)
        if len(na_values):
            missing |= np.asarray(pc.is_in(cells, value_set=pa.array([str(value) for value in na_values])))
        values = np.full(len(cells), np.nan)
        values[~missing], unit = parse_numbers(cells.filter(pa.array(~missing)), decimal, thousands)
        if marks := [float(value) for value in na_values if _is_number(value)]:
            missing |= np.isin(values, marks)
        bad = ~missing & ~np.isfinite(values)
        if bad.any():
            first = int(np.argmax(bad))
            cell = cells[first].as_py()
            mend, option = explain_number(cell)
            said = f"{self.title}, line {self.lines[first]} has {cell!r}; expected a finite number such as 1234.5."
            raise ValueError(Message(said, mend, option=option))
        return values, missing, unit

    def _dates(self, at: int, times_at: int | None, date_format: str | None, zone: str | None) -> pd.DatetimeIndex:
        cells = self.columns[at]
        if times_at is not None:
            cells = pc.binary_join_element_wise(cells, self.columns[times_at], " ")
        try:
            return parse_dates(cells, date_format, zone)
        except DateError as error:
            raise ValueError(self._explain_date(error, at)) from error

    def _explain_date(self, error: DateError, at: int) -> Message:
        """What a date that cannot be read may be: a heading, a last line of text, a count of rows, or odd in itself."""
        mend, option = error.mend, error.option
        good = are_dates(self.columns[at])
        others = [name for i, name in enumerate(self.names) if i != at and are_dates(self.columns[i][:1]).all()]
        if self._counts_rows(at) and others:
            expected = "dates, and not the count of the rows"
            mend, option = f"Use date_column={others[0]!r}.", f"Use --date {others[0]!r}."
        elif error.at == 0 and good.any() and not good[0]:
            expected = f"dates from the first line on, which begin in line {self.lines[int(np.argmax(good))]}"
            rows = self.lines[int(np.argmax(good)) - 1] - 1
            mend, option = f"Leave the heading out with skip_rows={rows}.", f"Leave it out with --skip-rows {rows}."
        else:
            expected = error.expected
            if others and error.at == 0:
                mend, option = f"{mend[:-1]}, or name {others[0]!r}.", f"{option[:-1]}, or use --date {others[0]!r}."
            if error.at > 0 and error.cell and good[: error.at].all() and not good[error.at :].any():
                mend, option = _footer(len(self) - error.at, mend, option)
        return Message(
            f"{self.title}, line {self.lines[error.at]} has the date {error.cell!r}; expected {expected}.",
            mend,
            option=option,
        )

    def _counts_rows(self, at: int) -> bool:
        """Whether a column counts its rows from 0 or 1 on, as an index of pandas does."""
        cells = self.columns[at]
        first = cells[0].as_py() if len(cells) else ""
        if first not in ("0", "1") or len(cells) < 2:
            return False
        start = int(first)
        return bool(pc.all(pc.equal(cells, pa.array(np.arange(start, start + len(cells))).cast(pa.string()))).as_py())

    def _check_order(self, series: pd.Series, dates_at: int, values_at: int) -> None:
        """Refuse dates that are there twice or in no order, and say what they are instead of a single series."""
        dates = pd.DatetimeIndex(series.index)
        if dates.is_unique and (dates.is_monotonic_increasing or dates.is_monotonic_decreasing):
            return
        lines, twice = self.lines, dates.duplicated()
        if twice.any():
            at = int(twice.argmax())
            before = int(np.argmax(dates == dates[at]))
            found, expected = f"the date of line {lines[before]}, {spell_date(dates[at])}", "each date once"
        else:
            at = int(np.argmax(dates[1:] < dates[:-1])) + 1
            before = at - 1
            found = f"{spell_date(dates[at])} after {spell_date(dates[before])}"
            expected = "dates that ascend, or descend, from first to last"
        said = f"{self.title}, line {lines[at]} has {found}; expected {expected}."
        mend, option = self._explain_order(series, at, before, dates_at, values_at)
        raise ValueError(Message(said, mend, option=option))

    def _explain_order(self, series: pd.Series, at: int, before: int, dates_at: int, values_at: int) -> tuple[str, str]:
        """What dates that are there twice, or in no order, come from, and the mends."""
        dates = pd.DatetimeIndex(series.index)
        same_date = dates[at] == dates[before]
        steps = np.abs(np.diff(dates.to_numpy()))
        usual = np.median(steps[steps > np.timedelta64(0)]) if (steps > np.timedelta64(0)).any() else steps.max()
        hour = pd.Timedelta(hours=1)
        due = dates[at - 1] + usual if dates.tz is None and usual < np.timedelta64(12, "h") else None
        if due is not None and dates[at] in (due - hour, due + hour):
            return (
                "It is a change of clocks, from summer time to winter time. Name the zone of the clock, such as"
                " zone='America/New_York'.",
                "It is a change of clocks, from summer time to winter time. Name the zone of the clock, such as --zone"
                " America/New_York.",
            )
        rest = [i for i in range(len(self.names)) if i not in (dates_at, values_at)]
        for i in rest:
            if self._are_times(dates_at, i):
                name = self.names[i]
                said = f"The times of day are in a column of their own, {name!r}."
                return f"{said} Use time_column={name!r}.", f"{said} Use --time {name!r}."
        for i in rest:
            parts = pd.Series(dates).groupby(np.asarray(self.columns[i], dtype=object), sort=False)
            if 1 < parts.ngroups <= max(2, len(self) // 10) and all(
                part.is_unique and (part.is_monotonic_increasing or part.is_monotonic_decreasing) for _, part in parts
            ):
                name, text = self.names[i], self.columns[i][0].as_py()
                said = f"There are several series below each other, {parts.ngroups} by the column {name!r}."
                return f"{said} Choose one, such as where={{{name!r}: {text!r}}}.", (
                    f"{said} Choose one, such as --where {name}={text}."
                )
        if same_date and before == at - 1 == len(dates) - 2:
            also = ", with the same value" if series.iloc[at] == series.iloc[before] else ", with another value"
            said = f"The last line repeats a date{also}."
            return f"{said} Leave it out with skip_footer=1.", f"{said} Leave it out with --skip-footer 1."
        if same_date:
            return ("Delete one of the two.",) * 2
        return ("Sort the lines by date.",) * 2

    def _are_times(self, dates_at: int, at: int) -> bool:
        """Whether a column has times of day that put the dates in order."""
        if not pc.all(pc.match_substring_regex(self.columns[at], _TIME_OF_DAY)).as_py():
            return False
        try:
            dates = parse_dates(pc.binary_join_element_wise(self.columns[dates_at], self.columns[at], " "))
        except DateError:
            return False
        return dates.is_unique and (dates.is_monotonic_increasing or dates.is_monotonic_decreasing)


def _is_number(value: str | float) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _footer(lines: int, mend: str, option: str) -> tuple[str, str]:
    """The mends of a last line that is none of the data, beside others."""
    return (
        f"If it begins a footer, leave it out with skip_footer={lines}. {mend}",
        f"If it begins a footer, leave it out with --skip-footer {lines}. {option}",
    )
