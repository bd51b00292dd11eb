"""The specifications of descents of two-dimensional fields, how each is run, and what is stored of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pandas as pd

from mfmgdm_lib._checks import check_member, check_positive
from mfmgdm_lib.companion.ising_cells import ISING
from mfmgdm_lib.companion.results import result_store
from mfmgdm_lib.companion.synthetic import SyntheticExperiment
from mfmgdm_lib.companion.table1 import MODELS, tabulate
from mfmgdm_lib.divergence import DivergenceTrace
from mfmgdm_lib.energies import FieldAutocovariance
from mfmgdm_lib.log_determinants import Determinants
from mfmgdm_lib.processes.gaussian_field import GaussianField
from mfmgdm_lib.runs.cells import Job
from mfmgdm_lib.runs.run import Run
from mfmgdm_lib.runs.store import Result

__all__ = ["FIELDS", "GAUSSIAN_FIELDS", "GaussianFieldCell", "stored_gaussian_fields"]


@dataclass(frozen=True)
class GaussianFieldCell:
    """The divergence of one model from a conditional autoregression on a periodic field.

    Attributes:
        side: H = W, points.
        model: a key of `MODELS`.
        step_size: s.
        rho: ρ of the field, for the neighbours at the right and below.
        lags: those of the energy.
        n_steps: T.
        n_paths: N, fields in the estimate of the divergence.
        target_samples: fields that α is averaged over.
        initial_seed: seed of the starting fields.
        target_seed: seed of the fields behind α.
    """

    side: int
    model: str
    step_size: float
    rho: float = 0.2
    lags: tuple[tuple[int, int], ...] = ((0, 0), (0, 1), (1, 0))
    n_steps: int = 300
    n_paths: int = 128
    target_samples: int = 10_000
    initial_seed: tuple[int, ...] = (2, 12345)
    target_seed: tuple[int, ...] = (3, 12345)

    dtype = "float64"
    value_format = "KL {:.2f} nats"
    """Format of the number that shows the progress of a run."""

    def __post_init__(self) -> None:
        check_member("model", self.model, tuple(MODELS))
        object.__setattr__(self, "step_size", check_positive("step_size", self.step_size))

    @property
    def key(self) -> str:
        """The cell's name, such as "car-32-mf"."""
        return f"car-{self.side}-{self.model}"

    @property
    def length(self) -> int:
        """Points d of a field."""
        return self.side**2

    @property
    def kind(self) -> str:
        """Gaussian fields take the same time for each point and step, whatever their size."""
        return "car"

    @property
    def size(self) -> int:
        """Points of all fields times steps."""
        return self.n_steps * self.n_paths * self.side**2

    def experiment(self) -> SyntheticExperiment:
        """The experiment, whose target both models of a size share."""
        return _experiment(
            self.side,
            self.rho,
            self.lags,
            self.step_size,
            self.n_steps,
            self.n_paths,
            self.target_samples,
            self.initial_seed,
            self.target_seed,
        )

    def run(self, *, n_steps: int | None = None, device: str = "cpu") -> Run[DivergenceTrace]:
        """Begin the descent; `n_steps` stands in for the cell's where given."""
        return self.experiment().run(
            MODELS[self.model],
            n_steps=self.n_steps if n_steps is None else n_steps,
            determinants=Determinants("circulant", on_fold="record"),
            device=device,
            throw=False,
        )

    def summarize(self, run: Run[DivergenceTrace]) -> tuple[pd.DataFrame, dict[str, Any]]:
        """What is kept of a run: the table of `tabulate`, and the backend."""
        trace = run.summary()
        return tabulate(trace), {"determinants": trace.determinants}

    def headline(self, result: Result) -> str:
        """The result in a few words."""
        best = result.table["reverse_kl"].idxmin()
        row = result.table.loc[best]
        return f"KL {row['reverse_kl']:.2f} ± {row['standard_error']:.2f} at step {best}"


@lru_cache(maxsize=1)
def _experiment(
    side: int,
    rho: float,
    lags: tuple[tuple[int, int], ...],
    step_size: float,
    n_steps: int,
    n_paths: int,
    target_samples: int,
    initial_seed: tuple[int, ...],
    target_seed: tuple[int, ...],
) -> SyntheticExperiment:
    return SyntheticExperiment(
        GaussianField.conditional_autoregression(rho, (side, side)),
        FieldAutocovariance(lags),
        step_size,
        n_steps,
        n_paths=n_paths,
        length=(side, side),
        target_samples=target_samples,
        initial_seed=initial_seed,
        target_seed=target_seed,
    )


_FEWER = {(128, "mgdm"): (32, 10_000), (256, "mgdm"): (16, 2000), (256, "mf"): (16, 2000)}
"""Fields in the estimate, and behind the target, where each has many points."""


def _cell(side: int, model: str) -> GaussianFieldCell:
    n_paths, target_samples = _FEWER.get((side, model), (128, 10_000))
    return GaussianFieldCell(side, model, 10.0 * side**2 / 1024, n_paths=n_paths, target_samples=target_samples)


GAUSSIAN_FIELDS = tuple(_cell(side, model) for side in (32, 64, 128, 256) for model in MODELS)
"""Both models of the conditional autoregression with ρ = 0.2: 128 fields, and fewer where each has many points.

The gradient of a mean over d points is in proportion to 1/d, so the step size grows with the number of points.
"""


def stored_gaussian_fields() -> dict[tuple[int, str], pd.DataFrame]:
    """The tables of `GAUSSIAN_FIELDS`, by side and model.

    Raises:
        FileNotFoundError: one has not been run: `mfmgdm reproduce fields` does it.
    """
    store = result_store("fields")
    return {(cell.side, cell.model): store.read(cell).table for cell in GAUSSIAN_FIELDS}


FIELDS: tuple[Job, ...] = (*GAUSSIAN_FIELDS, *ISING)
"""All cells of `mfmgdm reproduce fields`."""
