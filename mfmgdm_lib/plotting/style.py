"""Colours, matplotlib settings and helper functions that all figures share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

__all__ = ["COLOURS", "band", "name_ticks", "outside_legend", "styled", "subplots", "with_powers"]

COLOURS = {"true": "#1a1a1a", "start": "#8a8a8a", "MGDM": "#d55e00", "MF–MGDM": "#0072b2"}
"""The colours of all figures: of the true law, the start, and the two models."""


_STYLE: dict[Any, Any] = {
    "figure.dpi": 192,  # two pixels of a fine screen for each of a page
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


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw in the book's style and leave matplotlib's settings as they were."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with plt.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


def subplots(rows: int, columns: int, *, height: float, **kwargs: Any) -> tuple[Figure, np.ndarray]:
    """A figure for a page's width; closed, so that a notebook shows it once: as the value of its cell."""
    figure, axes = plt.subplots(rows, columns, figsize=(7.2, height), squeeze=False, **kwargs)
    plt.close(figure)
    return figure, axes.ravel()


def band(axis: Axes, at: Any, middle: Any, error: Any, colour: str) -> None:
    """Shade what lies at most an error above or below a curve."""
    axis.fill_between(at, middle - error, middle + error, color=colour, alpha=0.2, lw=0)


def outside_legend(axis: Axes, handles: list[Line2D], title: str) -> None:
    """Put a legend to the right of an axis."""
    axis.legend(handles=handles, title=title, loc="center left", bbox_to_anchor=(1.0, 0.5))


def name_ticks(axis: Axes, at: np.ndarray) -> None:
    """Name the values of a logarithmic axis that were measured, and no others."""
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticks(at, [f"{value:g}" for value in at])


def with_powers(name: str) -> str:
    """A process's name with its powers set as such, for a figure's text."""
    return name.replace("2^−½, 2^½", "$2^{-1/2}, 2^{1/2}$")
