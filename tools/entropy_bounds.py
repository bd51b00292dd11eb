"""Hold the bounds of the change of entropy against the exact change, along descents for every energy of the paper.

`python tools/entropy_bounds.py [PATTERN …]` runs the pairs of process and energy whose names match one of the patterns,
such as "ar01-*" or "sp500-stylized", and all without any. It writes results/entropy_bounds.csv, in which the rows of
other pairs stay, after each descent.

- Banded energies have the paper's 1024 points and step sizes, and every step is looked at: all of Table 1's, and the
  first of the 20 000 with stylised facts.
- Scattering energies need dense determinants. They have 256 points, the fewest that their filters fit, and a step size
  in proportion; some steps are looked at, the distance of which is `every`.
"""

from __future__ import annotations

import fnmatch
import sys
import time
from collections.abc import Callable
from functools import lru_cache

import pandas as pd

import mfmgdm_lib as mm
from mfmgdm_lib.companion import TABLE_1, MarketExperiment, SyntheticExperiment, store, stored
from mfmgdm_lib.companion.entropy_checks import Assembled, AssembledBlocks, bound_slacks, count_violations, path_sums
from mfmgdm_lib.companion.synthetic import PROCESSES
from mfmgdm_lib.processes import GARCH, Process, WhiteNoise

MEMBERS = (1, 8, 32, 128)
PATHS = {True: {1: 128, 8: 128, 32: 128, 128: 128}, False: {1: 16, 8: 16, 32: 32, 128: 128}}
"""Paths of each size of ensembles, where Hessians are banded and where they are not."""

SHORT, STEPS, MARKET_STEPS = 256, 200, 100
"""Points of the paths of scattering energies, steps of their descents, and steps with stylised facts."""

EVERY = {"scatmean": 50, "scatcov": 50, "spectra": 100}
"""Distance of the steps that are looked at where determinants are dense; 100 for 128 paths."""

TABLE_PAIRS = tuple(f"{cell.process}-{cell.energy}" for cell in TABLE_1 if cell.model == "mf")
PAIRS = (*TABLE_PAIRS, "sp500-stylized", "sp500-scatcov")


def components(law: Process) -> mm.energies.Energy:
    """Energy iii, with the 20 principal components under a law, for short paths."""
    covariance = mm.energies.ScatteringCovariance(SHORT)
    return mm.energies.Projection.fit(covariance, law, n_samples=10_000, length=SHORT, seed=(1, 12345))


@lru_cache(maxsize=2)
def experiment(pair: str) -> SyntheticExperiment | MarketExperiment:
    """The descents of a pair: the paper's where Hessians are banded, else those of short paths."""
    process, energy = pair.rsplit("-", 1)
    if pair == "sp500-stylized":
        return MarketExperiment("sp500", n_steps=MARKET_STEPS, n_paths=128)
    if pair == "sp500-scatcov":
        whole = components(GARCH(0.03, 0.1, 0.87))
        return MarketExperiment("sp500", Assembled(whole), 1.0 * SHORT / 1024, STEPS, 128, SHORT)
    (cell,) = (cell for cell in TABLE_1 if (cell.process, cell.energy, cell.model) == (process, energy, "mf"))
    if energy == "acf":
        return cell.experiment()
    law = PROCESSES[process]
    made: dict[str, Callable[[], mm.energies.Energy]] = {
        "scatmean": lambda: mm.energies.ScatteringMean(SHORT),
        "scatcov": lambda: components(WhiteNoise()),
        "spectra": lambda: mm.energies.ScatteringSpectra(SHORT).fit_scale(law, n_samples=10_000, seed=(3, 12345)),
    }
    return SyntheticExperiment(
        law, Assembled(made[energy]()), cell.step_size * SHORT / cell.length, STEPS, length=SHORT
    )


def row(pair: str, members: int) -> dict[str, object]:
    """Follow one descent, and hold its bounds against the exact change."""
    own = experiment(pair)
    banded = own.energy.bandwidth is not None
    n_paths = PATHS[banded][members]
    if isinstance(own, MarketExperiment):
        x0 = own.starting_paths()[:n_paths]
    else:
        x0 = own.start.sample(n_paths, own.length, own.initial_seed)
    process, energy = pair.rsplit("-", 1)
    backend: str | AssembledBlocks = "banded" if banded else AssembledBlocks()
    every = 1 if banded else 100 if members == 128 else EVERY[energy]
    began = time.process_time()
    last = (own.n_steps - 1) // every * every  # nothing after it is looked at
    trace = mm.entropy_bounds(own.model(members), x0, last + 1, every=every, determinants=backend)
    slacks = bound_slacks(trace)
    return {
        "process": process,
        "energy": energy,
        "members": members,
        "length": own.length,
        "K": own.energy.dim,
        "paths": n_paths,
        "steps": own.n_steps,
        "every": every,
        "looked": trace.change.size,
        "violations": count_violations(trace),
        **{f"slack of {name}": slack.min() for name, slack in slacks.items()},
        "bounded": (trace.upper < float("inf")).mean(),
        "bounded by A": (trace.norms > -float("inf")).mean(),
        "least_moved": trace.moved.min(),
        "folded": (trace.folded > 0).mean(),
        **path_sums(trace),
        "seconds": time.process_time() - began,
    }


def main() -> None:
    """Run the pairs that match, and keep each row as soon as it is there."""
    patterns = sys.argv[1:] or ["*"]
    for pair in (pair for pair in PAIRS if any(fnmatch.fnmatchcase(pair, pattern) for pattern in patterns)):
        for members in MEMBERS:
            new = pd.DataFrame([row(pair, members)])
            print(new.iloc[0].to_string(), flush=True)
            keep(new)


def keep(new: pd.DataFrame) -> None:
    """Put a row in the place of its former one."""
    key = ["process", "energy", "members"]
    try:
        former = stored("entropy_bounds")
        table = pd.concat([former[~former[key].eq(new[key].iloc[0]).all(axis=1)], new])
    except FileNotFoundError:
        table = new
    place = {pair: at for at, pair in enumerate(PAIRS)}
    order = table["process"].str.cat(table["energy"], "-").map(place)
    table = table.assign(order=order).sort_values(["order", "members"]).drop(columns="order")
    origin = [
        "Bounds of the change of entropy and the exact change, along descents by mm.entropy_bounds.",
        "members: paths N of each ensemble; looked: steps looked at times ensembles; violations: of these, and of the",
        "three bounds of each, how many the exact change is on the wrong side of by more than 1e-10 nats per path.",
        "slack of …: the smallest distance from a bound, nats per path and step; inf where no step had the bound.",
        "bounded: share of the steps of ensembles for which B exists; bounded by A: the same for A.",
        "change, blocks, capacitance, at_rest and the bounds: sums over the steps looked at, nats per path.",
        "Energies other than acf and stylized: 256 points, their step size times 256 / 1024, steps `every` apart.",
        "Made by: python tools/entropy_bounds.py",
    ]
    store("entropy_bounds", table.to_csv(index=False, float_format="%.8g"), origin)


if __name__ == "__main__":
    main()
