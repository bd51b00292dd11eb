"""The store of results: files keyed by the specification of a run, with checksums, checkpoints and locks."""

from __future__ import annotations

import errno
import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock, Timeout

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._arrays import load_arrays, named_errors, partial_path, save_arrays, sweep_partials
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib.errors import Message, NewerFormatError
from mfmgdm_lib.runs.tables import canonical, provenance, read_table, write_table
from mfmgdm_lib.specification import arguments_of

__all__ = ["Progress", "Result", "ResultStore", "Specification"]

_WORK = ".work"
"""Where checkpoints and locks are, inside a store; nothing in there is worth keeping once its result is."""

_CHECKPOINT, _ABOUT = "checkpoint of a run", "about"


class Specification(Protocol):
    """What to run: an object that `mfmgdm_lib.spec` could describe, with a `key`, a name that a file may have."""

    @property
    def key(self) -> str:
        """A readable name, which several specifications may share."""


@dataclass(frozen=True)
class Result:
    """What is kept of a run.

    Attributes:
        specification: the arguments of the specification, as `arguments_of` writes them.
        provenance: how it came about: versions, machine, wall time in seconds, and whatever else the run says.
        table: numbers, a row for each step that was kept, or for whatever its index says.
    """

    specification: dict[str, Any]
    provenance: dict[str, Any]
    table: pd.DataFrame

    @property
    def seconds(self) -> float:
        """How long the run took; NaN where its provenance does not say."""
        found = self.provenance.get("wall_time")
        return float(found) if isinstance(found, int | float) else math.nan


@dataclass(frozen=True)
class Progress:
    """How far a run is, by its last checkpoint.

    Attributes:
        state: "done", "running", "interrupted" or "missing".
        step: the step that it has got to.
        seconds: how long that took.
        value: the number that it is after, there.
    """

    state: str
    step: int = 0
    seconds: float = 0.0
    value: float = math.nan


_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)

_NAMED = 3
"""How many of the results that are missing are named."""


@checked
class ResultStore:
    """A folder of results: one CSV file for each specification, below lines that say where it comes from.

    A file's name is the specification's `key` and a digest of all its arguments: another step size is another file. Its
    first line is a checksum of the rest. A file that does not match it is renamed to `….damaged`, reported, and counts
    as missing. Several processes may share a store, on one machine or on a file system that all of them see.

    Args:
        folder: where; it is made when something is first written.
        fallback: another folder of results, whose results count as found where `folder` has none; it is only read.
        report: what to do with a sentence for the user, such as that a file was set aside.

    Example:
        >>> import tempfile
        >>> @dataclass(frozen=True)
        ... class Throw:
        ...     sides: int
        ...     key = "throw"
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = ResultStore(folder)
        ...     before = store.load(Throw(6))
        ...     path = store.save(Throw(6), pd.DataFrame({"eyes": [4]}).rename_axis("step"), {"wall_time": 0.1})
        ...     int(store.load(Throw(6)).table.loc[0, "eyes"]), before, store.load(Throw(20))
        (4, None, None)
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        fallback: str | os.PathLike[str] | None = None,
        report: Callable[[str], None] = print,
    ) -> None:
        self.folder = Path(folder)
        self.fallback = None if fallback is None else Path(fallback)
        self._report = report

    def path(self, specification: Specification) -> Path:
        """Where the result of a specification is, or will be."""
        return self.folder / f"{self._name(specification)}.csv"

    def _found_at(self, specification: Specification) -> Path:
        """Where a result is read: in the folder, or in the fallback where only that has one."""
        return self._found(self.path(specification))

    def _found(self, path: Path) -> Path:
        if self.fallback is None or path.is_file() or not (self.fallback / path.name).is_file():
            return path
        return self.fallback / path.name

    def checkpoint_path(self, specification: Specification) -> Path:
        """Where the checkpoint of a run of the specification is, or will be."""
        return self.folder / _WORK / f"{self._name(specification)}.npz"

    def _name(self, specification: Specification) -> str:
        digest = hashlib.sha256(canonical(arguments_of(specification)).encode()).hexdigest()
        return f"{specification.key}-{digest[:8]}"

    # --- results ---

    def read(self, specification: Specification) -> Result:
        """Return the result of a specification.

        Raises:
            FileNotFoundError: there is none.
            NewerFormatError: a file that a newer version of the library wrote.
            ValueError: a damaged file.
        """
        path = self._found_at(specification)
        table, about = read_table(path, index=True, checked=True)
        if not all(isinstance(about.get(name), dict) for name in ("specification", "provenance")):
            raise ValueError(f"{path} does not say its specification and provenance; expected both. Run it again.")
        result = Result(about["specification"], about["provenance"], table)
        if result.specification != arguments_of(specification):
            raise ValueError(f"{path} is of another specification; expected that of its name. Run it again.")
        return result

    def load(self, specification: Specification, *, set_aside: bool = True) -> Result | None:
        """Return the result of a specification, or None if there is none.

        Args:
            specification: what was run.
            set_aside: whether to rename a damaged file, which counts as none, and say so.

        Raises:
            NewerFormatError: a file that a newer version of the library wrote.
        """
        try:
            return self.read(specification)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except NewerFormatError:
            raise
        except ValueError as error:
            if set_aside and self.path(specification).is_file():
                with self._needed_for(specification, reason=f" ({error})"):
                    self._set_aside(self.path(specification), str(error))
            return None

    def save(self, specification: Specification, table: pd.DataFrame, facts: Mapping[str, Any]) -> Path:
        """Write a result and drop its checkpoint; return the path.

        Args:
            specification: what was run.
            table: numbers, indexed by step or by what they are of; ten significant digits are kept.
            facts: numbers and text for the provenance, which says versions, machine and date by itself.

        Raises:
            OSError: the disk is full, or the folder cannot be written to. What was there before is still there.
        """
        path = self.path(specification)
        with self._writing(path):
            about = {"specification": arguments_of(specification), "provenance": {**facts, **provenance()}}
            write_table(path, table, about)
            self.checkpoint_path(specification).unlink(missing_ok=True)
        return path

    def table(self, name: str) -> pd.DataFrame:
        """Return the table with a name of its own, in the folder or else in the fallback.

        Raises:
            FileNotFoundError: there is none.
            ValueError: a damaged file.
        """
        return read_table(self._found(self.folder / f"{name}.csv"))[0]

    def save_table(self, name: str, table: str, facts: Mapping[str, Any]) -> Path:
        """Write a table, as CSV, under a name of its own; return its path.

        Args:
            name: the file's name without its suffix.
            table: the table.
            facts: what the provenance says besides versions, machine and date.

        Raises:
            OSError: as in `save`.
        """
        path = self.folder / f"{name}.csv"
        with self._writing(path):
            write_table(path, table, {"provenance": {**facts, **provenance()}})
        return path

    def say(self, text: str) -> None:
        """Tell the user something, as that a file was set aside."""
        self._report(text)

    # --- work under way ---

    @contextmanager
    def claim(self, specification: Specification, *, wait: bool = False) -> Iterator[bool]:
        """Hold a specification while it is worked on; whether it could be had, which nobody else can meanwhile.

        The operating system lets go of it when its holder dies, however that happens.

        Args:
            specification: what is to be run.
            wait: whether to wait for another holder to let go.

        Raises:
            OSError: as `expect`.
        """
        path = self._lock_path(specification)
        with self._needed_for(specification), self._writing(path):
            for folder in (self.folder, path.parent):
                sweep_partials(folder)
            lock = FileLock(path, thread_local=False)
            mine = _acquired(lock, wait)
        try:
            yield mine
        finally:
            if mine:
                lock.release()

    def save_checkpoint(
        self, specification: Specification, arrays: Mapping[str, np.ndarray], progress: Progress
    ) -> None:
        """Put a run down: the arrays that it needs to go on, and how far it is.

        Raises:
            OSError: the disk is full, or the folder cannot be written to. The checkpoint before is still there.
        """
        path = self.checkpoint_path(specification)
        with self._writing(path):
            about = np.array([progress.step, progress.seconds, progress.value])
            save_arrays(path, _CHECKPOINT, {**arrays, _ABOUT: about})

    def load_checkpoint(self, specification: Specification) -> tuple[dict[str, np.ndarray], Progress] | None:
        """Return the arrays of the last checkpoint and how far it is, or None; a damaged one is set aside."""
        path = self.checkpoint_path(specification)
        try:
            return _read_checkpoint(path, "interrupted")
        except FileNotFoundError:
            return None
        except NewerFormatError:
            raise
        except ValueError as error:
            self._set_aside(path, str(error))
            return None

    def forget_checkpoint(self, specification: Specification) -> None:
        """Delete a checkpoint that was left when a process was killed just after its result was there."""
        with suppress(OSError):  # of a store that may only be read
            self.checkpoint_path(specification).unlink(missing_ok=True)

    def drop_checkpoint(self, specification: Specification, reason: str) -> None:
        """Set a checkpoint aside that a run cannot go on from, and say why."""
        self._set_aside(self.checkpoint_path(specification), reason)

    def progress(self, specification: Specification) -> Progress:
        """Say how far a specification is, without changing anything."""
        if self.load(specification, set_aside=False) is not None:
            return Progress("done")
        busy = self._busy(specification)
        try:
            return _read_checkpoint(self.checkpoint_path(specification), "running" if busy else "interrupted")[1]
        except (OSError, ValueError):
            return Progress("running" if busy else "missing")

    def _lock_path(self, specification: Specification) -> Path:
        return self.checkpoint_path(specification).with_suffix(".lock")

    def _busy(self, specification: Specification) -> bool:
        path = self._lock_path(specification)
        if not path.is_file():
            return False
        lock = FileLock(path, thread_local=False)
        try:
            free = _acquired(lock, wait=False)
        except OSError:  # the store is only read here, and what others do with it is out of sight
            return False
        if free:
            lock.release()
        return not free

    def expect(self, *specifications: Specification) -> None:
        """See that results of these specifications can be written, before anyone waits for them.

        Raises:
            OSError: they cannot; the message names them where the store may only be read.
        """
        with self._needed_for(*specifications), self._writing(self.folder / "store"):
            mark = partial_path(self.folder / "store")
            try:
                mark.touch()
            finally:
                mark.unlink(missing_ok=True)

    @contextmanager
    def _needed_for(self, *missing: Specification, reason: str = "") -> Iterator[None]:
        """Say of a store that may only be read which results it lacks, and why where they are damaged."""
        try:
            yield
        except OSError as error:
            if error.errno not in _FORBIDDEN:
                raise
            keys = [specification.key for specification in missing]
            named = ", ".join(keys[:_NAMED]) + (f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else "")
            said = (
                f"{self.folder} has no result of {named}{reason}, and may not be written to"
                f" ({os.strerror(error.errno)}); expected a store that has it, or takes new ones."
            )
            mend = "Copy the folder to where you may write, and {} the copy: what is stored is found there."
            text = Message(said, mend.format("open a ResultStore of"), option=mend.format("name with --store"))
            raise OSError(error.errno, text) from error

    def _set_aside(self, path: Path, reason: str) -> None:
        aside = path.with_name(f"{path.name}.damaged")
        with self._writing(aside):
            path.replace(aside)
        self._report(f"Set aside a damaged file as {aside.name}, which counts as missing: {reason}")

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """Make the folder, and say of a failure what it means for the store."""
        mend = "Free some space or name another folder, and run again: what was stored is still there."
        with named_errors(path, mend):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield


def _read_checkpoint(path: Path, state: str) -> tuple[dict[str, np.ndarray], Progress]:
    arrays = load_arrays(path, _CHECKPOINT, [_ABOUT])
    about = arrays.pop(_ABOUT)
    if about.shape != (3,) or about.dtype.kind != "f" or not (np.isfinite(about[:2]) & (about[:2] >= 0)).all():
        raise ValueError(f"{path} says it is at {about}; expected a step, seconds and a value. Run it again.")
    step, seconds, value = about.tolist()
    return arrays, Progress(state, int(step), seconds, value)


def _acquired(lock: FileLock, wait: bool) -> bool:
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        return False
    return True
