"""Files of arrays: written whole or not at all, and read with suspicion."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from mfmgdm_lib import _archive
from mfmgdm_lib._archive import load_arrays, save_arrays


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_arrays(tmp_path / "kept", "thing", {"a": np.arange(3.0), "name": np.array("√2")})


def test_arrays_and_text_come_back(saved: Path) -> None:
    a, name = load_arrays(saved, "thing", ("a", "name"))
    assert a.tolist() == [0.0, 1.0, 2.0] and str(name) == "√2"


def test_failed_write_leaves_what_was_there(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_arrays(saved, "thing", {"a": np.zeros(1)})
    assert saved.read_bytes() == before and [*saved.parent.iterdir()] == [saved]


def test_second_write_replaces_the_first(saved: Path) -> None:
    save_arrays(saved, "thing", {"a": np.zeros(1)})
    assert load_arrays(saved, "thing", ("a",))[0].tolist() == [0.0]


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load_arrays(tmp_path / "none.npz", "thing", ())


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
        load_arrays(tmp_path / "one.npy", "thing", ())


def test_file_of_another_kind_a_later_format_or_without_a_part_is_refused(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="holds thing; expected a projection"):
        load_arrays(saved, "projection", ())
    with pytest.raises(ValueError, match="has no b; expected a whole thing"):
        load_arrays(saved, "thing", ("a", "b"))
    monkeypatch.setattr(_archive, "FORMAT", 2)
    later = save_arrays(saved, "thing", {})
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"has format 2; expected at most 1.*Use a newer mfmgdm_lib"):
        load_arrays(later, "thing", ())
