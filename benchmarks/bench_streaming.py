"""The time and memory per path of streaming paths from a frozen flow into a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from measure import best_of

import mfmgdm_lib as mm
from mfmgdm_lib.io.streaming import STREAM_SUFFIXES, stream_paths

N_STEPS = 157
NUMBERS = [10**3, 10**4, *([10**5] if os.environ.get("MFMGDM_BENCH_LONG") else [])]

# One thread, and the high-water mark of the new process alone: ru_maxrss would begin at that of the one before it.
SCRIPT = """
import json, sys, time
import torch
import mfmgdm_lib as mm
from mfmgdm_lib.io.streaming import stream_paths
torch.set_num_threads(1)
flow = mm.FrozenFlow.load(sys.argv[1])
flow.sample(1024, seed=1)
def peak():
    return 1024 * int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
before, clock, processor = peak(), time.perf_counter(), time.process_time()
stream_paths(flow, int(sys.argv[3]), sys.argv[2], seed=0)
clock, processor = time.perf_counter() - clock, time.process_time() - processor
print(json.dumps({"clock": clock, "processor": processor, "before": before, "peak": peak()}))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The flow of the illustration, AR(0.1) by its autocovariance, d = 1024, up to the best step of its trace."""
    start = mm.processes.WhiteNoise()
    flow = mm.companion.AR_ILLUSTRATION.model(None).freeze(start.sample(128, 1024, (2, 12345)), N_STEPS, start=start)
    return flow.save(tmp_path_factory.mktemp("flows") / "flow.npz"), flow


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("suffix", STREAM_SUFFIXES)
def test_time_and_memory_of_a_path_do_not_depend_on_their_number(saved, tmp_path, suffix):
    """10³ and 10⁴ paths, and 10⁵ where MFMGDM_BENCH_LONG is set: time should be that of 10³, memory that of 10⁴.

    As much as there is at once is there from a few batches of 1024 on.
    Where other programs keep the cores busy, the time of the processor says what the one on the clock cannot.
    """
    path, measured = tmp_path / f"paths{suffix}", {}
    for number in NUMBERS:
        command = [sys.executable, "-c", SCRIPT, saved[0], path, str(number)]
        measured[number] = found = json.loads(
            subprocess.run(command, capture_output=True, check=True, text=True).stdout
        )
        size = path.stat().st_size
        path.unlink()
        first = measured[NUMBERS[0]]
        each = {key: found[key] / number for key in ("clock", "processor")}
        ratio = each["processor"] / (first["processor"] / NUMBERS[0])
        print(
            f"\n{suffix}, {number} paths, {size / 1e6:.0f} MB: {1e3 * each['clock']:.2f} ms a path on the clock,"
            f" {1e3 * each['processor']:.2f} of the processor, {ratio:.2f} times that of {NUMBERS[0]}; peak memory"
            f" {found['peak'] / 1e6:.0f} MB, {(found['peak'] - found['before']) / 1e6:.0f} above that of 1024 paths"
            " drawn before"
        )


@pytest.mark.parametrize("suffix", STREAM_SUFFIXES)
def test_cost_beside_sampling(saved, tmp_path, suffix):
    """Ratio to drawing the same 2048 paths into memory, in one run: what writing them costs."""
    _, flow = saved
    path = Path(tmp_path, f"paths{suffix}")
    drawn = best_of(lambda: flow.sample(2048, seed=0), rounds=3)
    written = best_of(lambda: stream_paths(flow, 2048, path, seed=0, force=True), rounds=3)
    print(f"\n{suffix}: a stream costs {written / drawn:.2f} times the bare paths")
