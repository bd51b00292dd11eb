"""Figures of frozen flows: divergences in both directions and log-densities of held-out days."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.plotting.style import COLOURS, band, legend_below, styled, subplots, with_powers

__all__ = ["frozen_divergences", "frozen_held_out", "frozen_sizes"]

FROZEN = "#009e73"
"""The colour of a frozen flow."""

_COLOURS = {"MGDM": COLOURS["MGDM"], "coupled": COLOURS["MF–MGDM"], "frozen": FROZEN}
_LINES: tuple[Any, ...] = ("--", "-", ":", (0, (5, 1, 1, 1, 1, 1)))
_STARTS = {"noise": "white noise", "garch": "a GARCH"}
_LABELS = {"MGDM": "MGDM", "coupled": "MF–MGDM, coupled", "frozen": "its path frozen, fresh paths"}


@checked
@styled
def frozen_divergences(reverse: pd.DataFrame, forward: pd.DataFrame) -> Figure:
    """Both divergences along the steps, with bands of two standard errors.

    Args:
        reverse: columns `kind` ("MGDM", "coupled", "frozen"), `step`, `reverse_kl` and `standard_error`.
        forward: columns `kind` ("MGDM", "frozen"), `step`, `forward_kl`, `standard_error` and `without_origin`; a row
            with paths that have no origin is infinite, and left out.
    """
    figure, axes = subplots(1, 2, height=3.1, sharey=True)
    finite = forward[forward["without_origin"] == 0.0]
    for axis, table, value in ((axes[0], reverse, "reverse_kl"), (axes[1], finite, "forward_kl")):
        for kind, rows in table.groupby("kind", sort=False):
            colour, marker = _COLOURS[str(kind)], "o" if value == "forward_kl" else None
            axis.plot(rows["step"], rows[value], color=colour, marker=marker, ms=3)
            band(axis, rows["step"], rows[value], 2.0 * rows["standard_error"], colour)
        axis.axhline(0.0, color="0.7", lw=0.8, zorder=0)
        axis.set(xlabel="step t")
    _symmetric_log_scale(axes[0])
    axes[0].set(title="reverse KL", ylabel="nats per path", ylim=(-0.1, None))
    axes[1].set(title="forward KL")
    _legend(figure, list(dict.fromkeys([*reverse["kind"], *finite["kind"]])))
    return figure


@checked
@styled
def frozen_sizes(table: pd.DataFrame) -> Figure:
    """Smallest reverse KL against the size of the ensemble, a panel for each process and energy.

    Args:
        table: columns `process`, `energy`, `kind`, `size`, `copy`, `least` and `standard_error`.
    """
    groups = list(table.groupby(["process", "energy"], sort=False))
    figure, axes = subplots(1, len(groups), height=3.1)
    for axis, ((process, energy), rows) in zip(axes, groups, strict=True):
        single = rows[rows["kind"] == "MGDM"].iloc[0]
        axis.axhline(single["least"], color=_COLOURS["MGDM"], lw=1.2)
        for kind, aside in (("coupled", 0.94), ("frozen", 1.06)):  # so that kinds don't hide each other
            own = rows[rows["kind"] == kind]
            style = {"fmt": "o", "lw": 0.9, "alpha": 0.8}
            _points(axis, own["size"] * aside, own["least"], own["standard_error"], _COLOURS[kind], **style)
        sizes = sorted(rows.loc[rows["size"] > 1, "size"].unique())
        named = sizes[:: 1 if len(sizes) < 5 else 2]
        axis.set(xscale="log", xlabel="paths N of the ensemble", title=f"{with_powers(str(process))}\n{energy}")
        axis.set_xticks(named, [str(size) for size in named])
        axis.minorticks_off()
        if rows["least"].max() > 20.0 * rows["least"].min():
            _symmetric_log_scale(axis)
    axes[0].set_ylabel("smallest reverse KL, nats per path")
    _legend(figure, ["MGDM", "coupled", "frozen"])
    return figure


def _symmetric_log_scale(axis: Axes) -> None:
    """Linear up to a tenth of a nat, where noise may make an estimate negative."""
    axis.set_yscale("symlog", linthresh=0.1, linscale=0.6)
    axis.set_yticks([0.0, 0.05, 0.1, 1.0, 10.0, 100.0], ["0", "0.05", "0.1", "1", "10", "100"])
    axis.set_ylim(bottom=-0.1)
    axis.minorticks_off()


def _points(axis: Axes, at: pd.Series, values: pd.Series, errors: pd.Series, colour: str, **style: Any) -> None:
    """Values with two standard errors."""
    axis.errorbar(at, values, yerr=2.0 * errors, ms=3.5, color=colour, **style)


@checked
@styled
def frozen_held_out(flows: pd.DataFrame, references: pd.DataFrame) -> Figure:
    """Log-density of later days along flows, above that of white noise, a panel for each start.

    Args:
        flows: columns `law` ("mf" or "mgdm"), `start`, `time` (step size times steps), `held out` and `held out ±`.
        references: columns `name` and `held out`, up to four lines to compare with.
    """
    starts = list(dict.fromkeys(flows["start"]))
    figure, axes = subplots(1, len(starts), height=3.4, sharey=True)
    colours = {"mf": FROZEN, "mgdm": COLOURS["MGDM"]}
    for axis, start in zip(axes, starts, strict=True):
        for law, rows in flows[flows["start"] == start].groupby("law", sort=False):
            _points(axis, rows["time"], rows["held out"], rows["held out ±"], colours[str(law)], fmt="o-", lw=1)
        for style, (_, row) in zip(_LINES, references.iterrows(), strict=False):
            axis.axhline(row["held out"], color=COLOURS["true"], ls=style, lw=1)
        axis.axhline(0.0, color="0.7", lw=0.8, zorder=0)
        axis.set(xscale="log", xlabel="step size × steps", title=f"from {_STARTS.get(start, start)}")
    axes[0].set_ylabel("nats per day above white noise")
    handles: list[Any] = [
        Line2D([], [], color=colours[law], marker="o", ms=4, label=f"frozen {name}")
        for law, name in {"mf": "MF–MGDM", "mgdm": "MGDM"}.items()
    ]
    handles += [
        Line2D([], [], color=COLOURS["true"], ls=style, lw=1, label=name)
        for style, name in zip(_LINES, references["name"], strict=False)
    ]
    legend_below(figure, handles)
    return figure


def _legend(figure: Figure, kinds: list[str]) -> None:
    legend_below(figure, [Line2D([], [], color=_COLOURS[kind], label=_LABELS[kind]) for kind in kinds])
