"""Tables as CSV files below lines that say what they are, with a checksum of all that follows it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mfmgdm_lib._arrays import replace_file
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib._provenance import now
from mfmgdm_lib.errors import NewerFormatError

__all__ = ["canonical", "provenance", "read_table", "write_table"]

FORMAT = 1
"""Version of the layout; a file with a higher one is from a later library, one without has no checksum."""


def write_table(path: Path, table: pd.DataFrame | str, about: Mapping[str, Any]) -> None:
    """Write a table, whole or not at all.

    Args:
        path: where to.
        table: a data frame, of which ten significant digits are kept, or text in CSV.
        about: what the lines above the table say, by name, as JSON.

    Raises:
        OSError: it could not be written; what was there before is still there.
    """
    lines = "".join(f"# {name}: {canonical(value)}\n" for name, value in {"format": FORMAT, **about}.items())
    if not isinstance(table, (str, pd.DataFrame)):
        raise TypeError(f"table is {table!r}; expected a data frame, or text in CSV. Use pandas.DataFrame(...).")
    text = table if isinstance(table, str) else table.to_csv(float_format="%.10g", lineterminator="\n")
    body = (lines + text).encode()
    replace_file(path, f"# sha256: {hashlib.sha256(body).hexdigest()}\n".encode() + body)


def read_table(path: Path, *, index: bool = False, checked: bool = False) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a table, and what the lines above it say.

    Args:
        path: where it is.
        index: whether the first column is the index.
        checked: whether a file without a checksum is refused, as those of release 0.1 are that have no specification.

    Raises:
        FileNotFoundError: there is no such file.
        NewerFormatError: a file that a newer version of the library wrote.
        ValueError: a damaged file.
    """
    content = path.read_bytes()
    about: dict[str, Any] = {}
    first, _, body = content.partition(b"\n")
    if checked or _DIGEST.search(first):
        if first != f"# sha256: {hashlib.sha256(body).hexdigest()}".encode():
            raise ValueError(f"{path} does not match its checksum; expected a file as it was written. Run it again.")
        about = _read_about(path, body)
    column = 0 if index else None
    try:
        table = pd.read_csv(io.BytesIO(content), comment="#", index_col=column, float_precision="round_trip")
    except ValueError as error:
        raise ValueError(f"{path} cannot be read ({error}); expected a table in CSV. Run it again.") from error
    return table, about


_DIGEST = re.compile(rb"[0-9a-f]{32}")
"""What the first line of a file with a checksum has, though a part of it may be damaged."""


def _read_about(path: Path, body: bytes) -> dict[str, Any]:
    """What the lines above a table say, `format` among it."""
    try:
        lines = [line[2:] for line in body.decode().split("\n") if line.startswith("# ")]
        about = {name: json.loads(value) for name, _, value in (line.partition(": ") for line in lines)}
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} has a line that is no JSON ({error}); expected names and JSON. Run it again."
        ) from error
    if not isinstance(version := about.get("format"), int):
        raise ValueError(f"{path} has format {version!r}; expected a number. Run it again.")
    if version > FORMAT:
        raise NewerFormatError(path, version, FORMAT)
    return about


def canonical(fields: Any) -> str:
    """Fields as JSON, in one way only."""
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(", ", ": "))


def provenance() -> dict[str, Any]:
    """Say what made a result: date, versions of the packages that count, and the machine."""
    packages = ("mfmgdm-lib", "numpy", "scipy", "torch")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {
        "date": f"{now():%Y-%m-%d}",
        "versions": {"Python": platform.python_version(), **versions},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
