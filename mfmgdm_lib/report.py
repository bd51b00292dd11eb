"""The report that sets generated paths beside their series, and the signs that either should not be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
import scipy
import torch
from torch import Tensor

from mfmgdm_lib._checks import as_series, as_windows, spell_date
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.statistics import TAILS, autocorrelation, maximum_drawdown, path_statistics, return_statistics

__all__ = [
    "REPORTED",
    "compared",
    "energy_shares",
    "path_report",
    "report_statistics",
    "report_warnings",
    "series_warnings",
    "shares_warnings",
]

_LONG_ENOUGH = 2048
"""Points of the shortest series of the paper, eight years of days."""

_UNLIKELY = 4.0
"""Standard errors beyond which a difference is significant."""

_STRETCH = 250
"""Points at the end that are compared with the stretches before them: a year of days."""

_FEWEST_STRETCHES = 4
"""Stretches before the last from which their spread can be told: five years of days."""

_FALSE_ALARM = 0.005
"""Share of series without a change whose last stretch is noted, if the stretches are independent."""


def path_report(scaled: Tensor, ensemble: Tensor, n_paths: int, mean: float, stddev: float) -> pd.DataFrame:
    """Return the report of `generate`: statistics of a series beside those of paths, in the units of the series.

    Args:
        scaled: the series, by its mean and standard deviation, (points,).
        ensemble: all paths that moved together, in the same units, (N, time).
        n_paths: of how many of them the mean is reported.
        mean: of the series, in its units.
        stddev: the same.

    Returns:
        A row for each statistic of `REPORTED`, with the columns that `Generation` explains.

    Example:
        >>> noise = torch.randn(65, 128, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> report = path_report(noise[0], noise[1:], 64, mean=0.0, stddev=1.0)
        >>> report.shape, bool(report.loc["kurtosis", "low"] < 3.0 < report.loc["kurtosis", "high"])
        ((26, 5), True)
    """
    length = ensemble.shape[-1]
    windows = as_windows("series", scaled, length) if len(scaled) >= length else None
    of_series, of_paths = (report_statistics(x, mean, stddev) for x in (scaled[None], ensemble))
    of_windows = None if windows is None else report_statistics(windows, mean, stddev)
    return compared(of_series, of_windows, of_paths, n_paths, REPORTED)


def compared(
    of_series: Mapping[str, Tensor],
    of_windows: Mapping[str, Tensor] | None,
    of_paths: Mapping[str, Tensor],
    n_paths: int,
    labels: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Return rows of a report, from statistics by name.

    Args:
        of_series: of the whole series, (1,) each.
        of_windows: of windows of it, (windows,) each; None where there are none.
        of_paths: of all paths that moved together, (N,) each.
        n_paths: of how many of them the mean is reported.
        labels: names of the statistics by the labels of their rows; None for the names themselves.

    Example:
        >>> row = compared({"a": torch.zeros(1)}, None, {"a": torch.tensor([1.0, 2.0, 3.0])}, n_paths=2)
        >>> row.loc["a", ["series", "paths"]].tolist()
        [0.0, 1.5]
    """
    rows = {}
    for label, name in (labels or {name: name for name in of_paths}).items():
        values = of_paths[name].numpy()
        typical = np.nan if of_windows is None else float(of_windows[name].mean())
        rows[label] = [float(of_series[name]), typical, values[:n_paths].mean(), *np.quantile(values, [0.05, 0.95])]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["series", "windows", "paths", "low", "high"])


def report_warnings(report: pd.DataFrame, n_windows: float) -> list[str]:
    """Name the rows whose windows are outside low … high, further than the mean of so few would be by chance.

    Args:
        report: of `path_report`.
        n_windows: how many times as long as a path the series is.

    Returns:
        A sentence, or none.

    Example:
        >>> rows = [[3.1, 3.0, 3.0, 2.5, 3.5], [0.3, 0.4, 0.0, -0.1, 0.1]]
        >>> columns = ["series", "windows", "paths", "low", "high"]
        >>> report_warnings(pd.DataFrame(rows, ["kurtosis", "autocorrelation, lag 1"], columns), n_windows=8.0)
        ['Windows of the series are outside low to high of the paths in autocorrelation, lag 1 (0.4; -0.1 to 0.1).']
    """
    # Of a single window one row in ten is outside. Where the mean of windows has more spread than nine in ten paths
    # cover, the limits move out, until all rows together are inside in 99 of 100 series like the paths.
    unlikely = NormalDist().inv_cdf(1.0 - 0.01 / (2 * len(report)))
    wider = 0.5 * max(unlikely / (NormalDist().inv_cdf(0.95) * max(n_windows, 1.0) ** 0.5) - 1.0, 0.0)
    margin = wider * (report["high"] - report["low"])
    outside = (report["windows"] < report["low"] - margin) | (report["windows"] > report["high"] + margin)
    if not outside.any():
        return []
    rows = [f"{row.Index} ({row.windows:.2g}; {row.low:.2g} to {row.high:.2g})" for row in report[outside].itertuples()]
    return [f"Windows of the series are outside low to high of the paths in {', '.join(rows)}."]


def energy_shares(energy: Energy, ensemble: Tensor) -> pd.DataFrame:
    """Return how much of each energy's distances from the median of an ensemble the one and the three largest are.

    Args:
        energy: Φ.
        ensemble: paths (N, time).

    Returns:
        A row for each energy, with the columns `largest` and `largest three`, shares from 0 to 1.

    Example:
        >>> from mfmgdm_lib.energies import Autocovariance
        >>> paths = torch.ones(9, 4, dtype=torch.float64) * torch.tensor([1.0] * 4 + [0.0] * 4 + [5.0])[:, None]
        >>> energy_shares(Autocovariance(), paths)["largest"].round(2).tolist()
        [0.86, 0.86]
    """
    with torch.no_grad():
        values = energy(ensemble).double()
    away = (values - values.median(0).values).abs().sort(0, descending=True).values
    parts = torch.stack([away[:top].sum(0) for top in (1, 3)], -1) / away.sum(0).unsqueeze(-1)
    return pd.DataFrame(parts.numpy(), index=list(energy.labels), columns=["largest", "largest three"])


def shares_warnings(shares: pd.DataFrame, n_paths: int) -> list[str]:
    """Say in how many energies three paths outweigh the others, as of 128 draws from a law that hardly has a mean.

    Three of 128 values have half of the sum, on average, under a power law with exponent 1.2; at 1 there is no mean.

    Args:
        shares: of `energy_shares`.
        n_paths: paths of the ensemble.

    Returns:
        A sentence, or none.

    Example:
        >>> shares_warnings(pd.DataFrame({"largest": [0.1], "largest three": [0.2]}, ["variance"]), 128)
        []
    """
    carried = shares[shares["largest three"] > 0.5]
    if carried.empty:
        return []
    worst = carried["largest three"].idxmax()
    one, three = 100 * carried.loc[worst]
    return [
        f"Three of the {n_paths} paths that moved together outweigh all others in {len(carried)} of {len(shares)}"
        f" energies, the most in {worst}: they are {three:.0f} % of the distances from the median, one alone"
        f" {one:.0f} %. The mean is at the target, and the typical path is not: use another start."
    ]


def report_statistics(scaled: Tensor, mean: float, stddev: float) -> dict[str, Tensor]:
    """Return the statistics that the report has of standardised paths, in the units of the series.

    Args:
        scaled: paths (N, time), by the mean and the standard deviation of the series.
        mean: of the series, in its units.
        stddev: the same.

    Returns:
        Those of `path_statistics` and `return_statistics` and the "drawdown", by name, (N,) each.

    Example:
        >>> noise = torch.randn(4, 128, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> found = report_statistics(noise, mean=1.0, stddev=0.01)
        >>> found["mean"].round(decimals=1).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    found = path_statistics(scaled) | return_statistics(scaled)
    found["stddev"] = stddev * found["stddev"]
    found["drawdown"] = stddev * maximum_drawdown(mean / stddev + scaled)
    shifted = {name: mean + stddev * found[name] for name in found if name == "mean" or name.startswith("tail 0")}
    return found | shifted


REPORTED = {
    "mean": "mean",
    "standard deviation": "stddev",
    "skewness": "skewness",
    "kurtosis": "kurtosis",
    "tail index": "tail index",
    **{f"{100 * share:g} % quantile": f"tail {share}" for share in TAILS},
    "autocorrelation, lag 1": "acf 1",
    **{f"autocorrelation of squares, lag {lag}": f"squares {lag}" for lag in (1, 5, 10, 20)},
    **{f"autocorrelation of sizes, lag {lag}": f"sizes {lag}" for lag in (50, 100)},
    "leverage, lag 1": "leverage 1",
    "leverage, lags 1 to 20": "leverage",
    "time asymmetry": "time asymmetry",
    **{f"standard deviation of sums of {points}": f"sum {points} stddev" for points in (5, 20)},
    **{f"kurtosis of sums of {points}": f"sum {points} kurtosis" for points in (5, 20)},
    "maximum drawdown": "drawdown",
}
"""The names of the statistics of `report_statistics`, by the labels of their rows in the report."""


def series_warnings(series: Any, length: int = 0) -> list[str]:
    """Return signs that a series is not stationary, or too short to estimate its statistics, in sentences.

    Args:
        series: finite numbers (points,) that are not all the same, in any unit; where it is a pandas Series by date,
            the sentences name dates.
        length: points of the paths wanted.

    Raises:
        ValueError: not such a series.

    Example:
        >>> noise = np.random.default_rng(0).standard_normal(3000) * np.repeat([1.0, 3.0], 1500)
        >>> series_warnings(pd.Series(noise, pd.bdate_range("2010-01-01", periods=3000)))[0]
        'The half of the series from 2015-10-02 on varies 3.0 times as much as the other.'
    """
    observed = as_series("series", series).double().cpu()
    scaled = (observed - observed.mean()) / observed.std(correction=0)
    dates = series.index if isinstance(series, pd.Series) and isinstance(series.index, pd.DatetimeIndex) else None
    found = []
    n = len(scaled)
    if n < _LONG_ENOUGH:
        found.append(f"The series has {n} points: its statistics are rough, and the paths take them as true.")
    if length > n:
        found.append(f"The paths are longer ({length}) than the series ({n}).")
    memory = float(autocorrelation(scaled, 1))
    if memory > 0.9:
        wander = ""
        if dates is not None:
            low, high = (
                f"({observed[at]:.4g}) on {spell_date(dates[int(at)])}" for at in (observed.argmin(), observed.argmax())
            )
            wander = f", with the lowest value {low} and the highest {high}"
        found.append(
            f"The autocorrelation at lag 1 is {memory:.2f}{wander}: these look like levels. Use returns or differences."
        )
    found += [*_halves_differ(scaled, memory, dates), *_end_differs(scaled, dates)]
    repeats = scaled[1:] == scaled[:-1]
    still = float(repeats.double().mean())
    if still > 0.2:
        longest, after = _longest_run(repeats.numpy())
        run = "" if dates is None else f", {longest} of them in a row after {spell_date(dates[after])}"
        found.append(f"{100 * still:.0f} % of the values repeat the one before{run}: coarse quotes, or filled gaps.")
    if (season := _cycle_length(scaled)) is not None:
        days = (
            "" if dates is None else f" ({season * (dates[-1] - dates[0]) / (n - 1) / pd.Timedelta(days=1):.3g} days)"
        )
        found.append(f"There is a cycle of {season} points{days}, which no energy here can reproduce.")
    return found


def _halves_differ(scaled: Tensor, memory: float, dates: pd.DatetimeIndex | None) -> list[str]:
    """Notes on halves of a series with different means or standard deviations."""
    middle = len(scaled) // 2
    halves, found = (scaled[:middle], scaled[middle:]), []
    # Neighbours that are alike count for less: the error of a mean grows with the autocorrelation.
    independent = len(scaled) * (1.0 - memory) / (1.0 + memory)
    drift = abs(float(halves[0].mean() - halves[1].mean())) * max(independent / 4.0, 0.0) ** 0.5
    if memory <= 0.9 and drift > _UNLIKELY:
        where = "" if dates is None else f", before {spell_date(dates[middle])} and from then on,"
        found.append(f"The means of the two halves{where} are {drift:.1f} standard errors apart: there may be a trend.")
    early, late = (float(half.std(correction=0)) for half in halves)
    if max(early, late) > 2.0 * min(early, late):
        half = "One half of the series"
        if dates is not None:
            half = f"The half of the series {'from' if late > early else 'before'} {spell_date(dates[middle])}"
            half += " on" if late > early else ""
        found.append(f"{half} varies {max(early, late) / min(early, late):.1f} times as much as the other.")
    return found


def _end_differs(scaled: Tensor, dates: pd.DatetimeIndex | None) -> list[str]:
    """A note if the last stretch varies more or less than those of the same length before it would make one expect.

    The logarithms of the standard deviations of the k stretches before it have the mean m and the standard deviation s;
    if they and that of the last are Gaussian and independent, its distance from m over s √(1 + 1/k) has Student's t law
    with k − 1 degrees of freedom.
    """
    k = len(scaled) // _STRETCH - 1
    if k < _FEWEST_STRETCHES:
        return []
    stretches = scaled[len(scaled) - (k + 1) * _STRETCH :].reshape(-1, _STRETCH).std(-1, correction=0)
    if not bool((stretches > 0).all()):  # a year without a change is noted for its values that repeat
        return []
    logs = stretches.log()
    distance = float((logs[-1] - logs[:-1].mean()) / (logs[:-1].std() * (1.0 + 1.0 / k) ** 0.5))
    if abs(distance) <= float(scipy.special.stdtrit(k - 1, 1.0 - 0.5 * _FALSE_ALARM)):
        return []
    since = "" if dates is None else f", from {spell_date(dates[-_STRETCH])} on,"
    return [
        f"The last {_STRETCH} points{since} vary {float(stretches[-1]):.2g} times as much as the whole series, which"
        " the paths are like. If they are to be like its end, pass a later part of it."
    ]


def _longest_run(flags: np.ndarray) -> tuple[int, int]:
    """The length of the longest run of flags that are set, and where it begins."""
    edges = np.flatnonzero(np.diff(np.r_[0, flags.astype(np.int8), 0]))
    lengths = edges[1::2] - edges[::2]
    at = int(lengths.argmax())
    return int(lengths[at]), int(edges[2 * at])


def _cycle_length(scaled: Tensor) -> int | None:
    """Period of a cycle: a peak of the periodogram whose probability under noise is below one in a million; or None."""
    power = torch.fft.rfft(scaled).abs().square()[1:]
    width = 50
    if len(power) <= width:
        return None
    padded = torch.nn.functional.pad(power[None, None], (width, width), mode="reflect")[0, 0]
    around = padded.unfold(0, 2 * width + 1, 1).median(-1).values / np.log(2.0)  # the mean of an exponential variable
    excess = power / around
    peak = int(excess.argmax())
    period = len(scaled) / (peak + 1)
    likely = float(excess[peak]) > np.log(1e6 * len(power)) and 2 <= period <= len(scaled) / 4
    return round(period) if likely else None
