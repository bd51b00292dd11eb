"""Experiments on processes with a known likelihood: Figures 1 to 5 and Table 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._deprecated import renamed
from mfmgdm_lib.divergence import DivergenceTrace, divergence_run, reverse_kl_trace
from mfmgdm_lib.energies import Autocovariance, Energy
from mfmgdm_lib.log_determinants import log_determinant
from mfmgdm_lib.models import Model
from mfmgdm_lib.processes import AR, CIR, Process, initial_distribution
from mfmgdm_lib.processes.base import Seed, Size
from mfmgdm_lib.runs.run import Run
from mfmgdm_lib.target import Target, estimate_target

__all__ = [
    "AR_ILLUSTRATION",
    "CIR_EXPONENTIAL",
    "CIR_TRUNCATED",
    "PROCESSES",
    "PROCESS_NAMES",
    "SyntheticExperiment",
    "final_slope",
    "replicate_summary",
    "summarize",
]


PROCESSES: dict[str, Process] = {
    "ar01": AR([0.1]),
    "ar02": AR([0.2, -0.1]),
    "arm01": AR([-0.1, 0.2, 0.1]),
    "cir-exp": CIR(0.5, 1.0, 1.0),
    "cir-trunc": CIR(2**-0.5, 2**0.5, 1.0),
}
"""The rows of Table 1, by the names that keys are made of."""

PROCESS_NAMES = {
    "ar01": "AR(0.1)",
    "ar02": "AR(0.2, −0.1)",
    "arm01": "AR(−0.1, 0.2, 0.1)",
    "cir-exp": "CIR(1/2, 1, 1)",
    "cir-trunc": "CIR(2^−½, 2^½, 1)",
}
"""What figures and tables call them."""


@renamed(n_particles="n_paths")
@dataclass(frozen=True)
class SyntheticExperiment:
    """A descent towards a process whose likelihood is known (Sections 3, 4 and 5.1).

    Attributes:
        process: the law p to imitate.
        energy: Φ.
        step_size: s.
        n_steps: T.
        n_paths: N, paths in the estimate of the divergence.
        length: d, points of each path, or the shape of a field.
        target_samples: paths that α is averaged over.
        initial_seed: seed of the starting paths; the default is the paper's.
        target_seed: seed of the paths behind α; the default is the paper's.
    """

    process: Process
    energy: Energy
    step_size: float
    n_steps: int
    n_paths: int = 128
    length: Size = 1024
    target_samples: int = 10_000
    initial_seed: Seed = (2, 12345)
    target_seed: Seed = (3, 12345)

    @property
    def start(self) -> Process:
        """The law q_0 of the starting paths."""
        return initial_distribution(self.process)

    @cached_property
    def target(self) -> Target:
        """The target α, estimated once."""
        return estimate_target(
            self.energy, self.process, n_samples=self.target_samples, length=self.length, seed=self.target_seed
        )

    def model(self, ensemble_size: int | None = None) -> Model:
        """The descent with ensembles of `ensemble_size` paths: 1 is MGDM, None is MF–MGDM with all in one."""
        return Model(
            self.energy, self.target, self.step_size, ensemble_size=ensemble_size, support=self.process.support
        )

    def trace(self, ensemble_size: int | None = None, **options: Any) -> DivergenceTrace:
        """Follow the divergence; `options` of `reverse_kl_trace` stand in for the specification's."""
        return reverse_kl_trace(self.model(ensemble_size), self.process, self.start, **self._settings(options))

    def run(self, ensemble_size: int | None = None, **options: Any) -> Run[DivergenceTrace]:
        """Begin to follow the divergence; `options` of `divergence_run` stand in for the specification's."""
        return divergence_run(self.model(ensemble_size), self.process, self.start, **self._settings(options))

    def _settings(self, options: dict[str, Any]) -> dict[str, Any]:
        own = {"n_steps": self.n_steps, "n_paths": self.n_paths, "length": self.length, "seed": self.initial_seed}
        return own | options

    def clouds(self, ensemble_size: int | None, steps: tuple[int, ...], n_paths: int = 1024) -> dict[int, Tensor]:
        """Energies (n_paths, K) of `n_paths` paths at each of `steps`."""
        x0 = self.start.sample(n_paths, self.length, self.initial_seed)
        states = self.model(ensemble_size).steps(x0, max(steps))
        return {state.step: state.energies for state in states if state.step in steps}


@checked
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


@checked
def final_slope(model: Model, trace: DivergenceTrace) -> float:
    """Growth of the divergence, in nats per path and step, of a descent that has come to rest.

    At rest the blocks A_n are the identity, so a step costs only what the capacitance matrix takes: −log det / M,
    averaged over ensembles of M paths.

    Args:
        model: the one that the trace is of.
        trace: it ends where the descent rests.
    """
    determinant = log_determinant(model, model.evaluate(trace.paths))
    return -float(determinant.per_path.mean())


@checked
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


AR_ILLUSTRATION = SyntheticExperiment(PROCESSES["ar01"], Autocovariance(), step_size=10.0, n_steps=200)
"""Figures 1, 3 and 4: AR(0.1), its sufficient statistics, and 200 steps."""

CIR_EXPONENTIAL = SyntheticExperiment(PROCESSES["cir-exp"], Autocovariance(), step_size=10.0, n_steps=500)
"""Table 1: CIR(1/2, 1, 1), whose mean and standard deviation are equal, from an exponential start."""

CIR_TRUNCATED = SyntheticExperiment(PROCESSES["cir-trunc"], Autocovariance(), step_size=10.0, n_steps=2000)
"""Table 1: CIR(2^−½, 2^½, 1), from a Gaussian cut off below 0."""
