"""The figure of a back-test: returns with value at risk and its violations, and how probable the returns were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.backtests import DailyForecasts
from mfmgdm_lib.plotting.style import COLOURS, date_ticks, legend_below, styled, subplots

__all__ = ["backtest_figure"]

_SERIES, _LAW, _VIOLATION = COLOURS["true"], COLOURS["MF–MGDM"], COLOURS["MGDM"]
_SHADES = ("#56b4e9", _LAW, "#004470")
"""Of value at risk by share, the largest last."""

_BINS = 20


@checked
@styled
def backtest_figure(forecasts: DailyForecasts, *, unit: str = "") -> Figure:
    """Returns of the last days with their value at risk, and the probabilities that the law gave to a lower return.

    On the left, returns, minus the value at risk at each share, and the days whose loss was beyond it. On the right, a
    histogram of the probabilities F of `DailyForecasts`, which are uniform where the law is right (Diebold, Gunther and
    Tay, 1998), with a band in which the number of days in a bin is with 95 % probability if they are.

    Args:
        forecasts: what `daily_forecasts` returned, of up to three shares.
        unit: of a return.
    """
    figure, (left, right) = subplots(1, 2, height=3.2, width_ratios=[2.2, 1.0])
    shares = sorted(forecasts.shares)[:3]
    _draw_returns(left, forecasts, shares)
    left.set(title="returns and value at risk", ylabel=", ".join(filter(None, ["return", unit])))
    _draw_probabilities(right, forecasts.table["probability"].to_numpy())
    legend_below(figure, _handles(shares))
    return figure


def _style(shares: list[float]) -> list[tuple[float, str, dict[str, Any]]]:
    """Of each share its colour, and the mark of its violations: open, but full at the largest share."""
    found = []
    for place, share in enumerate(shares):
        filling = _VIOLATION if place == len(shares) - 1 else "none"
        mark = {"marker": "o", "ls": "", "ms": 4, "mew": 0.8, "color": _VIOLATION, "mfc": filling}
        found.append((share, _SHADES[place], mark))
    return found


def _draw_returns(axis: Axes, forecasts: DailyForecasts, shares: list[float]) -> None:
    days, returns = forecasts.table.index, forecasts.table["return"]
    axis.plot(days, returns, color=_SERIES, lw=0.5)
    for share, colour, mark in _style(shares):
        axis.plot(days, -forecasts.table[f"value at risk, {100 * share:g} %"], color=colour, lw=0.9)
        hits = forecasts.violations(share)
        axis.plot(days[hits], returns[hits], **mark)
    if isinstance(days, pd.DatetimeIndex):
        date_ticks(axis)
    axis.set_xlabel("date" if isinstance(days, pd.DatetimeIndex) else "point")
    axis.margins(x=0.01)


def _draw_probabilities(axis: Axes, probabilities: np.ndarray) -> None:
    counts, edges = np.histogram(probabilities, _BINS, (0.0, 1.0))
    low, high = scipy.stats.binom.ppf([0.025, 0.975], len(probabilities), 1.0 / _BINS)
    axis.axhspan(low, high, color="0.5", alpha=0.25, lw=0)
    axis.stairs(counts, edges, color=_LAW, fill=True, alpha=0.45)
    axis.axhline(len(probabilities) / _BINS, color="0.35", lw=0.8)
    axis.set(title="probability of less", xlabel="probability", ylabel="days", xlim=(0.0, 1.0), ylim=(0.0, None))


def _handles(shares: list[float]) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [Line2D([], [], color=_SERIES, lw=0.8, label="returns")]
    for share, colour, mark in _style(shares):
        handles.append(Line2D([], [], color=colour, lw=1.2, label=f"value at risk, {100 * share:g} %"))
        handles.append(Line2D([], [], **mark, label=f"loss beyond it, {100 * share:g} %"))
    return [*handles, Patch(color="0.5", alpha=0.25, lw=0, label="where 95 % of bins are")]
