"""Figures of divergences along a descent, against the size of an ensemble and the number of paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.divergence import DivergenceTrace
from mfmgdm_lib.plotting.style import COLOURS, band, legend_below, name_ticks, styled, subplots, with_powers
from mfmgdm_lib.plotting.widths import is_narrow

__all__ = [
    "divergence",
    "divergence_by_run",
    "divergence_tables",
    "ensemble_sizes",
    "joint_and_path",
    "overshoot",
    "scaling",
]

_THIN = 0.7


@checked
@styled
def divergence(traces: Mapping[str, DivergenceTrace]) -> Figure:
    """Reverse KL with a band of two standard errors, and the two parts whose gap it is (Figs. 1(c), 3(b))."""
    figure, (total, parts) = subplots(1, 2, height=3.2)
    for name, trace in traces.items():
        steps, colour = np.arange(len(trace.reverse_kl)), COLOURS[name]
        total.plot(steps, trace.reverse_kl, color=colour, label=name)
        band(total, steps, trace.reverse_kl, 2.0 * trace.standard_error, colour)
        parts.plot(steps, -trace.entropy, color=colour, label=f"{name}: negative entropy")
        parts.plot(steps, trace.log_likelihood, "--", color=colour, label=f"{name}: log-likelihood")
        _mark_minimum(total, trace, colour)
    total.set(title="reverse KL divergence", xlabel="step t", ylabel="nats per path", ylim=(0, None))
    parts.set(title="its two parts", xlabel="step t", ylabel="nats per path")
    total.legend(loc="upper left" if len(traces) > 1 else "best")
    if is_narrow():
        legend_below(figure, parts.get_lines())
    else:
        parts.legend()
    return figure


@checked
@styled
def divergence_tables(runs: Mapping[str, Mapping[str, pd.DataFrame]]) -> Figure:
    """Reverse KL with a band of two standard errors, and its two parts: a row for each process.

    Args:
        runs: by process, and by the name of a colour: tables like those of `companion.summarize`; steps may be
            missing. Where `least_moved` falls below 1, or `most_folded` rises above 0, the divergence and the negative
            entropy are lower bounds from there on: thin lines, and an open dot.
    """
    narrow = 3.6 * len(runs) + 0.9
    figure, axes = subplots(len(runs), 2, height=2.7 * len(runs) + 0.4, narrow_height=narrow)
    for (total, parts), (process, tables) in zip(axes.reshape(len(runs), 2), runs.items(), strict=True):
        for name, table in tables.items():
            colour, is_bound = COLOURS[name], _is_bound(table)
            _plot_until_bound(total, table["reverse_kl"], is_bound, colour)
            band(total, table.index, table["reverse_kl"], 2.0 * table["standard_error"], colour)
            best = table["reverse_kl"].idxmin()
            filling = "white" if is_bound[best] else colour
            total.plot(best, table["reverse_kl"][best], "o", color=colour, mfc=filling, markersize=5, zorder=4)
            _plot_until_bound(parts, -table["entropy"], is_bound, colour)
            parts.plot(table["log_likelihood"], "--", color=colour)
        total.set(title=f"{with_powers(process)}: reverse KL", ylabel="nats per path", xlim=(0, None))
        parts.set(title="its two parts", xlim=(0, None))
    for axis in axes[-2:]:
        axis.set_xlabel("step t")
    handles = [Line2D([], [], color=COLOURS[name], label=name) for name in next(iter(runs.values()))]
    styles = {"negative entropy": "-", "log-likelihood": "--"}
    grey = [Line2D([], [], color="0.4", ls=style, label=part) for part, style in styles.items()]
    if any(_is_bound(table).any() for tables in runs.values() for table in tables.values()):
        grey.append(
            Line2D([], [], color="0.4", lw=_THIN, marker="o", mfc="white", ms=4, label="thin, open: a lower bound")
        )
    legend_below(figure, [*handles, *grey])
    return figure


@checked
@styled
def divergence_by_run(runs: Mapping[str, pd.DataFrame], *, printed: tuple[int, float]) -> Figure:
    """Reverse KL of several runs of MF–MGDM against the step, on logarithmic axes, and a number of the paper.

    Args:
        runs: by what they are called, tables with a column `reverse_kl` by step; the first is drawn boldest.
        printed: the step that a number of the paper belongs to, and the number, in nats per path.
    """
    figure, (axis,) = subplots(1, 1, height=3.2)
    looks: list[dict[str, Any]] = [{"lw": 2.5}, {"lw": 1.2}, {"lw": 1.0, "ls": "--"}, {"lw": 1.0, "ls": ":"}]
    for look, (name, table) in zip(looks, runs.items(), strict=False):
        axis.plot(table.index + 1, table["reverse_kl"], color=COLOURS["MF–MGDM"], label=name, **look)
    axis.plot(printed[0] + 1, printed[1], "x", color=COLOURS["true"], ms=8, mew=2, zorder=4, label="paper")
    axis.set(xscale="log", yscale="log", xlabel="step t, plus 1", ylabel="reverse KL, nats per path")
    axis.yaxis.set_minor_locator(NullLocator())
    axis.set_yticks([20, 50, 100, 200], ["20", "50", "100", "200"])
    axis.legend()
    return figure


@checked
@styled
def ensemble_sizes(traces: Mapping[int, DivergenceTrace]) -> Figure:
    """Reverse KL along the descent, one line for each ensemble size (Fig. 4)."""
    figure, (axis,) = subplots(1, 1, height=3.6)
    shades = plt.get_cmap("viridis_r")(np.linspace(0.12, 1.0, len(traces)))
    lines = []
    for shade, (size, trace) in zip(shades, traces.items(), strict=True):
        label = f"N = {size}" + ("  (MGDM)" if size == 1 else "")
        lines += axis.plot(trace.reverse_kl, color=shade, label=label)
    axis.set(xlabel="step t", ylabel="reverse KL, nats per path", xlim=(0, None), ylim=(0, None))
    legend_below(figure, lines, "paths in an ensemble")
    return figure


@checked
@styled
def overshoot(curves: Mapping[str, np.ndarray], *, slopes: Mapping[str, float], top: float = 1.5) -> Figure:
    """Reverse KL long past its minimum, with a dashed line of the predicted slope through the end of each curve."""
    figure, (axis,) = subplots(1, 1, height=3.4)
    shades = plt.get_cmap("viridis_r")(np.linspace(0.25, 1.0, len(curves)))
    lines = []
    for shade, (label, curve) in zip(shades, curves.items(), strict=True):
        steps, last = np.arange(len(curve)), len(curve) - 1
        lines += axis.plot(steps, curve, color=shade, lw=4, alpha=0.55, label=label)
        tail = steps[last // 3 :]
        axis.plot(tail, curve[last] + slopes[label] * (tail - last), "--", color="black", lw=1)
    lines.append(Line2D([], [], color="black", ls="--", lw=1, label="predicted slope"))
    axis.set(xlabel="step t", ylabel="reverse KL, nats per path", xlim=(0, None), ylim=(0, top))
    legend_below(figure, lines, "paths in an ensemble")
    return figure


@checked
@styled
def joint_and_path(by_size: pd.DataFrame, by_step: Mapping[str, pd.DataFrame]) -> Figure:
    """Divergence of an ensemble's joint law and of one path's law, and the gap between the two, shaded.

    Args:
        by_size: columns "joint" and "path", nats per path, for sizes N of an ensemble.
        by_step: the same two for steps t, by the name of a colour.
    """
    figure, (left, right) = subplots(1, 2, height=3.1, sharey=True)
    for axis, name, frame in [(left, "MF–MGDM", by_size), *((right, *item) for item in by_step.items())]:
        colour, at = COLOURS[name], frame.index.to_numpy()
        axis.fill_between(at, frame["path"], frame["joint"], color=colour, alpha=0.15, lw=0)
        marker = "o" if axis is left else None
        axis.plot(at, frame["joint"], color=colour, marker=marker, ms=4, label=f"{name}: joint law, divided by N")
        axis.plot(at, frame["path"], "--", color=colour, marker=marker, ms=4, label=f"{name}: one path")
    left.set(xscale="log", yscale="log", xlabel="paths in an ensemble, N", ylabel="reverse KL, nats per path")
    name_ticks(left, by_size.index.to_numpy())
    right.set(xlabel="step t")
    legend_below(figure, right.get_legend_handles_labels()[0])
    return figure


@checked
@styled
def scaling(
    series: Mapping[str, tuple[str, np.ndarray, np.ndarray, np.ndarray]], *, power: float, xlabel: str, ylabel: str
) -> Figure:
    """Values with bars of two standard errors on logarithmic axes, and a line of slope `power` through each series.

    Args:
        series: by its label: the name of a colour, sizes, values and their standard errors, (n,) each.
        power: exponent of the lines; their level is the mean of value / size^power, weighted by precision.
        xlabel: what the sizes are.
        ylabel: what the values are, with their unit.
    """
    figure, (axis,) = subplots(1, 1, height=3.2)
    for marker, (label, (name, sizes, values, errors)) in zip("osDv", series.items(), strict=False):
        style: dict[str, Any] = {"color": COLOURS[name], "fmt": marker, "mfc": "white", "markersize": 5, "capsize": 2.5}
        axis.errorbar(sizes, values, 2.0 * errors, label=label, **style)
        shape = np.float_power(sizes, power)
        level = np.average(values / shape, weights=(shape / errors) ** 2)
        axis.plot(sizes, level * shape, "--", color=COLOURS[name], lw=1, zorder=0)
    axis.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    name_ticks(axis, sizes)
    axis.legend()
    return figure


def _is_bound(table: pd.DataFrame) -> pd.Series:
    """Whether a step up to each row was not one-to-one, as far as the table knows."""
    bound = pd.Series(data=False, index=table.index)
    if "least_moved" in table:
        bound |= table["least_moved"].cummin() < 1
    if "most_folded" in table:
        bound |= table["most_folded"].cummax() > 0
    return bound


def _plot_until_bound(axis: Axes, curve: pd.Series, is_bound: pd.Series, colour: str) -> None:
    """A line that becomes thin where it is a lower bound."""
    axis.plot(curve.where(~is_bound), color=colour)
    if is_bound.any():
        first = int(is_bound.to_numpy().argmax())
        axis.plot(curve.iloc[max(first - 1, 0) :], color=colour, lw=_THIN)


def _mark_minimum(axis: Axes, trace: DivergenceTrace, colour: str) -> None:
    """A dot and its value: beside and below the dot if there is room under the curve, else above it."""
    best, least = trace.best_step, trace.reverse_kl.min()
    below = least > 0.15 * trace.reverse_kl.max()
    axis.plot(best, least, "o", color=colour, markersize=5)
    axis.annotate(
        f"{least:.2f} at step {best}",
        (best, least),
        xytext=(8, -4) if below else (0, 8),
        textcoords="offset points",
        ha="left" if below else "center",
        va="top" if below else "bottom",
        color=colour,
        fontsize=8 if is_narrow() else 9,
    )
