"""Offer each page that has code as an executed notebook that plain Jupyter can show and run.

The theme's download menu holds the page's source (.md), and an .ipynb where the page's context names one. MyST-NB keeps
the cells of a page beside the site and their outputs in the execution cache: this joins the two, rewrites what only the
book understands, puts the notebook into the site and names it.
"""

from __future__ import annotations

import json
import posixpath
from pathlib import Path
from typing import Any

import nbformat
from docutils.nodes import make_id
from jupyter_cache import get_cache
from plain_notebook import Place, Work, plain_notebook
from sphinx.application import Sphinx


class SphinxReferences:
    """What Sphinx knows of the labels that one page uses."""

    def __init__(self, app: Sphinx, pagename: str) -> None:
        """Read for one page."""
        self._app, self._env, self._pagename = app, app.env, pagename

    def numbered(self, label: str) -> Place:
        """Return the number of a figure or an exercise, spelled as in the book."""
        page, target, *_ = self._labels()[label]
        kind = next(kind for kind in ("figure", "exercise") if target in self._env.toc_fignumbers[page].get(kind, {}))
        number = self._number(page, kind, target)
        return Place(self._app.config.numfig_format[kind] % number, self._other(page))

    def equation(self, label: str) -> Place:
        """Return the number of an equation in brackets."""
        page = self._env.get_domain("math").equations[label][0]  # type: ignore[attr-defined]
        number = self._number(page, "displaymath", make_id(f"equation-{label}"))
        return Place(self._app.config.math_eqref_format.format(number=number), self._other(page))

    def page(self, target: str) -> str:
        """Return the title of a page, named relative to this one or from the root."""
        base = "" if target.startswith("/") else posixpath.dirname(self._pagename)
        return self._env.titles[posixpath.normpath(posixpath.join(base, target.lstrip("/")))].astext()

    def section(self, label: str) -> str:
        """Return the title of the section that a label is of, or of its page where it stands elsewhere."""
        page, _, *title = self._labels()[label]
        return str(title[0]) if title else self._env.titles[page].astext()

    def work(self, key: str) -> Work:
        """Return a work of the bibliography; of more than three authors only the first is named."""
        entry = self._env.get_domain("cite").bibdata.data.entries[key]  # type: ignore[attr-defined]
        names = [" ".join([*person.prelast_names, *person.last_names]) for person in entry.persons["author"]]
        authors = " and ".join([", ".join(names[:-1]), names[-1]] if 1 < len(names) <= 3 else names[:1])
        if len(names) > 3:
            authors += " et al."
        doi = entry.fields.get("doi")
        return Work(authors, entry.fields["year"], f"https://doi.org/{doi}" if doi else entry.fields.get("url", ""))

    def _labels(self) -> dict[str, tuple[str, ...]]:
        domain = self._env.get_domain("std")
        return {**domain.anonlabels, **domain.labels}  # type: ignore[attr-defined]

    def _number(self, page: str, kind: str, target: str) -> str:
        return ".".join(map(str, self._env.toc_fignumbers[page][kind][target]))

    def _other(self, page: str) -> str:
        return "" if page == self._pagename else self._env.titles[page].astext()


def add_notebook(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Write the executed notebook of this page, if it has code, to where the theme's button will point."""
    if "kernelspec" not in app.env.metadata.get(pagename, {}):
        return
    build, name = Path(app.outdir).parent, f"{pagename}.ipynb"
    cells = nbformat.read(build / "jupyter_execute" / name, as_version=4)
    try:
        _, notebook = get_cache(build / ".jupyter_cache").merge_match_into_notebook(cells)
    except KeyError:  # built without executing: there is nothing to offer
        return
    notebook.metadata.pop("source_map", None)  # line numbers of the .md
    macros = {name: meaning[0] for name, meaning in app.config.mathjax3_config["tex"]["macros"].items()}
    plain_notebook(notebook, SphinxReferences(app, pagename), macros)
    # From a disk, a page may read nothing but scripts: book/_static/page.js saves the notebook from this one.
    offered = Path(app.outdir) / "_sources" / f"{name}.js"
    offered.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps([offered.stem, nbformat.writes(notebook)])
    offered.write_text(f"saveNotebook(...{content});\n", encoding="utf-8")  # as tools/site_notebooks.py reads it
    context["ipynb_source"] = f"{name}.js"


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx, early enough for the theme's buttons (priority 501) to see the name."""
    app.connect("html-page-context", add_notebook, priority=400)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
