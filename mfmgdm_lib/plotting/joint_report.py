"""The figure of the report on several series at once: each with a path, and the cross-correlations of pairs."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from mfmgdm_lib._checks import as_windows
from mfmgdm_lib.generation import Generation
from mfmgdm_lib.plotting.style import COLOURS, legend_below, new_figure
from mfmgdm_lib.plotting.widths import is_narrow
from mfmgdm_lib.statistics import cross_correlation

__all__ = ["joint_figure"]

_SERIES, _PATHS = COLOURS["true"], COLOURS["MF–MGDM"]
_CIRCLES: dict[str, Any] = {"color": _SERIES, "marker": "o", "ls": "", "markersize": 3, "mfc": "white", "mew": 0.8}
_LAGS = 10
_FEW = 3
"""Pairs whose cross-correlations are drawn at all lags; of more there is only room for lag 0."""


def joint_figure(generation: Generation, unit: str) -> Figure:
    """Draw what `generation_report` explains of several series; arguments are its own."""
    pairs = list(itertools.combinations(range(len(generation.columns)), 2))
    per_series = 1.4 if is_narrow() else 0.85
    heights = [0.6 + per_series * len(generation.columns)]
    if len(pairs) <= _FEW:
        heights.append(0.7 + (4.2 if is_narrow() else 2.1) * len(pairs))
    else:
        heights.append((2 if is_narrow() else 1) * (0.8 + 0.2 * len(pairs)) + 0.4)
    figure = new_figure(sum(heights))
    (above,), (below,) = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)
    _draw_paths(above, generation, unit)
    (_draw_lags if len(pairs) <= _FEW else _draw_pairs)(below, generation, pairs)
    legend_below(below, _handles(generation))
    return figure


def _draw_paths(figure: SubFigure, generation: Generation, unit: str) -> None:
    """The last stretch of each series, as long as a path, and the first path, on one scale for each."""
    length, count = generation.paths.shape[-1], len(generation.columns)
    panels = figure.subplots(count, 2, sharex=True, sharey="row", squeeze=False)
    parts = ((generation.series[:, -length:], _SERIES, "series"), (generation.paths[0], _PATHS, "a path"))
    for column, (values, colour, title) in enumerate(parts):
        for axis, path in zip(panels[:, column], values, strict=True):
            axis.plot(path.numpy(), color=colour, lw=0.6)
            axis.margins(x=0.01)
        panels[0, column].set_title(title)
        panels[-1, column].set_xlabel("point")
    for axis, name in zip(panels[:, 0], generation.columns, strict=True):
        axis.set_ylabel(_short(name))
    figure.align_ylabels(panels[:, 0])
    if unit:
        figure.suptitle(textwrap.fill(f"x, {unit}", 44 if is_narrow() else 90), fontsize="medium")


def _draw_lags(figure: SubFigure, generation: Generation, pairs: Sequence[tuple[int, int]]) -> None:
    """Cross-correlations of few pairs at lags of either sign: of values, and of squares."""
    narrow = is_narrow()
    panels = np.ravel(figure.subplots(2 * len(pairs), 1) if narrow else figure.subplots(len(pairs), 2, squeeze=False))
    at = np.arange(-_LAGS, _LAGS + 1)
    for place, axis in enumerate(panels):
        pair, power = pairs[place // 2], 1 + place % 2
        first, second = (_short(generation.columns[channel]) for channel in pair)
        _draw_correlations(axis, generation, pair, power, at)
        axis.axhline(0.0, color="0.7", lw=0.7, zorder=0)
        title = f"{first} × {second}" if power == 1 else "their squares"
        axis.set(title=title, ylabel="correlation" if narrow or power == 1 else "")
        axis.set(xlabel=f"lag of {second}", xticks=range(-_LAGS, _LAGS + 1, 5))


def _draw_correlations(axis: Axes, generation: Generation, pair: Sequence[int], power: int, at: np.ndarray) -> None:
    low, middle, high, of_windows, of_series = _correlations(generation, pair, power, _LAGS)
    axis.fill_between(at, low, high, color=_PATHS, alpha=0.25, lw=0)
    axis.plot(at, middle, color=_PATHS, lw=1.2)
    if of_windows is not None:
        axis.plot(at, of_windows, **_CIRCLES)
    axis.plot(at, of_series, "o", color=_SERIES, markersize=3)


def _draw_pairs(figure: SubFigure, generation: Generation, pairs: Sequence[tuple[int, int]]) -> None:
    """Correlations of many pairs at the same time, a line for each: of values, and of squares."""
    panels = np.ravel(figure.subplots(2, 1) if is_narrow() else figure.subplots(1, 2, sharey=True))
    names = [" × ".join(_short(generation.columns[channel]) for channel in pair) for pair in pairs]
    at = np.arange(len(pairs))
    for power, axis in enumerate(panels, start=1):
        for line, pair in enumerate(pairs):
            low, middle, high, of_windows, of_series = _correlations(generation, pair, power, 0)
            axis.plot([low[0], high[0]], [line, line], color=_PATHS, alpha=0.25, lw=6, solid_capstyle="butt")
            axis.plot(middle, [line], "|", color=_PATHS, markersize=7, mew=1.5)
            if of_windows is not None:
                axis.plot(of_windows, [line], **_CIRCLES)
            axis.plot(of_series, [line], "o", color=_SERIES, markersize=3)
        axis.set_yticks(at, names)
        axis.set(title="correlation of x" if power == 1 else "correlation of x²", xlabel="correlation")
        axis.set_ylim(len(pairs) - 0.5, -0.5)


def _correlations(
    generation: Generation, pair: Sequence[int], power: int, lags: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
    """Cross-correlations of paths (their 5 %, 50 % and 95 % quantiles), of windows of the series, and of all of it."""
    mean, stddev = generation.series.mean(-1, keepdim=True), generation.series.std(-1, correction=0, keepdim=True)
    length, shape = generation.paths.shape[-1], (len(generation.columns), None)

    def statistic(values: Tensor) -> np.ndarray:
        scaled = ((values - mean) / stddev) ** power
        return cross_correlation(scaled[..., pair[0], :], scaled[..., pair[1], :], lags).numpy()

    quantiles = np.quantile(statistic(generation.paths), [0.05, 0.5, 0.95], axis=0)
    has_windows = generation.series.shape[-1] > length
    of_windows = statistic(as_windows("series", generation.series, length, shape)).mean(0) if has_windows else None
    return quantiles[0], quantiles[1], quantiles[2], of_windows, statistic(generation.series)


def _short(name: str) -> str:
    """A name that leaves room for others."""
    return name if len(name) <= 12 else name[:11] + "…"


def _handles(generation: Generation) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=_SERIES, marker="o", ls="", markersize=3.5, label="series"),
        Line2D([], [], color=_PATHS, lw=1.2, label="paths, median"),
        Patch(color=_PATHS, alpha=0.25, lw=0, label="nine paths in ten"),
    ]
    if generation.series.shape[-1] > generation.paths.shape[-1]:
        handles.insert(1, Line2D([], [], **_CIRCLES, label="series, by windows"))
    return handles
