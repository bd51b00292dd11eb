"""Figures of the rule that stops a descent: price and gain, what a stop loses, and what the rule cannot see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.companion.comparison import ENERGY_NAMES
from mfmgdm_lib.companion.stopping_rules import tolerance
from mfmgdm_lib.companion.synthetic import PROCESS_NAMES
from mfmgdm_lib.divergence import DivergenceTrace
from mfmgdm_lib.plotting.style import COLOURS, band, legend_below, styled, subplots, with_powers
from mfmgdm_lib.stopping import BalancedStop

__all__ = ["stop_losses", "stop_of_a_descent", "unseen_rises"]

_MARKERS = {8: "^", 32: "s", 128: "o", 1: "D"}
_PAID = "#cc79a7"
_SEEN = "#009e73"


@checked
@styled
def stop_of_a_descent(trace: DivergenceTrace, stop: BalancedStop) -> Figure:
    """The divergence with its minimum and the stop, and beside it price and gain of each step."""
    figure, (left, right) = subplots(1, 2, height=3.0)
    steps, colour = np.arange(len(trace.reverse_kl)), COLOURS["MF–MGDM"]
    left.plot(steps, trace.reverse_kl, color=colour)
    band(left, steps, trace.reverse_kl, 2.0 * trace.standard_error, colour)
    best = trace.best_step
    left.plot(best, trace.reverse_kl[best], "o", ms=8, mfc="none", color=COLOURS["true"])
    left.axvline(stop.step, color=COLOURS["true"], ls=":", lw=1.2)
    left.set(xlabel="step t", ylabel="nats per path", title="reverse KL", yscale="log")
    left.set_yticks([0.3, 1.0, 3.0], ["0.3", "1", "3"])
    left.minorticks_off()
    right.plot(stop.gain, color=_SEEN)
    right.plot(stop.price, color=_PAID)
    right.axvline(stop.step, color=COLOURS["true"], ls=":", lw=1.2)
    right.set(xlabel="step t", ylabel="nats per path and step", title="price and gain", yscale="log")
    legend_below(
        figure,
        [
            Line2D([], [], color=colour, label="reverse KL, ± 2 standard errors"),
            Line2D([], [], color=COLOURS["true"], marker="o", ms=8, mfc="none", ls="", label="its minimum"),
            Line2D([], [], color=_SEEN, label="gain of a step"),
            Line2D([], [], color=_PAID, label="price of a step"),
            Line2D([], [], color=COLOURS["true"], ls=":", lw=1.2, label="stop"),
        ],
    )
    return figure


@checked
@styled
def stop_losses(table: pd.DataFrame) -> Figure:
    """What the rule loses on each pair of Table 1, beside what it may lose.

    Args:
        table: rows of `results/balanced_stop.csv`, columns `process`, `energy`, `members`, `above` and `gained`.
    """
    pairs = list(table[["process", "energy"]].drop_duplicates().itertuples(index=False, name=None))
    figure, axes = subplots(1, 2, height=0.9 + 0.24 * len(pairs), sharey=True, narrow_height=1.6 + 0.46 * len(pairs))
    for axis, single in zip(axes, (False, True), strict=True):
        rows = table[(table["members"] == 1) == single]
        for place, pair in enumerate(pairs):
            own = rows[(rows["process"] == pair[0]) & (rows["energy"] == pair[1])]
            _losses(axis, -place, own)
        axis.set_xscale("symlog", linthresh=0.15, linscale=0.7)
        axis.set_xticks([0.0, 0.15, 1.0, 10.0, 100.0], ["0", "0.15", "1", "10", "100"])
        axis.minorticks_off()
        names = [
            f"{with_powers(PROCESS_NAMES[process])}, {ENERGY_NAMES[energy].split('.')[0]}" for process, energy in pairs
        ]
        axis.set_yticks([-place for place in range(len(pairs))], names)
        axis.set(xlabel="nats above the minimum", title="MGDM" if single else "MF–MGDM", xlim=(-0.03, 130.0))
    handles: list[Any] = [
        Line2D([], [], color=_colour(size), marker=_MARKERS[size], ms=4.5, ls="", label=_label(size))
        for size in sorted(table["members"].unique(), key=lambda size: (size == 1, size))
    ]
    legend_below(figure, [*handles, Patch(color="0.5", alpha=0.25, lw=0, label="0.15 nats or 5 % of the gain")])
    return figure


def _losses(axis: Axes, place: int, rows: pd.DataFrame) -> None:
    """The stops of one pair, each on its tolerance."""
    height = 0.8 / max(1, len(rows))
    rows = rows.sort_values("members")
    at = place + 0.4 - height * (np.arange(len(rows)) + 0.5)
    axis.barh(at, tolerance(rows["gained"]), height, color="0.5", alpha=0.25, lw=0)
    for place_of_one, above, members in zip(at, rows["above"], rows["members"], strict=True):
        axis.plot(above, place_of_one, _MARKERS[members], ms=4.5, color=_colour(members), clip_on=False)


def _name(process: str, energy: str) -> str:
    """As in "AR(0.1), ii"."""
    return f"{with_powers(PROCESS_NAMES[process])}, {ENERGY_NAMES[energy].split('.')[0]}"


def _colour(members: int) -> str:
    return COLOURS["MGDM" if members == 1 else "MF–MGDM"]


def _label(members: int) -> str:
    return "MGDM" if members == 1 else f"MF–MGDM, N = {members}"


@checked
@styled
def unseen_rises(courses: pd.DataFrame) -> Figure:
    """The divergence in two parts: what the rule sees of it, and the rest, a panel for each descent.

    Args:
        courses: `results/stopping_courses.csv`.
    """
    groups = list(courses.groupby(["process", "energy"], sort=False))
    figure, axes = subplots(1, len(groups), height=3.0)
    for axis, ((process, energy), rows) in zip(axes, groups, strict=True):
        seen = rows["paid"] + rows["wrong_mean"]
        axis.plot(rows["step"], rows["reverse_kl"], color=COLOURS["MF–MGDM"])
        axis.plot(rows["step"], seen, color=_SEEN, ls="--")
        axis.plot(rows["step"], rows["reverse_kl"] - seen, color=COLOURS["true"], ls=":")
        best = rows.loc[rows["reverse_kl"].idxmin()]
        axis.plot(best["step"], best["reverse_kl"], "o", ms=8, mfc="none", color=COLOURS["true"])
        axis.set(xlabel="step t", title=f"{PROCESS_NAMES[str(process)]}\n{ENERGY_NAMES[str(energy)]}", ylim=(0.0, None))
    axes[0].set_ylabel("nats per path")
    legend_below(
        figure,
        [
            Line2D([], [], color=COLOURS["MF–MGDM"], label="reverse KL"),
            Line2D([], [], color=COLOURS["true"], marker="o", ms=8, mfc="none", ls="", label="its minimum"),
            Line2D([], [], color=_SEEN, ls="--", label="what the rule sees: V and the prices so far"),
            Line2D([], [], color=COLOURS["true"], ls=":", label="the rest"),
        ],
    )
    return figure
