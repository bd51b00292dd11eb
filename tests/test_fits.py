"""Laws fitted to a series: recovered parameters, likelihoods, units, starts and refusals."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.processes import AR, ARGARCH, GARCH, BurnIn, Process, StudentNoise, WhiteNoise
from mfmgdm_lib.processes.fits import Fit, fit_argarch, fit_student
from mfmgdm_lib.processes.starts import STARTS, starting_law, starting_paths

LAWS = [
    ARGARCH(-0.1, 0.05, 0.1, 0.85),
    ARGARCH(0.2, 0.5, 0.1, 0.85, mean=3.0, degrees_of_freedom=6.0),
    GARCH(1e-5, 0.15, 0.75),
]

every_law = pytest.mark.parametrize("law", LAWS, ids=repr)


def fit(law: ARGARCH, series: Tensor) -> Fit:
    """The fit of a law of the same kind."""
    innovations = "gaussian" if law.degrees_of_freedom is None else "student"
    return fit_argarch(series, innovations, autoregressive=law.phi != 0)


def scores(law: ARGARCH, found: Fit) -> np.ndarray:
    """How many standard errors the estimates are from the truth."""
    truth = np.array([getattr(law, str(name)) for name in found.parameters.index])
    return (found.parameters["estimate"].to_numpy() - truth) / found.parameters["standard_error"].to_numpy()


def log_likelihood(law: ARGARCH, series: Tensor, start: float | None = None) -> float:
    """Of a series given its first point, or of all of it where φ is 0, in nats; from the definition.

    `start` is the first variance; without it, it is that which arch takes: as if before the first there had been
    innovations and variances of the size of the weighted mean of the first 75 squares of a least-squares fit.
    """
    deviations = series.numpy() - law.mean
    skip = int(law.phi != 0)
    innovations = deviations[skip:] - law.phi * deviations[: len(deviations) - skip] if skip else deviations
    if start is None:
        slope = deviations[1:] @ deviations[:-1] / (deviations[:-1] @ deviations[:-1]) if skip else 0.0
        rough = deviations[1:] - slope * deviations[:-1] if skip else deviations
        weights = 0.94 ** np.arange(75)
        start = law.omega + (law.alpha + law.beta) * float(weights @ rough[:75] ** 2 / weights.sum())
    variances = [start]
    for innovation in innovations[:-1]:
        variances.append(law.omega + law.alpha * innovation**2 + law.beta * variances[-1])
    nu, spread = law.degrees_of_freedom, np.sqrt(variances)
    noise = scipy.stats.norm() if nu is None else scipy.stats.t(nu, scale=math.sqrt((nu - 2) / nu))
    return float((noise.logpdf(innovations / spread) - np.log(spread)).sum())


def moved(law: ARGARCH, name: str, by: float) -> ARGARCH:
    """The law with one parameter moved."""
    names = ("phi", "omega", "alpha", "beta", "degrees_of_freedom")
    arguments = {each: getattr(law, each) for each in names} | {name: getattr(law, name) + by}
    return ARGARCH(**arguments, mean=law.mean)


# --- GARCH -------------------------------------------------------------------------------------------------------


@every_law
def test_parameters_that_made_the_series_are_found(law: ARGARCH) -> None:
    (series,) = law.sample(1, 8192, seed=0)
    found = fit(law, series)
    names = (
        ["phi"] * (law.phi != 0) + ["omega", "alpha", "beta"] + ["degrees_of_freedom"] * bool(law.degrees_of_freedom)
    )
    assert found.parameters.index.tolist() == names
    assert found.parameters.columns.tolist() == ["estimate", "standard_error"]
    assert (abs(scores(law, found)) < 4).all()
    # A tenth, or the errors would allow anything; those of φ and α are shares of 1, the others of their sizes.
    assert (found.parameters["standard_error"] < 0.35 * found.parameters["estimate"].abs()).all()
    process = found.process
    assert isinstance(process, ARGARCH)
    assert [getattr(process, name) for name in names] == found.parameters["estimate"].tolist()
    assert process.mean == pytest.approx(float(series.mean()), abs=1e-12 * law.stddev)
    assert process.phi == 0.0 or law.phi != 0
    assert (process.degrees_of_freedom is None) == (law.degrees_of_freedom is None)


def test_standard_errors_are_the_spread_of_the_estimates() -> None:
    law, runs = LAWS[0], 12
    squares = sum(scores(law, fit(law, series)) ** 2 for series in law.sample(runs, 4096, seed=1))
    # χ² with 12 degrees for each parameter, and the four are not independent: each within 4.5 standard deviations of
    # its mean where that is above 0, and so within what a factor of 2 in the errors would not leave it.
    assert (squares < runs + 4.5 * math.sqrt(2 * runs)).all()
    assert squares.sum() > 0.25 * 4 * runs


@every_law
def test_log_likelihood_is_that_of_the_recursion_in_the_units_of_the_series(law: ARGARCH) -> None:
    (series,) = law.sample(1, 2000, seed=2)
    found = fit(law, series)
    # Round-off of a sum of 2000 terms of order 10, and as much again of the standardised one that is rescaled.
    assert found.log_likelihood == pytest.approx(log_likelihood(found.process, series), abs=1e-8)


@every_law
def test_start_is_all_that_sets_the_log_likelihood_apart_from_that_of_the_process(law: ARGARCH) -> None:
    (series,) = law.sample(1, 2000, seed=2)
    process = fit(law, series).process
    assert isinstance(process, ARGARCH)
    given = float(process.log_prob(series) - (process.log_prob(series[:1]) if law.phi else 0.0))
    # The process has the stationary variance at its first point; with a φ, the second is the first that counts.
    start = process.omega / (1 - process.alpha - process.beta)
    if law.phi:
        first = (1 - process.phi**2) * float(series[0] - process.mean) ** 2
        start = process.omega + process.alpha * first + process.beta * start
    assert log_likelihood(process, series, start) == pytest.approx(given, abs=1e-8)
    # `arch` starts from the size of the first 75 squares. That is forgotten at the rate β, over some ten points, each
    # of which it moves by half of (ε² − 1) times the logarithm of the ratio: sums of order 1, of thousands.
    assert 0.0 < abs(log_likelihood(process, series) - given) < 2.0


@every_law
def test_neighbours_of_the_fit_are_less_likely(law: ARGARCH) -> None:
    (series,) = law.sample(1, 2000, seed=3)
    process, table, _ = fit(law, series)
    assert isinstance(process, ARGARCH)
    best = log_likelihood(process, series)
    for name, row in table.iterrows():
        for sign in (1, -1):
            # By about 1/8 of a nat, or more where parameters can make up for each other, which they may not here.
            other = moved(process, str(name), 0.5 * sign * row["standard_error"])
            assert log_likelihood(other, series) < best, (name, sign)


@every_law
@pytest.mark.parametrize(("factor", "shift"), [(2.0**-7, 0.0), (300.0, -1.5)])
def test_units_of_the_series_are_those_of_the_fit(law: ARGARCH, factor: float, shift: float) -> None:
    (series,) = law.sample(1, 1000, seed=4)
    plain, scaled = fit(law, series), fit(law, factor * series + shift)
    # A power of 2 leaves the standardised series as it is, to the last bit; other numbers change it by round-off, which
    # decides where the optimiser stops.
    tolerance = 1e-13 if shift == 0 else 1e-3
    for name in plain.parameters.index:
        unit = factor**2 if name == "omega" else 1.0
        for column in plain.parameters:
            expected = plain.parameters.loc[name, column] * unit
            assert scaled.parameters.loc[name, column] == pytest.approx(expected, rel=tolerance), (name, column)
    assert scaled.process.mean == pytest.approx(factor * plain.process.mean + shift, rel=1e-12)
    # One density for each point; a series given its first point has one fewer.
    densities = len(series) - (law.phi != 0)
    expected = plain.log_likelihood - densities * math.log(factor)
    assert scaled.log_likelihood == pytest.approx(expected, abs=1e-8 if shift == 0 else 1e-4)


def test_fit_takes_whatever_holds_a_series() -> None:
    (series,) = LAWS[0].sample(1, 500, seed=5)
    found = fit_argarch(series, "gaussian")
    for other in (series.numpy(), pd.Series(series.numpy()), series.tolist()):
        pd.testing.assert_frame_equal(fit_argarch(other, "gaussian").parameters, found.parameters, check_exact=True)
    single = fit_argarch(series.float(), "gaussian").parameters["estimate"]
    np.testing.assert_allclose(single, found.parameters["estimate"], rtol=1e-3)


def test_heavy_tails_are_found_in_the_innovations_and_more_likely_than_gaussian_ones() -> None:
    (series,) = LAWS[1].sample(1, 4096, seed=6)
    gaussian, student = (fit_argarch(series, innovations) for innovations in ("gaussian", "student"))
    assert student.log_likelihood > gaussian.log_likelihood + 20.0
    assert gaussian.process.degrees_of_freedom is None  # type: ignore[attr-defined]


def integrated(n: int, seed: int) -> np.ndarray:
    """A GARCH with α + β = 1, whose variance is infinite."""
    noise, variance, values = np.random.default_rng(seed).standard_normal(n), 1.0, np.empty(n)
    for t in range(n):
        values[t] = math.sqrt(variance) * noise[t]
        variance = 0.02 + 0.1 * values[t] ** 2 + 0.9 * variance
    return values


@pytest.mark.parametrize(
    ("innovations", "autoregressive"), [("gaussian", True), ("gaussian", False), ("student", False)]
)
def test_variance_without_end_is_said(innovations: str, autoregressive: bool) -> None:
    with pytest.raises(ValueError, match=r"alpha \+ beta = 1\.0000.*expected a law of finite variance. Use a longer"):
        fit_argarch(integrated(4000, 0), innovations, autoregressive=autoregressive)


@pytest.mark.parametrize("innovations", ["gaussian", "student"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fit_that_is_given_has_about_the_standard_deviation_of_the_series(seed: int, innovations: str) -> None:
    # Where the most likely law is at the edge, the optimiser may stop a hair's breadth inside it. Paths of such a law
    # would be as wild as its variance says.
    series = integrated(4000, seed)
    try:
        found = fit_argarch(series, innovations)
    except ValueError:
        return
    assert found.process.stddev < 10 * series.std()


# --- Student's t -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [StudentNoise(5.0), StudentNoise(3.0, mean=-2.0, stddev=0.01)], ids=repr)
def test_student_law_that_made_the_series_is_found(law: StudentNoise) -> None:
    n = 8192
    (series,) = law.sample(1, n, seed=0)
    process, table, value = fit_student(series)
    assert isinstance(process, StudentNoise)
    names = ["degrees_of_freedom", "mean", "stddev"]
    assert table.index.tolist() == names and table["standard_error"].isna().all()
    assert table["estimate"].tolist() == [getattr(process, name) for name in names]
    # 4 standard errors: those of ν from the Fisher information (Lange, Little and Taylor, 1989), 0.29 at ν = 5 and 0.11
    # at ν = 3 from 8192 points, and of a mean of a law whose information is (ν + 1) / (ν + 3) / scale².
    nu, scale = law.degrees_of_freedom, law.stddev * math.sqrt((law.degrees_of_freedom - 2) / law.degrees_of_freedom)
    assert process.degrees_of_freedom == pytest.approx(nu, abs=4 * (0.29 if nu == 5 else 0.11))
    assert process.mean == pytest.approx(law.mean, abs=4 * scale * math.sqrt((nu + 3) / (nu + 1) / n))
    # Its logarithm moves with ν by 1 / ν(ν − 2) at most as fast, and with that of the scale.
    assert math.log(process.stddev / law.stddev) == pytest.approx(0.0, abs=0.2)
    assert value == pytest.approx(float(process.log_prob(series)), abs=1e-8)


def test_neighbours_of_the_student_fit_are_less_likely() -> None:
    (series,) = StudentNoise(4.0, 1.0, 2.0).sample(1, 4096, seed=1)
    process, _, best = fit_student(series)
    assert isinstance(process, StudentNoise)
    at = (process.degrees_of_freedom, process.mean, process.stddev)
    # Twice the width of the simplex at which SciPy stops, 10⁻⁴, would do.
    for moves in np.vstack([0.01 * np.eye(3), -0.01 * np.eye(3)]):
        other = StudentNoise(*(value * (1 + move) for value, move in zip(at, moves, strict=True)))
        assert float(other.log_prob(series)) < best


# --- starts ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def returns() -> Tensor:
    (series,) = ARGARCH(-0.1, 0.05, 0.1, 0.85, degrees_of_freedom=6.0).sample(1, 4096, seed=7)
    return (series - series.mean()) / series.std(correction=0)


def test_starts_are_the_laws_that_they_are_called_by(returns: Tensor) -> None:
    assert STARTS == ("noise", "student", "garch", "argarch", "argarch-t", "argjr-skewt")
    laws = {start: starting_law(returns, start) for start in STARTS}
    assert {start: type(law) for start, law in laws.items()} == {
        "noise": WhiteNoise,
        "student": StudentNoise,
        "garch": ARGARCH,
        "argarch": ARGARCH,
        "argarch-t": ARGARCH,
        "argjr-skewt": ARGARCH,
    }
    expected = {
        "noise": WhiteNoise(),
        "student": fit_student(returns).process,
        "garch": fit_argarch(returns, "gaussian", autoregressive=False).process,
        "argarch": fit_argarch(returns, "gaussian").process,
        "argarch-t": fit_argarch(returns, "student").process,
    }
    for start, law in expected.items():
        assert vars(laws[start]) == vars(law), start
    assert laws["garch"].phi == 0.0 and abs(laws["argarch"].phi + 0.1) < 0.1  # type: ignore[attr-defined]


FALLS = ARGARCH(-0.1, 0.05, 0.02, 0.85, degrees_of_freedom=6.0, asymmetry=0.12, skew=-0.2)


def test_law_with_falls_is_the_one_that_made_the_series_with_the_variance_of_the_series() -> None:
    (series,) = FALLS.sample(1, 16_384, seed=7)
    errors = fit_argarch(series, "skewed student", asymmetric=True).parameters["standard_error"]
    start = starting_law(series, "argjr-skewt")
    for name, error in errors.drop("omega").items():
        assert abs(getattr(start, str(name)) - getattr(FALLS, str(name))) < 4.5 * error, name
    assert start.stddev == pytest.approx(float(series.std(correction=0)), rel=1e-9)
    assert start.mean == pytest.approx(float(series.mean()))


def with_variance(law: ARGARCH, **changes: float) -> ARGARCH:
    """The law with other parameters and the variance that it has."""
    names = ("phi", "alpha", "beta", "mean", "degrees_of_freedom", "asymmetry", "skew")
    other = ARGARCH(**{name: getattr(law, name) for name in names} | {"omega": 1.0} | changes)
    return ARGARCH(**{name: getattr(other, name) for name in names} | {"omega": (law.stddev / other.stddev) ** 2})


def test_neighbours_of_the_law_with_falls_that_have_its_variance_are_less_likely() -> None:
    (series,) = FALLS.sample(1, 2000, seed=3)
    start = starting_law(series, "argjr-skewt")
    assert isinstance(start, ARGARCH)
    best, limit = float(start.log_prob(series)), 0.0
    errors = fit_argarch(series, "skewed student", asymmetric=True).parameters["standard_error"].drop("omega")
    for name, error in errors.items():
        for sign in (1, -1):
            value = getattr(start, str(name)) + 0.5 * sign * error
            if name == "alpha" and value < limit:
                continue
            assert float(with_variance(start, **{str(name): value}).log_prob(series)) < best, (name, sign)


@pytest.mark.parametrize("units", [1.0, 2.0**-9])
def test_most_likely_law_with_falls_has_a_finite_variance_where_that_of_all_laws_has_none(units: float) -> None:
    # Half of the variance below 0 would leave 0.985 of it; the skew puts more there, and arch does not count that.
    draws = ARGARCH(0.0, 1.0, 0.0, 0.0, degrees_of_freedom=8.0, skew=-0.3).sample(1, 4000, seed=1)[0].numpy()
    variance, values = 1.0, [0.0]
    for draw in draws:
        variance = 0.01 + 0.2 * min(values[-1], 0.0) ** 2 + 0.885 * variance
        values.append(variance**0.5 * draw)
    series = units * np.array(values[1:])
    with pytest.raises(ValueError, match=r"alpha \+ asymmetry E\[e² 1\(e < 0\)\] \+ beta = 1\.\d+; expected a law of"):
        fit_argarch(series, "skewed student", asymmetric=True)
    start = starting_law(series, "argjr-skewt")
    assert isinstance(start, ARGARCH)
    assert (
        start.stddev == pytest.approx(series.std(), rel=1e-9) and start.persistence <= 1.0 - 1.0 / len(series) + 1e-12
    )


def test_round_off_does_not_move_the_law_with_falls() -> None:
    # As it moved that of `arch`, by 50 nats, where the variance is as good as infinite.
    series = integrated(4000, 0)
    laws = [starting_law((1.0 + change) * series, "argjr-skewt") for change in (0.0, 2.0**-52, 2.0**-51)]
    values = [float(law.log_prob(torch.from_numpy(series))) for law in laws]
    # The optimiser stops where a step gains less than 2 · 10⁻⁹ of the value, of 4000 points with about a nat each.
    assert max(values) - min(values) < 0.01


def test_series_at_the_edge_of_a_stationary_mean_has_no_law_with_falls() -> None:
    with pytest.raises(
        ValueError, match=r"the most likely AR\(1\) of the series has phi = -0\.9999.*; expected a stationary"
    ):
        starting_law(np.tile([1.0, -1.0], 500), "argjr-skewt")


@pytest.mark.parametrize("law", [WhiteNoise(), StudentNoise(5.0), AR([0.5])], ids=repr)
def test_paths_of_other_laws_start_as_they_are(law: Process) -> None:
    assert torch.equal(starting_paths(law, 3, 20, 1), law.sample(3, 20, 1))


@every_law
def test_paths_of_a_garch_start_after_a_burn_in_of_1000_points(law: ARGARCH) -> None:
    paths = starting_paths(law, 3, 20, (2, 12345))
    assert torch.equal(paths, law.sample(3, 1020, (2, 12345))[:, 1000:])
    assert paths.is_contiguous() and paths.dtype == torch.float64


def test_paths_of_a_garch_are_stationary_from_their_first_point_in_variance_and_kurtosis() -> None:
    n, law = 10_000, GARCH(0.5, 0.2, 0.3)  # variance 1, and an eighth moment: see test_garch
    kurtosis = 3.0 * (1 - 0.5**2) / (1 - 0.5**2 - 2 * 0.2**2)
    paths = starting_paths(law, n, 30, seed=8)
    for at in (0, 29):
        for power, exact in ((2, 1.0), (4, kurtosis)):
            values = paths[:, at] ** power
            # 4 standard errors of a mean over independent paths.
            assert float(values.mean()) == pytest.approx(exact, abs=4 * float(values.std()) / n**0.5)
    assert kurtosis > 3.3


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=[fit_argarch, fit_student], ids=["garch", "student"])
def either(request: pytest.FixtureRequest) -> Callable[..., Fit]:
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (np.arange(249.0), "series has 249 points; expected at least 250. Use a longer series"),
        (np.ones(300), r"series is constant at 1\.0; expected a series that varies"),
        (np.r_[np.arange(299.0), np.nan], "series has 1 entries that are NaN or infinite, the first at index"),
        (np.ones((2, 300)), r"series has shape \(2, 300\); expected \(length,\)"),
    ],
    ids=["short", "constant", "not finite", "two series"],
)
def test_series_that_cannot_be_fitted_is_said(either: Callable[..., Fit], series: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        either(series)


def test_series_of_250_points_is_long_enough(either: Callable[..., Fit]) -> None:
    assert np.isfinite(either(StudentNoise(5.0).sample(1, 250, seed=0)[0]).log_likelihood)


@pytest.mark.parametrize("start", ["Noise", "", "t"])
def test_unknown_start_is_said(start: str, returns: Tensor) -> None:
    with pytest.raises(ValueError, match=f"start is '{start}'; expected one of 'noise', 'student', 'garch', 'argarch'"):
        starting_law(returns, start)


def test_unknown_innovations_are_said(returns: Tensor) -> None:
    with pytest.raises(ValueError, match="innovations is 't'; expected one of 'gaussian', 'student'"):
        fit_argarch(returns, "t")


def test_tails_too_heavy_for_a_variance_are_said() -> None:
    series = np.random.default_rng(0).standard_cauchy(2000)
    with pytest.raises(ValueError, match=r"has (0\.9|1)\S* degrees of freedom; expected more than 2.*white noise"):
        fit_student(series)
    with pytest.raises(ValueError, match="degrees of freedom"):
        starting_law(series, "student")


def test_tails_too_light_for_a_student_law_are_said() -> None:
    series = np.random.default_rng(0).uniform(size=2000)
    with pytest.raises(ValueError, match=r"has \d\S* degrees of freedom; expected .* fewer than a million. Start from"):
        fit_student(series)


@pytest.mark.parametrize("series", [np.arange(500.0), np.tile([1.0, -1.0], 500)], ids=["levels", "to and fro"])
def test_fit_that_fails_is_an_error_and_no_warning_besides(series: np.ndarray) -> None:
    with warnings.catch_warnings(record=True) as caught, pytest.raises(ValueError, match="expected"):
        warnings.simplefilter("always")
        fit_argarch(series, "gaussian")
    assert [str(warning.message) for warning in caught] == []


def test_levels_in_place_of_returns_are_said() -> None:
    with pytest.raises(ValueError, match="expected"):
        fit_argarch(np.arange(500.0))


def test_names_are_public() -> None:
    assert (mm.fit_argarch, mm.fit_student, mm.starting_law, mm.Fit) == (fit_argarch, fit_student, starting_law, Fit)


def test_asymmetry_at_the_limit_of_the_optimiser_is_within_that_of_the_law() -> None:
    noise = np.random.default_rng(1).standard_normal(3000) + np.arange(3000) / 1000  # a trend, without any clusters
    law = mm.fit_argarch((noise - noise.mean()) / noise.std(), "skewed student", asymmetric=True).process
    assert law.asymmetry == -law.alpha


def test_burn_in_of_a_law_has_no_density_and_keeps_what_is_known() -> None:
    law = BurnIn(ARGARCH(0.1, 0.1, 0.1, 0.8, mean=2.0), points=7)
    assert (law.mean, law.stddev, repr(law)) == (2.0, law.law.stddev, f"BurnIn({law.law!r}, 7)")
    with pytest.raises(NotImplementedError, match=r"has no density.*Start from ARGARCH"):
        law.log_prob(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="points is 0"):
        BurnIn(law.law, points=0)
