"""The specifications of Figures 6 to 10, how each is run, and what is stored of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mfmgdm_lib._checks import check_member, check_positive
from mfmgdm_lib.companion.market import SERIES, MarketExperiment
from mfmgdm_lib.companion.path_summaries import describe_paths, describe_series
from mfmgdm_lib.companion.results import projected_covariance
from mfmgdm_lib.companion.table1 import MODELS
from mfmgdm_lib.descents.descent import Descent, State
from mfmgdm_lib.energies import StylizedFacts
from mfmgdm_lib.log_determinants import log_determinant
from mfmgdm_lib.log_determinants.quadrature import integrate, quadrature_error, quadrature_nodes
from mfmgdm_lib.runs.run import Run, descent_states, new_records
from mfmgdm_lib.runs.store import Result

__all__ = ["MARKET", "MarketCell", "losses"]

METHODS = ("descent", "flow", "none")
"""The paper's steps, the flow that they approximate, or the starting paths as they are."""

ENTROPY_PATHS, ENTROPY_EVERY = 128, 10
"""Paths and least distance of the steps whose determinants are calculated, where they are exact."""

_ROWS = 200

_FLOW_STEPS = 2000
"""Steps that a flow may take."""

Summary = tuple[pd.DataFrame, dict[str, Any]]
"""What is kept of a run: a table, and facts about it."""


@dataclass(frozen=True)
class MarketCell:
    """One model of one series in Figures 6 to 10.

    Attributes:
        series: a key of `SERIES`.
        energy: "stylized" or "scatcov" (energy iii, projected on components of a GARCH).
        model: "mgdm" or "mf".
        step_size: s.
        n_steps: T.
        method: one of `METHODS`; a flow runs for s T.
        start: law of the starting paths, one of `STARTS`.
        n_paths: paths.
        length: d, points of each.
        seed: seed of the starting paths.
        dtype: of the paths.
    """

    series: str
    energy: str
    model: str
    step_size: float
    n_steps: int
    method: str = "descent"
    start: str = "noise"
    n_paths: int = 1024
    length: int = 1024
    seed: tuple[int, ...] = (2, 12345)
    dtype: str = "float64"

    def __post_init__(self) -> None:
        check_member("series", self.series, tuple(SERIES))
        check_member("energy", self.energy, ("stylized", "scatcov"))
        check_member("model", self.model, tuple(MODELS))
        check_member("method", self.method, METHODS)
        object.__setattr__(self, "step_size", check_positive("step_size", self.step_size))

    @property
    def key(self) -> str:
        """The cell's name, such as "sp500-stylized-noise-10000-mf-flow"."""
        if self.method == "none":
            return f"{self.series}-reference"
        return f"{self.series}-{self.energy}-{self.start}-{self.n_steps}-{self.model}-{self.method}"

    def experiment(self) -> MarketExperiment:
        """The experiment, whose target is taken on the way."""
        energy = StylizedFacts() if self.energy == "stylized" else projected_covariance("garch")
        return MarketExperiment(
            self.series, energy, self.step_size, self.n_steps, self.n_paths, self.length, self.seed, self.start
        )

    def run(self, *, device: str = "cpu") -> Run[Summary]:
        """Begin the descent."""
        return self.begin(self.experiment(), device=device)

    def begin(self, experiment: MarketExperiment, *, device: str = "cpu") -> Run[Summary]:
        """Begin the descent of an experiment at hand; that of a flow is quicker to begin again than to be resumed."""
        x0, members = experiment.starting_paths().to(device, getattr(torch, self.dtype)), MODELS[self.model]
        summary, value = partial(_summarize, self, experiment), _last_loss
        if self.method == "flow":
            duration, step_size = experiment.duration, experiment.step_size
            return Run(
                lambda paths, _: experiment.flow(members).steps(paths, duration, max_steps=_FLOW_STEPS),
                x0,
                self.n_steps,
                records=new_records({"loss": (), "descent step": ()}, _FLOW_STEPS),
                observe=lambda state: {"loss": state.loss.mean(), "descent step": state.time / step_size},
                summary=summary,
                value=value,
                progress=lambda state: round(self.n_steps * state.time / duration),
                resumable=False,
                throw=False,
            )
        model, wanted = experiment.model(members), self._nodes(experiment)

        def observed(state: State) -> dict[str, Tensor | float]:
            found = _sampled_determinant(model, state) if state.step in wanted else {}
            return {"loss": state.loss.mean(), **found}

        return Run(
            descent_states(model, self.n_steps),
            x0,
            self.n_steps,
            records=new_records(
                {"loss": (), **({"log_determinant": (), "folded": ()} if wanted else {})}, self.n_steps
            ),
            observe=observed,
            summary=summary,
            value=value,
            throw=False,
        )

    def _nodes(self, experiment: MarketExperiment) -> set[int]:
        """Steps whose determinants are calculated: where they are exact, some of them."""
        if self.method != "descent" or experiment.energy.bandwidth is None:
            return set()
        return set(quadrature_nodes(self.n_steps, max(ENTROPY_EVERY, self.n_steps // 2000)).tolist())

    value_format = "loss {:.1e}"
    """Format of the number that shows the progress of a run."""

    @property
    def kind(self) -> str:
        """Runs of one energy by one method take the same time for each path and step."""
        return f"{self.energy}, {self.method}"

    @property
    def size(self) -> int:
        """Paths, times steps where there are that many."""
        return self.n_paths * (self.n_steps if self.method == "descent" else 1)

    def summarize(self, run: Run[Summary]) -> Summary:
        """What is kept of a run."""
        return run.summary()

    def headline(self, result: Result) -> str:
        """The result in a few words."""
        loss = result.table.loc[["loss"], "value"].iloc[-1]
        return f"loss {loss:.1e} after {result.provenance['steps']} steps"


def losses(run: Run[Any]) -> pd.Series:
    """The loss, averaged over paths, by the number of steps taken."""
    return pd.Series(run.written()["loss"])


def _summarize(cell: MarketCell, experiment: MarketExperiment, run: Run[Summary]) -> Summary:
    """What is kept: columns `at` and `value`, by `quantity`; and facts about the run.

    Quantities: `loss` at steps; of a flow, `descent step`, up to which of the descent's steps each of its own has come;
    where determinants are exact, `log_determinant` at steps (mean over paths, accumulated, nats per day), its
    quadrature's `error`, and `folded` (largest share of the paths, or of the one ensemble, that any step so far has
    folded); those of `describe_paths` and, with "series" before them, of `describe_series`; and the first `path`.
    """
    loss = losses(run)
    parts = {"loss": loss[_thinned(loss.index.to_numpy())]}
    written = run.written()
    if "descent step" in written:
        parts["descent step"] = pd.Series(written["descent step"])[parts["loss"].index]
    if "log_determinant" in written and not np.isnan(written["log_determinant"]).all():
        parts |= _entropy(written["log_determinant"], written["folded"], cell.length)
    observed = describe_series(experiment.series, window=cell.length)
    parts |= describe_paths(run.paths.double().cpu())
    parts |= {f"series {name}": values for name, values in observed.items()}
    parts["path"] = pd.Series(run.paths[0].double().cpu().numpy()).round(3)
    table = pd.concat(parts, names=["quantity", "at"]).rename("value").reset_index("at")
    # As many digits as a figure can show.
    table["value"] = [float(f"{value:.5g}") for value in table["value"]]
    return table, {
        "steps": run.taken,
        "alpha": [float(f"{v:.6g}") for v in experiment.target.mean],
        "series": experiment.origin,
    }


def _entropy(logs: np.ndarray, folded: np.ndarray, length: int) -> dict[str, pd.Series]:
    """The log-determinants along the descent, from those of the nodes: the steps where they are not NaN."""
    nodes = np.flatnonzero(~np.isnan(logs))
    filled = np.zeros((int(nodes[-1]) + 1, 1))
    filled[nodes, 0] = logs[nodes] / length
    sums, _ = integrate(filled, np.zeros(len(filled)), nodes)
    kept = _thinned(np.arange(len(sums)))
    most = pd.Series(np.maximum.accumulate(folded[nodes]), index=nodes)
    return {
        "log_determinant": pd.Series(sums[kept, 0], index=kept),
        "error": pd.Series(quadrature_error(filled, nodes)[kept], index=kept),
        "folded": most[_thinned(np.arange(len(most)), of=most.index.to_numpy())],
    }


def _last_loss(run: Run[Any]) -> float:
    return float(run.records["loss"][run.taken])


def _sampled_determinant(model: Descent, state: State) -> dict[str, float]:
    """Mean log-determinant of a step for each path, nats, and the share of ensembles that it folds, from 128 paths.

    Of an ensemble with more members the capacitance matrix is the mean over those 128, and each path's share of it that
    of the whole ensemble.
    """
    n, members = len(state.paths), model.members(len(state.paths))
    few = min(n, ENTROPY_PATHS)
    part = State(state.step, state.paths[:few], state.energies[:few], state.mismatch[:few], state.loss[:few])
    smaller = Descent(model.energy, model.target, model.step_size, ensemble_size=min(members, few))
    found = log_determinant(smaller, part)
    capacitance = float(found.capacitance.mean()) / members
    folded = float((found.non_positive > 0).double().mean())
    return {"log_determinant": float(found.blocks.mean()) + capacitance, "folded": folded}


def _thinned(steps: np.ndarray, of: np.ndarray | None = None) -> np.ndarray:
    """Some two hundred steps: the first, then at distances that grow in proportion, and the last."""
    marks = np.unique(np.geomspace(1, max(len(steps), 2), _ROWS).round().astype(int)) - 1
    chosen = steps[marks[marks < len(steps)]]
    return chosen if of is None else of[chosen]


def _stylized(series: str, n_steps: int, **settings: Any) -> list[MarketCell]:
    return [MarketCell(series, "stylized", model, 50.0, n_steps, **settings) for model in MODELS]


def _scattering(series: str, step_size: float, n_steps: int, **settings: Any) -> list[MarketCell]:
    return [MarketCell(series, "scatcov", model, step_size, n_steps, dtype="float32", **settings) for model in MODELS]


_STEPS = {"sp500": 20_000, "usd-5y": 2500, "usd-10y": 2500, "eur-5y": 2500, "eur-10y": 5000}
_SCATTERING = {"usd-5y": (1.0, 250), "usd-10y": (10.0, 2000), "eur-5y": (10.0, 1000), "eur-10y": (10.0, 1000)}

MARKET = (
    *(MarketCell(name, "stylized", "mf", 50.0, 0, method="none", start="argarch-t") for name in _STEPS),
    *(cell for name, steps in _STEPS.items() for cell in _stylized(name, steps)),
    *(cell for name, steps in _STEPS.items() for cell in _stylized(name, steps, method="flow")),
    MarketCell("sp500", "stylized", "mf", 10.0, 100_000, n_paths=128),
    *_stylized("sp500", 20_000, method="flow", start="student"),
    *_stylized("sp500", 20_000, method="flow", start="garch"),
    *_stylized("sp500", 20_000, method="flow", start="argarch-t"),
    *_scattering("sp500", 1.0, 500),
    *(cell for name, (size, steps) in _SCATTERING.items() for cell in _scattering(name, size, steps)),
    *(cell for name in ("usd-10y", "eur-10y") for cell in _scattering(name, *_SCATTERING[name], method="flow")),
    _scattering("sp500", 1.0, 10_000)[0],  # Figure 9 is of MGDM alone
    *_scattering("sp500", 1.0, 2500, start="garch"),
    *_scattering("sp500", 1.0, 10_000, method="flow"),
    *_scattering("sp500", 1.0, 2500, method="flow", start="garch"),
)
"""What Figures 6 to 10 need, at the paper's scale and from its seed.

The reference model; Figures 6 and 7, the same by the flow, by smaller steps, and from other starts; Figures 8, 9 and
10 by descent, and the longer ones of them by the flow as well.
"""
