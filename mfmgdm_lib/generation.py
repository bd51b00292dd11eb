"""Paths like one observed series in one call, with a report that compares them with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.distributions import constraints

from mfmgdm_lib._checks import as_series, as_windows, check_member, check_positive, check_positive_int
from mfmgdm_lib.descents.gradient_flow import FlowState, GradientFlow
from mfmgdm_lib.energies import Energy, StylizedFacts
from mfmgdm_lib.errors import DivergedError, Message
from mfmgdm_lib.processes import ARGARCH, Exponential, Process, StudentNoise, WhiteNoise
from mfmgdm_lib.processes.base import Seed
from mfmgdm_lib.processes.fits import FEWEST_DEGREES, STARTS, starting_law, starting_paths
from mfmgdm_lib.processes.maximum_entropy import maximum_entropy
from mfmgdm_lib.statistics import TAILS, autocorrelation, maximum_drawdown, path_statistics, return_statistics
from mfmgdm_lib.support import HALF_LINE, REAL_LINE, Support, as_support, check_inside
from mfmgdm_lib.target import Target, target_from_data

__all__ = ["Generation", "generate", "series_warnings"]

_ENSEMBLE = 128
"""Paths that move together at least: a small ensemble loses entropy as single paths do (Figure 4)."""

_GRAM_PATHS = 16
"""Paths for the Gram matrix of an energy without banded Hessians, whose Jacobians take most of the time."""

_FAR = 0.2
"""Error of a step relative to the way that is left to the target, where that is more than the flow's tolerance."""

_MOST_STEPS = 500
"""Steps of the flow at most; 20 to 60 do for most series."""

_LONG_ENOUGH = 2048
"""Points of the shortest series of the paper, eight years of days."""


@dataclass(frozen=True)
class Generation:
    """Paths like a series, and how they compare with it.

    Attributes:
        paths: (n_paths, length), float64, in the units of the series.
        series: the series, (points,), float64.
        report: a row for each statistic: `series`, its value over the whole series; `windows`, the mean over windows of
            the series as long as a path, for long stretches have more extremes (NaN for a series that is shorter);
            `paths`, the mean over the paths; `low` and `high`, between which nine in ten are of all the paths that
            moved together, 128 or more.
        shares: a row for each energy: `largest` and `largest three`, the shares that the one and the three paths have
            which are furthest from the ensemble's median, in the sum of the distances from it.
        notes: reasons to doubt the result, in sentences; empty where none was found.
        loss: L of the mean energy at the end, relative to the target.
        steps: steps that the flow took.
        start: the law that the paths started from, in the units of the standardised series.
    """

    paths: Tensor
    series: Tensor
    report: pd.DataFrame
    shares: pd.DataFrame
    notes: tuple[str, ...]
    loss: float
    steps: int
    start: Process


def generate(
    series: Any,
    n_paths: int = 100,
    length: int = 1024,
    seed: Seed = 0,
    *,
    energy: Energy | None = None,
    start: str | None = None,
    duration: float = 1e6,
    support: constraints.Constraint = REAL_LINE,
) -> Generation:
    """Generate paths like one observed series: MF–MGDM, Section 5.2, in one call.

    The series is standardised, its energy taken as the target, and an ensemble of at least 128 paths moved to where its
    mean energy is the target, along the flow that the paper's descent approximates.

    On the half-line, for volumes, volatilities or rates that are never negative, the series is divided by its root mean
    square and not shifted, paths start from independent values of the largest entropy with its mean and spread
    (Section 5.1), and the flow keeps them at or above 0 (App. B; see `GradientFlow`). It is certain that no value is
    below 0. It is not that the mean energy gets to the target, for values may come to rest at 0, nor that the mean is
    that of the series: among the stylised facts, which are not centred, it is not. The report and the notes say what
    came of it.

    Args:
        series: one stationary series (points,), such as daily returns: a pandas Series, an array or a tensor. At least
            250 points, 336 with the default energy; the paper takes 2048 and 4096.
        n_paths: paths wanted.
        length: points of each.
        seed: whatever `numpy.random.default_rng` takes.
        energy: Φ; without it the stylised facts of Section 5.2, on the real line with leverage at 20 lags, which is no
            part of the paper.
        start: law of the starting paths, as `starting_law` explains; None for "argjr-skewt", an AR(1)–GARCH(1, 1)
            fitted to the series, which has clusters already and tells falls from rises; where it cannot be fitted,
            for "argarch-t" or "argarch", with a note. The paper starts from "noise", the only one on the half-line.
        duration: step size times number of steps that the flow stands for; the paper's for the S&P 500 is 50 · 20 000.
        support: where values of the series and the paths lie: the real line, or `constraints.nonnegative` for [0, ∞).

    Returns:
        Paths in the units of the series, a report and notes; see `Generation`.

    Raises:
        ValueError: a series that is too short, constant, not finite or not in the support, another support, a start
            that is not for it, or settings out of range.

    Example:
        >>> import mfmgdm_lib as mm
        >>> returns = mm.data.returns(mm.data.sp500())
        >>> made = generate(returns, n_paths=20, length=512, seed=0)
        >>> made.paths.shape, bool(made.loss < 1e-6)
        (torch.Size([20, 512]), True)
    """
    support, starts = _check_support(support, start)
    n_paths, length = check_positive_int("n_paths", n_paths), check_positive_int("length", length, minimum=64)
    check_positive("duration", duration)
    observed = as_series("series", series, minimum_length=250).double().cpu()
    mean, stddev = float(observed.mean()), float(observed.std(correction=0))
    if not support.whole_line:
        mend = "Leave support out, or pass levels in place of their returns."
        option = "Leave --support out, or use --returns none."
        check_inside("series", observed, support, "the paths", mend, option=option)
        mean, stddev = 0.0, float(observed.square().mean().sqrt())
    if not 0.0 < stddev < np.inf:
        raise ValueError(
            f"series has a standard deviation of {stddev} in double precision; expected values whose squares are finite"
            " and above 0. Standardise it first."
        )
    scaled = (observed - mean) / stddev
    energy = StylizedFacts(leverage=20 if support.whole_line else None) if energy is None else energy
    target = target_from_data(energy, scaled)
    law, notes = _starting_law(scaled, starts) if support.whole_line else _half_line_law(scaled)
    x0 = starting_paths(law, max(n_paths, _ENSEMBLE), length, seed)
    gram_paths = _GRAM_PATHS if energy.bandwidth is None else None
    flow = GradientFlow(energy, target, relative_tolerance=_FAR, support=support, gram_paths=gram_paths)
    last = _flown(flow, x0, duration, law)
    paths = last.paths[:n_paths]
    report, shares = _compare(scaled, last.paths, n_paths, mean, stddev), _shares(energy, last.paths)
    return Generation(
        paths=mean + stddev * paths,
        series=observed,
        report=report,
        shares=shares,
        notes=(
            *series_warnings(scaled, length),
            *notes,
            *_zero_warning(scaled, paths),
            *_target_warning(last.mismatch[0], target),
            *_report_warning(report, len(scaled) / length),
            *_shares_warning(shares, len(last.paths)),
        ),
        loss=float(last.loss.mean()),
        steps=last.step,
        start=law,
    )


def _flown(flow: GradientFlow, x0: Tensor, duration: float, law: Process) -> FlowState:
    """The state at the end, or an error with what can be changed here."""
    step = 0
    try:
        for state in flow.steps(x0, duration, max_steps=_MOST_STEPS):
            step = state.step
    except DivergedError as error:
        raise DivergedError(
            Message(
                f"the flow from {law!r} came no further after step {step}: the paths began with a value of"
                f" {float(x0.abs().max()):.0f} standard deviations; expected such as can be brought to the series.",
                'Start from others: start="argarch", start="noise" or another seed.',
                option="Start from others: --start argarch, --start noise or another --seed.",
            ),
            step=step,
        ) from error
    return state


def _starting_law(scaled: Tensor, starts: Sequence[str]) -> tuple[Process, list[str]]:
    """The first law that can be fitted, or else white noise, and why it is not the first of all."""
    failed = ""
    for start in starts:
        try:
            law = starting_law(scaled, start)
        except ValueError as error:
            failed = failed or str(error)
            continue
        notes = [f"The paths started from {start!r}, as {starts[0]!r} could not be fitted: {failed}"] if failed else []
        return law, notes + _limit_warnings(law, len(scaled))
    return WhiteNoise(), [f"The paths started from white noise, as {starts[0]!r} could not be fitted: {failed}"]


def _limit_warnings(law: Process, points: int) -> list[str]:
    """Fitted parameters at the end of what they can be, where the series says nothing of how far beyond they are."""
    found = []
    if isinstance(law, ARGARCH):
        memory = 1.0 / (1.0 - law.persistence)
        if memory > points:
            found.append(
                f"The fitted GARCH takes {memory:.0f} points to forget a wild stretch (alpha = {law.alpha:.4f}, beta ="
                f" {law.beta:.4f}), and the series has {points}: its variance is as good as infinite."
            )
        if law.persistence - law.beta < _VANISHING:
            found.append("The fitted GARCH has alpha = 0, its limit: the paths started without clusters.")
    # At the other limit of many degrees the law is Gaussian, which speaks against nothing.
    tails = law.degrees_of_freedom if isinstance(law, (ARGARCH, StudentNoise)) else None
    if tails is not None and tails < 1.001 * FEWEST_DEGREES:
        found.append(
            f"The fitted Student t has {tails:.3g} degrees of freedom, at the limit of 2, below which the variance is"
            " infinite."
        )
    return found


_VANISHING = 1e-6
"""α below which a fit has stopped at 0: the tolerance of the optimiser."""


def _half_line_law(scaled: Tensor) -> tuple[Process, list[str]]:
    """The maximum-entropy law on the half-line with the series' mean and spread, or a note where there is none."""
    mean, stddev = float(scaled.mean()), float(scaled.std(correction=0))
    if stddev <= mean:
        return maximum_entropy(mean, stddev, HALF_LINE, name="the series"), []
    return Exponential(mean), [
        f"The paths started from exponential values with a spread of {mean:.2f} in place of {stddev:.2f}: no law on the"
        " half-line has the largest entropy where the spread is above the mean."
    ]


def _zero_warning(scaled: Tensor, paths: Tensor) -> list[str]:
    """Whether paths are at 0, the end of the half-line, where the series is not."""
    share, expected = (float((values == 0.0).double().mean()) for values in (paths, scaled))
    if share <= expected + 0.001:
        return []
    return [f"{100 * share:.1f} % of the values of the paths are 0, where the flow would take them below."]


def _check_support(support: constraints.Constraint, start: str | None) -> tuple[Support, tuple[str, ...]]:
    """The support and the laws to start from, the first that can be fitted, if they go together."""
    chosen = as_support(support)
    if chosen not in (REAL_LINE, HALF_LINE):
        raise ValueError(
            f"support is {support!r}; expected the real line or the half-line from 0 on, whose units can be changed."
            " Use GradientFlow for another."
        )
    if start is None:
        return chosen, _DEFAULT_STARTS if chosen.whole_line else STARTS[:1]
    if check_member("start", start, STARTS) != STARTS[0] and not chosen.whole_line:
        raise ValueError(
            f"start is {start!r} on the half-line; expected {STARTS[0]!r}, since laws fitted to a series have values"
            f" below 0. Leave it out, or use {STARTS[0]!r}."
        )
    return chosen, (start,)


_DEFAULT_STARTS = ("argjr-skewt", "argarch-t", "argarch")
"""Laws to start from where none is named: `results/report_rows.csv` has what they leave out of eleven series."""


def _compare(scaled: Tensor, ensemble: Tensor, n_paths: int, mean: float, stddev: float) -> pd.DataFrame:
    """The report: statistics of the standardised series beside those of paths, in the units of the series."""
    length = ensemble.shape[-1]
    windows = as_windows("series", scaled, length) if len(scaled) >= length else None
    of_series, of_paths = (_statistics(x, mean, stddev) for x in (scaled[None], ensemble))
    of_windows = None if windows is None else _statistics(windows, mean, stddev)
    rows = {}
    for label, name in _REPORTED.items():
        values = of_paths[name].numpy()
        typical = np.nan if of_windows is None else float(of_windows[name].mean())
        rows[label] = [float(of_series[name]), typical, values[:n_paths].mean(), *np.quantile(values, [0.05, 0.95])]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["series", "windows", "paths", "low", "high"])


def _report_warning(report: pd.DataFrame, n_windows: float) -> list[str]:
    """Rows whose windows are outside low … high, further than the mean of so few windows would be by chance."""
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


def _shares(energy: Energy, ensemble: Tensor) -> pd.DataFrame:
    """How much of each energy's distances from the median of the ensemble the one and the three largest are."""
    with torch.no_grad():
        values = energy(ensemble).double()
    away = (values - values.median(0).values).abs().sort(0, descending=True).values
    parts = torch.stack([away[:top].sum(0) for top in (1, 3)], -1) / away.sum(0).unsqueeze(-1)
    return pd.DataFrame(parts.numpy(), index=list(energy.labels), columns=["largest", "largest three"])


def _shares_warning(shares: pd.DataFrame, n_paths: int) -> list[str]:
    """Energies in which three paths outweigh the others, as of 128 draws from a law that hardly has a mean.

    Three of 128 values have half of the sum, on average, under a power law with exponent 1.2; at 1 there is no mean.
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


def _statistics(scaled: Tensor, mean: float, stddev: float) -> dict[str, Tensor]:
    """All statistics of standardised paths, (N,) each, in the units of the series."""
    found = path_statistics(scaled) | return_statistics(scaled)
    found["stddev"] = stddev * found["stddev"]
    found["drawdown"] = stddev * maximum_drawdown(mean / stddev + scaled)
    shifted = {name: mean + stddev * found[name] for name in found if name == "mean" or name.startswith("tail 0")}
    return found | shifted


_REPORTED = {
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
"""Rows of the report, by their labels."""


def series_warnings(series: Any, length: int = 0) -> list[str]:
    """Return signs that a series is not stationary, or too short to estimate its statistics, in sentences.

    Args:
        series: finite numbers (points,) that are not all the same, in any unit.
        length: points of the paths wanted.

    Raises:
        ValueError: not such a series.
    """
    observed = as_series("series", series).double().cpu()
    scaled = (observed - observed.mean()) / observed.std(correction=0)
    found = []
    n = len(scaled)
    if n < _LONG_ENOUGH:
        found.append(f"The series has {n} points: its statistics are rough, and the paths take them as true.")
    if length > n:
        found.append(f"The paths are longer ({length}) than the series ({n}).")
    memory = float(autocorrelation(scaled, 1))
    if memory > 0.9:
        found.append(
            f"The autocorrelation at lag 1 is {memory:.2f}: these look like levels. Use returns or differences."
        )
    halves = [float(half.std(correction=0)) for half in (scaled[: n // 2], scaled[n // 2 :])]
    # Neighbours that are alike count for less: the error of a mean grows with the autocorrelation.
    independent = n * (1.0 - memory) / (1.0 + memory)
    drift = abs(float(scaled[: n // 2].mean() - scaled[n // 2 :].mean())) * max(independent / 4.0, 0.0) ** 0.5
    if memory <= 0.9 and drift > _UNLIKELY:
        found.append(f"The means of the two halves are {drift:.1f} standard errors apart: there may be a trend.")
    if max(halves) > 2.0 * min(halves):
        found.append(f"One half of the series varies {max(halves) / min(halves):.1f} times as much as the other.")
    still = float((scaled[1:] == scaled[:-1]).double().mean())
    if still > 0.2:
        found.append(f"{100 * still:.0f} % of the values repeat the one before: coarse quotes, or filled gaps.")
    if (season := _cycle_length(scaled)) is not None:
        found.append(f"There is a cycle of {season} points, which no energy here can reproduce.")
    return found


def _target_warning(mismatch: Tensor, target: Target) -> list[str]:
    """A warning if the mean energy is more than a standard error of the target away from it."""
    away = (mismatch.double().abs() / target.standard_error).nan_to_num(0.0)
    if float(away.max()) <= 1.0:
        return []
    return [
        f"The flow ended {float(away.max()):.1f} standard errors of the series from the target, in"
        f" {target.labels[int(away.argmax())]}: use a longer duration, or another start."
    ]


_UNLIKELY = 4.0
"""Standard errors beyond which a difference is significant."""


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
