"""The directive `{paper-map}`: a table of every part of the paper and the place in the book that has it.

With the option `:checks:` the equations get a table of their own, with what was checked of each and how it came out.

A directive rather than a cell, because the table depends on all other pages: Sphinx is told so and renews it when one
of them changes, which the execution cache of the notebooks would not notice.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mfmgdm_lib.companion import paper


def _plain(text: str) -> str:
    """Escape what Markdown would take for markup, and keep numbers such as 1e-12 on one line."""
    return re.sub(r"(?<=\de)-(?=\d)", "\u2011", re.sub(r"([\\`*_{}\[\]<>|$#~])", r"\\\1", text))


def _place(part: dict[Any, str]) -> str:
    return f"{{ref}}`{part['title']} <paper-{part['key']}>`" if part["page"] else "*not in this book*"


def _summary(parts: pd.DataFrame, made: pd.DataFrame) -> str:
    counts = [
        f"{(rows['page'] != '').sum()} of {len(rows)} {kind}{'s' if len(rows) > 1 else ''}"
        for kind, rows in parts.groupby("kind", sort=False)
    ]
    equations = parts[parts["kind"] == "equation"]
    wrong = equations[equations["key"].isin(made.loc[~made["holds"], "key"])]
    places = [f"{part['what']} ({_place(part)})" for part in wrong.to_dict("records")]
    return (
        f"This book has {', '.join(counts)} of the paper. It checks {equations['key'].isin(made['key']).sum()} of"
        f" {len(equations)} equations. **{len(wrong)} of them do not hold as printed**: {'; '.join(places)}."
    )


def _places(parts: pd.DataFrame) -> list[str]:
    rows = [f"| {part['label']} | {part['what']} | {_place(part)} |" for part in parts.to_dict("records")]
    return ["| in the paper | what | here |", "|---|---|---|", *rows]


def _checked(equations: pd.DataFrame, made: pd.DataFrame) -> list[str]:
    """Write a row for each check, and one for an equation that has none."""
    lines = ["| in the paper | here | what was checked | result |", "|---|---|---|---|"]
    for part in equations.to_dict("records"):
        own = made.loc[made["key"] == part["key"], ["what", "result", "holds"]]
        first = f"| {part['label'].replace(', unnumbered', '')}, {part['what']} | {_place(part)} |"
        for what, result, holds in own.itertuples(index=False, name=None):
            shown = _plain(result) if holds else f"✗ **{_plain(result)}**"
            lines.append(f"{first} {_plain(what)} | {shown} |")
            first = "| | |"
        if own.empty:
            lines.append(f"{first} *not checked* | |")
    return lines


class PaperMap(SphinxDirective):
    """Write the table as Markdown, so that Sphinx resolves its links and fails on one that leads nowhere."""

    option_spec: ClassVar[dict[str, Any]] = {"checks": directives.flag}

    def run(self) -> list[nodes.Node]:
        """Return the nodes of a summary and of the tables."""
        root = Path(self.env.srcdir)
        for path in [*paper.pages(root), *sorted(root.glob("notebooks/*.ipynb"))]:
            self.env.note_dependency(str(path))
        parts, made = paper.coverage(root), paper.checks(root)
        text = [_summary(parts, made), ""]
        if "checks" in self.options:
            is_equation = parts["kind"] == "equation"
            text += ["**Equations**", "", *_checked(parts[is_equation], made), ""]
            text += ["**Sections, figures and tables**", "", *_places(parts[~is_equation])]
        else:
            text += _places(parts)
        container = nodes.container()
        self.state.nested_parse(StringList(text, source="paper-map"), self.content_offset, container)
        return container.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("paper-map", PaperMap)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
