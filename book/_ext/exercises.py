"""Hold exercises and their solutions, by sphinx-exercise, with no identifier twice on a page.

That extension wraps the content of each in a section of the same identifier, which HTML allows once.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

REPEATED = {"exercise-content", "solution-content"}


def drop_identifiers(app: Sphinx, document: nodes.document, pagename: str) -> None:
    """Take the repeated identifiers away, to which no link points, once figures have been numbered by section."""
    for section in document.findall(nodes.section):
        section["ids"] = [name for name in section["ids"] if name not in REPEATED]


def setup(app: Sphinx) -> dict[str, Any]:
    """Bring sphinx-exercise along."""
    app.setup_extension("sphinx_exercise")
    app.connect("doctree-resolved", drop_identifiers)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
