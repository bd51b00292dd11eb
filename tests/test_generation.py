"""Generation from one series: units, seeds, the report, and warnings about the series."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from torch import Tensor
from torch.distributions import constraints

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Autocovariance, StylizedFacts
from mfmgdm_lib.errors import DivergedError
from mfmgdm_lib.generation import Generation, compare_flow, generate
from mfmgdm_lib.processes import AR, ARGARCH, Exponential, StudentNoise, TruncatedGaussian, WhiteNoise
from mfmgdm_lib.processes.starts import starting_law
from mfmgdm_lib.report import series_warnings

N, LENGTH = 5, 128
FALLS = StylizedFacts(leverage=20, sums=20)


def make(series: Any, n_paths: int = N, length: int = LENGTH, **settings: Any) -> Generation:
    return generate(series, n_paths, length, **settings)


@pytest.fixture(scope="module")
def series() -> Tensor:
    """Four thousand returns with clusters, of a size such as daily ones have."""
    return ARGARCH(-0.1, 5e-6, 0.1, 0.85, mean=3e-4).sample(1, 4096, seed=0)[0]


@pytest.fixture(scope="module")
def made(series: Tensor) -> Generation:
    return make(series)


# --- paths -------------------------------------------------------------------------------------------------------


def test_result_has_the_paths_asked_for_and_the_series(made: Generation, series: Tensor) -> None:
    assert made.paths.shape == (N, LENGTH) and made.paths.dtype == torch.float64
    assert torch.equal(made.series, series) and made.notes == ()
    assert 0 < made.steps < 100 and isinstance(made.start, ARGARCH)


@pytest.mark.parametrize("duration", [1.0, 1e6])
def test_loss_is_that_of_the_ensemble_and_vanishes_in_the_end(series: Tensor, duration: float) -> None:
    # All paths of the ensemble are asked for, so that their mean can be looked at.
    made = make(series, 128, duration=duration)
    scaled, paths = ((x - series.mean()) / series.std(correction=0) for x in (series, made.paths))
    target = FALLS(scaled)
    mismatch = FALLS(paths).mean(0) - target
    # Round-off of the mismatch, of means of order 1 and on the way to other units and back, is 10⁻¹².
    assert made.loss == pytest.approx(0.5 * float(mismatch @ mismatch / (target @ target)), rel=1e-8, abs=1e-24)
    assert made.loss > 1e-6 if duration == 1.0 else made.loss < 1e-12


def test_paths_are_those_of_the_flow_from_the_fitted_start(made: Generation, series: Tensor) -> None:
    scaled = (series - series.mean()) / series.std(correction=0)
    start = starting_law(scaled, "argjr-skewt")
    x0 = start.sample(128, 1000 + LENGTH, 0)[:, 1000:]
    flow = mm.GradientFlow(FALLS, mm.target_from_data(FALLS, scaled), relative_tolerance=0.2)
    *_, last = flow.steps(x0, 1e6)
    expected = series.mean() + series.std(correction=0) * last.paths[:N]
    torch.testing.assert_close(made.paths, expected, rtol=0, atol=1e-13)
    assert (made.steps, vars(made.start)) == (last.step, vars(start))


def test_balanced_paths_are_those_of_the_flow_after_its_last_step_that_gains_more(series: Tensor) -> None:
    made = make(series, 128, stop="balanced")
    scaled = (series - series.mean()) / series.std(correction=0)
    x0 = starting_law(scaled, "argjr-skewt").sample(128, 1000 + LENGTH, 0)[:, 1000:]
    flow = mm.GradientFlow(FALLS, mm.target_from_data(FALLS, scaled), relative_tolerance=0.2)
    states = list(flow.steps(x0, 1e6))
    costs = []
    for state in states:
        mean, covariance = state.mismatch[0].numpy(), np.cov(state.energies.numpy().T)
        costs.append(0.5 * mean @ np.linalg.solve(covariance, mean))
    last = 1 + np.flatnonzero(-np.diff(costs) > [state.price for state in states[1:]])[-1]
    assert made.steps == last < len(states) - 1
    expected = series.mean() + series.std(correction=0) * states[last].paths
    torch.testing.assert_close(made.paths, expected, rtol=0, atol=1e-13)
    assert made.flow is not None and made.flow.n_steps == last
    # Its energy is not at the target, as the notes say with what would bring it there.
    assert made.loss > 1e3 * float(states[-1].loss[0])
    (note,) = (note for note in made.notes if note.startswith("The flow ended"))
    assert note.endswith("use the whole duration, or another start.")


def test_rows_that_the_balanced_stop_leaves_off_are_those_stored() -> None:
    table = mm.companion.stored("balanced_generation")
    off = table.groupby(["design", "stop"])["off"].sum().unstack()
    assert off.loc["argjr-skewt, leverage and sums, the default"].to_dict() == {"balanced": 1, "duration": 2}
    assert off.loc["noise"].to_dict() == {"balanced": 36, "duration": 18}
    assert table["series"].nunique() == 6


def test_first_paths_do_not_depend_on_how_many_are_asked_for_up_to_128(made: Generation, series: Tensor) -> None:
    assert torch.equal(make(series, 128).paths[:N], made.paths)
    assert torch.equal(make(series, 1).paths, made.paths[:1])
    more = make(series, 130).paths
    assert more.shape == (130, LENGTH) and not torch.isclose(more[:N], made.paths, rtol=1e-6, atol=0).all()


def test_same_seed_gives_the_same_paths_and_another_seed_others(made: Generation, series: Tensor) -> None:
    assert torch.equal(make(series, seed=0).paths, made.paths)
    assert torch.equal(make(series, seed=(2, 12345)).paths, make(series, seed=(2, 12345)).paths)
    assert not torch.isclose(make(series, seed=1).paths, made.paths, rtol=1e-3, atol=0).all(-1).any()


@pytest.mark.parametrize("start", ["noise", "student", "argarch", "argjr-skewt"])
def test_paths_and_report_are_in_the_units_of_the_series(series: Tensor, start: str) -> None:
    plain, scaled = make(series, start=start), make(2.0**9 * series, start=start)
    # A power of 2 changes no digit of a standardised series.
    assert torch.equal(scaled.paths, 2.0**9 * plain.paths)
    in_units = {"mean", "standard deviation", "maximum drawdown", *(f"{100 * share:g} % quantile" for share in SHARES)}
    factors = np.where(plain.report.index.isin(in_units), 2.0**9, 1.0)
    np.testing.assert_array_equal(scaled.report, plain.report.mul(factors, axis=0))
    assert (scaled.loss, scaled.steps, scaled.notes) == (plain.loss, plain.steps, plain.notes)


@pytest.mark.parametrize(("factor", "shift"), [(1.0, 7.0), (-3.0, 0.0), (1e4, -250.0)])
def test_shift_and_scale_of_the_series_are_those_of_the_paths(series: Tensor, factor: float, shift: float) -> None:
    # From white noise, so that no optimiser makes more of round-off than the flow does. Stylised facts are even, and
    # what they make of a start does not change with the sign of the series: only the way back to its units does.
    plain, other = (make(x, start="noise", energy=StylizedFacts()) for x in (series, factor * series + shift))
    mean, stddev = float(series.mean()), float(series.std(correction=0))
    standardised = (plain.paths - mean) / stddev
    expected = factor * mean + shift + abs(factor) * stddev * standardised
    # The shift of 7 leaves 2⁻⁵² · 7 / 0.01 ≈ 10⁻¹³ of a standardised value, which the flow makes a thousandfold.
    torch.testing.assert_close(other.paths, expected, rtol=0, atol=1e-9 * abs(factor) * stddev)


def test_series_may_be_a_pandas_series_an_array_or_a_list(made: Generation, series: Tensor) -> None:
    dated = pd.Series(series.numpy(), pd.bdate_range("2000-01-03", periods=len(series)))
    for other in (dated, series.numpy(), series.tolist()):
        assert torch.equal(make(other).paths, made.paths)


def test_other_energies_and_starts_and_times_are_used(series: Tensor) -> None:
    energy = Autocovariance()
    made = make(series, 128, energy=energy, start="noise")
    scaled, paths = ((x - series.mean()) / series.std(correction=0) for x in (series, made.paths))
    torch.testing.assert_close(energy(paths).mean(0), energy(scaled), rtol=0, atol=1e-9)
    assert isinstance(made.start, WhiteNoise)
    # In hardly any time paths stay where they are.
    short = make(series, energy=energy, start="noise", duration=1e-9)
    still = WhiteNoise().sample(128, LENGTH, 0)[:N]
    torch.testing.assert_close((short.paths - series.mean()) / series.std(correction=0), still, rtol=0, atol=1e-8)
    assert short.loss > made.loss


def test_frozen_flow_takes_the_starts_of_the_ensemble_where_they_went(made: Generation) -> None:
    assert made.flow is not None
    ends = made.flow.transform(made.flow.start.sample(128, LENGTH, 0))[:N]
    torch.testing.assert_close(ends, made.paths, rtol=0, atol=1e-15)  # of 0.01: the same steps, summed alike


def test_fresh_paths_of_the_flow_look_like_the_series(series: Tensor) -> None:
    report, notes = compare_flow(make(series, 256))
    assert not [note for note in notes if "outside" in note]
    assert report.loc["standard deviation", "low"] < float(series.std()) < report.loc["standard deviation", "high"]


def test_half_line_has_no_flow(series: Tensor) -> None:
    made = make(series.abs(), support=constraints.nonnegative)
    assert made.flow is None
    with pytest.raises(ValueError, match=r"has no flow; expected one of a single series on the real line"):
        compare_flow(made)


# --- the report --------------------------------------------------------------------------------------------------


def test_report_compares_the_paths_with_the_series_and_windows_of_it(made: Generation, series: Tensor) -> None:
    x, paths = series.numpy(), made.paths.numpy()
    windows = x.reshape(-1, LENGTH)  # 32 of them, without a rest

    def correlation(values: np.ndarray, lag: int) -> float:
        centred = values - values.mean()
        return float(centred[lag:] @ centred[: len(values) - lag] / (centred @ centred))

    def kurtosis(values: np.ndarray) -> float:
        centred = values - values.mean()
        return float((centred**4).mean() / (centred**2).mean() ** 2)

    def sums(values: np.ndarray, points: int) -> np.ndarray:
        return np.lib.stride_tricks.sliding_window_view(values, points).sum(-1)

    def leverage(values: np.ndarray, lag: int) -> float:
        squares = (values - x.mean()) ** 2
        pairs = (values - values.mean())[: len(values) - lag] @ (squares - squares.mean())[lag:]
        return float(pairs / len(values) / values.std() / squares.std())

    def asymmetry(values: np.ndarray) -> float:
        trends, volatilities = sums(values - x.mean(), 20) ** 2, sums((values - x.mean()) ** 2, 20)
        forward = np.corrcoef(trends[:-20], volatilities[20:])[0, 1]
        return float(forward - np.corrcoef(volatilities[:-20], trends[20:])[0, 1])

    def tail_index(values: np.ndarray) -> float:
        ordered = np.sort(np.abs(values - values.mean()))[::-1]
        taken = round(len(values) / 20)
        return float(1.0 / np.log(ordered[:taken] / ordered[taken]).mean())

    def drawdown(values: np.ndarray) -> float:
        levels = np.r_[0.0, values.cumsum()]
        return max(float(level - levels[t:].min()) for t, level in enumerate(levels))

    statistics = {
        "mean": np.mean,
        "standard deviation": np.std,
        "skewness": scipy.stats.skew,
        "kurtosis": kurtosis,
        "tail index": tail_index,
        **{f"{100 * share:g} % quantile": lambda v, share=share: np.quantile(v, share) for share in SHARES},
        "autocorrelation, lag 1": lambda v: correlation(v, 1),
        # The squares of deviations from the mean of the whole series, for that is what is standardised.
        **{
            f"autocorrelation of squares, lag {lag}": lambda v, lag=lag: correlation((v - x.mean()) ** 2, lag)
            for lag in (1, 5, 10, 20)
        },
        **{
            f"autocorrelation of sizes, lag {lag}": lambda v, lag=lag: correlation(np.abs(v - x.mean()), lag)
            for lag in (50, 100)
        },
        "leverage, lag 1": lambda v: leverage(v, 1),
        "leverage, lags 1 to 20": lambda v: np.mean([leverage(v, lag) for lag in range(1, 21)]),
        "time asymmetry": asymmetry,
        **{f"standard deviation of sums of {h}": lambda v, h=h: sums(v, h).std() / h**0.5 / v.std() for h in (5, 20)},
        **{f"kurtosis of sums of {h}": lambda v, h=h: kurtosis(sums(v, h)) for h in (5, 20)},
        "maximum drawdown": drawdown,
    }
    report, ensemble = made.report, make(series, 128).paths.numpy()
    assert report.index.tolist() == list(statistics)
    assert report.columns.tolist() == ["series", "windows", "paths", "low", "high"]
    for name, statistic in statistics.items():
        of_paths = [statistic(path) for path in paths]
        expected = [
            statistic(x),
            np.mean([statistic(window) for window in windows]),
            np.mean(of_paths),
            *np.quantile([statistic(path) for path in ensemble], [0.05, 0.95]),
        ]
        np.testing.assert_allclose(report.loc[name], expected, rtol=1e-9, atol=1e-15, err_msg=name)


SHARES = (0.001, 0.01, 0.05, 0.95, 0.99, 0.999)


def test_report_has_no_windows_of_a_series_that_is_shorter_than_a_path(series: Tensor) -> None:
    report = make(series[:400], length=401).report
    assert report["windows"].isna().all() and report.drop(columns="windows").notna().all().all()
    report = make(series[:400], length=400).report
    np.testing.assert_allclose(report["windows"], report["series"], rtol=1e-12, atol=0)


def test_report_has_no_autocorrelations_at_lags_beyond_the_paths(series: Tensor) -> None:
    report = make(series, length=64, start="noise").report
    missing = report.index[report["paths"].isna()]
    assert missing.tolist() == ["autocorrelation of sizes, lag 100"] and report["series"].notna().all()


# --- notes -------------------------------------------------------------------------------------------------------


def doubts(series: Any, length: int = 64) -> list[str]:
    """The notes on a series and on nothing else: the flow hardly moves."""
    notes = make(series, 1, length, start="noise", duration=1e-6).notes
    return [note for note in notes if not note.startswith(("The flow ended", "Windows of the series"))]


def test_flow_that_ends_far_from_the_target_is_noted() -> None:
    series = ARGARCH(-0.1, 0.05, 0.1, 0.85).sample(1, 4096, seed=0)[0]
    short, whole = (make(series, 1, 1024, start="noise", duration=duration) for duration in (1e-6, 1e6))
    note, of_rows = short.notes
    assert of_rows.startswith("Windows of the series are outside")
    assert note.startswith("The flow ended ") and note.endswith("use a longer duration, or another start.")
    # By how far, from the definition: hardly any path has moved.
    scaled = (series - series.mean()) / series.std(correction=0)
    target = mm.target_from_data(FALLS, scaled)
    noise = FALLS(WhiteNoise().sample(128, 1024, 0)).mean(0)
    away = ((noise - target.mean) / target.standard_error).abs().max()
    assert f"{away:.1f} standard errors" in note
    assert whole.notes == ()


def walk(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(3000).cumsum()


SHORT = "The series has 1000 points: its statistics are rough"
LEVELS = "these look like levels. Use returns or differences."
TREND = "standard errors apart: there may be a trend."
UNEVEN = "One half of the series varies "
REPEATS = "of the values repeat the one before: coarse quotes, or filled gaps."
LONG = "The paths are longer (1001) than the series (1000)."


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (lambda rng: rng.standard_normal(3000), []),
        (lambda rng: rng.standard_normal(2048), []),
        (lambda rng: rng.standard_normal(1000), [SHORT]),
        (walk, [LEVELS]),
        (lambda rng: rng.standard_normal(3000) + np.linspace(0, 1, 3000), [TREND]),
        (lambda rng: rng.standard_normal(3000) * np.repeat([1.0, 2.5], 1500), [UNEVEN]),
        (lambda rng: rng.standard_normal(3000) * np.repeat([2.5, 1.0], 1500), [UNEVEN]),
        (lambda rng: np.round(rng.standard_normal(3000)), [REPEATS]),
        (lambda rng: rng.standard_normal(3000) + np.sin(2 * np.pi * np.arange(3000) / 20), ["a cycle of 20 points"]),
        (
            lambda rng: rng.standard_normal(3000) + 0.5 * np.sin(2 * np.pi * np.arange(3000) / 5),
            ["a cycle of 5 points"],
        ),
        (lambda rng: rng.standard_normal(3001) + 0.5 * (-1.0) ** np.arange(3001), ["a cycle of 2 points"]),
    ],
    ids=[
        *("white", "just long enough", "short", "levels", "trend", "wilder later", "wilder earlier", "coarse"),
        *("month", "week", "every other"),
    ],
)
def test_doubts_are_those_that_the_series_was_made_for(draw: Any, expected: list[str]) -> None:
    # From noise, so that there is no word on a fit that failed; in hardly any time, for the doubts are of the series.
    notes = doubts(draw(np.random.default_rng(0)))
    assert len(notes) == len(expected) and all(part in note for part, note in zip(expected, notes, strict=True)), notes


DATES = pd.bdate_range("2000-01-03", periods=3000)
MIDDLE = f"{DATES[1500]:%Y-%m-%d}"


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (
            lambda rng: rng.standard_normal(3000) + np.linspace(0, 1, 3000),
            f"The means of the two halves, before {MIDDLE} and from then on, are ",
        ),
        (
            lambda rng: rng.standard_normal(3000) * np.repeat([1.0, 2.5], 1500),
            f"The half of the series from {MIDDLE} on varies 2.",
        ),
        (
            lambda rng: rng.standard_normal(3000) * np.repeat([2.5, 1.0], 1500),
            f"The half of the series before {MIDDLE} varies 2.",
        ),
        (
            lambda rng: np.repeat(rng.standard_normal(500), np.r_[np.ones(400), np.full(100, 26)].astype(int)),
            rf"values repeat the one before, 25 of them in a row after {DATES[400]:%Y-%m-%d}: coarse quotes",
        ),
        (
            lambda rng: rng.standard_normal(3000) + np.sin(2 * np.pi * np.arange(3000) / 20),
            # 20 of 2999 steps from the first date to the last, five of which take seven days.
            "There is a cycle of 20 points (28 days), which no energy",
        ),
        (
            lambda rng: np.linspace(-500.0, 500.0, 3000),
            f", with the lowest value (-500) on {DATES[0]:%Y-%m-%d} and the highest (500) on {DATES[-1]:%Y-%m-%d}: ",
        ),
    ],
    ids=["trend", "wilder later", "wilder earlier", "repeats", "month", "levels"],
)
def test_doubts_name_dates_where_the_series_has_them(draw: Any, expected: str) -> None:
    values = draw(np.random.default_rng(0))
    assert any(expected in note for note in doubts(pd.Series(values, DATES))), doubts(pd.Series(values, DATES))
    for plain in (values, pd.Series(values)):
        assert not any(("20" in note and "-0" in note) or expected in note for note in doubts(plain))


@pytest.mark.parametrize("factor", [1.3, 1 / 1.3])
def test_last_year_that_is_wilder_or_calmer_than_all_before_is_noted(factor: float) -> None:
    # Logarithms of standard deviations of 250 Gaussian values spread by 1/√500 = 0.045 around their mean, and eleven of
    # them leave fewer than one such spread in 200 beyond 3.6 of these: a factor of 1.18.
    values = np.random.default_rng(0).standard_normal(3000) * np.r_[np.ones(2750), np.full(250, factor)]
    (note,) = doubts(pd.Series(values, DATES))
    times = values[-250:].std() / values.std()
    assert note.startswith(
        f"The last 250 points, from {DATES[2750]:%Y-%m-%d} on, vary {times:.2g} times as much as the"
    )
    assert [f"The last 250 points vary {times:.2g} times"] == [
        note[: note.index(" as much")] for note in doubts(values)
    ]


def test_last_year_of_a_garch_is_noted_in_a_few_series_in_a_hundred() -> None:
    # 1 in 200 if the years were independent. The memory of this law, 100 points, makes neighbours alike, and their
    # spread seem smaller than it is. If 3 % were noted, more than 15 of 200 would be as rare as 1 in 10³.
    law = ARGARCH(-0.05, 0.01, 0.02, 0.9, degrees_of_freedom=8.0, asymmetry=0.14)
    paths = law.sample(200, 4000, 0)[:, 1000:]
    assert law.persistence == pytest.approx(0.99)
    assert sum(any("The last 250 points" in note for note in series_warnings(path)) for path in paths) <= 15


def test_paths_that_are_longer_than_the_series_are_noted() -> None:
    noise = np.random.default_rng(0).standard_normal(1000)
    assert not any("longer (" in note for note in doubts(noise, 1000))
    assert LONG in doubts(noise, 1001)


@pytest.mark.parametrize(
    "law", [AR([0.5]), AR([-0.7]), ARGARCH(-0.1, 0.05, 0.1, 0.85, degrees_of_freedom=6.0)], ids=repr
)
def test_stationary_series_of_the_paper_s_length_raise_no_doubts(law: mm.processes.Process) -> None:
    # What the notes are about is as rare as one in 10⁴. Clusters that persist make one half wilder now and then, though
    # not by a factor of 2; a memory of the values themselves lets the means of halves stray further than noise would.
    for seed in range(5):
        (series,) = law.sample(1, 4096, seed)
        assert doubts(series) == []


def test_start_that_cannot_be_fitted_is_said_and_paths_start_from_white_noise() -> None:
    series = np.random.default_rng(0).uniform(size=3000)
    made, plain = make(series, start="student"), make(series, start="noise")
    assert isinstance(made.start, WhiteNoise) and torch.equal(made.paths, plain.paths)
    assert made.notes[0].startswith(
        "The paths started from white noise, as 'student' could not be fitted: the most likely Student t of the series"
    )
    assert made.notes[1:] == plain.notes


def integrated() -> np.ndarray:
    """A GARCH with α + β = 1, whose most likely law is at the edge of what has a variance."""
    noise, variance, values = np.random.default_rng(0).standard_normal(4000), 1.0, np.empty(4000)
    for t, draw in enumerate(noise):
        values[t] = variance**0.5 * draw
        variance = 0.02 + 0.1 * values[t] ** 2 + 0.9 * variance
    return values


@pytest.mark.parametrize("start", ["garch", "argarch", "argarch-t", "argjr-skewt"])
def test_series_at_the_edge_of_a_variance_has_paths_too(start: str) -> None:
    made = make(integrated(), start=start)
    assert made.loss < 1e-6 and torch.isfinite(made.paths).all()
    # Given the variance of the series there is a most likely law.
    fitted = start == "argjr-skewt"
    assert isinstance(made.start, ARGARCH if fitted else WhiteNoise)
    assert fitted != any("started from white noise" in note for note in made.notes)


@pytest.mark.parametrize(
    ("points", "energy"), [(336, None), (250, Autocovariance())], ids=["stylised", "autocovariance"]
)
def test_shortest_series_is_long_enough(series: Tensor, points: int, energy: mm.energies.Energy | None) -> None:
    assert make(series[:points], 2, 64, energy=energy).paths.shape == (2, 64)


@pytest.mark.parametrize("known", ["argjr-skewt", "argarch-t", "argarch", None])
def test_start_that_is_not_named_is_the_first_that_can_be_fitted(
    series: Tensor, known: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(series: Tensor, start: str) -> mm.processes.Process:
        if start != known:
            raise ValueError(f"no {start}")
        return AR([0.5])

    monkeypatch.setattr("mfmgdm_lib.processes.starts.starting_law", fit)
    made = make(series, 1, 64, duration=1e-6)
    said = [note for note in made.notes if note.startswith("The paths started from")]
    assert isinstance(made.start, WhiteNoise if known is None else AR)
    name = "white noise" if known is None else repr(known)
    assert said == (
        []
        if known == "argjr-skewt"
        else [f"The paths started from {name}, as 'argjr-skewt' could not be fitted: no argjr-skewt"]
    )


def test_flow_that_gets_nowhere_is_said_with_what_can_be_changed(
    series: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfmgdm_lib.generation._MOST_STEPS", 3)
    with pytest.raises(DivergedError, match=r"no further after step 3.*start=\"argarch\", start=\"noise\"") as error:
        make(series)
    assert "tolerance" not in str(error.value)
    assert error.value.args[0].in_shell.endswith("--start argarch, --start noise or another --seed.")


def test_paths_that_start_a_hundred_thousand_times_too_far_arrive_in_few_steps(series: Tensor) -> None:
    # The case that took 2000 steps and did not arrive: one start of a hundred standard deviations.
    scaled = (series - series.mean()) / series.std(correction=0)
    x0 = WhiteNoise().sample(128, LENGTH, 0)
    x0[3, 40:44] = torch.tensor([300.0, -250.0, 200.0, 100.0])
    steps = mm.GradientFlow(FALLS, mm.target_from_data(FALLS, scaled), relative_tolerance=0.2).steps(x0, 1e6)
    states = [float(state.loss.mean()) for state in steps]
    assert states[0] > 1e6 and states[-1] < 1e-4 and len(states) < 200


def rows_named(note: str) -> set[str]:
    return set(re.findall(r"(?:in|\),) ([^(;]+) \(", note))


def test_every_row_whose_windows_are_outside_low_to_high_is_named_with_its_numbers() -> None:
    made = make(mm.data.returns(mm.data.sp500()), 2, 512, start="student")
    report = made.report
    (note,) = (note for note in made.notes if note.startswith("Windows of the series are outside low to high"))
    outside = (report["windows"] < report["low"]) | (report["windows"] > report["high"])
    assert "autocorrelation of squares, lag 1" in rows_named(note) == set(report.index[outside])
    windows, low, high = report.loc["autocorrelation of squares, lag 1", ["windows", "low", "high"]]
    assert f"autocorrelation of squares, lag 1 ({windows:.2g}; {low:.2g} to {high:.2g})" in note


@pytest.mark.parametrize("windows", [1, 2, 4, 16])
def test_series_like_the_paths_have_windows_within_the_limits(windows: int) -> None:
    # The limits hold 99 series in 100 if all rows are Gaussian and independent. 26 rows with longer tails have a few
    # more; with 3 % of false notes more than 4 in 20 are as rare as 1 in 10⁴.
    noted = 0
    for seed in range(20):
        (noise,) = WhiteNoise().sample(1, 256 * windows, (seed, 5))
        notes = make(noise, 1, 256, start="noise", duration=1e-9, energy=Autocovariance()).notes
        noted += any(note.startswith("Windows of the series") for note in notes)
    assert noted <= 4


def test_shares_are_those_of_the_paths_furthest_from_the_median(series: Tensor) -> None:
    made = make(series, 128)
    values = FALLS((made.paths - series.mean()) / series.std(correction=0)).numpy()
    assert made.shares.index.tolist() == list(FALLS.labels)
    for k, column in enumerate(values.T):
        away = np.sort(np.abs(column - np.sort(column)[63]))[::-1]  # the lower of the two in the middle
        expected = [away[0] / away.sum(), away[:3].sum() / away.sum()]
        np.testing.assert_allclose(made.shares.iloc[k], expected, rtol=1e-6)
    assert torch.equal(torch.from_numpy(make(series, 1).shares.to_numpy()), torch.from_numpy(made.shares.to_numpy()))


def test_ensemble_that_three_paths_carry_is_noted_and_one_that_many_do_is_not(made: Generation) -> None:
    returns = mm.data.returns(mm.data.sp500())
    few = make(returns, 2, 1024, start="noise")
    (note,) = (note for note in few.notes if "outweigh all others" in note)
    carried = few.shares[few.shares["largest three"] > 0.5]
    assert f"in {len(carried)} of 43 energies, the most in {carried['largest three'].idxmax()}" in note
    assert made.notes == () and (made.shares["largest three"] <= 0.5).all()


@pytest.mark.parametrize(
    ("law", "points", "said"),
    [
        (ARGARCH(0.0, 1e-4, 0.1, 0.8997), 3000, "GARCH takes 3333 points to forget a wild stretch"),
        (ARGARCH(0.0, 1e-4, 0.1, 0.8997), 4000, None),
        (ARGARCH(0.0, 0.5, 0.0, 0.5), 4000, "alpha = 0, its limit"),
        (ARGARCH(0.0, 0.1, 0.1, 0.8, degrees_of_freedom=2.051), 4000, "2.05 degrees of freedom, at the limit of 2"),
        (ARGARCH(0.0, 0.1, 0.1, 0.8, degrees_of_freedom=299.9), 4000, None),
        (ARGARCH(0.0, 0.1, 0.1, 0.8, degrees_of_freedom=5.0), 4000, None),
        (ARGARCH(0.0, 0.1, 0.0, 0.8, asymmetry=0.2), 4000, None),
        (StudentNoise(2.01), 4000, "2.01 degrees of freedom, at the limit of 2"),
        (StudentNoise(3.0), 4000, None),
        (WhiteNoise(), 4000, None),
    ],
    ids=repr,
)
def test_fits_at_a_limit_are_noted(
    law: mm.processes.Process, points: int, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfmgdm_lib.processes.starts.starting_law", lambda series, start: law)
    (noise,) = WhiteNoise().sample(1, points, 0)
    notes = [note for note in doubts(noise) if note.startswith("The fitted")]
    assert len(notes) == (said is not None) and all(said in note for note in notes if said)


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (np.arange(249.0), r"series has 249 points; expected at least \d+\. Use a longer series"),
        (np.full(400, 2.5), "series is constant at 2.5; expected a series that varies"),
        (
            np.r_[np.arange(299.0), np.inf],
            r"series has 1 entries that are NaN or infinite, the first at index \(299,\)",
        ),
        (np.ones((2, 400)), r"series has shape \(2, 400\); expected \(points, columns\).*Use series.T"),
    ],
    ids=["short", "constant", "not finite", "two series"],
)
def test_series_that_is_none_is_said(series: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(series)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_paths": 0}, "n_paths is 0; expected a whole number of at least 1"),
        ({"length": 63}, "length is 63; expected a whole number of at least 64"),
        ({"duration": 0.0}, "duration is 0.0; expected a finite number above 0"),
        ({"stop": "early"}, "stop is 'early'; expected one of 'duration', 'balanced'"),
        (
            {"stop": "balanced", "energy": StylizedFacts(lags=127)},
            "stop is 'balanced' for 129 energies and 128 paths; expected more paths than energies",
        ),
        ({"start": "pink noise"}, "start is 'pink noise'; expected one of 'noise', 'student', 'garch', 'argarch'"),
    ],
)
def test_settings_out_of_range_are_said(series: Tensor, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(series, **settings)


def test_energy_of_another_length_is_said(series: Tensor) -> None:
    with pytest.raises(ValueError, match="256"):
        make(series, energy=mm.energies.ScatteringMean(256))
    assert make(series, 2, 256, energy=mm.energies.ScatteringMean(256)).paths.shape == (2, 256)


# --- the half-line -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def volatility() -> Tensor:
    """A positive series with memory, of a size such as daily volatilities have."""
    return 0.01 * torch.exp(AR([0.7], innovation_std=0.3).sample(1, 2048, seed=2)[0])


def test_positive_series_has_positive_paths_with_its_energy(volatility: Tensor) -> None:
    made = make(volatility, 128, support=constraints.nonnegative)
    unit = volatility.square().mean().sqrt()
    assert made.paths.shape == (128, LENGTH) and (made.paths > 0).all()
    assert isinstance(made.start, TruncatedGaussian) and made.loss < 1e-5
    target = StylizedFacts()(volatility / unit)
    energies = StylizedFacts()(made.paths / unit).mean(0)
    # The loss is half the square of the relative mismatch.
    assert float((energies - target).norm() / target.norm()) == pytest.approx((2 * made.loss) ** 0.5, rel=1e-6)
    report = made.report.loc[["mean", "standard deviation"], ["series", "paths"]]
    assert report["series"].tolist() == pytest.approx([float(volatility.mean()), float(volatility.std(correction=0))])
    assert report["paths"].tolist() == pytest.approx([float(made.paths.mean()), report["paths"].iloc[1]])
    assert made.start.mean * unit == pytest.approx(float(volatility.mean()))


def test_paths_on_the_half_line_scale_with_the_series(volatility: Tensor) -> None:
    plain, scaled = (make(factor * volatility, support=constraints.nonnegative) for factor in (1.0, 2.0**9))
    assert torch.equal(scaled.paths, 2.0**9 * plain.paths) and scaled.notes == plain.notes


def test_start_is_exponential_with_a_note_where_no_law_has_the_most_entropy(volatility: Tensor) -> None:
    made = make(volatility**4, support=constraints.nonnegative)
    assert isinstance(made.start, Exponential)
    assert any("started from exponential values" in note for note in made.notes)
    assert (made.paths >= 0).all()


def test_values_that_come_to_rest_at_zero_are_noted() -> None:
    # Neighbours that are never large together, which independent values have to be brought to.
    odd = Exponential(1.0).sample(1, 2048, seed=0)[0] * (torch.arange(2048) % 2) + 0.01
    made = make(odd, energy=Autocovariance(), support=constraints.nonnegative)
    assert (made.paths == 0).any() and any("% of the values of the paths are 0" in note for note in made.notes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"support": mm.Interval(0.0, 1.0)}, r"support is Interval\(0, 1\); expected the real line or the half-line"),
        ({"support": constraints.nonnegative, "start": "garch"}, "start is 'garch' on the half-line; expected 'noise'"),
        ({"support": constraints.nonnegative}, r"series has the value -\d.*Leave support out"),
    ],
    ids=["interval", "fitted law", "returns"],
)
def test_settings_that_do_not_go_with_a_support_are_refused(
    series: Tensor, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(series, **settings)
