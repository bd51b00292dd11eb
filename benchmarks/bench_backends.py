"""The cost of the determinant backends relative to the descent and to each other."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from measure import best_of

import mfmgdm_lib as mm

MODELS = {"MGDM": 1, "MF-MGDM": None}
PROCESS = mm.processes.AR([0.1])


ENERGIES = {"scattering mean": mm.energies.ScatteringMean(1024), "stylised": mm.energies.StylizedFacts()}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ENERGIES)
def test_stochastic_trace_against_the_bare_descent(kind, name):
    """128 paths of 1024 points, one probe: at most 3 times the same descent without determinants is wanted."""
    energy, n_steps = ENERGIES[kind], 5
    target = mm.estimate_target(energy, PROCESS, n_samples=512, seed=(3, 12345))
    model, start = mm.Descent(energy, target, 5.0, ensemble_size=MODELS[name]), mm.processes.WhiteNoise()
    x0 = start.sample(128, 1024, 0)
    bare = best_of(lambda: model.sample(x0, n_steps))
    traced = best_of(
        lambda: mm.reverse_kl_trace(model, PROCESS, start, n_steps=n_steps, seed=0, determinants="stochastic")
    )
    print(f"\n{kind}, {name}: a stochastic trace costs {traced / bare:.2f} times the bare descent")


@pytest.mark.parametrize("name", MODELS)
def test_cir_trace(benchmark, name):
    """CIR(1/2, 1, 1), autocovariance, d = 1024, N = 128, 500 steps, banded: under 20 s is wanted."""
    process, energy = mm.processes.CIR(0.5, 1.0, 1.0), mm.energies.Autocovariance()
    target, start = mm.estimate_target(energy, process, seed=(3, 12345)), mm.initial_distribution(process)
    model = mm.Descent(energy, target, 10.0, ensemble_size=MODELS[name], support=process.support)
    trace = benchmark.pedantic(
        mm.reverse_kl_trace,
        args=(model, process, start),
        kwargs={"n_steps": 500, "seed": (2, 12345), "determinants": "banded"},
    )
    assert np.isfinite(trace.reverse_kl).all()


@pytest.mark.parametrize("kind", ENERGIES)
def test_backends_side_by_side(kind):
    """One log-determinant of a mean-field step, 1024 points: seconds for each path, the dense one as the yardstick."""
    energy = ENERGIES[kind]
    target = mm.estimate_target(energy, PROCESS, n_samples=512, seed=(3, 12345))
    model = mm.MFMGDM(energy, target, 1.0)
    for backend, n_paths in {"dense": 4, "banded": 128, "stochastic": 128}.items():
        if backend == "banded" and energy.bandwidth is None:
            continue
        state = model.evaluate(mm.processes.WhiteNoise().sample(n_paths, 1024, 0))
        start = time.perf_counter()
        mm.log_determinant(model, state, backend, seed=1)
        each = (time.perf_counter() - start) / n_paths
        print(f"\n{kind}, {backend}: {1e3 * each:.2f} ms for each path")


MEMORY_SCRIPT = """
import mfmgdm_lib as mm
ar, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
model = mm.MFMGDM(energy, mm.estimate_target(energy, ar, n_samples=512, seed=3), 10.0)
mm.log_determinant(model, model.evaluate(mm.processes.WhiteNoise().sample(128, 1024, 0)), "dense")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_peak_memory_of_dense():
    """Peak memory of one dense log-determinant of 128 paths of 1024 points, which has to be bounded."""
    output = subprocess.run([sys.executable, "-c", MEMORY_SCRIPT], capture_output=True, check=True, text=True).stdout
    print(f"\ndense, 128 paths of 1024 points: peak memory {int(output) * 1024 / 1e6:.0f} MB")
