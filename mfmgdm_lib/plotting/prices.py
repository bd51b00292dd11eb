"""The figure of generated prices or rates that go on from a series, with dates."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogFormatter

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.plotting.style import COLOURS, date_ticks, legend_below, styled, subplots

__all__ = ["price_fan"]

_SERIES, _PATHS = COLOURS["true"], COLOURS["MF–MGDM"]


@checked
@styled
def price_fan(
    levels: pd.Series, table: pd.DataFrame, *, unit: str = "", log: bool = True, history: int | None = None
) -> Figure:
    """The last stretch of a series of prices or rates, and paths that go on from its end.

    Of the paths there are the median at each date, half and nine in ten of them, and the first three.

    Args:
        levels: the series, by date.
        table: paths by date, a column for each, as `mm.io.paths_table(made, prices=levels.iloc[-1], dates=True)`.
        unit: of the levels.
        log: whether the axis is logarithmic, for prices.
        history: points of the series; None for as many as the table has.

    Raises:
        ValueError: paths or a series without dates.
    """
    for name, index in (("levels", levels.index), ("table", table.index)):
        if not isinstance(index, pd.DatetimeIndex):
            raise ValueError(
                f"{name} has an index of the type {type(index).__name__}; expected dates. Use read_series and"
                " paths_table(..., dates=True)."
            )
    figure, (axis,) = subplots(1, 1, height=3.2)
    before = levels.iloc[-(history or len(table)) :]
    axis.plot(before.index, before, color=_SERIES, lw=0.8)
    for low, high, alpha in ((0.05, 0.95, 0.18), (0.25, 0.75, 0.3)):
        edges = np.quantile(table.to_numpy(), [low, high], axis=1)
        axis.fill_between(table.index, *edges, color=_PATHS, alpha=alpha, lw=0)
    axis.plot(table.index, table.median(axis=1), color=_PATHS, lw=1.4)
    axis.plot(table.index, table.iloc[:, :3], color="0.35", lw=0.5)
    if log:
        axis.set_yscale("log")
        for which in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            which(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))
    date_ticks(axis)
    axis.set(
        xlabel="date", ylabel=", ".join(filter(None, [str(levels.name) if levels.name is not None else "level", unit]))
    )
    axis.margins(x=0.01)
    legend_below(
        figure,
        [
            Line2D([], [], color=_SERIES, lw=0.8, label="series"),
            Line2D([], [], color=_PATHS, lw=1.4, label="paths, median"),
            Patch(color=_PATHS, alpha=0.45, lw=0, label="half of the paths"),
            Patch(color=_PATHS, alpha=0.18, lw=0, label="nine in ten"),
            Line2D([], [], color="0.35", lw=0.5, label="three of them"),
        ],
    )
    return figure
