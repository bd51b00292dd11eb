"""Named arrays in one checksummed .npz file, written atomically and read without unpickling."""

from __future__ import annotations

import errno
import glob
import hashlib
import io
import math
import os
import platform
import re
import shutil
import stat
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mfmgdm_lib.errors import NewerFormatError

__all__ = [
    "load_arrays",
    "named_errors",
    "partial_path",
    "replace_file",
    "replacing_file",
    "save_arrays",
    "spell_bytes",
    "sweep_partials",
]

FORMAT = 2
"""Version of the layout; a file with a higher one is from a later library, one of version 1 has no checksum."""


def save_arrays(path: str | os.PathLike[str], kind: str, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write arrays as an uncompressed .npz file, replacing what is there; return its path, with the suffix.

    Args:
        path: where to; `.npz` is added if it is missing.
        kind: what the file holds, which `load_arrays` asks for.
        arrays: numbers or text, by name.

    Raises:
        OSError: it could not be written; an old one is still there.
    """
    target = Path(path)
    if target.suffix != ".npz":
        target = target.with_name(target.name + ".npz")
    content = {"kind": np.array(kind), "format": np.array(FORMAT), **arrays}
    whole = io.BytesIO()
    np.savez(whole, allow_pickle=False, **content, checksum=np.array(_checksum(content)))
    with named_errors(target):
        replace_file(target, whole.getbuffer())
    return target


def replace_file(path: Path, content: bytes | memoryview) -> None:
    """Put a file in the place of another at once.

    Raises:
        OSError: it could not be written; the old one is still there.
    """
    with replacing_file(path, size=len(content)) as file:
        file.write(content)


@contextmanager
def named_errors(path: Path, mend: str = "Free some space, or name another folder.") -> Iterator[None]:
    """Add the name of the file to an error of writing it, and what to do; of two around each other the outer one."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileExistsError) and error.errno is None:  # one of our own, which names it already
            raise
        first = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise OSError(
            first.errno,
            f"{path} could not be written ({first.strerror or first}); expected a folder that has room and may be"
            f" written to. {mend}",
        ) from first


def spell_bytes(n: float) -> str:
    """A size as text.

    Example:
        >>> spell_bytes(8), spell_bytes(8.192e14)
        ('8 bytes', '819 TB')
    """
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} PB"


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _add_room(error: OSError, folder: Path, size: int | None) -> None:
    """Let an error of a disk that is full, or of a file that may not be as large, say what is needed."""
    if error.errno not in _NO_ROOM:
        return
    needed = "" if size is None else f"{spell_bytes(size)} are needed, "
    error.strerror = f"{error.strerror}: {needed}{spell_bytes(shutil.disk_usage(folder).free)} are free"


@contextmanager
def replacing_file(path: Path, size: int | None = None) -> Iterator[BinaryIO]:
    """Open a file to write that takes its place when all is done: who reads it, or dies, sees the old one or the new.

    After an error of whatever kind the old one is still there, and nothing else. Who may read the old one may read the
    new one; a symbolic link stays, and what it points to is replaced.

    Args:
        path: where it will be.
        size: how many bytes it will have, if that is known, for an error of a disk that is full.
    """
    path = Path(os.path.realpath(path))
    sweep_partials(path.parent, path.name)
    partial = partial_path(path)
    try:
        with partial.open("wb") as file:
            if path.exists():
                partial.chmod(stat.S_IMODE(path.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        _add_room(error, path.parent, size)
        raise
    finally:
        partial.unlink(missing_ok=True)


def partial_path(path: Path) -> Path:
    """A name beside `path` for what is not whole yet, which no other write has: of no process, thread or machine."""
    return path.with_name(f"{path.name}.{_host()}-{os.getpid()}-{uuid.uuid4().hex}.partial")


_PARTIAL = re.compile(r"\.(?P<host>\w*)-(?P<process>\d+)-[0-9a-f]{32}\.partial$")

_ABANDONED_SECONDS = 24 * 3600.0


def _host() -> str:
    return re.sub(r"\W", "", platform.node())[:20]


def sweep_partials(folder: Path, name: str | None = None, *, older_than: float = _ABANDONED_SECONDS) -> None:
    """Delete what processes that were killed have left of files that they wrote, after a day.

    Args:
        folder: where.
        name: of the files; None for all.
        older_than: seconds, a day for processes of other machines, of which it cannot be seen whether they live.
    """
    for partial in folder.glob(f"{'*' if name is None else glob.escape(name)}.*.partial"):
        owner = _PARTIAL.search(partial.name)
        try:
            old = time.time() - partial.stat().st_mtime > older_than
            if owner is not None and old and not (owner["host"] == _host() and _is_alive(int(owner["process"]))):
                partial.unlink()
        except OSError:  # another process has swept it, or may not be swept after
            continue


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def _checksum(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def load_arrays(path: str | os.PathLike[str], kind: str, names: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Read back what `save_arrays` wrote, by name; nothing in the file is unpickled.

    Args:
        path: where it is.
        kind: what it has to hold.
        names: arrays that have to be there.

    Raises:
        FileNotFoundError: no such file.
        NewerFormatError: a file of a later version.
        ValueError: not such a file, a damaged one, one of another kind, or without some of the names.
    """
    content = Path(path).read_bytes()  # errors of the system's are raised here, those of the file below
    try:
        arrays = _read_members(content)
    except MemoryError:
        raise
    except Exception as error:  # a flipped bit in the directory of a zip file makes its reader raise nearly anything
        raise ValueError(
            f"{path} cannot be read ({error}); expected a whole file with a {kind} in it. Fit and save it again."
        ) from error
    found, checksum = str(arrays.get("kind", "something else")), arrays.pop("checksum", None)
    if found != kind:
        raise ValueError(f"{path} holds {found}; expected a {kind}. Load it as what it is, or name another file.")
    version = _version(path, kind, arrays)
    if version > 1 and str(checksum) != _checksum(arrays):
        raise ValueError(f"{path} does not match its checksum; expected a file as it was written. Save it again.")
    if missing := [name for name in names if name not in arrays]:
        raise ValueError(f"{path} has no {', '.join(missing)}; expected a whole {kind}. Fit and save it again.")
    return {name: array for name, array in arrays.items() if name not in ("kind", "format")}


def _version(path: str | os.PathLike[str], kind: str, arrays: Mapping[str, np.ndarray]) -> int:
    found = arrays.get("format")
    if found is None or found.shape or found.dtype.kind not in "iu" or found < 1:
        said = "does not say its format" if found is None else f"has format {found}"
        raise ValueError(f"{path} {said}; expected a number in a whole file with a {kind} in it. Save it again.")
    if (version := int(found)) > FORMAT:
        raise NewerFormatError(path, version, FORMAT)
    return version


def _read_members(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name, which together take no more memory than the file has bytes."""
    if content.startswith(np.lib.format.MAGIC_PREFIX):
        raise ValueError("a single array")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if packed := [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]:
            raise ValueError(f"{packed[0]} is packed, as no file of this library is")
        if (declared := sum(member.file_size for member in members)) > len(content):
            raise ValueError(f"its parts say that they have {declared} bytes, and it has {len(content)}")
        return {member.filename.removesuffix(".npy"): _read_member(archive, member) for member in members}


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array, if its header says the size that it has: NumPy takes the memory before it reads."""
    with archive.open(member) as file:
        read_header = _HEADERS[np.lib.format.read_magic(file)]  # type: ignore[no-untyped-call]
        shape, _, dtype = read_header(file)
        size, room = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
        if size != room or not dtype.itemsize or min(shape, default=0) < 0:
            raise ValueError(f"{member.filename} says it has shape {shape} of {dtype}, {size} bytes, and has {room}")
        file.seek(0)
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)  # type: ignore[no-untyped-call]
        return array


_HEADERS: dict[tuple[int, int], Callable[..., tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
