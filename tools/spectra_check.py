"""Examine the estimated divergence of MF–MGDM on CIR(1/2, 1, 1) with energy iv.

`python tools/spectra_check.py` writes three files that notebooks/05_synthetic_table.md shows, an hour and a half on one
core; with names of files, such as `spectra_passes`, those only:

- results/spectra_determinants.csv: mean log-determinants of some steps, written out in full for 32 of the paths beside
  the estimates for the same paths, and the estimates for all paths as if every entry moved;
- results/spectra_reruns.csv: the divergence of the later version's 5000 steps when the starting paths are another
  rounding apart, and from other seeds;
- results/spectra_passes.csv: the mean log-determinant of each of the first 250 steps by six independent probes, with
  the standard error that each claims.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.companion import LATER_VERSION, Cell, select, store, tabulate
from mfmgdm_lib.descents.descent import Descent
from mfmgdm_lib.log_determinants import choose_backend
from mfmgdm_lib.runs.run import Run

(CELL,) = select(LATER_VERSION, ["*-mf"])
STEPS = (400, 1000, 2400)
PATHS, PROBES = 32, 8
RERUN = replace(CELL, n_steps=3000, determinant_every=20)
ROUGH_STEPS, PASSES = 250, 6


def starting_paths(cell: Cell) -> Tensor:
    """Those of the cell, in its precision."""
    experiment = cell.experiment()
    return experiment.start.sample(cell.n_paths, cell.length, cell.initial_seed).to(getattr(torch, cell.dtype))


def determinants() -> Iterator[dict[str, float]]:
    """Compare the ways to a determinant at some steps."""
    model = CELL.experiment().model()
    everywhere = Descent(model.energy, model.target, model.step_size)
    for state in model.steps(starting_paths(CELL), max(STEPS)):
        if state.step not in STEPS:
            continue
        moved, weights = model.move(state).moved, model.rate * state.mismatch
        some = (state.paths[:PATHS], weights[:PATHS], None if moved is None else moved[:PATHS])
        dense = choose_backend(model, "dense", length=CELL.length).uncoupled(model.energy, *some, None)
        estimated = choose_backend(model, mm.Stochastic(probes=PROBES), length=CELL.length)
        rough = estimated.uncoupled(model.energy, *some, np.random.default_rng(state.step))
        as_is, all_moved = (
            mm.log_determinant(m, state, mm.Stochastic(probes=PROBES), seed=state.step) for m in (model, everywhere)
        )
        yield {
            "step": state.step,
            "in full": float(dense.per_path.mean()),
            "estimated": float(rough.per_path.mean()),
            "estimated ±": rough.mean_error,
            "folded": int((dense.non_positive > 0).sum()),
            "moved": 1.0 if moved is None else float(moved.double().mean()),
            "all paths": float(as_is.per_path.mean()),
            "all paths, all entries": float(all_moved.per_path.mean()),
        }


def reruns() -> Iterator[tuple[str, pd.DataFrame]]:
    """Follow the divergence again, from paths that differ by a rounding, and from others."""
    run = RERUN.run()
    arrays = run.checkpoint()
    noise = np.random.default_rng(5).standard_normal(arrays["paths"].shape)
    run.restore({**arrays, "paths": (arrays["paths"] * (1 + 1e-7 * noise)).astype(np.float32)})
    yield "another rounding", follow(run)
    for copy in (1, 2):
        yield f"copy {copy}", follow(RERUN.replicate(copy).run())


def follow(run: Run[mm.DivergenceTrace]) -> pd.DataFrame:
    """Take a run to its end."""
    for step in run.steps():
        if step % 250 == 0:
            print(step, f"{run.value():.2f}", flush=True)
    return tabulate(run.summary())[["reverse_kl", "standard_error", "entropy", "log_likelihood", "determinant_error"]]


def passes() -> Iterator[dict[str, float]]:
    """Estimate the determinant of each of the first steps again and again, with a probe of its own each time."""
    model = CELL.experiment().model()
    backend = choose_backend(model, mm.Stochastic(probes=1), length=CELL.length)
    for state in model.steps(starting_paths(CELL), ROUGH_STEPS - 1):
        for number in range(PASSES):
            found = backend.step(model, state, np.random.default_rng((11, state.step, number)))[1]
            mean = float(found.per_path.mean())
            yield {"step": state.step, "pass": number, "log_determinant": mean, "error": found.mean_error}


def write(name: str, table: pd.DataFrame, *, index: bool = False) -> None:
    """Keep a table, as far as it has come."""
    made = "Made by: python tools/spectra_check.py"
    store(name, table.to_csv(index=index, float_format="%.6g"), [CELL.key, made])


def main() -> None:
    """Write the files named on the command line, or all."""
    wanted = sys.argv[1:] or ["spectra_determinants", "spectra_passes", "spectra_reruns"]
    for name, make in (("spectra_determinants", determinants), ("spectra_passes", passes)):
        if name in wanted:
            write(name, pd.DataFrame(make()))
    tables: dict[str, pd.DataFrame] = {}
    for name, trace in reruns() if "spectra_reruns" in wanted else ():
        tables[name] = trace
        write("spectra_reruns", pd.concat(tables, names=["run"]), index=True)


if __name__ == "__main__":
    main()
