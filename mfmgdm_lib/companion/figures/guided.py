"""Figures of moment guided diffusion: its way, its noise, its distances beside MF–MGDM, and who carries a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.companion.guided_diffusion import model_names
from mfmgdm_lib.descents import GuidedState
from mfmgdm_lib.plotting.style import COLOURS, legend_below, name_ticks, styled, subplots

__all__ = ["guided_comparison", "guided_shares", "guided_volatility", "guided_way"]

GUIDED = "#cc79a7"
"""The colour of moment guided diffusion."""

_PROCESS_MARKERS = ("o", "s", "^", "D")


@checked
@styled
def guided_way(states: Sequence[GuidedState], target: Tensor, largest_entropy: float, n_lines: int = 12) -> Figure:
    """An ensemble on its way: energies against time, clouds at three times, and the entropy gained.

    Args:
        states: all states of a run with the two energies of `Autocovariance`.
        target: α, (2,).
        largest_entropy: gain of the law of largest entropy over the start, nats.
        n_lines: paths whose energies are drawn one by one.
    """
    figure, (way, cloud, entropy) = subplots(1, 3, height=2.9, narrow_height=8.0)
    times = [state.time for state in states]
    lag_1 = torch.stack([state.energies[:, 0] for state in states])
    way.plot(times, lag_1[:, :n_lines], color=GUIDED, lw=0.6, alpha=0.45)
    way.plot(times, lag_1.mean(1), color=GUIDED, lw=2.2)
    way.plot([0.0, 1.0], [lag_1[0].mean(), target[0]], "k--", lw=1.0)
    way.set(xlabel="time t", ylabel=r"$\frac{1}{d}\sum x_i x_{i-1}$  (lag 1)", title="on time")
    for state, colour, marker in zip(
        (states[0], states[len(states) // 2], states[-1]), (COLOURS["start"], "#dba0c0", GUIDED), "o^s", strict=True
    ):
        cloud.plot(*state.energies.T, marker, ms=2.5, color=colour, alpha=0.8, mew=0)
    cloud.plot(*target, "+", color="black", ms=11, mew=1.6)
    cloud.set(xlabel=r"$\frac{1}{d}\sum x_i x_{i-1}$  (lag 1)", ylabel=r"$\frac{1}{d}\sum x_i^2$  (lag 0)")
    cloud.set_title("cloud at t = 0, ½, 1")
    entropy.plot(times, [state.entropy_gain for state in states], color=GUIDED)
    entropy.axhline(largest_entropy, color=COLOURS["true"], lw=1.0, ls=":")
    entropy.set(xlabel="time t", ylabel="nats per path", title="entropy gained")
    handles = [
        Line2D([], [], color=GUIDED, lw=0.6, label="a path"),
        Line2D([], [], color=GUIDED, lw=2.2, label="mean of the paths"),
        Line2D([], [], color="black", ls="--", lw=1.0, label="timetable"),
        Line2D([], [], color="black", marker="+", ms=9, ls="", label="target α"),
        Line2D([], [], color=COLOURS["true"], ls=":", lw=1.0, label="largest possible entropy"),
    ]
    legend_below(figure, handles)
    return figure


@checked
@styled
def guided_volatility(table: pd.DataFrame) -> Figure:
    """What is missing from the largest entropy, and from its estimate, against the noise σ; a panel for each process.

    Args:
        table: `results/guided_volatility.csv`: the row with σ = 0 has the law without noise, a line in each panel.
    """
    groups = list(table.groupby("process", sort=False))
    figure, axes = subplots(1, len(groups), height=3.2)
    for axis, (process, rows) in zip(axes, groups, strict=True):
        axis.axhline(rows.loc[rows["volatility"] == 0, "below_largest"].iloc[0], color=COLOURS["MF–MGDM"], lw=1.2)
        noisy = rows[rows["volatility"] > 0]
        for n_steps, own in noisy.groupby("steps_per_square"):
            fine = n_steps == table["steps_per_square"].max()
            style = {"ls": "-" if fine else "--", "ms": 3.5}
            axis.plot(own["volatility"], own["below_largest"], color=GUIDED, marker="o", **style)
            if fine:
                axis.plot(own["volatility"], own["estimate_below"], color=COLOURS["true"], marker="s", **style)
        axis.set(xscale="log", yscale="log", xlabel="noise σ", title=str(process).replace("-", "−"))
        name_ticks(axis, np.sort(noisy["volatility"].unique()))
        axis.yaxis.set_minor_locator(NullLocator())
    axes[0].set_ylabel("nats per path")
    coarse, fine = sorted(table["steps_per_square"].unique())
    handles = [
        Line2D([], [], color=GUIDED, marker="o", ms=3.5, label=f"law below the largest entropy, {fine:g} σ² steps"),
        Line2D([], [], color=GUIDED, marker="o", ms=3.5, ls="--", label=f"the same, {coarse:g} σ² steps"),
        Line2D([], [], color=COLOURS["true"], marker="s", ms=3.5, label="estimate below the law's own entropy"),
        Line2D([], [], color=COLOURS["MF–MGDM"], lw=1.2, label="law without noise"),
    ]
    legend_below(figure, handles)
    return figure


@checked
@styled
def guided_comparison(table: pd.DataFrame) -> Figure:
    """Divergences from the law of largest entropy and from the process, a row for each model.

    Args:
        table: rows of `results/guided_gaussian.csv` that have both divergences.
    """
    figure, axes = subplots(1, 2, height=3.2, sharey=True, narrow_height=6.0)
    table = table.assign(name=model_names(table))
    names = list(dict.fromkeys(table["name"]))[::-1]
    titles = {"kl_largest": "from the law of largest entropy", "kl_process": "from the process"}
    for axis, (column, title) in zip(axes, titles.items(), strict=True):
        for (_, rows), marker in zip(table.groupby("process", sort=False), _PROCESS_MARKERS, strict=False):
            colours = [GUIDED if model == "MGD" else COLOURS["MF–MGDM"] for model in rows["model"]]
            at = [names.index(name) for name in rows["name"]]
            axis.scatter(rows[column], at, c=colours, marker=marker, s=28)
        axis.set(xlabel="KL, nats per path", title=title)
        axis.set_yticks(range(len(names)), names)
        axis.grid(axis="y", color="0.9", lw=0.6)
        axis.set_axisbelow(True)
    axes[0].set_xscale("log")
    axes[1].set_xlim(left=-0.2)
    handles = [
        Line2D([], [], color="0.4", marker=marker, ls="", label=str(process).replace("-", "−"))
        for process, marker in zip(dict.fromkeys(table["process"]), _PROCESS_MARKERS, strict=False)
    ]
    legend_below(figure, handles)
    return figure


@checked
@styled
def guided_shares(products: Mapping[str, Tensor], wildest: Tensor) -> Figure:
    """Which share of a total the paths with most of it have, and the path that has most of all.

    Args:
        products: what each path adds to the total, (N,), for up to four ensembles by name.
        wildest: that path, (time,).
    """
    figure, (share, path) = subplots(1, 2, height=3.0)
    styles = zip(("0.55", COLOURS["MF–MGDM"], "#009e73", GUIDED), (":", "-", "--", "-"), strict=True)
    for (name, values), (colour, line) in zip(products.items(), styles, strict=False):
        part = values.sort(descending=True).values.cumsum(0) / values.sum()
        share.plot(np.arange(1, len(part) + 1), 100.0 * part, color=colour, ls=line, label=name)
    share.set(xscale="log", xlabel="paths, largest first", ylabel="% of all products of squares", ylim=(0.0, 102.0))
    name_ticks(share, np.array([1, 2, 5, 10, 30, 100]))
    share.set_title("who carries the products")
    path.plot(np.arange(1, len(wildest) + 1), wildest, color=GUIDED, lw=0.8)
    path.set(xlabel="point of the path", ylabel="standard deviations", title="the path that has most")
    legend_below(figure, share.get_legend_handles_labels()[0])
    return figure
