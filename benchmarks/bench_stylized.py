"""The stylised energy: a sampling step of 1024 paths, and exact determinants beside dense ones."""

from __future__ import annotations

import pytest
from measure import best_of

import mfmgdm_lib as mm

EXPERIMENT = mm.companion.MarketExperiment()
MODELS = {"MGDM": 1, "MF-MGDM": None}


@pytest.mark.parametrize("name", MODELS)
def test_sampling_step(benchmark, name):
    """d = 1024, N = 1024: energies, loss and update, under 30 ms."""
    model = EXPERIMENT.model(MODELS[name])
    x0 = EXPERIMENT.starting_law.sample(1024, 1024, 0)
    benchmark.pedantic(lambda: model.update(model.evaluate(x0)), rounds=20, warmup_rounds=2)


@pytest.mark.parametrize("name", MODELS)
def test_determinant(benchmark, name):
    """d = 1024, N = 128: exact log-determinants, under 150 ms."""
    model = EXPERIMENT.model(MODELS[name])
    state = model.evaluate(EXPERIMENT.starting_law.sample(128, 1024, 0))
    determinant = benchmark.pedantic(lambda: mm.log_determinant(model, state), rounds=10, warmup_rounds=2)
    assert not determinant.non_positive.any()


@pytest.mark.parametrize("name", MODELS)
def test_banded_against_dense(name):
    """Ratio of the dense reference to the banded backend for 2 paths of 256 points, in one run."""
    model = EXPERIMENT.model(MODELS[name])
    state = model.evaluate(EXPERIMENT.starting_law.sample(2, 256, 0))
    dense, banded = (
        best_of(lambda b=backend: mm.log_determinant(model, state, b), rounds=3) for backend in ("dense", "banded")
    )
    print(f"\n{name}: dense takes {dense / banded:.0f} times as long as banded at d = 256")
