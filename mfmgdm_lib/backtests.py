"""Back-tests of one-day-ahead forecasts: value at risk, expected shortfall, log score and CRPS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import as_series, check_positive_int, check_shares
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib.coverage import conditional_coverage, independence, unconditional_coverage
from mfmgdm_lib.processes.base import Seed, generator
from mfmgdm_lib.processes.conditional import ConditionalLaw

__all__ = [
    "BLOCK",
    "DailyForecasts",
    "backtest",
    "backtest_table",
    "compare_backtests",
    "daily_forecasts",
    "mean_gain",
    "shortfall_test",
]

BLOCK = 20
"""Mean length, in days, of the blocks of the bootstrap: a month of trading days, over which volatility lasts."""

_GRID = 200
"""Levels of the midpoint rule for the CRPS, closer to one another the further out they are."""

_TAIL = 64
"""The same of a tail beyond a value at risk."""

_REPLICATIONS = 1000
_SIMULATIONS = 5000
_CHUNK = 2**22
"""Random numbers that are drawn at once."""


@checked
@dataclass(frozen=True)
class DailyForecasts:
    """What a law said of each of the last days of a series, given the days before, and what came.

    Attributes:
        table: a row for each day, by date where the series has dates: `return`; `probability`, F of it under the law
            (Rosenblatt, 1952); `log score`, the log-density in nats; `CRPS` in the unit of the series; and for each
            share p, here 0.95, `value at risk, 95 %` and `expected shortfall, 95 %`, as losses, which are above 0.
        shares: p.
        tails: for each share (days, 64), losses beyond the value at risk, in cells that `daily_forecasts` explains.
    """

    table: pd.DataFrame
    shares: tuple[float, ...]
    tails: tuple[np.ndarray, ...]

    def violations(self, share: float) -> np.ndarray:
        """Whether the loss of each day was beyond its value at risk, (days,) bool.

        Raises:
            ValueError: not one of the shares.
        """
        if share not in self.shares:
            raise ValueError(f"share is {share!r}; expected one of {self.shares}. Use one, or forecast others.")
        return (-self.table["return"] > self.table[f"value at risk, {100 * share:g} %"]).to_numpy()


@checked
def daily_forecasts(
    law: ConditionalLaw, series: Any, days: int = 1000, shares: Sequence[float] = (0.95, 0.99)
) -> DailyForecasts:
    r"""Return what a law says of each of the last days of a series, given all days before it.

    The value at risk at a share p is the p-quantile of the loss −x_t, and the expected shortfall the mean of the loss
    from there on: the midpoint rule in 64 cells of the tail that end at the levels (1 − p) v⁴, v even from 0 to 1,
    right to 6·10⁻⁵ of its value for a Gaussian and 3·10⁻⁴ for a Student t of 3 degrees of freedom. The CRPS is
    :math:`2 \int_0^1 (1(x < q_u) - u) (q_u - x)\,du` (Gneiting and Raftery, 2007) by the midpoint rule in 200 cells
    that end at v² (3 − 2v), right to 10⁻⁴ standard deviations for a Gaussian.

    Args:
        law: a law of a day given those before it. That none of the last days were among those that it was fitted to is
            the caller's to see to.
        series: one series (T,), the days before included: a pandas Series, an array or a tensor.
        days: how many of the last ones.
        shares: p, between 0 and 1.

    Raises:
        ValueError: more days than the series has after its first, or shares out of range.

    Example:
        >>> from mfmgdm_lib.processes import fit_volatility
        >>> x = torch.randn(1500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> forecasts = daily_forecasts(fit_volatility(x[:-500], "argarch-t"), x, days=500)
        >>> forecasts.table.shape, int(forecasts.violations(0.95).sum())
        ((500, 8), 20)
    """
    values = as_series("series", series).double().cpu()
    if check_positive_int("days", days) >= len(values):
        raise ValueError(
            f"days is {days} with a series of {len(values)} points; expected fewer days than points, for a forecast is"
            " made from those before. Use fewer days or a longer series."
        )
    check_shares(shares)
    (grid, weights), (tail, masses) = _grid_cells(), _tail_cells()
    levels = np.concatenate([grid, *(np.r_[1.0 - share, (1.0 - share) * tail] for share in shares)])
    quantiles = law.quantiles(torch.from_numpy(levels), values)[-days:].numpy()
    x = values[-days:].numpy()
    table = pd.DataFrame(
        {
            "return": x,
            "probability": law.probabilities(values)[-days:].numpy(),
            "log score": law.log_densities(values)[-days:].numpy(),
            "CRPS": _crps(x, grid, weights, quantiles[:, :_GRID]),
        },
        index=series.index[-days:] if isinstance(series, pd.Series) else pd.RangeIndex(len(values) - days, len(values)),
    )
    tails = []
    for share, part in zip(shares, -quantiles[:, _GRID:].reshape(days, len(shares), -1).swapaxes(0, 1), strict=True):
        table[f"value at risk, {100 * share:g} %"] = part[:, 0]
        table[f"expected shortfall, {100 * share:g} %"] = part[:, 1:] @ masses
        tails.append(part[:, 1:])
    return DailyForecasts(table, tuple(shares), tuple(tails))


def _grid_cells() -> tuple[np.ndarray, np.ndarray]:
    """Levels, the middles of cells of the unit interval, and the masses of the cells."""
    even = np.linspace(0.0, 1.0, _GRID + 1)
    return _middles(even**2 * (3.0 - 2.0 * even))


def _tail_cells() -> tuple[np.ndarray, np.ndarray]:
    """The same for a tail of unit mass."""
    return _middles(np.linspace(0.0, 1.0, _TAIL + 1) ** 4)


def _middles(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (edges[1:] + edges[:-1]) / 2.0, np.diff(edges)


def _crps(x: np.ndarray, levels: np.ndarray, masses: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Twice the mean pinball loss of quantiles (days, L), (days,)."""
    ahead = quantiles - x[:, None]
    scores: np.ndarray = 2.0 * (((ahead > 0.0) - levels) * ahead) @ masses
    return scores


@checked
def backtest(
    law: ConditionalLaw, series: Any, days: int = 1000, shares: Sequence[float] = (0.95, 0.99), *, seed: Seed = 0
) -> pd.DataFrame:
    """Back-test one-day-ahead forecasts of a law over the last days of a series.

    Args:
        law: as for `daily_forecasts`; none of the days may be among those that it was fitted to.
        series: one series (T,), the days before included.
        days: how many of the last ones.
        shares: p of value at risk and expected shortfall, between 0 and 1.
        seed: of the simulated p-values; whatever `numpy.random.default_rng` takes.

    Returns:
        The table of `backtest_table`.

    Raises:
        ValueError: more days than the series has after its first, or shares out of range.

    Example:
        >>> from mfmgdm_lib.processes import fit_volatility
        >>> x = torch.randn(1500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> table = backtest(fit_volatility(x[:-500], "argarch-t"), x, days=500)
        >>> table.loc["violations, 95 %", ["value", "expected"]].round(1).tolist()
        [20.0, 25.0]
    """
    return backtest_table(daily_forecasts(law, series, days, shares), seed=seed)


@checked
def backtest_table(forecasts: DailyForecasts, *, seed: Seed = 0) -> pd.DataFrame:
    """Return tests of forecasts of days, and their mean scores.

    Args:
        forecasts: what `daily_forecasts` returned.
        seed: of the simulated p-values; whatever `numpy.random.default_rng` takes.

    Returns:
        The columns `value`, `expected` and `p-value`, NaN where there is none. Rows for each share: violations of the
        value at risk, `unconditional_coverage`, `independence`, `conditional_coverage` and `shortfall_test`; then the
        means of the log score, in nats, of which more is better, and of the CRPS, of which less is.
    """
    rows: dict[str, tuple[float, float, float]] = {}
    rng = generator(seed)
    for share, tail in zip(forecasts.shares, forecasts.tails, strict=True):
        hits, percent = forecasts.violations(share), f"{100 * share:g} %"
        rows[f"violations, {percent}"] = float(hits.sum()), (1.0 - share) * len(hits), math.nan
        tests = {
            "unconditional coverage LR": unconditional_coverage(hits, share),
            "independence LR": independence(hits),
            "conditional coverage LR": conditional_coverage(hits, share),
        }
        for name, (statistic, p_value) in tests.items():
            rows[f"{name}, {percent}"] = statistic, math.nan, p_value
        losses = -forecasts.table["return"].to_numpy()
        statistic, p_value = shortfall_test(losses, hits, tail, share, seed=rng)
        rows[f"expected shortfall Z2, {percent}"] = statistic, 0.0, p_value
    for name in ("log score", "CRPS"):
        rows[f"{name}, mean"] = float(forecasts.table[name].mean()), math.nan, math.nan
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "expected", "p-value"])


def shortfall_test(
    losses: np.ndarray, violations: np.ndarray, tail: np.ndarray, share: float, *, seed: Seed = 0
) -> tuple[float, float]:
    r"""Acerbi and Székely's second test of expected shortfall (2014), Z2 and its p-value by simulation.

    .. math:: Z_2 = 1 - \frac{1}{T (1 - p)} \sum_t \frac{L_t\, 1(L_t > \mathrm{VaR}_t)}{\mathrm{ES}_t}

    The null hypothesis is that each day's loss beyond the value at risk has the law's tail, given the days before; Z2
    has then the mean 0. Where losses beyond are more, or larger, than the law has them it is below 0. The p-value is
    one-sided, the share of 5000 simulations of the null with as low a Z2.

    Args:
        losses: L, (days,).
        violations: whether each is beyond its value at risk, (days,) bool.
        tail: losses of the law in the tail, (days, 64), as in `DailyForecasts`.
        share: p.
        seed: whatever `numpy.random.default_rng` takes.

    Returns:
        Z2 and the p-value; NaN where an expected shortfall is not above 0.
    """
    masses = _tail_cells()[1]
    shortfalls = np.asarray(tail.detach() if isinstance(tail, torch.Tensor) else tail) @ masses
    if not (shortfalls > 0.0).all():
        return math.nan, math.nan
    days, rare = len(losses), 1.0 - share
    statistic = 1.0 - float((losses / shortfalls)[violations].sum()) / (days * rare)
    ratios, rng = tail / shortfalls[:, None], generator(seed)
    as_low = 0
    for start in range(0, _SIMULATIONS, chunk := max(_CHUNK // days, 1)):
        n = min(chunk, _SIMULATIONS - start)
        places = rng.random((n, days)) / rare  # in the tail where below 1
        run, day = np.nonzero(places < 1.0)
        cells = (places[run, day] ** 0.25 * _TAIL).astype(int)
        simulated = 1.0 - np.bincount(run, ratios[day, cells], n) / (days * rare)
        as_low += int((simulated <= statistic).sum())
    return statistic, (1 + as_low) / (1 + _SIMULATIONS)


@checked
def compare_backtests(
    forecasts: DailyForecasts, others: DailyForecasts, *, block: int = BLOCK, seed: Seed = 0
) -> pd.DataFrame:
    """Compare the scores of two laws on the same days.

    Args:
        forecasts: of one law, from `daily_forecasts`.
        others: of another, over the same days of the same series.
        block: as for `mean_gain`.
        seed: as for `mean_gain`.

    Returns:
        The rows `log score`, nats per day, and `CRPS`, in the unit of the series; the columns `mean` of the first law,
        `mean of the other`, `gain`, which is above 0 where the first is better, and its `standard error`.

    Raises:
        ValueError: other days.
    """
    first, second = forecasts.table, others.table
    if not (first.index.equals(second.index) and first["return"].equals(second["return"])):
        raise ValueError(
            f"others has {len(second)} days, not the {len(first)} of forecasts; expected the same days of one series."
            " Use daily_forecasts with the same series and days."
        )
    rows = {}
    for name, sign in (("log score", 1.0), ("CRPS", -1.0)):
        gain = mean_gain(sign * (first[name] - second[name]), block=block, seed=seed)
        rows[name] = first[name].mean(), second[name].mean(), *gain
    columns = ["mean", "mean of the other", "gain", "standard error"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def mean_gain(differences: Any, *, block: int = BLOCK, seed: Seed = 0) -> tuple[float, float]:
    """Return the mean of differences day by day and its standard error, which the dependence of days is part of.

    The error is the spread of the means of 1000 samples of the stationary bootstrap (Politis and Romano, 1994), which
    joins blocks of days of random length.

    Args:
        differences: (days,) in order, such as those of the log scores of two laws.
        block: mean length of a block, in days; dependence over longer times is not seen.
        seed: whatever `numpy.random.default_rng` takes.

    Raises:
        ValueError: differences that are not finite, or a block longer than they are.

    Example:
        >>> mean, error = mean_gain(np.random.default_rng(0).standard_normal(400))
        >>> round(mean, 2), round(error, 2)
        (-0.04, 0.05)
    """
    from arch.bootstrap import StationaryBootstrap  # slow to import

    values = as_series("differences", differences, may_be_constant=True).detach().double().cpu().numpy()
    if check_positive_int("block", block) > len(values):
        raise ValueError(f"block is {block} with {len(values)} days; expected at most as many. Use a shorter one.")
    samples = StationaryBootstrap(block, values, seed=generator(seed)).apply(np.mean, _REPLICATIONS)
    return float(values.mean()), float(samples.std(ddof=1))
