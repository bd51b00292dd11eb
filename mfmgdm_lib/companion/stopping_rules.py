"""Rules that stop a descent without its process, and what their stops lose against the smallest divergence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from mfmgdm_lib.companion.comparison import ENERGY_NAMES
from mfmgdm_lib.companion.stopping_records import DescentRecord, OtherStatistics, SampleTerms
from mfmgdm_lib.companion.synthetic import PROCESS_NAMES

__all__ = [
    "RULES",
    "course",
    "losses",
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
