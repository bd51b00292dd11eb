"""Read the notebooks that the built site offers, each of which is a script that hands it to the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

CALL, END = "saveNotebook(...", ");\n"
"""What stands around the name and the text of a notebook, as book/_ext/notebook_download.py writes it."""


def offered(folder: Path) -> Iterator[tuple[Path, str]]:
    """List the scripts below a folder, each with the text of its notebook."""
    for path in sorted(folder.rglob("*.ipynb.js")):
        yield path, notebook_text(path)


def notebook_text(path: Path) -> str:
    """Return the notebook that a reader's browser saves from a script.

    Raises:
        ValueError: it is no such script.
    """
    content = path.read_text(encoding="utf-8")
    if not (content.startswith(CALL) and content.endswith(END)):
        raise ValueError(f"{path} begins with {content[:20]!r}; expected {CALL!r}, and {END!r} at its end.")
    _, text = json.loads(content.removeprefix(CALL).removesuffix(END))
    return str(text)
