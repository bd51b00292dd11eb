"""Figures of paths, their marginals and their autocorrelations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.plotting.style import COLOURS, legend_below, styled, subplots
from mfmgdm_lib.statistics import autocorrelation, histogram

__all__ = ["marginals", "paths_and_marginals", "sample_paths", "violins"]


@checked
@styled
def sample_paths(rows: Mapping[str, Tensor], n: int = 2) -> Figure:
    """The first `n` series of each row, on one scale, by the name of a colour."""
    figure, axes = subplots(len(rows), n, height=1.25 * len(rows), stack=False, sharex=True, sharey=True)
    for line, (name, series) in zip(axes.reshape(len(rows), n), rows.items(), strict=True):
        for axis, path in zip(line, series[:n], strict=True):
            axis.plot(path.numpy(), color=COLOURS[name], lw=0.5)
        line[0].set_ylabel("S&P 500" if name == "true" else name)
    for axis in axes.reshape(len(rows), n)[-1]:
        axis.set_xlabel("trading day")
    figure.supylabel("standardised daily log-return")
    return figure


@checked
@styled
def paths_and_marginals(
    rows: Mapping[str, tuple[str, Tensor, np.ndarray]], grid: np.ndarray, *, points: int = 250, label: str = "rate"
) -> Figure:
    """The beginning of a path, and beside it the histogram of the values of all paths with the true density in black.

    Args:
        rows: by title: the name of a colour, paths (n, time), and the density that the values should have on `grid`.
        grid: values (G,), which also set the range of the axes.
        points: points of the path that are drawn.
        label: what a value is.
    """
    figure, axes = subplots(
        len(rows), 2, height=1.35 * len(rows) + 0.3, stack=False, sharex="col", sharey=True, width_ratios=[3.2, 1.0]
    )
    edges = np.linspace(grid[0], grid[-1], 61)
    lines = axes.reshape(len(rows), 2)
    for (left, right), (title, (name, paths, density)) in zip(lines, rows.items(), strict=True):
        left.plot(paths[0, :points].numpy(), color=COLOURS[name], lw=0.9)
        left.set(ylabel=label, title=title, ylim=(grid[0], grid[-1]))
        heights = histogram(paths, edges)
        right.stairs(heights, edges, orientation="horizontal", color=COLOURS[name], fill=True, alpha=0.45)
        right.plot(density, grid, color=COLOURS["true"], lw=1.2)
    lines[-1, 0].set_xlabel("time")
    lines[-1, 1].set(xlabel="density", xlim=(0.0, None))
    return figure


@checked
@styled
def violins(models: Mapping[str, Tensor], series: Tensor, *, lags: int = 20) -> Figure:
    """Spread over paths of the autocorrelations of x and of x², half a violin for each model; the series in black."""
    figure, axes = subplots(2, 1, height=5.2, sharex=True)
    at = np.arange(1, lags + 1)
    for axis, power, title in zip(axes, (1, 2), ("autocorrelation of x", "autocorrelation of x²"), strict=True):
        for i, (name, paths) in enumerate(models.items()):
            draw_violins(axis, autocorrelation(paths**power, lags).numpy(), at, COLOURS[name], "high" if i else "low")
        axis.plot(at, autocorrelation(series**power, lags).numpy(), "o", color=COLOURS["true"], markersize=3.5)
        axis.axhline(0.0, color="0.7", lw=0.7, zorder=0)
        axis.set(title=title, ylabel="correlation")
    axes[1].set(xlabel="lag, trading days", xticks=[1, *range(5, lags + 1, 5)])
    handles = [Line2D([], [], color=COLOURS[name], lw=6, alpha=0.6, label=name) for name in models]
    handles.append(Line2D([], [], color=COLOURS["true"], marker="o", ls="", markersize=4, label="S&P 500"))
    legend_below(figure, handles)
    return figure


@checked
@styled
def marginals(models: Mapping[str, Tensor], series: Tensor, *, width: float = 0.25) -> Figure:
    """Densities of single values on a logarithmic axis, with the standard Gaussian they would have without tails.

    The axis reaches to the value that is farthest from 0, so that no tail is cut.

    Args:
        models: standardised paths by the name of a colour.
        series: standardised values.
        width: of a bin, standard deviations.
    """
    farthest = max(float(values.abs().max()) for values in (*models.values(), series))
    edges = width * np.arange(-np.ceil(farthest / width), np.ceil(farthest / width) + 1)
    centres = 0.5 * (edges[1:] + edges[:-1])
    figure, axes = subplots(1, len(models), height=3.0, sharex=True, sharey=True)
    for axis, (name, paths) in zip(axes, models.items(), strict=True):
        axis.stairs(histogram(paths, edges), edges, color=COLOURS[name], fill=True, alpha=0.45, label=name)
        real = histogram(series, edges)
        axis.plot(centres[real > 0], real[real > 0], "o", color=COLOURS["true"], markersize=3, label="S&P 500")
        axis.plot(centres, np.exp(-0.5 * centres**2) / np.sqrt(2 * np.pi), "--", color="0.5", lw=1, label="Gaussian")
        # Down to half a value in a bin, below which nothing but the Gaussian could be.
        lowest = 0.5 / (max(len(series), *(paths.numel() for paths in models.values())) * width)
        axis.set(yscale="log", ylim=(lowest, 1.0), xlabel="standardised daily log-return")
        axis.legend(loc="upper left")
    axes[0].set_ylabel("density")
    return figure


def draw_violins(
    axis: Axes, values: np.ndarray, at: np.ndarray, colour: str, side: Literal["low", "high", "both"] = "both"
) -> None:
    """A violin, or half of one, of each column of `values` (n, K), at K places."""
    parts: dict[str, Any] = dict(axis.violinplot(values, at, widths=0.85, side=side, showextrema=False))
    for body in parts["bodies"]:
        body.set(facecolor=colour, alpha=0.6, edgecolor="none")
