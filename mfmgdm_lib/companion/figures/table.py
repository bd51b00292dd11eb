"""Figures of Table 1: its values, their replicates and their cost.

What they call `cells` is what `companion.compare_cells` returns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.plotting.style import COLOURS, legend_below, styled, subplots, with_powers

__all__ = ["cell_agreement", "cell_costs", "cell_gains", "cell_rises", "cell_values", "replicate_spread"]

_OFFSET = {"MGDM": -0.16, "MF–MGDM": 0.16}
_BOUND = Line2D([], [], color="0.4", marker="o", mfc="white", ls="", ms=5, label="open: a lower bound")
_PRINTED = Line2D([], [], color="black", marker="x", ls="", ms=5, label="printed in the paper")


@checked
@styled
def cell_values(cells: pd.DataFrame) -> Figure:
    """Smallest reverse KL of each cell, a panel for each energy, with the paper's numbers as crosses.

    Dots of lower bounds are open, here and in the other figures.
    """
    figure, panels = _panels(cells, "smallest reverse KL, nats per path", height=3.4)
    for axis, panel in panels:
        for _, pair in panel.groupby("process", sort=False):
            axis.plot(pair["least"], pair["place"] + pair["model"].map(_OFFSET), color="0.8", lw=3, zorder=0)
        for model, row, at in _by_model(panel):
            _dots(axis, row["least"], at, 2 * row["standard_error"], COLOURS[model], row["bound"])
            axis.plot(row["printed"], at, "x", color="black", ms=4, mew=0.9, zorder=5)
        axis.set(xscale="log", xlim=(0.04, 500))
    _legend(figure, [_PRINTED, _BOUND])
    return figure


@checked
@styled
def cell_agreement(cells: pd.DataFrame) -> Figure:
    """The paper's numbers less ours, with bars of two standard errors of the determinants."""
    label = "printed number less ours, nats per path (each panel has its own scale)"
    figure, panels = _panels(cells, label, height=3.2)
    for axis, panel in panels:
        axis.axvline(0.0, color="0.7", lw=1, zorder=0)
        for model, row, at in _by_model(panel):
            _dots(axis, row["difference"], at, 2 * row["determinant_error"], COLOURS[model], row["bound"])
        widest = max(0.05, 1.15 * float((panel["difference"].abs() + 2 * panel["determinant_error"]).max()))
        axis.set_xlim(-widest, widest)
    _legend(figure, [_BOUND])
    return figure


@checked
@styled
def cell_gains(pairs: pd.DataFrame) -> Figure:
    """What MF–MGDM takes off the divergence of MGDM, with bars of two standard errors.

    Args:
        pairs: what `companion.gains` returns.
    """
    colour, label = COLOURS["MF–MGDM"], "nats per path that MF–MGDM is below MGDM, each at its best step"
    figure, panels = _panels(pairs, label, height=2.9)
    for axis, panel in panels:
        axis.barh(panel["place"], panel["gain"], color=colour, alpha=0.35, height=0.6)
        _dots(axis, panel["gain"], panel["place"], 2 * panel["standard_error"], colour, ~panel["holds"])
        axis.axvline(0.0, color="0.7", lw=1, zorder=0)
        lowest = min(-1.0, 1.3 * float((pairs["gain"] - 2 * pairs["standard_error"]).min()))
        axis.set(xscale="symlog", xlim=(lowest, 150))
        axis.set_xticks([-1, 0, 1, 10, 100], ["−1", "0", "1", "10", "100"])
        axis.minorticks_off()
    meaning = "open: MF–MGDM's number is a lower bound, so the true gain may be smaller"
    open_dot = Line2D([], [], color=colour, marker="o", mfc="white", ls="", ms=5, label=meaning)
    legend_below(figure, [open_dot])
    return figure


@checked
@styled
def cell_rises(cells: pd.DataFrame) -> Figure:
    """How far the divergence climbs from its minimum to the last step, and in which part of the descent that lies."""
    label = "rise from the minimum to the last step, nats per path; beside each bar the step of the minimum"
    figure, panels = _panels(cells, label, height=3.2)
    for axis, panel in panels:
        for model, row, at in _by_model(panel):
            hatches = ["////" if bound else "" for bound in row["ends_bound"]]
            axis.barh(at, row["rise"], height=0.28, color=COLOURS[model], hatch=hatches, edgecolor="white", lw=0)
            for place, rise, step in zip(at, row["rise"], row["step"], strict=True):
                axis.annotate(
                    f"{step:.0f}", (max(rise, 0.0), place), (3, 0), textcoords="offset points", va="center", size=8
                )
        axis.set(xscale="symlog", xlim=(0, 9000))
        axis.set_xticks([0, 1, 10, 100, 1000], ["0", "1", "10", "100", "1000"])
    hatched = Patch(facecolor="0.5", hatch="////", edgecolor="white", lw=0, label="its end is a lower bound")
    _legend(figure, [hatched], bars=True)
    return figure


@checked
@styled
def cell_costs(cells: pd.DataFrame) -> Figure:
    """Wall time of each cell."""
    figure, panels = _panels(cells, "wall time of a cell on one core", height=2.9)
    for axis, panel in panels:
        for model, row, at in _by_model(panel):
            axis.plot(row["wall_time"], at, "o", color=COLOURS[model], ms=5)
        axis.set(xscale="log", xlim=(0.5, 8000))
        axis.set_xticks([1, 60, 3600], ["1 s", "1 min", "1 h"])
        axis.minorticks_off()
    _legend(figure, [])
    return figure


@checked
@styled
def replicate_spread(copies: pd.DataFrame, cells: pd.DataFrame) -> Figure:
    """Independent copies of each cell (dots), relative to their mean, and the paper's number (cross).

    Args:
        copies: a row for each copy: `cell`, a key, and `least`, nats.
        cells: those whose copies they are, and others.
    """
    rows = cells.loc[[key for key in cells.index if key in set(copies["cell"])]]
    label = "nats per path, less the mean of a cell's copies (each panel has its own scale)"
    figure, panels = _panels(rows, label, height=3.4)
    for axis, panel in panels:
        axis.axvline(0.0, color="0.7", lw=1, zorder=0)
        for key, row in panel.iterrows():
            least = copies.loc[copies["cell"] == key, "least"]
            place, colour = row["place"] + _OFFSET[row["model"]], COLOURS[row["model"]]
            style: dict[str, Any] = {"color": colour, "mfc": "white" if row["bound"] else colour}
            axis.plot(least - least.mean(), np.full(len(least), place), "o", ms=3.5, alpha=0.55, **style)
            axis.plot(row["printed"] - least.mean(), place, "x", color="black", ms=5, mew=1.0, zorder=5)
        widest = max(abs(bound) for bound in axis.get_xlim())
        axis.set_xlim(-widest, widest)
    _legend(figure, [_PRINTED, _BOUND])
    return figure


def _panels(rows: pd.DataFrame, label: str, *, height: float) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """A panel and the rows of each energy, side by side, with the processes from top to bottom, by their `place`."""
    processes = list(dict.fromkeys(rows["process"]))
    placed = rows.assign(place=rows["process"].map(processes.index))
    groups = dict(list(placed.groupby("energy", sort=False)))
    figure, axes = subplots(1, len(groups), height=height, sharey=True)
    for axis, energy in zip(axes, groups, strict=True):
        axis.set_title(str(energy).replace("scattering ", "scattering\n"), fontsize=9)  # in one line they touch
        axis.tick_params(labelsize=8)
        axis.margins(y=0.08)
    axes[0].set_yticks(range(len(processes)), [with_powers(name) for name in processes])
    axes[0].set_ylim(len(processes) - 0.45, -0.55)
    figure.supxlabel(label)
    return figure, list(zip(axes, groups.values(), strict=True))


def _by_model(panel: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, pd.Series]]:
    """Each model with its rows of a panel and their heights, those of the two models one above the other."""
    for model, offset in _OFFSET.items():
        rows = panel[panel["model"] == model]
        yield model, rows, rows["place"] + offset


def _dots(
    axis: Axes, values: pd.Series, at: pd.Series, bars: pd.Series, colour: str, is_open: Sequence[bool] | pd.Series
) -> None:
    """Dots with horizontal bars, those that are a bound without a filling."""
    axis.errorbar(values, at, xerr=bars, fmt="none", color=colour, capsize=2, lw=1)
    filling = [("white" if bound else colour) for bound in is_open]
    axis.scatter(values, at, s=22, c=filling, edgecolors=colour, linewidths=1, zorder=3)


def _legend(figure: Figure, more: Sequence[Line2D | Patch], *, bars: bool = False) -> None:
    marker = "s" if bars else "o"
    models = [Line2D([], [], color=COLOURS[model], label=model, marker=marker, ls="", ms=5) for model in _OFFSET]
    legend_below(figure, [*models, *more])
