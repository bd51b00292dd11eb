"""Files of generated paths: their contents, and refusals before anything is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mfmgdm_lib as mm
from mfmgdm_lib.generation import Generation
from mfmgdm_lib.io.files import FIGURE_SUFFIXES, PATHS_SUFFIXES, check_output, report_text, save_paths


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
