"""Colours, matplotlib settings and helper functions that all figures share."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import NullLocator

from mfmgdm_lib.plotting.widths import NARROW, WIDE, PageFigure, finish_narrow, is_narrow, narrow_screen, stacked, wrap

__all__ = [
    "COLOURS",
    "band",
    "date_ticks",
    "legend_below",
    "name_ticks",
    "new_figure",
    "styled",
    "subplots",
    "with_powers",
]

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
    "figure.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "lines.linewidth": 1.5,
}

_BOTH_WIDTHS = "MFMGDM_BOTH_WIDTHS"
"""The environment variable that the book's tools set, so that each figure is drawn for telephones too."""


Arguments = ParamSpec("Arguments")


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw in the book's style and leave matplotlib's settings as they were.

    While the book is made a figure is drawn a second time, for narrow screens, and carries what that gives.
    """

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with plt.rc_context(_STYLE):
            figure = draw(*args, **kwargs)
            if is_narrow():
                finish_narrow(figure)
        if isinstance(figure, PageFigure) and os.environ.get(_BOTH_WIDTHS) and not is_narrow():
            with narrow_screen():
                figure.narrow = drawn(*args, **kwargs)
        return figure

    return drawn


def new_figure(height: float) -> Figure:
    """A figure for a page's width; closed, so that a notebook shows it once: as the value of its cell."""
    figure = plt.figure(figsize=(NARROW if is_narrow() else WIDE, height), FigureClass=PageFigure)
    plt.close(figure)
    return figure


def subplots(
    rows: int, columns: int, *, height: float, stack: bool = True, narrow_height: float | None = None, **kwargs: Any
) -> tuple[Figure, np.ndarray]:
    """Panels in rows and columns, one after the other; on a narrow screen one below the other.

    Args:
        rows: of panels.
        columns: of panels.
        height: inches.
        stack: whether the columns are undone on a narrow screen.
        narrow_height: inches on a narrow screen; None for panels as high as on a wide one, up to 2.3, or 2.7 if alone.
        kwargs: of `Figure.subplots`, or for its grid.
    """
    n_high = rows * columns if stack else rows
    if is_narrow() and narrow_height is None:
        narrow_height = n_high * min(height / rows, 2.3 if n_high > 1 else 2.7) + (0.4 if n_high > rows else 0.0)
    figure = new_figure(narrow_height if is_narrow() and narrow_height else height)
    if is_narrow() and stack and columns > 1:
        return figure, stacked(figure, rows, columns, **kwargs)
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs).ravel()


def band(axis: Axes, at: Any, middle: Any, error: Any, colour: str) -> None:
    """Shade what lies at most an error above or below a curve."""
    axis.fill_between(at, middle - error, middle + error, color=colour, alpha=0.2, lw=0)


def legend_below(figure: Figure | SubFigure, handles: Sequence[Any], title: str | None = None) -> None:
    """Put one legend for all panels below them and their common label, in as many columns as there is room for."""
    room = figure.get_figure(root=True).bbox.width
    style: dict[str, Any] = {"loc": "outside lower center", "columnspacing": 1.5, "handletextpad": 0.6}
    for rows in range(1, len(handles) + 1):  # as few as will do, and as even
        legend = figure.legend(handles=handles, title=title, ncols=math.ceil(len(handles) / rows), **style)
        if rows == len(handles) or legend.get_window_extent().width <= room:
            break
        legend.remove()
    for text in legend.get_texts():
        wrap(text, room - 40.0 * figure.dpi / 72.0)
    if label := figure.get_supxlabel():  # a label keeps no distance from a legend: empty lines do
        line_height = 1.2 * plt.rcParams["figure.labelsize"] * figure.dpi / 72.0
        figure.supxlabel(label + "\n" * math.ceil(legend.get_window_extent().height / line_height + 0.3))


def date_ticks(axis: Axes) -> None:
    """Name a few dates of a horizontal axis of time, with as much of each as tells it from the one before."""
    locator = AutoDateLocator(minticks=3)  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def name_ticks(axis: Axes, at: np.ndarray) -> None:
    """Name the values of a logarithmic axis that were measured, and no others."""
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticks(at, [f"{value:g}" for value in at])


def with_powers(name: str) -> str:
    """A process's name with its powers set as such, for a figure's text."""
    return name.replace("2^−½, 2^½", "$2^{-1/2}, 2^{1/2}$")
