"""The report on several series at once: the rows of each, and those of pairs of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from mfmgdm_lib._checks import as_windows
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib.report import compared, path_report, series_warnings
from mfmgdm_lib.statistics import cross_correlation

__all__ = ["columns_warnings", "joint_report", "pair_statistics"]


def joint_report(
    scaled: Tensor, ensemble: Tensor, n_paths: int, mean: Tensor, stddev: Tensor, names: Sequence[str]
) -> pd.DataFrame:
    """Return the report of `generate` on several series: that of each, and cross-correlations of each pair.

    Args:
        scaled: the series, each by its mean and standard deviation, (C, points).
        ensemble: all paths that moved together, in the same units, (N, C, time).
        n_paths: of how many of them the mean is reported.
        mean: of each series, in its units, (C, 1).
        stddev: the same.
        names: of the series.

    Returns:
        The rows of `path_report` for each series, such as "AAA: kurtosis", then those of `pair_statistics`, such as
        "AAA × BBB: correlation", with the same columns.

    Example:
        >>> import torch
        >>> noise = torch.randn(65, 2, 128, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> zero, one = torch.zeros(2, 1), torch.ones(2, 1)
        >>> report = joint_report(noise[0], noise[1:], 64, zero, one, ["AAA", "BBB"])
        >>> report.shape, report.index[-4:].tolist()
        ((56, 5), ['AAA × BBB: correlation', 'AAA × BBB: correlation of squares', 'AAA × BBB: correlation, lag -1',
          'AAA × BBB: correlation, lag 1'])
    """
    length = ensemble.shape[-1]
    parts = []
    for place, name in enumerate(names):
        units = float(mean[place]), float(stddev[place])
        part = path_report(scaled[place], ensemble[:, place], n_paths, *units)
        parts.append(part.set_axis([f"{name}: {row}" for row in part.index]))
    whole = scaled.shape[-1] >= length
    windows = as_windows("series", scaled, length, (len(names), None)) if whole else None
    of_series, of_paths = (pair_statistics(x, names) for x in (scaled[None], ensemble))
    of_windows = None if windows is None else pair_statistics(windows, names)
    return pd.concat([*parts, compared(of_series, of_windows, of_paths, n_paths)])


def pair_statistics(scaled: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """Return the cross-correlations that the report has of each pair of channels, by the labels of its rows, (N,) each.

    Args:
        scaled: paths (N, C, time), by the means and the standard deviations of the series.
        names: of the channels.

    Returns:
        Correlations of values and of their squares at the same time, and of values at lags −1 and 1, where at lag 1
        the second of a pair is the later one.
    """
    found: dict[str, Tensor] = {}
    for (first, x), (second, y) in itertools.combinations(zip(names, scaled.unbind(1), strict=True), 2):
        of_values, of_squares = cross_correlation(x, y, 1), cross_correlation(x**2, y**2, 0)
        pair = f"{first} × {second}: correlation"
        found |= {pair: of_values[:, 1], f"{pair} of squares": of_squares[:, 0]}
        found |= {f"{pair}, lag {lag}": of_values[:, 1 + lag] for lag in (-1, 1)}
    return found


def columns_warnings(series: Iterable[Any], length: int, names: Sequence[str]) -> list[str]:
    """Return what `series_warnings` says of each of several series, under its name; what is said of all is said once.

    Example:
        >>> import torch
        >>> noise = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> columns_warnings(noise, 64, ["AAA", "BBB"])
        ['The series has 1000 points: its statistics are rough, and the paths take them as true.']
    """
    said = [series_warnings(column, length) for column in series]
    common = [note for note in said[0] if all(note in notes for notes in said)]
    own = [f"{name}: {note}" for name, notes in zip(names, said, strict=True) for note in notes if note not in common]
    return common + own
