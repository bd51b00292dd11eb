"""Options that several commands share, with their accepted values, so that `--help` loads no numerical package."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfmgdm_lib.cli.output import say

if TYPE_CHECKING:
    from mfmgdm_lib.runs.store import ResultStore

__all__ = [
    "BASES",
    "CHANNELS",
    "CHECKPOINT_SECONDS",
    "DTYPES",
    "ENERGIES",
    "FIELD_SUFFIXES",
    "FIGURE_SUFFIXES",
    "IMAGE_SUFFIXES",
    "MODELS",
    "PATHS_SUFFIXES",
    "PROCESSES",
    "PROFILES",
    "PUBLISHERS",
    "STARTS",
    "STOPS",
    "STORES",
    "STREAM_SUFFIXES",
    "Outputs",
    "cell_options",
    "check_memory",
    "check_outputs",
    "open_store",
    "option_group",
    "paths_options",
    "profile_option",
]

CHANNELS = ("grey", "red", "green", "blue")
CHECKPOINT_SECONDS = 30.0
DTYPES = ("float64", "float32")
ENERGIES = ("acf", "scatmean", "scatcov", "spectra")
FIELD_SUFFIXES = (".npz", ".npy")
FIGURE_SUFFIXES = (".pdf", ".png", ".svg")
IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
MODELS = ("mgdm", "mf")
PATHS_SUFFIXES = (".parquet", ".csv", ".npz")
PROCESSES = ("ar01", "ar02", "arm01", "cir-exp", "cir-trunc")
PROFILES = ("paper", "quick")
PUBLISHERS = ("yahoo", "riksbank", "fred", "ecb")
STARTS = ("noise", "student", "garch", "argarch", "argarch-t", "argjr-skewt")
STOPS = ("duration", "balanced")
STREAM_SUFFIXES = (".parquet", ".npz")
BASES = tuple(
    f"{mean}{variance}-{law}"
    for mean in ("", "ar")
    for variance in ("garch", "gjr", "egarch", "aparch")
    for law in ("n", "t", "skewt")
)
"""Models of volatility."""
STORES = {"paper": "table1", "quick": "quick"}
"""The store of Table 1's cells, by profile."""

Command = Callable[..., Any]

Outputs = Sequence[tuple[str, Path | None, tuple[str, ...]]]
"""Options, the files that they name, and the suffixes that those may have."""


def option_group(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return several options as one decorator, in the order in which `--help` lists them."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def cell_options(command: Command) -> Command:
    """Add the options `--cells`, patterns of keys, and `--store`, the folder of their results."""
    cells = click.option(
        "--cells", multiple=True, metavar="PATTERN", help="Such as 'ar01-*' or '*-mf'; may be repeated."
    )
    store = click.option(
        "--store", "folder", type=click.Path(path_type=Path), help="Folder of the results.  [default: in results]"
    )
    return option_group(cells, store)(command)


def profile_option(command: Command) -> Command:
    """Add the option `--profile`, "paper" or "quick"."""
    profiles = click.Choice(PROFILES)
    return click.option("--profile", type=profiles, default="paper", show_default=True, help="Size of a run.")(command)


def paths_options(
    n_paths: int, suffixes: tuple[str, ...], what: str = "the paths", fewest: int = 1
) -> Callable[[Command], Command]:
    """Return the options `--paths`, with a default, `--seed`, `--out`, a file with such a suffix, and `--force`."""
    count, files = click.IntRange(min=fewest), f"File for {what}: {', '.join(suffixes)}."
    return option_group(
        click.option("--paths", "n_paths", type=count, default=n_paths, show_default=True, help="How many paths."),
        click.option(
            "--seed",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="The same seed, the same paths; to round-off with another OMP_NUM_THREADS.",
        ),
        click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help=files),
        click.option("--force", is_flag=True, help="Replace files that are there."),
    )


def check_outputs(outputs: Outputs, force: bool, source: Path | str, what: str = "series") -> None:
    """Refuse files that could not be written, that are what is read, or that are two outputs at once.

    Args:
        outputs: options, the files that they name, and the suffixes that those may have.
        force: whether files that are there may be replaced.
        source: the file that is read, or the name of a series elsewhere.
        what: that file is, for messages.

    Raises:
        ValueError, OSError: such a file, before anyone has waited for it.
    """
    from mfmgdm_lib._provenance import now
    from mfmgdm_lib.io.files import check_output

    now()  # which every file will have
    seen: dict[Path, str] = {}
    for option, file, suffixes in outputs:
        if file is None:
            continue
        check_output(file, suffixes, force)
        if isinstance(source, Path) and file.exists() and file.samefile(source):
            raise ValueError(f"{option} is {file}, the {what} itself; expected another file. Name another one.")
        if (other := seen.setdefault(file.absolute(), option)) != option:
            raise ValueError(f"{option} and {other} are both {file}; expected two files. Name another one.")


def check_memory(**counts: int) -> None:
    """Refuse options, by the names that the command line has for them, whose product of numbers exceeds the memory.

    Example:
        >>> check_memory(paths=10**11, length=1024)
        Traceback (most recent call last):
        ValueError: --paths is 100000000000 and --length is 1024, 819 TB of numbers; expected at most the ...
    """
    from mfmgdm_lib._arrays import spell_bytes

    needed, there = 8 * math.prod(counts.values()), _memory()
    if needed > there:
        said = " and ".join(f"--{name.replace('_', '-')} is {count}" for name, count in counts.items())
        raise ValueError(
            f"{said}, {spell_bytes(needed)} of numbers; expected at most the {spell_bytes(there)} of memory that this"
            " machine has. Ask for less."
        )


def _memory() -> int:
    """Bytes of memory of this machine; where the system does not say, more than any has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 10**14


def open_store(folder: Path | None, name: str) -> ResultStore:
    """Return the store of results in the folder of `--store`, or without one the project's own of that name."""
    from mfmgdm_lib.companion.results import result_store
    from mfmgdm_lib.runs.store import ResultStore

    report = partial(say, err=True)
    return result_store(name, report=report) if folder is None else ResultStore(folder, report=report)
