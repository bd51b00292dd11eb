"""Damaged files of every kind that the library keeps: each is refused by name, or set aside and counts as missing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from damage import (
    ASIDE,
    CASES,
    CLEAR,
    GOOD,
    INPUTS,
    OTHER,
    SAME,
    UNCHECKED,
    Throw,
    cached,
    checkpoint,
    directory_bits,
    flipped,
    flipped_outcomes,
    outcome,
    sampled_bits,
)
from damage import result as stored_result

from mfmgdm_lib import cli
from mfmgdm_lib._arrays import load_arrays, save_arrays
from mfmgdm_lib.cli.output import shown
from mfmgdm_lib.companion import select, table_1
from mfmgdm_lib.data import cache
from mfmgdm_lib.runs import ResultStore, run_cells
from mfmgdm_lib.runs.cells import complete
from mfmgdm_lib.runs.tables import canonical


@pytest.mark.parametrize("name", CASES)
def test_flipped_bits_are_noticed_or_change_nothing(name: str, tmp_path: Path) -> None:
    case = CASES[name](tmp_path)
    bits = [*sampled_bits(case.path, 60)]
    if case.path.suffix == ".npz":
        bits += directory_bits(case.path)[::29]
    found = flipped_outcomes(case, bits)
    assert set(found) <= GOOD, found
    assert found[ASIDE] + found[CLEAR] > len(bits) / 3  # a bit of a date or of padding is nobody's loss


@pytest.mark.parametrize("name", INPUTS)
def test_flipped_bits_of_a_file_to_be_read_are_one_clear_error_or_a_whole_file(name: str, tmp_path: Path) -> None:
    case = INPUTS[name](tmp_path)
    bits = sampled_bits(case.path, 100, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = flipped_outcomes(case, bits)
    assert set(found) <= GOOD | ({OTHER} if name in UNCHECKED else set()), found
    assert found[CLEAR] > len(bits) / 10


@pytest.mark.parametrize("name", INPUTS)
def test_command_refuses_a_damaged_file_in_one_line(name: str, tmp_path: Path) -> None:
    case = INPUTS[name](tmp_path)
    whole, tried = case.path.read_bytes(), 0
    command = ["data", "inspect"] if name in ("a.csv.gz", "a.xlsx", "a.parquet") else ["generate"]
    output = [] if len(command) == 2 else ["--out", tmp_path / "fields.npz"]
    for bit in sampled_bits(case.path, 60, seed=2):
        if outcome(case, flipped(whole, bit), None) == CLEAR and tried < 4:
            tried += 1
            refused = CliRunner().invoke(cli.main, [*map(str, [*command, case.path, *output])])
            assert refused.exit_code == 2 and isinstance(refused.exception, SystemExit), refused.exception
            (line,) = [line for line in refused.output.splitlines() if line]
            assert line.startswith("Error: ") and str(case.path) in line and line.endswith("."), line
            assert "; expected " in line, line
    assert tried == 4


# --- sizes that files declare ----------------------------------------------------------------------------------------


def npz(path: Path, header: bytes, data: bytes, *, packed: bool = False) -> Path:
    """A file of one array `a` with this header, besides its kind and format."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, value in (("kind", np.array("thing")), ("format", np.array(1))):
            whole = io.BytesIO()
            np.save(whole, value)
            archive.writestr(f"{name}.npy", whole.getvalue())
        archive.writestr("a.npy", header + data)
    return path


def header(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("shape", "dtype"), [((10**12,), "<f8"), ((10**6, 10**6), "<f8"), ((-1,), "<f8"), ((10**12,), "<U0"), ((4,), "<f8")]
)
def test_array_of_another_size_than_its_part_of_the_file_takes_no_memory(
    tmp_path: Path, shape: tuple[int, ...], dtype: str
) -> None:
    path = npz(tmp_path / "big.npz", header(shape, dtype), bytes(24))
    with pytest.raises(ValueError, match=r"big\.npz cannot be read \(a\.npy says it has shape.*and has 24\)"):
        load_arrays(path, "thing")


def test_array_of_the_right_size_is_read(tmp_path: Path) -> None:
    path = npz(tmp_path / "whole.npz", header((3,)), np.arange(3.0).tobytes())
    assert load_arrays(path, "thing")["a"].tolist() == [0.0, 1.0, 2.0]


def test_packed_arrays_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    path = npz(tmp_path / "bomb.npz", header((10**7,), "|u1"), bytes(10**7), packed=True)
    assert path.stat().st_size < 20000
    with pytest.raises(ValueError, match=r"bomb\.npz cannot be read \(kind\.npy is packed"):
        load_arrays(path, "thing")


def test_parts_that_lie_over_each_other_are_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "twice.npz", header((10000,), "|u1"), bytes(10000))
    content = path.read_bytes()
    at = content.index(b"PK\x01\x02")
    entries = content[at : content.index(b"PK\x05\x06")]
    last = entries[entries.rindex(b"PK\x01\x02") :]
    end = bytearray(content[content.index(b"PK\x05\x06") :])
    end[8:10] = end[10:12] = (53).to_bytes(2, "little")
    end[12:16] = (len(entries) + 50 * len(last)).to_bytes(4, "little")
    path.write_bytes(content[:at] + entries + 50 * last + bytes(end))
    with pytest.raises(ValueError, match=r"twice\.npz cannot be read \(its parts say that they have 5\d{5} bytes"):
        load_arrays(path, "thing")


# --- whole files with wrong fields -----------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [np.array("two"), np.array([1, 2]), np.array(0), np.array(1.5)])
def test_format_of_arrays_that_is_no_number_is_named(tmp_path: Path, wrong: np.ndarray) -> None:
    path = tmp_path / "odd.npz"
    np.savez(path, kind=np.array("thing"), format=wrong)
    with pytest.raises(ValueError, match=r"odd\.npz has format .*expected a number"):
        load_arrays(path, "thing")


def with_checksum(lines: str, table: str = "step,loss\n0,0.5\n") -> bytes:
    body = (lines + table).encode()
    return f"# sha256: {hashlib.sha256(body).hexdigest()}\n".encode() + body


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"format": "one", "specification": {"sides": 6}, "provenance": {}},
        {"format": 1, "provenance": {}},
        {"format": 1, "specification": {"sides": 6}, "provenance": [1]},
    ],
    ids=["nothing", "a format in words", "no specification", "a list"],
)
def test_result_with_wrong_fields_is_set_aside(tmp_path: Path, about: dict[str, Any]) -> None:
    case = stored_result(tmp_path)
    lines = "".join(f"# {name}: {canonical(value)}\n" for name, value in about.items())
    assert outcome(case, with_checksum(lines), None) == ASIDE


def test_result_without_a_time_is_read_and_listed(tmp_path: Path) -> None:
    (cell,) = select(table_1("quick"), ["ar01-acf-mf"])
    store = ResultStore(tmp_path)
    table = pd.DataFrame({"reverse_kl": [1.0], "standard_error": [0.1]}).rename_axis("step")
    for kept, said in ((table, "KL 1.00"), (table[["standard_error"]], "cannot be read")):
        for facts in ({}, {"wall_time": "long"}):
            store.save(cell, kept, facts)
            assert np.isnan(store.read(cell).seconds)
            options = ["--profile", "quick", "--cells", cell.key, "--store", str(tmp_path), "--list"]
            listed = CliRunner().invoke(cli.main, ["reproduce", "table1", *options])
            assert listed.exit_code == 0 and said in listed.output and "unknown" in listed.output, listed.output


@pytest.mark.parametrize("wrong", [np.array("a"), np.zeros(2), np.array([-1.0, 0, 0]), np.array([np.nan, 0, 0])])
def test_checkpoint_that_does_not_say_where_it_is_is_set_aside(tmp_path: Path, wrong: np.ndarray) -> None:
    case = checkpoint(tmp_path)
    other = save_arrays(tmp_path / "other.npz", "checkpoint of a run", {"about": wrong}).read_bytes()
    assert outcome(case, other, None) == ASIDE
    case.path.write_bytes(other)
    assert ResultStore(tmp_path).progress(Throw()).state == "missing"


@pytest.mark.parametrize(
    "change", [{"format": "x"}, {"name": None}, {"attrs": []}, None], ids=["format", "name", "attrs", "a list"]
)
def test_cached_series_with_wrong_fields_is_set_aside_and_listed(
    tmp_path: Path, change: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = cached(tmp_path)
    line, _, values = case.path.read_bytes().partition(b"\n")[2].partition(b"\n")
    about = json.loads(line.removeprefix(b"# about: "))
    rest = f"# about: {json.dumps([1] if change is None else about | change)}\n".encode() + values
    content = f"# sha256: {hashlib.sha256(rest).hexdigest()}\n".encode() + rest
    assert outcome(case, content, None) == ASIDE
    case.path.write_bytes(content)
    monkeypatch.setenv("MFMGDM_CACHE_DIR", str(tmp_path))
    assert cache.verify_cache()["state"].tolist() == ["damaged"]


# --- a store that may only be read, a disk that is full, names that a terminal obeys ---------------------------------


def test_results_of_a_store_that_may_only_be_read_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = select(table_1("quick"), ["ar01-acf-*"])
    for cell in cells:
        ResultStore(tmp_path).save(cell, pd.DataFrame({"reverse_kl": [1.0], "standard_error": [0.1]}), {})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    real = os.open

    def read_only(path: Any, flags: int, *rest: Any, **how: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(30, "Read-only file system", str(path))
        return real(path, flags, *rest, **how)

    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: pytest.fail("a folder is made"))
    for jobs in (1, 2):
        assert [*run_cells(cells, ResultStore(tmp_path), jobs=jobs)] == [(cell, "found") for cell in cells]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_results_that_a_store_lacks_which_may_only_be_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Any, *_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system", str(path))

    others = select(table_1("quick"), ["ar02-acf-*"])
    monkeypatch.setattr(Path, "touch", refuse)
    monkeypatch.setattr("mfmgdm_lib.runs.store.FileLock.acquire", refuse)
    with pytest.raises(
        OSError, match=rf"{tmp_path} has no result of ar02-acf-mgdm, ar02-acf-mf, and may.*Copy the folder"
    ):
        next(run_cells(others, ResultStore(tmp_path)))
    with pytest.raises(OSError, match=r"no result of ar02-acf-mf, and may not be written to \(Read-only file system\)"):
        complete(others[1], ResultStore(tmp_path))
    options = ["--profile", "quick", "--cells", "ar0*-acf-mf", "--store", str(tmp_path)]
    refused = CliRunner().invoke(cli.main, ["reproduce", "table1", *options, "--jobs", "2"])
    assert refused.exit_code == 2 and ".lock" not in refused.output and "Traceback" not in refused.output
    assert "and name with --store the copy: what is stored is found there." in refused.output, refused.output
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_full_disk_says_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"a\.npz could not.*No space left on device: 9\.\d+ kB are needed, .* free"):
        save_arrays(tmp_path / "a.npz", "thing", {"a": np.zeros(1000)})
    assert not any(tmp_path.iterdir())


def test_what_a_terminal_obeys_is_spelled_out(tmp_path: Path) -> None:
    assert shown("a\x1b[2J\r\x7f\x9b\u202e\udcffb\n\tc√–") == "a\\x1b[2J\\r\\x7f\\x9b\\u202e\\udcffb\n\tc√–"
    path = tmp_path / "a\x1b[31mb.csv"
    path.write_text("date,\x1b]0;Close\x07\n2020-01-01,1.5\n2020-01-02,1.75\n")
    out = tmp_path / "\x1b[1m.xlsx"
    for arguments in (["data", "inspect", path], ["generate", path, "--out", out], ["\x1b[1m"], ["--\x1b[1m"]):
        result = CliRunner().invoke(cli.main, list(map(str, arguments)), color=True)
        assert "\x1b" not in result.output and "\x07" not in result.output and "\\x1b[" in result.output


def test_ends_of_lines_in_names_do_not_end_lines(tmp_path: Path) -> None:
    path = tmp_path / "a\nb\x1b.csv"
    days = [f"{day:%Y-%m-%d}" for day in pd.date_range("2020-01-01", periods=400)]
    steps = 1 + 0.1 * np.random.default_rng(0).random((2, 400))
    rows = "".join(f"{day},{x:.4f},{y:.4f},w\n" for day, x, y in zip(days, *steps, strict=True))
    path.write_text(f'date,"x\n\x1b1","y\n2","text\n"\n{rows}')
    out, both = tmp_path / "o\nut.csv", ("--column", "x\n\x1b1", "--column", "y\n2")
    missing, wrong = tmp_path / "no\nsuch", ("--column", "z\nz")
    for arguments, said in {
        ("data", "inspect", path, *both): "a\\nb\\x1b.csv, columns x\\n\\x1b1, y\\n2: 400 points",
        ("generate", path, *both, "--paths", 20, "--length", 64, "--out", out): "o\\nut.csv",
        ("data", "inspect", path): "x\\n\\x1b1",
        ("data", "inspect", path, *wrong): "z\\nz",
        ("data", "inspect", missing): "no\\nsuch",
        ("sample", missing, "--out", out): "no\\nsuch",
        ("generate", path, "--out", tmp_path / "o\n.xlsx"): "o\\n.xlsx",
        ("reproduce", "table1", "--cells", "a\nb"): "a\\nb",
        ("descend", "--process", "ar\n01", "--out", out): "ar\\n01",
    }.items():
        result = CliRunner().invoke(cli.main, list(map(str, arguments)), color=True)
        assert result.exit_code in (0, 2) and isinstance(result.exception, SystemExit | None), result.exception
        assert said in result.output and "\x1b" not in result.output, result.output
        starts = ("b\\x1b", "b\x1b", "1", "2,", "2:", "2 ", "2'", "z", "such", "ut.csv", ".xlsx", "01")
        lines = result.output.splitlines()
        assert not [line for line in lines if line.startswith(starts)], result.output
        if result.exit_code:
            assert sum(line.startswith("Error: ") for line in lines) == 1 and lines[-1].startswith("Error: "), lines


def test_same_content_is_known_as_such(tmp_path: Path) -> None:
    case = stored_result(tmp_path)
    assert outcome(case, case.path.read_bytes(), case.read()) == SAME


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "reproduce table1 --replicates 100000000000 --list",
            r"--replicates is 100000000000 of \d+ cells, .*e\+12 runs",
        ),
        ("generate {csv} --paths 100000000000 --out {out}.csv", "--paths is 100000000000 and --length is 1024, 819 TB"),
        ("generate {csv} --length 100000000000 --out {out}.csv", "--paths is 100 and --length is 100000000000, 80 TB"),
        (
            "forecast {csv} --horizon 100000000000 --out {out}.csv",
            "--paths is 10000 and --horizon is 1.*, 8e.03 PB|8 PB",
        ),
        ("descend --process ar01 --paths 100000000000 --out {out}", "--paths is 100000000000 and --length.*819 TB"),
        ("descend --process ar01 --steps 100000000000 --out {out}", "--steps is 100000000000, 800 GB of numbers"),
    ],
)
def test_counts_beyond_memory_are_refused_with_their_size(tmp_path: Path, command: str, said: str) -> None:
    csv = tmp_path / "a.csv"
    csv.write_text("date,close\n2020-01-01,1.5\n2020-01-02,1.75\n")
    words = [word.format(csv=csv, out=tmp_path / "out") for word in command.split()]
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 2 and re.search(said, " ".join(result.output.split())), result.output


def test_paths_that_the_disk_has_no_room_for_are_refused_before_they_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, usage = CASES["flow"](tmp_path), shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**11))
    words = ["sample", str(case.path), "--paths", str(10**9), "--out", str(tmp_path / "out.npz")]
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 2 and "out.npz would have 256 GB, and 100 GB are free" in result.output, result.output
