"""Descents towards one observed series: Section 5.2."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from mfmgdm_lib import data
from mfmgdm_lib.descent import Descent
from mfmgdm_lib.energies import Energy, StylizedFacts
from mfmgdm_lib.jacobian import log_determinant
from mfmgdm_lib.processes import WhiteNoise
from mfmgdm_lib.processes.base import Seed
from mfmgdm_lib.target import Target, target_from_data

__all__ = ["SP500_FIRST_LOOK", "MarketExperiment"]


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
