"""Offer each page that has code as an executed notebook.

The theme's download menu holds the page's source (.md), and an .ipynb where the page's context names one. MyST-NB keeps
the cells of a page beside the site and their outputs in the execution cache: this joins the two, puts the notebook into
the site and names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from jupyter_cache import get_cache
from sphinx.application import Sphinx


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
    offered = Path(app.outdir) / "_sources" / name
    offered.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, offered)
    context["ipynb_source"] = name


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx, early enough for the theme's buttons (priority 501) to see the name."""
    app.connect("html-page-context", add_notebook, priority=400)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
