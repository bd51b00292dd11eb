"""Cells of Parquet files and Excel workbooks, as a CSV file would spell them."""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mfmgdm_lib.data.rows import Batch
from mfmgdm_lib.data.table import Table
from mfmgdm_lib.errors import Message

__all__ = ["parquet_table", "workbook_rows"]


def parquet_table(title: str, content: bytes, decimal: str) -> Table:
    """Return the cells of a Parquet file as text, with its index, if it has one, as the first columns."""
    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except ImportError:
        raise
    except Exception as error:  # a flipped bit in what pandas has written beside the columns makes it raise nearly any
        raise ValueError(f"{title} cannot be read ({error}); expected a whole Parquet file. Fetch it again.") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    names = ["/".join(map(str, name)).rstrip("/") if isinstance(name, tuple) else str(name) for name in frame.columns]
    if len(names) < 2:
        raise ValueError(f"{title} has one column, {', '.join(names)!r}; expected two columns or more. Save it again.")
    columns = [_spell_column(frame.iloc[:, at], decimal) for at in range(len(names))]
    return Table(title, names, columns, np.arange(1, len(frame) + 1))


def _spell_column(column: pd.Series, decimal: str) -> pa.ChunkedArray:
    """Cells of a column as a CSV file would have them, numbers to the last digit."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        texts = column.astype(str).where(column.notna(), "").tolist()
    else:
        texts = [_spell(value, decimal) for value in column.astype(object).tolist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _spell(value: Any, decimal: str) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, (datetime.date, pd.Timestamp)):
        return str(value)
    if value is None or value is pd.NA or value != value:
        return ""
    if isinstance(value, (float, np.floating)):
        number = float(value)
        # Workbooks have no integers: a day that Excel counts is 40910.0 to them.
        return (
            str(int(number)) if number.is_integer() and 0 < abs(number) < 2**53 else repr(number).replace(".", decimal)
        )
    return str(value)


def workbook_rows(title: str, content: bytes, sheet: str | None, decimal: str, skip_rows: int) -> Iterator[Batch]:
    """Give the rows of a sheet of an Excel workbook, as text."""
    try:
        import openpyxl  # an extra, which only workbooks need
    except ImportError as error:
        raise ImportError(
            f"{title} is an Excel workbook, which needs the package openpyxl; expected it to be installed. Use"
            " pip install 'mfmgdm-lib[excel]', or save the sheet as CSV."
        ) from error
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    except Exception as error:  # it lets errors of zip, XML and its own through
        raise ValueError(f"{title} cannot be read ({error}); expected a whole workbook. Save it again.") from error
    names = book.sheetnames
    if (sheet is None and len(names) != 1) or (sheet is not None and sheet not in names):
        said = f"{title} has the sheets {', '.join(map(repr, names))}; expected " + (
            "one." if sheet is None else f"one that is called {sheet!r}."
        )
        raise ValueError(Message(said, "Name one as sheet.", option="Name one with --sheet."))
    try:
        rows = [*book[names[0] if sheet is None else sheet].iter_rows(values_only=True)]
    except Exception as error:  # what is damaged further down in a sheet
        raise ValueError(f"{title} cannot be read ({error}); expected a whole workbook. Save it again.") from error
    cells = [[_spell(value, decimal) for value in values] for values in rows][skip_rows:]
    yield skip_rows + 1 + np.arange(len(cells)), cells
