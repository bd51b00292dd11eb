"""Figures of the models of financial series (Section 5.2): statistics, entropies and losses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.companion.figures.series import draw_violins
from mfmgdm_lib.companion.path_summaries import EDGES
from mfmgdm_lib.plotting.style import COLOURS, band, legend_below, styled, subplots

__all__ = ["market_bands", "market_entropies", "market_losses", "market_spread", "market_violins"]

_COLOURS = {**COLOURS, "reference": "#009e73"}
_LAGS = np.arange(1, 21)
_TITLES = {"acf": "autocorrelation of x", "squares": "autocorrelation of x²"}


@checked
@styled
def market_violins(models: Mapping[str, Any], *, title: str = "S&P 500") -> Figure:
    """Autocorrelations and marginals of models of one series, a row for each, as in paper Figure 6.

    Args:
        models: `companion.MarketSummary` by the name of a colour.
        title: of the series, whose values are the black dots.
    """
    figure, grid = _statistics_grid(len(models), height=1.75 * len(models) + 0.6)
    for row, (name, summary) in zip(grid, models.items(), strict=True):
        for axis, kind in zip(row, _TITLES, strict=False):
            _violins(axis, summary, kind, _COLOURS[name])
        _marginal(row[2], summary, {name: summary})
        row[0].set_ylabel(name)
    for column in grid.T[:2]:
        _share_range(column)
    _legend(figure, models, title)
    return figure


@checked
@styled
def market_bands(rows: Mapping[str, Mapping[str, Any]], *, colours: Mapping[str, str] | None = None) -> Figure:
    """The middle 90 % of the paths' autocorrelations, and marginals, of several series or settings, a row for each.

    Args:
        rows: by title: `companion.MarketSummary` by name.
        colours: a colour for each name; None for those of the models.
    """
    colours = _COLOURS if colours is None else colours
    figure, grid = _statistics_grid(len(rows), height=1.65 * len(rows) + 0.7)
    for line, (title, models) in zip(grid, rows.items(), strict=True):
        first = next(iter(models.values()))
        for axis, kind in zip(line, _TITLES, strict=False):
            for name, summary in models.items():
                low, middle, high = (summary.band(kind, share) for share in (0.05, 0.5, 0.95))
                axis.fill_between(_LAGS, low, high, color=colours[name], alpha=0.25, lw=0)
                axis.plot(_LAGS, middle, color=colours[name], lw=1.2)
            _observed(axis, first, kind)
        _marginal(line[2], first, models, colours)
        line[0].set_ylabel(title)
    _legend(figure, dict.fromkeys(name for models in rows.values() for name in models), "the series", colours)
    return figure


@checked
@styled
def market_entropies(rows: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Entropy won or lost along descents, a panel for each series; dashed where a step has folded some path's space.

    The vertical axis is linear up to one nat and logarithmic beyond, so that no line leaves the frame.

    Args:
        rows: by title: `companion.MarketSummary` by the name of a colour.
    """
    figure, axes = subplots(1, len(rows), height=3.0, sharey=True)
    reach = 1.0
    for axis, (title, models) in zip(axes, rows.items(), strict=True):
        axis.axhline(0.0, color="0.7", lw=0.8, zorder=0)
        for name, summary in models.items():
            entropy = summary.curve("log_determinant")
            reach = max(reach, float(entropy.abs().max()))
            folded = summary.curve("folded")
            band(axis, entropy.index + 1, entropy, summary.curve("error"), _COLOURS[name])
            began = folded.index[folded > 0].min() if (folded > 0).any() else np.inf
            exact = entropy[entropy.index <= began]
            axis.plot(exact.index + 1, exact, color=_COLOURS[name])
            bound = entropy[entropy.index >= (exact.index.max() if len(exact) else 0)]
            axis.plot(bound.index + 1, bound, color=_COLOURS[name], ls=(0, (2, 1.5)))
        axis.set(xscale="log", title=title)
        axis.set_xticks([1, 100, 10_000], ["1", "100", "10⁴"])
        axis.set_xlim(1, 1.2 * max(summary.cell.n_steps for summary in models.values()))
        axis.minorticks_off()
    axes[0].set_yscale("symlog", linthresh=1.0, linscale=1.5)
    marks = [-100, -10, -1, -0.5, 0, 0.5, 1, 10, 100]
    axes[0].set_yticks(marks, [f"{mark:+g}".replace("-", "−") if mark else "0" for mark in marks])
    axes[0].set_ylim(-1.5 * reach, 1.5 * reach)
    axes[0].set_ylabel("entropy since the start, nats per day")
    figure.supxlabel("step")
    handles: list[Any] = [Line2D([], [], color=_COLOURS[name], label=name) for name in next(iter(rows.values()))]
    handles.append(Line2D([], [], color="0.4", ls=(0, (2, 1.5)), label="an upper bound: a step has folded space"))
    legend_below(figure, handles)
    return figure


@checked
@styled
def market_losses(panels: Mapping[str, Mapping[str, pd.Series]]) -> Figure:
    """Loss against a measure of effort on logarithmic axes, a panel for each measure.

    Args:
        panels: by the label of the horizontal axis: by name, ending in "descent" or "flow", the loss by effort, which
            begins above 0.
    """
    figure, axes = subplots(1, len(panels), height=2.9, sharey=True)
    for axis, (label, curves) in zip(axes, panels.items(), strict=True):
        for name, loss in curves.items():
            model, method = name.rsplit(", ", 1)
            line = "-" if method == "descent" else (0, (3, 1))
            axis.plot(loss.index, loss, color=_COLOURS[model], ls=line, label=name)
        axis.set(xscale="log", yscale="log", xlabel=label)
    axes[0].set_ylabel("loss")
    handles, _ = axes[0].get_legend_handles_labels()
    legend_below(figure, handles)
    return figure


@checked
@styled
def market_spread(table: pd.DataFrame, models: Sequence[str]) -> Figure:
    """How far apart paths lie in each statistic, in units of how far windows of the series do.

    Args:
        table: what `companion.market_spreads` returns.
        models: names of a colour, whose columns are drawn.
    """
    figure, (axis,) = subplots(1, 1, height=0.36 * len(table) + 1.1)
    at = np.arange(len(table))
    axis.axvline(1.0, color="0.7", lw=1, zorder=0)
    for name in models:
        axis.plot(table[f"{name} ±"] / table["windows ±"], at, "o", color=_COLOURS[name], ms=6, label=name)
    axis.set_yticks(at, table.index)
    axis.set(
        xscale="log", ylim=(len(table) - 0.5, -0.5), xlabel="spread over paths / spread over windows of the series"
    )
    axis.set_xticks([0.01, 0.1, 1.0], ["0.01", "0.1", "1"])
    legend_below(figure, axis.get_legend_handles_labels()[0])
    return figure


def _statistics_grid(rows: int, *, height: float) -> tuple[Figure, np.ndarray]:
    """Rows of three panels, (rows, 3), for both autocorrelations and the density."""
    narrow = 3 * (1.2 * rows + 0.4) + 0.4
    figure, axes = subplots(rows, 3, height=height, narrow_height=narrow, sharex="col", width_ratios=[1, 1, 1.1])
    grid = axes.reshape(rows, 3)
    for axis, title in zip(grid[0], (*_TITLES.values(), "density of x"), strict=True):
        axis.set_title(title)
    for axis in grid[-1, :2]:
        axis.set(xlabel="lag, days", xticks=[1, 5, 10, 15, 20])
    grid[-1, 2].set_xlabel("standard deviations")
    return figure, grid


def _violins(axis: Axes, summary: Any, kind: str, colour: str) -> None:
    """A violin for each lag with whiskers to the extremes, from quantiles at even shares; the series as dots."""
    shares = np.linspace(0.5 / 128, 1 - 0.5 / 128, 128)
    draw_violins(axis, summary.band(kind, shares).T, _LAGS, colour)
    axis.vlines(_LAGS, summary.band(kind, 0.0), summary.band(kind, 1.0), color=colour, lw=0.6)
    _observed(axis, summary, kind)


def _observed(axis: Axes, summary: Any, kind: str) -> None:
    """The series as dots, and a line at 0."""
    axis.plot(_LAGS, summary.observed_band(kind), "o", color=COLOURS["true"], ms=2.5)
    axis.axhline(0.0, color="0.7", lw=0.7, zorder=0)


def _marginal(axis: Axes, first: Any, models: Mapping[str, Any], colours: Mapping[str, str] = _COLOURS) -> None:
    """Densities on a logarithmic axis, with the series as dots and a standard Gaussian."""
    centres = 0.5 * (EDGES[1:] + EDGES[:-1])
    real = first.density(of_series=True)
    for name, summary in models.items():
        axis.stairs(summary.density(), EDGES, color=colours[name], fill=len(models) == 1, alpha=0.7)
    _write_tail_shares(axis, first, models, colours)
    axis.plot(centres[real > 0], real[real > 0], "o", color=COLOURS["true"], ms=2)
    axis.plot(centres, np.exp(-0.5 * centres**2) / np.sqrt(2 * np.pi), "--", color="0.5", lw=0.9)
    axis.set(yscale="log", ylim=(2e-5, 2.0))


def _write_tail_shares(axis: Axes, first: Any, models: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    """Write how much of the series (black) and of the models lies outside the bins, which end before the tails do."""
    shares = [(COLOURS["true"], first.share_beyond(of_series=True))]
    shares += [(colours[name], summary.share_beyond()) for name, summary in models.items()]
    lines = [("0.3", f"beyond ±{EDGES[-1]:g}:")]
    lines += [(colour, "<0.001 %" if share < 5e-6 else f"{100 * share:.3f} %") for colour, share in shares]
    style: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right", "va": "top"}
    for k, (colour, text) in enumerate(lines):
        axis.annotate(text, (1.0, 1.0), (2, 2 - 9 * k), color=colour, size=8, **style)


def _share_range(axes: Iterable[Axes]) -> None:
    lows, highs = zip(*(axis.get_ylim() for axis in axes), strict=True)
    for axis in axes:
        axis.set_ylim(min(lows), max(highs))


def _legend(figure: Figure, names: Iterable[str], title: str, colours: Mapping[str, str] = _COLOURS) -> None:
    handles: list[Any] = [Patch(color=colours[name], alpha=0.6, label=name) for name in names]
    handles.append(Line2D([], [], color=COLOURS["true"], marker="o", ls="", ms=4, label=title))
    handles.append(Line2D([], [], color="0.5", ls="--", label="Gaussian"))
    legend_below(figure, handles)
