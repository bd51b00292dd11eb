"""Prepare outputs of cells for a page: figures get the width they were drawn for, tables of pandas one head row.

Figures have more pixels than a page gives them, for screens that can show those; Sphinx links an image with a width to
its file, which book/_static/page.js opens at full size.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx

CSS_PIXELS_PER_INCH = 96
NUMBER = re.compile(r"[-−+±]?[\d.,]+(e[-−+]?\d+)?\s*%?|[-−]?inf|nan|NaN|None|[-–—]|")


def set_width(image: nodes.image, source: Path) -> None:
    """Show a PNG as wide as its resolution says."""
    if "width" in image or not (path := source / image["uri"]).is_file() or path.suffix != ".png":
        return
    with Image.open(path) as png:
        dots_per_inch, _ = png.info.get("dpi", (CSS_PIXELS_PER_INCH, 0))
        image["width"] = f"{round(png.width / dots_per_inch * CSS_PIXELS_PER_INCH)}px"


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
    """Rewrite a table of pandas: one head row, its cells over their columns, no stylesheet of its own."""
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
    return str(table)


def mend_outputs(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Go through the figures and the tables of one page."""
    for image in doctree.findall(nodes.image):
        set_width(image, Path(app.srcdir))
    for raw in doctree.findall(nodes.raw):
        if raw.get("format") == "html" and 'class="dataframe"' in raw.astext():
            raw.children[:] = [nodes.Text(mend_table(raw.astext()))]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx once a page has its outputs."""
    app.connect("doctree-resolved", mend_outputs)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
