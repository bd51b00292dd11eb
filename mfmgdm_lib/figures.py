"""The drawing room: results in, matplotlib figures out.

Nothing is saved, and no more is calculated here than what a plot is made of, by `statistics`.

Colours mean the same everywhere: black is the true law, grey the start, orange MGDM, blue MF–MGDM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Literal, ParamSpec

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from mfmgdm_lib.divergence import DivergenceTrace
from mfmgdm_lib.statistics import autocorrelation, gaussian_contour, histogram

__all__ = [
    "divergence",
    "energy_clouds",
    "energy_moves",
    "ensemble_sizes",
    "loss_curves",
    "marginals",
    "overshoot",
    "sample_paths",
    "violins",
]

COLOURS = {"true": "#1a1a1a", "start": "#8a8a8a", "MGDM": "#d55e00", "MF–MGDM": "#0072b2"}

_STYLE: dict[Any, Any] = {
    "figure.dpi": 144,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "lines.linewidth": 1.5,
}

Arguments = ParamSpec("Arguments")


def _styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw in the book's style and leave matplotlib's settings as they were."""

    @wraps(draw)
    def styled(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with plt.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return styled


Panels = Mapping[str, Mapping[str, Tensor]]
"""For each panel, by title: clouds of energies (N, 2) by the name of a colour."""


@_styled
def energy_clouds(panels: Panels, target: Tensor) -> Figure:
    """Clouds of the two energies of `Autocovariance`, each with the 2σ contour of a fitted Gaussian (Figs. 1, 3)."""
    figure, axes = _subplots(1, len(panels), height=3.3, sharex=True, sharey=True)
    for axis, (title, clouds) in zip(axes, panels.items(), strict=True):
        for name, cloud in clouds.items():
            _cloud(axis, cloud.numpy(), name)
        axis.plot(*target.tolist(), "+", color="black", markersize=11, markeredgewidth=1.6)
        axis.set(title=title, xlabel=r"$\frac{1}{d}\sum x_i x_{i-1}$  (lag 1)")
    axes[0].set_ylabel(r"$\frac{1}{d}\sum x_i^2$  (lag 0)")
    _legend_below(figure, panels, extra=[Line2D([], [], marker="+", color="black", ls="", label="target α")])
    return figure


@_styled
def energy_moves(moves: Mapping[str, tuple[Tensor, Tensor]], target: Tensor) -> Figure:
    """Arrows from energies (n, 2) to energies (n, 2) of the same paths some steps later (Fig. 2, measured)."""
    figure, axes = _subplots(1, len(moves), height=3.3, sharex=True, sharey=True)
    for axis, (name, (before, after)) in zip(axes, moves.items(), strict=True):
        start, move = before.numpy(), (after - before).numpy()
        axis.quiver(
            *start.T, *move.T, angles="xy", scale_units="xy", scale=1.0, color=COLOURS[name], alpha=0.65, width=0.0045
        )
        axis.plot(*start.T, ".", color=COLOURS["start"], markersize=3)
        axis.update_datalim(after.numpy())  # a quiver counts only where its arrows begin
        axis.plot(*target.tolist(), "+", color="black", markersize=12, markeredgewidth=1.8)
        axis.set(title=name, xlabel=r"$\frac{1}{d}\sum x_i x_{i-1}$  (lag 1)")
    axes[0].set_ylabel(r"$\frac{1}{d}\sum x_i^2$  (lag 0)")
    return figure


@_styled
def divergence(traces: Mapping[str, DivergenceTrace]) -> Figure:
    """Reverse KL with a band of two standard errors, and the two parts whose gap it is (Figs. 1(c), 3(b))."""
    figure, (total, parts) = _subplots(1, 2, height=3.2)
    for name, trace in traces.items():
        steps, colour = np.arange(len(trace.reverse_kl)), COLOURS[name]
        total.plot(steps, trace.reverse_kl, color=colour, label=name)
        band = 2.0 * trace.standard_error
        total.fill_between(steps, trace.reverse_kl - band, trace.reverse_kl + band, color=colour, alpha=0.2, lw=0)
        parts.plot(steps, -trace.entropy, color=colour, label=f"{name}: negative entropy")
        parts.plot(steps, trace.log_likelihood, "--", color=colour, label=f"{name}: log-likelihood")
        _mark_minimum(total, trace, colour)
    total.set(title="reverse KL divergence", xlabel="step t", ylabel="nats per path", ylim=(0, None))
    parts.set(title="its two parts", xlabel="step t", ylabel="nats per path")
    total.legend(loc="upper left" if len(traces) > 1 else "best")
    parts.legend(fontsize=8)
    return figure


@_styled
def ensemble_sizes(traces: Mapping[int, DivergenceTrace]) -> Figure:
    """Reverse KL along the descent, one line for each ensemble size (Fig. 4)."""
    figure, (axis,) = _subplots(1, 1, height=3.6)
    shades = plt.get_cmap("viridis_r")(np.linspace(0.12, 1.0, len(traces)))
    lines = []
    for shade, (size, trace) in zip(shades, traces.items(), strict=True):
        label = f"N = {size}" + ("  (MGDM)" if size == 1 else "")
        lines += axis.plot(trace.reverse_kl, color=shade, label=label)
    axis.set(xlabel="step t", ylabel="reverse KL, nats per path", xlim=(0, None), ylim=(0, None))
    _outside_legend(axis, lines, "paths in an ensemble")
    return figure


@_styled
def overshoot(curves: Mapping[str, np.ndarray], *, slopes: Mapping[str, float]) -> Figure:
    """Reverse KL long past its minimum, with a dashed line of the predicted slope through the end of each curve."""
    figure, (axis,) = _subplots(1, 1, height=3.4)
    shades = plt.get_cmap("viridis_r")(np.linspace(0.25, 1.0, len(curves)))
    lines = []
    for shade, (label, curve) in zip(shades, curves.items(), strict=True):
        steps, last = np.arange(len(curve)), len(curve) - 1
        lines += axis.plot(steps, curve, color=shade, lw=4, alpha=0.55, label=label)
        tail = steps[last // 3 :]
        axis.plot(tail, curve[last] + slopes[label] * (tail - last), "--", color="black", lw=1)
    lines.append(Line2D([], [], color="black", ls="--", lw=1, label="predicted slope"))
    axis.set(xlabel="step t", ylabel="reverse KL, nats per path", xlim=(0, None), ylim=(0, 1.5))
    _outside_legend(axis, lines, "paths in an ensemble")
    return figure


@_styled
def sample_paths(rows: Mapping[str, Tensor], n: int = 2) -> Figure:
    """The first `n` series of each row, on one scale, by the name of a colour."""
    figure, axes = _subplots(len(rows), n, height=1.25 * len(rows), sharex=True, sharey=True)
    for line, (name, series) in zip(axes.reshape(len(rows), n), rows.items(), strict=True):
        for axis, path in zip(line, series[:n], strict=True):
            axis.plot(path.numpy(), color=COLOURS[name], lw=0.5)
        line[0].set_ylabel("S&P 500" if name == "true" else name)
    for axis in axes.reshape(len(rows), n)[-1]:
        axis.set_xlabel("trading day")
    figure.supylabel("standardised daily log-return", fontsize=9)
    return figure


@_styled
def violins(models: Mapping[str, Tensor], series: Tensor, *, lags: int = 20) -> Figure:
    """Spread over paths of the autocorrelations of x and of x², half a violin for each model; the series in black."""
    figure, axes = _subplots(2, 1, height=5.2, sharex=True)
    at = np.arange(1, lags + 1)
    for axis, power, title in zip(axes, (1, 2), ("autocorrelation of x", "autocorrelation of x²"), strict=True):
        for i, (name, paths) in enumerate(models.items()):
            _half_violin(axis, autocorrelation(paths**power, lags).numpy(), at, "high" if i else "low", COLOURS[name])
        axis.plot(at, autocorrelation(series**power, lags).numpy(), "o", color=COLOURS["true"], markersize=3.5)
        axis.axhline(0.0, color="0.7", lw=0.7, zorder=0)
        axis.set(title=title, ylabel="correlation")
    axes[1].set(xlabel="lag, trading days", xticks=[1, *range(5, lags + 1, 5)])
    handles = [Line2D([], [], color=COLOURS[name], lw=6, alpha=0.6, label=name) for name in models]
    handles.append(Line2D([], [], color=COLOURS["true"], marker="o", ls="", markersize=4, label="S&P 500"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


@_styled
def marginals(models: Mapping[str, Tensor], series: Tensor, *, reach: float = 8.0, bins: int = 64) -> Figure:
    """Densities of single values on a logarithmic axis, with the standard Gaussian they would have without tails."""
    edges = np.linspace(-reach, reach, bins + 1)
    centres = 0.5 * (edges[1:] + edges[:-1])
    figure, axes = _subplots(1, len(models), height=3.0, sharex=True, sharey=True)
    for axis, (name, paths) in zip(axes, models.items(), strict=True):
        axis.stairs(histogram(paths, edges), edges, color=COLOURS[name], fill=True, alpha=0.45, label=name)
        real = histogram(series, edges)
        axis.plot(centres[real > 0], real[real > 0], "o", color=COLOURS["true"], markersize=3, label="S&P 500")
        axis.plot(centres, np.exp(-0.5 * centres**2) / np.sqrt(2 * np.pi), "--", color="0.5", lw=1, label="Gaussian")
        axis.set(yscale="log", ylim=(1e-5, 1.0), xlabel="standardised daily log-return")
        axis.legend(loc="upper left", fontsize=8)
    axes[0].set_ylabel("density")
    return figure


@_styled
def loss_curves(losses: Mapping[str, Sequence[float]]) -> Figure:
    """Loss along the descent on logarithmic axes."""
    figure, (axis,) = _subplots(1, 1, height=3.0)
    for name, curve in losses.items():
        axis.loglog(np.arange(1, len(curve)), curve[1:], color=COLOURS[name], label=name)
    axis.set(xlabel="step t", ylabel="loss ½‖mismatch‖² / ‖α‖²")
    axis.legend()
    return figure


def _subplots(rows: int, columns: int, *, height: float, **kwargs: Any) -> tuple[Figure, np.ndarray]:
    """A figure for a page's width; closed, so that a notebook shows it once: as the value of its cell."""
    figure, axes = plt.subplots(rows, columns, figsize=(7.2, height), squeeze=False, **kwargs)
    plt.close(figure)
    return figure, axes.ravel()


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
    )


def _outside_legend(axis: Axes, handles: list[Line2D], title: str) -> None:
    axis.legend(handles=handles, title=title, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _cloud(axis: Axes, points: np.ndarray, name: str) -> None:
    axis.plot(*points.T, ".", color=COLOURS[name], markersize=1.6, alpha=0.35, rasterized=True)
    axis.plot(*gaussian_contour(points).T, color=COLOURS[name])


def _half_violin(axis: Axes, values: np.ndarray, at: np.ndarray, side: Literal["low", "high"], colour: str) -> None:
    parts: dict[str, Any] = dict(axis.violinplot(values, at, widths=0.85, side=side, showextrema=False))
    for body in parts["bodies"]:
        body.set(facecolor=colour, alpha=0.6, edgecolor="none")


def _legend_below(figure: Figure, panels: Panels, extra: list[Line2D]) -> None:
    labels = {"true": "true law p", "start": "start $q_0$"}
    names = dict.fromkeys(name for clouds in panels.values() for name in clouds)
    handles = [Line2D([], [], color=COLOURS[name], label=labels.get(name, name)) for name in names]
    figure.legend(handles=[*handles, *extra], loc="outside lower center", ncols=len(handles) + len(extra))
