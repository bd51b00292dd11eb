"""Prepare outputs of cells for a page: figures get the width they were drawn for, tables of pandas one head row.

Figures have more pixels than a page gives them, for screens that can show those; Sphinx links an image with a width to
its file, which book/_static/page.js opens at full size. The file of a figure may hold another one, drawn for narrow
screens: it becomes a file of its own, NAME-narrow.webp, which is a fifth smaller than a PNG and which a browser takes
where the screen is narrow. Where a NAME-narrow.png lies beside an image it is taken too. In dark mode a figure's
lightness is turned round, and its caption calls white what is black otherwise.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from mfmgdm_lib.plotting.widths import part_widths

CSS_PIXELS_PER_INCH = 96
NARROW_SCREEN = "(max-width: 600px)"  # as in book/_static/custom.css
SIDES = re.compile(r"\b([Ll]eft|[Rr]ight)[:,;]")
STACKED = "Here, on a narrow screen, left is above and right below."
BLACK = re.compile(r"\b([Bb]lack)\b")
OPPOSITE = {"black": "white", "Black": "White"}
POWER = re.compile(r"(\w)\^([-−]?[\d.]*[\d½])")
WRITTEN_TABLE = '<table class="table">'  # by companion.paper.to_html
NUMBER = re.compile(r"[-−+±]?[\d.,]+(e[-−+]?\d+)?\s*%?|[-−]?inf|nan|NaN|None|[-–—]|")


def set_width(image: nodes.image, source: Path) -> None:
    """Show a PNG as wide as its resolution says."""
    if "width" in image or not (path := source / image["uri"]).is_file() or path.suffix != ".png":
        return
    with Image.open(path) as png:
        dots_per_inch, _ = png.info.get("dpi", (CSS_PIXELS_PER_INCH, 0))
        image["width"] = f"{round(png.width / dots_per_inch * CSS_PIXELS_PER_INCH)}px"


def find_narrow(image: nodes.image, app: Sphinx) -> None:
    """Note the file that narrow screens show in place of an image, and have it copied into the site."""
    path = Path(app.srcdir) / image["uri"]
    if path.suffix != ".png" or not path.is_file():
        return
    beside = path.with_name(f"{path.stem}-narrow.png")
    if path.is_relative_to(Path(app.outdir).parent):  # written by the build: the sources are left as they are
        wide, narrow = part_widths(path.read_bytes())
        beside = beside.with_suffix(".webp")
        if narrow is not None:
            path.write_bytes(wide)
            with Image.open(io.BytesIO(narrow)) as image_narrow:
                image_narrow.save(beside, lossless=True)
    if beside.is_file():
        image["narrow"] = str(beside)
        app.builder.images[str(beside.relative_to(app.srcdir))] = beside.name
        note_sides(image)


def note_sides(image: nodes.image) -> None:
    """Where a caption speaks of left and right, say what that is on a narrow screen, which stacks the panels."""
    figure: nodes.Element | None = image.parent
    while figure is not None and not isinstance(figure, nodes.figure):
        figure = figure.parent
    for caption in figure.findall(nodes.caption) if figure is not None else ():
        if SIDES.search(caption.astext()):
            caption += nodes.inline("", f" {STACKED}", classes=["on-narrow-screen"])


def name_colours(caption: nodes.caption) -> None:
    """Say white in dark mode where a caption says black."""
    for text in list(caption.findall(nodes.Text)):
        parts = BLACK.split(text)  # every second one is a colour
        if len(parts) == 1:
            continue
        replaced: list[nodes.Node] = []
        for place, part in enumerate(parts):
            if place % 2:
                replaced += [nodes.inline("", part, classes=["in-light"])]
                replaced += [nodes.inline("", OPPOSITE[part], classes=["in-dark"])]
            else:
                replaced += [nodes.Text(part)]
        text.parent.replace(text, replaced)


def size_of(path: Path) -> str:
    """Attributes that let a browser keep room for an image before it has it."""
    with Image.open(path) as image:
        return f'width="{image.width}" height="{image.height}"'


def visit_image(self: HTML5Translator, node: nodes.image) -> None:
    """Write an image with its size, and with the file for narrow screens if there is one."""
    path, before = Path(self.builder.srcdir) / node["uri"], len(self.body)
    HTML5Translator.visit_image(self, node)
    if path.suffix != ".png" or not path.is_file():
        return
    written = "".join(self.body[before:]).replace("<img ", f"<img {size_of(path)} ", 1)
    if "narrow" in node:
        narrow = Path(node["narrow"])
        address = f"{self.builder.imgpath}/{narrow.name}"
        source = f'<source media="{NARROW_SCREEN}" srcset="{address}" {size_of(narrow)}>'
        written = f"<picture>{source}{written.strip()}</picture>"
    self.body[before:] = [written]


def depart_image(self: HTML5Translator, node: nodes.image) -> None:
    """End an image as Sphinx does."""
    HTML5Translator.depart_image(self, node)


def cells(row: Tag) -> list[Tag]:
    """List the cells of a row."""
    return row.find_all(["th", "td"], recursive=False)


def text(cell: Tag) -> str:
    """What a cell says."""
    return cell.get_text(strip=True)


def join_head_rows(soup: BeautifulSoup, rows: list[Tag], n_index: int) -> None:
    """Pandas writes the names of the index in a row of their own, under blank cells: put them in those.

    Where the columns have a name too, it takes a row over all of them.
    """
    if len(rows) < 2 or any(text(cell) for cell in cells(rows[-1])[n_index:]):
        return
    above, names = cells(rows[-2]), cells(rows[-1])
    if column_name := text(above[n_index - 1]):
        over = soup.new_tag("tr")
        over.append(soup.new_tag("th", colspan=str(n_index)))
        over.append(soup.new_tag("th", colspan=str(len(above) - n_index), string=column_name))
        rows[-2].insert_before(over)
    for cell, name in zip(above[:n_index], names[:n_index], strict=True):
        cell.string = text(name)
    rows[-1].decompose()


def mark_numbers(table: Tag) -> None:
    """Mark the columns of numbers, head and cells, so that a stylesheet can set them alike."""
    body = [row.find_all("td", recursive=False) for row in table.select("tbody > tr")]
    head = [cells(row) for row in table.select("thead > tr")]
    for column in range(-len(body[0]), 0):
        if all(NUMBER.fullmatch(text(row[column])) for row in body):
            for row in [*body, *(row for row in head if not any(cell.has_attr("colspan") for cell in row))]:
                row[column]["class"] = "number"


def mend_table(html: str) -> str:
    """Rewrite a table of pandas: one head row, cells over their columns, powers as such, no stylesheet of its own."""
    soup = BeautifulSoup(html, "html.parser")
    table = soup.find("table", class_="dataframe")
    if not isinstance(table, Tag) or not (first := table.select("tbody > tr")):
        return html
    del table["border"]
    table["class"] = "table dataframe"
    join_head_rows(soup, table.select("thead > tr"), len(first[0].find_all("th", recursive=False)))
    mark_numbers(table)
    for cell in table.select("thead th"):
        if text(cell):
            cell["scope"] = "colgroup" if cell.has_attr("colspan") else "col"
        else:
            cell.name = "td"
    for cell in table.select("tbody th"):
        cell["scope"] = "rowgroup" if cell.has_attr("rowspan") else "row"
    for row in table.select("thead > tr"):
        del row["style"]
    return set_powers(str(table))


def set_powers(html: str) -> str:
    """Set powers as such."""
    return POWER.sub(r"\1<sup>\2</sup>", html)


def mend_outputs(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Go through the figures and the tables of one page."""
    for image in doctree.findall(nodes.image):
        set_width(image, Path(app.srcdir))
        if app.builder.format == "html":
            find_narrow(image, app)
    if app.builder.format == "html":
        for caption in doctree.findall(nodes.caption):
            name_colours(caption)
    for raw in doctree.findall(nodes.raw):
        if raw.get("format") == "html" and 'class="dataframe"' in raw.astext():
            raw.children[:] = [nodes.Text(mend_table(raw.astext()))]
        elif raw.get("format") == "html" and raw.astext().startswith(WRITTEN_TABLE):
            raw.children[:] = [nodes.Text(set_powers(raw.astext()))]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx once a page has its outputs."""
    app.add_node(nodes.image, override=True, html=(visit_image, depart_image))
    app.connect("doctree-resolved", mend_outputs)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
