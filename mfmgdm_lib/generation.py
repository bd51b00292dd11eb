"""Paths like one observed series, or several at once, in one call, with a report that compares them with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import constraints

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_member, check_positive, check_positive_int
from mfmgdm_lib._columns import as_columns
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib._threads import one_thread
from mfmgdm_lib.descents.gradient_flow import FlowState, GradientFlow
from mfmgdm_lib.energies import Concatenate, CrossCorrelations, EachChannel, Energy, StylizedFacts
from mfmgdm_lib.errors import DivergedError, Message
from mfmgdm_lib.flows import FrozenFlow, frozen_gradient_flow
from mfmgdm_lib.joint_report import columns_warnings, joint_report
from mfmgdm_lib.processes import Process
from mfmgdm_lib.processes.base import Seed
from mfmgdm_lib.processes.starts import DEFAULT_STARTS, STARTS, fitted_start, half_line_start, settled, starting_paths
from mfmgdm_lib.report import energy_shares, path_report, report_warnings, series_warnings, shares_warnings
from mfmgdm_lib.stopping import balanced_state
from mfmgdm_lib.support import HALF_LINE, REAL_LINE, Support, as_support, check_inside
from mfmgdm_lib.target import Target, target_from_data

__all__ = ["Generation", "compare_flow", "generate"]

_ENSEMBLE = 128
"""Paths that move together at least: a small ensemble loses entropy as single paths do (Figure 4)."""

_GRAM_PATHS = 16
"""Paths for the Gram matrix of an energy without banded Hessians, for which all would take most of the time."""

_GRAM_NUMBERS = 2**25
"""Entries of the Jacobians of several columns up to which the whole Gram matrix is quick to write down."""

_FAR = 0.2
"""Error of a step relative to the way that is left to the target, where that is more than the flow's tolerance."""

STOPS = ("duration", "balanced")
"""Where the flow may stop: at the end of its duration, or where its steps cost more than they gain."""

_MOST_STEPS = 500
"""Steps of the flow at most; 20 to 60 do for most series."""


@dataclass(frozen=True)
class Generation:
    """Paths like a series, and how they compare with it.

    Attributes:
        paths: (n_paths, length), float64, in the units of the series; (n_paths, C, length) of C series at once.
        series: the series, (points,) or (C, points), float64.
        report: a row for each statistic: `series`, its value over the whole series; `windows`, the mean over windows of
            the series as long as a path, for long stretches have more extremes (NaN for a series that is shorter);
            `paths`, the mean over the paths; `low` and `high`, between which nine in ten are of all the paths that
            moved together, 128 or more. Of several series it has these rows for each, and `pair_statistics` of each
            pair.
        shares: a row for each energy: `largest` and `largest three`, the shares that the one and the three paths have
            which are furthest from the ensemble's median, in the sum of the distances from it.
        notes: reasons to doubt the result, in sentences; empty where none was found.
        loss: L of the mean energy at the end, relative to the target.
        steps: steps that the flow took.
        start: the law that the paths started from, in the units of the standardised series.
        columns: names of several series; empty for a single one.
        seed: what the paths were drawn with.
        observed: the series as it was given, if it is of pandas, with its dates and `attrs`; else None.
        flow: the flow that the paths moved along, frozen, in the units of the series: independent paths like them, as
            many as are wanted. None for several series, and on the half-line, where entries rest at 0 and leave it.
    """

    paths: Tensor
    series: Tensor
    report: pd.DataFrame
    shares: pd.DataFrame
    notes: tuple[str, ...]
    loss: float
    steps: int
    start: Process
    columns: tuple[str, ...] = ()
    seed: Seed = None
    observed: pd.Series | pd.DataFrame | None = None
    flow: FrozenFlow | None = None


@checked
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
    stop: str = "duration",
) -> Generation:
    """Generate paths like one observed series: MF–MGDM, Section 5.2, in one call.

    The series is standardised, its energy taken as the target, and an ensemble of at least 128 paths moved to where its
    mean energy is the target, along the flow that the paper's descent approximates.

    With the same seed, machine and versions, the default energy and the OpenBLAS of PyPI's wheels the paths have the
    same bits whatever the number of threads. Those of scattering energies can differ by round-off, 10⁻¹⁵ in a step,
    which the flow makes more of, as can those of other machines and versions, where the fit of the start may differ by
    a hundred-thousandth as well.

    On the half-line, for volumes, volatilities or rates that are never negative, the series is divided by its root mean
    square and not shifted, paths start from independent values of the largest entropy with its mean and spread
    (Section 5.1), and the flow keeps them at or above 0 (App. B; see `GradientFlow`). It is certain that no value is
    below 0. It is not that the mean energy gets to the target, for values may come to rest at 0, nor that the mean is
    that of the series: among the stylised facts, which are not centred, it is not. The report and the notes say what
    came of it.

    The columns of a table are generated together, with what they have in common: each starts from its own law with
    innovations that depend on those of the others (`GaussianCopula`), and the energy is that of each column and the
    cross-correlations of pairs, of values and of squares at lags −2 … 2. This is no part of the paper.

    Args:
        series: one stationary series (points,), such as daily returns: a pandas Series, an array or a tensor. At least
            250 points, 336 with the default energy; the paper takes 2048 and 4096. Or a table (points, C) of several,
            a pandas DataFrame, an array or a tensor, with more points than energies: 96 for 2 columns, 880 for 10.
        n_paths: paths wanted.
        length: points of each.
        seed: whatever `numpy.random.default_rng` takes.
        energy: Φ; without it the stylised facts of Section 5.2, on the real line with leverage at 20 lags and
            the variance of sums of 20, which are no part of the paper. Of several columns one of paths (C, length).
        start: law of the starting paths, as `starting_law` explains; None for "argjr-skewt", an AR(1)–GARCH(1, 1)
            fitted to the series, which has clusters already and tells falls from rises; where it cannot be fitted,
            for "argarch-t" or "argarch", with a note. The paper starts from "noise", the only one on the half-line.
        duration: step size times number of steps that the flow stands for; the paper's for the S&P 500 is 50 · 20 000.
        support: where values of the series and the paths lie: the real line, or `constraints.nonnegative` for [0, ∞).
        stop: "duration" for the whole of it; "balanced" for the part of it up to the last step that gains more than its
            price, in the sense of `balanced_stop`. On six series as few rows of the report are off from the default's
            start, 1 in place of 2 of three seeds, and twice as many from noise, 36 in place of 18 of one.

    Returns:
        Paths in the units of the series, a report and notes; see `Generation`.

    Raises:
        ValueError: a series that is too short, constant, not finite or not in the support, another support, a start
            that is not for it, or settings out of range; columns with missing values or a name in common, too many for
            their length, on another support than the real line, or of which one is a function of the others.

    Example:
        >>> import mfmgdm_lib as mm
        >>> returns = mm.data.returns(mm.data.sp500())
        >>> made = generate(returns, n_paths=20, length=512, seed=0)
        >>> made.paths.shape, bool(made.loss < 1e-6)
        (torch.Size([20, 512]), True)
        >>> noises = [mm.processes.WhiteNoise(), mm.processes.WhiteNoise(stddev=2.0)]
        >>> table = mm.processes.GaussianCopula(noises, [[1.0, 0.6], [0.6, 1.0]]).sample(1, (2, 1024), seed=0)[0].T
        >>> generate(table, n_paths=3, length=128, start="noise").paths.shape
        torch.Size([3, 2, 128])
    """
    support, starts = _check_support(support, start)
    n_paths, length = check_positive_int("n_paths", n_paths), check_positive_int("length", length, minimum=64)
    check_positive("duration", duration)
    balanced = check_member("stop", stop, STOPS) == "balanced"
    observed, columns = as_columns("series", series, minimum_length=250)
    if columns and not support.whole_line:
        raise ValueError(
            f"series has {len(columns)} columns and support {support!r}; expected the real line for several, since laws"
            " of independent values on the half-line have nothing in common. Pass one column at a time."
        )
    with one_thread():
        mean, stddev = _moments(observed, columns, support)
        scaled = (observed - mean) / stddev
        energy = _default_energy(columns, observed.shape[-1], support) if energy is None else energy
        target = target_from_data(energy, scaled)
    law, notes = fitted_start(scaled, starts, columns) if support.whole_line else half_line_start(scaled)
    x0 = starting_paths(law, max(n_paths, _ENSEMBLE), length, seed)
    if balanced and len(x0) <= energy.dim:
        raise ValueError(
            f"stop is 'balanced' for {energy.dim} energies and {len(x0)} paths; expected more paths than energies, for"
            " the covariance of these. Use more paths, or leave stop out."
        )
    some = None if balanced or _has_quick_rows(energy, x0) else _GRAM_PATHS
    flow = GradientFlow(energy, target, relative_tolerance=_FAR, support=support, gram_paths=some)
    last, weights = _flown(flow, x0, duration, law, balanced)
    paths = last.paths[:n_paths]
    unit = series.attrs.get("unit") if isinstance(series, pd.Series) else None
    if columns:
        report = joint_report(scaled, last.paths, n_paths, mean, stddev, columns)
    else:
        report = path_report(scaled, last.paths, n_paths, mean, stddev)
    shares = energy_shares(energy, last.paths)
    return Generation(
        paths=mean + stddev * paths,
        series=observed,
        report=report,
        shares=shares,
        notes=(
            *_series_notes(series, observed, columns, length),
            *notes,
            *_zero_warning(scaled, paths),
            *_target_warning(last.mismatch[0], target, balanced),
            *report_warnings(report, scaled.shape[-1] / length),
            *shares_warnings(shares, len(last.paths)),
        ),
        loss=float(last.loss.mean()),
        steps=last.step,
        start=law,
        columns=columns,
        seed=seed,
        observed=series if isinstance(series, (pd.Series, pd.DataFrame)) else None,
        flow=None
        if columns or not support.whole_line
        else frozen_gradient_flow(flow, weights, settled(law), last.paths.shape, loc=mean, scale=stddev, unit=unit),
    )


def _series_notes(series: Any, observed: Tensor, columns: Sequence[str], length: int) -> list[str]:
    """Reasons to doubt a series or each of several, with dates where there are any."""
    if not columns:
        return series_warnings(series if isinstance(series, pd.Series) else observed, length)
    dated = isinstance(series, pd.DataFrame)
    return columns_warnings([series.iloc[:, at] for at in range(len(columns))] if dated else observed, length, columns)


def _moments(observed: Tensor, columns: Sequence[str], support: Support) -> tuple[Any, Any]:
    """Mean and standard deviation of a series, or of each of several, (C, 1); 0 and the size on the half-line."""
    mean, stddev = observed.mean(-1, keepdim=True), observed.std(-1, correction=0, keepdim=True)
    if not support.whole_line:
        mend = "Leave support out, or pass levels in place of their returns."
        option = "Leave --support out, or use --returns none."
        check_inside("series", observed, support, "the paths", mend, option=option)
        mean, stddev = torch.zeros_like(mean), observed.square().mean(-1, keepdim=True).sqrt()
    for name, spread in zip(columns or ("series",), stddev.flatten().tolist(), strict=True):
        if not 0.0 < spread < np.inf:
            raise ValueError(
                f"{name} has a standard deviation of {spread} in double precision; expected values whose squares are"
                " finite and above 0. Standardise it first."
            )
    return (mean, stddev) if columns else (float(mean), float(stddev))


def _default_energy(columns: tuple[str, ...], points: int, support: Support) -> Energy:
    """The stylised facts of a series; of several, those of each and their cross-correlations."""
    energy = StylizedFacts(leverage=20, sums=20) if support.whole_line else StylizedFacts()
    if not columns:
        return energy
    joint = Concatenate(EachChannel(energy, columns), CrossCorrelations(columns))
    if joint.dim > points:
        raise ValueError(
            f"series has {len(columns)} columns of {points} points; expected more points than the {joint.dim} energies"
            f" of so many columns and of {len(columns) * (len(columns) - 1) // 2} pairs of them. Use a longer table,"
            " fewer columns, or an energy with fewer lags."
        )
    return joint


def _has_quick_rows(energy: Energy, ensemble: Tensor) -> bool:
    """Whether the Jacobians of all paths are quick to write down: banded ones are, and few of several channels."""
    few = energy.dim * ensemble.numel() <= _GRAM_NUMBERS
    return energy.bandwidth is not None or (energy.event_ndim > 1 and few)


def _flown(
    flow: GradientFlow, x0: Tensor, duration: float, law: Process, balanced: bool
) -> tuple[FlowState, list[Tensor]]:
    """The state at the stop with the weights of all steps up to it, or an error with what can be changed here."""
    weights: list[Tensor] = []

    def states() -> Iterator[FlowState]:
        for state in flow.steps(x0, duration, max_steps=_MOST_STEPS):
            if state.weights is not None:
                weights.append(state.weights)
            yield state

    try:
        state = balanced_state(states()) if balanced else deque(states(), maxlen=1).pop()
    except DivergedError as error:
        raise DivergedError(
            Message(
                f"the flow from {law!r} came no further after step {len(weights)}: the paths began with a value of"
                f" {float(x0.abs().max()):.0f} standard deviations; expected such as can be brought to the series.",
                'Start from others: start="argarch", start="noise" or another seed.',
                option="Start from others: --start argarch, --start noise or another --seed.",
            ),
            step=len(weights),
        ) from error
    return state, weights[: state.step]


@checked
def compare_flow(made: Generation, n_paths: int = 256, seed: Seed = 1) -> tuple[pd.DataFrame, list[str]]:
    """Return the report of fresh paths of a generation's flow beside the series, and reasons to doubt them.

    A flow of independent paths meets wilder ones than its ensemble had. Its energies need not be at the target.

    Args:
        made: what `generate` returned, on the real line.
        n_paths: fresh paths.
        seed: whatever `numpy.random.default_rng` takes.

    Raises:
        ValueError: a generation without a flow, of several series or on the half-line.

    Example:
        >>> import mfmgdm_lib as mm
        >>> made = mm.generate(mm.processes.AR([0.5]).sample(1, 400, seed=0)[0], n_paths=3, length=64, start="noise")
        >>> report, notes = compare_flow(made)
        >>> report.shape
        (26, 5)
    """
    if (flow := made.flow) is None:
        said = "the generation has no flow; expected one of a single series on the real line."
        mend = "Generate one column at a time, without support."
        raise ValueError(Message(said, mend, option="Leave --flow out."))
    starts = flow.start.sample(n_paths, flow.length, seed)
    with torch.no_grad():
        paths = flow.ends(starts)
    units = flow.loc or 0.0, flow.scale or 1.0
    scaled, fresh = ((x - units[0]) / units[1] for x in (made.series, paths))
    report = path_report(scaled, fresh, len(fresh), *units)
    notes = report_warnings(report, scaled.shape[-1] / fresh.shape[-1])
    if left_out := n_paths - len(fresh):
        notes.append(
            f"The flow leaves out {left_out} of {n_paths} fresh starts, which are wilder than it can take: one of a"
            " larger ensemble, of 1000 paths or more, leaves out fewer."
        )
    return report, notes


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
        return chosen, DEFAULT_STARTS if chosen.whole_line else STARTS[:1]
    if check_member("start", start, STARTS) != STARTS[0] and not chosen.whole_line:
        raise ValueError(
            f"start is {start!r} on the half-line; expected {STARTS[0]!r}, since laws fitted to a series have values"
            f" below 0. Leave it out, or use {STARTS[0]!r}."
        )
    return chosen, (start,)


def _target_warning(mismatch: Tensor, target: Target, balanced: bool) -> list[str]:
    """A warning if the mean energy is more than a standard error of the target away from it."""
    away = (mismatch.double().abs() / target.standard_error).nan_to_num(0.0)
    if float(away.max()) <= 1.0:
        return []
    longer = "the whole" if balanced else "a longer"
    return [
        f"The flow ended {float(away.max()):.1f} standard errors of the series from the target, in"
        f" {target.labels[int(away.argmax())]}: use {longer} duration, or another start."
    ]
