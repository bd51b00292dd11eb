"""Figures of fields like a texture: pictures of both models, two-sample tests, and the change of entropy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.plotting.fields import draw_field
from mfmgdm_lib.plotting.style import COLOURS, legend_below, styled, subplots

__all__ = ["texture_entropy", "texture_pictures", "texture_tests"]

_NAMES = {"mgdm": "MGDM", "mf": "MF–MGDM"}


@checked
@styled
def texture_pictures(rows: Sequence[Mapping[str, Tensor]], limits: tuple[float, float] = (0.0, 255.0)) -> Figure:
    """Pictures side by side, in rows.

    Args:
        rows: a picture (H, W) by its title; as many in each row.
        limits: the values of black and of white.
    """
    if not all(isinstance(row, Mapping) for row in rows):
        raise TypeError(f"rows is a {type(rows).__name__}; expected a sequence of mappings. Use [{{title: picture}}].")
    count = len(rows[0])
    figure, axes = subplots(len(rows), count, height=2.65 * len(rows), stack=False, narrow_height=1.55 * len(rows))
    pictures = [(title, picture) for row in rows for title, picture in row.items()]
    for axis, (title, picture) in zip(axes, pictures, strict=True):
        draw_field(axis, picture, limits, title)
        spec = axis.get_subplotspec()
        assert spec is not None
        axis.set(
            xlabel=f"{picture.shape[1]} pixels" if spec.is_last_row() else "",
            ylabel=f"{picture.shape[0]} pixels" if spec.is_first_col() else "",
        )
    return figure


@checked
@styled
def texture_tests(tests: pd.DataFrame, shown: Mapping[str, str]) -> Figure:
    """Distances of two-sample tests, by group of statistics, and what chance exceeds one time in twenty.

    Args:
        tests: of `results/texture_tests.csv`, indexed by fields and group.
        shown: the name of a row of points by the fields that it is of.
    """
    groups = list(dict.fromkeys(tests.index.get_level_values("group")))
    figure, (axis,) = subplots(1, 1, height=3.4, narrow_height=4.2)
    offsets = np.linspace(0.25, -0.25, len(shown))
    handles = []
    for (fields, name), offset in zip(shown.items(), offsets, strict=True):
        table = tests.loc[fields].loc[groups]
        colour = next((COLOURS[label] for key, label in _NAMES.items() if fields.startswith(key)), COLOURS["true"])
        filled = fields.endswith("128")
        at = offset - np.arange(len(groups))
        mark: dict[str, Any] = {"color": colour, "mfc": colour if filled else "white"}
        axis.plot(table["distance"], at, marker="o", ls="", ms=5, **mark)
        axis.plot(table["limit"], at, marker="|", ls="", ms=9, mew=1.2, color="0.6")
        handles.append(Line2D([], [], marker="o", ls="", ms=5, label=name, **mark))
    handles.append(Line2D([], [], marker="|", ls="", ms=9, mew=1.2, color="0.6", label="chance, 1 in 20"))
    axis.set_yticks([-float(place) for place in range(len(groups))], groups)
    axis.set(xlabel="energy distance, from 0 to 1", xlim=(0.0, None))
    legend_below(figure, handles)
    return figure


@checked
@styled
def texture_entropy(curves: pd.DataFrame) -> Figure:
    """What a descent does to the entropy of both models, step by step, and the loss.

    Args:
        curves: of `results/texture_entropy.csv`, indexed by model and step.
    """
    figure, (entropy, loss) = subplots(1, 2, height=2.9)
    for key, name in _NAMES.items():
        curve = curves.loc[key]
        entropy.plot(curve.index, curve["change"], "o-", ms=3.5, color=COLOURS[name], label=name)
        loss.plot(curve.index, curve["loss"], "o-", ms=3.5, color=COLOURS[name])
    entropy.set(xlabel="step", ylabel="nats per point", title="entropy since the start")
    loss.set(xlabel="step", ylabel="relative loss", title="loss", yscale="log")
    legend_below(figure, entropy.get_legend_handles_labels()[0])
    return figure
