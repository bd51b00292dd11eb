"""Value at risk, expected shortfall and drawdowns of paths of returns by horizon, with standard errors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_finite, check_member, check_paths, check_positive_int, check_shares
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib.errors import Message

__all__ = ["HORIZONS", "risk_ahead", "risk_table"]

HORIZONS = (1, 5, 20)
"""Points ahead: a day, a week and a month of trading days."""

_FEWEST = 10
"""Losses beyond a quantile that it takes to tell where it is, and how far they are beyond."""


@checked
def risk_table(
    paths: Tensor, horizons: Sequence[int] = HORIZONS, *, shares: Sequence[float] = (0.95, 0.99), kind: str = "log"
) -> pd.DataFrame:
    r"""Return what can be lost within so many points of time, from paths of returns.

    Each path is cut into stretches of h points, one after the other, and the stretches of all paths are the draws. With
    S the sum of log-returns over a stretch the loss is :math:`1 - e^S`, a share of the price at its beginning; with
    differences it is −S. The value at risk at a share p is the p-quantile of the loss, the expected shortfall the mean
    of the losses from there on (McNeil, Frey and Embrechts, 2015), and the drawdown of a stretch its largest fall from
    a level to a later one, its beginning included, in the same units.

    Stretches of one path are not independent, paths are. So a standard error is that of a mean over paths: of a
    quantile from the error of the share of losses below it (Woodruff, 1952), of a shortfall from that of what losses
    exceed the quantile by, of a mean from the means of the paths.

    Args:
        paths: (N, time), at least two independent paths of returns.
        horizons: h, points ahead, at most as many as a path has.
        shares: p, between 0 and 1.
        kind: "log" for log-returns, "difference" for differences, as for `mm.data.returns`.

    Returns:
        A row for each horizon and statistic, with the columns `value` and `standard error`; NaN where fewer than 10
        losses are beyond the quantile.

    Raises:
        TypeError, ValueError: fewer than two paths, or arguments out of range.

    Example:
        >>> noise = 0.01 * torch.randn(200, 500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> table = risk_table(noise)
        >>> table.loc[(1, "value at risk, 95 %")].round(4).tolist()
        [0.0164, 0.0001]
    """
    _check_arguments(paths, shares, kind)
    rows = {}
    for horizon in horizons:
        if check_positive_int("horizons", horizon) > paths.shape[-1]:
            said = f"horizons has {horizon} for paths of {paths.shape[-1]} points; expected at most as many."
            raise ValueError(Message(said, "Use longer paths.", option="Use a larger --length."))
        losses, drawdowns = _losses(paths.double(), horizon, kind)
        for share in shares:
            at_risk, shortfall = _tail(losses, share)
            rows[horizon, f"value at risk, {100 * share:g} %"] = at_risk
            rows[horizon, f"expected shortfall, {100 * share:g} %"] = shortfall
        rows[horizon, "drawdown, mean"] = drawdowns.mean(), _error(drawdowns)
        rows[horizon, "drawdown, 95 %"] = _tail(drawdowns, 0.95)[0]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "standard error"])
    table.index = pd.MultiIndex.from_tuples(table.index, names=["horizon", "statistic"])
    return table


@checked
def risk_ahead(paths: Tensor, *, shares: Sequence[float] = (0.95, 0.99), kind: str = "log") -> pd.DataFrame:
    r"""Return what can be lost from the beginning of paths of returns to each of their points, and how far they spread.

    The first h points of each path are one draw, and the paths are independent, such as forecasts from one day. Losses
    and their errors are those of `risk_table`. The volatility is the standard deviation of the sum of the first h
    returns, not by year, and its error that of a variance over independent paths, from the fourth moment.

    Args:
        paths: (N, horizon), at least two independent paths of returns.
        shares: p, between 0 and 1.
        kind: "log" for log-returns, "difference" for differences, as for `mm.data.returns`.

    Returns:
        A row for each horizon h from 1 on. The columns are `volatility`, in the unit of the returns, and for each share
        p `value at risk, 95 %` and `expected shortfall, 95 %`, each followed by its standard error, `volatility ±` and
        so on; NaN where fewer than 10 losses are beyond the quantile.

    Raises:
        TypeError, ValueError: fewer than two paths, or arguments out of range.

    Example:
        >>> noise = 0.01 * torch.randn(5000, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> risk_ahead(noise)["volatility"].round(3).tolist()
        [0.01, 0.014, 0.018, 0.02]
    """
    _check_arguments(paths, shares, kind)
    rows = []
    for horizon in range(1, paths.shape[-1] + 1):
        first = paths[:, :horizon].detach().double()
        row: dict[str, float] = {}
        row["volatility"], row["volatility ±"] = _spread(first.sum(-1, keepdim=True).numpy())
        losses = _losses(first, horizon, kind)[0]
        for share in shares:
            for name, found in zip(("value at risk", "expected shortfall"), _tail(losses, share), strict=True):
                label = f"{name}, {100 * share:g} %"
                row[label], row[f"{label} ±"] = found
        rows.append(row)
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="horizon"))


def _check_arguments(paths: Tensor, shares: Sequence[float], kind: str) -> None:
    check_finite("paths", check_paths("paths", paths))
    if paths.ndim != 2 or len(paths) < 2:
        raise ValueError(
            f"paths has shape {tuple(paths.shape)}; expected (N, time) with at least 2 paths, whose spread gives the"
            " errors. Generate more of them."
        )
    check_member("kind", kind, ("log", "difference"))
    check_shares(shares)


def _spread(values: np.ndarray) -> tuple[float, float]:
    """The standard deviation of values (N, 1), and its standard error."""
    squares = (values - values.mean()) ** 2
    spread = math.sqrt(squares.sum() / (len(values) - 1))
    return spread, _error(squares) / (2.0 * spread) if spread else 0.0


def _losses(paths: Tensor, horizon: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Losses and drawdowns of the stretches of each path, (N, stretches) each."""
    stretches = paths[:, : paths.shape[-1] // horizon * horizon].unflatten(-1, (-1, horizon))
    sums = torch.nn.functional.pad(stretches.cumsum(-1), (1, 0))
    falls = (sums.cummax(-1).values - sums).amax(-1)
    if kind == "log":
        return -torch.expm1(sums[..., -1]).numpy(), -torch.expm1(-falls).numpy()
    return -sums[..., -1].numpy(), falls.numpy()


def _tail(losses: np.ndarray, share: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """The quantile of losses (N, stretches) at a share, and the mean from there on, each with its standard error."""
    if (1.0 - share) * losses.size < _FEWEST:
        return (math.nan, math.nan), (math.nan, math.nan)
    quantile = np.quantile(losses, share)
    error = _error(losses <= quantile)
    below, above = np.quantile(losses, np.clip([share - error, share + error], 0.0, 1.0))
    excess = np.maximum(losses - quantile, 0.0) / (1.0 - share)
    return (quantile, (above - below) / 2.0), (quantile + excess.mean(), _error(excess))


def _error(values: np.ndarray) -> float:
    """Standard error of the mean of values (N, stretches) of independent rows."""
    return float(values.mean(-1).std(ddof=1)) / math.sqrt(len(values))
