"""Section 5.2: the time of the paper's steps, of the gradient flow in their place, and of `mm.generate`."""

from __future__ import annotations

import time

import pytest

import mfmgdm_lib as mm

EXPERIMENT = mm.companion.MarketExperiment()
MODELS = {"MGDM": 1, "MF-MGDM": None}


@pytest.mark.parametrize("name", MODELS)
def test_flow_against_descent(name):
    """Ratio of the paper's schedule, 20 000 steps of 1024 paths, to the flow that reaches its loss; in one run."""
    model, x0 = EXPERIMENT.model(MODELS[name]), EXPERIMENT.starting_paths()
    began = time.perf_counter()
    for _ in model.steps(x0, 200):
        pass
    step = (time.perf_counter() - began) / 200
    began = time.perf_counter()
    *_, state = EXPERIMENT.flow(MODELS[name]).steps(x0, EXPERIMENT.duration)
    flow = time.perf_counter() - began
    print(
        f"\n{name}: 20 000 steps take {20_000 * step / 60:.1f} min, {20_000 * step / flow:.0f} times as long as the"
        f" flow: {flow:.1f} s, {state.step} steps, to a loss of {float(state.loss.mean()):.0e}"
    )


def test_generate(benchmark):
    """100 paths of 1024 points like 4096 returns, in one call."""
    returns = mm.companion.observed_returns("sp500")
    made = benchmark.pedantic(lambda: mm.generate(returns), rounds=3, warmup_rounds=1)
    assert made.loss < 1e-6


def test_generate_with_scattering_energies():
    """Seconds of wall clock and processor for 100 paths of 1024 points, K = 128 and 1596 energies; in one run."""
    returns = mm.companion.observed_returns("sp500")
    seconds = {}
    for kind in (mm.energies.ScatteringSpectra, mm.energies.ScatteringCovariance):
        began, used = time.perf_counter(), time.process_time()
        made = mm.generate(returns, n_paths=100, length=1024, energy=kind(1024))
        seconds[kind] = time.process_time() - used
        print(
            f"\n{kind.__name__}: {time.perf_counter() - began:.1f} s, of processors {seconds[kind]:.1f} s,"
            f" {made.steps} steps, loss {made.loss:.0e}; {made.notes}"
        )
    spectra, covariance = seconds.values()
    print(f"the covariance takes {covariance / spectra:.2f} times as long")
