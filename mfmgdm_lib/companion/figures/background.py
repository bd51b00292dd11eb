"""Figures of entropy, ensembles, divergences and changes of variables in small cases, and of whole processes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.plotting.style import COLOURS, styled, subplots, with_powers
from mfmgdm_lib.statistics import histogram

__all__ = [
    "carried_density",
    "divergence_parts",
    "entropies",
    "process_portraits",
    "series_alike",
    "sphere_and_gaussian",
]

_SHADES = ("#aa3377", "#228833", "#5b4a9e")
"""Colours of what is neither the true law nor the start nor a descent."""


@checked
@styled
def series_alike(rows: Mapping[str, np.ndarray], *, true: str, ylabel: str) -> Figure:
    """One series for each title, one below the other on one scale; the one with the title `true` is black."""
    figure, axes = subplots(len(rows), 1, height=1.2 * len(rows) + 0.4, sharex=True, sharey=True)
    for axis, (title, series) in zip(axes, rows.items(), strict=True):
        axis.plot(series, lw=0.6, color=COLOURS["true" if title == true else "start"])
        axis.set(title=title, ylabel=ylabel)
    axes[-1].set_xlabel("trading day")
    return figure


@checked
@styled
def entropies(grid: np.ndarray, densities: Mapping[str, np.ndarray], values: Mapping[str, float]) -> Figure:
    """Densities (G,) at the values of `grid`, by name, and beside them the entropy of each, in nats."""
    figure, (left, right) = subplots(1, 2, height=2.9, width_ratios=[1.6, 1.0])
    for (name, density), colour, dashes in zip(densities.items(), _SHADES, ("-", "--", "-."), strict=True):
        left.plot(grid, density, dashes, color=colour, label=name)
        right.barh(name, values[name], color=colour, alpha=0.8, height=0.55)
        right.annotate(f" {values[name]:.3f}", (values[name], name), va="center")
    left.set(title="density", xlabel="value", ylabel="density", ylim=(0.0, None))
    left.legend(loc="upper right", fontsize=8)
    right.set(title="entropy", xlabel="nats", xlim=(0.0, 1.3 * max(values.values())))
    right.invert_yaxis()
    return figure


@checked
@styled
def sphere_and_gaussian(points: Mapping[int, tuple[Tensor, Tensor]]) -> Figure:
    """Mean squares and single coordinates of points in several dimensions.

    Args:
        points: by dimension d: Gaussian points (n, d), and points (n, d) on the sphere of mean square 1.
    """
    figure, axes = subplots(2, len(points), height=4.6, sharex="row", sharey="row")
    above, below = axes.reshape(2, -1)
    mean_squares, coordinates = np.linspace(0.0, 3.0, 76), np.linspace(-3.5, 3.5, 71)
    for top, bottom, (d, (gaussian, sphere)) in zip(above, below, points.items(), strict=True):
        heights = histogram(gaussian.square().mean(-1), mean_squares)
        top.stairs(
            heights / heights.max(), mean_squares, color=COLOURS["start"], fill=True, alpha=0.6, label="Gaussian"
        )
        top.axvline(1.0, color=_SHADES[0], lw=2, label="sphere")
        top.set(title=f"d = {d}", xlabel="mean square of a point", ylim=(0.0, 1.1))
        bottom.stairs(histogram(gaussian, coordinates), coordinates, color=COLOURS["start"], fill=True, alpha=0.6)
        bottom.stairs(histogram(sphere, coordinates), coordinates, color=_SHADES[0], lw=1.5)
        bottom.set(xlabel="one of its coordinates", ylim=(0.0, 0.8))
    above[0].set_ylabel("how often, relative")
    below[0].set_ylabel("density")
    above[0].legend(loc="upper right", fontsize=8)
    return figure


@checked
@styled
def divergence_parts(
    grid: np.ndarray, densities: Mapping[str, np.ndarray], widths: np.ndarray, parts: Mapping[str, np.ndarray]
) -> Figure:
    """Densities of two laws q beside that of p, and a reverse KL divergence and its two parts against a width of q.

    Args:
        grid: values (G,).
        densities: by name, (G,): p first, then each q.
        widths: (W,).
        parts: by name, (W,), in nats: the two parts, then their sum.
    """
    figure, (left, right) = subplots(1, 2, height=3.1)
    colours = (COLOURS["true"], *_SHADES)
    for (name, density), colour, dashes in zip(densities.items(), colours, ("-", "--", "-."), strict=False):
        left.plot(grid, density, dashes, color=colour, label=name)
    left.set(
        title="two ways to be near p",
        xlabel="value",
        ylabel="density",
        ylim=(0.0, 1.35 * max(map(np.max, densities.values()))),
    )
    left.legend(loc="upper left", fontsize=8)
    for (name, values), colour, dashes in zip(parts.items(), ("0.45", "0.45", "black"), ("--", ":", "-"), strict=True):
        right.plot(widths, values, dashes, color=colour, label=name)
    right.axhline(0.0, color="0.7", lw=0.7, zorder=0)
    right.set(title="the price of being narrow", xlabel="width of q, where p has 1", ylabel="nats")
    right.set_ylim(top=1.5 * right.get_ylim()[1])  # the legend's place
    right.legend(loc="upper right", fontsize=8)
    return figure


@checked
@styled
def carried_density(
    trajectories: np.ndarray,
    before: tuple[np.ndarray, np.ndarray],
    after: tuple[np.ndarray, np.ndarray],
    arrived: Tensor,
) -> Figure:
    """Where the steps of a map of the line take points, with the densities before and after.

    Args:
        trajectories: places of points (steps + 1, n).
        before: places and densities at the start, (G,) each.
        after: places and densities at the end, (G,) each.
        arrived: values at the end, as a histogram behind the density there.
    """
    figure, (left, middle, right) = subplots(1, 3, height=3.0, width_ratios=[1.0, 1.6, 1.0], sharey=True)
    edges = np.linspace(-3.0, 3.0, 61)
    left.plot(before[1], before[0], color=COLOURS["start"])
    left.set(title="density before", xlabel="density", ylabel="value", ylim=(-3.0, 3.0))
    middle.plot(trajectories, color=COLOURS["MGDM"], lw=0.7)
    middle.set(title="points on their way", xlabel="step", xlim=(0, len(trajectories) - 1))
    heights = histogram(arrived, edges)
    right.stairs(heights, edges, orientation="horizontal", color=COLOURS["MGDM"], fill=True, alpha=0.35)
    right.plot(after[1], after[0], color=COLOURS["true"], lw=1.2)
    right.set(title="density after", xlabel="density")
    return figure


@checked
@styled
def process_portraits(
    processes: Mapping[str, tuple[Tensor, np.ndarray, np.ndarray]], grid: np.ndarray, *, points: int = 150
) -> Figure:
    """A row for each process: the beginning of a path, autocovariances, and the density of a single point.

    Lines are what is handed over; dots and histograms are estimated from the paths.

    Args:
        processes: by title: paths (n, time), autocovariances at lags 0, 1, …, and the density of a point on `grid`.
        grid: values (G,), which also set the range of the axes.
        points: points of the path that are drawn.
    """
    figure, axes = subplots(len(processes), 3, height=1.6 * len(processes) + 0.3, width_ratios=[2.0, 1.0, 1.0])
    rows = axes.reshape(-1, 3)
    edges = np.linspace(grid[0], grid[-1], 61)
    for (title, (paths, autocovariance, density)), (path, memory, values) in zip(processes.items(), rows, strict=True):
        path.plot(paths[0, :points].numpy(), color=COLOURS["true"], lw=0.8)
        path.set(title=with_powers(title), ylabel="value", ylim=(grid[0], grid[-1]))
        memory.plot(autocovariance, color=COLOURS["true"], lw=1.2)
        memory.plot(_autocovariance(paths, len(autocovariance)), "o", color=_SHADES[0], markersize=3)
        memory.axhline(0.0, color="0.7", lw=0.7, zorder=0)
        values.stairs(histogram(paths, edges), edges, color=_SHADES[0], fill=True, alpha=0.35)
        values.plot(grid, density, color=COLOURS["true"], lw=1.2)
    for axis, title in zip(rows[0, 1:], ("autocovariance", "density of a point"), strict=True):
        axis.set_title(title)
    for axis, label in zip(rows[-1], ("time", "lag", "value"), strict=True):
        axis.set_xlabel(label)
    return figure


def _autocovariance(paths: Tensor, n: int) -> list[float]:
    """Autocovariances of paths (paths, time) at lags 0 … n − 1, about the mean of all points."""
    centred = paths - paths.mean()
    length = paths.shape[-1]
    return [float((centred[:, lag:] * centred[:, : length - lag]).mean()) for lag in range(n)]
