"""Tables as CSV files below lines that say what they are, with a checksum of all that follows it."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import io
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mfmgdm_lib._arrays import replace_file
from mfmgdm_lib._lazy import pandas as pd
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
    if checked or first.startswith(b"# sha256: "):
        if first != f"# sha256: {hashlib.sha256(body).hexdigest()}".encode():
            raise ValueError(f"{path} does not match its checksum; expected a file as it was written. Run it again.")
        lines = [line[2:] for line in body.decode().split("\n") if line.startswith("# ")]
        about = {name: json.loads(value) for name, _, value in (line.partition(": ") for line in lines)}
        if about["format"] > FORMAT:
            raise NewerFormatError(path, about["format"], FORMAT)
    column = 0 if index else None
    return pd.read_csv(io.BytesIO(content), comment="#", index_col=column, float_precision="round_trip"), about


def canonical(fields: Any) -> str:
    """Fields as JSON, in one way only."""
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(", ", ": "))


def provenance() -> dict[str, Any]:
    """Say what made a result: date, versions of the packages that count, and the machine."""
    packages = ("mfmgdm-lib", "numpy", "scipy", "torch")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "versions": {"Python": platform.python_version(), **versions},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
