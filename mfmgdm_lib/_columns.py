"""Checks of tables whose columns are series of one time, with errors that name the column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._checks import as_series
from mfmgdm_lib._lazy import pandas as pd

__all__ = ["as_columns"]


def as_columns(name: str, table: Any, *, minimum_length: int = 2) -> tuple[Tensor, tuple[str, ...]]:
    """Return the columns of a table, (C, points) float64 with their names; one series, (points,), has no names.

    Args:
        name: of the argument, for messages.
        table: a pandas DataFrame, an array or a tensor (points, C); or what `as_series` takes. A table of one column
            is one series.
        minimum_length: points of each column at least.

    Raises:
        TypeError: columns that are no real numbers.
        ValueError: columns with a name in common, with missing or infinite values, constant or too short; several
            series that are in no table; or a table on its side.

    Example:
        >>> values, names = as_columns("table", pd.DataFrame({"AAA": [1.0, 2.0], "BBB": [0.0, 3.0]}))
        >>> values.tolist(), names
        ([[1.0, 2.0], [0.0, 3.0]], ('AAA', 'BBB'))
    """
    raw: Any = table if isinstance(table, (pd.DataFrame, pd.Series, Tensor, np.ndarray)) else _as_array(name, table)
    if raw.ndim != 2:
        return as_series(name, raw, minimum_length=minimum_length).double().cpu(), ()
    points, count = raw.shape
    if count == 0 or count > points:
        raise ValueError(
            f"{name} has shape {(points, count)}; expected (points, columns), a row for each point in time and a column"
            f" for each series. Use {name}.T if it lies on its side."
        )
    frame = isinstance(raw, pd.DataFrame)
    names = _names_of(name, raw) if frame else tuple(f"column {place}" for place in range(count))
    columns = []
    for place in range(count):
        column = raw.iloc[:, place] if frame else raw[:, place]
        where = f"{name}[{names[place]!r}]" if frame else f"{name}[:, {place}]"
        if frame:
            _check_complete(name, where, column)
        columns.append(as_series(where, column, minimum_length=minimum_length).double().cpu())
    return (torch.stack(columns), names) if count > 1 else (columns[0], ())


def _as_array(name: str, values: Any) -> Any:
    """Lists of numbers, or of rows of them, as an array; several series that are in no table are refused."""
    parts = list(values.values() if isinstance(values, Mapping) else values) if isinstance(values, Iterable) else []
    lengths = sorted({len(part) for part in parts if hasattr(part, "__len__") and not isinstance(part, str)})
    if lengths:
        rows = all(isinstance(part, (list, tuple)) for part in parts) and not isinstance(values, Mapping)
        if not rows or len(lengths) > 1:
            raise ValueError(
                f"{name} is a {type(values).__name__} of {len(parts)} sequences of {' and '.join(map(str, lengths))}"
                " numbers; expected a table, with a value of each series at each time. Use pandas.DataFrame(...), or"
                ' pandas.concat(..., axis=1, join="inner") for the dates that series have in common.'
            )
    return np.asarray(values)


def _names_of(name: str, frame: pd.DataFrame) -> tuple[str, ...]:
    """The names of columns as text; those of several header rows are joined by a slash."""
    names = tuple("/".join(map(str, column)) if isinstance(column, tuple) else str(column) for column in frame.columns)
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise ValueError(
            f"{name} has {names.count(twice[0])} columns named {twice[0]!r}; expected names that differ. Use"
            f" {name}.columns = [...], or {name}.loc[:, ~{name}.columns.duplicated()]."
        )
    return names


def _check_complete(name: str, where: str, column: pd.Series) -> None:
    """Whether there is a value at each date: series of several markets have holidays of their own."""
    missing = column.isna()
    if missing.any():
        raise ValueError(
            f"{where} has no value in {int(missing.sum())} of its {len(column)} rows, the first at"
            f" {column.index[int(np.argmax(missing))]}; expected one in each. Use {name}.dropna() for the rows in which"
            " all columns have one."
        )
