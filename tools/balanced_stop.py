"""Compare where descents of Table 1 stop by themselves with where their divergence is smallest.

`python tools/balanced_stop.py FOLDER [PATTERN …]` runs the cells whose keys match one of the patterns, such as
"*-scatcov-mf"; without any, all. What rules look at is recorded in FOLDER, a file for each descent, which is read where
it is there already. It writes three tables, in which the rows of other cells stay:

- results/balanced_stop.csv: `mm.balanced_stop` on each cell, and with the autocovariance on single ensembles of 8 and
  32 paths too. The divergence is that of the stored curve of Table 1, interpolated between its rows; with the
  autocovariance, MF–MGDM, it is calculated again up to 64 000 paths times steps, so that the paths tell the error of a
  difference;
- results/stopping_rules.csv: other rules on the descents of MF–MGDM that were recorded to their end;
- results/stopping_courses.csv: what the rule sees along three of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import mfmgdm_lib as mm
from mfmgdm_lib.companion import TABLE_1, result_store, select, store, stored
from mfmgdm_lib.companion.stopping_records import (
    DescentRecord,
    OtherStatistics,
    SampleTerms,
    other_statistics,
    record_descent,
    sample_terms,
)
from mfmgdm_lib.companion.stopping_rules import RULES, course, stops
from mfmgdm_lib.companion.table1 import ENERGIES, PROCESSES, Cell

ENSEMBLES = {"mgdm": (1,), "mf": (128,)}
SMALLER = (8, 32)
TO_THE_STOP_ALONE = ("ar*-scatmean-mf", "cir-*-scatcov-mf")
SHOWN = ("ar01-acf-mf", "ar01-scatcov-mf", "cir-exp-acf-mf")
AFFORDABLE = 64_000
"""Paths times steps that descents with the autocovariance are run again up to: for their divergence, and others."""
CELL = ["process", "energy", "members"]
CURVE = ["reverse_kl", "entropy"]


def record_of(folder: Path, cell: Cell, members: int, *, to_end: bool) -> DescentRecord:
    """The record of a cell's descent, made where it is not there yet."""
    file = folder / f"{cell.process}-{cell.energy}-{members}.npz"
    if not file.exists():
        experiment = cell.experiment()
        n_paths = cell.n_paths if members == 1 else members
        x0 = experiment.start.sample(n_paths, cell.length, cell.initial_seed).to(getattr(torch, cell.dtype))
        record_descent(experiment.model(1 if members == 1 else None), x0, cell.n_steps, to_end=to_end).save(file)
    return DescentRecord.load(file)


def curve_of(folder: Path, cell: Cell, members: int, stop: int) -> tuple[pd.DataFrame, float]:
    """Divergence and entropy along a descent, and the standard error of the rise from the minimum to the stop."""
    if cell.energy != "acf" or members == 1 or members * cell.n_steps > AFFORDABLE:
        result = result_store("table1").load(cell)
        if result is None:
            raise FileNotFoundError(f"results/table1 has no curve of {cell.key}; run mfmgdm reproduce table1 first")
        table = result.table
        variance = np.interp([stop, table["reverse_kl"].idxmin()], table.index, table["determinant_error"] ** 2)
        return table[CURVE], float(np.sqrt(abs(variance[0] - variance[1])))
    file = folder / f"{cell.process}-{cell.energy}-{members}-trace.npz"
    if not file.exists():
        recorded = mm.Determinants(on_fold="record")
        trace = cell.experiment().trace(None, n_paths=members, determinants=recorded, throw=False)
        np.savez(file, log_q=trace.log_q, log_p=trace.log_p)
    with np.load(file) as data:
        gaps, entropy = data["log_q"] - data["log_p"], -data["log_q"].mean(-1)
    above = gaps[stop] - gaps[gaps.mean(-1).argmin()]
    error = above.std(ddof=1) / np.sqrt(len(above))
    return pd.DataFrame({"reverse_kl": gaps.mean(-1), "entropy": entropy}), float(error)


def sample_of(folder: Path, cell: Cell) -> SampleTerms:
    """What rules take from a sample of a cell's process."""
    file = folder / f"{cell.process}-{cell.energy}-sample.npz"
    if not file.exists():
        sample_terms(cell).save(file)
    return SampleTerms.load(file)


def others_of(folder: Path, cell: Cell, members: int) -> OtherStatistics | None:
    """Statistics that do not drive a descent, for the autocovariance alone: elsewhere it would have to run again."""
    if cell.energy != "acf" or members * cell.n_steps > AFFORDABLE:
        return None
    file = folder / f"{cell.process}-{cell.energy}-{members}-others.npz"
    if not file.exists():
        other_statistics(cell, members).save(file)
    return OtherStatistics.load(file)


def judged(curve: pd.Series, stop: int) -> dict[str, float]:
    """What a stop loses."""
    at_stop = float(np.interp(stop, curve.index, curve))
    return {"at_stop": at_stop, "above": at_stop - curve.min(), "gained": curve.iloc[0] - curve.min()}


def row_of_the_library(cell: Cell, record: DescentRecord, curve: pd.Series, error: float) -> dict[str, object]:
    """A row of results/balanced_stop.csv."""
    return {
        "process": cell.process,
        "energy": cell.energy,
        "members": record.members,
        "stop": record.stop,
        "reached": record.reached,
        "total_price": record.total_price,
        "undecided": record.undecided,
        "least_moved": record.least_moved,
        "most_folded": record.most_folded,
        "seconds": record.seconds,
        "least": curve.min(),
        "best_step": curve.idxmin(),
        **judged(curve, record.stop),
        "at_end": curve.iloc[-1],
        "above_error": error,
    }


def rows_of_rules(folder: Path, cell: Cell, record: DescentRecord, curve: pd.DataFrame) -> list[dict[str, object]]:
    """Rows of results/stopping_rules.csv, one for each rule."""
    names = {"process": cell.process, "energy": cell.energy, "members": record.members}
    entropy = np.interp(np.arange(record.n_steps + 1), curve.index, curve["entropy"])
    others = others_of(folder, cell, record.members)
    found = {**stops(record, sample_of(folder, cell), entropy, others), "the end": record.n_steps}
    return [
        {**names, "rule": rule, "stop": found[rule], **judged(curve["reverse_kl"], found[rule])}
        for rule in (*RULES, "the end")
        if rule in found
    ]


def main() -> None:
    """Run the cells that match, and keep what there is after each, in case that the rest is not waited for."""
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for cell in select(TABLE_1, sys.argv[2:]):
        if cell.energy == "spectra":  # 128 energies, and as many paths: the rule needs more paths
            continue
        smaller = SMALLER if cell.energy == "acf" and cell.model == "mf" else ()
        for members in (*smaller, *ENSEMBLES[cell.model]):
            to_end = cell.model == "mf" and cell not in select(TABLE_1, TO_THE_STOP_ALONE)
            record = record_of(folder, cell, members, to_end=to_end)
            curve, error = curve_of(folder, cell, members, record.stop)
            own = row_of_the_library(cell, record, curve["reverse_kl"], error)
            keep("balanced_stop", pd.DataFrame([own]), OF_THE_LIBRARY)
            if cell.model == "mf" and record.whole:
                rules = rows_of_rules(folder, cell, record, curve)
                keep("stopping_rules", pd.DataFrame(rules), OF_RULES)
                if cell.key in SHOWN and members == cell.n_paths:
                    shown = course(record, curve["reverse_kl"].iloc[:: max(1, len(curve) // 100)])
                    shown.insert(0, "members", members)
                    shown.insert(0, "energy", cell.energy)
                    shown.insert(0, "process", cell.process)
                    keep("stopping_courses", shown, OF_COURSES)
            print(cell.key, members, flush=True)


OF_THE_LIBRARY = [
    "Where descents of Table 1 stop by mm.balanced_stop, and the reverse KL there, nats per path.",
    "members: paths of the ensemble, which is the only one; for 1, MGDM, there are 128 paths.",
    "above: KL at the stop less its minimum along the descent, which takes the process to know; gained: KL at the",
    "start less its minimum. Curves: results/table1, interpolated; acf with more than 1 member and up to 64 000 paths",
    "times steps: calculated again. above_error: standard error of above, for the latter from the spread over paths,",
    "else the part of it that estimated determinants have. Paper's settings and seeds, 1024 points.",
    "Made by: python tools/balanced_stop.py",
]

OF_RULES = [
    "Where descents of Table 1 by MF–MGDM stop by other rules than mm.balanced_stop, nats per path; see",
    "mfmgdm_lib/companion/stopping_rules.py. Columns as in balanced_stop.csv.",
    "Made by: python tools/balanced_stop.py",
]

OF_COURSES = [
    "What mm.balanced_stop sees along three descents of Table 1, nats per path: paid, the price of all steps",
    "so far, and wrong_mean, V; beside the reverse KL, which takes the process to know.",
    "Made by: python tools/balanced_stop.py",
]


def keep(name: str, new: pd.DataFrame, origin: list[str]) -> None:
    """Put the rows of a descent in the place of its former ones; all are in the order of Table 1."""
    try:
        former = stored(name)
        former = former[~former[CELL].apply(tuple, axis=1).isin(set(new[CELL].apply(tuple, axis=1)))]
        new = pd.concat([former, new]) if len(former) else new
    except FileNotFoundError:
        pass
    order = {key: place for keys in (PROCESSES, ENERGIES) for place, key in enumerate(keys)}
    new = new.sort_values(CELL, key=lambda column: column.map(lambda value: order.get(value, value)), kind="stable")
    store(name, new.to_csv(index=False, float_format="%.6g"), origin)


if __name__ == "__main__":
    main()
