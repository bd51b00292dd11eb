"""The time of a step of one ensemble over one and two processes, and the bytes that they exchange."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT, TORCHRUN = Path(__file__).with_name("sharding_cost.py"), Path(sys.executable).with_name("torchrun")


def run(processes: int, n_paths: int, kind: str) -> dict[str, float]:
    command = [TORCHRUN, "--standalone", "--nproc-per-node", str(processes), SCRIPT, str(n_paths), kind]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    output = subprocess.run(command, capture_output=True, check=True, text=True, env=environment).stdout
    return json.loads(output.splitlines()[-1])


@pytest.mark.parametrize("kind", ["plain", "determinants"])
@pytest.mark.parametrize("n_paths", [512, 4096])
def test_two_processes_against_one(n_paths, kind):
    """AR(0.1), autocovariance, d = 1024, one thread each: half the time is wanted; the bytes do not grow with N.

    Where other programs keep the cores busy, the time of the processor says what the one on the clock cannot.
    """
    one, two = (run(processes, n_paths, kind) for processes in (1, 2))
    print(f"\n{n_paths} paths, {kind}: {two['bytes']} bytes sent in a step by each of two processes")
    for name, key in {"on the clock": "seconds", "of each processor": "processor"}.items():
        times = f"{1e3 * one[key]:.1f} ms on one process, {1e3 * two[key]:.1f} ms on two"
        print(f"a step takes, {name}, {times}: {one[key] / two[key]:.2f} times as fast")
