"""Run Table 1's cells of the CIR processes under the autocovariance energy, and keep them for the book.

`python tools/cir_autocovariance.py` writes two files that notebooks/10_positivity.md draws, some minutes of work:

- results/cir_autocovariance.csv: the divergence along the descents, at each of the first steps and every few later on;
- results/cir_variations.csv: by how much the smallest divergence changes with things that the paper leaves open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.companion import CIR_EXPONENTIAL, CIR_TRUNCATED, SyntheticExperiment, store, summarize
from mfmgdm_lib.companion.derivations import full_jacobian
from mfmgdm_lib.descents.descent import State
from mfmgdm_lib.divergence import DivergenceTrace
from mfmgdm_lib.processes import CIR, Process
from mfmgdm_lib.processes.base import Seed

CELLS = {"cir-exp": CIR_EXPONENTIAL, "cir-trunc": CIR_TRUNCATED}
MODELS: dict[str, int | None] = {"MGDM": 1, "MF–MGDM": None}

EVERY_STEP_UP_TO = 30
EVERY = 5
SAMPLED_STEPS, SAMPLED_PATHS = 8, 8


def thin(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the first steps, every few of the others, and the one with the smallest divergence."""
    step = table.index.to_numpy()
    return table[(step <= EVERY_STEP_UP_TO) | (step % EVERY == 0) | (step == table["reverse_kl"].idxmin())]


# --- what the paper leaves open -------------------------------------------------------------------------------------


class Single(Process):
    """A law whose draws are rounded to float32, so that everything made of them is in float32 too."""

    def __init__(self, law: Process) -> None:
        self.law, self.support = law, law.support

    @property
    def mean(self) -> float:
        return self.law.mean

    @property
    def stddev(self) -> float:
        return self.law.stddev

    def sample(self, n: int, length: int, seed: Seed) -> Tensor:
        return self.law.sample(n, length, seed).float()

    def log_prob(self, x: Tensor) -> Tensor:
        return self.law.log_prob(x)


class SingleStart(SyntheticExperiment):
    """The same experiment with paths, steps and starting log-densities in float32; sums of determinants are not."""

    @property
    def start(self) -> Process:
        return Single(super().start)


class ExactTarget(SyntheticExperiment):
    """The same experiment with the true moments for a target, in place of the mean of 10 000 paths."""

    @cached_property
    def target(self) -> mm.Target:
        process = self.process
        assert isinstance(process, CIR)
        lag_1 = process.mean**2 + process.stddev**2 * math.exp(-process.kappa * process.dt)
        lag_0 = process.mean**2 + process.stddev**2
        mean = torch.tensor([lag_1 * (self.length - 1) / self.length, lag_0], dtype=torch.float64)
        return mm.Target(mean, torch.zeros_like(mean), self.energy.labels, "moments in closed form")


def as_kind(kind: type[SyntheticExperiment], cell: SyntheticExperiment) -> SyntheticExperiment:
    return kind(cell.process, cell.energy, cell.step_size, cell.n_steps)


def least(experiment: SyntheticExperiment, size: int | None, n_steps: int) -> float:
    return float(experiment.trace(size, n_steps=n_steps).reverse_kl.min())


def naive_log_likelihood(process: CIR, x: Tensor) -> Tensor:
    """The log-density of paths by its formula, all of it in the dtype of x; for Bessel functions of order 0 or 1."""
    shape = 2 * process.kappa * process.theta / process.sigma**2
    order, scale = round(shape - 1), process.sigma**2 / (2 * process.kappa)
    decay = math.exp(-process.kappa * process.dt)
    c = 2 * process.kappa / (process.sigma**2 * (1 - decay))
    u, v = c * decay * x[:, :-1], c * x[:, 1:]
    z = 2 * (u * v).sqrt()
    bessel = (torch.special.i0, torch.special.i1)[order](z).log()
    later = math.log(c) - u - v + 0.5 * order * (v.log() - u.log()) + bessel
    first = (shape - 1) * x[:, 0].log() - x[:, 0] / scale - math.lgamma(shape) - shape * math.log(scale)
    return first + later.sum(1)


def single_determinant(experiment: SyntheticExperiment, state: State, path: int, *, coupled: bool) -> float:
    """Log-determinant for one path by automatic differentiation and LU, all in float32.

    With `coupled` it is that of the step of MGDM, else that of the path's own block A_n alone.
    """
    energy, target = experiment.energy, experiment.target
    x = state.paths[path].float()
    if coupled:
        rounded = replace(target, mean=target.mean.float())
        matrix = full_jacobian(mm.MGDM(energy, rounded, experiment.step_size), x[None])
    else:
        weights = (experiment.model().rate * state.mismatch[path]).float()
        matrix = torch.eye(len(x)) - torch.func.hessian(lambda y: energy(y) @ weights)(x)
    return float(torch.linalg.slogdet(matrix).logabsdet)


def single_determinants(experiment: SyntheticExperiment, size: int | None, best: int) -> float:
    """What float32 determinants would add to the divergence at the best step, from some steps and paths."""
    model = experiment.model(size)
    x0 = experiment.start.sample(experiment.n_paths, experiment.length, experiment.initial_seed)
    chosen = np.linspace(0, best - 1, SAMPLED_STEPS).astype(int)
    errors = []
    for state in model.steps(x0, best - 1):
        if state.step in chosen:
            exact = mm.log_determinant(model, state)
            for path in range(SAMPLED_PATHS if size == 1 else 1):
                own = exact.per_path[path] if size == 1 else exact.blocks[path]
                errors.append(float(own) - single_determinant(experiment, state, path, coupled=size == 1))
    return best * float(np.mean(errors))


def coupling_sum(experiment: SyntheticExperiment, size: int | None, best: int) -> float:
    """What the capacitance matrices add to the divergence up to the best step."""
    model = experiment.model(size)
    x0 = experiment.start.sample(experiment.n_paths, experiment.length, experiment.initial_seed)
    states = model.steps(x0, best - 1)
    return -sum(float(mm.log_determinant(model, state).capacitance.sum()) for state in states) / len(x0)


def at_best(experiment: SyntheticExperiment, size: int | None, best: int) -> Tensor:
    x0 = experiment.start.sample(experiment.n_paths, experiment.length, experiment.initial_seed)
    return experiment.model(size).sample(x0, best)


def variations(cell: SyntheticExperiment, size: int | None, trace: DivergenceTrace) -> dict[str, float]:
    """Change of the smallest divergence, nats per path, by what is varied."""
    process = cell.process
    assert isinstance(process, CIR)
    best, smallest = trace.best_step, trace.reverse_kl.min()
    long_enough = best + best // 10
    paths = at_best(cell, size, best)
    likelihood = naive_log_likelihood(process, paths.float()).double() - process.log_prob(paths)
    gap = trace.log_q - trace.log_p
    without = (gap.sum(1, keepdims=True) - gap) / (gap.shape[1] - 1)
    wide = replace(cell, step_size=5 * cell.step_size)
    probed = mm.reverse_kl_trace(
        cell.model(size),
        process,
        cell.start,
        n_steps=long_enough,
        n_paths=cell.n_paths,
        length=cell.length,
        seed=cell.initial_seed,
        determinants="stochastic",
    )
    return {
        "draws and steps in float32": least(as_kind(SingleStart, cell), size, long_enough) - smallest,
        "log-likelihood in float32": -float(likelihood.mean()),
        "determinants in float32": single_determinants(cell, size, best),
        "determinants from random probes": float(probed.reverse_kl.min()) - smallest,
        "standard error of those": float(probed.determinant_error[probed.best_step]),
        "another draw of the target": least(replace(cell, target_seed=(4, 12345)), size, long_enough) - smallest,
        "true moments as the target": least(as_kind(ExactTarget, cell), size, long_enough) - smallest,
        "five times the step size": least(wide, size, long_enough // 5) - smallest,
        "every tenth step recorded": float(trace.reverse_kl[::10].min()) - smallest,
        "one path left out, at most": float(without.min(0).max()) - smallest,
        "coupling term, all of it": coupling_sum(cell, size, best),
    }


# --- files ----------------------------------------------------------------------------------------------------------


def write(name: str, what: str, tables: Mapping[tuple[str, str], pd.DataFrame]) -> None:
    """Write tables, by process and model, as one file."""
    cell = CIR_EXPONENTIAL
    origin = [
        what,
        *(f"{key}: {run.process!r}, {run.n_steps} steps, start {run.start!r}" for key, run in CELLS.items()),
        f"Both: {cell.energy!r}, step size {cell.step_size:g}, {cell.n_paths} paths of {cell.length} points,"
        f" target from {cell.target_samples} paths; seeds {cell.initial_seed} (start), {cell.target_seed} (target)",
        "Made by: python tools/cir_autocovariance.py",
    ]
    table = pd.concat(tables, names=["process", "model"])
    store(name, table.to_csv(float_format="%.6f"), origin)


def main() -> None:
    """Run the four descents, then what may change them."""
    traces = {(key, name): cell.trace(size) for key, cell in CELLS.items() for name, size in MODELS.items()}
    write(
        "cir_autocovariance",
        "Reverse KL along descents, nats per path, and the least share of entries that a step has moved.",
        {which: thin(summarize(trace)) for which, trace in traces.items()},
    )
    changes = {
        (key, name): pd.Series(variations(CELLS[key], MODELS[name], trace)).rename_axis("variation").to_frame("nats")
        for (key, name), trace in traces.items()
    }
    write("cir_variations", "Change of the smallest reverse KL, nats per path, with what is varied.", changes)


if __name__ == "__main__":
    main()
