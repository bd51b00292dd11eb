"""What paths are compared by: autocorrelations, histograms and the spread of clouds of energies."""

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
    "fitted_exponent",
    "gaussian_contour",
    "growth_exponents",
    "histogram",
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
