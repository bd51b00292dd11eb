"""The figure of a report of generated fields: patches of the picture, fields, and statistics of both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.field_generation import FieldGeneration
from mfmgdm_lib.field_statistics import DISTANCES
from mfmgdm_lib.plotting.style import COLOURS, legend_below, new_figure, styled
from mfmgdm_lib.plotting.widths import is_narrow

__all__ = ["draw_field", "field_report"]

_PATCHES, _FIELDS = COLOURS["true"], COLOURS["MF–MGDM"]


@checked
@styled
def field_report(generation: FieldGeneration) -> Figure:
    """Patches of a picture above, fields like it below, and under them how their statistics compare.

    The grey levels are the same in all. Below, the density of single values; the mean size of the difference of two
    values by their distance, across and down; and the shares of local binary patterns: dots are means over patches,
    lines means over fields, and a shade is where nine fields in ten are.

    Args:
        generation: what `generate_fields` returned.
    """
    count = 2 if is_narrow() else 4
    height, width = generation.fields.shape[-2:]
    tiles = 2 * (3.6 if is_narrow() else 7.0) / count * height / width + 0.5
    below = 7.0 if is_narrow() else 2.6
    figure = new_figure(tiles + below)
    (above,), (under,) = figure.subfigures(2, 1, squeeze=False, height_ratios=[tiles, below])
    rows = [("patch of the picture", generation.patches), ("generated", generation.fields)]
    _draw_tiles(list(above.subplots(2, count).ravel()), rows, count, _white(generation))
    values, sizes, patterns = under.subplots(3, 1) if is_narrow() else under.subplots(1, 3)
    _draw_values(values, generation)
    _draw_sizes(sizes, generation)
    _draw_patterns(patterns, generation)
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=_PATCHES, marker="o", ls="", markersize=3.5, label="patches"),
        Line2D([], [], color=_FIELDS, lw=1.2, label="fields, or across"),
        Line2D([], [], color=_FIELDS, lw=1.2, ls="--", label="down"),
        Patch(color=_FIELDS, alpha=0.25, lw=0, label="nine fields in ten"),
    ]
    legend_below(under, handles)
    return figure


def draw_field(axis: Axes, field: Tensor, limits: tuple[float, float], title: str = "") -> None:
    """Show a field as a grey picture without ticks and frame.

    Args:
        axis: where to.
        field: (H, W).
        limits: the values of black and of white.
        title: above it.
    """
    axis.imshow(field.numpy(), cmap="gray", vmin=limits[0], vmax=limits[1], interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    axis.set_title(title)


def _white(generation: FieldGeneration) -> tuple[float, float]:
    image = generation.image
    if image is not None and image.white is not None:
        return 0.0, image.white
    return float(generation.patches.min()), float(generation.patches.max())


def _draw_tiles(
    axes: Sequence[Axes], rows: Sequence[tuple[str, Tensor]], count: int, limits: tuple[float, float]
) -> None:
    for row, (name, fields) in enumerate(rows):
        for column in range(count):
            axis = axes[row * count + column]
            axis.set_axis_off()
            if column < len(fields):
                draw_field(axis, fields[column], limits, name if column == 0 else "")


def _draw_values(axis: Axes, generation: FieldGeneration) -> None:
    both = torch.cat([generation.patches.flatten(), generation.fields.flatten()])
    edges = np.linspace(float(both.min()), float(both.max()), 41)
    of_patches, of_fields = (
        np.histogram(x.numpy().ravel(), edges, density=True)[0] for x in (generation.patches, generation.fields)
    )
    axis.stairs(of_fields, edges, color=_FIELDS, lw=1.2)
    axis.plot(0.5 * (edges[1:] + edges[:-1]), of_patches, "o", color=_PATCHES, markersize=2.5)
    axis.set(title="density of values", xlabel="grey level", ylim=(0.0, None))


def _draw_sizes(axis: Axes, generation: FieldGeneration) -> None:
    report = generation.report
    for way, style in (("across", "-"), ("down", "--")):
        at = [distance for distance in DISTANCES if f"{distance} {way}: size" in report.index]
        rows = report.loc[[f"{distance} {way}: size" for distance in at]]
        if way == "across":
            axis.fill_between(at, rows["low"], rows["high"], color=_FIELDS, alpha=0.25, lw=0)
        axis.plot(at, rows["fields"], style, color=_FIELDS, lw=1.2)
        axis.plot(at, rows["patches"], "o", color=_PATCHES, markersize=3)
    axis.set(title="difference of two values", xlabel="distance, pixels", ylabel="mean size, s.d.", xscale="log")
    axis.set_xticks(list(DISTANCES), [str(distance) for distance in DISTANCES])
    axis.minorticks_off()


def _draw_patterns(axis: Axes, generation: FieldGeneration) -> None:
    names = [*(f"pattern {kind}" for kind in range(9)), "other patterns"]
    rows, at = generation.report.loc[names], np.arange(len(names))
    axis.fill_between(at, 100 * rows["low"], 100 * rows["high"], color=_FIELDS, alpha=0.25, lw=0)
    axis.plot(at, 100 * rows["fields"], color=_FIELDS, lw=1.2)
    axis.plot(at, 100 * rows["patches"], "o", color=_PATCHES, markersize=3)
    axis.set(title="local patterns", xlabel="neighbours not darker", ylabel="share, %", ylim=(0.0, None))
    axis.set_xticks(at[::3], ["0", "3", "6", "other"])
