"""Join the pages of a built site into one page, for print.

The pages come in the order of the site's menu. What names a place (`id`) gets the name of its page in front, as pages
name places alike. Links between pages become links within the one, and what a reader of paper cannot press is left out.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

# Buttons, links into the text of the code, the feet that lead from page to page, the offer of the PDF itself, and what
# narrow screens and the dark mode show instead.
PRESSED = (
    ".headerlink, .copybtn, .viewcode-link, .linkcode-link, .routes, .explorer, .pdf-offer, script, source,"
    ".on-narrow-screen, .in-dark"
)
PAGE = '<span class="whole-page">000</span>'
"""Room for the number of a page, which is known once all is printed."""
NAMING = ("for", "aria-labelledby", "aria-describedby", "aria-controls")


@dataclass(frozen=True)
class Chapter:
    """A page of the site: the part that it belongs to, its title in the menu, its address, and what it holds."""

    part: str
    title: str
    address: str
    head: Tag
    article: Tag

    def place(self, name: str = "") -> str:
        """Name a place of this chapter in the joined page; without a name, its beginning."""
        prefix = PurePosixPath(self.address).with_suffix("").as_posix().replace("/", ".")
        return f"{prefix}--{name}" if name else prefix

    def sections(self) -> Iterator[tuple[str, str]]:
        """Give the sections: title and place."""
        for heading in self.article.select("section > h2"):
            if isinstance(heading.parent, Tag):
                yield " ".join(heading.get_text().split()), str(heading.parent["id"])


def read(page: Path) -> BeautifulSoup:
    """Parse a page."""
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def find(soup: Tag, selector: str, page: Path) -> Tag:
    """Return the first element that a selector names.

    Raises:
        ValueError: the page has none, so it is no page of the built book.
    """
    if (found := soup.select_one(selector)) is None:
        raise ValueError(f"{page} has no {selector}; expected a page of the built book.")
    return found


def within(link: str, page: str) -> tuple[str, str]:
    """Split a link of a page into an address in the site and the name of a place there."""
    split = urlsplit(link)
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(split.path))) if split.path else page
    return path, unquote(split.fragment)


def chapters(site: Path, first: str, without: str) -> list[Chapter]:
    """Read the pages in the order of the menu.

    Args:
        site: Folder of the built site.
        first: Address of a page with the menu, which comes first itself.
        without: Beginning of the addresses to be left out.

    Returns:
        The chapters, each with its text ready to stand among the others but for its links.
    """
    menu = find(
        BeautifulSoup((site / first).read_text(encoding="utf-8"), "html.parser"), "nav.bd-docs-nav", site / first
    )
    listed, part = [], ""
    for item in menu.select("p.caption, li > a"):
        text = " ".join(item.get_text().split())
        if item.name == "p":
            part = text
        elif not (address := within(str(item["href"]), first)[0]).startswith(without):
            soup = read(site / address)
            head, article = (find(soup, name, site / address) for name in ("head", "article.bd-article"))
            listed.append(Chapter(part, text, address, head, article))
            prepare(listed[-1])
    return listed


def prepare(chapter: Chapter) -> None:
    """Leave of a chapter's text what paper can show, with all of it open, and make its names its own."""
    article = chapter.article
    for element in article.select(PRESSED):
        element.decompose()
    for element in article.select("[id]"):
        element["id"] = chapter.place(str(element["id"]))
    for naming in NAMING:
        for element in article.select(f"[{naming}]"):
            element[naming] = chapter.place(str(element[naming]))
    for image in article.select("img[src]"):
        image["src"], image["loading"] = within(str(image["src"]), chapter.address)[0], "eager"
    for element in article.select("details"):
        element["open"] = ""
    article["id"] = chapter.place()


def point(link: Tag, chapter: Chapter, known: dict[str, Chapter], site_url: str) -> None:
    """Let a link lead to where its page is now: within the joined page, to the site on the web, or nowhere."""
    if urlsplit(str(link["href"])).scheme:
        return
    path, name = within(str(link["href"]), chapter.address)
    if path in known:
        link["href"] = "#" + known[path].place(name)
    elif site_url and "image-reference" not in link.get_attribute_list("class"):
        link["href"] = f"{site_url}{path}#{name}" if name else site_url + path
    else:
        link.unwrap()


def heads(listed: list[Chapter]) -> list[str]:
    """Return the stylesheets of all chapters and what sets up MathJax, each once, with addresses in the site."""
    found: dict[str, None] = {}
    for chapter in listed:
        for element in chapter.head.select("link[rel=stylesheet], script"):
            naming = "src" if element.name == "script" else "href"
            address = str(element.get(naming, ""))
            if element.name == "script" and "mathjax" not in f"{address}{element.string}".lower():
                continue
            if address:
                element[naming] = within(address, chapter.address)[0]
            found[str(element)] = None
    return list(found)


def contents(listed: list[Chapter]) -> Iterator[str]:
    """Give the table of contents: parts, their chapters and the sections of those."""
    yield '<nav class="whole-contents"><p class="whole-title">Contents</p>'
    part = ""
    for chapter in listed:
        if chapter.part != part:
            yield f"<p>{escape(part := chapter.part)}</p>"
        yield f'<a href="#{chapter.place()}">{escape(chapter.title)}{PAGE}</a>'
        for title, place in chapter.sections():
            yield f'<a class="whole-section" href="#{place}">{escape(title)}{PAGE}</a>'
    yield "</nav>"


def join(listed: list[Chapter], cover: str, site_url: str = "") -> str:
    """Join chapters into one page.

    Args:
        listed: The chapters, in order. Their links are changed.
        cover: What stands on the first page below the title, as HTML.
        site_url: Where the site is on the web, with a slash at its end, if it is: links to what is left out lead there.

    Returns:
        A page in HTML, whose addresses are relative to the site's folder.
    """
    known = {chapter.address: chapter for chapter in listed}
    for chapter in listed:
        for link in chapter.article.select("a[href]"):
            point(link, chapter, known, site_url)
    title = escape(listed[0].title)
    return "\n".join(
        [
            '<!doctype html><html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">',
            f"<title>{title}</title>",
            *heads(listed),
            f'</head><body class="whole-book"><div class="whole-cover"><p class="whole-title">{title}</p>{cover}</div>',
            *contents(listed),
            '<div class="bd-content"><div class="bd-article-container">',
            *(str(chapter.article) for chapter in listed),
            "</div></div></body></html>",
        ]
    )
