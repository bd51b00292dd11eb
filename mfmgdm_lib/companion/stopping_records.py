"""What rules that stop a descent look at: recorded along it once, and taken from a sample of its process."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._threads import one_thread
from mfmgdm_lib.companion.table1 import Cell
from mfmgdm_lib.descents.descent import State
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.models import Model
from mfmgdm_lib.stopping import balanced_stop

__all__ = [
    "DescentRecord",
    "OtherStatistics",
    "SampleTerms",
    "fitted_weights",
    "other_statistics",
    "record_descent",
    "sample_terms",
]


@dataclass(frozen=True)
class DescentRecord:
    """What rules may look at, of one descent.

    Attributes:
        mismatch: mean over all paths of Φ − α, (T + 1, K).
        covariance: of the energies of single paths, (T + 1, K, K).
        loss: mean of L, (T + 1,).
        price: −log|det C| / N of each step, nats per path, (T,), interpolated where it was not calculated.
        price_error: its standard error, (T,); 0 from exact backends.
        stop: where `mm.balanced_stop` stops; `n_steps` where it never does.
        reached: whether it does.
        total_price: of the steps up to the stop, nats per path.
        undecided: steps whose price and gain differ by less than the error of the price.
        least_moved: smallest share of the entries that a step up to the stop moves.
        most_folded: largest share of the ensembles that one of them folds.
        seconds: that `mm.balanced_stop` took.
        n_paths: paths in all.
        members: paths of each ensemble.
        n_steps: of the whole descent. The record has T of them: all, or those that `mm.balanced_stop` took.
    """

    mismatch: np.ndarray
    covariance: np.ndarray
    loss: np.ndarray
    price: np.ndarray
    price_error: np.ndarray
    stop: int
    reached: bool
    total_price: float
    undecided: int
    least_moved: float
    most_folded: float
    seconds: float
    n_paths: int
    members: int
    n_steps: int

    @property
    def whole(self) -> bool:
        """Whether the record goes to the end of the descent."""
        return len(self.price) == self.n_steps

    def save(self, file: Path) -> None:
        """Write it to an npz file."""
        np.savez(file, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, file: Path) -> DescentRecord:
        """Read it back."""
        with np.load(file) as data:
            found = {name: data[name] for name in data.files}
        return cls(**{name: value if value.ndim else value.item() for name, value in found.items()})


class _Watched(Model):
    """A descent that writes down what rules look at."""

    rows: dict[int, tuple[np.ndarray, np.ndarray, float]]

    @classmethod
    def of(cls, model: Model) -> _Watched:
        """The same descent, watched."""
        size, support = model.ensemble_size, model.support
        watched = cls(model.energy, model.target, model.step_size, ensemble_size=size, support=support)
        watched.rows = {}
        return watched

    def evaluate(self, paths: Tensor, step: int = 0) -> State:
        """As `Descent`; the first visit of a step is written down."""
        state = super().evaluate(paths, step)
        if step not in self.rows:
            energies = state.energies.double().numpy()
            spread = np.cov(energies.T).reshape(energies.shape[1], -1)
            self.rows[step] = energies.mean(0) - self.target.mean.numpy(), spread, float(state.loss.double().mean())
        return state


def record_descent(model: Model, x0: Tensor, n_steps: int, *, to_end: bool = True, every: int = 5) -> DescentRecord:
    """Record a descent up to the stop of `balanced_stop`, and from there to its end.

    Args:
        model: MGDM or MF–MGDM, all of whose paths are in one ensemble or each by itself.
        x0: starting paths, (N, time).
        n_steps: steps to the end.
        to_end: whether to go on behind the stop, without which the record ends there.
        every: distance of the steps behind the stop whose price is calculated.
    """
    watched, began = _Watched.of(model), time.perf_counter()
    stop = balanced_stop(watched, x0, n_steps)
    seconds, taken = time.perf_counter() - began, len(stop.price)
    steps, prices, errors = list(range(taken)), list(stop.price), list(stop.price_error)
    if to_end and taken < n_steps:
        with one_thread():
            for state in watched.steps(stop.paths, n_steps - stop.step, start=stop.step):
                if taken <= state.step < n_steps and (state.step % every == 0 or state.step == n_steps - 1):
                    one = balanced_stop(model, state.paths, 1, seed=state.step)
                    steps.append(state.step)
                    prices.append(float(one.price[0]))
                    errors.append(float(one.price_error[0]))
    mean, spread, loss = (np.array(column) for column in zip(*watched.rows.values(), strict=True))
    known, wanted = np.isfinite(errors), np.arange(len(mean) - 1)
    return DescentRecord(
        mismatch=mean,
        covariance=spread.astype(np.float32),
        loss=loss,
        price=np.interp(wanted, steps, prices),
        price_error=np.interp(wanted, np.array(steps)[known], np.array(errors)[known]),
        stop=stop.step,
        reached=stop.reached,
        total_price=stop.total_price,
        undecided=stop.undecided,
        least_moved=float(stop.moved.min()),
        most_folded=float(np.nanmax(stop.folded)),
        seconds=seconds,
        n_paths=len(x0),
        members=stop.members,
        n_steps=n_steps,
    )


# --- what a sample of the process adds --------------------------------------------------------------------------------


@dataclass(frozen=True)
class SampleTerms:
    """What the rules that use a sample of the process take from it.

    Attributes:
        covariance: of the energies of its paths, (K, K).
        weights: θ of the law exp(−θᵀΦ) that fits it best by score matching, (K,).
    """

    covariance: np.ndarray
    weights: np.ndarray

    def save(self, file: Path) -> None:
        """Write it to an npz file."""
        np.savez(file, covariance=self.covariance, weights=self.weights)

    @classmethod
    def load(cls, file: Path) -> SampleTerms:
        """Read it back."""
        with np.load(file) as data:
            return cls(data["covariance"], data["weights"])


def sample_terms(cell: Cell, n_paths: int = 512, matched: int = 64, seed: tuple[int, ...] = (5, 12345)) -> SampleTerms:
    """Take from `n_paths` paths of a cell's process what rules with a sample use; `matched` of them fit θ."""
    experiment, rng = cell.experiment(), np.random.default_rng(seed)
    energy = experiment.energy
    paths = experiment.process.sample(n_paths, cell.length, rng).to(getattr(torch, cell.dtype))
    energies = torch.cat([energy(batch) for batch in paths.split(128)]).double()
    spread = np.cov(energies.numpy().T).reshape(energy.dim, -1)
    return SampleTerms(spread, fitted_weights(energy, paths[:matched], rng))


def fitted_weights(energy: Energy, paths: Tensor, rng: np.random.Generator) -> np.ndarray:
    r"""Fit θ of the law exp(−θᵀΦ) to paths (N, d) by score matching, (K,).

    Score matching (Hyvärinen 2005; of positive paths with the weights h(x) = x, Hyvärinen 2007) needs no constant:

    .. math:: \theta = \Bigl(E \sum_i h_i \partial_i \Phi \partial_i \Phi^\top\Bigr)^{-1}
                       E \sum_i (h_i \partial_{ii} \Phi + h_i' \partial_i \Phi).

    Diagonals of Hessians are estimated with one random sign for each entry (Hutchinson 1989).
    """
    h, slope = (torch.ones_like(paths), 0.0) if bool((paths < 0).any()) else (paths, 1.0)
    rows, curvatures = [], []
    for unit in torch.eye(energy.dim).to(paths):
        force, product = energy.linearize(paths, unit.expand(len(paths), -1))
        signs = torch.from_numpy(rng.choice([-1.0, 1.0], tuple(paths.shape))).to(paths)
        curvatures.append(float((slope * force + h * signs * product(signs)).double().sum(-1).mean()))
        rows.append(force.double())
    jacobian = torch.stack(rows, 1)
    gram = torch.einsum("nkt,nt,njt->kj", jacobian, h.double(), jacobian).numpy() / len(paths)
    scale = np.sqrt(gram.diagonal())
    found = np.linalg.lstsq(gram / np.outer(scale, scale), np.array(curvatures) / scale, rcond=None)[0]
    return np.asarray(found / scale)


OTHERS = 9
"""Statistics in `OtherStatistics`."""


def _others(paths: Tensor) -> Tensor:
    """Means of the first four powers of each path (N, d), and products of neighbours at lags 1 to 5, (N, 9)."""
    paths = paths.double()
    powers = [paths.pow(k).mean(-1) for k in range(1, 5)]
    products = [torch.linalg.vecdot(paths[:, lag:], paths[:, :-lag]) / paths.shape[-1] for lag in range(1, OTHERS - 3)]
    return torch.stack([*powers, *products], -1)


@dataclass(frozen=True)
class OtherStatistics:
    """Nine statistics that do not drive a descent, along it and in a sample of the process.

    Attributes:
        mismatch: mean over all paths, less that of the sample, (T + 1, 9).
        covariance: of single paths, (T + 1, 9, 9).
        sample_covariance: of the paths of the sample, (9, 9).
    """

    mismatch: np.ndarray
    covariance: np.ndarray
    sample_covariance: np.ndarray

    def save(self, file: Path) -> None:
        """Write it to an npz file."""
        np.savez(file, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, file: Path) -> OtherStatistics:
        """Read it back."""
        with np.load(file) as data:
            return cls(**data)


def other_statistics(
    cell: Cell, members: int, n_paths: int = 4096, seed: tuple[int, ...] = (5, 12345)
) -> OtherStatistics:
    """Watch the nine statistics along the descent of one ensemble of `members` paths, against a sample of `n_paths`."""
    experiment = cell.experiment()
    expected = _others(experiment.process.sample(n_paths, cell.length, seed)).numpy()
    x0 = experiment.start.sample(members, cell.length, cell.initial_seed).to(getattr(torch, cell.dtype))
    found = [_others(state.paths).numpy() for state in experiment.model().steps(x0, cell.n_steps)]
    mismatch = np.array([values.mean(0) - expected.mean(0) for values in found])
    return OtherStatistics(mismatch, np.array([np.cov(values.T) for values in found]), np.cov(expected.T))
