"""Rules that stop a descent without its process: what they look at, recorded once for each descent, and the rules."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mfmgdm_lib._threads import one_thread
from mfmgdm_lib.companion.comparison import ENERGY_NAMES
from mfmgdm_lib.companion.synthetic import PROCESS_NAMES
from mfmgdm_lib.companion.table1 import Cell
from mfmgdm_lib.descents.descent import State
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.models import Model
from mfmgdm_lib.stopping import balanced_stop

__all__ = [
    "RULES",
    "DescentRecord",
    "OtherStatistics",
    "SampleTerms",
    "course",
    "fitted_weights",
    "losses",
    "other_statistics",
    "record_descent",
    "sample_terms",
    "stops",
    "summary_of_rules",
    "tolerance",
    "within_tolerance",
]

NATS, SHARE = 0.15, 0.05
"""What a stop may lose: this many nats, or this share of what the descent gains up to its minimum."""


def tolerance(gained: pd.Series) -> pd.Series:
    """What a stop may lose: 0.15 nats, or 5 % of what the descent gains up to its minimum where that is more."""
    return (SHARE * gained).clip(lower=NATS)


def within_tolerance(table: pd.DataFrame) -> pd.Series:
    """Whether `above`, the KL at the stop less its minimum, is within the tolerance for `gained`."""
    return pd.Series(table["above"] <= tolerance(table["gained"]))


def losses(table: pd.DataFrame, members: int) -> pd.DataFrame:
    """What the rule loses on each pair of Table 1, nats per path: processes by energies.

    Args:
        table: `results/balanced_stop.csv`.
        members: paths of an ensemble.

    Returns:
        The losses as text; those beyond the tolerance have a star.
    """
    rows = table[table["members"] == members]
    texts = rows["above"].map("{:.2f}".format) + within_tolerance(rows).map({True: "", False: " *"})
    grid = rows.assign(text=texts).pivot(index="process", columns="energy", values="text")
    grid = grid.reindex(index=list(PROCESS_NAMES), columns=list(ENERGY_NAMES)).fillna("not run")
    return grid.rename(index=PROCESS_NAMES, columns=ENERGY_NAMES).rename_axis(index=None, columns=None)


def summary_of_rules(table: pd.DataFrame) -> pd.DataFrame:
    """What each rule loses over all descents that the table has, in the order of `RULES`.

    Args:
        table: `results/stopping_rules.csv`.

    Returns:
        A row for each rule: the number of descents, those within the tolerance, and of `above` the median and the
        maximum, nats per path.
    """
    by_rule = table.assign(within=within_tolerance(table)).groupby("rule", sort=False)
    columns = {
        "descents": by_rule.size(),
        "within": by_rule["within"].sum(),
        "median": by_rule["above"].median(),
        "worst": by_rule["above"].max(),
    }
    return pd.DataFrame(columns)


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


# --- the rules --------------------------------------------------------------------------------------------------------


def _quadratic(mismatch: np.ndarray, covariance: np.ndarray) -> float:
    """½ r̄ᵀ Σ⁻¹ r̄, nats."""
    scale = np.sqrt(covariance.diagonal())
    scaled = mismatch / scale
    return float(
        0.5 * scaled @ np.linalg.pinv(covariance / np.outer(scale, scale), rcond=1e-6, hermitian=True) @ scaled
    )


def _log_det(covariance: np.ndarray) -> float:
    return float(np.linalg.slogdet(covariance)[1])


def _spread(record: DescentRecord, t: int) -> np.ndarray:
    """Σ_Φ at step t; that of the start where every path is by itself, for there the spread shrinks."""
    return np.asarray(record.covariance[0 if record.members == 1 else t], dtype=float)


def _gains(record: DescentRecord, spread_of: Callable[[int], np.ndarray]) -> np.ndarray:
    """Falls of ½ r̄ᵀ Σ⁻¹ r̄ in each step, by one and the same Σ at both ends of it, (T,)."""
    found = np.empty(len(record.price))
    for t in range(len(found)):
        spread = spread_of(t)
        found[t] = _quadratic(record.mismatch[t], spread) - _quadratic(record.mismatch[t + 1], spread)
    return found


def _falls(record: DescentRecord, cost: Callable[[int], float]) -> np.ndarray:
    """Falls of a cost that is known at each step, (T,)."""
    return -np.diff([cost(t) for t in range(len(record.mismatch))])


def _of_the_library(record: DescentRecord, _: SampleTerms) -> np.ndarray:
    return _falls(record, lambda t: _quadratic(record.mismatch[t], _spread(record, t)))


def _same_spread(record: DescentRecord, _: SampleTerms) -> np.ndarray:
    return _gains(record, lambda t: _spread(record, t))


def _pooled(record: DescentRecord, _: SampleTerms) -> np.ndarray:
    total = np.cumsum(record.covariance.astype(float), 0)
    return _gains(record, lambda t: total[t] / (t + 1))


def _one_by_one(record: DescentRecord, _: SampleTerms) -> np.ndarray:
    return _falls(record, lambda t: _quadratic(record.mismatch[t], np.diag(_spread(record, t).diagonal())))


def _shrunk(record: DescentRecord, _: SampleTerms) -> np.ndarray:
    def half_way(t: int) -> np.ndarray:
        spread = _spread(record, t)
        return 0.5 * (spread + np.diag(spread.diagonal()))

    return _falls(record, lambda t: _quadratic(record.mismatch[t], half_way(t)))


def _with_volume(record: DescentRecord, _: SampleTerms) -> np.ndarray:
    def cost(t: int) -> float:
        return _quadratic(record.mismatch[t], _spread(record, t)) - 0.5 * _log_det(record.covariance[t].astype(float))

    return _falls(record, cost)


def _known_spread(record: DescentRecord, sample: SampleTerms) -> np.ndarray:
    return _gains(record, lambda _: sample.covariance)


def _whole_gaussian(record: DescentRecord, sample: SampleTerms) -> np.ndarray:
    inverse = np.linalg.inv(sample.covariance)

    def cost(t: int) -> float:
        spread = record.covariance[t].astype(float)
        return _quadratic(record.mismatch[t], sample.covariance) + 0.5 * (np.trace(inverse @ spread) - _log_det(spread))

    return _falls(record, cost)


GAINS: dict[str, Callable[[DescentRecord, SampleTerms], np.ndarray]] = {
    "as it is": _of_the_library,
    "one Σ for both ends of a step": _same_spread,
    "Σ pooled over the steps": _pooled,
    "energies one by one": _one_by_one,
    "Σ half shrunk to its diagonal": _shrunk,
    "entropy of the energies added": _with_volume,
    "Σ of a sample": _known_spread,
    "whole Gaussian KL with a sample": _whole_gaussian,
}
"""What a step gains by each rule that weighs it against the price, (T,)."""

RULES = (
    *GAINS,
    "all entropy that is lost as the price",
    "V below K / 2N",
    "law fitted to a sample",
    "V of nine other statistics",
    "that with Σ of a sample",
)
"""All rules by name: "V below …" and "law …" know no price; the last two are for those descents that were watched."""


def stops(
    record: DescentRecord, sample: SampleTerms, entropy: np.ndarray, others: OtherStatistics | None = None
) -> dict[str, int]:
    """Where each rule stops, by name; at the end where it never does.

    Args:
        record: of a whole descent.
        sample: of the process.
        entropy: of the law along the descent, nats per path, (T + 1,).
        others: statistics that do not drive it; None where these were not watched, and then their rules are missing.
    """
    error = pd.Series(record.price_error).ewm(alpha=1 / 8, adjust=False).mean().to_numpy()
    gains = {name: gains_of(record, sample) for name, gains_of in GAINS.items()}
    found = {name: _first_of_five(record.price - gain > error) for name, gain in gains.items()}
    found["all entropy that is lost as the price"] = _first_of_five(-np.diff(entropy) > gains["as it is"])
    cost = np.array([_quadratic(r, _spread(record, t)) for t, r in enumerate(record.mismatch)])
    small = cost < record.mismatch.shape[1] / (2 * (record.members if record.members > 1 else record.n_paths))
    found["V below K / 2N"] = int(small.argmax()) if small.any() else len(cost) - 1
    found["law fitted to a sample"] = int((record.mismatch @ sample.weights - entropy).argmin())
    if others is not None:
        own = [_quadratic(r, spread) for r, spread in zip(others.mismatch, others.covariance, strict=True)]
        known = [_quadratic(r, others.sample_covariance) for r in others.mismatch]
        found["V of nine other statistics"] = _first_of_five(record.price + np.diff(own) > error)
        found["that with Σ of a sample"] = _first_of_five(record.price + np.diff(known) > error)
    return found


def course(record: DescentRecord, divergence: pd.Series) -> pd.DataFrame:
    """What a rule sees along a descent, beside the divergence.

    Args:
        record: of a whole descent.
        divergence: reverse KL, nats per path, at some of the steps.

    Returns:
        A row for each of those steps: `reverse_kl`; `paid`, the price of all steps so far; and `wrong_mean`, V.
    """
    steps = divergence.index.to_numpy()
    paid = np.append(0.0, np.cumsum(record.price))
    wrong = [_quadratic(record.mismatch[t], _spread(record, t)) for t in steps]
    return pd.DataFrame({"step": steps, "reverse_kl": divergence.to_numpy(), "paid": paid[steps], "wrong_mean": wrong})


def _first_of_five(counts: np.ndarray) -> int:
    """First of five steps in a row that count; their number where there are none."""
    runs = np.convolve(counts, np.ones(5), "valid") == 5
    return int(runs.argmax()) if runs.any() else len(counts)
