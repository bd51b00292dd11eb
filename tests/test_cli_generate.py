"""The commands `mfmgdm generate` and `mfmgdm data`: output, files and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

import mfmgdm_lib as mm
from mfmgdm_lib import cli
from mfmgdm_lib.cli.energies import energy_of

FEW = ("--paths", "3", "--length", "64")


def invoke(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(cli.main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def prices(n: int = 450, *, frequency: str = "B") -> pd.Series:
    steps = 0.01 * np.random.default_rng(0).standard_normal(n)
    dates = pd.date_range("2015-01-02", periods=n, freq=frequency, name="date")
    return pd.Series(100 * np.exp(np.cumsum(steps)), dates, name="Close").round(4)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "prices.csv"
    prices().to_csv(path)
    return path


def test_paths_and_figure_are_made_and_compared(file: Path, tmp_path: Path) -> None:
    out, plot = tmp_path / "paths.parquet", tmp_path / "report.png"
    result = invoke("generate", file, "--column", "Close", *FEW, "--out", out, "--plot", plot)
    assert result.exit_code == 0, result.output
    assert pd.read_parquet(out).shape == (64, 3)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "standard deviation" in result.output and "Note: " in result.output


@pytest.mark.parametrize("there", ["paths.csv", "report.png"])
def test_output_that_is_there_is_kept_without_force(file: Path, tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_bytes(b"mine")
    outputs = ("--out", tmp_path / "paths.csv", "--plot", tmp_path / "report.png")
    result = invoke("generate", file, *FEW, *outputs)
    assert result.exit_code == 2 and there in result.output and "--force" in result.output
    assert (tmp_path / there).read_bytes() == b"mine" and len(list(tmp_path.iterdir())) == 2
    assert invoke("generate", file, *FEW, *outputs, "--force").exit_code == 0
    assert (tmp_path / there).read_bytes() != b"mine"


def spoilt(row: int, text: str) -> str:
    lines = prices().to_csv().splitlines()
    lines[row] = text
    return "\n".join(lines) + "\n"


BAD = {
    "a date": (spoilt(7, "someday,100.0"), "someday"),
    "an ambiguous date": (spoilt(7, "03/04/2015,100.0"), "03/04/2015"),
    "text in a number": (spoilt(7, "2015-01-12,call"), "call"),
    "a thousands separator": (spoilt(7, '2015-01-12,"1,234.5"'), "1,234.5"),
    "a date twice": (spoilt(7, "2015-01-09,100.0"), "2015-01-09"),
    "a price that is not positive": (spoilt(7, "2015-01-12,-1.0"), "--returns difference"),
    "a constant": (prices().mul(0.0).add(5.0).to_csv(), "constant"),
    "too few": (prices(100).to_csv(), "99"),
    "nothing": ("", "empty"),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=list(BAD))
def test_bad_series_is_refused_and_leaves_nothing(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text, encoding="utf-8")
    result = invoke("generate", file, *FEW, "--out", tmp_path / "paths.csv")
    assert result.exit_code == 2 and said in result.output, result.output
    assert list(tmp_path.iterdir()) == [file]


def test_column_that_is_missing_is_said_with_those_that_are_there(file: Path, tmp_path: Path) -> None:
    result = invoke("generate", file, "--column", "Open", "--out", tmp_path / "paths.csv")
    assert result.exit_code == 2 and "Open" in result.output and "Close" in result.output


def test_prices_dates_risk_and_flow_are_written(file: Path, tmp_path: Path) -> None:
    out, risk, flow = tmp_path / "paths.csv", tmp_path / "risk.csv", tmp_path / "flow.npz"
    extras = ("--prices", "last", "--dates", "--risk", risk, "--flow", flow, "--start", "noise")
    result = invoke("generate", file, *FEW, "--paths", "20", "--out", out, *extras)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(out, comment="#", index_col="date", parse_dates=True)
    assert table.shape == (65, 20) and (table.iloc[0] == prices().iloc[-1]).all()
    assert table.index[0] == prices().index[-1]
    losses = pd.read_csv(risk, comment="#", index_col=[0, 1])
    assert losses.loc[(1, "value at risk, 95 %"), "value"] > 0 and "value at risk, 95 %" in result.output
    drawn = tmp_path / "drawn.npz"
    assert invoke("sample", flow, "--paths", "500", "--out", drawn).exit_code == 0
    with np.load(drawn) as arrays:
        assert arrays["paths"].std() == pytest.approx(0.01, rel=0.1) and arrays["unit"] == "log-return per trading day"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Prices of two shares, one of which has no value on some days."""
    first = prices()
    second = first.sort_index(ascending=False).set_axis(first.index) + 7.0
    path = tmp_path / "two.csv"
    pd.DataFrame({"AAA": first, "BBB": second.mask(np.arange(450) % 100 == 50)}).to_csv(path)
    return path


def test_several_columns_are_generated_together(two: Path, tmp_path: Path) -> None:
    out, risk = tmp_path / "paths.npz", tmp_path / "risk.csv"
    options = ("--column", "AAA", "--column", "BBB", "--missing", "drop", "--start", "noise", "--prices", "last")
    result = invoke("generate", two, *FEW, *options, "--dates", "--risk", risk, "--out", out)
    assert result.exit_code == 0, result.output
    assert "two.csv, columns AAA, BBB: 445 points" in result.output and "AAA × BBB: correlation" in result.output
    assert "In the file, 4 rows without a value were left out." in result.output
    with np.load(out) as arrays:
        assert arrays["columns"].tolist() == ["AAA", "BBB"] and arrays["prices"].shape == (3, 2, 65)
        table = pd.read_csv(two, index_col="date")
        assert (arrays["prices"][..., 0] == table.iloc[-1].to_numpy()).all()
        changes = np.diff(np.log(arrays["prices"]), axis=-1)
        np.testing.assert_allclose(changes, arrays["paths"], rtol=0, atol=1e-12)
    assert pd.read_csv(risk, comment="#")["series"].unique().tolist() == ["AAA", "BBB"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--column", "BBB"), "--column is 'BBB' twice"),
        (("--column", "AAA"), "has no value on 4 lines"),
        (("--column", "AAA", "--missing", "drop", "--prices", "100"), "--prices is 100.0 with 2 columns"),
        (("--column", "AAA", "--missing", "drop", "--flow", "f.npz"), "--flow is f.npz with 2 columns"),
        (("--column", "AAA", "--missing", "drop", "--energy", "Autocovariance"), "with 2 columns; expected one column"),
    ],
)
def test_options_for_one_column_are_refused_with_several(
    options: tuple[str, ...], said: str, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("generate", two, *FEW, "--column", "BBB", *options, "--out", "paths.csv")
    assert result.exit_code == 2 and said in " ".join(result.output.split()), result.output
    assert list(tmp_path.iterdir()) == [two]


def test_each_column_is_inspected(two: Path) -> None:
    result = invoke("data", "inspect", two, "--column", "AAA", "--column", "BBB", "--missing", "drop")
    assert "columns AAA, BBB: 446 points" in result.output and "Note: BBB: The series has 445 points" in result.output


def test_energy_is_chosen_by_its_name(file: Path, tmp_path: Path) -> None:
    flow = tmp_path / "flow.npz"
    for name, found in (("Autocovariance", "Autocovariance()"), ("StylizedFacts(lags=2)", "StylizedFacts(lags=2)")):
        options = ("--energy", name, "--start", "noise", "--flow", flow, "--force")
        assert invoke("generate", file, *FEW, "--out", tmp_path / "paths.csv", *options).exit_code == 0
        assert mm.FrozenFlow.load(flow).energy.__repr__() == found


def test_flow_is_stopped_where_it_costs_more_than_it_gains(file: Path, tmp_path: Path) -> None:
    flow = tmp_path / "flow.npz"
    options = ("--start", "noise", "--energy", "StylizedFacts(lags=2)", "--flow", flow, "--force")
    steps = {}
    for stop in ("duration", "balanced"):
        result = invoke("generate", file, *FEW, "--stop", stop, "--out", tmp_path / "paths.csv", *options)
        assert result.exit_code == 0, result.output
        steps[stop] = mm.FrozenFlow.load(flow).n_steps
    assert 0 < steps["balanced"] < steps["duration"]


@pytest.mark.parametrize("name", ["ScatteringMean", "ScatteringCovariance", "ScatteringSpectra"])
def test_scattering_energies_are_those_of_the_length(name: str) -> None:
    energy = energy_of(name, 256, mm.data.returns(prices()))
    assert energy.event_shape == (256,)
    if name == "ScatteringSpectra":
        assert energy.scale != (1.0,) * 8  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--prices", "4700", "--returns", "none"), "--prices is 4700.0 with --returns none"),
        (("--prices", "-3"), "--prices is -3.0; expected a price above 0"),
        (("--prices", "much"), "'much' is no number"),
        (("--prices", "nan", "--returns", "difference"), "'nan' is not finite"),
        (("--prices", "inf"), "'inf' is not finite"),
        (("--dates", "--length", "1000000"), "Use a smaller --length, or leave --dates out."),
        (("--risk", "losses.txt"), "suffix"),
        (("--risk", "losses.csv", "--returns", "none"), "--risk is losses.csv with --returns none"),
        (("--risk", "paths.csv"), "--risk and --out are both"),
        (("--flow", "f.npz", "--support", "nonnegative", "--returns", "none"), "--flow is f.npz with --support"),
        (("--stop", "early"), "'early' is not one of 'duration', 'balanced'"),
        (("--energy", "Scattering"), "--energy is 'Scattering'; expected one of StylizedFacts"),
        (("--energy", "ScatteringMean", "--length", "500"), "--length is 500 with --energy ScatteringMean"),
        (("--since", "2030-01-01"), "leave nothing of 2015-01-02"),
        (("--since", "yesterday"), "is 'yesterday'; expected a date"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: tuple[str, ...], said: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("generate", file, *FEW, "--out", "paths.csv", *options)
    assert result.exit_code == 2 and said in " ".join(result.output.split()), result.output
    assert list(tmp_path.iterdir()) == [file]


def test_weekly_series_is_taken_and_said(tmp_path: Path) -> None:
    file, out = tmp_path / "weekly.csv", tmp_path / "paths.csv"
    prices(frequency="W-FRI").to_csv(file)
    result = invoke("generate", file, *FEW, "--out", out)
    assert result.exit_code == 0 and "weekly, not daily" in result.output and out.is_file()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and a folder of files in place of downloads."""
    (tmp_path / "files" / "fred").mkdir(parents=True)
    rates = pd.Series(np.linspace(1.0, 2.0, 40), pd.bdate_range("2020-01-01", periods=40, name="date"), name="value")
    rates.to_csv(tmp_path / "files" / "fred" / "DGS10.csv")
    monkeypatch.setenv("MFMGDM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MFMGDM_DATA_DIR", str(tmp_path / "files"))
    return tmp_path / "cache"


def test_series_is_fetched_from_a_folder_in_place_of_a_download(cache: Path) -> None:
    result = invoke("data", "fetch", "fred", "DGS10")
    assert result.exit_code == 0 and "40 rows, 2020-01-01 to 2020-02-25, daily" in result.output


def test_series_of_a_publisher_takes_the_place_of_a_file(cache: Path, tmp_path: Path) -> None:
    result = invoke("data", "inspect", "fred:DGS10", "--returns", "difference", "--since", "2020-01-10")
    assert "DGS10.csv in MFMGDM_DATA_DIR, for fred DGS10: 33 points, 2020-01-10" in result.output
    result = invoke("data", "inspect", "fred:DGS10", "--column", "value")
    assert result.exit_code == 2 and "--column is given for fred:DGS10" in result.output
    result = invoke("data", "inspect", "cache:fred:DGS10")
    assert result.exit_code == 2 and "has no fred DGS10" in result.output


def test_series_that_the_folder_lacks_is_said(cache: Path) -> None:
    result = invoke("data", "fetch", "fred", "DGS5")
    assert result.exit_code == 2 and "DGS5.csv" in result.output


def test_empty_cache_is_listed_and_whole(cache: Path) -> None:
    assert "Nothing is kept" in invoke("data", "list").output
    assert invoke("data", "verify").exit_code == 0


def test_damaged_file_in_the_cache_is_named_with_exit_code_1(cache: Path) -> None:
    from mfmgdm_lib.data.cache import cache_folder

    cache_folder().mkdir(parents=True)
    (cache_folder() / "fred-DGS10.csv").write_text("# sha256: 00\ndate,value\n", encoding="utf-8")
    result = invoke("data", "verify")
    assert result.exit_code == 1 and "fred-DGS10.csv" in result.output


def test_levels_on_the_half_line_give_paths_from_zero_on(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "paths.csv"
    asked = ("generate", file, *FEW, "--support", "nonnegative", "--out", out)
    refused = invoke(*asked)
    assert refused.exit_code == 2 and "Leave --support out, or use --returns none" in refused.output
    assert invoke(*asked, "--returns", "none").exit_code == 0
    assert (pd.read_csv(out, comment="#") >= 0).all(axis=None)
