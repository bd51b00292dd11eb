"""Table 1's stored results compared with the paper's numbers and with independent replicates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2, sem

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.companion.paper import OurNumber, numbers, verdict
from mfmgdm_lib.companion.results import result_store
from mfmgdm_lib.companion.synthetic import PROCESS_NAMES
from mfmgdm_lib.companion.table1 import TABLE_1, Cell
from mfmgdm_lib.runs.store import Result

__all__ = [
    "ENERGY_NAMES",
    "MODEL_NAMES",
    "cell_names",
    "cell_number",
    "cell_row",
    "compare_cells",
    "first_bound_step",
    "gains",
    "indistinct_pairs",
    "pass_errors",
    "stored_cells",
]

ENERGY_NAMES = {
    "acf": "i. autocovariance",
    "scatmean": "ii. scattering mean",
    "scatcov": "iii. scattering covariance",
    "spectra": "iv. scattering spectra",
}
"""The paper's energies, by their keys in specifications."""

MODEL_NAMES = {"mgdm": "MGDM", "mf": "MF–MGDM"}
"""The paper's models, by their keys in specifications."""


def cell_names(cell: Cell) -> dict[str, str]:
    """The process, the energy and the model of a cell, as tables and figures call them."""
    names = (PROCESS_NAMES[cell.process], ENERGY_NAMES[cell.energy], MODEL_NAMES[cell.model])
    return dict(zip(("process", "energy", "model"), names, strict=True))


@checked
def stored_cells(cells: Sequence[Cell] = TABLE_1) -> dict[str, Result]:
    """The results of some cells, as a rule the forty, that are kept here, by their keys; without what is missing."""
    if not all(isinstance(cell, Cell) for cell in cells):
        raise TypeError(f"cells is a {type(cells).__name__}; expected a sequence of cells. Use such as TABLE_1.")
    store = result_store("table1")
    found = {cell.key: store.load(cell) for cell in cells}
    return {key: result for key, result in found.items() if result is not None}


@checked
def cell_row(cell: Cell, result: Result) -> dict[str, Any]:
    """What a result says at its smallest divergence and at its end.

    Returns:
        `least` (nats per path), `step`, `standard_error` (of the paths), `determinant_error`, `rise` from there to the
        last step, `moved` (least share of entries) and `folded` (largest share of ensembles) up to there, and of an AR
        `approximate`, the smallest divergence by the likelihood that the paper uses for p > 1; seconds of `wall_time`;
        `bound` and `ends_bound`, whether the numbers at the minimum and at the end are lower bounds: some step on the
        way has left entries where they were, or has folded the space of an ensemble, so that it is not one-to-one.
    """
    table = result.table
    step = int(table["reverse_kl"].idxmin())
    best = table.loc[step]
    bound = first_bound_step(table)
    row = {
        "least": best["reverse_kl"],
        "step": step,
        "standard_error": best["standard_error"],
        "determinant_error": best["determinant_error"],
        "rise": table["reverse_kl"].iloc[-1] - best["reverse_kl"],
        "moved": best["least_moved"],
        "folded": best["most_folded"],
        "bound": step >= bound,
        "ends_bound": table.index[-1] >= bound,
        "wall_time": result.seconds,
    }
    if "reverse_kl_approximate" in table:
        row["approximate"] = table["reverse_kl_approximate"].min()
    return row


@checked
def compare_cells(results: Mapping[str, Result]) -> pd.DataFrame:
    """Set the forty numbers of Table 1 beside those of some results.

    Returns:
        A row for each cell, by its key: the columns of `cell_row`, `process`, `energy` and `model` by their names,
        `n_steps`, `printed`, `difference` (printed less ours; by the paper's likelihood for an AR) and `verdict`, one
        of `paper.VERDICTS`.
    """
    stated = numbers().set_index("key")["value"]
    rows = {}
    for cell in TABLE_1:
        printed = stated[f"table1-{cell.key}"]
        row: dict[str, Any] = {"printed": float(printed), "n_steps": cell.n_steps, "verdict": verdict(printed, None)}
        row |= cell_names(cell)
        if cell.key in results:
            row |= cell_row(cell, results[cell.key])
            ours = cell_number(cell, row)
            row["difference"] = row["printed"] - ours.value
            row["verdict"] = verdict(printed, ours)
        rows[cell.key] = row
    return pd.DataFrame.from_dict(rows, orient="index")


@checked
def cell_number(cell: Cell, row: Mapping[str, Any]) -> OurNumber:
    """What of its `cell_row` is compared with the paper's number: of an AR the value by the paper's likelihood."""
    approximate = row.get("approximate")
    return OurNumber(
        value=row["least"] if approximate is None or math.isnan(approximate) else approximate,
        standard_error=row["standard_error"],
        own_error=row["determinant_error"],
        is_bound=bool(row["bound"]),
        page="notebooks/05_synthetic_table",
        anchor=f"table1-{cell.key}",
    )


@checked
def first_bound_step(table: pd.DataFrame) -> float:
    """The first step of a table of `tabulate` from which the divergence is a lower bound; infinite if none is."""
    bounded = table.index[(table["least_moved"] < 1) | (table["most_folded"] > 0)]
    return float(bounded[0]) if len(bounded) else math.inf


@checked
def gains(results: Mapping[str, Result]) -> pd.DataFrame:
    """How many nats MF–MGDM is below MGDM, cell by cell.

    Both start from the same paths, so the standard error is that of the differences path by path, and smaller than
    those of the two alone.

    Returns:
        A row for each pair that is there: `process`, `energy`, `gain` and `standard_error`, nats per path; `bounds`,
        the models whose numbers are lower bounds (text, empty if none is); and `holds`, whether the sign of the gain
        is safe from that: it is unless MF–MGDM's number is a bound, for then its true one may be larger.
    """
    rows = []
    for pair in zip(TABLE_1[::2], TABLE_1[1::2], strict=True):  # MGDM and MF–MGDM
        if all(cell.key in results for cell in pair):
            single, mean_field = (np.array(results[cell.key].provenance["best_paths"]) for cell in pair)
            apart, names = single - mean_field, cell_names(pair[0])
            bounds = [MODEL_NAMES[cell.model] for cell in pair if cell_row(cell, results[cell.key])["bound"]]
            row = {name: names[name] for name in ("process", "energy")}
            row |= {"gain": apart.mean(), "standard_error": sem(apart)}
            rows.append({**row, "bounds": " and ".join(bounds), "holds": MODEL_NAMES["mf"] not in bounds})
    return pd.DataFrame(rows)


@checked
def indistinct_pairs(replicates: pd.DataFrame) -> pd.DataFrame:
    """Find the numbers in a row of Table 1 that a reader should not tell apart.

    Cells of one process start from the same paths in the paper, as they do in a copy of ours, so what counts is how
    much the difference of two cells varies over copies.

    Args:
        replicates: a row for each independent copy of a cell: `cell` (its key), `copy` and `least`, nats.

    Returns:
        A row for each pair of cells of one process whose printed numbers differ by less than 2 standard deviations of
        the difference in a copy: `process`, `one`, `other`, the `printed` difference, and `noise`, one of those.
    """
    stated = numbers().set_index("key")["value"].astype(float)
    least = replicates.pivot(index="copy", columns="cell", values="least")
    rows = []
    for one, other in combinations([cell for cell in TABLE_1 if cell.key in least], 2):
        noise = float((least[one.key] - least[other.key]).std(ddof=1))
        apart = abs(stated[f"table1-{one.key}"] - stated[f"table1-{other.key}"])
        if one.process == other.process and apart < 2 * noise:
            (process, *first), (_, *second) = (cell_names(cell).values() for cell in (one, other))
            rows.append([process, ", ".join(first), ", ".join(second), apart, noise])
    return pd.DataFrame(rows, columns=["process", "one", "other", "printed", "noise"])


@checked
def pass_errors(passes: pd.DataFrame) -> dict[str, float]:
    """Compare the errors that random probes claim with how far independent passes of them lie apart.

    Args:
        passes: a row for each step and pass: `step`, `pass`, `log_determinant` (mean over paths, nats) and `error` (its
            standard error as claimed).

    Returns:
        `passes`, their number P; standard errors of the sum over all steps, nats: `claimed`, and as `seen_in_steps`
        (from the scatter within each step) and `seen_in_sums` (of the P sums); `chi_square` of the sums about their
        mean, by the claimed error, on P − 1 degrees of freedom, and its `p_value`.
    """
    values = passes.pivot(index="step", columns="pass", values="log_determinant")
    claimed = float(np.sqrt(passes["error"].pow(2).groupby(passes["step"]).mean().sum()))
    sums = values.sum()
    chi_square = float(((sums - sums.mean()) / claimed).pow(2).sum())
    return {
        "passes": len(sums),
        "claimed": claimed,
        "seen_in_steps": float(np.sqrt(values.var(axis=1).sum())),
        "seen_in_sums": float(sums.std()),
        "chi_square": chi_square,
        "p_value": float(chi2.sf(chi_square, len(sums) - 1)),
    }
