"""Files of generated paths: their contents, and refusals before anything is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mfmgdm_lib as mm
from mfmgdm_lib.generation import Generation
from mfmgdm_lib.io.files import FIGURE_SUFFIXES, check_output
from mfmgdm_lib.io.paths import PATHS_SUFFIXES, paths_table, report_text, save_paths


@pytest.fixture(scope="module")
def made() -> Generation:
    return mm.generate(mm.processes.AR([0.3]).sample(1, 400, seed=0)[0], n_paths=3, length=64)


def test_parquet_holds_the_paths_in_columns_to_the_last_bit(made: Generation, tmp_path: Path) -> None:
    table = pd.read_parquet(save_paths(made, tmp_path / "paths.parquet"))
    np.testing.assert_array_equal(table.to_numpy().T, made.paths.numpy())


def test_csv_holds_the_paths_in_columns_to_the_last_bit(made: Generation, tmp_path: Path) -> None:
    path = save_paths(made, tmp_path / "paths.csv")
    table = pd.read_csv(path, index_col=0, comment="#", float_precision="round_trip")
    np.testing.assert_array_equal(table.to_numpy().T, made.paths.numpy())


def test_npz_holds_the_paths_in_rows_and_needs_no_pickle(made: Generation, tmp_path: Path) -> None:
    with np.load(save_paths(made, tmp_path / "paths.npz"), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["paths"], made.paths.numpy())


# --- prices, dates and where paths are from -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def dated() -> Generation:
    steps = mm.processes.AR([0.3]).sample(1, 400, seed=0)[0].numpy()
    rates = pd.Series(3.0 + 0.01 * np.cumsum(steps), pd.bdate_range("2020-01-01", periods=400), name="rate")
    rates.attrs = {"source": "made up", "unit": "percent"}
    return mm.generate(mm.data.returns(rates, "difference"), n_paths=3, length=64, start="noise")


def test_prices_are_the_levels_of_the_paths_from_the_last_date(dated: Generation) -> None:
    table = paths_table(dated, prices=4.0, dates=True)
    assert table.shape == (65, 3) and table.index[0] == dated.observed.index[-1]  # type: ignore[union-attr]
    assert table.index[1] == pd.Timestamp("2021-07-14") and table.index.name == "date"
    np.testing.assert_array_equal(table.iloc[0], 4.0)
    np.testing.assert_allclose(table.diff().iloc[1:].T, dated.paths, rtol=0, atol=1e-14)
    plain = paths_table(dated, dates=True)
    assert plain.index[0] == pd.Timestamp("2021-07-14")
    np.testing.assert_array_equal(plain.T, dated.paths)


def test_what_is_not_known_of_a_bare_array_is_said(made: Generation) -> None:
    with pytest.raises(ValueError, match=r"not known how the series.*mm.data.levels"):
        paths_table(made, prices=4.0)
    with pytest.raises(ValueError, match="the series had none"):
        paths_table(made, dates=True)


@pytest.mark.parametrize("suffix", PATHS_SUFFIXES)
def test_files_say_where_their_paths_are_from(dated: Generation, tmp_path: Path, suffix: str) -> None:
    path = save_paths(dated, tmp_path / f"paths{suffix}", prices=4.0, dates=True)
    if suffix == ".parquet":
        table = pd.read_parquet(path)
        about = table.attrs
    elif suffix == ".csv":
        head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
        about = {name: json.loads(value) for name, value in (line[2:].split(": ", 1) for line in head)}
        table = pd.read_csv(path, comment="#", index_col=0, parse_dates=True, float_precision="round_trip")
    else:
        with np.load(path) as arrays:
            about = {name: arrays[name].tolist() for name in arrays.files}
            table = pd.DataFrame(arrays["prices"].T, index=pd.to_datetime(arrays["dates"]))
    np.testing.assert_array_equal(table, paths_table(dated, prices=4.0, dates=True))
    assert table.index[0] == pd.Timestamp("2021-07-13")
    expected = {"kind": "generated paths", "source": "made up", "unit": "percent per trading day", "seed": "0"}
    expected |= {"version": mm.__version__, "points": 399, "first": "2020-01-02T00:00:00"}
    assert {name: about[name] for name in expected} == expected
    if suffix != ".npz":
        assert about["report"]["kurtosis"]["paths"] == dated.report.loc["kurtosis", "paths"]


@pytest.mark.parametrize("suffix", PATHS_SUFFIXES)
def test_file_that_is_there_is_kept_unless_it_may_go(made: Generation, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"paths{suffix}"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="is there already"):
        save_paths(made, path)
    assert path.read_bytes() == b"mine"
    save_paths(made, path, force=True)
    assert path.read_bytes() != b"mine" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["paths.xlsx", "paths", "paths.pickle"])
def test_other_suffix_is_refused(made: Generation, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"suffix.*expected"):
        save_paths(made, tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        check_output(tmp_path / "nowhere" / "a.png", FIGURE_SUFFIXES)


def test_report_has_a_line_for_each_statistic_and_each_note(made: Generation) -> None:
    lines = report_text(made).splitlines()
    for label in made.report.index:
        assert any(line.startswith(label) for line in lines)
    assert sum(line.startswith("Note: ") for line in lines) == len(made.notes) > 0
