"""Compare where descents of Table 1 stop by themselves with where their divergence is smallest.

`python tools/balanced_stop.py [PATTERN …]` runs the MF–MGDM cells whose keys match one of the patterns, such as
"*-scatcov-mf"; without any, those of the autocovariance. It writes results/balanced_stop.csv, in which the rows of
other cells stay:

- autocovariance, from the paper's seeds: MGDM, and single ensembles of 8, 32 and 128 paths, some minutes of work for
  each process;
- other energies: the stop is calculated, and the divergence is that of the stored curve, interpolated between its rows.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
import torch

import mfmgdm_lib as mm
from mfmgdm_lib.companion import TABLE_1, result_store, select, store, stored
from mfmgdm_lib.companion.table1 import Cell

ENSEMBLES = (1, 8, 32, 128)


def of_paths(cell: Cell, members: int) -> dict[str, object]:
    """A row of one ensemble of an autocovariance cell, or of 128 paths each by itself."""
    experiment, n_paths = cell.experiment(), cell.n_paths if members == 1 else members
    x0 = experiment.start.sample(n_paths, cell.length, cell.initial_seed)
    began = time.perf_counter()
    stop = mm.balanced_stop(experiment.model(members), x0, cell.n_steps)
    taken = time.perf_counter() - began
    recorded = mm.Determinants(on_fold="record")
    trace = experiment.trace(members, n_paths=n_paths, determinants=recorded, throw=False)
    gaps, best = trace.log_q - trace.log_p, trace.best_step
    above = gaps[stop.step] - gaps[best]
    return {
        **row(cell, stop, members, taken),
        "least": trace.reverse_kl[best],
        "best_step": best,
        "at_stop": trace.reverse_kl[stop.step],
        "at_end": trace.reverse_kl[-1],
        "above_error": above.std(ddof=1) / np.sqrt(len(above)),
    }


def of_stored_curve(cell: Cell) -> dict[str, object] | None:
    """A row of a cell whose curve is stored; None where it is not."""
    result = result_store("table1").load(cell)
    if result is None:
        return None
    experiment = cell.experiment()
    x0 = experiment.start.sample(cell.n_paths, cell.length, cell.initial_seed).to(getattr(torch, cell.dtype))
    began = time.perf_counter()
    stop = mm.balanced_stop(experiment.model(None), x0, cell.n_steps)
    taken = time.perf_counter() - began
    curve = result.table["reverse_kl"]
    return {
        **row(cell, stop, cell.n_paths, taken),
        "least": curve.min(),
        "best_step": curve.idxmin(),
        "at_stop": np.interp(stop.step, curve.index, curve),
        "at_end": curve.iloc[-1],
        "above_error": np.nan,
    }


def row(cell: Cell, stop: mm.BalancedStop, members: int, seconds: float) -> dict[str, object]:
    """What a stop says by itself."""
    return {
        "process": cell.process,
        "energy": cell.energy,
        "members": members,
        "stop": stop.step,
        "reached": stop.reached,
        "total_price": stop.total_price,
        "undecided": stop.undecided,
        "least_moved": stop.moved.min(),
        "most_folded": np.nanmax(stop.folded),
        "seconds": seconds,
    }


def main() -> None:
    """Run the cells that match, and keep what there is after each, in case that the rest is not waited for."""
    for cell in select(tuple(cell for cell in TABLE_1 if cell.model == "mf"), sys.argv[1:] or ["*-acf-mf"]):
        if cell.energy == "acf":
            found = [of_paths(cell, members) for members in ENSEMBLES]
        else:
            found = [each for each in [of_stored_curve(cell)] if each is not None]
        new = pd.DataFrame(found)
        print(new.to_string(), flush=True)
        new.insert(list(new).index("at_stop") + 1, "above", new["at_stop"] - new["least"])
        keep(new)


def keep(new: pd.DataFrame) -> None:
    """Put the rows of a cell in the place of its former ones."""
    cell = ["process", "energy"]
    try:
        former = stored("balanced_stop")
        former = former[~former[cell].apply(tuple, axis=1).isin(set(new[cell].apply(tuple, axis=1)))]
    except FileNotFoundError:
        former = new[:0]
    table = pd.concat([former, new]) if len(former) else new
    origin = [
        "Where descents of Table 1 stop by mm.balanced_stop, and the reverse KL there, nats per path.",
        "members: paths of the ensemble, which is the only one; for 1, MGDM, there are 128 paths.",
        "above: KL at the stop less its minimum along the descent, which takes the process to know; above_error: its",
        "standard error from the spread over paths. Energies other than acf: curves of results/table1, interpolated.",
        "Paper's settings and seeds, 1024 points.",
        "Made by: python tools/balanced_stop.py",
    ]
    store("balanced_stop", table.to_csv(index=False, float_format="%.6g"), origin)


if __name__ == "__main__":
    main()
