"""A permutation test of whether two samples are from one law, by the energy distance of their statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_finite, check_positive_int
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib.processes.base import Seed, generator

__all__ = ["TwoSampleTest", "two_sample_test"]


@dataclass(frozen=True)
class TwoSampleTest:
    """How far two samples of statistics are apart, and how often chance would put them as far.

    Attributes:
        distance: the energy distance of the two samples, relative to twice the mean distance between one of the first
            and one of the second: from 0 for the same law to 1 for two points.
        p_value: share of the divisions of all draws into two samples of these sizes with a distance at least as large:
            where both are from one law, p ≤ α has at most the probability α, whatever the law.
        chance: the median distance of those divisions.
        limit: the distance that one in twenty of them exceeds.
        sizes: number of draws in the first and in the second sample.
        differences: a row for each statistic: its `first` mean, its `second` mean, and the difference of these in
            standard deviations of the `first` sample, NaN where that has none.
    """

    distance: float
    p_value: float
    chance: float
    limit: float
    sizes: tuple[int, int]
    differences: pd.DataFrame


@checked
def two_sample_test(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], n_permutations: int = 999, seed: Seed = 0
) -> TwoSampleTest:
    r"""Test whether two samples are from one law, on some statistics of each draw.

    With D the Euclidean distance of two draws in the space of the statistics, each in units of its standard deviation
    over both samples, X and X′ from the first, Y and Y′ from the second, the distance is

    .. math:: \frac{2 E D(X, Y) - E D(X, X') - E D(Y, Y')}{2 E D(X, Y)}

    (Székely and Rizzo 2013), with means over all pairs, those of a draw with itself included. The p-value comes from
    divisions at random, the given one counted among them (Davison and Hinkley 1997, Section 4.3): it is exact where
    draws are exchangeable, such as patches of a picture that do not overlap and fields of one ensemble are nearly.

    Args:
        first: statistics by name, (n,) each, such as `describe_fields` returns.
        second: the same statistics of another sample, (m,) each.
        n_permutations: divisions at random.
        seed: of these: whatever `numpy.random.default_rng` takes.

    Raises:
        ValueError: other statistics, fewer than 3 draws, or values that are not finite.

    Example:
        >>> draw = torch.randn(60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> two_sample_test({"x": draw[:20]}, {"x": draw[20:40]}).p_value > 0.05
        True
        >>> two_sample_test({"x": draw[:20]}, {"x": draw[20:40] + 2.0}).p_value
        0.001
    """
    check_positive_int("n_permutations", n_permutations)
    rows, names = _joined(first, second)
    n = len(next(iter(first.values())))
    spread = rows.std(0, correction=0)
    scaled = (rows / spread.where(spread > 0, torch.inf)).numpy()
    between = np.sqrt(np.maximum(_squared_distances(scaled), 0.0))
    rng = generator(seed)
    marks = np.zeros((n_permutations + 1, len(rows)))
    marks[:, :n] = 1.0
    marks[1:] = rng.permuted(marks[1:], axis=1)
    distances = _relative_distances(between, marks)
    # Divisions into the same two sets differ by round-off, which must not count as smaller.
    reached = distances[1:] >= distances[0] * (1.0 - 1e-9) - 1e-12
    return TwoSampleTest(
        distance=float(distances[0]),
        p_value=float((1 + reached.sum()) / (1 + n_permutations)),
        chance=float(np.median(distances[1:])),
        limit=float(np.quantile(distances[1:], 0.95)),
        sizes=(n, len(rows) - n),
        differences=_differences(rows[:n], rows[n:], names),
    )


def _joined(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> tuple[Tensor, list[str]]:
    """All draws one below the other, (n + m, F), with the names of the statistics."""
    if list(first) != list(second) or not first:
        raise ValueError(
            f"first has {len(first)} statistics, second {len(second)}; expected the same ones, in one order, at least"
            " one. Compute both in one way."
        )
    tables = [torch.stack([values.double() for values in sample.values()], 1) for sample in (first, second)]
    for name, table in zip(("first", "second"), tables, strict=True):
        if len(table) < 3:
            raise ValueError(f"{name} has {len(table)} draws; expected at least 3. Use more patches or fields.")
        check_finite(name, table)
    return torch.cat(tables), list(first)


def _squared_distances(rows: np.ndarray) -> np.ndarray:
    """Squared distances of all pairs of rows, from their differences, as there are few rows."""
    return np.square(rows[:, None] - rows[None]).sum(-1)


def _relative_distances(between: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """The relative energy distance for each row of marks, 1 for draws of the first sample and 0 for the second."""
    n, m = marks[0].sum(), (1.0 - marks[0]).sum()
    towards = marks @ between
    within_first = (towards * marks).sum(1)
    across = (towards * (1.0 - marks)).sum(1)
    within_second = between.sum() - within_first - 2.0 * across
    mean_across = across / (n * m)
    apart = 2.0 * mean_across - within_first / n**2 - within_second / m**2
    return np.asarray(apart / np.maximum(2.0 * mean_across, np.finfo(float).tiny))


def _differences(first: Tensor, second: Tensor, names: list[str]) -> pd.DataFrame:
    spread = first.std(0)
    apart = (second.mean(0) - first.mean(0)) / spread.where(spread > 0, torch.nan)
    columns = torch.stack([first.mean(0), second.mean(0), apart], 1).numpy()
    return pd.DataFrame(columns, names, ["first", "second", "difference"])
