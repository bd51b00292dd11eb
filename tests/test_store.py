"""The store of results: round trips, detection of damage, and locks."""

from __future__ import annotations

import errno
import hashlib
import math
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mfmgdm_lib import _arrays as _archive
from mfmgdm_lib.companion import MARKET, TABLE_1, results_folder
from mfmgdm_lib.errors import NewerFormatError
from mfmgdm_lib.runs.store import Progress, ResultStore


@dataclass(frozen=True)
class Throw:
    """Something to run that is cheap: nothing."""

    sides: int = 6
    weight: float = 0.1
    seed: tuple[int, ...] = (2, 12345)

    @property
    def key(self) -> str:
        return f"throw-of-{self.sides}"


THROW = Throw()
TABLE = pd.DataFrame({"eyes": [1.0, math.pi * 1e5, math.nan], "luck": [-1e-30, 2 / 3, 0.0]}).rename_axis("step")
FACTS = {"wall_time": 1.5, "jacobian": "structured", "note": "5 # 6: σ"}
ARRAYS = {"paths": np.arange(6.0).reshape(2, 3), "loss": np.array([0.5, math.nan])}
PROGRESS = Progress("interrupted", step=1, seconds=2.5, value=0.75)

ROOM = 100
"""Bytes that a full disk still takes: fewer than a result or a checkpoint has."""


@pytest.fixture
def said() -> list[str]:
    """What a store has reported."""
    return []


@pytest.fixture
def store(tmp_path: Path, said: list[str]) -> ResultStore:
    return ResultStore(tmp_path / "store", report=said.append)


@pytest.fixture
def saved(store: ResultStore) -> Path:
    return store.save(THROW, TABLE, FACTS)


@pytest.fixture
def put_down(store: ResultStore) -> Path:
    store.save_checkpoint(THROW, ARRAYS, PROGRESS)
    return store.checkpoint_path(THROW)


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of change of all that is in a folder."""
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    }


# --- results -----------------------------------------------------------------------------------------------------


def test_result_comes_back_with_ten_digits_its_specification_and_its_provenance(store: ResultStore) -> None:
    path = store.save(THROW, TABLE, FACTS)
    result = store.read(THROW)
    # "%.10g" is off by half a unit of the tenth digit, which is at most 5e-10 of the number.
    pd.testing.assert_frame_equal(result.table, TABLE, rtol=5e-10, atol=0, check_dtype=False)
    assert result.table.index.name == "step"
    assert result.specification == {"sides": 6, "weight": 0.1, "seed": [2, 12345]}
    assert FACTS.items() <= result.provenance.items()
    assert {*result.provenance} - {*FACTS} == {"date", "versions", "machine"}
    assert {"Python", "mfmgdm-lib", "numpy", "scipy", "torch"} <= {*result.provenance["versions"]}
    loaded = store.load(THROW)
    assert loaded is not None and loaded.table.equals(result.table)
    assert path == store.path(THROW) and path.name.startswith("throw-of-6-") and path.parent == store.folder


def test_second_save_takes_the_place_of_the_first(store: ResultStore, saved: Path) -> None:
    store.save(THROW, TABLE + 1, FACTS)
    assert store.read(THROW).table.loc[0, "eyes"] == 2.0
    assert [path.name for path in store.folder.iterdir() if path.is_file()] == [saved.name]


@pytest.mark.parametrize("other", [Throw(sides=20), Throw(weight=0.2), Throw(seed=(2, 12345, 1))], ids=str)
def test_another_value_of_any_field_is_another_result(store: ResultStore, saved: Path, other: Throw) -> None:
    assert store.path(other) != saved and store.checkpoint_path(other) != store.checkpoint_path(THROW)
    assert store.load(other) is None and store.progress(other).state == "missing"


def test_missing_result_is_none_to_load_and_an_error_to_read(store: ResultStore, said: list[str]) -> None:
    assert store.load(THROW) is None and store.load_checkpoint(THROW) is None
    with pytest.raises(FileNotFoundError, match="throw-of-6"):
        store.read(THROW)
    assert said == [] and not store.folder.exists()


def test_result_under_the_name_of_another_specification_is_refused(store: ResultStore, saved: Path) -> None:
    saved.rename(store.path(Throw(sides=20)))
    with pytest.raises(ValueError, match=r"throw-of-20.*is of another specification; expected that of its name"):
        store.read(Throw(sides=20))


def test_saving_a_result_drops_its_checkpoint(store: ResultStore, put_down: Path) -> None:
    assert put_down.is_file()
    store.save(THROW, TABLE, FACTS)
    assert not put_down.exists()


def test_provenance_comes_back_whatever_breaks_lines_in_it(store: ResultStore) -> None:
    # A message of an error may hold any text; U+2028 and U+0085 end a line for `str.splitlines`.
    note = "one\ntwo\u2028three\x85four"
    store.save(THROW, TABLE, {"note": note})
    assert store.read(THROW).provenance["note"] == note


# --- damage ------------------------------------------------------------------------------------------------------


def flipped(content: bytes) -> bytes:
    """One bit is another: of the numbers in a checkpoint, or half way through a result."""
    numbers = content.find(ARRAYS["paths"].tobytes())
    place = len(content) // 2 if numbers < 0 else numbers + 9
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGE = pytest.mark.parametrize(
    "damage",
    [flipped, lambda content: content[:-7], lambda content: b"", lambda content: content + b"3,1,1\n"],
    ids=["a flipped bit", "truncated", "emptied", "a row more"],
)


@DAMAGE
def test_damaged_result_is_set_aside_and_counts_as_missing(
    store: ResultStore, saved: Path, said: list[str], damage: Callable[[bytes], bytes]
) -> None:
    content = damage(saved.read_bytes())
    saved.write_bytes(content)
    # `read` looks only.
    with pytest.raises(ValueError, match=rf"{saved.name} does not match its checksum"):
        store.read(THROW)
    assert saved.read_bytes() == content and said == []
    assert store.load(THROW) is None
    assert not saved.exists() and saved.with_name(f"{saved.name}.damaged").read_bytes() == content
    assert len(said) == 1 and f"{saved.name}.damaged, which counts as missing" in said[0] and "checksum" in said[0]
    assert store.load(THROW) is None and store.progress(THROW).state == "missing" and len(said) == 1
    store.save(THROW, TABLE, FACTS)
    assert store.load(THROW) is not None


def test_damaged_result_of_a_store_that_may_only_be_read_is_named(
    store: ResultStore, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved.write_bytes(flipped(saved.read_bytes()))

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    said = rf"no result of {THROW.key} \(.*{saved.name} does not match its checksum.*, and may not be written to"
    with pytest.raises(OSError, match=said):
        store.load(THROW)


def test_result_of_a_later_format_is_an_error_and_stays(store: ResultStore, saved: Path, said: list[str]) -> None:
    body = saved.read_bytes().partition(b"\n")[2].replace(b"# format: 1\n", b"# format: 2\n")
    content = f"# sha256: {hashlib.sha256(body).hexdigest()}\n".encode() + body
    saved.write_bytes(content)
    for look in (store.read, store.load):
        with pytest.raises(NewerFormatError, match=r"has format 2; expected at most 1.*Use a newer mfmgdm_lib"):
            look(THROW)
    assert saved.read_bytes() == content and said == []


# --- checkpoints -------------------------------------------------------------------------------------------------


def test_checkpoint_comes_back_with_how_far_it_is(store: ResultStore, put_down: Path) -> None:
    kept = store.load_checkpoint(THROW)
    assert kept is not None
    arrays, progress = kept
    assert {*arrays} == {*ARRAYS} and progress == PROGRESS
    assert all(np.array_equal(arrays[name], ARRAYS[name], equal_nan=True) for name in ARRAYS)


@pytest.mark.parametrize("damage", [flipped, lambda content: content[:-7], lambda _: b""], ids=["flip", "cut", "empty"])
def test_damaged_checkpoint_is_set_aside_and_counts_as_missing(
    store: ResultStore, put_down: Path, said: list[str], damage: Callable[[bytes], bytes]
) -> None:
    content = damage(put_down.read_bytes())
    put_down.write_bytes(content)
    assert store.progress(THROW).state == "missing" and put_down.exists()
    assert store.load_checkpoint(THROW) is None
    assert not put_down.exists() and put_down.with_name(f"{put_down.name}.damaged").read_bytes() == content
    assert len(said) == 1 and f"{put_down.name}.damaged, which counts as missing" in said[0]


def test_checkpoint_of_a_later_format_is_an_error_and_stays(
    store: ResultStore, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = _archive.FORMAT
    monkeypatch.setattr(_archive, "FORMAT", known + 1)
    store.save_checkpoint(THROW, ARRAYS, PROGRESS)
    monkeypatch.undo()
    path = store.checkpoint_path(THROW)
    content = path.read_bytes()
    with pytest.raises(NewerFormatError, match=rf"has format {known + 1}; expected at most {known}"):
        store.load_checkpoint(THROW)
    assert path.read_bytes() == content and said == []


# --- a disk that is full, a folder that cannot be written to -----------------------------------------------------


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow beyond `ROOM`: a write fails in the middle, as on a full disk."""
    resource = pytest.importorskip("resource")
    # Python ignores the signal that comes with it, so that the write fails instead.
    assert signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Written in one piece, and in pieces as a buffer fills: either may fail with some of it on the disk.
@pytest.mark.parametrize("rows", [10, 10_000])
def test_full_disk_is_said_and_leaves_the_former_result_and_checkpoint(
    store: ResultStore, saved: Path, put_down: Path, rows: int
) -> None:
    result, checkpoint = saved.read_bytes(), put_down.read_bytes()
    assert min(len(result), len(checkpoint)) > ROOM
    longer = pd.DataFrame({"eyes": np.arange(float(rows))}).rename_axis("step")
    with full_disk():
        with pytest.raises(OSError, match="could not be written") as of_result:
            store.save(THROW, longer, FACTS)
        with pytest.raises(OSError, match="could not be written") as of_checkpoint:
            store.save_checkpoint(THROW, {"paths": np.zeros(rows)}, PROGRESS)
    for path, error in ((saved, of_result.value), (put_down, of_checkpoint.value)):
        assert error.errno == errno.EFBIG and str(path) in str(error)
        assert "expected a folder that has room" in str(error) and "what was stored is still there" in str(error)
    assert saved.read_bytes() == result and put_down.read_bytes() == checkpoint
    assert {path for path in store.folder.rglob("*") if path.is_file()} == {saved, put_down}


def test_folder_that_cannot_be_made_is_said(tmp_path: Path, said: list[str]) -> None:
    # Below a file there is no folder, for root neither.
    (tmp_path / "file").write_text("in the way")
    store = ResultStore(tmp_path / "file" / "store", report=said.append)
    message = r"file/store/.*throw-of-6.*could not be written \(Not a directory\).*name another folder, and run again"
    with pytest.raises(NotADirectoryError, match=message):
        store.save(THROW, TABLE, FACTS)
    with pytest.raises(NotADirectoryError, match=message):
        store.save_checkpoint(THROW, ARRAYS, PROGRESS)
    with pytest.raises(NotADirectoryError, match=message), store.claim(THROW):
        pass
    assert store.load(THROW) is None and store.progress(THROW).state == "missing"
    assert (tmp_path / "file").read_text() == "in the way"


# --- claims ------------------------------------------------------------------------------------------------------


def test_claim_is_had_by_one_at_a_time(store: ResultStore) -> None:
    other = ResultStore(store.folder)
    with store.claim(THROW) as mine:
        assert mine
        with other.claim(THROW) as theirs, other.claim(Throw(sides=20)) as another:
            assert not theirs and another
        # To be refused, and to go away, takes nothing from the holder.
        with other.claim(THROW) as theirs:
            assert not theirs
    with other.claim(THROW) as theirs:
        assert theirs


def test_claim_ends_with_an_error(store: ResultStore) -> None:
    with pytest.raises(KeyboardInterrupt), store.claim(THROW):
        raise KeyboardInterrupt
    with ResultStore(store.folder).claim(THROW) as mine:
        assert mine


HOLDER = """
import sys, time
from mfmgdm_lib.companion import MARKET, TABLE_1, results_folder
from mfmgdm_lib.runs.store import ResultStore
with ResultStore(sys.argv[1]).claim(TABLE_1[0]) as mine:
    print(mine, flush=True)
    time.sleep(600)
"""


def test_claim_of_a_process_that_is_killed_is_free_again(store: ResultStore) -> None:
    cell = TABLE_1[0]
    command = [sys.executable, "-c", HOLDER, str(store.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "True\n"
            with store.claim(cell) as mine:
                assert not mine
            assert store.progress(cell).state == "running"
        finally:
            holder.kill()
    assert store.progress(cell).state == "missing"
    with store.claim(cell) as mine:
        assert mine


# --- progress ----------------------------------------------------------------------------------------------------


def test_progress_says_each_state_and_changes_nothing(store: ResultStore) -> None:
    def look() -> tuple[str, int]:
        before = everything(store.folder)
        progress = store.progress(THROW)
        assert everything(store.folder) == before
        return progress.state, progress.step

    assert look() == ("missing", 0) and not store.folder.exists()
    with ResultStore(store.folder).claim(THROW):
        assert look() == ("running", 0)
        store.save_checkpoint(THROW, ARRAYS, PROGRESS)
        assert look() == ("running", 1)
    assert look() == ("interrupted", 1)
    assert store.progress(THROW) == PROGRESS
    store.save(THROW, TABLE, FACTS)
    assert look() == ("done", 0)


def test_names_of_the_results_that_are_stored_stay(tmp_path: Path) -> None:
    """The digest is of the former spelling `n_particles`, which `n_paths` has in files for good."""
    found = {ResultStore(tmp_path).path(cell).name for cell in (*TABLE_1, *MARKET)}
    assert {"ar01-acf-mf-d4142520.csv", "eur-10y-reference-95b946df.csv"} <= found
    kept = {path.name for name in ("table1", "market") for path in (results_folder() / name).glob("*.csv")}
    assert len(found & kept) == len(TABLE_1) + len(MARKET)
