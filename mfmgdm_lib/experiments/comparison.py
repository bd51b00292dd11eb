"""The scales: the stored cells of Table 1 beside the paper's numbers, and independent copies beside each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from mfmgdm_lib.experiments.results import result_store
from mfmgdm_lib.experiments.table1 import ENERGIES, MODELS, PROCESSES, TABLE_1, Cell
from mfmgdm_lib.paper import numbers
from mfmgdm_lib.processes import AR
from mfmgdm_lib.store import Result

__all__ = [
    "ENERGY_NAMES",
    "MODEL_NAMES",
    "PROCESS_NAMES",
    "cell_row",
    "compare_cells",
    "gains",
    "indistinct_pairs",
    "stored_cells",
]

PROCESS_NAMES = {
    "ar01": "AR(0.1)",
    "ar02": "AR(0.2, −0.1)",
    "arm01": "AR(−0.1, 0.2, 0.1)",
    "cir-exp": "CIR(1/2, 1, 1)",
    "cir-trunc": "CIR(2^−½, 2^½, 1)",
}

ENERGY_NAMES = {
    "acf": "i. autocovariance",
    "scatmean": "ii. scattering mean",
    "scatcov": "iii. scattering covariance",
    "spectra": "iv. scattering spectra",
}

MODEL_NAMES = {"mgdm": "MGDM", "mf": "MF–MGDM"}


def stored_cells() -> dict[str, Result]:
    """The results of the forty cells that are kept in the repository, by the cell's key; without what is missing."""
    store = result_store("table1")
    found = {cell.key: store.load(cell) for cell in TABLE_1}
    return {key: result for key, result in found.items() if result is not None}


def cell_row(cell: Cell, result: Result) -> dict[str, float]:
    """What a result says at its smallest divergence and at its end.

    Returns:
        `least` (nats per path), `step`, `standard_error` (of the paths), `determinant_error`, `rise` from there to the
        last step, `moved` (least share of entries) and `folded` (largest share of ensembles) up to there, and of an AR
        `approximate`, the smallest divergence by the likelihood that the paper uses for p > 1; seconds of `wall_time`.
    """
    table = result.table
    step = int(table["reverse_kl"].idxmin())
    best = table.loc[step]
    row = {
        "least": best["reverse_kl"],
        "step": step,
        "standard_error": best["standard_error"],
        "determinant_error": best["determinant_error"],
        "rise": table["reverse_kl"].iloc[-1] - best["reverse_kl"],
        "moved": best["least_moved"],
        "folded": best["most_folded"],
        "wall_time": result.provenance["wall_time"],
    }
    if "reverse_kl_approximate" in table:
        row["approximate"] = table["reverse_kl_approximate"].min()
    return row


def compare_cells(results: Mapping[str, Result]) -> pd.DataFrame:
    """Set the forty numbers of Table 1 beside those of some results.

    Returns:
        A row for each cell, by its key: the columns of `cell_row`, `process`, `energy` and `model` by their names,
        `n_steps`, `printed`, `difference` (printed less ours; by the paper's likelihood for an AR) and `verdict`:
        "same digits", "within the determinants' error" (2 standard errors of it), "within 0.02", "within 0.3" or
        "within 0.15" (nats: autocovariance cells of AR and CIR, scattering cells), "differs", or "not run yet".
    """
    stated = numbers().set_index("key")["value"]
    rows = {}
    for cell in TABLE_1:
        printed = stated[f"table1-{cell.key}"]
        row: dict[str, Any] = {"printed": float(printed), "n_steps": cell.n_steps, "verdict": "not run yet"}
        row |= {
            "process": PROCESS_NAMES[cell.process],
            "energy": ENERGY_NAMES[cell.energy],
            "model": MODEL_NAMES[cell.model],
        }
        if cell.key in results:
            row |= cell_row(cell, results[cell.key])
            ours = row.get("approximate", row["least"])
            row["difference"] = row["printed"] - ours
            row["verdict"] = _verdict(cell, printed, ours, row["determinant_error"])
        rows[cell.key] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def _verdict(cell: Cell, printed: str, ours: float, determinant_error: float) -> str:
    gap = abs(float(printed) - ours)
    if f"{ours:.2f}" == printed:
        return "same digits"
    if gap <= 2 * determinant_error + 0.005:
        return "within the determinants' error"
    allowed = 0.15 if cell.energy != "acf" else 0.02 if isinstance(PROCESSES[cell.process], AR) else 0.3
    return f"within {allowed:g}" if gap <= allowed else "differs"


def gains(results: Mapping[str, Result]) -> pd.DataFrame:
    """How many nats MF–MGDM is below MGDM, cell by cell.

    Both start from the same paths, so the standard error is that of the differences path by path, and smaller than
    those of the two alone.

    Returns:
        A row for each pair that is there: `process`, `energy`, `gain` and `standard_error`, nats per path.
    """
    rows = []
    for process in PROCESSES:
        for energy in ENERGIES:
            keys = [f"{process}-{energy}-{model}" for model in MODELS]
            if all(key in results for key in keys):
                single, mean_field = (np.array(results[key].provenance["best_paths"]) for key in keys)
                apart = single - mean_field
                names = {"process": PROCESS_NAMES[process], "energy": ENERGY_NAMES[energy]}
                error = apart.std(ddof=1) / math.sqrt(len(apart))
                rows.append({**names, "gain": apart.mean(), "standard_error": error})
    return pd.DataFrame(rows)


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
            names = [f"{ENERGY_NAMES[cell.energy]}, {MODEL_NAMES[cell.model]}" for cell in (one, other)]
            rows.append([PROCESS_NAMES[one.process], *names, apart, noise])
    return pd.DataFrame(rows, columns=["process", "one", "other", "printed", "noise"])
