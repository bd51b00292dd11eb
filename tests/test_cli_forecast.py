"""The command `mfmgdm forecast`: output, files and errors."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mfmgdm_lib import cli
from mfmgdm_lib.cli.options import BASES
from mfmgdm_lib.energies import GivenPast
from mfmgdm_lib.flows import fit_conditional_flow
from mfmgdm_lib.processes.volatility_fit import MODELS

FEW = ("--paths", "500", "--horizon", "5")


def invoke(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(cli.main, ["forecast", *(str(argument) for argument in arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def prices(n: int = 700) -> pd.Series:
    steps = 0.01 * np.random.default_rng(0).standard_t(6, n)
    dates = pd.date_range("2015-01-02", periods=n, freq="B", name="date")
    return pd.Series(100 * np.exp(np.cumsum(steps)), dates, name="Close").round(4)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few energies, none of them chosen from."""
    quick = partial(fit_conditional_flow, energy=GivenPast((1,)))
    monkeypatch.setattr("mfmgdm_lib.forecasting.fit_conditional_flow", quick)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "prices.csv"
    prices().to_csv(path)
    return path


def test_bases_are_the_models_of_volatility() -> None:
    assert BASES == MODELS


def test_table_figure_and_paths_are_written(file: Path, tmp_path: Path) -> None:
    out, plot, paths = tmp_path / "forecast.csv", tmp_path / "fan.png", tmp_path / "paths.parquet"
    result = invoke(file, *FEW, "--out", out, "--plot", plot, "--paths-out", paths)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(out, comment="#", index_col="horizon", parse_dates=["date"])
    assert table.index.tolist() == [1, 2, 3, 4, 5] and table["date"].iloc[0] > prices().index[-1]
    written = pd.read_parquet(paths)
    assert written.shape == (6, 500) and (written.iloc[0] == prices().iloc[-1]).all()
    np.testing.assert_allclose(table["50 %"], written.iloc[1:].median(axis=1), rtol=1e-12)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "value at risk, 99 %" in result.output and "Note: " in result.output


def test_backtests_are_printed_and_written(file: Path, tmp_path: Path) -> None:
    written, drawn = tmp_path / "tests.csv", tmp_path / "tests.png"
    extras = ("--backtest", written, "--backtest-days", "150", "--backtest-plot", drawn)
    result = invoke(file, *FEW, "--out", tmp_path / "forecast.csv", *extras)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(written, comment="#", index_col=["law", "statistic"])
    assert table.loc[("argarch-t", "violations, 95 %"), "expected"] == pytest.approx(7.5)
    assert {"flow", "argarch-t", "gain over argarch-t"} == {*table.index.get_level_values("law")}
    assert "unconditional coverage LR, 99 %" in result.output and drawn.read_bytes().startswith(b"\x89PNG")


def test_rates_are_forecast_from_differences(tmp_path: Path) -> None:
    file, out = tmp_path / "rates.csv", tmp_path / "forecast.csv"
    (prices() - 100.0).to_csv(file)
    assert invoke(file, *FEW, "--out", out).exit_code == 2
    result = invoke(file, *FEW, "--returns", "difference", "--out", out)
    assert result.exit_code == 0 and "unit of the series" in result.output, result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--returns", "none"), "--returns is none"),
        (("--column", "Close", "--column", "Other"), "--column is given 2 times"),
        (("--paths", "1"), "--paths"),
        (("--base", "arch"), "--base"),
        (("--backtest", "tests.csv"), "--backtest-days"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    file = tmp_path / "prices.csv"
    pd.DataFrame({"Close": prices(), "Other": prices() + 1.0}).to_csv(file)
    column = () if "--column" in arguments else ("--column", "Close")
    given = [str(tmp_path / word) if word.endswith(".csv") else word for word in arguments]
    result = invoke(file, *column, *FEW, "--out", tmp_path / "out.csv", *given)
    assert result.exit_code == 2 and said in result.output, result.output
    assert list(tmp_path.iterdir()) == [file]


def test_figure_needs_dates_that_are_known(tmp_path: Path) -> None:
    file, out = tmp_path / "minutes.csv", tmp_path / "forecast.csv"
    prices().set_axis(pd.date_range("2024-01-02", periods=700, freq="min", name="date")).to_csv(file)
    result = invoke(file, *FEW, "--out", out, "--plot", tmp_path / "fan.png")
    assert result.exit_code == 2 and "--plot needs the dates" in result.output, result.output
    result = invoke(file, *FEW, "--out", out)
    assert result.exit_code == 0 and "date" not in pd.read_csv(out, comment="#"), result.output


def test_strict_writes_nothing_if_there_are_doubts(file: Path, tmp_path: Path) -> None:
    result = invoke(file, *FEW, "--strict", "--out", tmp_path / "forecast.csv")
    assert result.exit_code == 3 and "nothing was written" in result.output and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("there", ["forecast.csv", "fan.png"])
def test_output_that_is_there_is_kept_without_force(file: Path, tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_bytes(b"mine")
    outputs = ("--out", tmp_path / "forecast.csv", "--plot", tmp_path / "fan.png")
    result = invoke(file, *FEW, *outputs)
    assert result.exit_code == 2 and there in result.output and "--force" in result.output
    assert (tmp_path / there).read_bytes() == b"mine" and len(list(tmp_path.iterdir())) == 2
    assert invoke(file, *FEW, *outputs, "--force").exit_code == 0
    assert (tmp_path / there).read_bytes() != b"mine"
