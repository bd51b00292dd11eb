"""Divergences of frozen flows in both directions, and their log-densities of held-out days."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from scipy.stats import sem
from torch import Tensor

from mfmgdm_lib import data
from mfmgdm_lib.companion.synthetic import SyntheticExperiment
from mfmgdm_lib.energies import StylizedFacts
from mfmgdm_lib.errors import NotInvertibleError
from mfmgdm_lib.flows import FrozenFlow
from mfmgdm_lib.log_determinants import Determinants
from mfmgdm_lib.models import Model
from mfmgdm_lib.processes import Process, WhiteNoise
from mfmgdm_lib.processes.fits import fit_argarch
from mfmgdm_lib.target import Target, target_from_data

__all__ = ["HeldOut", "coupled_curve", "forward_divergence", "freeze_ensemble", "frozen_curve", "smallest_divergence"]

_BATCH = 128
"""Paths in work at once where a determinant is estimated: what it draws, it draws for a batch."""

_RECORD_FOLDS = Determinants(on_fold="record")


def coupled_curve(
    experiment: SyntheticExperiment, size: int, n_paths: int, dtype: torch.dtype = torch.float64
) -> pd.DataFrame:
    """Reverse KL along the descent of ensembles of `size` paths, n_paths in all; a size of 1 is MGDM.

    Returns:
        A row for each step: `reverse_kl` and `standard_error`, nats per path; the latter from the spread over
        ensembles where there are several, for the paths of one are not independent.
    """
    run = experiment.run(size, n_paths=n_paths, determinants=_RECORD_FOLDS, dtype=dtype)
    for _ in run.steps():
        pass
    found = run.summary()
    ensembles = (found.log_q - found.log_p).reshape(len(found.log_q), -1, size).mean(-1)
    independent = ensembles if ensembles.shape[1] > 1 else found.log_q - found.log_p
    return _curve(ensembles.mean(-1), sem(independent, axis=-1))


def freeze_ensemble(experiment: SyntheticExperiment, size: int, copy: int) -> FrozenFlow:
    """The flow that an ensemble of `size` paths leaves; `copy` tells independent ensembles apart."""
    seed = (*experiment.initial_seed, size, copy)
    x0 = experiment.start.sample(size, experiment.length, seed)
    return experiment.model().freeze(x0, experiment.n_steps, start=experiment.start)


def frozen_curve(
    flow: FrozenFlow, process: Process, n_paths: int, seed: Sequence[int], dtype: torch.dtype = torch.float64
) -> pd.DataFrame:
    """Reverse KL of a flow from a process along its steps, by fresh paths; a lower bound once a step folds.

    Returns:
        A row for each step: `reverse_kl` and `standard_error`, nats per path, of independent paths.
    """
    parts = []
    starts = flow.start.sample(n_paths, flow.length, seed)
    for number, batch in enumerate(starts.split(_BATCH)):
        states = flow.steps(batch.to(dtype), seed=(*seed, number), determinants=_RECORD_FOLDS)
        parts.append(torch.stack([state.log_prob - process.log_prob(state.paths.double()) for state in states]))
    apart = torch.cat(parts, -1)
    return _curve(apart.mean(-1), apart.std(-1) / math.sqrt(n_paths))


def _curve(reverse_kl: object, standard_error: object) -> pd.DataFrame:
    return pd.DataFrame({"reverse_kl": reverse_kl, "standard_error": standard_error}).rename_axis("step")


def forward_divergence(
    flow: FrozenFlow, process: Process, n_paths: int, seed: Sequence[int], steps: Iterable[int]
) -> pd.DataFrame:
    """Forward KL(p‖q_t) = E_p[log p − log q_t] of a flow at some of its steps, from paths of the process.

    Returns:
        A row for each step: `forward_kl` and `standard_error`, nats per path, over the paths that have an origin, and
        `without_origin`, the share of those that have none: they are of density 0, and a single one makes the
        divergence infinite.
    """
    paths = process.sample(n_paths, flow.length, seed)
    rows = {}
    for step in steps:
        apart = process.log_prob(paths) - log_density(flow.truncate(step), paths)
        there = apart[torch.isfinite(apart)]
        error = float(there.std()) / math.sqrt(len(there)) if len(there) > 1 else math.nan
        share = 1.0 - len(there) / n_paths
        rows[step] = {"forward_kl": float(there.mean()), "standard_error": error, "without_origin": share}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("step")


def log_density(flow: FrozenFlow, paths: Tensor) -> Tensor:
    """Log-densities of paths (N, d) under a flow, nats, (N,); −∞ where a path has no origin."""
    try:
        return flow.log_prob(paths)
    except NotInvertibleError:
        if len(paths) == 1:
            return torch.full((1,), -torch.inf, dtype=torch.float64)
    return torch.cat([log_density(flow, half) for half in paths.split(math.ceil(len(paths) / 2))])


@dataclass(frozen=True)
class HeldOut:
    """The S&P 500, a first part that laws are fitted to, and windows of the days after it that judge them.

    Attributes:
        n_train: returns in the first part.
        length: d, days of a window.
        n_paths: paths of the ensembles whose means are kept.
        seed: of their starts.
    """

    n_train: int = 2500
    length: int = 256
    n_paths: int = 1024
    seed: tuple[int, ...] = (2, 12345)

    @cached_property
    def series(self) -> tuple[Tensor, Tensor]:
        """The returns of both parts, in units of the first one's mean and standard deviation."""
        returns = torch.tensor(data.returns(data.sp500()).to_numpy())
        first = returns[: self.n_train]
        scaled = (returns - first.mean()) / first.std(correction=0)
        return scaled[: self.n_train], scaled[self.n_train :]

    @cached_property
    def windows(self) -> dict[str, Tensor]:
        """Disjoint windows (n, d) of the first part, "fitted", and of the second, "held out"."""
        fitted, later = (part[: len(part) // self.length * self.length] for part in self.series)
        return {"fitted": fitted.reshape(-1, self.length), "held out": later.reshape(-1, self.length)}

    @cached_property
    def target(self) -> Target:
        """The stylised facts of the first part."""
        return target_from_data(StylizedFacts(), self.series[0])

    @cached_property
    def garch(self) -> Process:
        """An AR(1)–GARCH(1, 1) with Gaussian innovations of the first part, one of the starts."""
        return fit_argarch(self.series[0], "gaussian").process

    def flow(self, model: str, start: str, step_size: float, n_steps: int) -> FrozenFlow:
        """The flow of a model, "mgdm" or "mf", from "noise" or "garch"."""
        law = self.garch if start == "garch" else WhiteNoise()
        descent = Model(StylizedFacts(), self.target, step_size, ensemble_size=1 if model == "mgdm" else None)
        return descent.freeze(law.sample(self.n_paths, self.length, self.seed), n_steps, start=law)

    def score(self, log_prob: dict[str, Tensor]) -> dict[str, float]:
        """Log-densities per day above those of white noise, of each kind of windows, with standard errors over them."""
        row = {}
        for kind, values in log_prob.items():
            above = ((values - WhiteNoise().log_prob(self.windows[kind])) / self.length).numpy()
            row[kind], row[f"{kind} ±"] = above.mean(), sem(above)
        return row

    def score_flow(self, flow: FrozenFlow) -> dict[str, float]:
        """`score` of a flow."""
        return self.score({kind: log_density(flow, windows) for kind, windows in self.windows.items()})

    def score_gain(self, flow: FrozenFlow) -> dict[str, float]:
        """How much likelier a flow finds the held-out days than the law that it starts from, window by window.

        Returns:
            `gain` and its `standard_error`, nats per day: smaller than those of the two, for windows are shared.
        """
        windows = self.windows["held out"]
        apart = ((log_density(flow, windows) - flow.start.log_prob(windows)) / self.length).numpy()
        return {"gain": apart.mean(), "standard_error": sem(apart)}

    def score_reference(self, innovations: str, *, given_the_past: bool) -> dict[str, float]:
        """`score` of an AR(1)–GARCH(1, 1) of the first part; a window by itself, as flows see it, or given the past."""
        law = fit_argarch(self.series[0], innovations).process
        if not given_the_past:
            return self.score({kind: law.log_prob(windows) for kind, windows in self.windows.items()})
        whole, found = torch.cat(self.series), {}
        for kind, begins in (("fitted", 0), ("held out", self.n_train)):
            ends = [begins + k * self.length for k in range(len(self.windows[kind]) + 1)]
            sums = torch.stack([law.log_prob(whole[None, :end])[0] if end else torch.zeros(()) for end in ends])
            found[kind] = sums.diff()
        return self.score(found)


def smallest_divergence(curve: pd.DataFrame) -> dict[str, float]:
    """The smallest divergence on a curve, its step, and its standard error."""
    step = int(np.asarray(curve["reverse_kl"]).argmin())
    least, error = (float(curve[name].iloc[step]) for name in ("reverse_kl", "standard_error"))
    return {"least": least, "step": step, "standard_error": error}
