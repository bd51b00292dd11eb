"""Statistics that compare paths: correlations at lags, leverage, quantiles, tails, histograms and fitted exponents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_finite, check_number, check_paths, check_positive_int, check_powers
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib.energies.autocovariance import lagged_products

__all__ = [
    "autocorrelation",
    "cross_correlation",
    "fitted_exponent",
    "gaussian_contour",
    "growth_exponents",
    "histogram",
    "leverage",
    "maximum_drawdown",
    "path_statistics",
    "return_statistics",
    "separation",
    "tail_index",
    "time_asymmetry",
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
    check_powers("x", check_paths("x", x, minimum_length=lags + 1), 2)
    centred = x - x.mean(-1, keepdim=True)
    products = torch.stack([lagged_products(centred, lag) for lag in range(lags + 1)], dim=-1)
    return products[..., 1:] / products[..., :1]


@checked
def cross_correlation(x: Tensor, y: Tensor, lags: int = 20) -> Tensor:
    """Sample correlations of the values of one path with those of another some points later, or earlier.

    As in `autocorrelation`, each path is centred on its own mean, and the sum over the pairs that there are is divided
    by those of the squared deviations of all points.

    Args:
        x: paths (*, time), longer than `lags`.
        y: as many, as long.
        lags: the largest lag, at least 0.

    Returns:
        A tensor (*, 2 · lags + 1): corr(x_t, y_{t+k}) for k = −lags … lags.

    Example:
        >>> x = torch.tensor([1.0, -1.0, 2.0, 0.0, -2.0, 0.0] * 50, dtype=torch.float64)
        >>> cross_correlation(x, x.roll(1), lags=1).numpy().round(1).tolist()
        [-0.4, -0.3, 1.0]
    """
    check_positive_int("lags", lags, minimum=0)
    first, second = (
        _centred(check_powers(name, check_paths(name, values), 4)) for name, values in (("x", x), ("y", y))
    )
    if x.shape[-1] != y.shape[-1] or x.shape[-1] <= lags:
        raise ValueError(
            f"x has {x.shape[-1]} points and y {y.shape[-1]}; expected as many, more than {lags}. Use paths over the"
            " same time, or fewer lags."
        )
    if x.dtype != y.dtype or x.shape[:-1] != y.shape[:-1]:
        raise ValueError(
            f"x is {x.dtype} of shape {tuple(x.shape)} and y {y.dtype} of shape {tuple(y.shape)}; expected paths that"
            " belong to each other. Use as many paths of one dtype."
        )
    earlier = [_correlation(second, first, lag) for lag in range(lags, 0, -1)]
    return torch.stack([*earlier, *(_correlation(first, second, lag) for lag in range(lags + 1))], dim=-1)


TAILS = (0.001, 0.01, 0.05, 0.95, 0.99, 0.999)
"""Shares of the points below a tail quantile of a path."""


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
    if not check_powers("paths", check_paths("paths", paths), 4).numel():
        raise ValueError(f"paths has shape {tuple(paths.shape)}; expected at least one path. Pass one or more.")
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


def leverage(x: Tensor, lags: int = 20) -> Tensor:
    """Sample correlations of each value with the square of later ones, corr(x_t, x²_{t+k}), each centred on its mean.

    They are negative where falls are followed by larger moves than rises are, the leverage effect (Black, 1976;
    Bouchaud, Matacz and Potters, 2001). As in `autocorrelation`, the sum over the pairs that there are is divided by
    those of the squared deviations of all points.

    Args:
        x: paths (*, time), longer than `lags`, in the units of returns, for which 0 is no move.
        lags: the largest lag.

    Returns:
        A tensor (*, lags) for lags k = 1 … lags.

    Example:
        >>> falls = torch.tensor([0.0, -1.0, 2.0, 0.0, 1.0, 0.0] * 50, dtype=torch.float64)
        >>> leverage(falls, lags=2).numpy().round(2).tolist()
        [-0.75, 0.0]
    """
    check_positive_int("lags", lags)
    check_powers("x", check_paths("x", x, minimum_length=lags + 1), 6)
    values, squares = _centred(x), _centred(x * x)
    return torch.stack([_correlation(values, squares, lag) for lag in range(1, lags + 1)], dim=-1)


def time_asymmetry(x: Tensor, window: int = 20) -> Tensor:
    """How much better past trends tell of later volatility than past volatility of later trends, Zumbach's effect.

    With R_t the sum of the `window` points up to t and V_t the sum of their squares this is
    corr(R_t², V_{t+window}) − corr(V_t, R²_{t+window}), which is 0 for a law that looks the same in reversed time, as a
    Gaussian or a stochastic volatility without feedback does, and above 0 for markets (Zumbach, 2009, Quantitative
    Finance 9, 505–515; in this form in El Euch, Gatheral, Radoičić and Rosenbaum, 2020, Quantitative Finance 20, 235).

    Args:
        x: paths (*, time), of at least 3 windows.
        window: points, 20 for a month of days.

    Returns:
        A tensor (*,), between −2 and 2.

    Example:
        >>> path = torch.randn(2000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> forward, backward = time_asymmetry(path), time_asymmetry(path.flip(-1))
        >>> bool((forward + backward).abs() < 1e-12)
        True
    """
    check_positive_int("window", window)
    check_powers("x", check_paths("x", x, minimum_length=3 * window), 8, points=window)
    trends, volatilities = _sums(x, window).square(), _sums(x * x, window)
    past, later = slice(None, -window), slice(window, None)
    forward, backward = (
        _correlation(_centred(before[..., past]), _centred(after[..., later]))
        for before, after in ((trends, volatilities), (volatilities, trends))
    )
    return forward - backward


@checked
def tail_index(x: Tensor, share: float = 0.05) -> Tensor:
    """Hill's estimate of the exponent α of the tails, P(|x| > u) ∝ u^−α (Hill, 1975).

    Of each path it takes the largest `share` of the distances from the mean, on both sides together; moments of order
    below α are finite. About 3 to 4 for daily returns (Cont, 2001).

    Args:
        x: paths (*, time).
        share: of the points, above 0 and below 1; at least one point is taken.

    Returns:
        A tensor (*,); its relative standard error is 1 / √(share · time) for independent points.

    Example:
        >>> pareto = (torch.arange(1, 2001, dtype=torch.float64) / 2000) ** (-1 / 3)
        >>> round(float(tail_index(torch.cat([pareto, -pareto]))))
        3
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"share is {share!r}; expected a number above 0 and below 1. Use one such as 0.05.")
    check_finite("x", check_paths("x", x, minimum_length=2))
    taken = max(1, min(round(share * x.shape[-1]), x.shape[-1] - 1))
    largest = _centred(x).abs().topk(taken + 1, dim=-1).values
    return 1.0 / (largest[..., :-1] / largest[..., -1:]).log().mean(-1)


def maximum_drawdown(x: Tensor) -> Tensor:
    """The largest fall of the cumulative sum of a path, 0 at first, from a point to a later one, (*,) for (*, time).

    Of log-returns it is the logarithm of the highest price over the lowest after it.

    Example:
        >>> float(maximum_drawdown(torch.tensor([-0.5, 2.0, -1.0, 0.5, -2.0, 3.0])))
        2.5
    """
    check_powers("x", check_paths("x", x), 1)
    levels = torch.nn.functional.pad(x.cumsum(-1), (1, 0))
    return (levels.cummax(-1).values - levels).amax(-1)


@checked
def return_statistics(paths: Tensor) -> dict[str, Tensor]:
    """What markets show beyond `path_statistics`: signs, asymmetry, tails, long memory and sums, by name, (N,) each.

    Args:
        paths: (N, time) of at least 61 points, in the units of returns, for which 0 is no move.

    Returns:
        "skewness"; "tail index", of `tail_index`; "leverage 1" and "leverage", of `leverage` at lag 1 and averaged
        over lags 1 … 20; "time asymmetry", of `time_asymmetry`; "sizes 50" and "sizes 100", autocorrelations of |x|
        at these lags, NaN for paths that are not longer; "sum h stddev" and "sum h kurtosis" of the sums of h = 5 and
        20 neighbours, at every place: their standard deviation over √h times that of single values, 1 for independent
        ones, and their kurtosis.

    Example:
        >>> noise = torch.randn(50, 4096, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> found = return_statistics(noise)
        >>> len(found), round(float(found["sum 20 stddev"].mean()), 1), round(float(found["sum 5 kurtosis"].mean()), 1)
        (11, 1.0, 3.0)
    """
    check_powers("paths", check_paths("paths", paths, minimum_length=61), 8, points=20)
    centred, sizes, after_falls = _centred(paths), _centred(paths.abs()), leverage(paths)
    stddev = centred.square().mean(-1).sqrt()
    found = {
        "skewness": centred.pow(3).mean(-1) / stddev**3,
        "tail index": tail_index(paths),
        "leverage 1": after_falls[..., 0],
        "leverage": after_falls.mean(-1),
        "time asymmetry": time_asymmetry(paths),
        **{f"sizes {lag}": _correlation(sizes, sizes, lag) for lag in (50, 100)},
    }
    for points in (5, 20):
        sums = _centred(_sums(paths, points))
        variance = sums.square().mean(-1)
        found[f"sum {points} stddev"] = (variance / points).sqrt() / stddev
        found[f"sum {points} kurtosis"] = sums.pow(4).mean(-1) / variance.square()
    return found


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _correlation(x: Tensor, y: Tensor, lag: int = 0) -> Tensor:
    """Σ x_t y_{t+lag} / √(Σx² Σy²) of centred paths; NaN where they are not longer than the lag."""
    if lag >= x.shape[-1]:
        return torch.full_like(x[..., 0], torch.nan)
    scale = (x.square().sum(-1) * y.square().sum(-1)).sqrt()
    return torch.linalg.vecdot(x[..., : x.shape[-1] - lag], y[..., lag:]) / scale


def _sums(x: Tensor, points: int) -> Tensor:
    """Sums of neighbours at every place, (*, time) to (*, time − points + 1)."""
    levels = torch.nn.functional.pad(x.cumsum(-1), (1, 0))
    return levels[..., points:] - levels[..., :-points]


@checked
def histogram(x: Tensor, edges: np.ndarray) -> np.ndarray:
    """Density of all values in x on the bins between `edges` (B + 1,): a float64 array (B,)."""
    counts, _ = np.histogram(x.detach().cpu().numpy(), bins=edges)
    return counts / (x.numel() * np.diff(edges))


@checked
def gaussian_contour(points: np.ndarray, n_std: float = 2.0, resolution: int = 128) -> np.ndarray:
    """Contour at `n_std` standard deviations of the Gaussian fitted to points (N, 2): an array (resolution, 2)."""
    check_positive_int("resolution", resolution, minimum=2)
    check_number("n_std", n_std)
    root = np.linalg.cholesky(np.cov(points, rowvar=False))
    angle = np.linspace(0.0, 2.0 * np.pi, resolution)
    return np.asarray(points.mean(0) + n_std * np.column_stack((np.cos(angle), np.sin(angle))) @ root.T)


@checked
def fitted_exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Slope of log value against log size, by least squares.

    Example:
        >>> round(fitted_exponent([1, 2, 4], [5, 20, 80]), 6)
        2.0
    """
    size, value = (np.log([float(one) for one in given]) for given in (sizes, values))
    return float(np.polyfit(size, value, 1)[0])


@checked
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


@checked
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
    if values.ndim != 2 or baseline.ndim != 2 or values.shape[-1] != baseline.shape[-1]:
        raise ValueError(
            f"values has shape {tuple(values.shape)} and baseline {tuple(baseline.shape)}; expected (n, K) and (m, K)."
            " Use values of one energy."
        )
    values, baseline = values.double(), baseline.double()
    unit = baseline.std(0)
    shift = (values.mean(0) - baseline.mean(0)) / unit
    error = (values.var(0) / len(values) + baseline.var(0) / len(baseline)).sqrt() / unit
    return pd.DataFrame({"value": np.arange(len(unit)), "shift": shift.numpy(), "standard_error": error.numpy()})
