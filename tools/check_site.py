"""Check a built site: it must be whole, and it must load nothing from another host.

    python tools/check_site.py _build/html

Fails on: a script, stylesheet, font, image, frame or import from another host; a page with maths and no local MathJax;
a local file that a page or a stylesheet names and that is not there; a link to a page or an anchor that does not
exist; a notebook to download with markup that plain Jupyter would show as it is; a site of more than 30 MB. Warns about
images without an alternative text. Ordinary links to other sites are fine.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from site_notebooks import offered

MOST_BYTES = 30_000_000

# Attributes whose address a browser fetches by itself, by tag.
LOADING = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
# <link> elements that only tell a relation and load nothing.
PASSIVE_RELATIONS = {"author", "canonical", "help", "index", "license", "next", "prev", "search", "copyright"}

CSS_ADDRESS = re.compile(r"""url\(\s*(?P<quote>["']?)(?P<url>.*?)(?P=quote)\s*\)|@import\s+["'](?P<imported>[^"']+)""")
# Code cannot be checked by reading its addresses (it names namespaces and home pages), so look for the networks that
# serve scripts and fonts, and for dynamic imports. A host has a dot, which the letters of a figure in base64 have not.
SCRIPT_NETWORK = re.compile(
    r"""(?:https?:)?//(?=[\w-]+\.)[\w.-]*(?:cdn|unpkg|jsdelivr|jspm|skypack|googleapis|gstatic|googletagmanager|polyfill"""
    r"""|plausible|hypothes\.is|utteranc|giscus|esm\.sh)[\w.-]*/?[^\s"'`<>)]*|\bimport\(\s*["'](?:https?:)?//[^"']+"""
)
# Roles, directives, labels and numbered equations of MyST, in the text of a notebook.
BOOK_MARKUP = re.compile(r"(?m)\{[\w:+-]+\}`|^:{3,}.*|^`{3,}\{.*|^\([\w.:-]+\)=|\$\$ *\([\w-]+\)")
# MathJax names networks for its speech rules, in accessibility modes that only its menu turns on, and _config.yml takes
# that menu away (enableMenu: false); and in its loader for other versions of itself, which no page asks for.
UNUSED_NETWORKS = "_static/mathjax/"


@dataclass
class Page(HTMLParser):
    """What one HTML page loads, links to and defines."""

    path: Path
    anchors: set[str] = field(default_factory=set)
    loads: list[tuple[int, str]] = field(default_factory=list)
    links: list[tuple[int, str]] = field(default_factory=list)
    styles: list[tuple[int, str]] = field(default_factory=list)
    scripts: list[tuple[int, str]] = field(default_factory=list)
    bare_images: list[tuple[int, str]] = field(default_factory=list)
    has_maths: bool = False
    _inside: str = ""

    def __post_init__(self) -> None:
        """Parse the page."""
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Sort an element's addresses into loads and links."""
        line = self.getpos()[0]
        values = {name: value or "" for name, value in attrs}
        self._inside = tag if tag in ("script", "style") else ""
        self.anchors.update(filter(None, (values.get("id"), values.get("name") if tag == "a" else None)))
        self.has_maths = self.has_maths or "math" in values.get("class", "").split()
        if "style" in values:
            self.styles.append((line, values["style"]))
        for attribute in LOADING.get(tag, ()):
            if attribute == "srcset":
                self.loads += [(line, part.split()[0]) for part in values.get(attribute, "").split(",") if part.split()]
            elif values.get(attribute):
                self.loads.append((line, values[attribute]))
        if tag == "link" and values.get("href") and not set(values.get("rel", "").lower().split()) & PASSIVE_RELATIONS:
            self.loads.append((line, values["href"]))
        if tag in ("a", "area") and values.get("href"):
            self.links.append((line, values["href"]))
        if tag == "meta" and values.get("http-equiv", "").lower() == "refresh" and "url=" in values.get("content", ""):
            self.links.append((line, values["content"].partition("url=")[2].strip()))
        if tag == "img" and not values.get("alt", "").strip():
            self.bare_images.append((line, values.get("src", "")[:80]))

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or a style."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """Keep the text of scripts and styles."""
        if self._inside == "style":
            self.styles.append((self.getpos()[0], data))
        elif self._inside == "script":
            self.scripts.append((self.getpos()[0], data))


def is_elsewhere(url: str) -> bool:
    """Tell whether an address is on another host (or has a scheme that needs one)."""
    parts = urlsplit(url)
    return bool(parts.netloc) or parts.scheme not in ("", "data", "blob", "about")


def css_addresses(text: str) -> Iterator[str]:
    """List what a stylesheet loads."""
    without_comments = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    for match in CSS_ADDRESS.finditer(without_comments):
        yield match["url"] or match["imported"] or ""


class Site:
    """A folder of built pages, and what is wrong with it."""

    def __init__(self, root: Path) -> None:
        """Read every page."""
        self.root = root.resolve()
        self.pages = {path.resolve(): Page(path) for path in sorted(root.rglob("*.html"))}
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.n_loads = 0
        self.n_links = 0

    def check(self) -> None:
        """Run every check."""
        if not self.pages:
            self.errors.append(f"{self.root}: no page here")
        for page in self.pages.values():
            if "_static" not in page.path.resolve().relative_to(self.root).parts:
                self.check_page(page)
        for path in sorted(self.root.rglob("*.css")):
            for url in css_addresses(path.read_text(encoding="utf-8", errors="replace")):
                self.check_load(path, 0, url)
        for path in sorted(self.root.rglob("*.js")):
            self.check_script(path, 0, path.read_text(encoding="utf-8", errors="replace"))
        for path, text in offered(self.root):
            self.check_notebook(path, text)
        self.check_weight()

    def check_weight(self) -> None:
        """The site must be small enough to be kept on a telephone."""
        if (weight := sum(path.stat().st_size for path in self.root.rglob("*") if path.is_file())) > MOST_BYTES:
            self.errors.append(f"{self.root}: {weight / 1e6:.1f} MB; expected at most {MOST_BYTES / 1e6:.0f}")

    def check_notebook(self, path: Path, text: str) -> None:
        """The text of a notebook must not have what only the book understands."""
        for cell in json.loads(text)["cells"]:
            found = BOOK_MARKUP.search("".join(cell["source"])) if cell["cell_type"] == "markdown" else None
            if found:
                self.report(path, 0, f"has {found[0]}, which plain Jupyter does not understand")

    def check_page(self, page: Page) -> None:
        """Check one page's loads, links, maths and images."""
        for line, url in page.loads:
            self.check_load(page.path, line, url)
        for line, text in page.styles:
            for url in css_addresses(text):
                self.check_load(page.path, line, url)
        for line, text in page.scripts:
            self.check_script(page.path, line, text)
        for line, url in page.links:
            self.check_link(page, line, url)
        if page.has_maths and not any("mathjax" in url.lower() and not is_elsewhere(url) for _, url in page.loads):
            self.report(page.path, 0, "has maths but loads no MathJax from this site")
        for line, url in page.bare_images:
            self.warnings.append(f"{self.name(page.path)}:{line}: image without alternative text: {url}")

    def check_load(self, path: Path, line: int, url: str) -> None:
        """A load must come from this site, and be there."""
        self.n_loads += 1
        if is_elsewhere(url):
            self.report(path, line, f"loads {url}")
        elif (target := self.target(path, url)) is not None and not target.exists():
            self.report(path, line, f"loads {url}, which is not there")

    def check_script(self, path: Path, line: int, text: str) -> None:
        """A script must not name a network that serves scripts."""
        if not self.name(path).startswith(UNUSED_NETWORKS):
            for found in sorted(set(SCRIPT_NETWORK.findall(text))):
                self.report(path, line, f"contains the script address {found}")

    def check_link(self, page: Page, line: int, url: str) -> None:
        """A link within the site must lead to a page, and to an anchor that it has."""
        if is_elsewhere(url):
            return
        self.n_links += 1
        target = self.target(page.path, url) or page.path.resolve()
        if target.is_dir():
            target /= "index.html"
        if not target.exists():
            self.report(page.path, line, f"links to {url}, which is not there")
            return
        fragment = unquote(urlsplit(url).fragment)
        if fragment and target in self.pages and fragment not in self.pages[target].anchors:
            self.report(page.path, line, f"links to {url}, but that page has no such anchor")

    def target(self, path: Path, url: str) -> Path | None:
        """Find the file an address within the site means; None if it means no other file."""
        parts = urlsplit(url)
        if parts.scheme or not parts.path:
            return None
        base = self.root if parts.path.startswith("/") else path.resolve().parent
        return (base / unquote(parts.path).lstrip("/")).resolve()

    def name(self, path: Path) -> str:
        """Name a file as in the site."""
        return path.resolve().relative_to(self.root).as_posix()

    def report(self, path: Path, line: int, message: str) -> None:
        """Note an error."""
        self.errors.append(f"{self.name(path)}{f':{line}' if line else ''}: {message}")


def main() -> int:
    """Check the site named on the command line; the exit status is 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    site = Site(parser.parse_args().site)
    site.check()
    for warning in site.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for error in site.errors:
        print(f"error: {error}", file=sys.stderr)
    print(
        f"Site check: {len(site.pages)} pages, {site.n_loads} loads, {site.n_links} links within the site, "
        f"{len(site.errors)} errors, {len(site.warnings)} warnings"
    )
    return int(bool(site.errors))


if __name__ == "__main__":
    sys.exit(main())
