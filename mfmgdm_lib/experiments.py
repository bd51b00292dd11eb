"""What each figure and table runs: frozen specifications, and nothing that is drawn."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mfmgdm_lib import data
from mfmgdm_lib.descent import Descent
from mfmgdm_lib.divergence import DivergenceTrace, reverse_kl_trace
from mfmgdm_lib.energies import Autocovariance, Energy, StylizedFacts
from mfmgdm_lib.jacobian import log_determinant
from mfmgdm_lib.paper import Finding
from mfmgdm_lib.processes import AR, CIR, Process, WhiteNoise, initial_distribution
from mfmgdm_lib.processes.base import Seed
from mfmgdm_lib.target import Target, estimate_target, target_from_data

__all__ = [
    "AR_ILLUSTRATION",
    "CIR_EXPONENTIAL",
    "CIR_TRUNCATED",
    "SP500_FIRST_LOOK",
    "MarketExperiment",
    "SyntheticExperiment",
    "final_slope",
    "findings",
    "replicate_summary",
    "store",
    "stored",
    "summarize",
]

_RESULTS = Path(__file__).resolve().parent.parent / "results"
"""Where runs that take too long for a page are kept: beside the library in a checkout of the repository."""


@dataclass(frozen=True)
class SyntheticExperiment:
    """A descent towards a process whose likelihood is known (Sections 3, 4 and 5.1).

    Attributes:
        process: the law p to imitate.
        energy: Φ.
        step_size: s.
        n_steps: T.
        n_particles: N, paths in the estimate of the divergence.
        length: d, points of each path.
        target_samples: paths that α is averaged over.
        initial_seed: seed of the starting paths; the default is the paper's.
        target_seed: seed of the paths behind α; the default is the paper's.
    """

    process: Process
    energy: Energy
    step_size: float
    n_steps: int
    n_particles: int = 128
    length: int = 1024
    target_samples: int = 10_000
    initial_seed: Seed = (2, 12345)
    target_seed: Seed = (3, 12345)

    @property
    def initial(self) -> Process:
        """The law q_0 of the starting paths."""
        return initial_distribution(self.process)

    @cached_property
    def target(self) -> Target:
        """The target α, estimated once."""
        return estimate_target(
            self.energy, self.process, n_samples=self.target_samples, length=self.length, seed=self.target_seed
        )

    def model(self, ensemble_size: int | None = None) -> Descent:
        """The descent with ensembles of `ensemble_size` paths: 1 is MGDM, None is MF–MGDM with all in one."""
        return Descent(
            self.energy, self.target, self.step_size, ensemble_size=ensemble_size, support=self.process.support
        )

    def trace(
        self, ensemble_size: int | None = None, *, seed: Seed | None = None, n_steps: int | None = None
    ) -> DivergenceTrace:
        """Follow the divergence; `seed` and `n_steps` stand in for the specification's where given."""
        return reverse_kl_trace(
            self.model(ensemble_size),
            self.process,
            self.initial,
            n_steps=self.n_steps if n_steps is None else n_steps,
            n_particles=self.n_particles,
            length=self.length,
            seed=self.initial_seed if seed is None else seed,
        )

    def clouds(self, ensemble_size: int | None, steps: tuple[int, ...], n_paths: int = 1024) -> dict[int, Tensor]:
        """Energies (n_paths, K) of `n_paths` paths at each of `steps`."""
        x0 = self.initial.sample(n_paths, self.length, self.initial_seed)
        states = self.model(ensemble_size).steps(x0, max(steps))
        return {state.step: state.energies for state in states if state.step in steps}


def replicate_summary(runs: Mapping[str, Sequence[DivergenceTrace]]) -> pd.DataFrame:
    """Compare the standard errors of repeated runs with the spread of their results.

    Args:
        runs: traces from independent seeds, by name; each is read at its last step.

    Returns:
        A row for each name: the mean divergence over runs, its spread (standard deviation) and the mean standard error
        that the single runs claim, in nats per path.
    """
    rows = {}
    for name, traces in runs.items():
        values = np.array([trace.reverse_kl[-1] for trace in traces])
        claimed = np.array([trace.standard_error[-1] for trace in traces])
        rows[name] = {
            "mean divergence": values.mean(),
            "spread over seeds": values.std(ddof=1),
            "mean standard error": claimed.mean(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def final_slope(experiment: SyntheticExperiment, trace: DivergenceTrace) -> float:
    """Growth of the divergence, in nats per path and step, of a descent that has come to rest.

    At rest the blocks A_n are the identity, so a step costs only what the capacitance matrix takes: −log det / M,
    averaged over ensembles of M paths.
    """
    model = experiment.model(trace.members)
    determinant = log_determinant(model, model.evaluate(trace.paths))
    return -float(determinant.per_path.mean())


def summarize(trace: DivergenceTrace) -> pd.DataFrame:
    """Put in a table what a trace says at each step.

    Returns:
        A row for each of t = 0 … T: `reverse_kl`, `standard_error`, `entropy` and `log_likelihood`, nats per path, and
        `least_moved`, the smallest share of entries that any step up to this one has moved (App. B).
    """
    return pd.DataFrame(
        {
            "reverse_kl": trace.reverse_kl,
            "standard_error": trace.standard_error,
            "entropy": trace.entropy,
            "log_likelihood": trace.log_likelihood,
            "least_moved": np.minimum.accumulate(trace.moved),
        }
    ).rename_axis("step")


def stored(name: str) -> pd.DataFrame:
    """Read a table of results that is kept in the repository.

    Args:
        name: the file's name in `results/`, without its suffix.

    Raises:
        FileNotFoundError: no such file: another name, or a library that is not in a checkout of the repository.
    """
    path = _RESULTS / f"{name}.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there; expected a file of results/ in a checkout of the repository."
            " Use one of its names, and the library from a checkout."
        )
    return pd.read_csv(path, comment="#")


def store(name: str, table: str, origin: Sequence[str]) -> None:
    """Write a table to `results/`, whole or not at all, below lines that say where it comes from.

    Args:
        name: the file's name in `results/`, without its suffix.
        table: the table as CSV.
        origin: what it is and what made it; the date and the versions of the packages are added.
    """
    versions = [
        f"{package} {importlib.metadata.version(package)}" for package in ("numpy", "scipy", "torch", "mfmgdm-lib")
    ]
    lines = [
        *origin,
        f"Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        f"Versions: Python {platform.python_version()}, {', '.join(versions)}",
    ]
    path = _RESULTS / f"{name}.csv"
    partial = path.with_suffix(".csv.partial")
    partial.write_text("".join(f"# {line}\n" for line in lines) + table, encoding="utf-8")
    partial.replace(path)


AR_ILLUSTRATION = SyntheticExperiment(AR([0.1]), Autocovariance(), step_size=10.0, n_steps=200)
"""Figures 1, 3 and 4: AR(0.1), its sufficient statistics, and 200 steps."""

CIR_EXPONENTIAL = SyntheticExperiment(CIR(0.5, 1.0, 1.0), Autocovariance(), step_size=10.0, n_steps=500)
"""Table 1: CIR(1/2, 1, 1), whose mean and standard deviation are equal, from an exponential start."""

CIR_TRUNCATED = SyntheticExperiment(CIR(2**-0.5, 2**0.5, 1.0), Autocovariance(), step_size=10.0, n_steps=2000)
"""Table 1: CIR(2^−½, 2^½, 1), from a Gaussian cut off below 0."""


@dataclass(frozen=True)
class MarketExperiment:
    """A descent towards one observed series (Section 5.2).

    Attributes:
        n_points: latest daily returns of the series that α is taken from.
        energy: Φ.
        step_size: s.
        n_steps: T.
        n_paths: paths to generate.
        length: d, points of each path.
        seed: seed of the starting paths.
    """

    n_points: int = 4096
    energy: Energy = field(default_factory=StylizedFacts)
    step_size: float = 50.0
    n_steps: int = 20_000
    n_paths: int = 1024
    length: int = 1024
    seed: Seed = (2, 12345)

    @cached_property
    def series(self) -> Tensor:
        """The standardised log-returns, (n_points,)."""
        return torch.tensor(data.standardize(data.sp500(self.n_points)).to_numpy())

    @cached_property
    def target(self) -> Target:
        """The target α: the energy of the whole series."""
        return target_from_data(self.energy, self.series)

    @property
    def initial(self) -> WhiteNoise:
        """The law q_0 of the starting paths: standard white noise."""
        return WhiteNoise()

    def model(self, ensemble_size: int | None = None) -> Descent:
        """The descent with ensembles of `ensemble_size` paths: 1 is MGDM, None is MF–MGDM with all in one."""
        return Descent(self.energy, self.target, self.step_size, ensemble_size=ensemble_size)

    def descend(self, ensemble_size: int | None = None) -> tuple[Tensor, list[float]]:
        """Run the descent: the generated paths (n_paths, length), and the mean loss of a path at each step.

        The loss is that which the model descends: of each path's own mismatch in MGDM, of the mean one in MF–MGDM.
        """
        losses = []
        for state in self.model(ensemble_size).steps(
            self.initial.sample(self.n_paths, self.length, self.seed), self.n_steps
        ):
            losses.append(float(state.loss.mean()))
        return state.paths, losses

    def non_invertible(self, paths: Tensor, ensemble_size: int | None = None) -> int:
        """Number of ensembles in `paths` from which a step is not invertible: its Jacobian has an eigenvalue ≤ 0."""
        model = self.model(ensemble_size)
        return int((log_determinant(model, model.evaluate(paths)).non_positive > 0).sum())


SP500_FIRST_LOOK = MarketExperiment(n_paths=64)
"""A schedule short enough for a book build; `MarketExperiment()` is the paper's, with 1024 paths."""


def findings() -> dict[str, Finding]:
    """The paper's numbers as far as they have been reproduced, by the keys of `paper.numbers()`.

    They are recomputed here, except for those of long runs, which are read from `results/`.
    """
    page, market_page = "notebooks/01_ar_illustration", "notebooks/02_sp500_first_look"
    positive_page = "notebooks/05_positivity"
    found = {"figure-1-variance": Finding(AR([0.1]).innovation_std ** 2, page=page)}
    for name, figure, ensemble_size in (("mgdm", 1, 1), ("mf", 3, None)):
        trace = AR_ILLUSTRATION.trace(ensemble_size)
        least, error = float(trace.reverse_kl.min()), float(trace.standard_error[trace.best_step])
        found[f"table1-ar01-acf-{name}"] = Finding(least, error, page)
        found[f"figure-{figure}-best"] = Finding(trace.best_step, page=page)
    for (process, model), run in stored("cir_autocovariance").groupby(["process", "model"]):
        best = run.loc[run["reverse_kl"].idxmin()]
        name = "mgdm" if model == "MGDM" else "mf"
        value, error = float(best["reverse_kl"]), float(best["standard_error"])
        found[f"table1-{process}-acf-{name}"] = Finding(value, error, positive_page)
    for name, power, shown_on in (("long", 12, market_page), ("middle", 11, None), ("short", 10, None)):
        dates = data.sp500(2**power).index
        found[f"section-5-2-years-{name}"] = Finding((dates[-1] - dates[0]).days / 365.25, page=shown_on)
    return found
