"""The cost of traces with exact determinants relative to the sampling that they follow, on one core."""

from __future__ import annotations

import time
from functools import partial

import pytest
import torch
from measure import best_of

import mfmgdm_lib as mm

WANTED = 3.0
STEPS = 50
MODELS = {"MGDM": mm.MGDM, "MF-MGDM": mm.MFMGDM}
PROCESSES = {"AR(0.1)": mm.processes.AR([0.1]), "AR(0.2, -0.1)": mm.processes.AR([0.2, -0.1])}
ENERGIES = {"autocovariance": mm.energies.Autocovariance(), "stylised facts": mm.energies.StylizedFacts(lags=5)}
best_of = partial(best_of, clock=time.process_time)  # which other work on the machine hardly changes
torch.set_num_threads(1)


@pytest.mark.parametrize("energy", ENERGIES)
@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("name", MODELS)
def test_trace(name: str, process: str, energy: str) -> None:
    law, phi = PROCESSES[process], ENERGIES[energy]
    model = MODELS[name](phi, mm.estimate_target(phi, law, seed=(3, 12345)), 1.0)
    start = mm.initial_distribution(law)
    x0 = start.sample(128, 1024, (2, 12345))
    plain = best_of(lambda: model.sample(x0, STEPS), rounds=9)
    trace = best_of(lambda: mm.reverse_kl_trace(model, law, start, n_steps=STEPS, seed=(2, 12345)), rounds=9)
    print(
        f"\n{name}, {process}, {energy}: {trace / plain:.1f} times the sampling, of {WANTED:g};"
        f" {1e3 * trace / STEPS:.2f} ms a step"
    )
