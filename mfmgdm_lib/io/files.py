"""Generated paths written to Parquet, CSV or npz files, figures to image files, and the report as text."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd

from mfmgdm_lib._arrays import replace_file, replacing_file, save_arrays
from mfmgdm_lib.errors import Message
from mfmgdm_lib.generation import Generation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURE_SUFFIXES", "PATHS_SUFFIXES", "check_output", "replacing", "report_text", "save_figure", "save_paths"]

KIND = "generated paths"
"""What an .npz file says that it holds."""

FIGURE_SUFFIXES = (".pdf", ".png", ".svg")
"""Formats of figures."""


def save_paths(generation: Generation, path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write generated paths to a file, in the format that its suffix names, whole or not at all.

    - `.parquet` and `.csv`: a column for each path, "path 0", "path 1", …, and "point", which numbers the rows and in
      Parquet is the index. Parquet also keeps the notes, the loss, the steps and the start, as pandas' `attrs`.
    - `.npz`: arrays that `numpy.load` reads without pickle: `paths` (n_paths, length), `series` (points,), `report`
      (statistic, column) with the names `report_rows` and `report_columns`, `notes`, `loss`, `steps` and `start`.

    All three keep every bit of the float64 values.

    Args:
        generation: what `generate` returned.
        path: where to.
        force: whether to replace a file that is there.

    Returns:
        Where the file is.

    Raises:
        ValueError: another suffix.
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
    with _named_errors(target):
        _WRITERS[target.suffix](generation, target)
    return target


def save_figure(figure: Figure, path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write a figure to a .pdf, .png or .svg file; arguments, result and errors are those of `save_paths`."""
    target = check_output(path, FIGURE_SUFFIXES, force)
    drawn = io.BytesIO()
    figure.savefig(drawn, format=target.suffix[1:])
    with _named_errors(target):
        replace_file(target, drawn.getbuffer())
    return target


def check_output(path: str | os.PathLike[str], suffixes: tuple[str, ...], force: bool = False) -> Path:
    """Return a path to which a file can be written, or say what is in the way before any work is done.

    Args:
        path: where a file shall be.
        suffixes: those that are known, such as (".csv",).
        force: whether a file that is there may be replaced.

    Raises:
        ValueError: another suffix.
        FileExistsError: a file that is there, without `force`, or a folder.
        OSError: a folder that is missing or cannot be written into.

    Example:
        >>> check_output("paths.xlsx", (".csv", ".parquet"))
        Traceback (most recent call last):
        ValueError: paths.xlsx has the suffix '.xlsx'; expected '.csv' or '.parquet'. Rename the output.
    """
    target = Path(path)
    if target.suffix not in suffixes:
        found = f"the suffix {target.suffix!r}" if target.suffix else "no suffix"
        known = " or ".join(filter(None, [", ".join(map(repr, suffixes[:-1])), repr(suffixes[-1])]))
        raise ValueError(f"{target} has {found}; expected {known}. Rename the output.")
    if target.is_dir():
        raise FileExistsError(f"{target} is a folder; expected the name of a file. Name another one.")
    _check_folder(target.parent)
    if target.exists() and not force:
        said = f"{target} is there already; expected a new file. Name another one,"
        raise FileExistsError(Message(said, "or replace it with force=True.", option="or replace it with --force."))
    return target


@contextmanager
def replacing(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """Open a file to write at length, which takes its place when all is done; if it is not, nothing is left of it.

    Args:
        path: what `check_output` has returned.
        force: whether to replace a file that is there by then.

    Raises:
        FileExistsError: a file that has come to be there meanwhile, without `force`.
        OSError: it could not be written; a file that was there still is.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(Path(folder, "numbers.bin")) as file:
        ...         _ = file.write(bytes(10))
        ...     Path(folder, "numbers.bin").stat().st_size
        10
    """
    with _named_errors(path), replacing_file(path) as file:
        yield file
        check_output(path, (path.suffix,), force)


def report_text(generation: Generation) -> str:
    """Return the report as a table for a terminal, with what its columns are, and a line for each note.

    Example:
        >>> import mfmgdm_lib as mm
        >>> made = mm.generate(mm.processes.AR([0.5]).sample(1, 400, seed=0)[0], n_paths=3, length=64)
        >>> print(report_text(made).splitlines()[-1])
        Note: The series has 400 points: its statistics are rough, and the paths take them as true.
    """
    n, length = generation.paths.shape
    return "\n".join(
        [
            generation.report.to_string(float_format="{:.4g}".format, na_rep="–"),
            "",
            "windows: mean over stretches of the series as long as a path; low to high: nine paths in ten",
            f"{n} paths of {length} points, {generation.steps} steps from {generation.start!r} to a relative loss of"
            f" {generation.loss:.1e}",
            *(f"Note: {note}" for note in generation.notes),
        ]
    )


def _write_parquet(generation: Generation, path: Path) -> None:
    table = _table(generation)
    table.attrs.update(_about(generation), kind=KIND)
    whole = io.BytesIO()
    table.to_parquet(whole, engine="pyarrow", index=True)
    replace_file(path, whole.getbuffer())


def _write_csv(generation: Generation, path: Path) -> None:
    replace_file(path, _table(generation).to_csv(lineterminator="\n").encode())


def _write_npz(generation: Generation, path: Path) -> None:
    report = generation.report
    arrays = {
        "paths": generation.paths.numpy(),
        "series": generation.series.numpy(),
        "report": report.to_numpy(),
        "report_rows": np.array(report.index, dtype=str),
        "report_columns": np.array(report.columns, dtype=str),
        **{name: np.array(value, dtype=str if name == "notes" else None) for name, value in _about(generation).items()},
    }
    save_arrays(path, KIND, arrays)


_WRITERS: dict[str, Callable[[Generation, Path], None]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".npz": _write_npz,
}

PATHS_SUFFIXES = tuple(_WRITERS)
"""Formats of paths."""


def _table(generation: Generation) -> pd.DataFrame:
    """A column for each path."""
    values = generation.paths.numpy().T
    names = [f"path {number}" for number in range(values.shape[1])]
    return pd.DataFrame(values, columns=names, index=pd.RangeIndex(len(values), name="point"))


def _about(generation: Generation) -> dict[str, Any]:
    return {
        "start": repr(generation.start),
        "steps": generation.steps,
        "loss": generation.loss,
        "notes": list(generation.notes),
    }


def _check_folder(folder: Path) -> None:
    """Write a file without a name: permissions alone do not say whether a disk is read-only."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            error.errno,
            f"{folder} cannot be written into ({error.strerror}); expected a folder that is there and may be."
            " Create it, or name another one.",
        ) from error


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Add the name of the file to an error of writing it."""
    try:
        yield
    except FileExistsError:  # which names it already
        raise
    except OSError as error:
        raise OSError(
            error.errno,
            f"{path} could not be written ({error.strerror or error}); expected a folder that has room and may be"
            " written to. Free some space, or name another folder.",
        ) from error
