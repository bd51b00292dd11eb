"""Describe every page to search engines and to services that preview links: title, description, picture and addresses.

`sphinxext.opengraph` writes the tags. By itself it describes a page by its first 200 characters, headings and formulas
included, and leaves out pages without a source, as the search. A preview needs the whole address of the picture, which
only whoever puts the site on a server knows: the environment variable SITE_URL tells it. Without one the addresses are
relative to the page, which is right wherever the site lies.
"""

from __future__ import annotations

import os
import posixpath
import re
from html import escape
from pathlib import Path
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
"""Characters of a description, about as many as a preview shows."""

TITLES = {"search": "Search", "genindex": "Index"}
"""Of the pages that have no source and no title."""


def site_url(given: str) -> str:
    """Return the address that the site will have, ending in a slash, or nothing where none is given."""
    parts = urlsplit(given)
    if given and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment):
        raise ConfigError(
            f"SITE_URL is {given!r}; expected an address such as https://example.org/book/."
            " Set it to where the site will lie, or unset it for addresses relative to each page."
        )
    return given and given.rstrip("/") + "/"


def set_site_url(app: Sphinx, config: Config) -> None:
    """Tell opengraph, and Sphinx, which writes the canonical address of each page; a change rewrites all pages."""
    address = site_url(os.environ.get("SITE_URL", "").strip())
    config["ogp_site_url"] = config["html_baseurl"] = address


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
    sentences = re.match(rf".{{{longest // 2},{longest - 1}}}(?<! al)[.?!](?= )", text)
    return sentences[0] if sentences else text[: longest - 1].rpartition(" ")[0].rstrip(" ,;:–—-") + " …"


def own_tags(app: Sphinx, page: str, description: str, url: str = "") -> dict[str, str]:
    """List what opengraph shall say of a page in place of its own; addresses are whole, or relative to the page."""
    site, url = app.config.ogp_site_url, url or app.builder.get_target_uri(page)
    return {
        "og:description": description,
        "og:image": site + PICTURE if site else relative_uri(app.builder.get_target_uri(page), PICTURE),
        "og:image:alt": app.config.ogp_image_alt,
        "og:url": site + url
        if site
        else relative_uri(app.builder.get_target_uri(page), url) or posixpath.basename(url),
    }


def described(description: str) -> str:
    """Write the description that search engines read."""
    return f'\n<meta name="description" content="{description}" />\n'


def tags_without_source(app: Sphinx, page: str, title: str, url: str = "") -> str:
    """Write all tags of a page that has no source."""
    description = escape(app.config.social_description)
    context = {"title": title, "pagename": page, "metatags": "", "meta": own_tags(app, page, description, url)}
    settings = {"srcdir": app.srcdir, "outdir": app.outdir, "config": app.config}
    return described(description) + get_tags(context, new_document(""), builder=app.builder, env=app.env, **settings)


def describe(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Give opengraph the description and the addresses of a page, or do its work where it does nothing."""
    if not doctree:
        title = TITLES.get(pagename) or context.get("title", app.config.ogp_site_name)
        context["metatags"] = context.get("metatags", "") + tags_without_source(app, pagename, title)
        return
    description = escape(shortened(first_paragraph(doctree) or app.config.social_description))
    context["meta"] = {**(context.get("meta") or {}), **own_tags(app, pagename, description)}
    context["metatags"] += described(description)


def write_entrance(app: Sphinx, exception: Exception | None) -> None:
    """Write the page at the root of the site, which leads to the first page; the one of the theme describes nothing."""
    if exception is not None or app.builder.format != "html":
        return
    first, title = app.builder.get_target_uri(app.config.root_doc), escape(app.config.ogp_site_name)
    lines = ["<!doctype html>", '<html lang="en"><head><meta charset="utf-8">', f"<title>{title}</title>"]
    lines += [tags_without_source(app, "index", title, first).strip()]
    # Without an icon a browser asks the server for one, which is not there.
    lines += ['<link rel="icon" href="_static/favicon.svg">']
    lines += [f'<meta http-equiv="refresh" content="0; url={first}">', "</head>"]
    lines += [f'<body><p><a href="{first}">{title}</a></p></body></html>', ""]
    (Path(app.outdir) / "index.html").write_text("\n".join(lines), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx before opengraph (priority 500), and before the theme writes a page at the root."""
    app.setup_extension("sphinxext.opengraph")
    app.add_config_value("social_description", "", "html", types=frozenset({str}))
    app.connect("config-inited", set_site_url)
    app.connect("html-page-context", describe, priority=400)
    app.connect("build-finished", write_entrance, priority=400)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
