"""Execute each notebooks/*.md into the executed notebook beside it, notebooks/*.ipynb, which is committed.

A notebook is left alone when neither its source nor the library has changed since it was executed here and the .ipynb
still has the source's cells; `--force` executes it all the same. `make notebooks` runs this.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from clear_stale import BEHIND_THE_NOTEBOOKS, BUILD, ROOT, fingerprint
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

RECORD = BUILD / "executed.json"
CELL_TIMEOUT_S = 1800


def read_source(path: Path) -> Any:
    """Read a MyST source as a notebook whose cell ids are the same every time."""
    notebook = jupytext.read(path)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{path.stem.replace('_', '-')}-{number}"[-64:]
    return notebook


def cells_of(notebook: Any) -> list[tuple[str, str, Any]]:
    """Keep of each cell what its author wrote."""
    return [(cell.cell_type, cell.source.rstrip(), dict(cell.metadata)) for cell in notebook.cells]


def is_current(source: Path, target: Path, state: str, record: dict[str, str]) -> bool:
    """Tell whether the executed notebook is what executing its source now would give."""
    if record.get(source.stem) != state or not target.is_file():
        return False
    return cells_of(nbformat.read(target, as_version=4)) == cells_of(read_source(source))


def execute(source: Path, target: Path) -> None:
    """Run one notebook in its own folder and write it, whole or not at all."""
    notebook = read_source(source)
    NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        record_timing=False,  # times would differ at every run
        resources={"metadata": {"path": str(source.parent)}},
    ).execute()
    notebook.metadata.get("language_info", {}).pop("version", None)
    notebook.metadata.pop("widgets", None)
    partial = target.with_suffix(".ipynb.partial")
    nbformat.write(notebook, partial)
    partial.replace(target)


def main() -> int:
    """Bring the executed notebooks up to date; the exit status is 1 if a cell failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="stems such as 01_ar_illustration (default: all)")
    parser.add_argument("--force", action="store_true", help="execute also what is up to date")
    arguments = parser.parse_args()

    library = fingerprint(BEHIND_THE_NOTEBOOKS)
    record: dict[str, str] = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    failed = False
    for source in sorted((ROOT / "notebooks").glob("*.md")):
        if arguments.names and source.stem not in arguments.names:
            continue
        target = source.with_suffix(".ipynb")
        state = hashlib.sha256(library.encode() + source.read_bytes()).hexdigest()
        if not arguments.force and is_current(source, target, state, record):
            print(f"{source.stem}: up to date")
            continue
        start = time.perf_counter()
        try:
            execute(source, target)
        except CellExecutionError as error:
            print(f"{source.stem}: a cell failed\n{error}", file=sys.stderr)
            failed = True
            continue
        record[source.stem] = state
        BUILD.mkdir(exist_ok=True)
        RECORD.write_text(json.dumps(record, indent=1))
        print(f"{source.stem}: executed in {time.perf_counter() - start:.0f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
