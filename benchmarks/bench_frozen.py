"""The cost of a frozen flow relative to the descent that it was frozen from."""

from __future__ import annotations

import pytest
import torch
from measure import best_of

import mfmgdm_lib as mm

EXPERIMENT = mm.companion.AR_ILLUSTRATION
MODELS = {"MGDM": 1, "MF-MGDM": None}
N_STEPS = 200


def frozen(size: int | None) -> tuple[mm.Descent, torch.Tensor, mm.FrozenFlow]:
    """The model of the illustration, 128 paths of 1024 points, and the flow that they leave behind."""
    model, start = EXPERIMENT.model(size), mm.processes.WhiteNoise()
    x0 = start.sample(128, 1024, (2, 12345))
    return model, x0, model.freeze(x0, N_STEPS, start=start)


@pytest.mark.parametrize("name", MODELS)
def test_log_prob(benchmark, name):
    """AR(0.1), autocovariance, d = 1024, N = 128, 200 steps back with determinants: under 3 s is wanted."""
    _, x0, flow = frozen(MODELS[name])
    paths = flow.transform(x0)
    log_prob = benchmark.pedantic(flow.log_prob, args=(paths,), rounds=3, warmup_rounds=1)
    assert torch.isfinite(log_prob).all()


@pytest.mark.parametrize("name", MODELS)
def test_costs_beside_the_descent(name):
    """Ratios to the same descent of as many paths, in one run: sampling should cost no more."""
    model, x0, flow = frozen(MODELS[name])
    paths = flow.transform(x0)
    descent = best_of(lambda: model.sample(x0, N_STEPS), rounds=3)
    for what, run in {
        "sampling": lambda: flow.transform(x0),
        "sampling with densities": lambda: flow.sample_and_log_prob(len(x0), seed=0),
        "an inverse": lambda: flow.inverse(paths),
        "densities": lambda: flow.log_prob(paths),
    }.items():
        print(f"\n{name}: {what} costs {best_of(run, rounds=3) / descent:.2f} times the bare descent")
