"""The cellar: named arrays in one file, written whole or not at all and read without executing anything."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

__all__ = ["load_arrays", "save_arrays"]

FORMAT = 1
"""Version of the layout; a file with a higher one is from a later library."""


def save_arrays(path: str | os.PathLike[str], kind: str, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write arrays as an uncompressed .npz file, replacing what is there; return its path, with the suffix.

    Args:
        path: where to; `.npz` is added if it is missing.
        kind: what the file holds, which `load_arrays` asks for.
        arrays: numbers or text, by name.
    """
    target = Path(path)
    if target.suffix != ".npz":
        target = target.with_name(target.name + ".npz")
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, kind=np.array(kind), format=np.array(FORMAT), **arrays)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def load_arrays(path: str | os.PathLike[str], kind: str, names: Sequence[str]) -> list[np.ndarray]:
    """Read back, in the order of `names`, what `save_arrays` wrote; nothing in the file is unpickled.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file, one of another kind, from a later version, or without some of the names.
    """
    try:
        with Path(path).open("rb") as file:
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                raise ValueError("a single array")
            arrays = {name: content[name] for name in content.files}
    except (zipfile.BadZipFile, EOFError, ValueError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(
            f"{path} cannot be read ({error}); expected a whole file with a {kind} in it. Fit and save it again."
        ) from error
    found = str(arrays.get("kind", "something else"))
    if found != kind:
        raise ValueError(f"{path} holds {found}; expected a {kind}. Load it as what it is, or name another file.")
    if int(arrays["format"]) > FORMAT:
        raise ValueError(
            f"{path} has format {int(arrays['format'])}; expected at most {FORMAT}, the one of this version."
            " Use a newer mfmgdm_lib, or fit and save it again."
        )
    if missing := [name for name in names if name not in arrays]:
        raise ValueError(f"{path} has no {', '.join(missing)}; expected a whole {kind}. Fit and save it again.")
    return [arrays[name] for name in names]
