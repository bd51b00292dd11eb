"""Log-densities of held-out days by the models of `arch` and by conditional flows, fitted once or again each year."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mfmgdm_lib import data
from mfmgdm_lib.backtests import mean_gain
from mfmgdm_lib.processes import ConditionalLaw, fit_volatility

__all__ = [
    "BASES",
    "N_FITTED",
    "WINDOW",
    "best_bases",
    "daily_scores",
    "gain_columns",
    "held_out_series",
    "law_names",
    "unseen_days",
    "window_means",
    "with_errors",
]

N_FITTED = 2500
"""Days that laws are fitted to first, ten years; the days after them judge."""

WINDOW = 256
"""Days of a window whose mean gain is one number; laws that are fitted again are so at the beginning of each."""

BASES = tuple(f"ar{variance}-{law}" for variance in ("garch", "gjr", "egarch", "aparch") for law in ("n", "t", "skewt"))
"""The models of `arch` that are compared, all with an AR(1) mean."""


def held_out_series() -> dict[str, Tensor]:
    """Daily series of at least 5000 returns, by name: three of `arch.data`, and five that MFMGDM_DATA_DIR has.

    Log-returns of prices; differences of rates from 2000 on, in percentage points. `S&P 500 to 2024` goes on after the
    end of the first one.
    """
    found = {
        name: data.returns(_of_arch(module, column))
        for name, module, column in (
            ("S&P 500", "sp500", "Adj Close"),
            ("Nasdaq", "nasdaq", "Adj Close"),
            ("WTI", "wti", "DCOILWTICO"),
        )
    }
    found["S&P 500 to 2024"] = data.returns(_gspc())
    for name, source, identifier in (
        ("US 5Y", "fred", "DGS5"),
        ("US 10Y", "fred", "DGS10"),
        ("euro area 5Y", "ecb", "SR_5Y"),
        ("euro area 10Y", "ecb", "SR_10Y"),
    ):
        found[name] = data.returns(data.fetch(source, identifier).loc["2000":], "difference")
    return {name: torch.tensor(series.to_numpy()) for name, series in found.items()}


def unseen_days() -> int:
    """Days of `S&P 500 to 2024` from 2019 on, which no design of a flow had been tried on."""
    return len(_gspc().loc["2019":])


def _gspc() -> pd.Series:
    return data.fetch("yahoo", "^GSPC").loc["1999":]


def _of_arch(module: str, column: str) -> pd.Series:
    return import_module(f"arch.data.{module}").load()[column].dropna().astype(float)


def best_bases(values: Tensor, count: int = 3) -> list[str]:
    """The models of `BASES` under which the fitted days are likeliest: nothing is known of the days after them."""
    fitted = values[:N_FITTED]
    found = {model: float(fit_volatility(fitted, model).log_densities(fitted)[1:].sum()) for model in BASES}
    return sorted(found, key=found.__getitem__, reverse=True)[:count]


def daily_scores(values: Tensor, fit: Callable[[Tensor], ConditionalLaw], *, refitted: bool) -> tuple[Tensor, Tensor]:
    """Log-densities, nats, and probabilities of a value below, of each day after the fitted ones, given those before.

    Args:
        values: a series (T,), of more than `N_FITTED` points.
        fit: the law of a series; given the first `N_FITTED` points, or all before each window.
        refitted: whether it is fitted again at the beginning of each window of `WINDOW` days.

    Returns:
        Two tensors (T − N_FITTED,). Where a law cannot be fitted again, the one before goes on.
    """
    begins = range(N_FITTED, len(values), WINDOW) if refitted else (N_FITTED,)
    scores, probabilities, law = [], [], fit(values[:N_FITTED])
    for begin, end in pairwise((*begins, len(values))):
        if begin > N_FITTED:
            with suppress(ValueError):
                law = fit(values[:begin])
        scores.append(law.log_densities(values[:end])[begin:])
        probabilities.append(law.probabilities(values[:end])[begin:])
    return torch.cat(scores), torch.cat(probabilities)


def window_means(daily: np.ndarray) -> np.ndarray:
    """Means over the whole windows among days in order: (windows,)."""
    windows = daily[: len(daily) // WINDOW * WINDOW].reshape(-1, WINDOW)
    return np.asarray(windows.mean(1))


def gain_columns(name: str, gains: np.ndarray) -> dict[str, float]:
    """The mean of daily gains, nats a day, and two standard errors: of a bootstrap of days, and from whole windows."""
    if not gains.any():
        return {name: 0.0, f"{name} ±": 0.0, f"{name} ± windows": 0.0}
    mean, error = mean_gain(gains)
    windows = window_means(gains)
    return {name: mean, f"{name} ±": error, f"{name} ± windows": windows.std(ddof=1) / math.sqrt(len(windows))}


def law_names(table: pd.DataFrame) -> list[str]:
    """What laws of a table with the columns `model`, `refitted` and `flow` are called in figures and tables."""
    spelled = {"garch": "GARCH", "gjr": "GJR", "egarch": "EGARCH", "aparch": "APARCH"}
    found = []
    for model, refitted, flow in zip(table["model"], table["refitted"], table["flow"], strict=True):
        variance, law = model.removeprefix("ar").split("-")
        name = f"{'flow of ' if flow else ''}{spelled[variance]}–{law}"
        found.append(f"{name}, each year" if refitted else name)
    return found


def with_errors(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of means and their errors, in the columns with " ±" after them, as text: "+0.0126 ± 0.0025"."""
    found = {
        name: [
            f"{mean:+.4f} ± {error:.4f}" if error > 0 else "–"
            for mean, error in zip(table[name], table[f"{name} ±"], strict=True)
        ]
        for name in columns
    }
    return pd.DataFrame(found, index=table.index)
