"""Figures of steps as maps: their Jacobians, their cost, and the densities that they push forward."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.plotting.style import styled, subplots
from mfmgdm_lib.plotting.widths import is_narrow
from mfmgdm_lib.statistics import histogram

__all__ = ["READINGS", "determinant_costs", "half_line_steps", "jacobian_parts", "last_line", "pushed_densities"]


@checked
@styled
def jacobian_parts(parts: Mapping[str, Tensor], *, n_paths: int, least: float = 1e-5) -> Figure:
    """Sizes of the entries of matrices (N·d, N·d) on one logarithmic scale, white where 0, with lines between paths."""
    figure, axes = subplots(1, len(parts), height=7.2 / (len(parts) + 0.35), narrow_height=3.1 * len(parts) + 0.6)
    norm = LogNorm(least, max(float(matrix.abs().max()) for matrix in parts.values()))
    for axis, (title, matrix) in zip(axes, parts.items(), strict=True):
        sizes = matrix.abs().numpy()
        image = axis.imshow(np.where(sizes > 0, np.maximum(sizes, least), np.nan), norm=norm, cmap="viridis_r")
        borders = np.arange(1, n_paths) * len(matrix) / n_paths - 0.5
        axis.hlines(borders, -0.5, len(matrix) - 0.5, color="0.5", lw=0.6)
        axis.vlines(borders, -0.5, len(matrix) - 0.5, color="0.5", lw=0.6)
        ticks = (np.arange(n_paths) + 0.5) * len(matrix) / n_paths - 0.5
        names = [f"path {n + 1}" for n in range(n_paths)]
        axis.set_xticks(ticks, names, fontsize=8)
        axis.set_yticks(ticks, names if axis is axes[0] else [""] * n_paths, fontsize=8, rotation=90, va="center")
        axis.tick_params(length=0)
        axis.set(title=title, xlabel="entry before the step")
    axes[0].set_ylabel("entry after it")
    figure.colorbar(image, ax=list(axes), location="bottom" if is_narrow() else "right", label="size", fraction=0.05)
    return figure


READINGS = {"mended": "#0072b2", "as printed": "#aa3377", "Σ over n, no 1/N": "#228833"}
"""Readings of the last line of Appendix A, and the colour of each."""


@checked
@styled
def last_line(errors: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Errors of the readings of Appendix A's last line on some steps, and the divergence they would give on a descent.

    Both have a column for each name in `READINGS`; errors are in nats, a row for each step.
    """
    figure, (left, right) = subplots(1, 2, height=3.2)
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
    right.legend(title="last line")
    return figure


@checked
@styled
def determinant_costs(costs: pd.DataFrame, exponents: Mapping[tuple[str, str], float]) -> Figure:
    """Time of one log-determinant against d and against N, on logarithmic axes, with fitted powers in the legend."""
    axis_names = {"d": "points in a path, d", "N": "paths in the ensemble, N"}
    figure, axes = subplots(1, 2, height=4.2, sharey=True)
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
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.35 if is_narrow() else -0.18), ncols=2)
    axes[0].set_ylabel("seconds for one log-determinant")
    return figure


@checked
@styled
def pushed_densities(panels: Mapping[str, tuple[Tensor, np.ndarray]], grids: Mapping[str, Tensor]) -> Figure:
    """Points (n, 2) coloured by their log-densities (n,), on the image (rows, columns, 2) of a grid in some panels."""
    figure, axes = subplots(1, len(panels), height=2.8, sharex=True, sharey=True)
    low, high = np.quantile(np.concatenate([density for _, density in panels.values()]), (0.02, 1.0))
    for axis, (title, (points, density)) in zip(axes, panels.items(), strict=True):
        dots = axis.scatter(*points.T.numpy(), c=density, s=2, vmin=low, vmax=high, cmap="viridis", rasterized=True)
        for lines in (grids[title], grids[title].transpose(0, 1)) if title in grids else ():
            axis.plot(*lines.permute(2, 0, 1).numpy(), color="0.15", lw=0.4, alpha=0.7)
        axis.set(title=title, xlabel="$x_1$", aspect="equal")
    axes[0].set_ylabel("$x_2$")
    figure.colorbar(dots, cax=axes[-1].inset_axes((1.06, 0.0, 0.05, 1.0)), label="log-density, nats")
    return figure


@checked
@styled
def half_line_steps(
    before: np.ndarray,
    maps: Mapping[str, np.ndarray],
    after: Mapping[str, Tensor],
    densities: Mapping[str, Mapping[str, np.ndarray]],
) -> Figure:
    """Where ways to stay at or above zero take a value, and how values are spread that have gone there.

    Args:
        before: values before a step (G,).
        maps: by the name of a way, where it takes them (G,).
        after: by the same names, values that have been taken there; those that are exactly 0 are stated as a share.
        densities: by the same names and by label, densities at `before` to be compared with them.
    """
    figure, axes = subplots(1, 1 + len(maps), height=3.4)
    colours = dict(zip(maps, ("#aa3377", "#228833"), strict=True))
    for (name, image), style in zip(maps.items(), ("-", "--"), strict=True):
        line = np.where(np.diff(image, prepend=image[0]) < -0.1, np.nan, image)  # a jump is no line
        axes[0].plot(before, line, style, color=colours[name], lw=2, label=name)
    axes[0].set(title="one step", xlabel="value before", ylabel="value after", ylim=(-0.05, before[-1]))
    axes[0].legend(loc="upper left")
    edges = np.linspace(1e-12, before[-1], 61)  # what is exactly 0 is left to the note
    styles = ("-", "--", ":")
    for axis, (name, values) in zip(axes[1:], after.items(), strict=True):
        axis.stairs(histogram(values, edges), edges, color=colours[name], fill=True, alpha=0.4, label="values")
        for (label, curve), style in zip(densities[name].items(), styles, strict=False):
            axis.plot(before, curve, style, color="black", lw=1.2, label=label)
        at_zero = float((values == 0).double().mean())
        if at_zero:
            axis.plot([0, 0], [0, 1.9], color=colours[name], lw=4, solid_capstyle="butt")
            axis.annotate(f"{at_zero:.0%} are 0", (0.12, 1.45), color=colours[name])
        axis.set(title=name, xlabel="value after", ylim=(0, 2.0))
        axis.legend(loc="upper right")
    axes[1].set_ylabel("density")
    return figure
