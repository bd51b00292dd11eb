"""The directive `{paper-map}`: a table of every part of the paper and the place in the book that has it.

A directive rather than a cell, because the table depends on all other pages: Sphinx is told so and renews it when one
of them changes, which the execution cache of the notebooks would not notice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mfmgdm_lib import paper


class PaperMap(SphinxDirective):
    """Write the table as Markdown, so that Sphinx resolves its links and fails on one that leads nowhere."""

    def run(self) -> list[nodes.Node]:
        """Return the nodes of a summary and of the table."""
        root = Path(self.env.srcdir)
        for path in paper.pages(root):
            self.env.note_dependency(str(path))
        parts = paper.coverage(root)
        lines = ["| in the paper | what | here |", "|---|---|---|"]
        for key, _, label, what, page, title in parts.itertuples(index=False):
            place = f"{{ref}}`{title} <paper-{key}>`" if page else "*not yet*"
            lines.append(f"| {label} | {what} | {place} |")
        counts = [
            f"{(rows['page'] != '').sum()} of {len(rows)} {kind}{'s' if len(rows) > 1 else ''}"
            for kind, rows in parts.groupby("kind", sort=False)
        ]
        container = nodes.container()
        text = [f"So far: {', '.join(counts)}.", "", *lines]
        self.state.nested_parse(StringList(text, source="paper-map"), self.content_offset, container)
        return container.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("paper-map", PaperMap)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
