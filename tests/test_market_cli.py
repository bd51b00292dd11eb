"""The command `mfmgdm reproduce market`: listings, runs, and messages about missing series."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mfmgdm_lib.cli import main
from mfmgdm_lib.companion import MARKET, results, select
from mfmgdm_lib.runs import complete
from mfmgdm_lib.runs.store import Progress, ResultStore

PATTERN = "sp500-stylized-noise-20000-*-descent"
MGDM, MF = select(MARKET, [PATTERN])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> ResultStore:
    return ResultStore(folder)


def market(folder: Path, *options: str, cells: str = PATTERN) -> Result:
    result = CliRunner().invoke(main, ["reproduce", "market", "--cells", cells, "--store", str(folder), *options])
    # Whatever goes wrong is said in a sentence: no traceback.
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_list_has_a_line_for_each_cell_and_makes_nothing(folder: Path) -> None:
    listed = market(folder, "--list", cells="*")
    assert listed.exit_code == 0 and listed.stderr == ""
    lines = listed.output.splitlines()
    assert lines[0].split() == ["cell", "state", "step", "wall", "time", "left", "result"]
    for line, cell in zip(lines[1:-1], MARKET, strict=True):
        assert line.split()[:3] == [cell.key, "missing", f"0/{cell.n_steps}"]
    assert lines[-1].startswith("Left, one after the other: ") and not folder.exists()


def test_dry_run_names_the_cells_that_are_missing_and_their_files(folder: Path, store: ResultStore) -> None:
    planned = market(folder, "--dry-run")
    assert planned.exit_code == 0 and not folder.exists()
    assert planned.output.splitlines() == [
        f"{MGDM.key}  20000 steps  -> {store.path(MGDM)}",
        f"{MF.key}  20000 steps  -> {store.path(MF)}",
        "2 of 2 cells would be run.",
    ]


def test_run_that_was_put_down_is_listed_with_its_loss_and_the_time_that_is_left(
    folder: Path, store: ResultStore
) -> None:
    store.save_checkpoint(MF, {}, Progress("interrupted", 5000, 1800.0, 3.21e-4))
    line = market(folder, "--list").output.splitlines()[2]
    assert line.split()[:3] == [MF.key, "interrupted", "5000/20000"]
    # Half an hour for a quarter.
    assert "30 min 00 s   1 h 30 min  loss 3.2e-04 so far" in line


def test_time_that_is_left_is_guessed_from_results_of_the_kind(folder: Path, store: ResultStore) -> None:
    small = dataclasses.replace(MF, n_paths=8, length=128, n_steps=2)
    complete(small, store)
    result = store.read(small)
    store.save(MF, result.table, {**result.provenance, "wall_time": 7200.0, "steps": 20_000})
    lines = market(folder, "--list").output.splitlines()
    assert lines[1].split()[1] == "missing" and "2 h 00 min" in lines[1]  # as many paths and steps as the other
    assert lines[2].split()[:3] == [MF.key, "done", "20000/20000"] and lines[2].endswith("after 20000 steps")
    assert lines[3] == "Left, one after the other: 2 h 00 min"
    assert market(folder, "--dry-run").output.splitlines()[-1] == "1 of 2 cells would be run."


def test_results_that_are_kept_tell_how_long_others_of_the_kind_take(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "result_store", lambda name, **_: ResultStore(tmp_path / "kept" / name))
    kept = ResultStore(tmp_path / "kept" / "market")
    complete(small := dataclasses.replace(MF, n_paths=8, length=128, n_steps=2), kept)
    (rates,) = select(MARKET, ["eur-5y-stylized-noise-2500-mf-descent"])
    kept.save(rates, kept.read(small).table, {"wall_time": 60.0, "steps": 2500})
    # 8 times as many steps take 8 times as long.
    assert "8 min 00 s" in market(folder, "--list").output.splitlines()[1]
    assert "unknown" in market(folder, "--list", cells="*-flow").output.splitlines()[1]


def test_reference_model_is_computed_and_then_found(folder: Path, store: ResultStore) -> None:
    first = market(folder, cells="sp500-reference")
    assert first.exit_code == 0 and first.stderr == ""
    (cell,) = select(MARKET, ["sp500-reference"])
    loss = store.read(cell).table.loc["loss", "value"]
    assert first.output == f"[1/1] sp500-reference  loss {loss:.1e} after 0 steps  (computed)\n"
    assert market(folder, cells="sp500-reference").output == first.output.replace("(computed)", "(found)")


def test_rates_that_are_not_there_are_said(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFMGDM_DATA_DIR", str(tmp_path))
    result = market(folder, cells="eur-10y-reference")
    assert result.exit_code == 2
    assert "which has none of ecb/SR_10Y.csv, SR_10Y.csv, rates/eur_10y.csv" in result.stderr


def test_unknown_cell_is_said(folder: Path) -> None:
    result = market(folder, cells="ar01-*")
    assert result.exit_code == 2 and not folder.exists()
    assert "no cell is called 'ar01-*'; expected a name such as 'sp500-reference'" in result.stderr


def test_help_says_where_the_rates_come_from() -> None:
    result = CliRunner().invoke(main, ["reproduce", "market", "--help"])
    assert result.exit_code == 0 and "MFMGDM_DATA_DIR" in result.output


# --- verify ------------------------------------------------------------------------------------------------------


def verify(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["verify", "market", "--store", str(folder), *options])


def test_verify_recomputes_what_is_there_and_says_what_is_not(folder: Path, store: ResultStore) -> None:
    assert verify(folder).exit_code == 1  # nothing is there
    market(folder, cells="sp500-reference")
    verdict = verify(folder, "--steps", "1")
    assert verdict.exit_code == 0 and verdict.output.startswith("ok    sp500-reference: ")
    assert f"----  {MF.key}: not run yet" in verdict.output
    assert "usd" not in verdict.output  # whose series may not be at hand
    assert verdict.output.endswith("1 of 1 stored traces agree over their first 1 steps.\n")


def test_verify_fails_where_a_result_is_of_other_data(folder: Path, store: ResultStore) -> None:
    market(folder, cells="sp500-reference")
    (cell,) = select(MARKET, ["sp500-reference"])
    result = store.read(cell)
    alpha = [1.01 * value for value in result.provenance["alpha"]]
    store.save(cell, result.table, {**result.provenance, "alpha": alpha})
    verdict = verify(folder, "--cells", "sp500-reference")
    assert verdict.exit_code == 1 and "FAIL  sp500-reference: " in verdict.output
