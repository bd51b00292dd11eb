"""What steps save where derivatives use what the values of a scattering energy took, and the memory of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest
import torch

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Energy, recorded

STEPS, PATHS = 3, 32
LAW = mm.processes.AR([0.1])
torch.set_num_threads(1)

MAKERS: dict[str, Callable[[], Energy]] = {
    "ii, mean": lambda: mm.energies.ScatteringMean(1024),
    "iii, covariance": mm.companion.projected_covariance,
    "iv, spectra": lambda: mm.energies.ScatteringSpectra(1024).fit_scale(LAW, n_samples=200, seed=1),
}


def work(name: str, kind: str, n_paths: int = PATHS) -> Callable[[], object]:
    """A few steps of sampling, or of a trace with estimated determinants."""
    energy, start = MAKERS[name](), mm.initial_distribution(LAW)
    model = mm.MFMGDM(energy, mm.estimate_target(energy, LAW, n_samples=200, seed=(3, 12345)), 0.5)
    x0 = start.sample(n_paths, 1024, (2, 12345))
    if kind == "sampling":
        return lambda: model.sample(x0, STEPS)
    return lambda: mm.reverse_kl_trace(model, LAW, start, n_steps=STEPS, n_paths=n_paths, seed=(2, 12345))


@pytest.mark.parametrize("kind", ["trace", "sampling"])
@pytest.mark.parametrize("name", MAKERS)
def test_time(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processor time with records kept against that without, in turn, the best of several."""
    run, room = work(name, kind), recorded._KEPT_BYTES["cpu"]
    best = dict.fromkeys((0, room), float("inf"))
    for _ in range(6):
        for kept in best:
            monkeypatch.setitem(recorded._KEPT_BYTES, "cpu", kept)
            start = time.process_time()
            run()
            best[kept] = min(best[kept], time.process_time() - start)
    each = {kept: 1e3 * seconds / STEPS for kept, seconds in best.items()}
    print(f"\n{name}, {kind}: {each[0]:.0f} to {each[room]:.0f} ms a step, {1 - each[room] / each[0]:.0%} less")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("n_paths", [32, 512])
@pytest.mark.parametrize("kind", ["trace", "sampling"])
@pytest.mark.parametrize("name", MAKERS)
def test_memory(name: str, kind: str, n_paths: int) -> None:
    """Peak of a process beside what it had before its first step, with records kept and without."""
    if kind == "trace" and n_paths > 32:
        pytest.skip("takes minutes, and its products keep all records in any case")
    peaks = []
    for kept in (0, recorded._KEPT_BYTES["cpu"]):
        code = (
            "import sys; sys.path.insert(0, 'benchmarks'); import bench_records as b\n"
            "peak = lambda: int(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')))\n"
            f"b.recorded._KEPT_BYTES['cpu'] = {kept}\n"
            f"run = b.work({name!r}, {kind!r}, {n_paths}); before = peak(); run(); print(before, peak())"
        )
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
        before, after = map(int, shown.split())
        peaks.append(f"{after / 1e3:.0f} MB ({(after - before) / 1e3:.0f} above what was there)")
    print(f"\n{name}, {kind}, {n_paths} paths: {peaks[0]}, with records kept {peaks[1]}")
