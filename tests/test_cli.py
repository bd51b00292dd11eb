"""The commands `reproduce` and `verify`: output, files and exit codes."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

import click
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mfmgdm_lib import cli
from mfmgdm_lib.cli.output import say
from mfmgdm_lib.companion import results, select, table_1
from mfmgdm_lib.runs.store import Progress, ResultStore

PATTERN = "ar01-acf-*"
MGDM, MF = select(table_1("quick"), [PATTERN])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> ResultStore:
    return ResultStore(folder)


def invoke(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(cli.main, [str(argument) for argument in arguments])
    # Whatever goes wrong is said in a sentence: no traceback.
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def reproduce(folder: Path, *options: str | Path) -> Result:
    return invoke("reproduce", "table1", "--profile", "quick", "--cells", PATTERN, "--store", folder, *options)


def verify(folder: Path, *options: str | Path) -> Result:
    return invoke("verify", "results", "--profile", "quick", "--cells", PATTERN, "--store", folder, *options)


@pytest.fixture
def filled(folder: Path) -> Path:
    """A store with both cells in it."""
    assert reproduce(folder).exit_code == 0
    return folder


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


# --- reproduce ---------------------------------------------------------------------------------------------------


def test_cells_are_computed_and_then_found(folder: Path, store: ResultStore) -> None:
    first = reproduce(folder)
    assert first.exit_code == 0 and first.stderr == ""
    lines = first.output.splitlines()
    for line, done, cell in zip(lines, ("[1/2]", "[2/2]"), (MGDM, MF), strict=True):
        table = store.read(cell).table
        best = table["reverse_kl"].idxmin()
        value = f"KL {table.loc[best, 'reverse_kl']:.2f} ± {table.loc[best, 'standard_error']:.2f} at step {best}"
        assert line == f"{done} {cell.key}  {value}  (computed)"
    before = contents(folder)
    assert reproduce(folder).output == first.output.replace("(computed)", "(found)")
    assert contents(folder) == before


def test_replicates_are_results_of_their_own(folder: Path, store: ResultStore) -> None:
    result = reproduce(folder, "--replicates", "2")
    assert result.exit_code == 0 and result.output.count("(computed)") == 4
    assert all(store.load(cell.replicate(k)) is not None for cell in (MGDM, MF) for k in (1, 2))
    assert store.load(MGDM) is None


def test_run_that_was_put_down_goes_on(folder: Path, store: ResultStore) -> None:
    run = MF.run()
    for step in run.steps():
        if step == 5:
            break
    store.save_checkpoint(MF, run.checkpoint(), Progress("interrupted", run.step, 7200.0, run.value()))
    listed = reproduce(folder, "--list").output.splitlines()
    assert f"KL {run.value():.2f} nats so far" in listed[2] and "interrupted" in listed[2] and "5/25" in listed[2]
    # 20 of 25 steps are left of a run that took two hours for five.
    assert "2 h 00 min" in listed[2] and "8 h 00 min" in listed[2]
    assert reproduce(folder).exit_code == 0
    assert store.read(MF).provenance["wall_time"] >= 7200.0


def test_list_and_dry_run_of_nothing_make_nothing(folder: Path) -> None:
    listed, planned = reproduce(folder, "--list"), reproduce(folder, "--dry-run")
    assert listed.exit_code == planned.exit_code == 0
    assert [line.split()[:3] for line in listed.output.splitlines()[1:3]] == [
        ["ar01-acf-mgdm", "missing", "0/25"],
        ["ar01-acf-mf", "missing", "0/25"],
    ]
    assert listed.output.splitlines()[-1].startswith("Left, one after the other: ")
    assert planned.output.splitlines()[-1] == "2 of 2 cells would be run."
    assert all(name in planned.output for name in ("ar01-acf-mgdm  25 steps", str(folder)))
    assert not folder.exists()


def test_list_and_dry_run_say_what_is_there_and_change_nothing(filled: Path, store: ResultStore) -> None:
    store.path(MF).unlink()
    before = contents(filled)
    listed, planned = reproduce(filled, "--list").output.splitlines(), reproduce(filled, "--dry-run").output
    assert [line.split()[1] for line in listed[1:3]] == ["done", "missing"]
    assert "at step" in listed[1] and "25/25" in listed[1]
    assert planned.endswith("1 of 2 cells would be run.\n") and MF.key in planned and MGDM.key not in planned
    with store.claim(MF):
        assert reproduce(filled, "--list").output.splitlines()[2].split()[1] == "running"
    assert contents(filled) == before


def test_cells_that_lack_a_file_are_told_before_the_others_are_run(
    folder: Path, store: ResultStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(results.PROJECTION_FILES, "white noise", tmp_path / "gone.npz")
    result = invoke(
        *("reproduce", "table1", "--profile", "quick", "--store", folder, "--cells", "ar01-acf-mf"),
        *("--cells", "ar01-scatcov-*"),
    )
    assert result.exit_code == 2
    assert (
        "Left out: ar01-scatcov-mgdm, ar01-scatcov-mf: " in result.stderr and "gone.npz is not there" in result.stderr
    )
    assert result.output.index("Left out") < result.output.index("[1/1] ar01-acf-mf")
    assert store.load(MF) is not None


def test_an_installed_package_is_not_written_to(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = filled.rename(tmp_path / "quick")
    ResultStore(installed).path(MF).unlink()
    monkeypatch.setattr(results, "_CHECKOUT", None)
    monkeypatch.setattr(results, "_RESULTS", tmp_path)
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    before = contents(installed)
    result = invoke("reproduce", "table1", "--profile", "quick", "--cells", PATTERN)
    assert result.exit_code == 0 and f"New results go to {tmp_path / 'desk' / 'results' / 'quick'}" in result.stderr
    assert [line.rpartition("(")[2] for line in result.stdout.splitlines()] == ["found)", "computed)"]
    assert contents(installed) == before
    assert ResultStore(tmp_path / "desk" / "results" / "quick").load(MF) is not None
    verdict = invoke("verify", "results", "--profile", "quick", "--cells", PATTERN)
    assert verdict.exit_code == 0 and "2 of 2 stored traces agree" in verdict.output


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def test_damaged_result_is_run_again(filled: Path, store: ResultStore) -> None:
    before = store.read(MF).table
    damage(store.path(MF))
    result = reproduce(filled)
    assert result.exit_code == 0 and "Set aside a damaged file" in result.stderr
    assert [line.rpartition("  ")[2] for line in result.stdout.splitlines()] == ["(found)", "(computed)"]
    pd.testing.assert_frame_equal(store.read(MF).table, before, check_exact=True)


def test_dry_run_counts_a_damaged_result_as_missing(filled: Path, store: ResultStore) -> None:
    damage(store.path(MF))
    assert reproduce(filled, "--dry-run").output.endswith("1 of 2 cells would be run.\n")


def test_list_and_dry_run_leave_a_damaged_result_where_it_is(filled: Path, store: ResultStore) -> None:
    damage(store.path(MF))
    before = contents(filled)
    for option in ("--dry-run", "--list"):
        reproduce(filled, option)
        assert contents(filled) == before, option


# --- verify ------------------------------------------------------------------------------------------------------


def test_untouched_results_are_verified(filled: Path) -> None:
    before = contents(filled)
    result = verify(filled, "--steps", "3")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert [line[:4] for line in lines[:2]] == ["ok  ", "ok  "] and f"{MGDM.key}: " in lines[0]
    assert lines[-1] == "2 of 2 stored traces agree over their first 3 steps."
    assert contents(filled) == before


def test_cells_that_share_a_key_are_told_apart_by_their_steps(filled: Path) -> None:
    output = invoke("verify", "results", "--store", filled).output
    for steps in (1000, 5000):
        assert f"----  cir-exp-spectra-mf, {steps} steps: not run yet" in output


def test_altered_result_fails_and_is_named(filled: Path, store: ResultStore) -> None:
    result = store.read(MF)
    store.save(MF, result.table + 1e-4, {"wall_time": 1.0})
    verdict = verify(filled)
    assert verdict.exit_code == 1
    assert "ok    ar01-acf-mgdm" in verdict.output and "FAIL  ar01-acf-mf" in verdict.output
    assert "1 of 2 stored traces agree over their first 8 steps." in verdict.output


def test_damaged_result_fails_and_stays(filled: Path, store: ResultStore) -> None:
    damage(store.path(MF))
    before = contents(filled)
    verdict = verify(filled)
    assert verdict.exit_code == 1
    assert "FAIL  ar01-acf-mf" in verdict.output and "does not match its checksum" in verdict.output
    assert contents(filled) == before


def test_results_that_are_not_there_are_named_and_fail_where_there_is_none(folder: Path) -> None:
    verdict = verify(folder)
    assert verdict.exit_code == 1 and "----  ar01-acf-mf: not run yet" in verdict.output
    assert "0 of 0 stored traces agree" in verdict.output and not folder.exists()


def test_result_that_is_not_there_is_no_failure_beside_one_that_is(filled: Path, store: ResultStore) -> None:
    (path,) = filled.glob("ar01-acf-mf-*.csv")
    path.unlink()
    verdict = verify(filled)
    assert verdict.exit_code == 0 and "----  ar01-acf-mf: not run yet" in verdict.output


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("reproduce", "table1"), ("verify", "results")], ids=" ".join)
def test_unknown_cell_and_profile_are_said(command: tuple[str, str], folder: Path) -> None:
    result = invoke(*command, "--store", folder, "--cells", "ar03-*")
    assert result.exit_code == 2
    assert "no cell is called 'ar03-*'; expected a name such as 'ar01-acf-mgdm'" in result.stderr
    result = invoke(*command, "--store", folder, "--profile", "slow")
    assert result.exit_code == 2 and "'slow' is not one of 'paper', 'quick'" in result.stderr
    assert not folder.exists()


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_device_that_is_not_there_is_said(folder: Path, device: str) -> None:
    result = reproduce(folder, "--device", device)
    assert result.exit_code == 2 and f"device is '{device}'; expected one that this machine has" in result.stderr
    assert not folder.exists()


@pytest.mark.parametrize("options", [("--jobs", "0"), ("--replicates", "-1"), ("--jobs", "two")], ids=" ".join)
def test_numbers_out_of_range_are_said(folder: Path, options: tuple[str, str]) -> None:
    result = reproduce(folder, *options)
    assert result.exit_code == 2 and options[0] in result.stderr and not folder.exists()


def test_store_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    # Below a file there is no folder, for root neither.
    (tmp_path / "file").write_text("in the way")
    result = reproduce(tmp_path / "file" / "store")
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("Error: ") and "could not be written (Not a directory)" in result.stderr
    assert "name another folder" in result.stderr and "[Errno" not in result.stderr


def test_result_of_a_newer_version_is_said_and_stays(
    filled: Path, store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfmgdm_lib.runs.tables.FORMAT", 0)
    before = contents(filled)
    result = reproduce(filled)
    assert result.exit_code == 2 and "has format 1; expected at most 0" in result.stderr
    assert contents(filled) == before


# --- help --------------------------------------------------------------------------------------------------------


def commands() -> dict[str, click.Command]:
    """Every command, by what is typed after `mfmgdm`."""
    found: dict[str, click.Command] = {"": cli.main}
    for name, group in cli.main.commands.items():
        found[name] = group
        if isinstance(group, click.Group):
            found |= {f"{name} {below}": command for below, command in group.commands.items()}
    return found


@pytest.mark.parametrize("name", commands())
def test_help_has_a_sentence_for_the_command_and_each_of_its_options(name: str) -> None:
    result, command = invoke(*name.split(), "--help"), commands()[name]
    assert result.exit_code == 0 and command.help is not None
    assert command.help.split("\n")[0] in " ".join(result.output.split())
    for option in command.params:
        if isinstance(option, click.Argument):  # explained in the sentences above, by its name
            assert option.make_metavar(click.Context(command)) in result.output
            continue
        assert isinstance(option, click.Option) and option.help
        assert option.opts[0] in result.output and option.help.split()[0] in result.output
    if isinstance(command, click.Group):
        assert [below for below in command.commands if below not in result.output] == []


def test_names_that_are_offered_are_those_of_the_library() -> None:
    from mfmgdm_lib import generation
    from mfmgdm_lib.cli import options
    from mfmgdm_lib.companion import table1
    from mfmgdm_lib.data import images, publishers
    from mfmgdm_lib.io import fields, files, paths, streaming
    from mfmgdm_lib.processes import starts
    from mfmgdm_lib.runs import cells

    homes = (publishers, cells, starts, streaming, table1, files, paths, fields, images, generation)
    for name in (name for name in options.__all__ if name.isupper() and name not in ("BASES", "STORES")):
        (theirs,) = {id(vars(home)[name]): vars(home)[name] for home in homes if name in vars(home)}.values()
        offered = getattr(options, name)
        assert offered == (tuple(theirs) if isinstance(theirs, dict) else theirs), name


def test_commands_have_the_options_that_the_book_names() -> None:
    options = {name: {text for option in c.params for text in option.opts} for name, c in commands().items()}
    shared = {"--store", "--profile", "--cells"}
    assert options["verify results"] == shared | {"--steps"}
    extra = {"--replicates", "--jobs", "--device", "--scheduler", "--worker-seconds", "--list", "--dry-run"}
    assert options["reproduce table1"] == shared | extra


def test_version_is_the_library_s() -> None:
    result = invoke("--version")
    assert result.exit_code == 0 and importlib.metadata.version("mfmgdm-lib") in result.output


def test_closed_pipe_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as closed:
        monkeypatch.setattr("sys.stdout", closed)
        say("nobody reads this")
        say("nor this")
