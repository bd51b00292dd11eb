"""Experiments on observed series (Section 5.2 and Appendix C): series, targets, starts and models."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd
import torch
from torch import Tensor

from mfmgdm_lib import data
from mfmgdm_lib._checks import check_member
from mfmgdm_lib.descents.gradient_flow import GradientFlow
from mfmgdm_lib.energies import Energy, StylizedFacts
from mfmgdm_lib.models import Model
from mfmgdm_lib.processes import Process
from mfmgdm_lib.processes.base import Seed
from mfmgdm_lib.processes.starts import STARTS, starting_law, starting_paths
from mfmgdm_lib.target import Target, target_from_data

__all__ = ["SERIES", "MarketExperiment", "Series", "observed_returns"]


@dataclass(frozen=True)
class Series:
    """A series of Section 5.2 and where it is had.

    Attributes:
        title: its name.
        source: a source that `data.fetch` knows, or "arch" for the one that is installed.
        identifier: its name there.
        end: last date taken.
        n_points: returns that the target is taken from.
        kind: "log" or "difference".
    """

    title: str
    source: str
    identifier: str
    end: str
    n_points: int
    kind: str


SERIES = {
    "sp500": Series("S&P 500", "arch", "^GSPC", "2018-12-31", 4096, "log"),
    "sp500-2024": Series("S&P 500 to 2024", "yahoo", "^GSPC", "2024-02-07", 4096, "log"),
    "usd-5y": Series("USD 5Y", "fred", "DGS5", "2024-04-30", 4096, "difference"),
    "usd-10y": Series("USD 10Y", "fred", "DGS10", "2024-04-30", 4096, "difference"),
    "eur-5y": Series("EUR 5Y", "ecb", "SR_5Y", "2024-04-30", 2048, "difference"),
    "eur-10y": Series("EUR 10Y", "ecb", "SR_10Y", "2024-04-30", 2048, "difference"),
}
"""The series, by the names that keys are made of. The paper does not say which dates it took."""


def observed_returns(series: str) -> pd.Series:
    """Daily returns of a series of `SERIES`, the latest that the target is taken from, with dates and units.

    Raises:
        ValueError: an unknown name, or a source that does not give enough of it.
    """
    check_member("series", series, tuple(SERIES))
    wanted = SERIES[series]
    if wanted.source == "arch":
        levels = data.sp500(end=wanted.end)
    else:
        levels = data.fetch(wanted.source, wanted.identifier, end=wanted.end)
    returns = data.returns(levels, wanted.kind)
    if len(returns) < wanted.n_points:
        raise ValueError(
            f"{wanted.title} has {len(returns)} returns up to {wanted.end}; expected {wanted.n_points}."
            " Fetch a longer window."
        )
    return returns.iloc[-wanted.n_points :]


@dataclass(frozen=True)
class MarketExperiment:
    """A descent towards one observed series (Section 5.2).

    Attributes:
        series_name: a name in `SERIES`.
        energy: Φ.
        step_size: s.
        n_steps: T.
        n_paths: paths to generate.
        length: d, points of each path.
        seed: seed of the starting paths.
        start: one of `STARTS`.
    """

    series_name: str = "sp500"
    energy: Energy = field(default_factory=StylizedFacts)
    step_size: float = 50.0
    n_steps: int = 20_000
    n_paths: int = 1024
    length: int = 1024
    seed: Seed = (2, 12345)
    start: str = "noise"

    def __post_init__(self) -> None:
        check_member("start", self.start, STARTS)

    @cached_property
    def returns(self) -> pd.Series:
        """The observed returns, dated, in their units."""
        return observed_returns(self.series_name)

    @property
    def origin(self) -> str:
        """Where the series is from, and which part of it is taken."""
        first, last = (f"{date:%Y-%m-%d}" for date in self.returns.index[[0, -1]])
        about = self.returns.attrs
        checksum = f" (sha256 {about['sha256']})" if "sha256" in about else ""
        return f"{len(self.returns)} returns, {first} to {last}, of {about['source']}{checksum}"

    @cached_property
    def series(self) -> Tensor:
        """The standardised returns, (n_points,)."""
        return torch.tensor(data.standardize(self.returns).to_numpy())

    @cached_property
    def target(self) -> Target:
        """The target α: the energy of the whole series."""
        return target_from_data(self.energy, self.series)

    @cached_property
    def starting_law(self) -> Process:
        """The law q_0 of the starting paths."""
        return starting_law(self.series, self.start)

    def starting_paths(self) -> Tensor:
        """Draw the starting paths, (n_paths, length); those of a GARCH without its first 1000 points."""
        return starting_paths(self.starting_law, self.n_paths, self.length, self.seed)

    def model(self, ensemble_size: int | None = None) -> Model:
        """The descent with ensembles of `ensemble_size` paths: 1 is MGDM, None is MF–MGDM with all in one."""
        return Model(self.energy, self.target, self.step_size, ensemble_size=ensemble_size)

    def flow(self, ensemble_size: int | None = None, *, tolerance: float = 0.02) -> GradientFlow:
        """The limit of small steps of that descent."""
        return GradientFlow(self.energy, self.target, ensemble_size=ensemble_size, tolerance=tolerance)

    @property
    def duration(self) -> float:
        """How long the flow has to run to stand for the descent: s T."""
        return self.step_size * self.n_steps
