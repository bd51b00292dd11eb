"""Still pictures of the explorer: one place of each of its descents, from the data that it draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.companion.explorer import unpacked
from mfmgdm_lib.plotting.style import COLOURS, band, styled, subplots
from mfmgdm_lib.statistics import gaussian_contour

__all__ = ["ar_explorer", "market_explorer"]

_ANGLE = np.linspace(0.0, 2.0 * np.pi, 128)


@checked
@styled
def ar_explorer(data: dict[str, Any], *, size: int = 128, step: int = 157) -> Figure:
    """Energies, divergence, its two parts and a few paths at one step of one ensemble size.

    Args:
        data: of `companion.ar_explorer_data`.
        size: one of its sizes.
        step: one of its steps of clouds and of paths.
    """
    which = data["sizes"].index(size)
    name = "MGDM" if size == 1 else "MF–MGDM"
    figure, (clouds, total, paths, parts) = subplots(2, 2, height=5.4)
    _draw_clouds(clouds, data, which, step, name)
    _draw_divergence(total, parts, data["traces"][which], step, name)
    for place, path in enumerate(unpacked(data["paths"])[which, data["path_steps"].index(step)]):
        paths.plot(path - 7.0 * place, color=COLOURS[name], lw=0.7)
    paths.set(title="three of the paths", xlabel="time i", ylabel="x, each 7 lower", yticks=[])
    figure.suptitle(f"{name}, N = {size}, step {step}", x=0.01, ha="left", fontsize=10)
    return figure


@checked
@styled
def market_explorer(data: dict[str, Any], *, model: str = "MF–MGDM", place: int = -1) -> Figure:
    """Autocorrelations, density and a path at one step of one model, beside those of the series.

    Args:
        data: of `companion.market_explorer_data`.
        model: the name of one of its models.
        place: which of the model's steps.
    """
    made, series = data["models"][model], data["series"]
    state, colour = made["states"][place], COLOURS.get(model, COLOURS["MF–MGDM"])
    figure, axes = subplots(2, 2, height=4.8)
    for axis, name, title in zip(axes, ("acf", "squares"), ("returns", "squared returns"), strict=False):
        _draw_bands(axis, np.array(state[name]), np.array(series[name]), colour)
        axis.set(title=f"autocorrelation of {title}", xlabel="lag, trading days")
    axes[0].set_ylabel("correlation")
    _draw_density(axes[2], np.array(data["edges"]), state["marginal"], series["marginal"], colour)
    axes[3].plot(unpacked(made["paths"])[place], color=colour, lw=0.6)
    axes[3].set(title="one path", xlabel="trading day", ylabel="standardised return")
    figure.legend(handles=axes[0].get_legend_handles_labels()[0], loc="outside lower center", ncols=3)
    figure.suptitle(f"{made['title']}, step {made['steps'][place]:,.0f}", x=0.01, ha="left", fontsize=10)
    return figure


def _draw_clouds(axis: Axes, data: dict[str, Any], which: int, step: int, name: str) -> None:
    """Energies at the start, of the true law, and at a step, each with its contour of two standard deviations."""
    energies = np.stack([unpacked(data["lag1"])[which], unpacked(data["lag0"])[which]], -1)
    start, now = energies[0], energies[data["cloud_steps"].index(step)]
    for label, points in (("start", start), ("true", unpacked(data["true"]["energies"]).T), (name, now)):
        axis.plot(*points.T, ".", color=COLOURS[label], markersize=2.5, alpha=0.5)
        contour = _true_contour(data["true"]) if label == "true" else gaussian_contour(points)
        axis.plot(*contour.T, color=COLOURS[label], label="true law" if label == "true" else label)
    axis.plot(*data["target"], "+", color=COLOURS["true"], markersize=11, markeredgewidth=1.6)
    axis.set(title="energies of 128 paths", xlabel="autocovariance at lag 1", ylabel="lag 0")
    axis.legend(loc="upper left", fontsize=8)


def _true_contour(true: dict[str, Any]) -> np.ndarray:
    root = np.linalg.cholesky(np.array(true["covariance"]))
    return np.asarray(true["mean"] + 2.0 * np.column_stack((np.cos(_ANGLE), np.sin(_ANGLE))) @ root.T)


def _draw_divergence(total: Axes, parts: Axes, trace: dict[str, Any], step: int, name: str) -> None:
    """The divergence with its band, and the two parts that it is the gap of; a dot and a line at the step."""
    curve, error, colour = np.array(trace["reverse_kl"]), np.array(trace["standard_error"]), COLOURS[name]
    steps = np.arange(len(curve))
    total.plot(steps, curve, color=colour)
    band(total, steps, curve, 2.0 * error, colour)
    total.plot(step, curve[step], "o", color=colour)
    total.annotate(f"{curve[step]:.2f}", (step, curve[step]), xytext=(0, 8), textcoords="offset points", ha="center")
    total.set(title="reverse KL divergence", xlabel="step t", ylabel="nats per path", ylim=(0, None))
    parts.fill_between(steps, trace["log_likelihood"], trace["negative_entropy"], color=colour, alpha=0.15, lw=0)
    parts.plot(steps, trace["negative_entropy"], color=colour, label="negative entropy")
    parts.plot(steps, trace["log_likelihood"], "--", color=colour, label="log-likelihood")
    parts.axvline(step, color="0.6", lw=0.8, zorder=0)
    parts.set(title="its two parts", xlabel="step t", ylabel="nats per path")
    parts.legend(fontsize=8, loc="lower right")


def _draw_bands(axis: Axes, quantiles: np.ndarray, series: np.ndarray, colour: str) -> None:
    """Where nine paths in ten are, their median, and the series as dots."""
    at = np.arange(1, len(series) + 1)
    axis.fill_between(at, quantiles[0], quantiles[2], color=colour, alpha=0.25, lw=0, label="nine paths in ten")
    axis.plot(at, quantiles[1], color=colour, label="median path")
    axis.plot(at, series, "o", color=COLOURS["true"], markersize=3, label="S&P 500")
    axis.axhline(0.0, color="0.7", lw=0.7, zorder=0)
    axis.set_xticks([1, *range(5, len(series) + 1, 5)])


def _draw_density(axis: Axes, edges: np.ndarray, paths: list[float], series: list[float], colour: str) -> None:
    """The density of single returns on a logarithmic axis."""
    centres, real = 0.5 * (edges[1:] + edges[:-1]), np.array(series)
    axis.stairs(paths, edges, color=colour, fill=True, alpha=0.45)
    axis.plot(centres[real > 0], real[real > 0], "o", color=COLOURS["true"], markersize=3)
    axis.plot(centres, np.exp(-0.5 * centres**2) / np.sqrt(2.0 * np.pi), "--", color="0.5", lw=1)
    axis.set(title="density of returns", xlabel="standardised daily log-return", ylabel="density")
    axis.set(yscale="log", ylim=(1e-5, 1.0))
