"""Statistics that compare paths: autocorrelations, quantiles, histograms and fitted exponents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mfmgdm_lib._checks import check_finite, check_paths, check_positive_int
from mfmgdm_lib.energies.autocovariance import lagged_products

__all__ = [
    "autocorrelation",
    "describe_paths",
    "describe_series",
    "fitted_exponent",
    "gaussian_contour",
    "growth_exponents",
    "histogram",
    "path_statistics",
    "separation",
]


def autocorrelation(x: Tensor, lags: int = 20) -> Tensor:
    """Sample autocorrelations of each path, centred on its own mean.

    Args:
        x: paths (*, time), longer than `lags`.
        lags: the largest lag.

    Returns:
        A tensor (*, lags) for lags 1 … lags.

    Example:
        >>> alternating = torch.tensor([1.0, -1.0] * 50, dtype=torch.float64)
        >>> autocorrelation(alternating, lags=2).numpy().round(2).tolist()
        [-0.99, 0.98]
    """
    check_positive_int("lags", lags)
    check_finite("x", check_paths("x", x, minimum_length=lags + 1))
    centred = x - x.mean(-1, keepdim=True)
    products = torch.stack([lagged_products(centred, lag) for lag in range(lags + 1)], dim=-1)
    return products[..., 1:] / products[..., :1]


LEVELS = np.linspace(0.0, 1.0, 33)
"""Shares of the paths below a quantile, where the spread of a statistic over paths is kept."""

TAILS = (0.001, 0.01, 0.05, 0.95, 0.99, 0.999)
"""Shares of the points below a tail quantile of a path."""

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


def path_statistics(paths: Tensor, lags: int = 20) -> dict[str, Tensor]:
    """The statistics of each path, by name, (N,) each.

    Args:
        paths: (N, time), longer than `lags`; they need not be standardised.
        lags: the largest lag.

    Returns:
        "acf l" and "squares l", autocorrelations of x and of x² at lags l; "kurtosis"; "mean",
        "stddev" and "tail p", the quantile at p, in the units of the path.

    Example:
        >>> found = path_statistics(torch.tensor([[2.0, -2.0, 1.0, -1.0]], dtype=torch.float64), lags=1)
        >>> float(found["acf 1"]), float(found["kurtosis"])
        (-0.7, 1.36)
    """
    centred = paths - paths.mean(-1, keepdim=True)
    variances = centred.square().mean(-1)
    of_paths, of_squares = autocorrelation(paths, lags), autocorrelation(paths**2, lags)
    tails = torch.quantile(paths, torch.tensor(TAILS, dtype=paths.dtype), dim=-1)
    return {
        **{f"acf {lag}": of_paths[:, lag - 1] for lag in range(1, lags + 1)},
        **{f"squares {lag}": of_squares[:, lag - 1] for lag in range(1, lags + 1)},
        "mean": paths.mean(-1),
        "kurtosis": centred.pow(4).mean(-1) / variances.square(),
        "stddev": variances.sqrt(),
        **{f"tail {share}": values for share, values in zip(TAILS, tails, strict=True)},
    }


def histogram(x: Tensor, edges: np.ndarray) -> np.ndarray:
    """Density of all values in x on the bins between `edges` (B + 1,): a float64 array (B,)."""
    counts, _ = np.histogram(x.detach().cpu().numpy(), bins=edges)
    return counts / (x.numel() * np.diff(edges))


def gaussian_contour(points: np.ndarray, n_std: float = 2.0, resolution: int = 128) -> np.ndarray:
    """Contour at `n_std` standard deviations of the Gaussian fitted to points (N, 2): an array (resolution, 2)."""
    root = np.linalg.cholesky(np.cov(points, rowvar=False))
    angle = np.linspace(0.0, 2.0 * np.pi, resolution)
    return np.asarray(points.mean(0) + n_std * np.column_stack((np.cos(angle), np.sin(angle))) @ root.T)


def fitted_exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Slope of log value against log size, by least squares.

    Example:
        >>> round(fitted_exponent([1, 2, 4], [5, 20, 80]), 6)
        2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def growth_exponents(costs: pd.DataFrame, *, largest: int = 4) -> dict[tuple[str, str], float]:
    """Fit powers of the size to measured times, by least squares on logarithmic axes.

    Args:
        costs: columns `axis` (what grew: "d" or "N"), `size`, `backend` and `seconds`.
        largest: sizes, the largest of each backend, that are fitted: small ones pay for the call, not for the work.

    Returns:
        The exponent for each axis and backend.

    Example:
        >>> costs = pd.DataFrame({"axis": "d", "backend": "dense", "size": [1, 2, 4, 8], "seconds": [3, 12, 48, 192]})
        >>> {key: round(value, 6) for key, value in growth_exponents(costs).items()}
        {('d', 'dense'): 2.0}
    """
    exponents = {}
    for (axis, backend), rows in costs.groupby(["axis", "backend"], sort=False):
        last = rows.sort_values("size").tail(largest)
        exponents[str(axis), str(backend)] = fitted_exponent(list(last["size"]), list(last["seconds"]))
    return exponents


def separation(values: Tensor, baseline: Tensor) -> pd.DataFrame:
    """Distance between the means of two samples of energies, in standard deviations of the second.

    Args:
        values: energies of independent paths, (n, K), n of at least 2.
        baseline: energies of independent paths of the law that is compared with, (m, K).

    Returns:
        A row for each of the K values: its place `value`, `shift`, and the `standard_error` of that.

    Example:
        >>> values, baseline = torch.tensor([[3.0], [5.0]]), torch.tensor([[-1.0], [1.0]])
        >>> separation(values, baseline).round(3).to_dict("records")
        [{'value': 0, 'shift': 2.828, 'standard_error': 1.0}]
    """
    values, baseline = values.double(), baseline.double()
    unit = baseline.std(0)
    shift = (values.mean(0) - baseline.mean(0)) / unit
    error = (values.var(0) / len(values) + baseline.var(0) / len(baseline)).sqrt() / unit
    return pd.DataFrame({"value": np.arange(len(unit)), "shift": shift.numpy(), "standard_error": error.numpy()})
