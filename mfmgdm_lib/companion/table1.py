"""The specifications of Table 1's forty cells, how each is run, and what is stored of it."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

import numpy as np
import pandas as pd
import torch

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_member, check_positive, check_positive_int
from mfmgdm_lib._deprecated import renamed
from mfmgdm_lib.companion.results import projected_covariance
from mfmgdm_lib.companion.synthetic import PROCESSES, SyntheticExperiment, summarize
from mfmgdm_lib.divergence import DivergenceTrace
from mfmgdm_lib.energies import Autocovariance, Energy, ScatteringMean, ScatteringSpectra
from mfmgdm_lib.log_determinants import Determinants
from mfmgdm_lib.processes import AR, CIR
from mfmgdm_lib.runs.run import Run
from mfmgdm_lib.runs.store import Result, Specification

__all__ = [
    "ENERGIES",
    "LATER_VERSION",
    "MODELS",
    "PROCESSES",
    "PROFILES",
    "TABLE_1",
    "Cell",
    "select",
    "table_1",
    "tabulate",
]

ENERGIES = ("acf", "scatmean", "scatcov", "spectra")
"""The columns of Table 1: energies i to iv."""

MODELS: dict[str, int | None] = {"mgdm": 1, "mf": None}
"""Members of an ensemble in either model; None is all paths."""

PROFILES = ("paper", "quick")
"""The paper's settings, and a walk through all cells that takes minutes."""

_AR_SCHEDULE = {"acf": (10.0, 250), "scatmean": (5.0, 1000), "scatcov": (5.0, 250), "spectra": (5.0, 250)}
_SCHEDULES: dict[str, dict[str, tuple[float, int]]] = {
    "ar01": _AR_SCHEDULE,
    "ar02": _AR_SCHEDULE,
    "arm01": _AR_SCHEDULE,
    "cir-exp": {"acf": (10.0, 500), "scatmean": (5.0, 250), "scatcov": (5.0, 500), "spectra": (5.0, 1000)},
    "cir-trunc": {"acf": (10.0, 2000), "scatmean": (5.0, 250), "scatcov": (5.0, 1000), "spectra": (5.0, 250)},
}
"""Step size and number of steps of each cell, the same for both models."""


@renamed(n_particles="n_paths")
@dataclass(frozen=True)
class Cell:
    """One number of Table 1, and the curve of Figure 5 that it is the minimum of.

    Attributes:
        process: a key of `PROCESSES`.
        energy: one of `ENERGIES`.
        model: a key of `MODELS`.
        step_size: s.
        n_steps: T.
        n_paths: N, paths in the estimate of the divergence.
        length: d, points of each path.
        target_samples: paths that α, and the scale of energy iv, are averaged over.
        initial_seed: seed of the starting paths, and of the random probes after them.
        target_seed: seed of the paths behind α.
        dtype: of the paths, "float32" or "float64"; likelihoods and determinants are summed in float64.
        step_error: standard error of a step's mean log-determinant, nats, that random probes are sent for where
            determinants are estimated.
        determinant_every: distance of the steps whose determinants are estimated, late in the descent; None takes all.
    """

    process: str
    energy: str
    model: str
    step_size: float
    n_steps: int
    n_paths: int = 128
    length: int = 1024
    target_samples: int = 10_000
    initial_seed: tuple[int, ...] = (2, 12345)
    target_seed: tuple[int, ...] = (3, 12345)
    dtype: str = "float64"
    step_error: float = 0.02
    determinant_every: int | None = None

    former_names: ClassVar = {"n_paths": "n_particles"}

    def __post_init__(self) -> None:
        for name in ("step_size", "step_error"):  # 10 and 10.0 are one cell
            object.__setattr__(self, name, check_positive(name, getattr(self, name)))

    @property
    def key(self) -> str:
        """The cell's name, such as "ar01-acf-mf": after "table1-" a key of `paper.numbers()`."""
        return f"{self.process}-{self.energy}-{self.model}"

    def replicate(self, k: int) -> Cell:
        """The same cell from independent draws, of the target, too; `k` from 1 on tells them apart."""
        check_positive_int("k", k)
        return dataclasses.replace(self, initial_seed=(2, 12345, k), target_seed=(3, 12345, k))

    def experiment(self) -> SyntheticExperiment:
        """The experiment that both models share. Energy iv is scaled, and the target drawn, on the way."""
        kept = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return _experiment(**{name: value for name, value in kept.items() if name not in _OF_A_RUN})

    def run(self, *, n_steps: int | None = None, device: str = "cpu") -> Run[DivergenceTrace]:
        """Begin the descent; `n_steps` stands in for the cell's where given."""
        law = PROCESSES[self.process]
        return self.experiment().run(
            MODELS[self.model],
            n_steps=self.n_steps if n_steps is None else n_steps,
            seed=self.initial_seed,
            determinants=Determinants(step_error=self.step_error, every=self.determinant_every or 1, on_fold="record"),
            dtype=getattr(torch, self.dtype),
            device=device,
            throw=False,
            observe={"log_p_approximate": law.approximate_log_prob} if isinstance(law, AR) else None,
        )

    value_format = "KL {:.2f} nats"
    """Format of the number that shows the progress of a run."""

    @property
    def kind(self) -> str:
        """Cells of one energy take the same time for each path and step."""
        return self.energy

    @property
    def size(self) -> int:
        """Paths times steps."""
        return self.n_steps * self.n_paths

    def summarize(self, run: Run[DivergenceTrace]) -> tuple[pd.DataFrame, dict[str, Any]]:
        """What is kept of a run: the table of `tabulate`, how determinants were had, and the paths' own divergences."""
        trace = run.summary()
        best = (trace.log_q - trace.log_p)[trace.best_step]
        return tabulate(trace), {"jacobian": trace.determinants, "best_paths": [round(float(v), 4) for v in best]}

    def headline(self, result: Result) -> str:
        """The result in a few words."""
        best = result.table["reverse_kl"].idxmin()
        row = result.table.loc[best]
        return f"KL {row['reverse_kl']:.2f} ± {row['standard_error']:.2f} at step {best}"


_OF_A_RUN = ("model", "initial_seed", "dtype", "step_error", "determinant_every")
"""Fields that an experiment does not depend on, so that cells which differ in them alone share its target."""


@lru_cache(maxsize=4)
def _experiment(
    process: str,
    energy: str,
    n_paths: int,
    target_samples: int,
    target_seed: tuple[int, ...],
    length: int,
    **schedule: Any,
) -> SyntheticExperiment:
    law = PROCESSES[process]
    make: dict[str, Callable[[], Energy]] = {
        "acf": Autocovariance,
        "scatmean": lambda: ScatteringMean(length),
        "scatcov": projected_covariance,
        "spectra": lambda: ScatteringSpectra(length).fit_scale(law, n_samples=target_samples, seed=target_seed),
    }
    return SyntheticExperiment(
        law,
        make[energy](),
        n_paths=n_paths,
        length=length,
        target_samples=target_samples,
        target_seed=target_seed,
        **schedule,
    )


def _paper_cell(process: str, energy: str, model: str) -> Cell:
    step_size, n_steps = _SCHEDULES[process][energy]
    if energy == "acf":
        return Cell(process, energy, model, step_size, n_steps)
    # The paths of CIR differ ten times as much in their log-densities, so as much less is asked of the determinants.
    step_error = 0.05 if isinstance(PROCESSES[process], CIR) else 0.02
    if (process, energy) == ("cir-exp", "spectra"):
        # The estimates of its first 250 steps are rough, and a quarter of a nat in all is wanted: 0.25 / √250, less
        # what the later steps add.
        step_error = 0.014
    return Cell(process, energy, model, step_size, n_steps, dtype="float32", step_error=step_error)


TABLE_1 = tuple(_paper_cell(*names) for names in ((p, e, m) for p in PROCESSES for e in ENERGIES for m in MODELS))
"""The forty cells at the paper's scale and from its seeds, row by row.

Those with an estimated determinant have their paths in float32, as the paper had all: its estimate is rougher by far.
"""


LATER_VERSION = tuple(
    dataclasses.replace(cell, n_steps=5000, step_error=0.05, determinant_every=5)
    for cell in TABLE_1
    if (cell.process, cell.energy) == ("cir-exp", "spectra")
)
"""Both models of CIR(1/2, 1, 1) with energy iv for the 5000 steps of the paper's later version (AISTATS 2025)."""


def table_1(profile: str = "paper") -> tuple[Cell, ...]:
    """The forty cells; "quick" takes a tenth of the steps, 16 paths, and a target from 500."""
    check_member("profile", profile, PROFILES)
    if profile == "paper":
        return TABLE_1
    return tuple(
        dataclasses.replace(cell, n_steps=max(25, cell.n_steps // 10), n_paths=16, target_samples=500)
        for cell in TABLE_1
    )


C = TypeVar("C", bound=Specification)


@checked
def select(cells: Sequence[C], patterns: Iterable[str]) -> tuple[C, ...]:
    """The cells whose keys match one of the patterns, such as "ar01-*" or "*-acf-mf"; all, if there is none.

    Raises:
        ValueError: a pattern that matches no cell.
    """
    if not all(hasattr(cell, "key") for cell in cells):
        raise TypeError(f"cells is a {type(cells).__name__}; expected a sequence of cells. Use such as TABLE_1.")
    patterns = tuple(patterns)
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(cell.key, pattern) for cell in cells):
            raise ValueError(
                f"no cell is called {pattern!r}; expected a name such as {cells[0].key!r}, or a pattern like"
                f" '{cells[0].key.split('-')[0]}-*'. The names are: {', '.join(cell.key for cell in cells)}."
            )
    return tuple(c for c in cells if not patterns or any(fnmatch.fnmatchcase(c.key, pattern) for pattern in patterns))


EVERY_STEP_UP_TO = 25
"""Steps that `tabulate` keeps in any case."""

_ROWS = 125


@checked
def tabulate(trace: DivergenceTrace) -> pd.DataFrame:
    """Keep of a trace what the book draws: the first steps, some hundred of the others, the best one and the last.

    Returns:
        The columns of `summarize`, and `determinant_error` (that of a quadrature in it), `loss`, `most_folded` (the
        largest share of ensembles that any step up to this one has folded) and, for an AR, `reverse_kl_approximate`.
    """
    table = summarize(trace)
    table["determinant_error"] = np.hypot(trace.determinant_error, trace.quadrature_error)
    table["loss"] = trace.loss
    table["most_folded"] = np.maximum.accumulate(trace.folded)
    if "log_p_approximate" in trace.observed:
        table["reverse_kl_approximate"] = (trace.log_q - trace.observed["log_p_approximate"]).mean(-1)
    step, last = table.index.to_numpy(), len(table) - 1
    every = max(1, round(last / _ROWS))
    return table[(step <= EVERY_STEP_UP_TO) | (step % every == 0) | (step == trace.best_step) | (step == last)]
