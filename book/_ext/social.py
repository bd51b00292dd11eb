"""Describe every page to search engines and to services that preview links: description, picture and their addresses.

`sphinxext.opengraph` writes the tags. It would describe a page by its first 200 characters, formulas and headings
included, and a crawler needs the picture's whole address, which only whoever puts the site on a server knows: the
environment variable SITE_URL names it. Without one, addresses are relative to the page, which holds wherever it lies.
"""

from __future__ import annotations

import os
import posixpath
import re
from html import escape
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from docutils.utils import new_document
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError
from sphinx.util.osutil import relative_uri
from sphinxext.opengraph import get_tags

PICTURE = "_static/card.png"
"""Drawn by `tools/make_images.py`; _config.yml has its size and its description."""

LONGEST = 200
"""Characters of a description: what search engines and previews show of one."""


def site_url() -> str:
    """Return the address under which the site will be found, ending in a slash, or nothing where that is not known."""
    given = os.environ.get("SITE_URL", "").strip()
    parts = urlsplit(given)
    if given and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment):
        raise ConfigError(
            f"SITE_URL is {given!r}; expected an address such as https://example.org/book/."
            " Set it to where the site will lie, or unset it for addresses relative to each page."
        )
    return given and given.rstrip("/") + "/"


def set_site_url(app: Sphinx, config: Config) -> None:
    """Tell Sphinx, which writes the canonical address of each page, and opengraph; a change rewrites all pages."""
    config["ogp_site_url"] = config["html_baseurl"] = site_url()


def first_paragraph(doctree: nodes.document) -> str:
    """Return the first paragraph that is no part of a figure, a box or a list and has no formula, on one line."""
    for paragraph in doctree.findall(nodes.paragraph):
        stands_alone = isinstance(paragraph.parent, (nodes.document, nodes.section))
        if stands_alone and not list(paragraph.findall(nodes.math)) and paragraph.astext().strip():
            return " ".join(paragraph.astext().split())
    return ""


def shortened(text: str, longest: int = LONGEST) -> str:
    """Cut a text after its last whole sentence that fits, or after its last whole word where that leaves too little."""
    if len(text) <= longest:
        return text
    sentences = re.match(rf".{{60,{longest - 1}}}[.?!](?= )", text)
    return sentences[0] if sentences else text[: longest - 1].rpartition(" ")[0].rstrip(" ,;:–—-") + " …"


def describe(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Give opengraph the description and the picture of a page, and call it for pages without a source, as the search."""
    site, here = app.config.ogp_site_url, app.builder.get_target_uri(pagename)
    text = first_paragraph(doctree) if doctree else ""
    description = escape(shortened(text or app.config.social_description))
    own = {
        "og:description": description,
        "og:image": site + PICTURE if site else relative_uri(here, PICTURE),
        "og:url": site + here if site else posixpath.basename(here),
    }
    context["meta"] = {**(context.get("meta") or {}), **own}
    context["metatags"] = context.get("metatags", "") + f'\n<meta name="description" content="{description}" />\n'
    if not doctree:
        page, where = {"title": pagename.capitalize(), **context}, {"srcdir": app.srcdir, "outdir": app.outdir}
        nothing = new_document("")
        context["metatags"] += get_tags(
            page, nothing, **where, config=app.config, builder=app.builder, env=app.env
        )


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx before opengraph does (priority 500)."""
    app.setup_extension("sphinxext.opengraph")
    app.add_config_value("social_description", "", "html", types=frozenset({str}))
    app.connect("config-inited", set_site_url)
    app.connect("html-page-context", describe, priority=400)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
