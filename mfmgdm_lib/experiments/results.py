"""What takes too long for a page: tables and fits kept in `results/`, read and written whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mfmgdm_lib._archive import replace_file
from mfmgdm_lib._checks import check_member
from mfmgdm_lib.energies import Projection, ScatteringCovariance
from mfmgdm_lib.store import provenance

__all__ = ["PROJECTION_FILES", "projected_covariance", "results_folder", "store", "stored"]

_RESULTS = Path(__file__).resolve().parents[2] / "results"
"""Where runs that take too long for a page are kept: beside the library in a checkout of the repository."""

PROJECTION_FILES = {
    "white noise": _RESULTS / "white_noise_projection.npz",
    "garch": _RESULTS / "garch_projection.npz",
}
"""The projections of energy iii, by the law of the paths that `tools/projections.py` fits them to."""


def results_folder() -> Path:
    """Where results are kept: `results/` of the repository that the library is in, else of the working directory."""
    return _RESULTS if _RESULTS.is_dir() else Path("results")


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
    about = provenance()
    versions = ", ".join(f"{package} {version}" for package, version in about["versions"].items())
    lines = [*origin, f"Date: {about['date']}", f"Versions: {versions}"]
    content = "".join(f"# {line}\n" for line in lines) + table
    replace_file(_RESULTS / f"{name}.csv", content.encode())


def projected_covariance(law: str = "white noise") -> Projection:
    """Energy iii: the scattering covariance of 1024 points on its 20 principal components.

    They are those of 10⁵ paths from the paper's seed, read from `results/`.

    Args:
        law: of those paths: "white noise" (Section 5.1), or "garch" (Section 5.2), (ω, α, β) = (0.03, 0.1, 0.87).

    Raises:
        FileNotFoundError: a library that is not in a checkout of the repository.
        ValueError: another law.
    """
    check_member("law", law, tuple(PROJECTION_FILES))
    return Projection.load(PROJECTION_FILES[law], ScatteringCovariance(1024))
