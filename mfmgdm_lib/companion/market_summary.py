"""What is stored of Figures 6 to 10, by the names that figures and tables use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.companion.comparison import MODEL_NAMES
from mfmgdm_lib.companion.market import SERIES
from mfmgdm_lib.companion.market_cells import MARKET, MarketCell
from mfmgdm_lib.companion.path_summaries import EDGES
from mfmgdm_lib.companion.results import result_store
from mfmgdm_lib.companion.table1 import MODELS
from mfmgdm_lib.runs.store import Result

__all__ = [
    "MarketSummary",
    "flow_differences",
    "market_models",
    "market_spreads",
    "spreads_text",
    "stored_market",
    "stylized_descents",
]

_LAGS = range(1, 21)


@dataclass(frozen=True)
class MarketSummary:
    """A market cell and what is kept of its run.

    Attributes:
        cell: what was run.
        result: what is stored of it.
    """

    cell: MarketCell
    result: Result

    def curve(self, quantity: str) -> pd.Series:
        """A quantity by where it is: a step, a share of the paths, a bin's left edge or a point in time.

        Raises:
            KeyError: a quantity that this cell does not have, such as determinants without a banded energy.
        """
        rows = self.result.table.loc[[quantity]]
        return pd.Series(rows["value"].to_numpy(), rows["at"].astype(float).to_numpy(), name=quantity)

    def has(self, quantity: str) -> bool:
        """Whether a quantity was kept."""
        return quantity in self.result.table.index

    def moments(self, statistic: str) -> tuple[float, float]:
        """Mean and standard deviation over paths of a statistic, from its quantiles by the trapezoidal rule."""
        curve = self.curve(statistic)
        mean = float(np.trapezoid(curve, curve.index))
        return mean, float(np.sqrt(np.trapezoid((curve - mean) ** 2, curve.index)))

    def band(self, kind: str, share: float | np.ndarray) -> np.ndarray:
        """The quantiles at a share, or several, of the autocorrelations "acf" or "squares" at lags 1 to 20: (20, *)."""
        curves = [self.curve(f"{kind} {lag}") for lag in _LAGS]
        return np.array([np.interp(share, curve.index.to_numpy(), curve.to_numpy()) for curve in curves])

    def observed(self, statistic: str) -> float:
        """A statistic of the whole series."""
        return self._of_series("value")[statistic]

    def observed_band(self, kind: str) -> np.ndarray:
        """The autocorrelations "acf" or "squares" of the series at lags 1 to 20: (20,)."""
        values = self._of_series("value")
        return np.array([values[f"{kind} {lag}"] for lag in _LAGS])

    def window_spread(self, statistic: str) -> float:
        """Standard deviation of a statistic over disjoint windows of the series, each as long as a path."""
        return self._of_series("spread")[statistic]

    def density(self, *, of_series: bool = False) -> np.ndarray:
        """The marginal density of the paths, or of the series, on the bins between `path_summaries.EDGES`."""
        return self.curve("series marginal" if of_series else "marginal").reindex(EDGES[:-1]).to_numpy()

    def share_beyond(self, *, of_series: bool = False) -> float:
        """The share of the values that lie outside the bins of `density`, whose last digits leave it some 1e-6."""
        inside = float(np.sum(self.density(of_series=of_series) * np.diff(EDGES)))
        return max(0.0, 1.0 - inside)

    def exact_to(self) -> float:
        """The last step, of those that were looked at, before one folds the space of a path."""
        folded = self.curve("folded")
        return float(folded.index[folded == 0].max())

    def _of_series(self, name: str) -> dict[str, float]:
        rows = self.result.table.loc[[f"series {name}"]]
        return dict(zip(rows["at"], rows["value"], strict=True))


def stored_market() -> dict[str, MarketSummary]:
    """The market cells that are kept in the repository, by their keys; without what is missing."""
    store = result_store("market")
    found = {cell.key: (cell, store.load(cell)) for cell in MARKET}
    return {key: MarketSummary(cell, result) for key, (cell, result) in found.items() if result is not None}


@checked
def market_models(summaries: dict[str, MarketSummary], key: str, method: str = "descent") -> dict[str, MarketSummary]:
    """Both models of one setting, by their names.

    Args:
        summaries: those of `stored_market`.
        key: a cell's key up to the model, such as "sp500-stylized-noise-20000".
        method: "descent" or "flow".
    """
    return {MODEL_NAMES[model]: summaries[f"{key}-{model}-{method}"] for model in MODELS}


@checked
def stylized_descents(summaries: dict[str, MarketSummary]) -> dict[str, dict[str, MarketSummary]]:
    """The descents of `stored_market` in Figures 6 and 7, by the title of the series, and by the name of the model."""
    found: dict[str, dict[str, MarketSummary]] = {}
    for summary in summaries.values():
        cell = summary.cell
        if (cell.energy, cell.start, cell.method, cell.step_size) == ("stylized", "noise", "descent", 50.0):
            found.setdefault(SERIES[cell.series].title, {})[MODEL_NAMES[cell.model]] = summary
    return found


@checked
def market_spreads(summaries: dict[str, MarketSummary], statistics: dict[str, str]) -> pd.DataFrame:
    """Compare how far statistics of paths lie apart with how far those of windows of the series do.

    Args:
        summaries: models of one series by name.
        statistics: names of statistics by their labels.

    Returns:
        A row for each label: `series` (its value over the whole series), `windows` (standard deviation over its
        disjoint windows), and for each model its mean and standard deviation over paths.
    """
    first = next(iter(summaries.values()))
    rows = {}
    for label, statistic in statistics.items():
        row = {"series": first.observed(statistic), "windows ±": first.window_spread(statistic)}
        for name, summary in summaries.items():
            row[name], row[f"{name} ±"] = summary.moments(statistic)
        rows[label] = row
    return pd.DataFrame.from_dict(rows, orient="index")


@checked
def spreads_text(spreads: pd.DataFrame) -> pd.DataFrame:
    """What `market_spreads` returns as text, a mean and its spread in one column, so that it fits a page."""
    models = [name for name in spreads.columns if f"{name} ±" in spreads.columns]
    text = spreads.map("{:.2f}".format).replace("-", "−", regex=True)
    columns = {"series": text["series"], "windows": "± " + text["windows ±"]}
    return pd.DataFrame(columns | {name: text[name] + " ± " + text[f"{name} ±"] for name in models})


@checked
def flow_differences(
    summaries: dict[str, MarketSummary], titles: dict[str, str], statistics: Iterable[str]
) -> pd.DataFrame:
    """Compare what descents and the flows that they approximate end with, where both have been run.

    Args:
        summaries: those of `stored_market`.
        titles: what to call a setting, by its key up to the model, such as "sp500-scatcov-garch-2500".
        statistics: names of statistics of paths.

    Returns:
        A row for each setting and model: for each statistic the mean over the flow's paths less that over those of the
        descent, in standard deviations over the latter.
    """
    rows = {}
    for key, title in titles.items():
        for short, model in MODEL_NAMES.items():
            descent, flow = (summaries.get(f"{key}-{short}-{method}") for method in ("descent", "flow"))
            if descent is not None and flow is not None:
                ends = {statistic: (flow.moments(statistic), descent.moments(statistic)) for statistic in statistics}
                rows[title, model] = {name: (to[0] - mean) / spread for name, (to, (mean, spread)) in ends.items()}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(table.index, names=["series", "model"])
    return table
