"""Time one log-determinant of a mean-field step against d and against N, and keep the times for the book.

`python benchmarks/determinant_cost.py` writes results/determinant_cost.csv, which notebooks/09_determinant.md draws.
Times differ from run to run, so the page compares nothing with them.
"""

from __future__ import annotations

import os
import platform

import pandas as pd
import torch
from measure import best_of

import mfmgdm_lib as mm
from mfmgdm_lib.companion.derivations import full_jacobian

EXPERIMENT = mm.companion.AR_ILLUSTRATION

# What is timed, with the largest d at N = 4 and the largest N at d = 64: some seconds for each on one core. The book
# knows the banded backend by its former name.
FULL = "full Jacobian"
LIMITS = {FULL: (2**10, 2**6), "dense": (2**12, 2**10), "structured": (2**18, 2**14), "stochastic": (2**18, 2**14)}
FIXED = {"d": 4, "N": 64}
SMALLEST = {"d": 2**3, "N": 1}


def seconds(backend: str, n_paths: int, length: int) -> float:
    """Shortest of a few times of one log-determinant."""
    model = EXPERIMENT.model()
    state = model.evaluate(EXPERIMENT.start.sample(n_paths, length, 0))
    if backend == FULL:
        return best_of(lambda: torch.linalg.slogdet(full_jacobian(model, state.paths)), rounds=5)
    name = {"structured": "banded"}.get(backend, backend)
    return best_of(lambda: mm.log_determinant(model, state, name, seed=0), rounds=5)


def measure() -> pd.DataFrame:
    """Every backend at every size, in powers of 2, up to its limit."""
    rows = []
    for backend, limits in LIMITS.items():
        for axis, limit in zip(FIXED, limits, strict=True):
            size, fixed = SMALLEST[axis], FIXED[axis]
            while size <= limit:
                length, n_paths = (size, fixed) if axis == "d" else (fixed, size)
                time = seconds(backend, n_paths, length)
                rows.append({"axis": axis, "size": size, "fixed": fixed, "backend": backend, "seconds": f"{time:.3g}"})
                size *= 2
    return pd.DataFrame(rows)


def main() -> None:
    """Measure on one thread, and write the times below a few lines that say where they come from."""
    torch.set_num_threads(1)
    origin = [
        "One log-determinant of a mean-field step: AR(0.1), autocovariance energy; shortest of 3 times.",
        "Made by: python benchmarks/determinant_cost.py",
        f"Machine: {platform.machine()}, {os.cpu_count()} cores, one of them used",
    ]
    mm.companion.store("determinant_cost", measure().to_csv(index=False), origin)


if __name__ == "__main__":
    main()
