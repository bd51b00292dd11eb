"""Measure time and memory of a step of each energy for paths of 2⁸ to 2¹⁶ points and ensembles of 2⁷ to 2¹⁴ paths.

`python tools/scale.py FOLDER` appends a row for each energy, length and number of paths to FOLDER/scale.csv, leaves out
those that are there already, and writes results/scale.csv in the end. Two numbers after the folder, as in
`python tools/scale.py FOLDER 10 8`, end the sizes sooner, at 2¹⁰ points and 2⁸ paths, and write no result.

Each row is measured in a process of its own, whose address space is limited to 8 GiB. What needs more is noted with no
time, and no larger array of that energy is tried.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import mfmgdm_lib as mm

ENERGIES = (
    "i. autocovariance",
    "ii. scattering mean",
    "iii. scattering covariance",
    "iv. scattering spectra",
    "stylised facts",
)
LENGTHS, PATHS = range(8, 17), range(7, 15)
"""Powers of 2."""

LIMIT = 8 * 2**30
"""Bytes of the address space of a process."""

SLOWEST, ROUNDS = 1800, 3
"""Seconds until a process is ended, and how often each is timed."""


def energy(name: str, length: int) -> mm.energies.Energy:
    """An energy for paths of a length; iii with as many combinations as the paper has principal components."""
    if name == "iii. scattering covariance":
        whole = mm.energies.ScatteringCovariance(length)
        return mm.energies.Linear(
            whole, torch.eye(whole.dim, dtype=torch.float64)[:20], labels=[f"row {k}" for k in range(20)]
        )
    made: dict[str, Callable[[], mm.energies.Energy]] = {
        "i. autocovariance": mm.energies.Autocovariance,
        "ii. scattering mean": lambda: mm.energies.ScatteringMean(length),
        "iv. scattering spectra": lambda: mm.energies.ScatteringSpectra(length),
        "stylised facts": mm.energies.StylizedFacts,
    }
    return made[name]()


def best(run: Callable[[], object]) -> float:
    """Shortest time of a few, in seconds."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def peak() -> int:
    """Largest memory of this process so far, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(name: str, length: int, n_paths: int) -> dict[str, float]:
    """Time values and gradient, and a real FFT of the same paths, in this process."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    x = mm.processes.WhiteNoise().sample(n_paths, length, seed=0)
    own = energy(name, length)
    weights = torch.full((n_paths, own.dim), 1e-3, dtype=x.dtype)
    transform, before = best(lambda: torch.fft.rfft(x)), peak()
    seconds = best(lambda: (own(x), own.gradient(x, weights)))
    return {
        "seconds": seconds,
        "fft_seconds": transform,
        "peak_bytes": peak(),
        "bytes_before": before,
        "array_bytes": x.numel() * x.element_size(),
    }


def measured_apart(name: str, length: int, n_paths: int) -> dict[str, float | str]:
    """What a process of its own measures; only why there is nothing, where it needs too much."""
    command = [sys.executable, __file__, "--one", name, str(length), str(n_paths)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SLOWEST)
    except subprocess.TimeoutExpired:
        return {"outcome": "time"}
    if run.returncode == 0:
        return {"outcome": "measured", **json.loads(run.stdout.splitlines()[-1])}
    if "memory" in run.stderr.lower() or "MemoryError" in run.stderr or run.returncode < 0:
        return {"outcome": "memory"}
    raise RuntimeError(f"{name} of {n_paths} paths of {length} points failed:\n{run.stderr}")


def grow(kept: Path, lengths: range, counts: range) -> pd.DataFrame:
    """Add the rows that are missing to a file, each as soon as it is there; return all of the file's rows."""
    rows: list[dict[Any, Any]] = pd.read_csv(kept).to_dict("records") if kept.exists() else []
    for name in ENERGIES:
        for length, n_paths in ((2**d, 2**n) for d in lengths for n in counts):
            own = [row for row in rows if row["energy"] == name]
            if any((row["d"], row["N"]) == (length, n_paths) for row in own):
                continue
            if any(row["outcome"] != "measured" and row["d"] <= length and row["N"] <= n_paths for row in own):
                continue
            rows.append({"energy": name, "d": length, "N": n_paths, **measured_apart(name, length, n_paths)})
            pd.DataFrame(rows).to_csv(kept, index=False, float_format="%.8g")
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    """Measure what is missing, and keep all of it as a result where no size was left out."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
        return
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    ends = [int(word) for word in sys.argv[2:4]]
    lengths, counts = (range(LENGTHS[0], ends[0] + 1), range(PATHS[0], ends[1] + 1)) if ends else (LENGTHS, PATHS)
    table = grow(folder / "scale.csv", lengths, counts)
    if ends:
        return
    origin = [
        "Seconds of values and gradient of N paths of d points in float64, and of their real FFT; shortest of 3 times.",
        "peak_bytes: largest resident memory of the process; bytes_before: before values and gradient were asked for.",
        "outcome: memory where 8 GiB of address space, or time where half an hour, were not enough; larger ones of",
        "that energy were not tried.",
        "Made by: python tools/scale.py FOLDER",
        f"Machine: {platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
    ]
    mm.companion.store("scale", table.to_csv(index=False, float_format="%.8g"), origin)


if __name__ == "__main__":
    main()
