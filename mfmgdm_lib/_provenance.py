"""Provenance: the version, the command, the date and the threads that files which are written say of themselves."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

__all__ = ["as_json", "file_sha256", "made_by", "now", "provenance", "this_command"]

_command: ContextVar[str] = ContextVar("command", default="")


def provenance() -> dict[str, Any]:
    """Return what is true of every file that is written now, whatever is in it.

    Returns:
        `version` of the library; `command`, as it was typed, where one is running; `date`, in UTC, to the second;
        `threads`, the number that PyTorch has.

    Raises:
        ValueError: as `now`.

    Example:
        >>> with made_by(["generate", "my prices.csv"]):
        ...     provenance()["command"]
        "mfmgdm generate 'my prices.csv'"
    """
    import torch  # not loaded by who only asks for help

    return {
        "version": importlib.metadata.version("mfmgdm-lib"),
        **({"command": this_command()} if this_command() else {}),
        "date": now().isoformat(),
        "threads": torch.get_num_threads(),
    }


@contextmanager
def made_by(arguments: Sequence[str]) -> Iterator[None]:
    """Let what is written meanwhile say that `mfmgdm` was run with these arguments."""
    before = _command.set(shlex.join(["mfmgdm", *arguments]))
    try:
        yield
    finally:
        _command.reset(before)


def this_command() -> str:
    """The command that is running, as a shell takes it; empty in Python."""
    return _command.get()


def now() -> datetime.datetime:
    """Return the time in UTC, to the second: that of SOURCE_DATE_EPOCH where the environment has it, as builds do.

    Then the same command writes the same bytes at any time (https://reproducible-builds.org/specs/source-date-epoch).

    Raises:
        ValueError: a variable that is no number of seconds since 1970.
    """
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    if not fixed:
        return datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    try:
        return datetime.datetime.fromtimestamp(int(fixed), datetime.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(
            f"SOURCE_DATE_EPOCH is {fixed!r} in the environment; expected whole seconds since 1970, as 1700000000."
            " Correct it, or unset it."
        ) from error


def file_sha256(path: Path) -> str:
    """The checksum of a file, whatever its size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def as_json(about: Mapping[str, Any]) -> str:
    r"""Return what is known about a file as JSON in ASCII, which every format has room for, whatever names it has.

    Example:
        >>> as_json({"source": "Größe\x1b.csv", "seed": 0})
        '{"source": "Gr\\u00f6\\u00dfe\\u001b.csv", "seed": 0}'
    """
    return json.dumps(about)
