"""Forecasts of one series over the points that follow it: simulated returns, and a table of them by horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import as_series, check_positive_int
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib.backtests import DailyForecasts, backtest_table, compare_backtests, daily_forecasts
from mfmgdm_lib.data import dates_after, levels
from mfmgdm_lib.errors import Message
from mfmgdm_lib.flows import ConditionalFlow, fit_conditional_flow
from mfmgdm_lib.processes.base import Seed
from mfmgdm_lib.processes.conditional import ConditionalLaw
from mfmgdm_lib.report import series_warnings
from mfmgdm_lib.risk import risk_ahead

__all__ = ["Backtest", "Forecast", "forecast", "hold_out"]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SHARES = (0.95, 0.99)
_FEWEST = 500
"""Points that a conditional flow is fitted to at least."""


@dataclass(frozen=True)
class Forecast:
    """Simulated returns that go on from the end of a series, and what they say by horizon.

    Attributes:
        paths: (n_paths, horizon), float64, returns in the units of the series.
        law: the law of a return given those before it, of which the paths were drawn.
        table: a row for each horizon h from 1 on: `date`, where the series has dates that tell the next, as
            `mm.data.dates_after` explains; where the last level is known, quantiles of the level, `5 %`, `25 %`,
            `50 %`, `75 %` and `95 %`; and the columns of `risk_ahead`: volatility, value at risk and expected shortfall
            at 95 and 99 %, each with its standard error.
        notes: reasons to doubt the result, in sentences; empty where none was found.
        seed: what the paths were drawn with.
        observed: the series as it was given, if it is of pandas, with its dates and `attrs`; else None.
    """

    paths: Tensor
    law: ConditionalLaw
    table: pd.DataFrame
    notes: tuple[str, ...]
    seed: Seed = None
    observed: pd.Series | None = None


@dataclass(frozen=True)
class Backtest:
    """Back-tests over the last days of a series of a law that was fitted to the days before.

    Attributes:
        table: the rows of `backtest_table` by law, and `gain over` the base in each score, with its `standard error`.
        forecasts: of each day, by the name of the law; the first is the law's.
    """

    table: pd.DataFrame
    forecasts: dict[str, DailyForecasts]


@checked
def forecast(
    series: Any,
    horizon: int = 20,
    n_paths: int = 10000,
    seed: Seed = 0,
    *,
    base: str = "argarch-t",
    level: float | None = None,
    law: ConditionalLaw | None = None,
) -> Forecast:
    """Forecast the points that follow a series of returns, by simulation from a law fitted to it.

    Losses are those of `risk_ahead`: of log-returns shares of the last price, of differences in the unit of the series.
    The errors of the table are those of so many simulated paths. That the law was fitted is no part of them.

    Args:
        series: one stationary series (points,) of at least 500 returns: a pandas Series, an array or a tensor. One of
            `mm.data.returns` says itself whether it has log-returns or differences; others are taken as log-returns.
        horizon: points ahead.
        n_paths: simulated paths, at least 2; it takes 1000 for losses at 99 %.
        seed: of the paths; whatever `numpy.random.default_rng` takes.
        base: the model of volatility that the law starts from, as `fit_conditional_flow` explains.
        level: the last price or rate, where levels are wanted.
        law: a law that was fitted before; None to fit a conditional flow.

    Raises:
        ValueError: a series that is too short, constant or not finite, a level that there cannot be, or settings out of
            range.

    Example:
        >>> import mfmgdm_lib as mm
        >>> prices = mm.data.sp500()
        >>> returns = mm.data.returns(prices)
        >>> made = forecast(returns, 5, 1000, level=prices.iloc[-1], law=mm.processes.fit_volatility(returns))
        >>> made.paths.shape, list(made.table.columns[:6])
        (torch.Size([1000, 5]), ['date', '5 %', '25 %', '50 %', '75 %', '95 %'])
    """
    values = as_series("series", series).double().cpu()
    horizon, n_paths = check_positive_int("horizon", horizon), check_positive_int("n_paths", n_paths, minimum=2)
    observed = series if isinstance(series, pd.Series) else None
    kind = "log" if observed is None else str(observed.attrs.get("returns", "log"))
    if level is not None:
        levels(values[:1], level, kind)  # which says why there are none
    law = fit_conditional_flow(values, base) if law is None else law
    paths = law.sample(n_paths, horizon, given=values, seed=seed)
    table = risk_ahead(paths, shares=_SHARES, kind=kind)
    if level is not None:
        quantiles = np.quantile(levels(paths, level, kind)[:, 1:].numpy(), _QUANTILES, axis=0)
        for place, (share, row) in enumerate(zip(_QUANTILES, quantiles, strict=True)):
            table.insert(place, f"{100 * share:g} %", row)
    if (dates := _dates_ahead(observed, horizon)) is not None:
        table.insert(0, "date", dates)
    notes = series_warnings(series if observed is not None else values)
    return Forecast(paths, law, table, tuple(notes), seed, observed)


def _dates_ahead(observed: pd.Series | None, horizon: int) -> pd.DatetimeIndex | None:
    """The dates after a series, if it has dates that tell them."""
    if observed is None:
        return None
    try:
        return dates_after(observed.index, horizon)
    except (TypeError, ValueError):
        return None


@checked
def hold_out(
    series: Any, days: int = 1000, seed: Seed = 0, *, base: str = "argarch-t", law: ConditionalLaw | None = None
) -> Backtest:
    """Back-test the law of `forecast` over the last days of a series, fitted to the days before, beside its base model.

    Args:
        series: as for `forecast`.
        days: how many at the end are held out; at least 500 points have to be before them.
        seed: of simulated p-values and standard errors; whatever `numpy.random.default_rng` takes.
        base: as for `forecast`.
        law: one that was fitted to the days before; None to fit a conditional flow.

    Raises:
        ValueError: a series that is too short.
    """
    values = as_series("series", series).double().cpu()
    if len(values) - check_positive_int("days", days) < _FEWEST:
        said = f"days is {days} with a series of {len(values)} points; expected {_FEWEST} points or more before them."
        raise ValueError(Message(said, "Use fewer.", option="Use a smaller --backtest-days."))
    law = fit_conditional_flow(values[:-days], base) if law is None else law
    laws = {"flow": law, base: law.base} if isinstance(law, ConditionalFlow) else {base: law}
    forecasts = {name: daily_forecasts(one, series, days, _SHARES) for name, one in laws.items()}
    tables = {name: backtest_table(one, seed=seed) for name, one in forecasts.items()}
    if len(laws) > 1:
        gains = compare_backtests(*forecasts.values(), seed=seed)[["gain", "standard error"]]
        tables[f"gain over {base}"] = gains.rename(columns={"gain": "value"}, index="{}, mean".format)
    return Backtest(pd.concat(tables, names=["law", "statistic"]), forecasts)
