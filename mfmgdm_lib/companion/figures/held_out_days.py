"""Figures of held-out days: what laws gain over one another, window by window, and how probable the days were."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.stats
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.companion.figures.frozen import FROZEN
from mfmgdm_lib.companion.held_out_days import law_names
from mfmgdm_lib.plotting.style import COLOURS, legend_below, styled, subplots

__all__ = ["flow_gains", "held_out_gains", "held_out_histograms", "held_out_windows"]

_BASE = COLOURS["start"]


@checked
@styled
def held_out_gains(table: pd.DataFrame, column: str = "over AR-GARCH-t") -> Figure:
    """Gains of laws on the held-out days of one series: fixed, and fitted again each year.

    Args:
        table: rows of `results/held_out_gains.csv` of one series, models and flows.
        column: of the gain; its error is in the column with " ±" after it.
    """
    figure, axes = subplots(1, 2, height=4.2, sharey=True, sharex=True, narrow_height=7.5)
    table = table.assign(name=law_names(table.assign(refitted=False)))
    names = list(dict.fromkeys(table[~table["refitted"]].sort_values(["flow", column])["name"]))
    for axis, refitted in zip(axes, (False, True), strict=True):
        for flow, rows in table[table["refitted"] == refitted].groupby("flow"):
            at = [names.index(name) for name in rows["name"]]
            colour, marker = (FROZEN, "D") if flow else (COLOURS["true"], "o")
            axis.errorbar(rows[column], at, xerr=2.0 * rows[f"{column} ±"], fmt=marker, ms=4, lw=1, color=colour)
        axis.axvline(0.0, color="0.7", lw=0.8, zorder=0)
        axis.set_yticks(range(len(names)), names)
        axis.set(xlabel="nats per day", title="fitted again each year" if refitted else "fitted once")
    handles = [
        Line2D([], [], color=COLOURS["true"], marker="o", ms=4, ls="", label="model of arch"),
        Line2D([], [], color=FROZEN, marker="D", ms=4, ls="", label="conditional flow of its innovations"),
    ]
    legend_below(figure, handles)
    return figure


@checked
@styled
def held_out_windows(windows: pd.DataFrame, begins: pd.DatetimeIndex) -> Figure:
    """Mean gains of laws, window by window.

    Args:
        windows: a row for each law, by its name, and a column for each window; those of flows begin with "flow".
        begins: the day on which each window begins.
    """
    figure, (axis,) = subplots(1, 1, height=3.2)
    styles = [("-", "o"), ("--", "s"), (":", "^"), ("-.", "D")]
    for (name, row), (line, marker) in zip(windows.iterrows(), styles, strict=False):
        colour = FROZEN if str(name).startswith("flow") else COLOURS["true"]
        axis.plot(range(len(row)), row, color=colour, ls=line, marker=marker, ms=4, lw=1.2, label=str(name))
    axis.axhline(0.0, color="0.7", lw=0.8, zorder=0)
    axis.set_xticks(range(len(begins)), begins.strftime("%b %Y"), rotation=35, ha="right")
    axis.set(xlabel="window of 256 days from", ylabel="nats per day over AR–GARCH-t")
    legend_below(figure, axis.get_legend_handles_labels()[0])
    return figure


@checked
@styled
def flow_gains(table: pd.DataFrame) -> Figure:
    """What flows gain over their own base models, for each series, fixed and fitted again.

    Args:
        table: rows of `results/held_out_gains.csv` of flows, with the columns `series`, `name`, `refitted`, `over base`
            and `over base ±`.
    """
    series = list(dict.fromkeys(table["series"]))
    figure, axes = subplots(1, 2, height=4.4, sharey=True, sharex=True, narrow_height=7.5)
    for axis, refitted in zip(axes, (False, True), strict=True):
        for place, name in enumerate(series):
            rows = table[(table["series"] == name) & (table["refitted"] == refitted)]
            at = -place + np.linspace(0.24, -0.24, len(rows)) if len(rows) > 1 else [-float(place)]
            axis.errorbar(rows["over base"], at, xerr=2.0 * rows["over base ±"], fmt="D", ms=3.5, lw=1, color=FROZEN)
        axis.axvline(0.0, color=COLOURS["true"], lw=0.8, zorder=0)
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.set_yticks([-float(place) for place in range(len(series))], series)
        axis.set(xlabel="nats per day over the base", title="fitted again each year" if refitted else "fitted once")
    return figure


@checked
@styled
def held_out_histograms(counts: pd.DataFrame) -> Figure:
    """Histograms of the probabilities of a value below each held-out day, with a 95 % band for a law that is right.

    Args:
        counts: a row for each law, by its name, and a column for each of the bins of [0, 1].
    """
    figure, axes = subplots(1, len(counts), height=2.6, sharey=True)
    edges = np.linspace(0.0, 1.0, counts.shape[1] + 1)
    for axis, (name, row) in zip(axes, counts.iterrows(), strict=True):
        low, high = scipy.stats.binom.ppf([0.025, 0.975], row.sum(), 1.0 / len(row))
        axis.axhspan(low, high, color="0.5", alpha=0.25, lw=0)
        axis.stairs(row, edges, color=FROZEN if str(name).startswith("flow") else _BASE, fill=True, alpha=0.6)
        axis.axhline(row.sum() / len(row), color="0.35", lw=0.8)
        axis.set(xlabel="probability of less", title=str(name), xlim=(0.0, 1.0), ylim=(0.0, None))
    axes[0].set_ylabel("days")
    legend_below(figure, [Patch(color="0.5", alpha=0.25, lw=0, label="95 % of bins, if the law is right")])
    return figure
