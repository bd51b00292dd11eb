"""Figures of the entropy that descents lose: its two parts, its bounds, and the price of coupling paths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.entropy import EntropyTrace
from mfmgdm_lib.plotting.style import COLOURS, legend_below, name_ticks, styled, subplots, with_powers

__all__ = ["bound_distances", "coupling_prices", "entropy_parts"]

_BLOCKS, _PRICE = "#009e73", "#aa3377"
"""Colours of what each path does to itself, and of what it pays for its company."""

_KINDS = {"A": ("s", "#e69f00"), "B, lower": ("^", "#444444"), "B, upper": ("v", "#444444")}
"""A marker and a colour for each bound."""


@checked
@styled
def entropy_parts(traces: Mapping[int, EntropyTrace], true_change: float) -> Figure:
    """Change of entropy up to each step, its two parts, and the ends of bound B at some; a panel for each N.

    Args:
        traces: by the paths N of an ensemble; every step looked at.
        true_change: entropy of the true law less that of the start, nats per path.
    """
    figure, axes = subplots(1, len(traces), height=3.4, sharey=True)
    for axis, (members, trace) in zip(axes, traces.items(), strict=True):
        at = np.arange(len(trace.steps) + 1)
        axis.plot(at, _summed(trace.blocks), color=_BLOCKS, ls="--")
        axis.plot(at, _summed(trace.capacitance), color=_PRICE, ls=":")
        axis.plot(at, _summed(trace.change), color=_shade(members))
        some = slice(None, None, max(1, len(at) // 8))
        for bound, values in (("B, lower", trace.lower), ("B, upper", trace.upper)):
            marker, colour = _KINDS[bound]
            axis.plot(at[some], _summed(values)[some], marker, color=colour, mfc="none", ms=4, mew=0.8)
        axis.axhline(true_change, color=COLOURS["true"], lw=0.8, zorder=0)
        axis.set(title=_name(members), xlabel="step t")
    axes[0].set_ylabel("nats per path")
    handles = [
        Line2D([], [], color=COLOURS["MGDM"], label="change of entropy, MGDM"),
        Line2D([], [], color=COLOURS["MF–MGDM"], label="MF–MGDM"),
        Line2D([], [], color=_BLOCKS, ls="--", label="blocks: each path by itself"),
        Line2D([], [], color=_PRICE, ls=":", label="capacitance: the coupling"),
        *_bound_handles(["B, lower", "B, upper"]),
        Line2D([], [], color=COLOURS["true"], lw=0.8, label="true law"),
    ]
    legend_below(figure, handles)
    return figure


@checked
@styled
def coupling_prices(sparse: Mapping[int, EntropyTrace], traces: Mapping[int, EntropyTrace], wanted: float) -> Figure:
    """What each step takes of the entropy and what it would take at rest, and the price of all steps against N.

    Args:
        sparse: by the paths N of an ensemble, descents that come to rest.
        traces: by N, descents with every step looked at, whose prices are summed.
        wanted: a price of all steps, nats per path, to be marked.
    """
    figure, (each, total) = subplots(1, 2, height=3.4)
    for members, trace in sparse.items():
        colour = _shade(members, list(sparse))
        each.semilogy(trace.steps, -trace.change.mean(1), color=colour, label=_name(members))
        each.semilogy(trace.steps, -trace.at_rest.mean(1), color=colour, ls=":")
    sizes = np.array(list(traces), dtype=float)
    prices = np.array([-trace.capacitance.mean(1).sum() for trace in traces.values()])
    enough = math.ceil(prices[0] * sizes[0] / wanted)
    line = np.array([1.0, 2.0 * max(enough, sizes.max())])
    total.loglog(line, prices[0] * sizes[0] / line, color=_PRICE, lw=1)
    total.loglog(sizes, prices, "o", color=_PRICE, ms=4)
    total.axhline(wanted, color=COLOURS["start"], lw=0.8, ls="--")
    note = f"{wanted:g} nats: N = {enough}"
    total.annotate(note, (1.0, wanted), (0, 3), textcoords="offset points", fontsize=8)
    each.set(title="one step; dotted: at rest", xlabel="step t", ylabel="entropy lost, nats per path")
    total.set(title="price of the coupling, all steps", xlabel="paths N of the ensemble", ylabel="nats per path")
    name_ticks(total, sizes)
    legend_below(figure, each.get_legend_handles_labels()[0])
    return figure


@checked
@styled
def bound_distances(table: pd.DataFrame) -> Figure:
    """How far bounds are from the exact change, as a share of it, a row for each process and energy.

    Args:
        table: a row for each descent, with `name`, `members`, `change` and the bounds "A", "B, lower" and "B, upper",
            sums over steps in nats per path; a bound that does not exist in some step is infinite, and left out.
    """
    names, sizes = list(dict.fromkeys(table["name"])), sorted(table["members"].unique())
    shown = [sizes[0], sizes[-1]]
    figure, axes = subplots(1, 2, height=0.24 * len(names) + 1.6, narrow_height=0.4 * len(names) + 2.6, sharey=True)
    for axis, members in zip(axes, shown, strict=True):
        rows = table[table["members"] == members].set_index("name")
        for bound, (marker, colour) in _KINDS.items():
            share = ((rows[bound] - rows["change"]).abs() / rows["change"].abs()).reindex(names)
            share = share.where(np.isfinite(share))
            axis.semilogx(share, -np.arange(len(names)), marker, color=colour, mfc="none", ms=5)
        axis.set(title=_name(members), xlabel="distance / change of entropy", ylim=(0.6 - len(names), 0.6))
        axis.set_yticks(-np.arange(len(names)), [with_powers(name) for name in names])
        axis.grid(axis="y", color="0.9", lw=0.6)
    legend_below(figure, _bound_handles(list(_KINDS)))
    return figure


def _bound_handles(bounds: list[str]) -> list[Line2D]:
    return [
        Line2D([], [], color=_KINDS[bound][1], marker=_KINDS[bound][0], ls="", mfc="none", ms=4, label=f"bound {bound}")
        for bound in bounds
    ]


def _summed(values: np.ndarray) -> np.ndarray:
    """Sums up to each of t = 0 … T of values (T, E) averaged over ensembles."""
    return np.concatenate([[0.0], values.mean(1).cumsum()])


def _name(members: int) -> str:
    return "N = 1: MGDM" if members == 1 else f"N = {members}"


def _shade(members: int, sizes: list[int] | None = None) -> Any:
    """Orange for MGDM, and blue, the darker the larger the ensemble is where there are several."""
    if members == 1:
        return COLOURS["MGDM"]
    if sizes is None:
        return COLOURS["MF–MGDM"]
    coupled = [size for size in sizes if size > 1]
    return plt.get_cmap("Blues")(np.linspace(0.4, 1.0, len(coupled))[coupled.index(members)])
