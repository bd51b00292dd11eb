"""Load the explorer's scripts and stylesheet on its own page, and on no other."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

PAGE = "notebooks/02_explorer"
SCRIPTS = ("vendor/d3-7.9.0.min.js", "explorer.js")


def add_scripts(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Name the files, in the order in which they run: d3 draws for the other."""
    if pagename == PAGE:
        app.add_css_file("explorer.css")
        for script in SCRIPTS:
            app.add_js_file(script, loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx where a page may still name files of its own."""
    app.connect("html-page-context", add_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
