"""Rows of text cells, split into the columns of a table, with errors that give the line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfmgdm_lib.data.dates import are_dates
from mfmgdm_lib.data.numbers import are_like_numbers
from mfmgdm_lib.data.table import Table
from mfmgdm_lib.errors import Message

__all__ = ["Batch", "read_rows"]

Row = tuple[int, list[str]]
"""The number of a line, and its cells."""

Batch = tuple[np.ndarray, list[list[str]]]
"""The numbers of some lines, (rows,), and the cells of each."""

_MOST_HEADINGS = 5  # lines of column names; pandas writes one for each level and one for the name of the dates


def read_rows(
    title: str, batches: Iterable[Batch], *, header: bool = True, skip_footer: int = 0, separator: str = ","
) -> Table:
    """Split rows into columns.

    Args:
        title: what errors call the text.
        batches: rows of cells, many at a time; those without text are left out.
        header: whether the first row has the names of the columns; without, they are "1", "2" and so on.
        skip_footer: rows at the end that are left out.
        separator: what was between the cells.

    Raises:
        ValueError: no rows, no names where they are expected, fewer than two columns, or rows of different lengths.
    """
    kept = _without_footer(map(_without_blanks, batches), skip_footer)
    lines, rows = next(kept, (np.empty(0, dtype=np.int64), []))
    if not rows:
        raise ValueError(
            f"{title} is empty, with no text; expected a line of column names and lines of data. Save it again."
        )
    first = list(zip(lines[: _MOST_HEADINGS + 1].tolist(), rows, strict=False))
    names, n_names = _names(title, first, header)
    if len(names) == 1:
        raise ValueError(_one_column(title, names[0], first, separator))
    columns: list[list[Any]] = [[] for _ in names]
    numbers: list[np.ndarray] = []
    rest = chain([(lines[n_names:], rows[n_names:])], kept)
    for batch in rest:
        if set(map(len, batch[1])) - {len(names)}:
            left = [row for batch in chain([batch], rest) for row in zip(batch[0].tolist(), batch[1], strict=True)]
            raise ValueError(_explain_length(title, left, names, first[0], n_names > 0 and not numbers))
        for column, cells in zip(columns, zip(*batch[1], strict=True), strict=False):
            column.append(pa.array(cells, pa.string()))
        numbers.append(batch[0])
    trimmed = [pc.utf8_trim_whitespace(pa.chunked_array(column, pa.string())) for column in columns]
    return Table(title, names, trimmed, np.concatenate(numbers))


def _without_blanks(batch: Batch) -> Batch:
    lines, rows = batch
    if all(rows) and all(map(itemgetter(0), rows)):
        return batch
    kept = np.array([bool("".join(row).strip()) for row in rows], dtype=bool)
    return lines[kept], [row for row, keep in zip(rows, kept.tolist(), strict=True) if keep]


def _without_footer(batches: Iterator[Batch], skip_footer: int) -> Iterator[Batch]:
    held: Batch = (np.empty(0, dtype=np.int64), [])
    for lines, rows in batches:
        if len(rows) < skip_footer:  # which may begin in the batch before
            held = np.concatenate([held[0], lines]), held[1] + rows
            continue
        if held[1]:
            yield held
        held = lines, rows
    end = len(held[1]) - skip_footer
    if end > 0:
        yield held[0][:end], held[1][:end]


def _names(title: str, first: list[Row], header: bool) -> tuple[list[str], int]:
    """Names of the columns, levels joined by "/", and the number of rows that they take."""
    if not header:
        return [str(at) for at in range(1, len(first[0][1]) + 1)], 0
    line, names = first[0][0], [name.strip() for name in first[0][1]]
    named = pa.array([name for name in names if name], pa.string())
    if names[0] and (are_dates(pa.array(names[:1])).all() or (len(names) > 1 and are_like_numbers(named).all())):
        what = "date" if are_dates(pa.array(names[:1])).all() else "number"
        said = f"{title} begins with the {what} {names[0]} in line {line}; expected column names."
        mend = "Put a line such as date,value first, or use {}, and name columns by their numbers."
        raise ValueError(Message(said, mend.format("header=False"), option=mend.format("--no-header")))
    # pandas writes columns of several levels as a row for each, and then the name of the dates in a row of its own.
    for at, (_, row) in enumerate(first[1:_MOST_HEADINGS], 1):
        cell = row[0].strip()
        if are_dates(pa.array([cell])).any() or are_like_numbers(pa.array([cell])).any() or len(row) != len(names):
            break
        if cell and len(row) > 1 and not any(other.strip() for other in row[1:]):
            levels = [[other.strip() for other in row] for _, row in first[:at]]
            return [cell, *("/".join(filter(None, parts)) for parts in list(zip(*levels, strict=True))[1:])], at + 1
    return names, 1


def _one_column(title: str, name: str, first: list[Row], separator: str) -> Message:
    """Why there is one column only: another separator, or a line of text above the names."""
    below = first[1][1][0] if len(first) > 1 else name
    other = next((mark for mark in ";\t|," if mark != separator and mark in name and mark in below), None)
    if other is not None:
        spelled = "tab" if other == "\t" else repr(other)
        said = f"{title} separates its columns by {other!r}; expected two columns or more, separated by {separator!r}."
        return Message(said, f"Use separator={other!r}.", option=f"Use --separator {spelled}.")
    if wider := next((line for line, cells in first if len(cells) > 1), 0):
        said = f"{title} begins with a line of text, {name!r}; expected column names, as line {wider} may have."
        mend = "Leave out what is above them with {}."
        return Message(said, mend.format(f"skip_rows={wider - 1}"), option=mend.format(f"--skip-rows {wider - 1}"))
    said = f"{title} has one column, {name!r}; expected two columns or more, separated by {separator!r}."
    mend = "Leave lines of text above the names out with {}, or name another {}."
    return Message(said, mend.format("skip_rows", "separator"), option=mend.format("--skip-rows", "--separator"))


def _explain_length(title: str, rest: list[Row], names: list[str], head: Row, is_first: bool) -> Message:
    """Why a row of the rest has more or fewer cells than there are names, and what to do.

    Args:
        title: what errors call the text.
        rest: rows from some place on.
        names: of the columns.
        head: the first row of all.
        is_first: whether the rest is all that follows the names.
    """
    width = len(names)
    at = next(i for i, (_, cells) in enumerate(rest) if len(cells) != width)
    line, cells = rest[at]
    later = rest[at + 1 :]
    said = f"{title}, line {line} has {len(cells)} cells; expected {width}, one for each column."
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        said = f"{said} There is an empty cell after its last one."
        mend = f"Put a separator after the last name, or use {{}} and name columns by their numbers, 1 to {len(cells)}."
        python, option = f"skip_rows={head[0]}, header=False", f"--skip-rows {head[0]} --no-header"
        return Message(said, mend.format(python), option=mend.format(option))
    if is_first and at == 0 and later and len(later[0][1]) == len(cells):
        said = f"{said} Line {head[0]} may be text, {names[0]!r}, and not the names."
        mend = "Leave it out with {}."
        return Message(said, mend.format(f"skip_rows={line - 1}"), option=mend.format(f"--skip-rows {line - 1}"))
    if not are_dates(pa.array(cells[:1])).any() and (len(cells) == 1 or all(len(row) != width for _, row in later)):
        count = len(later) + 1
        last = "a last line of text" if count == 1 else f"a line of text, after which {count - 1} more come"
        said = f"{said} It is {last}, {cells[0].strip()!r}."
        mend = "Leave it out with {}." if count == 1 else "Leave out all from there on with {}."
        return Message(said, mend.format(f"skip_footer={count}"), option=mend.format(f"--skip-footer {count}"))
    if len(cells) > width:
        mend = "Put numbers with decimal commas or thousands separators in quotation marks, or name another {}."
        return Message(said, mend.format("separator"), option=mend.format("--separator"))
    return Message(said, "Fill what is missing.", option="Fill what is missing.")
