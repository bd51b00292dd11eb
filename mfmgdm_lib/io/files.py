"""Files that appear whole or not at all: figures, tables, and what is written at length."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._arrays import named_errors, partial_path, replace_file, replacing_file
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib._provenance import as_json, now, provenance
from mfmgdm_lib.errors import Message

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "FIGURE_SUFFIXES",
    "check_output",
    "headed_csv",
    "replacing",
    "save_figure",
    "save_table",
]

FIGURE_SUFFIXES = (".pdf", ".png", ".svg")
"""Formats of figures."""


def save_table(
    table: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    about: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Path:
    """Write a table to a .csv file, below a line for each thing that is known of it, which begins with #.

    Those are what is passed as `about`, by name, and the version, the command, the date and the threads that made it.
    The rest is as for `save_paths`.
    """
    target = check_output(path, (".csv",), force)
    with named_errors(target):
        replace_file(target, headed_csv(table, provenance() | dict(about or {})))
    return target


def headed_csv(table: pd.DataFrame, about: Mapping[str, Any]) -> bytes:
    """Return a table as CSV, below a line for each thing that is known about it, which begins with #.

    Example:
        >>> print(headed_csv(pd.DataFrame({"a": [1]}), {"seed": 0}).decode())
        # seed: 0
        ,a
        0,1
        <BLANKLINE>
    """
    lines = (f"# {name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in about.items())
    # What is no text in a file's name becomes \udc.., which JSON reads back.
    return ("".join(lines) + table.to_csv(lineterminator="\n")).encode("utf-8", "backslashreplace")


@checked
def save_figure(
    figure: Figure,
    path: str | os.PathLike[str],
    *,
    about: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Path:
    """Write a figure to a .pdf, .png or .svg file; other arguments, result and errors are those of `save_paths`.

    What is passed as `about`, and the version, the command, the date and the threads that made it, are kept as JSON:
    in the "Description" of a .png or .svg file, and as the "Subject" of a .pdf file.
    """
    target = check_output(path, FIGURE_SUFFIXES, force)
    if not hasattr(figure, "savefig"):
        raise TypeError(f"figure is a {type(figure).__name__}; expected a matplotlib Figure. Pass one.")
    drawn = io.BytesIO()
    said = as_json(provenance() | dict(about or {}))
    metadata: dict[str, dict[str, Any]] = {
        ".pdf": {"Subject": said, "CreationDate": now()},
        ".png": {"Description": said},
        ".svg": {"Description": said, "Date": now().isoformat()},
    }
    figure.savefig(drawn, format=target.suffix[1:], metadata=metadata[target.suffix])
    with named_errors(target):
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
    _check_name(target)
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
    with named_errors(path), replacing_file(path) as file:
        yield file
        check_output(path, (path.suffix,), force)


def _check_name(target: Path) -> None:
    """Look for a file that is never there: names that are too long are refused by the system alone."""
    try:
        partial_path(target).lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise OSError(
            error.errno,
            f"the name {target.name!r} has {len(target.name)} characters ({error.strerror}); expected a shorter one,"
            " with room for what is added to it while it is written. Shorten it.",
        ) from error


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
