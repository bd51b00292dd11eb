"""Figures of the energies of ensembles: clouds, moves, spreads and losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.plotting.style import COLOURS, legend_below, styled, subplots
from mfmgdm_lib.statistics import gaussian_contour

__all__ = ["energy_clouds", "energy_moves", "loss_curves", "spread_ratios"]

Panels = Mapping[str, Mapping[str, Tensor]]
"""For each panel, by title: clouds of energies (N, 2) by the name of a colour."""


@checked
@styled
def energy_clouds(panels: Panels, target: Tensor) -> Figure:
    """Clouds of the two energies of `Autocovariance`, each with the 2σ contour of a fitted Gaussian (Figs. 1, 3)."""
    figure, axes = subplots(1, len(panels), height=3.3, sharex=True, sharey=True)
    for axis, (title, clouds) in zip(axes, panels.items(), strict=True):
        for name, cloud in clouds.items():
            _cloud(axis, cloud.numpy(), name)
        _cross(axis, target)
        axis.set(title=title, xlabel=r"$\frac{1}{d}\sum x_i x_{i-1}$  (lag 1)")
    axes[0].set_ylabel(r"$\frac{1}{d}\sum x_i^2$  (lag 0)")
    _legend_below(figure, panels, extra=[Line2D([], [], marker="+", color="black", ls="", label="target α")])
    return figure


@checked
@styled
def energy_moves(moves: Mapping[str, tuple[Tensor, Tensor]], target: Tensor) -> Figure:
    """Arrows from energies (n, 2) to energies (n, 2) of the same paths some steps later (Fig. 2, measured)."""
    figure, axes = subplots(1, len(moves), height=3.3, sharex=True, sharey=True)
    for axis, (name, (before, after)) in zip(axes, moves.items(), strict=True):
        start, move = before.numpy(), (after - before).numpy()
        axis.quiver(
            *start.T, *move.T, angles="xy", scale_units="xy", scale=1.0, color=COLOURS[name], alpha=0.65, width=0.0045
        )
        axis.plot(*start.T, ".", color=COLOURS["start"], markersize=3)
        axis.update_datalim(after.numpy())  # a quiver counts only where its arrows begin
        _cross(axis, target)
        axis.set(title=name, xlabel=r"$\frac{1}{d}\sum x_i x_{i-1}$  (lag 1)")
    axes[0].set_ylabel(r"$\frac{1}{d}\sum x_i^2$  (lag 0)")
    return figure


@checked
@styled
def spread_ratios(panels: Mapping[str, tuple[np.ndarray, Sequence[float]]]) -> Figure:
    """Growth of a variance against γ(Φ̄ − α): measured dots, and the fourth power they should lie on (Section 4)."""
    figure, axes = subplots(1, len(panels), height=3.1, sharex=True, sharey=True)
    line = np.linspace(-0.32, 1.2, 200)
    for axis, (title, (at, ratios)) in zip(axes, panels.items(), strict=True):
        axis.axvspan(0.0, 1.0, color="0.93", lw=0)
        axis.axhline(1.0, color="0.5", lw=0.8)
        axis.plot(line, (1.0 - 2.0 * line) ** 4, color=COLOURS["start"])
        axis.plot(at, ratios, "o", color=COLOURS["MF–MGDM"], markersize=4)
        axis.set(title=title, xlabel=r"$\gamma(\bar\Phi - \alpha)$", ylim=(-0.1, 4.0))
    axes[0].set_ylabel("variance after / before")
    return figure


@checked
@styled
def loss_curves(losses: Mapping[str, Sequence[float]]) -> Figure:
    """Loss along the descent on logarithmic axes."""
    figure, (axis,) = subplots(1, 1, height=3.0)
    for name, curve in losses.items():
        axis.loglog(np.arange(1, len(curve)), curve[1:], color=COLOURS[name], label=name)
    axis.set(xlabel="step t", ylabel="loss ½‖mismatch‖² / ‖α‖²")
    axis.legend()
    return figure


def _cloud(axis: Axes, points: np.ndarray, name: str) -> None:
    axis.plot(*points.T, ".", color=COLOURS[name], markersize=1.6, alpha=0.35, rasterized=True)
    axis.plot(*gaussian_contour(points).T, color=COLOURS[name])


def _cross(axis: Axes, target: Tensor) -> None:
    """The target, with a white rim so that it shows on a black cloud."""
    rim = withStroke(linewidth=3.5, foreground="white")
    axis.plot(*target.tolist(), "+", color="black", markersize=11, markeredgewidth=1.6, path_effects=[rim])


def _legend_below(figure: Figure, panels: Panels, extra: list[Line2D]) -> None:
    labels = {"true": "true law p", "start": "start $q_0$"}
    names = dict.fromkeys(name for clouds in panels.values() for name in clouds)
    handles = [Line2D([], [], color=COLOURS[name], label=labels.get(name, name)) for name in names]
    legend_below(figure, [*handles, *extra])
