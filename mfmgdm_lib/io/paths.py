"""Generated paths and forecasts as tables, written to Parquet, CSV or npz files, and a report as text."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mfmgdm_lib import _provenance
from mfmgdm_lib._arguments import checked
from mfmgdm_lib._arrays import named_errors, replace_file, save_arrays
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib.data import dates_after, levels
from mfmgdm_lib.errors import Message
from mfmgdm_lib.forecasting import Forecast
from mfmgdm_lib.generation import Generation
from mfmgdm_lib.io.files import check_output, headed_csv, save_table

__all__ = ["PATHS_SUFFIXES", "paths_table", "provenance", "report_text", "save_forecast", "save_paths"]

KIND = "generated paths"
"""What an .npz file says that it holds."""

Made = Generation | Forecast


@checked
def save_paths(
    generation: Made,
    path: str | os.PathLike[str],
    *,
    prices: float | Sequence[float] | None = None,
    dates: bool = False,
    force: bool = False,
) -> Path:
    """Write generated paths to a file, in the format that its suffix names, whole or not at all.

    - `.parquet` and `.csv`: the table of `paths_table`. Parquet keeps what is known of the paths as pandas' `attrs`:
      `kind`, `version` of the library, `command` where one made them, `date` in UTC (that of SOURCE_DATE_EPOCH where
      the environment has it), `threads`, `seed`, `source` and `unit` of the series and what else its `attrs` have,
      such as the `sha256` of its file, `start`, `steps`, `loss`, `notes` and the `report`. CSV has the same above the
      table, a line for each that begins with #: read it with `pandas.read_csv(file, comment="#", index_col=0)`.
    - `.npz`: arrays that `numpy.load` reads without pickle: `paths` (n_paths, length), `series` (points,), of several
      series with an axis of theirs before the last one, and their names as `columns`; `report` (statistic, column)
      with the names `report_rows` and `report_columns`; the rest as in Parquet; `prices` (n_paths, length + 1) and
      `dates`, as text, where they are asked for.

    All three keep every bit of the float64 values. Files of a forecast have its `law` in place of `start`, `steps`,
    `loss`, `report` and the `series`.

    Args:
        generation: what `generate` or `forecast` returned.
        path: where to.
        prices: the first level of paths of prices, as for `paths_table`; None for the paths as they are.
        dates: whether rows have dates, as for `paths_table`.
        force: whether to replace a file that is there.

    Returns:
        Where the file is.

    Raises:
        ValueError: another suffix, or prices or dates that there cannot be.
        FileExistsError: a file that is there, without `force`.
        OSError: no folder to write into, or no room; a file that was there still is.

    Example:
        >>> import mfmgdm_lib as mm, pathlib, tempfile
        >>> made = mm.generate(mm.processes.AR([0.5]).sample(1, 400, seed=0)[0], n_paths=3, length=64)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pd.read_parquet(save_paths(made, pathlib.Path(folder, "paths.parquet"))).shape
        (64, 3)
    """
    target = check_output(path, PATHS_SUFFIXES, force)
    with named_errors(target):
        _WRITERS[target.suffix](generation, paths_table(generation, prices=prices, dates=dates), target)
    return target


@checked
def save_forecast(forecast: Forecast, path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write the table of a forecast by horizon to a .csv file, below lines that begin with # on what it was made of.

    `pandas.read_csv(file, comment="#", index_col="horizon")` reads it; other arguments, result and errors are those of
    `save_paths`.
    """
    return save_table(forecast.table, path, about=provenance(forecast), force=force)


@checked
def paths_table(
    generation: Made, *, prices: float | Sequence[float] | None = None, dates: bool = False
) -> pd.DataFrame:
    """Return generated paths as a table with a column for each path: "path 0", …, or "AAA 0", … of several series.

    Args:
        generation: what `generate` or `forecast` returned.
        prices: the level that each path begins at, such as the last price, one for each of several series: then the
            table has the levels that the returns lead to, `mm.data.levels`, the first one included. None for the paths
            as they are.
        dates: whether the rows have dates, those of `mm.data.dates_after` the series, in place of numbers; the first
            price then has the last date of the series.

    Returns:
        (length, n_paths), or (length + 1, n_paths) with prices; its index is named "point" or "date". Of several series
        it has the paths of the first, of the second, and so on.

    Raises:
        ValueError: prices, where it is not known what returns the series has, or dates after a series without any.

    Example:
        >>> import mfmgdm_lib as mm
        >>> returns = mm.data.returns(mm.data.sp500())
        >>> made = mm.generate(returns, n_paths=3, length=64, start="noise")
        >>> table = paths_table(made, prices=2500.0, dates=True)
        >>> table.shape, table.index[:2].strftime("%Y-%m-%d").tolist(), float(table["path 0"].iloc[0])
        ((65, 3), ['2018-12-31', '2019-01-01'], 2500.0)
    """
    columns = _columns(generation)
    channels = [generation.paths] if not columns else list(generation.paths.unbind(1))
    if prices is not None:
        given = prices.detach() if isinstance(prices, torch.Tensor) else prices
        firsts = [float(first) for first in np.atleast_1d(given)]
        if len(firsts) != len(channels):
            raise ValueError(
                f"prices has {len(firsts)} levels for {len(channels)} series; expected one for each. Pass a list."
            )
        kind = _returns_of(generation)
        channels = [levels(paths, first, kind) for paths, first in zip(channels, firsts, strict=True)]
    rows = channels[0].shape[-1]
    index = _dates_of(generation, rows, begins=prices is None) if dates else pd.RangeIndex(rows, name="point")
    names = [f"{name} {at}" for name in columns or ("path",) for at in range(len(generation.paths))]
    return pd.DataFrame(torch.cat(channels).numpy().T, columns=names, index=index)


def _columns(generation: Made) -> tuple[str, ...]:
    """Names of several series; a forecast is of one."""
    return generation.columns if isinstance(generation, Generation) else ()


def _returns_of(generation: Made) -> str:
    """Whether the series has log-returns or differences."""
    kind = None if generation.observed is None else generation.observed.attrs.get("returns")
    if kind is None:
        raise ValueError(
            Message(
                "prices are given, and it is not known how the series was made of prices; expected one of"
                " mm.data.returns(prices).",
                "Make it so, or use mm.data.levels(made.paths, first, kind).",
                option="Use --returns log or --returns difference, or leave --prices out.",
            )
        )
    return str(kind)


def _dates_of(generation: Made, rows: int, *, begins: bool) -> pd.Index:
    """The dates of so many rows, which begin after the last of the series, or with it."""
    if generation.observed is None:
        raise ValueError(
            "dates are wanted, and the series had none; expected a pandas Series with dates. Leave dates out."
        )
    index = generation.observed.index
    following = dates_after(index, rows if begins else rows - 1)
    return (following if begins else index[-1:].append(following)).rename("date")


@checked
def report_text(generation: Generation) -> str:
    """Return the report as a table for a terminal, with what its columns are, and a line for each note.

    Example:
        >>> import mfmgdm_lib as mm
        >>> made = mm.generate(mm.processes.AR([0.5]).sample(1, 400, seed=0)[0], n_paths=3, length=64, start="noise")
        >>> print(report_text(made).splitlines()[-1])
        Note: The series has 400 points: its statistics are rough, and the paths take them as true.
    """
    n, length = len(generation.paths), generation.paths.shape[-1]
    return "\n".join(
        [
            generation.report.to_string(float_format="{:.4g}".format, na_rep="–"),
            "",
            "windows: mean over stretches of the series as long as a path; low to high: nine paths in ten",
            f"{n} paths of {length} points, {generation.steps} steps from {generation.start!r} to a relative loss of"
            f" {generation.loss:.1e}",
            *(f"Note: {note}".replace("\n", "\\n") for note in generation.notes),
        ]
    )


def _write_parquet(generation: Made, table: pd.DataFrame, path: Path) -> None:
    table.attrs.update(_with_report(generation))
    whole = io.BytesIO()
    table.to_parquet(whole, engine="pyarrow", index=True)
    replace_file(path, whole.getbuffer())


def _write_csv(generation: Made, table: pd.DataFrame, path: Path) -> None:
    replace_file(path, headed_csv(table, _with_report(generation)))


def _write_npz(generation: Made, table: pd.DataFrame, path: Path) -> None:
    about = {name: value for name, value in provenance(generation).items() if name != "kind"}
    arrays = {
        "paths": generation.paths.numpy(),
        **(_of_series(generation) if isinstance(generation, Generation) else {}),
        **{name: np.array(value, dtype=str if name == "notes" else None) for name, value in about.items()},
    }
    columns = _columns(generation)
    if len(table) > generation.paths.shape[-1]:
        shape = (*generation.paths.shape[1:-1], len(generation.paths), len(table))
        prices = table.to_numpy().T.reshape(shape)
        arrays["prices"] = np.ascontiguousarray(prices.swapaxes(0, 1) if columns else prices)
    if isinstance(table.index, pd.DatetimeIndex):
        arrays["dates"] = np.array([date.isoformat() for date in table.index])
    save_arrays(path, KIND, arrays)


def _of_series(generation: Generation) -> dict[str, np.ndarray]:
    """Arrays of the series that a generation is like, and of its report."""
    report = generation.report
    arrays = {
        "series": generation.series.numpy(),
        "report": report.to_numpy(),
        "report_rows": np.array(report.index, dtype=str),
        "report_columns": np.array(report.columns, dtype=str),
    }
    return arrays | ({"columns": np.array(generation.columns)} if generation.columns else {})


_WRITERS: dict[str, Callable[[Made, pd.DataFrame, Path], None]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".npz": _write_npz,
}

PATHS_SUFFIXES = tuple(_WRITERS)
"""Formats of paths."""


def provenance(generation: Made) -> dict[str, Any]:
    """Return what is known of paths, as JSON can write it: what made them, and of what."""
    observed = generation.observed
    attrs = {} if observed is None else observed.attrs
    return {
        "kind": KIND if isinstance(generation, Generation) else "forecast",
        **_provenance.provenance(),
        "seed": repr(generation.seed),
        **{name: attrs[name] for name in _KEPT if name in attrs},
        **_span(generation),
        **(_outcome(generation) if isinstance(generation, Generation) else {"law": repr(generation.law)}),
        "notes": list(generation.notes),
    }


def _with_report(generation: Made) -> dict[str, Any]:
    report = {"report": _plain_report(generation.report)} if isinstance(generation, Generation) else {}
    return provenance(generation) | report


def _outcome(generation: Generation) -> dict[str, Any]:
    return {"start": repr(generation.start), "steps": generation.steps, "loss": generation.loss}


def _plain_report(report: pd.DataFrame) -> dict[Any, Any]:
    """A report with None where there is no number."""
    return {
        row: {column: None if np.isnan(value) else float(value) for column, value in values.items()}
        for row, values in report.iterrows()
    }


def _span(generation: Made) -> dict[str, Any]:
    """How many points the series has, and from when to when."""
    observed = generation.observed
    if isinstance(generation, Generation):
        points: dict[str, Any] = {"points": generation.series.shape[-1]}
    else:
        points = {} if observed is None else {"points": len(observed)}
    if observed is None or not isinstance(observed.index, pd.DatetimeIndex):
        return points
    return points | {name: observed.index[at].isoformat() for name, at in (("first", 0), ("last", -1))}


_KEPT = ("source", "url", "retrieved", "sha256", "unit", "level_unit", "frequency", "returns")
"""Attributes of a series that go into the files of its paths."""
