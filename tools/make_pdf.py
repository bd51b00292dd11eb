"""Print the built site into one PDF, with an outline and working links, and offer it on the site.

    python tools/make_pdf.py _build/html

`make pdf` runs this on the built book. It needs a chromium (on the PATH, or named by CHROMIUM). Nothing may be cut:
what is wider than the paper is drawn smaller. What would be too small to read ends this with an error, and so do a link
that leads nowhere, a missing picture and a script that fails; then no PDF is written.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import date
from pathlib import Path
from typing import Any

import chromium
import pikepdf
from PIL import Image
from playwright.sync_api import Page, Route, sync_playwright
from whole_book import Chapter, chapters, join, read

from mfmgdm_lib import __version__

FIRST = "book/index.html"
REFERENCE = "book/api/"
NAME = "mean-field-microcanonical-gradient-descent.pdf"
OFFERED_ON = "book/get_started.html"
COVER = """
<p>A companion to the paper <em>Mean-Field Microcanonical Gradient Descent</em><br>
by M. Häggbom, M. Karlsmark and J. Andén</p>
<p>Version {version}, {date}</p>
<p>The explorer and the reference of the library are only in the book as a site.</p>
"""
SITE_URL = os.environ.get("SITE_URL", "")
HOST = "http://book.invalid/"
"""Stands for the site's folder in the browser; no request leaves it."""

MARGIN_MM, WIDTH_MM = 18, 210
COLUMN_PX = round((WIDTH_MM - 2 * MARGIN_MM) / 25.4 * 96)
SMALLEST = 0.5
"""The least part of its size that something wide may be drawn at."""

FOOT = '<div style="width: 100%; font: 8px sans-serif; text-align: center"><span class="pageNumber"></span></div>'

# Draw smaller what is wider than the column, and return what would become too small.
FIT = """(smallest) => {
  const tooSmall = [];
  const column = document.querySelector("article").clientWidth;
  for (const box of document.querySelectorAll("table, mjx-container[display], pre, svg, img")) {
    const room = Math.min(column, box.parentElement.closest("div, section, dd, li, td, figure").clientWidth || column);
    const part = room / Math.max(box.scrollWidth || 0, box.getBoundingClientRect().width);
    if (part >= 1) continue;
    box.style.zoom = part;
    if (part < smallest) tooSmall.push(`${box.closest("article").id}: ${box.tagName} at ${part.toFixed(2)}`);
  }
  return tooSmall;
}"""
# Return what still stands out of the column, or is hidden in part by what is around it.
CUT = """() => {
  const article = document.querySelector("article").getBoundingClientRect();
  return [...document.querySelectorAll("article *")].filter((e) => {
    if (e.closest("mjx-assistive-mml, .visually-hidden, mjx-container *")) return false;
    const style = getComputedStyle(e), hides = style.overflowX !== "visible" && style.display !== "inline";
    return e.getBoundingClientRect().right > article.right + 1.5 || (hides && e.scrollWidth > e.clientWidth + 1.5);
  }).map((e) => `${e.closest("article").id}: ${e.tagName}.${e.className} "${e.textContent.trim().slice(0, 40)}"`);
}"""
NUMBER = """(numbers) => document.querySelectorAll(".whole-contents a").forEach((link) => {
  link.querySelector(".whole-page").textContent = numbers[decodeURIComponent(link.hash.slice(1))] ?? "";
})"""
DEAD = """() => [...document.querySelectorAll('a[href^="#"]')].map((a) => decodeURIComponent(a.hash.slice(1)))
  .filter((name) => !document.getElementById(name))"""


def answer(route: Route, site: Path, book: str) -> None:
    """Give the browser the joined page, or a file of the site."""
    path = site / route.request.url.removeprefix(HOST).partition("?")[0]
    if path == site:
        route.fulfill(body=book, content_type="text/html; charset=utf-8")
    elif path.is_file():
        route.fulfill(path=path)
    else:
        route.abort()


def lay_out(page: Page) -> list[str]:
    """Open the joined page for print, and return what is wrong with it."""
    wrong: list[str] = []
    page.on("requestfailed", lambda request: wrong.append(f"not found: {request.url}"))
    page.on("pageerror", lambda error: wrong.append(f"a script failed: {error}"))
    page.emulate_media(media="print")
    page.goto(HOST, wait_until="load", timeout=120_000)
    page.evaluate("MathJax.startup.promise.then(() => document.fonts.ready).then(() => null)")
    wrong += [f"too small to read: {found}" for found in page.evaluate(FIT, SMALLEST)]
    wrong += [f"cut: {found}" for found in page.evaluate(CUT)]
    wrong += [f"a link to nowhere: #{found}" for found in page.evaluate(DEAD)]
    return wrong


def name_colours(pdf: pikepdf.Pdf) -> None:
    """Store a point of a figure as the number of its colour, as the figure's file does: Chromium writes three bytes."""
    images = [
        stream for stream in pdf.objects if isinstance(stream, pikepdf.Stream) and stream.get("/Subtype") == "/Image"
    ]
    for image in images:
        if image.get("/Filter") != "/FlateDecode":
            continue
        size, points = (int(image.Width), int(image.Height)), image.read_bytes()
        if len(points) != 3 * size[0] * size[1]:
            continue
        named = (full := Image.frombytes("RGB", size, points)).quantize(256)
        if named.convert("RGB").tobytes() != full.tobytes():
            continue
        palette = bytes(named.getpalette() or [])
        image.ColorSpace = pikepdf.Array(
            [pikepdf.Name.Indexed, image.ColorSpace, len(palette) // 3 - 1, pikepdf.String(palette)]
        )
        image.write(named.tobytes())


def add_outline(pdf: pikepdf.Pdf, listed: list[Chapter]) -> None:
    """Write the outline: parts, their chapters, and the sections of those. (Chromium's has the first lines twice.)"""
    parts: dict[str, pikepdf.OutlineItem] = {}
    with pdf.open_outline() as outline:
        for chapter in listed:
            begin = pikepdf.Name(f"/{chapter.place()}")
            if chapter.part and chapter.part not in parts:
                parts[chapter.part] = pikepdf.OutlineItem(chapter.part, begin)
                outline.root.append(parts[chapter.part])
            item = pikepdf.OutlineItem(chapter.title, begin)
            item.is_closed = True
            item.children.extend(
                pikepdf.OutlineItem(title, pikepdf.Name(f"/{place}")) for title, place in chapter.sections()
            )
            (parts[chapter.part].children if chapter.part else outline.root).append(item)


def dead_ends(pdf: pikepdf.Pdf) -> list[str]:
    """List the links within a PDF that lead nowhere, or say that there are none at all."""
    links = [link for page in pdf.pages for link in page.get("/Annots", []) if "/Dest" in link]
    if not links or "/Dests" not in pdf.Root:
        return ["the PDF has no links"]
    return [f"a link without an end in the PDF: {link.Dest}" for link in links if str(link.Dest) not in pdf.Root.Dests]


def offer(site: Path, name: str, n_pages: int) -> None:
    """Write a link to the PDF, with its size, where the site has a place for it.

    Raises:
        ValueError: it has none.
    """
    page = site / OFFERED_ON
    soup = read(page)
    if (place := soup.select_one(".pdf-offer")) is None:
        raise ValueError(f"{page} has no element of the class pdf-offer, where the PDF is to be offered.")
    link = soup.new_tag("a", href=os.path.relpath(site / name, page.parent), download="")
    link.string = f"Download the book as a PDF ({n_pages} pages, {(site / name).stat().st_size / 1e6:.1f} MB)"
    place.clear()
    place.append(link)
    page.write_text(str(soup), encoding="utf-8")


def print_book(site: Path, listed: list[Chapter], path: Path) -> list[str]:
    """Print chapters into a file, and return what is wrong with what was printed."""
    book = join(listed, COVER.format(version=__version__, date=date.today().strftime("%Y-%m-%d")), SITE_URL)
    settings: dict[str, Any] = {
        "path": path,
        "format": "A4",
        "margin": dict.fromkeys(("left", "right", "top", "bottom"), f"{MARGIN_MM}mm"),
        "print_background": True,
        "tagged": True,
        "display_header_footer": True,
        "header_template": "<span></span>",
        "footer_template": FOOT,
    }
    with sync_playwright() as playwright, chromium.start(playwright) as browser:
        page = browser.new_page(viewport={"width": COLUMN_PX, "height": 900})
        page.route("**/*", lambda route: answer(route, site, book))
        wrong = lay_out(page)
        page.pdf(**settings)
        page.evaluate(NUMBER, page_numbers(path))
        page.pdf(**settings)
    return wrong


def page_numbers(path: Path) -> dict[str, int]:
    """Return the page of each place in a PDF that a link leads to."""
    with pikepdf.open(path) as pdf:
        numbers: dict[Any, int] = {page.objgen: number for number, page in enumerate(pdf.pages, start=1)}
        ends = pdf.Root.get("/Dests", pikepdf.Dictionary())
        return {str(name).removeprefix("/"): numbers[end[0].objgen] for name, end in ends.items()}


def finish(path: Path, listed: list[Chapter]) -> tuple[int, list[str]]:
    """Give a PDF its outline, make it small, and return its number of pages and the links that lead nowhere."""
    pikepdf.settings.set_flate_compression_level(9)
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        wrong = dead_ends(pdf)
        if not wrong:
            add_outline(pdf, listed)
        name_colours(pdf)
        pdf.save(path, object_stream_mode=pikepdf.ObjectStreamMode.generate, recompress_flate=True)
        return len(pdf.pages), wrong


def main(argv: list[str] | None = None) -> int:
    """Print the site given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path, help="folder of the built site")
    site = parser.parse_args(argv).site.resolve()
    listed = chapters(site, FIRST, without=REFERENCE)
    unfinished = site / f".{NAME}"
    wrong = print_book(site, listed, unfinished)
    n_pages, dead = finish(unfinished, listed)
    if wrong or dead:
        unfinished.unlink()
        print("\n".join([*wrong, *dead]), file=sys.stderr)
        return 1
    unfinished.replace(site / NAME)
    offer(site, NAME, n_pages)
    print(f"{site / NAME}: {n_pages} pages, {(site / NAME).stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
