"""Files of arrays: atomic writes, checksums, and refusal of damaged files."""

from __future__ import annotations

import os
import pickle
import stat
import time
from pathlib import Path

import numpy as np
import pytest

from mfmgdm_lib import _arrays as _archive
from mfmgdm_lib._arrays import load_arrays, partial_path, replacing_file, save_arrays
from mfmgdm_lib.errors import NewerFormatError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_arrays(tmp_path / "kept", "thing", {"a": np.arange(3.0), "name": np.array("√2")})


def test_arrays_and_text_come_back(saved: Path) -> None:
    arrays = load_arrays(saved, "thing", ("a", "name"))
    assert arrays["a"].tolist() == [0.0, 1.0, 2.0] and str(arrays["name"]) == "√2"
    # Whatever is in there comes back, and only that; names are what has to be.
    assert [*arrays] == [*load_arrays(saved, "thing")] == ["a", "name"]


def test_failed_write_leaves_what_was_there(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)  # when a part of it may be on the disk
    with pytest.raises(OSError, match="No space left"):
        save_arrays(saved, "thing", {"a": np.zeros(1)})
    assert saved.read_bytes() == before and [*saved.parent.iterdir()] == [saved]


def test_two_writes_at_once_do_not_mix(saved: Path) -> None:
    with replacing_file(saved) as first:
        first.write(b"first")
        with replacing_file(saved) as second:
            second.write(b"second, and longer")
        assert saved.read_bytes() == b"second, and longer"
    assert saved.read_bytes() == b"first" and [*saved.parent.iterdir()] == [saved]


def test_second_write_replaces_the_first(saved: Path) -> None:
    save_arrays(saved, "thing", {"a": np.zeros(1)})
    assert load_arrays(saved, "thing")["a"].tolist() == [0.0]


def test_no_flipped_bit_gets_past_or_raises_another_error(saved: Path) -> None:
    whole = saved.read_bytes()
    expected = load_arrays(saved, "thing")
    directory = whole.index(b"PK\x01\x02")
    for at in range(8 * directory, 8 * len(whole), 3):  # where readers of zip files raise many kinds of errors
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        saved.write_bytes(damaged)
        try:
            arrays = load_arrays(saved, "thing")
        except ValueError:
            continue
        assert arrays.keys() == expected.keys() and arrays["a"].tolist() == expected["a"].tolist()


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load_arrays(tmp_path / "none.npz", "thing")


class Trap:
    """Would leave a file behind when it is unpickled."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (str(self.where), "w"))


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    inside, bare = tmp_path / "inside.npz", tmp_path / "bare.npz"
    np.savez(inside, allow_pickle=True, kind=np.array("thing"), a=np.array([Trap(sprung)], dtype=object))
    bare.write_bytes(pickle.dumps(Trap(sprung)))
    for path in (inside, bare):
        with pytest.raises(ValueError, match=r"cannot be read.*a whole file with a thing in it. Fit and save it again"):
            load_arrays(path, "thing", ("a",))
    assert not sprung.exists()


@pytest.mark.parametrize("kept", [0, 10, 200, -30])
def test_truncated_file_is_refused(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(ValueError, match="cannot be read"):
        load_arrays(saved, "thing", ("a",))


def test_flipped_bit_is_noticed(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    place = content.index(np.arange(3.0).tobytes()) + 9
    content[place] ^= 1
    saved.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot be read.*CRC"):
        load_arrays(saved, "thing", ("a",))


def test_single_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(ValueError, match="a single array"):
        load_arrays(tmp_path / "one.npy", "thing")


def test_file_of_another_kind_a_later_format_or_without_a_part_is_refused(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="holds thing; expected a projection"):
        load_arrays(saved, "projection")
    with pytest.raises(ValueError, match="has no b; expected a whole thing"):
        load_arrays(saved, "thing", ("a", "b"))
    known = _archive.FORMAT
    monkeypatch.setattr(_archive, "FORMAT", known + 1)
    later = save_arrays(saved, "thing", {})
    monkeypatch.undo()
    with pytest.raises(
        NewerFormatError, match=rf"has format {known + 1}; expected at most {known}.*Use a newer mfmgdm_lib"
    ):
        load_arrays(later, "thing")


@pytest.mark.parametrize(
    "change",
    [{"a": np.arange(3.0) + 1e-16}, {"a": np.arange(3)}, {"a": np.arange(3.0)[:, None]}, {"b": np.zeros(1)}],
    ids=["a value", "a dtype", "a shape", "an array more"],
)
def test_whole_file_with_other_arrays_than_were_saved_does_not_match_its_checksum(
    saved: Path, change: dict[str, np.ndarray]
) -> None:
    with np.load(saved) as content:
        arrays = {name: content[name] for name in content.files}
    # Each array has a right CRC of its own: only the checksum over all of them can tell.
    np.savez(saved, allow_pickle=False, **{**arrays, **change})
    with pytest.raises(ValueError, match=r"does not match its checksum; expected a file as it was written"):
        load_arrays(saved, "thing")


def test_file_that_lost_its_checksum_is_refused(saved: Path) -> None:
    with np.load(saved) as content:
        arrays = {name: content[name] for name in content.files if name != "checksum"}
    np.savez(saved, allow_pickle=False, **arrays)
    with pytest.raises(ValueError, match="does not match its checksum"):
        load_arrays(saved, "thing")


def test_file_of_the_first_version_which_has_no_checksum_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "old.npz"
    np.savez(path, allow_pickle=False, kind=np.array("thing"), format=np.array(1), a=np.arange(3.0))
    arrays = load_arrays(path, "thing", ["a"])
    assert [*arrays] == ["a"] and arrays["a"].tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("host", "process", "days", "stays"),
    [
        (None, None, 2.0, True),  # our own, however old
        (None, 2**22 - 1, 0.5, True),
        (None, 2**22 - 1, 2.0, False),
        ("elsewhere", None, 0.5, True),
        ("elsewhere", None, 2.0, False),
    ],
)
def test_what_dead_processes_left_is_swept_after_a_day(
    saved: Path, host: str | None, process: int | None, days: float, stays: bool
) -> None:
    name = partial_path(saved).name
    ours = name.removeprefix(f"{saved.name}.").split("-")
    left = saved.with_name(f"{saved.name}.{host or ours[0]}-{process or ours[1]}-{ours[2]}")
    left.touch()
    then = time.time() - days * 24 * 3600
    os.utime(left, (then, then))
    save_arrays(saved, "thing", {"a": np.zeros(1)})
    assert left.exists() == stays


def test_file_keeps_who_may_read_it_and_a_link_stays(saved: Path) -> None:
    saved.chmod(0o600)
    link = saved.with_name("link.npz")
    link.symlink_to(saved)
    save_arrays(link, "thing", {"a": np.ones(1)})
    assert link.is_symlink() and load_arrays(saved, "thing")["a"].tolist() == [1.0]
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
