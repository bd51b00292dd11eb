"""Time what a descent asks of each energy of Section 5.1, and keep the times for the book.

`python benchmarks/energy_cost.py` writes results/energy_cost.csv, which notebooks/04_what_the_energies_see.md draws.
Times differ from run to run, so the page compares nothing with them.
"""

from __future__ import annotations

import os
import platform

import pandas as pd
import torch
from measure import best_of

import mfmgdm_lib as mm

ENERGIES = {
    "i. autocovariance (2)": mm.energies.Autocovariance(),
    "ii. scattering mean (28)": mm.energies.ScatteringMean(1024),
    "iii. scattering covariance (20)": mm.companion.projected_covariance(),
    "iv. scattering spectra (128)": mm.energies.ScatteringSpectra(1024),
    "stylised facts (22)": mm.energies.StylizedFacts(),
}


def measure() -> pd.DataFrame:
    """Every task for 128 paths of 1024 points in float64; the rows of the Jacobian for 4 paths only, as in a trace."""
    x = mm.processes.WhiteNoise().sample(128, 1024, 0)
    rows = []
    for name, energy in ENERGIES.items():
        weights = torch.ones(128, energy.dim, dtype=x.dtype)
        product = energy.linearize(x, weights)[1]
        tasks = {
            "values": lambda e=energy: e(x),
            "gradient": lambda e=energy, w=weights: e.gradient(x, w),
            "Hessian-vector product": lambda p=product: p(x),
            "all rows of J, 4 paths": lambda e=energy: e.jacobian(x[:4]),
        }
        for task, run in tasks.items():
            rows.append({"energy": name, "task": task, "milliseconds": f"{1e3 * best_of(run, rounds=10):.3g}"})
    return pd.DataFrame(rows)


def main() -> None:
    """Measure, and write the times below a few lines that say where they come from."""
    origin = [
        "Milliseconds for 128 paths of 1024 points in float64 (rows of J: 4 paths); shortest of 10 times.",
        "Made by: python benchmarks/energy_cost.py",
        f"Machine: {platform.machine()}, {os.cpu_count()} cores",
    ]
    mm.companion.store("energy_cost", measure().to_csv(index=False), origin)


if __name__ == "__main__":
    main()
