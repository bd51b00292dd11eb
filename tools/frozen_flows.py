"""Measure what frozen flows are worth, and keep it for the book.

`python tools/frozen_flows.py [NAME …]` writes what notebooks/15_frozen_flow.md draws, an hour or two on one core:

- reverse: results/frozen_reverse.csv, the smallest reverse divergence against the size of the ensemble that left a
  flow, and results/frozen_curves.csv, the divergence along the steps for one size;
- forward: results/frozen_forward.csv, the forward divergence at some steps;
- held_out: results/frozen_held_out.csv, log-densities of later days of the S&P 500;
- gains: results/frozen_gains.csv, how much of them flows add to the laws that they start from.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import torch

from mfmgdm_lib.companion import AR_ILLUSTRATION, CIR_EXPONENTIAL, SyntheticExperiment, store
from mfmgdm_lib.companion.frozen_flows import (
    HeldOut,
    coupled_curve,
    forward_divergence,
    freeze_ensemble,
    frozen_curve,
    smallest_divergence,
)
from mfmgdm_lib.energies import ScatteringMean

SIZES = (4, 8, 16, 32, 64, 128, 256, 512)
FRESH = (4, 12345)
"""Seed of fresh paths."""

LISTENING = replace(AR_ILLUSTRATION, energy=ScatteringMean(1024), step_size=5.0, n_steps=700)
"""AR(0.1) with energy ii, whose smallest divergence is at step 593 or so."""

REVERSE: dict[tuple[str, str], tuple[SyntheticExperiment, dict[str, Any], tuple[int, ...], int]] = {
    ("AR(0.1)", "autocovariance"): (AR_ILLUSTRATION, {"n_paths": 512}, SIZES, 4),
    ("CIR(1/2, 1, 1)", "autocovariance"): (CIR_EXPONENTIAL, {"n_paths": 512}, (8, 32, 128, 512), 2),
    ("AR(0.1)", "scattering mean"): (LISTENING, {"n_paths": 128, "dtype": torch.float32}, (8, 32, 128), 1),
}
"""By process and energy: the experiment, how many paths judge it, sizes of ensembles, and independent ones of each."""


def each_kind(copies: int) -> list[tuple[str, int]]:
    """Ensembles once, for there are several in a run, and each of the flows that independent ones leave."""
    return [("coupled", 0), *(("frozen", copy) for copy in range(copies))]


def reverse() -> None:
    """Set ensembles, the flows that they leave, and MGDM side by side."""
    rows, curves = [], {}
    for names, (experiment, how, sizes, copies) in REVERSE.items():
        for kind, size, copy in [("MGDM", 1, 0), *((k, n, c) for n in sizes for k, c in each_kind(copies))]:
            if kind == "frozen":
                flow = freeze_ensemble(experiment, size, copy)
                curve = frozen_curve(flow, experiment.process, seed=(*FRESH, size, copy), **how)
            else:
                curve = coupled_curve(experiment, size, **how)
            rows.append([*names, kind, size, copy, *smallest_divergence(curve).values()])
            print(*rows[-1], flush=True)
            if names == next(iter(REVERSE)) and size in (1, 128) and copy == 0:
                curves[kind] = curve
    columns = ["process", "energy", "kind", "size", "copy", "least", "step", "standard_error"]
    write(
        "frozen_reverse",
        "Smallest reverse KL, nats per path, against the size of an ensemble.",
        pd.DataFrame(rows, columns=columns),
    )
    table = pd.concat(curves, names=["kind"]).reset_index()
    write("frozen_curves", "Reverse KL along the steps: AR(0.1), autocovariance, ensembles of 128 paths.", table)


def forward() -> None:
    """Follow the forward divergence of flows from 128 and 512 paths, and of MGDM, whose inverse takes longer."""
    tables, start = {}, AR_ILLUSTRATION.start
    x0 = start.sample(1, AR_ILLUSTRATION.length, 0)  # of which MGDM keeps nothing
    steps = (0, 5, 10, 20, 36, 60, 100, 157, 200)
    for kind, flow, n_paths in (
        ("frozen, 128 paths", freeze_ensemble(AR_ILLUSTRATION, 128, 0), 256),
        ("frozen, 512 paths", freeze_ensemble(AR_ILLUSTRATION, 512, 0), 256),
        ("MGDM", AR_ILLUSTRATION.model(1).freeze(x0, AR_ILLUSTRATION.n_steps, start=start), 32),
    ):
        at = steps if kind != "MGDM" else steps[:6]
        tables[kind] = forward_divergence(flow, AR_ILLUSTRATION.process, n_paths, (5, 12345), at)
        print(kind, tables[kind], flush=True)
    table = pd.concat(tables, names=["kind"]).reset_index()
    write("frozen_forward", "Forward KL along the steps: AR(0.1), autocovariance, nats per path.", table)


def held_out() -> None:
    """Score flows and references on the days of the S&P 500 that follow the ones they know."""
    experiment, rows = HeldOut(), []

    def note(name: str, start: str, step: int, row: dict[str, float]) -> None:
        rows.append({"law": name, "start": start, "step": step, **row})
        print(*rows[-1].values(), flush=True)

    for innovations in ("student", "gaussian"):
        for given in (False, True):
            seen = "given the past" if given else "window by itself"
            note(f"AR–GARCH, {innovations}", seen, 0, experiment.score_reference(innovations, given_the_past=given))
    for model, step_size, steps in (
        ("mf", 5.0, (3, 10, 30, 100, 300, 1000, 3000, 5000, 10_000, 20_000)),
        ("mgdm", 0.05, (10, 30, 100, 300)),
    ):
        for start in ("noise", "garch"):
            flow = experiment.flow(model, start, step_size, steps[-1])
            for step in steps:
                note(model, start, step, experiment.score_flow(flow.truncate(step)))
    write("frozen_held_out", "Log-density per day above that of white noise, S&P 500.", pd.DataFrame(rows))


def gains() -> None:
    """Compare flows with their starts on the same windows."""
    experiment, rows = HeldOut(), []
    for start in ("noise", "garch"):
        flow = experiment.flow("mf", start, 5.0, 5000)
        rows.append({"start": start, "step": flow.n_steps, **experiment.score_gain(flow)})
        print(rows[-1], flush=True)
    write("frozen_gains", "Log-density per day above that of the start, S&P 500, held out.", pd.DataFrame(rows))


def write(name: str, about: str, table: pd.DataFrame) -> None:
    """Store a table with where it comes from."""
    store(name, table.to_csv(index=False, float_format="%.6g"), [about, "Made by: python tools/frozen_flows.py"])


PARTS: dict[str, Callable[[], None]] = {"reverse": reverse, "forward": forward, "held_out": held_out, "gains": gains}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
