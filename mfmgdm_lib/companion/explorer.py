"""Data of the book's explorer: two descents at many steps, rounded to what a screen shows."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib.companion.market import MarketExperiment
from mfmgdm_lib.companion.path_summaries import EDGES
from mfmgdm_lib.companion.synthetic import AR_ILLUSTRATION, SyntheticExperiment
from mfmgdm_lib.descents.gradient_flow import FlowState
from mfmgdm_lib.divergence import DivergenceTrace
from mfmgdm_lib.statistics import autocorrelation, histogram, path_statistics

__all__ = ["ar_explorer_data", "market_explorer_data", "unpacked"]

CLOUD_STEPS = tuple(sorted({*range(0, 40, 4), *range(40, 201, 8), 100, 157}))
"""Steps at which energies are kept, more of them where paths move fast. A page interpolates those between."""

PATH_STEPS = (0, 4, 8, 16, 24, 36, 50, 70, 100, 130, 157, 200)
"""Steps at which paths are kept."""

QUANTILES = (0.05, 0.5, 0.95)
"""Shares of the paths below a line of a band."""

MARKET_MODELS = {
    "MGDM": (1, "noise", "MGDM from noise"),
    "MF–MGDM": (None, "noise", "MF–MGDM from noise"),
    "generate": (None, "argarch", "MF–MGDM from GARCH"),
}
"""Size of an ensemble, start and title of the descents of real returns. The last is what `generate` does by default."""


def ar_explorer_data(
    experiment: SyntheticExperiment = AR_ILLUSTRATION,
    *,
    sizes: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128),
    cloud_steps: Sequence[int] = CLOUD_STEPS,
    path_steps: Sequence[int] = PATH_STEPS,
    n_shown: int = 3,
    points: int = 150,
) -> dict[str, Any]:
    """Follow the descents of Sections 3 and 4 for several ensemble sizes, and keep what the explorer draws.

    Divergence, energies and paths belong to the same starting paths, those of `experiment.trace`.

    Args:
        experiment: a descent with two energies.
        sizes: paths in an ensemble; 1 is MGDM.
        cloud_steps: steps at which the energies of all paths are kept.
        path_steps: steps at which some paths are kept.
        n_shown: paths that are kept.
        points: how many points of them.

    Returns:
        A dictionary for JSON: "sizes", "cloud_steps" and "path_steps"; "target", α; "traces", for each size the lists
        "reverse_kl", "standard_error", "negative_entropy" and "log_likelihood" over steps 0 … T, nats per path, and
        "best_step"; "lag1" and "lag0", packed energies (sizes, cloud steps, paths); "paths", packed
        (sizes, path steps, shown, points); and "true", as many packed energies (2, paths) of the true law, with the
        "mean" (2,) and the "covariance" (2, 2) of 4096. `unpacked` undoes the packing.

    Example:
        >>> small = replace(AR_ILLUSTRATION, n_steps=8, n_paths=4, length=200, target_samples=100)
        >>> data = ar_explorer_data(small, sizes=(1, 4), cloud_steps=(0, 8), path_steps=(0, 8))
        >>> len(data["traces"][0]["reverse_kl"]), unpacked(data["lag0"]).shape, unpacked(data["paths"]).shape
        (9, (2, 2, 4), (2, 2, 3, 150))
    """
    traces, energies, paths = [], [], []
    x0 = experiment.start.sample(experiment.n_paths, experiment.length, experiment.initial_seed)
    for size in sizes:
        traces.append(_trace_record(experiment.trace(ensemble_size=size)))
        states = list(_kept(experiment, size, x0, {*cloud_steps, *path_steps}))
        energies.append(torch.stack([state.energies for state in states if state.step in cloud_steps]))
        paths.append(torch.stack([state.paths[:n_shown, :points] for state in states if state.step in path_steps]))
    clouds = torch.stack(energies)
    return {
        "sizes": list(sizes),
        "cloud_steps": list(cloud_steps),
        "path_steps": list(path_steps),
        "target": _rounded(experiment.target.mean.numpy(), 4),
        "traces": traces,
        "lag1": _packed(clouds[..., 0], 16),
        "lag0": _packed(clouds[..., 1], 16),
        "paths": _packed(torch.stack(paths), 8),
        "true": _true_law(experiment),
    }


def market_explorer_data(
    experiment: MarketExperiment | None = None, *, lags: int = 20, points: int = 504
) -> dict[str, Any]:
    """Follow three flows from a start to the energies of an observed series, and keep what the explorer draws.

    The flows stand for the descents of Section 5.2, whose small steps they take many at a time: MGDM and MF–MGDM from
    noise, and the MF–MGDM from a fitted AR–GARCH that `generate` runs.

    Args:
        experiment: a series, an energy and a schedule; None for the paper's S&P 500 with 128 paths.
        lags: the largest lag of autocorrelations.
        points: points of a path that are kept, two years of days.

    Returns:
        A dictionary for JSON: "edges" of the bins of densities; "series", with the "acf" and "squares" (lags,) of the
        observed returns, their "kurtosis", "marginal" and a packed "path", the last `points`; and "models", for each of
        `MARKET_MODELS` a "title", "steps" of the descent that the flow's own steps stand for, and at each of them
        "acf" and "squares", (3, lags) at `QUANTILES` over paths, "kurtosis", (3,), "marginal", (bins,), "loss", and
        one path, packed together as "paths" (steps, points).
    """
    experiment = MarketExperiment(n_paths=128) if experiment is None else experiment
    series = experiment.series
    statistics = path_statistics(series[None], lags)
    observed = {
        "acf": _rounded(autocorrelation(series, lags).numpy(), 3),
        "squares": _rounded(autocorrelation(series.square(), lags).numpy(), 3),
        "kurtosis": round(float(statistics["kurtosis"]), 1),
        "marginal": _significant(histogram(series, EDGES)),
        "path": _packed(series[-points:], 8),
    }
    models = {}
    for name, (size, start, title) in MARKET_MODELS.items():
        started = replace(experiment, start=start)
        states = list(started.flow(size).steps(started.starting_paths(), started.duration))
        models[name] = {
            "title": title,
            "steps": [float(f"{state.time / experiment.step_size:.3g}") for state in states],
            "states": [_state_record(state, lags) for state in states],
            "paths": _packed(torch.stack([state.paths[0, :points] for state in states]), 8),
        }
    return {"edges": EDGES.tolist(), "series": observed, "models": models}


def unpacked(packed: dict[str, Any]) -> np.ndarray:
    """The numbers of a packed array: whole numbers of 8 or 16 bits, in base64, that divide a range evenly."""
    whole = np.frombuffer(base64.b64decode(packed["values"]), f"<u{packed['bits'] // 8}").reshape(packed["shape"])
    return np.asarray(packed["low"] + (packed["high"] - packed["low"]) / (2 ** packed["bits"] - 1) * whole)


def _packed(values: Tensor, bits: int) -> dict[str, Any]:
    """Values as whole numbers of 8 or 16 bits from the smallest to the largest of them, in base64."""
    low, high = float(values.min()), float(values.max())
    whole = torch.round((values - low) / (high - low) * (2**bits - 1)).numpy().astype(f"<u{bits // 8}")
    text = base64.b64encode(whole.tobytes()).decode("ascii")
    return {"shape": list(values.shape), "bits": bits, "low": low, "high": high, "values": text}


def _kept(experiment: SyntheticExperiment, size: int, x0: Tensor, steps: set[int]) -> list[Any]:
    """States of the descent at some steps."""
    states = experiment.model(size).steps(x0, max(steps))
    return [state for state in states if state.step in steps]


def _trace_record(trace: DivergenceTrace) -> dict[str, Any]:
    """The divergence and its parts along a descent, to thousandths of a nat."""
    return {
        "reverse_kl": _rounded(trace.reverse_kl, 3),
        "standard_error": _rounded(trace.standard_error, 3),
        "negative_entropy": _rounded(-trace.entropy, 3),
        "log_likelihood": _rounded(trace.log_likelihood, 3),
        "best_step": trace.best_step,
    }


def _true_law(experiment: SyntheticExperiment) -> dict[str, Any]:
    """Energies of paths of the process itself."""
    paths = experiment.process.sample(4096, experiment.length, experiment.target_seed)
    energies = experiment.energy(paths)
    return {
        "energies": _packed(energies[: experiment.n_paths].T, 16),
        "mean": _rounded(energies.mean(0).numpy(), 5),
        "covariance": _rounded(torch.cov(energies.T).numpy(), 8),
    }


def _state_record(state: FlowState, lags: int) -> dict[str, Any]:
    """Statistics of the paths of one state."""
    statistics = path_statistics(state.paths, lags)
    spread = {name: np.quantile(values.numpy(), QUANTILES) for name, values in statistics.items()}
    at = range(1, lags + 1)
    return {
        "acf": _rounded(np.stack([spread[f"acf {lag}"] for lag in at], -1), 3),
        "squares": _rounded(np.stack([spread[f"squares {lag}"] for lag in at], -1), 3),
        "kurtosis": _rounded(spread["kurtosis"], 1),
        "marginal": _significant(histogram(state.paths, EDGES)),
        "loss": float(f"{float(state.loss.mean()):.2g}"),
    }


def _rounded(values: np.ndarray, digits: int) -> Any:
    return np.round(values, digits).tolist()


def _significant(values: np.ndarray, digits: int = 3) -> list[float]:
    return [float(f"{value:.{digits}g}") for value in values]
