"""The time, the memory and the scaling of a divergence trace."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from measure import best_of

import mfmgdm_lib as mm
from mfmgdm_lib.statistics import fitted_exponent

EXPERIMENT = mm.companion.AR_ILLUSTRATION
MODELS = {"MGDM": 1, "MF-MGDM": None}

# The high-water mark of the new process alone: ru_maxrss would begin at that of the process which started it.
MEMORY_SCRIPT = """
import mfmgdm_lib as mm
mm.companion.AR_ILLUSTRATION.trace({size})
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize("name", MODELS)
def test_trace(benchmark, name):
    """AR(0.1), autocovariance, d = 1024, N = 128, 200 steps with determinants: under 1 s is wanted."""
    assert EXPERIMENT.target  # estimated once, outside the timing
    trace = benchmark.pedantic(EXPERIMENT.trace, args=(MODELS[name],), rounds=5, warmup_rounds=1)
    assert np.isfinite(trace.reverse_kl).all()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("name", MODELS)
def test_peak_memory(name):
    """Peak memory of a process that imports the library, estimates the target and runs the trace: under 500 MB."""
    script = MEMORY_SCRIPT.format(size=MODELS[name])
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout
    print(f"\n{name}: peak memory {int(output) * 1024 / 1e6:.0f} MB")


@pytest.mark.parametrize("name", MODELS)
def test_determinants_cost_little(name):
    """Ratio of a trace to the same descent without determinants or likelihoods, in one run."""
    model = EXPERIMENT.model(MODELS[name])
    x0 = EXPERIMENT.start.sample(EXPERIMENT.n_paths, EXPERIMENT.length, 0)
    plain = best_of(lambda: model.sample(x0, 50))
    traced = best_of(lambda: EXPERIMENT.trace(MODELS[name], n_steps=50))
    print(f"\n{name}: a trace costs {traced / plain:.1f} times the bare descent")


@pytest.mark.parametrize("name", MODELS)
def test_growth_with_length(name):
    """Cost of one step with its determinant for d = 2^10 … 2^16, 128 paths: the exponent should be near 1."""
    lengths = [2**k for k in range(10, 17)]
    times = [_step_time(MODELS[name], 128, length) for length in lengths]
    print(f"\n{name}: cost grows as d^{fitted_exponent(lengths, times):.2f} from d = 2^10 to 2^16")


@pytest.mark.parametrize("name", MODELS)
def test_growth_with_particles(name):
    """Cost of one step with its determinant for N = 128 … 8192, d = 1024: the exponent should be near 1."""
    counts = [2**k for k in range(7, 14)]
    times = [_step_time(MODELS[name], count, 1024) for count in counts]
    print(f"\n{name}: cost grows as N^{fitted_exponent(counts, times):.2f} from N = 128 to 8192")


def _step_time(ensemble_size: int | None, n_paths: int, length: int) -> float:
    model = EXPERIMENT.model(ensemble_size)
    x0 = EXPERIMENT.start.sample(n_paths, length, 0)

    def step() -> None:
        state = model.evaluate(x0)
        EXPERIMENT.process.log_prob(x0)
        mm.log_determinant(model, state)
        model.update(state)

    return best_of(step)
