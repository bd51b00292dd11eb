"""What takes too long for a page: tables and fits kept in `results/`, read and written whole."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mfmgdm_lib.energies import Projection, ScatteringCovariance

__all__ = ["PROJECTION_FILE", "projected_covariance", "store", "stored"]

_RESULTS = Path(__file__).resolve().parents[2] / "results"
"""Where runs that take too long for a page are kept: beside the library in a checkout of the repository."""

PROJECTION_FILE = _RESULTS / "white_noise_projection.npz"
"""The projection of energy iii, which `tools/white_noise_projection.py` fits."""


def stored(name: str) -> pd.DataFrame:
    """Read a table of results that is kept in the repository.

    Args:
        name: the file's name in `results/`, without its suffix.

    Raises:
        FileNotFoundError: no such file: another name, or a library that is not in a checkout of the repository.
    """
    path = _RESULTS / f"{name}.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there; expected a file of results/ in a checkout of the repository."
            " Use one of its names, and the library from a checkout."
        )
    return pd.read_csv(path, comment="#")


def store(name: str, table: str, origin: Sequence[str]) -> None:
    """Write a table to `results/`, whole or not at all, below lines that say where it comes from.

    Args:
        name: the file's name in `results/`, without its suffix.
        table: the table as CSV.
        origin: what it is and what made it; the date and the versions of the packages are added.
    """
    versions = [
        f"{package} {importlib.metadata.version(package)}" for package in ("numpy", "scipy", "torch", "mfmgdm-lib")
    ]
    lines = [
        *origin,
        f"Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        f"Versions: Python {platform.python_version()}, {', '.join(versions)}",
    ]
    path = _RESULTS / f"{name}.csv"
    partial = path.with_suffix(".csv.partial")
    partial.write_text("".join(f"# {line}\n" for line in lines) + table, encoding="utf-8")
    partial.replace(path)


def projected_covariance() -> Projection:
    """Energy iii of Section 5.1: the scattering covariance of 1024 points on its 20 principal components.

    They are those of 10⁵ paths of white noise from the paper's seed, read from `results/`.

    Raises:
        FileNotFoundError: a library that is not in a checkout of the repository.
    """
    return Projection.load(PROJECTION_FILE, ScatteringCovariance(1024))
