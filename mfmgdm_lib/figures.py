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
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from torch import Tensor

from mfmgdm_lib.divergence import DivergenceTrace
from mfmgdm_lib.statistics import autocorrelation, gaussian_contour, histogram

__all__ = [
    "determinant_costs",
    "divergence",
    "energy_clouds",
    "energy_moves",
    "ensemble_sizes",
    "jacobian_parts",
    "last_line",
    "loss_curves",
    "marginals",
    "overshoot",
    "sample_paths",
    "spread_ratios",
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
def overshoot(curves: Mapping[str, np.ndarray], *, slopes: Mapping[str, float], top: float = 1.5) -> Figure:
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
    axis.set(xlabel="step t", ylabel="reverse KL, nats per path", xlim=(0, None), ylim=(0, top))
    _outside_legend(axis, lines, "paths in an ensemble")
    return figure


@_styled
def spread_ratios(panels: Mapping[str, tuple[np.ndarray, Sequence[float]]]) -> Figure:
    """Growth of a variance against γ(Φ̄ − α): measured dots, and the fourth power that they should lie on (Section 4)."""
    figure, axes = _subplots(1, len(panels), height=3.1, sharex=True, sharey=True)
    line = np.linspace(-0.32, 1.2, 200)
    for axis, (title, (at, ratios)) in zip(axes, panels.items(), strict=True):
        axis.axvspan(0.0, 1.0, color="0.93", lw=0)
        axis.axhline(1.0, color="0.5", lw=0.8)
        axis.plot(line, (1.0 - 2.0 * line) ** 4, color=COLOURS["start"])
        axis.plot(at, ratios, "o", color=COLOURS["MF–MGDM"], markersize=4)
        axis.set(title=title, xlabel=r"$\gamma(\bar\Phi - \alpha)$", ylim=(-0.1, 4.0))
    axes[0].set_ylabel("variance after / before")
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


@_styled
def jacobian_parts(parts: Mapping[str, Tensor], *, n_paths: int, least: float = 1e-5) -> Figure:
    """Sizes of the entries of matrices (N·d, N·d) on one logarithmic scale, white where 0, with lines between paths."""
    widths = [*(1.0 for _ in parts), 0.05]
    figure, axes = _subplots(1, len(parts) + 1, height=7.2 / (len(parts) + 0.35), width_ratios=widths)
    norm = LogNorm(least, max(float(matrix.abs().max()) for matrix in parts.values()))
    for axis, (title, matrix) in zip(axes, parts.items(), strict=False):
        sizes = matrix.abs().numpy()
        image = axis.imshow(np.where(sizes > 0, np.maximum(sizes, least), np.nan), norm=norm, cmap="viridis_r")
        borders = np.arange(1, n_paths) * len(matrix) / n_paths - 0.5
        axis.hlines(borders, -0.5, len(matrix) - 0.5, color="0.5", lw=0.6)
        axis.vlines(borders, -0.5, len(matrix) - 0.5, color="0.5", lw=0.6)
        ticks = (np.arange(n_paths) + 0.5) * len(matrix) / n_paths - 0.5
        names = [f"path {n + 1}" for n in range(n_paths)]
        axis.set_xticks(ticks, names, fontsize=7)
        axis.set_yticks(ticks, names if axis is axes[0] else [""] * n_paths, fontsize=7, rotation=90, va="center")
        axis.tick_params(length=0)
        axis.set(title=title, xlabel="entry before the step")
    axes[0].set_ylabel("entry after it")
    figure.colorbar(image, cax=axes[-1]).ax.set_xlabel("size", fontsize=8)
    return figure


READINGS = {"mended": "#0072b2", "as printed": "#aa3377", "Σ over n, no 1/N": "#228833"}


@_styled
def last_line(errors: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Errors of the readings of Appendix A's last line on some steps, and the divergence they would give on a descent.

    Both have a column for each name in `READINGS`; errors are in nats, a row for each step.
    """
    figure, (left, right) = _subplots(1, 2, height=3.2)
    for (name, colour), marker in zip(READINGS.items(), "osD", strict=True):
        shown = np.maximum(errors[name].abs(), np.finfo(float).eps)
        left.semilogy(np.arange(1, len(errors) + 1), shown, marker, color=colour, markersize=4, label=name)
        right.plot(curves[name], color=colour, label=name)
    right.axhspan(-100.0, 0.0, color="0.9", lw=0)
    right.set(ylim=(1.3 * min(curves.min().min(), -1.0), 1.05 * curves.max().max()), xlim=(0, None))
    right.annotate("impossible", (0.03, 0.02), xycoords="axes fraction", color="0.4", fontsize=8)
    left.set(title="one step, ten random problems", xlabel="problem", ylabel="error of log|det|, nats")
    left.set(xticks=np.arange(1, len(errors) + 1))
    right.set(title="a whole descent, AR(0.1)", xlabel="step t", ylabel="reverse KL, nats per path")
    right.legend(title="last line", fontsize=8)
    return figure


@_styled
def determinant_costs(costs: pd.DataFrame, exponents: Mapping[tuple[str, str], float]) -> Figure:
    """Time of one log-determinant against d and against N, on logarithmic axes, with fitted powers in the legend."""
    axis_names = {"d": "points in a path, d", "N": "paths in the ensemble, N"}
    figure, axes = _subplots(1, 2, height=4.2, sharey=True)
    backends = list(dict.fromkeys(costs["backend"]))
    shades = dict(zip(backends, plt.get_cmap("viridis")(np.linspace(0.0, 0.85, len(backends))), strict=True))
    for axis, (name, label) in zip(axes, axis_names.items(), strict=True):
        own = costs[costs["axis"] == name]
        for marker, backend in zip("os^Dv", backends, strict=False):
            rows = own[own["backend"] == backend]
            power = f"{backend}: ∝ {name}$^{{{exponents[name, backend]:.1f}}}$"
            axis.loglog(rows["size"], rows["seconds"], marker + "-", color=shades[backend], markersize=4, label=power)
        fixed = "N" if name == "d" else "d"
        axis.set(title=f"{fixed} = {own['fixed'].iloc[0]}", xlabel=label)
        axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    axes[0].set_ylabel("seconds for one log-determinant")
    return figure


@_styled
def pushed_densities(panels: Mapping[str, tuple[Tensor, np.ndarray]], grids: Mapping[str, Tensor]) -> Figure:
    """Points (n, 2) coloured by their log-densities (n,), on the image (rows, columns, 2) of a grid in some panels."""
    figure, axes = _subplots(1, len(panels), height=2.8, sharex=True, sharey=True)
    low, high = np.quantile(np.concatenate([density for _, density in panels.values()]), (0.02, 1.0))
    for axis, (title, (points, density)) in zip(axes, panels.items(), strict=True):
        dots = axis.scatter(*points.T.numpy(), c=density, s=2, vmin=low, vmax=high, cmap="viridis", rasterized=True)
        for lines in (grids[title], grids[title].transpose(0, 1)) if title in grids else ():
            axis.plot(*lines.permute(2, 0, 1).numpy(), color="0.15", lw=0.4, alpha=0.7)
        axis.set(title=title, xlabel="$x_1$", aspect="equal")
    axes[0].set_ylabel("$x_2$")
    figure.colorbar(dots, cax=axes[-1].inset_axes((1.06, 0.0, 0.05, 1.0)), label="log-density, nats")
    return figure


@_styled
def joint_and_path(by_size: pd.DataFrame, by_step: Mapping[str, pd.DataFrame]) -> Figure:
    """Divergence of an ensemble's joint law and of one path's law, and the gap between the two, shaded.

    Args:
        by_size: columns "joint" and "path", nats per path, for sizes N of an ensemble.
        by_step: the same two for steps t, by the name of a colour.
    """
    figure, (left, right) = _subplots(1, 2, height=3.1, sharey=True)
    for axis, name, frame in [(left, "MF–MGDM", by_size), *((right, *item) for item in by_step.items())]:
        colour, at = COLOURS[name], frame.index.to_numpy()
        axis.fill_between(at, frame["path"], frame["joint"], color=colour, alpha=0.15, lw=0)
        marker = "o" if axis is left else None
        axis.plot(at, frame["joint"], color=colour, marker=marker, ms=4, label=f"{name}: joint law, divided by N")
        axis.plot(at, frame["path"], "--", color=colour, marker=marker, ms=4, label=f"{name}: one path")
    left.set(xscale="log", yscale="log", xlabel="paths in an ensemble, N", ylabel="reverse KL, nats per path")
    _name_ticks(left, by_size.index.to_numpy())
    right.set(xlabel="step t")
    figure.legend(handles=right.get_legend_handles_labels()[0], loc="outside lower center", ncols=2)
    return figure


@_styled
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
    figure, (axis,) = _subplots(1, 1, height=3.2)
    for marker, (label, (name, sizes, values, errors)) in zip("osDv", series.items(), strict=False):
        style: dict[str, Any] = {"color": COLOURS[name], "fmt": marker, "mfc": "white", "markersize": 5, "capsize": 2.5}
        axis.errorbar(sizes, values, 2.0 * errors, label=label, **style)
        shape = np.float_power(sizes, power)
        level = np.average(values / shape, weights=(shape / errors) ** 2)
        axis.plot(sizes, level * shape, "--", color=COLOURS[name], lw=1, zorder=0)
    axis.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    _name_ticks(axis, sizes)
    axis.legend()
    return figure


def _subplots(rows: int, columns: int, *, height: float, **kwargs: Any) -> tuple[Figure, np.ndarray]:
    """A figure for a page's width; closed, so that a notebook shows it once: as the value of its cell."""
    figure, axes = plt.subplots(rows, columns, figsize=(7.2, height), squeeze=False, **kwargs)
    plt.close(figure)
    return figure, axes.ravel()


def _name_ticks(axis: Axes, at: np.ndarray) -> None:
    """Name the values of a logarithmic axis that were measured, and no others."""
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticks(at, [f"{value:g}" for value in at])


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
