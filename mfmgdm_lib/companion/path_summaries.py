"""Summaries of paths and of a series that stored runs of Figures 6 to 10 keep: quantiles of statistics, densities."""

from __future__ import annotations

import numpy as np
import pandas as pd
from torch import Tensor

from mfmgdm_lib._checks import check_paths
from mfmgdm_lib.statistics import histogram, path_statistics

__all__ = ["EDGES", "LEVELS", "describe_paths", "describe_series"]

LEVELS = np.linspace(0.0, 1.0, 33)
"""Shares of the paths below a quantile, where the spread of a statistic over paths is kept."""

EDGES = np.linspace(-8.0, 8.0, 65)
"""Edges of the bins of marginal densities, standard deviations."""


def describe_paths(paths: Tensor, lags: int = 20) -> dict[str, pd.Series]:
    """Sum up paths by the spread of statistics over them, and by the density of all their points.

    Args:
        paths: standardised paths (N, time), longer than `lags`.
        lags: the largest lag.

    Returns:
        The statistics of `path_statistics` by name, each the quantiles over paths at the shares `LEVELS`; and
        "marginal", the density of all points on the bins that begin at its index.

    Example:
        >>> import torch
        >>> noise = torch.randn(200, 1024, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> found = describe_paths(noise)
        >>> round(float(found["kurtosis"][0.5]), 1), len(found)
        (3.0, 50)
    """
    spread = path_statistics(check_paths("paths", paths, minimum_length=lags + 1), lags)
    quantiles = {name: pd.Series(np.quantile(values.numpy(), LEVELS), LEVELS) for name, values in spread.items()}
    return {**quantiles, "marginal": pd.Series(histogram(paths, EDGES), EDGES[:-1])}


def describe_series(series: Tensor, *, window: int = 1024, lags: int = 20) -> dict[str, pd.Series]:
    """Sum up one observed series, and the spread of the same statistics over disjoint windows of it.

    Args:
        series: standardised values (length,), at least one window long.
        window: points of a window, that of a path.
        lags: the largest lag.

    Returns:
        By name, each indexed by the names of `describe_paths`: "value" of the whole series and "spread", the standard
        deviation over windows (NaN for a single one); and "marginal", as there.
    """
    if len(check_paths("series", series)) < window:
        raise ValueError(
            f"series has {len(series)} points; expected at least {window}, one window. Use a longer one, or a shorter"
            " window."
        )
    whole = path_statistics(series[None], lags)
    windows = path_statistics(series[: len(series) // window * window].reshape(-1, window), lags)
    return {
        "value": pd.Series({name: float(value) for name, value in whole.items()}),
        "spread": pd.Series({name: pd.Series(values.numpy()).std() for name, values in windows.items()}),
        "marginal": pd.Series(histogram(series, EDGES), EDGES[:-1]),
    }
