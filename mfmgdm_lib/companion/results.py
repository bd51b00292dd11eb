"""The folder `results/`: tables and fits that take too long to compute in a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_member
from mfmgdm_lib.energies import Projection, ScatteringCovariance
from mfmgdm_lib.runs.store import ResultStore

__all__ = [
    "PROJECTION_FILES",
    "new_results_folder",
    "projected_covariance",
    "result_store",
    "results_folder",
    "store",
    "stored",
]

_PACKAGE = Path(__file__).resolve().parents[1]

_CHECKOUT = _PACKAGE.parent if (_PACKAGE.parent / "pyproject.toml").is_file() else None
"""The repository that the library is in; None where it is installed from a wheel."""

_RESULTS = _PACKAGE / "results" if _CHECKOUT is None else _CHECKOUT / "results"
"""The results that come with the library: a folder of the installed package is that of the repository."""

PROJECTION_FILES = {
    "white noise": _RESULTS / "white_noise_projection.npz",
    "garch": _RESULTS / "garch_projection.npz",
}
"""The projections of energy iii, by the law of the paths that `tools/projections.py` fits them to."""


def results_folder() -> Path:
    """Where the results are that come with the library, in a checkout of the repository or installed; to be read."""
    return _RESULTS


def new_results_folder() -> Path:
    """Where new results go: `results/` of a checkout of the repository, else of the working directory."""
    return Path("results") if _CHECKOUT is None else _RESULTS


@checked
def result_store(name: str = ".", *, report: Callable[[str], None] = print) -> ResultStore:
    """The store of one kind of runs: new results, and as a fallback those that come with the library.

    Args:
        name: "table1", "market", or another folder in `results/`; that itself holds the tables that have names.
        report: what to do with a sentence for the user.
    """
    new, came = new_results_folder() / name, results_folder() / name
    return ResultStore(new, fallback=None if new == came else came, report=report)


def stored(name: str) -> pd.DataFrame:
    """Read a table of results: a new one, where there is one, or else the one that comes with the library.

    Args:
        name: the file's name in `results/`, without its suffix.

    Raises:
        FileNotFoundError: no such file.

    Example:
        >>> list(stored("frozen_gains")["start"])
        ['noise', 'garch']
    """
    try:
        return result_store().table(name)
    except FileNotFoundError:
        names = sorted(file.stem for file in results_folder().glob("*.csv"))
        raise FileNotFoundError(
            f"{results_folder() / name}.csv is not there; expected one of {', '.join(names) or 'those of the library'}."
            + (" Use one of these names." if names else " Install the library again.")
        ) from None


def store(name: str, table: str, origin: Sequence[str]) -> None:
    """Write a table to the folder of new results, whole or not at all, below lines that say where it comes from.

    Args:
        name: the file's name in `results/`, without its suffix.
        table: the table as CSV.
        origin: what it is and what made it; the date and the versions of the packages are added.
    """
    result_store().save_table(name, table, {"origin": list(origin)})


def projected_covariance(law: str = "white noise") -> Projection:
    """Energy iii: the scattering covariance of 1024 points on its 20 principal components.

    They are those of 10⁵ paths from the paper's seed, read from a file that comes with the library.

    Args:
        law: of those paths: "white noise" (Section 5.1), or "garch" (Appendix C), (ω, α, β) = (0.03, 0.1, 0.87).

    Raises:
        FileNotFoundError: an installation that has lost the file.
        ValueError: another law, or a damaged file.
    """
    check_member("law", law, tuple(PROJECTION_FILES))
    path = PROJECTION_FILES[law]
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there; expected a file that comes with the library. "
            + ("Install it again." if _CHECKOUT is None else "Get it back: git checkout -- results.")
        )
    return Projection.load(path, ScatteringCovariance(1024))
