"""The figure of a generation's report: the series and the paths, and their statistics."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import as_windows
from mfmgdm_lib.generation import Generation
from mfmgdm_lib.plotting.joint_report import joint_figure
from mfmgdm_lib.plotting.style import COLOURS, legend_below, new_figure, styled
from mfmgdm_lib.plotting.widths import is_narrow
from mfmgdm_lib.statistics import autocorrelation, histogram, leverage

__all__ = ["generation_report"]

_SERIES, _PATHS = COLOURS["true"], COLOURS["MF–MGDM"]
_CIRCLES: dict[str, Any] = {"color": _SERIES, "marker": "o", "ls": "", "markersize": 3, "mfc": "white", "mew": 0.8}
_LAGS = 20
_REACH = 10.0
"""Standard deviations from the mean, at most, of the values whose density is drawn."""


@checked
@styled
def generation_report(generation: Generation, *, unit: str = "") -> Figure:
    """Generated paths beside the series that they are like: in time, by their autocorrelations and by their values.

    Above, the last stretch of the series, as long as a path, and two paths, on one scale. Below, for x standardised by
    the mean and the standard deviation of the series, autocorrelations of x and of x², and the correlations of x with
    later x², which `leverage` explains: for the paths their median and where nine in ten are; for the series dots, and
    circles for the mean over stretches of it as long as a path, which is what paths can be compared with. Last, the
    density of single values up to 10 standard deviations from the mean, with the Gaussian of the same mean and
    variance, and the share of values that are further from the mean than a number of standard deviations.

    Of several series there is each above, with a path beside it. Below are the cross-correlations of each pair, of x
    and of x², at lags of either sign; of more than three pairs, and so of four series or more, only those at lag 0.

    Args:
        generation: what `generate` returned.
        unit: of a value of the series.
    """
    if generation.columns:
        return joint_figure(generation, unit)
    label = ", ".join(filter(None, ["x", unit]))
    heights = [3.3, 11.0] if is_narrow() else [3.3, 5.2]
    figure = new_figure(sum(heights))
    (above,), (below,) = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)
    _draw_paths(above, generation, label)
    in_time, in_squares, after_falls, values, tails = _panels(below)
    _draw_lags(in_time, generation, lambda x: autocorrelation(x, _LAGS))
    in_time.set(title="autocorrelation of x", ylabel="correlation")
    _draw_lags(in_squares, generation, lambda x: autocorrelation(x**2, _LAGS))
    in_squares.set(title="autocorrelation of x²", ylabel="correlation" if is_narrow() else "")
    _draw_lags(after_falls, generation, lambda x: leverage(x, _LAGS))
    after_falls.set(title="x with later x²", ylabel="correlation" if is_narrow() else "")
    _draw_values(values, generation)
    values.set(title="density of x", xlabel=textwrap.fill(label, 30), ylabel="density")
    _draw_tails(tails, generation)
    tails.set(title="share of values further out", xlabel="standard deviations from the mean", ylabel="share")
    legend_below(below, _handles(generation))
    return figure


def _panels(figure: SubFigure) -> list[Axes]:
    """Three panels above two, or all five below one another."""
    if is_narrow():
        return list(figure.subplots(5, 1))
    return list(figure.subplot_mosaic("aabbcc;dddeee").values())


def _draw_paths(figure: SubFigure, generation: Generation, title: str) -> None:
    length = generation.paths.shape[-1]
    rows = [("series", _SERIES, generation.series[-length:])]
    rows += [(f"path {number}", _PATHS, path) for number, path in enumerate(generation.paths[:2])]
    axes = figure.subplots(len(rows), 1, sharex=True, sharey=True)
    for axis, (name, colour, path) in zip(axes, rows, strict=True):
        axis.plot(path.numpy(), color=colour, lw=0.6)
        axis.set_ylabel(name)
        axis.margins(x=0.01)
    figure.align_ylabels(axes)
    axes[0].set_title(title)
    axes[-1].set_xlabel("point")


def _draw_lags(axis: Axes, generation: Generation, statistic: Callable[[Tensor], Tensor]) -> None:
    """A statistic of x at 20 lags: of the series as dots, of its windows as circles, of paths around their median."""
    series, paths = _standardised(generation)
    at, length = np.arange(1, _LAGS + 1), paths.shape[-1]
    axis.axhline(0.0, color="0.7", lw=0.7, zorder=0)
    low, middle, high = np.quantile(statistic(paths).numpy(), [0.05, 0.5, 0.95], axis=0)
    axis.fill_between(at, low, high, color=_PATHS, alpha=0.25, lw=0)
    axis.plot(at, middle, color=_PATHS, lw=1.2)
    if _has_windows(generation):
        axis.plot(at, statistic(as_windows("series", series, length)).mean(0).numpy(), **_CIRCLES)
    axis.plot(at, statistic(series).numpy(), "o", color=_SERIES, markersize=3)
    axis.set(xlabel="lag", xticks=[1, *range(5, _LAGS + 1, 5)])


def _standardised(generation: Generation) -> tuple[Tensor, Tensor]:
    """The series and the paths, by the mean and the standard deviation of the series."""
    mean, stddev = generation.series.mean(), generation.series.std(correction=0)
    return (generation.series - mean) / stddev, (generation.paths - mean) / stddev


def _has_windows(generation: Generation) -> bool:
    return len(generation.series) > generation.paths.shape[-1]


def _draw_values(axis: Axes, generation: Generation) -> None:
    """Densities of the values on a logarithmic axis; a bin without values has none."""
    series, paths = generation.series, generation.paths
    mean, stddev = float(series.mean()), float(series.std(correction=0))
    furthest = float((torch.cat([series, paths.flatten()]) - mean).abs().max())
    edges = np.linspace(-1.0, 1.0, 50) * min(furthest, _REACH * stddev) + mean
    centres, width = 0.5 * (edges[1:] + edges[:-1]), edges[1] - edges[0]
    axis.stairs(histogram(paths, edges), edges, color=_PATHS, fill=True, alpha=0.45)
    real = histogram(series, edges)
    axis.plot(centres[real > 0], real[real > 0], "o", color=_SERIES, markersize=3)
    gaussian = np.exp(-0.5 * ((centres - mean) / stddev) ** 2) / (np.sqrt(2.0 * np.pi) * stddev)
    axis.plot(centres, gaussian, "--", color="0.5", lw=1)
    # Down to half a value in a bin, below which nothing but the Gaussian could be.
    lowest = 0.5 / (max(len(series), paths.numel()) * width)
    axis.set(yscale="log", ylim=(lowest, 3.0 * max(real.max(), gaussian.max())))


def _draw_tails(axis: Axes, generation: Generation) -> None:
    """Shares of values beyond 1 to 10 standard deviations on logarithmic axes, where a power law is straight."""
    series, paths = _standardised(generation)
    at = np.geomspace(1.0, _REACH, 25)
    real, of_paths = (np.array([float((x.abs() > far).double().mean()) for far in at]) for x in (series, paths))
    axis.fill_between(at, of_paths, color=_PATHS, alpha=0.45, lw=0)
    axis.plot(at[real > 0], real[real > 0], "o", color=_SERIES, markersize=3)
    axis.plot(at, scipy.special.erfc(at / np.sqrt(2.0)), "--", color="0.5", lw=1)
    axis.set(xscale="log", yscale="log", ylim=(0.5 / max(series.numel(), paths.numel()), 1.0))
    axis.set_xticks([1, 2, 3, 5, 10], ["1", "2", "3", "5", "10"])
    axis.minorticks_off()


def _handles(generation: Generation) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=_SERIES, marker="o", ls="", markersize=3.5, label="series"),
        Line2D([], [], color=_PATHS, lw=1.2, label="paths, median"),
        Patch(color=_PATHS, alpha=0.25, lw=0, label="nine paths in ten"),
        Line2D([], [], color="0.5", ls="--", lw=1, label="Gaussian"),
    ]
    if _has_windows(generation):
        handles.insert(1, Line2D([], [], **_CIRCLES, label="series, by windows"))
    return handles
