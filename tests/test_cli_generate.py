"""The commands `mfmgdm generate` and `mfmgdm data`: output, files and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mfmgdm_lib import cli

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


def test_same_seed_makes_the_same_file(file: Path, tmp_path: Path) -> None:
    first, second, other = (tmp_path / f"{name}.csv" for name in ("first", "second", "other"))
    for out, seed in ((first, "1"), (second, "1"), (other, "2")):
        assert invoke("generate", file, *FEW, "--seed", seed, "--out", out).exit_code == 0
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()


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
    assert (pd.read_csv(out) >= 0).all(axis=None)
