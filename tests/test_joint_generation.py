"""Generation of several series at once: units, dependence, the report, and tables that are refused."""

from __future__ import annotations

from typing import Any

import arch.data.nasdaq
import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.distributions import constraints

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Concatenate, CrossCorrelations, EachChannel, StylizedFacts
from mfmgdm_lib.generation import Generation, generate
from mfmgdm_lib.processes import ARGARCH, GaussianCopula, WhiteNoise
from mfmgdm_lib.statistics import cross_correlation

N, LENGTH = 5, 128
NAMES = ("AAA", "BBB")
ENERGY = Concatenate(EachChannel(StylizedFacts(leverage=20, sums=20), NAMES), CrossCorrelations(NAMES))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Two series of returns of different sizes with clusters, whose innovations have a correlation of 0.7."""
    laws = [ARGARCH(-0.1, 5e-6, 0.1, 0.85, mean=3e-4), ARGARCH(0.1, 0.1, 0.05, 0.9, mean=-1.0)]
    (series,) = GaussianCopula(laws, [[1.0, 0.7], [0.7, 1.0]]).sample(1, (2, 2048), seed=0)
    return pd.DataFrame(series.T.numpy(), pd.bdate_range("2000-01-03", periods=2048), list(NAMES))


@pytest.fixture(scope="module")
def made(table: pd.DataFrame) -> Generation:
    return generate(table, N, LENGTH)


@pytest.fixture(scope="module")
def ensemble(table: pd.DataFrame) -> Generation:
    return generate(table, 128, LENGTH)


def standardised(x: Tensor, series: Tensor) -> Tensor:
    return (x - series.mean(-1, keepdim=True)) / series.std(-1, correction=0, keepdim=True)


def test_paths_have_the_columns_of_the_table_in_their_units(made: Generation, table: pd.DataFrame) -> None:
    assert made.paths.shape == (N, 2, LENGTH) and made.paths.dtype == torch.float64
    assert made.columns == NAMES and torch.equal(made.series, torch.from_numpy(table.to_numpy().T))
    spread = made.paths.std(-1).mean(0)
    assert spread.tolist() == pytest.approx(table.std().tolist(), rel=0.5)
    assert isinstance(made.start, GaussianCopula) and made.notes == ()


def test_mean_energies_are_those_of_the_table(ensemble: Generation, made: Generation) -> None:
    assert torch.equal(ensemble.paths[:N], made.paths)
    paths, target = standardised(ensemble.paths, ensemble.series), ENERGY(standardised(made.series, made.series))
    mismatch = ENERGY(paths).mean(0) - target
    assert made.loss == pytest.approx(0.5 * float(mismatch @ mismatch / (target @ target)), rel=1e-6, abs=1e-20)
    assert made.loss < 1e-6
    assert made.shares.index.tolist() == list(ENERGY.labels) and (made.shares["largest three"] < 0.5).all()


def test_report_has_the_rows_of_each_column_and_of_the_pair(
    made: Generation, ensemble: Generation, table: pd.DataFrame
) -> None:
    one = generate(table["AAA"], 1, LENGTH, start="noise", duration=1e-6).report
    report = made.report
    assert report.index.tolist() == [f"{name}: {row}" for name in NAMES for row in one.index] + [
        f"AAA × BBB: correlation{kind}" for kind in ("", " of squares", ", lag -1", ", lag 1")
    ]
    own = report.loc[[f"AAA: {row}" for row in one.index], ["series", "windows"]]
    np.testing.assert_allclose(own, one[["series", "windows"]], rtol=1e-12)
    # np.array(report.index, dtype=str) and to_string are what files and terminals take.
    assert np.array(report.index, dtype=str).shape == (len(report),)
    assert len(report.to_string().splitlines()) == len(report) + 1

    def rows(frame: pd.DataFrame) -> list[float]:
        x, y = ((frame[name] - table[name].mean()) / table[name].std(ddof=0) for name in NAMES)
        pairs = [(x, y, 0), (x**2, y**2, 0), (x, y, -1), (x, y, 1)]
        deviations = [(a - a.mean(), b - b.mean(), lag) for a, b, lag in pairs]
        return [float((a * b.shift(-lag)).sum() / np.sqrt((a**2).sum() * (b**2).sum())) for a, b, lag in deviations]

    windows = [table.iloc[start : start + LENGTH] for start in range(0, 2048, LENGTH)]
    paths = [rows(pd.DataFrame(path.T.numpy(), columns=list(NAMES))) for path in ensemble.paths]
    expected = [
        rows(table),
        np.mean([rows(window) for window in windows], axis=0),
        np.mean(paths[:N], axis=0),
        *np.quantile(paths, [0.05, 0.95], axis=0),
    ]
    np.testing.assert_allclose(report.iloc[-4:].to_numpy().T, expected, rtol=0, atol=1e-12)
    assert report.columns.tolist() == ["series", "windows", "paths", "low", "high"]


def test_table_of_one_column_is_one_series(table: pd.DataFrame) -> None:
    alone = generate(table["AAA"], 2, 64, start="noise")
    for one in (table[["AAA"]], table[["AAA"]].to_numpy(), torch.from_numpy(table[["AAA"]].to_numpy())):
        made = generate(one, 2, 64, start="noise")
        assert torch.equal(made.paths, alone.paths) and made.report.equals(alone.report) and made.columns == ()


def test_array_tensor_and_rows_give_the_paths_of_the_table(table: pd.DataFrame) -> None:
    settings: dict[str, Any] = {"n_paths": 2, "length": 64, "start": "noise", "duration": 1e3}
    expected, values = generate(table, **settings).paths, table.to_numpy()
    for other in (values, torch.from_numpy(values), values.tolist()):
        made = generate(other, **settings)
        assert torch.equal(made.paths, expected) and made.columns == ("column 0", "column 1")


def test_header_of_several_rows_is_joined(table: pd.DataFrame) -> None:
    frame = table.set_axis(pd.MultiIndex.from_product([["Close"], NAMES]), axis=1)
    made = generate(frame, 1, 64, start="noise", duration=1e-6)
    assert made.columns == ("Close/AAA", "Close/BBB")


def test_start_from_noise_has_the_correlation_of_the_table_and_another_energy_is_used(table: pd.DataFrame) -> None:
    energy = CrossCorrelations(NAMES, lags=0)
    made = generate(table, 128, LENGTH, start="noise", energy=energy)
    assert isinstance(made.start, GaussianCopula) and all(isinstance(law, WhiteNoise) for law in made.start.laws)
    assert float(made.start.correlation[0, 1]) == pytest.approx(table.corr("spearman").iloc[0, 1], abs=0.05)
    paths, target = standardised(made.paths, made.series), energy(standardised(made.series, made.series))
    torch.testing.assert_close(energy(paths).mean(0), target, rtol=0, atol=1e-6)


def test_notes_name_the_column_that_they_are_on(table: pd.DataFrame) -> None:
    trending = table.assign(BBB=table["BBB"] + np.linspace(0.0, 2.0, len(table))).head(1000)
    notes = generate(trending, 1, 64, start="noise", duration=1e-6).notes
    assert notes[0].startswith("The series has 1000 points")
    assert next(note for note in notes if "trend" in note).startswith("BBB: The means of the two halves")


def test_law_that_cannot_be_fitted_to_a_column_is_said_with_its_name(table: pd.DataFrame) -> None:
    flat = table.assign(BBB=np.random.default_rng(0).uniform(size=len(table)))
    made = generate(flat, 1, 64, start="student", duration=1e-6)
    assert isinstance(made.start, GaussianCopula) and isinstance(made.start.laws[1], WhiteNoise)
    assert any(note.startswith("BBB: The paths started from white noise, as 'student'") for note in made.notes)


def test_paths_like_the_sp500_and_the_nasdaq_are_as_correlated_as_they_are() -> None:
    closes = {"S&P 500": mm.data.sp500(), "Nasdaq": arch.data.nasdaq.load()["Adj Close"]}
    returns = pd.DataFrame({name: np.log(series).diff() for name, series in closes.items()}).dropna().tail(1024)
    made = generate(returns, 20, 256, start="argarch")
    windows = torch.from_numpy(returns.to_numpy().T.reshape(2, 4, 256).copy()).transpose(0, 1)
    of_windows, of_paths = (cross_correlation(x[:, 0], x[:, 1], 0)[:, 0] for x in (windows, made.paths))
    # Five standard errors of the mean of four windows, and of 20 paths.
    error = (of_windows.var() / 4 + of_paths.var() / 20).sqrt()
    assert abs(float(of_paths.mean() - of_windows.mean())) < 5 * float(error)
    row = made.report.loc["S&P 500 × Nasdaq: correlation"]
    assert row["series"] == pytest.approx(returns.corr().iloc[0, 1]) and row["low"] < row["series"] < row["high"]


# --- refusals ----------------------------------------------------------------------------------------------------


def with_gap(table: pd.DataFrame) -> pd.DataFrame:
    gap = table.copy()
    gap.iloc[[3, 7], 1] = np.nan
    return gap


REFUSED: dict[str, tuple[Any, str]] = {
    "missing": (with_gap, r"series\['BBB'\] has no value in 2 of its 2048 rows, the first at 2000-01-06.*dropna\(\)"),
    "infinite": (lambda t: t.replace(t.iloc[5, 0], np.inf), r"series\['AAA'\] has 1 entries that are NaN or infinite"),
    "not a number": (lambda t: np.where(t == t.iloc[5, 1], np.nan, t), r"series\[:, 1\] has 1 entries that are NaN"),
    "constant": (lambda t: t.assign(BBB=1.5), r"series\['BBB'\] is constant at 1.5"),
    "text": (lambda t: t.assign(BBB="x"), r"series\['BBB'\] has dtype object; expected real numbers"),
    "short": (lambda t: t.head(100), r"series\['AAA'\] has 100 points; expected at least 250"),
    "same names": (lambda t: t.set_axis(["AAA", "AAA"], axis=1), "series has 2 columns named 'AAA'; expected names"),
    "same values": (lambda t: t.assign(BBB=t["AAA"]), "one series is a function of the others. Leave it out"),
    "on its side": (lambda t: t.T, r"series has shape \(2, 2048\); expected \(points, columns\).*Use series.T"),
    "no columns": (lambda t: t[[]], r"series has shape \(2048, 0\); expected \(points, columns\)"),
    "cube": (lambda t: np.zeros((400, 2, 2)), r"series has shape \(400, 2, 2\); expected \(length,\)"),
    "two lengths": (
        lambda t: [t["AAA"], t["BBB"].head(300)],
        r"series is a list of 2 sequences of 300 and 2048 numbers; expected a table.*pandas.concat",
    ),
    "a dict": (lambda t: dict(t), "series is a dict of 2 sequences of 2048 numbers; expected a table"),
    "ragged rows": (lambda t: [[1.0, 2.0], [3.0]], "series is a list of 2 sequences of 1 and 2 numbers"),
    "too many": (
        lambda t: np.random.default_rng(0).standard_normal((400, 8)),
        r"series has 8 columns of 400 points; expected more points than the 624 energies .* 28 pairs.*fewer columns",
    ),
    "tiny": (lambda t: t.assign(BBB=1e-200 * t["BBB"]), "BBB has a standard deviation of 0.0 in double precision"),
}


@pytest.mark.parametrize(("spoil", "message"), REFUSED.values(), ids=list(REFUSED))
def test_table_that_is_none_is_refused_with_the_column(table: pd.DataFrame, spoil: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        generate(spoil(table), 1, 64, start="noise")


def test_half_line_is_for_one_column(table: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"series has 2 columns and support .*expected the real line.*at a time"):
        generate(table.abs(), 1, 64, support=constraints.nonnegative)
