"""Link what the reference documents to its source, in the repository where that is on the web, or else in the site.

The extension chooses between Sphinx's `linkcode` and `viewcode`, which makes the pages.
"""

from __future__ import annotations

import inspect
import operator
import re
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from repository import ROOT, commit, repository_address
from sphinx.application import Sphinx

__all__ = ["back_link", "extension_for", "place_of", "resolver", "source_template"]

BACK_LINK = re.compile(
    r'(?P<block><div class="viewcode-block" id="(?P<name>[^"]+)">\s*)'
    r'<a class="viewcode-back" href="(?P<page>[^"#]+)#[^"]*">(?P<text>[^<]*)</a>'
)
NO_PAGE = re.compile(r'<li><a href="builtins\.html">builtins</a></li>')
"""What the list of modules has for constants, whose type is a built-in one."""


def extension_for(address: str | None) -> str:
    """Name the extension that makes the links: the repository has them, or else the site must."""
    return "sphinx.ext.viewcode" if address is None else "sphinx.ext.linkcode"


def place_of(module: str, name: str) -> tuple[Path, int, int] | None:
    """Return the file and the first and last line of what a module calls by a name; None for constants."""
    try:
        value = operator.attrgetter(name)(import_module(module))
        if isinstance(value, property):
            value = value.fget
        value = inspect.unwrap(value)
        file, (lines, first) = inspect.getsourcefile(value), inspect.getsourcelines(value)
    except (AttributeError, OSError, TypeError):
        return None
    return None if file is None else (Path(file), first, first + len(lines) - 1)


def resolver(address: str, revision: str) -> Callable[[str, Mapping[str, str]], str | None]:
    """Return what `linkcode` asks for the address of a thing: its lines in the repository, at a commit."""

    def resolve(domain: str, info: Mapping[str, str]) -> str | None:
        place = place_of(info["module"], info["fullname"]) if domain == "py" and info["module"] else None
        if place is None or not place[0].is_relative_to(ROOT):
            return None
        file, first, last = place
        return f"{address}/blob/{revision}/{file.relative_to(ROOT).as_posix()}#L{first}-L{last}"

    return resolve


def back_link(found: re.Match[str], folder: Path) -> str:
    """Write the link from a source to the reference: `viewcode` takes it for granted that a module has its own names.

    Args:
        found: the head of a block of source, a match of `BACK_LINK`.
        folder: where the page of the source is.

    Returns:
        The head with its link, or without one where the reference does not have the name.
    """
    page = (folder / found["page"]).read_text(encoding="utf-8")
    anchor = re.search(rf'id="(mfmgdm_lib\.(?:[\w.]+\.)?{re.escape(found["name"])})"', page)
    if anchor is None:
        return found["block"]
    return f'{found["block"]}<a class="viewcode-back" href="{found["page"]}#{anchor[1]}">{found["text"]}</a>'


def source_template(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> str | None:
    """Name the template of a page of source; None for others, which have the theme's."""
    return "source.html" if page.startswith("_modules/") else None


def mend_back_links(app: Sphinx, exception: Exception | None) -> None:
    """Mend the links of all pages of source, once they are written."""
    if exception is None and app.builder.name == "html":
        for path in (Path(app.outdir) / "_modules").rglob("*.html"):
            text = NO_PAGE.sub("", path.read_text(encoding="utf-8"))
            mended = BACK_LINK.sub(partial(back_link, folder=path.parent), text)
            path.write_text(mended, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Set up the extension that is needed."""
    address = repository_address()
    if address is not None:
        resolve = resolver(address, commit())
        app.connect("config-inited", lambda app, config: setattr(config, "linkcode_resolve", resolve))
    app.setup_extension(extension_for(address))
    app.connect("html-page-context", source_template, priority=900)
    app.connect("build-finished", mend_back_links, priority=800)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
