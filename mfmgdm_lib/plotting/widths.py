"""Figures for two widths of screen: side by side for a page, stacked for a telephone, and both in one PNG file."""

from __future__ import annotations

import base64
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from PIL.PngImagePlugin import PngInfo

__all__ = [
    "NARROW",
    "NARROW_CHUNK",
    "WIDE",
    "finish_narrow",
    "is_narrow",
    "narrow_screen",
    "part_widths",
    "png",
    "stacked",
    "wrap",
]

WIDE = 7.2
"""Width of a figure on a page, inches; a page gives 96 pixels to each."""

NARROW = 3.7
"""The same on a narrow screen."""

NARROW_CHUNK = b"mfNr"
"""The part of a PNG file that holds another one, for narrow screens; programs that don't know it pass over it."""

_narrow: ContextVar[bool] = ContextVar("narrow", default=False)


@contextmanager
def narrow_screen() -> Iterator[None]:
    """Draw figures for a narrow screen for a while."""
    before = _narrow.set(True)
    try:
        yield
    finally:
        _narrow.reset(before)


def is_narrow() -> bool:
    """Whether figures are being drawn for a narrow screen."""
    return _narrow.get()


class PageFigure(Figure):
    """A figure that may carry itself as drawn for a narrow screen; a notebook then keeps both."""

    narrow: Figure | None = None

    def _ipython_display_(self) -> None:
        """Show both as one image, of which a notebook shows the wide one."""
        if self.narrow is None:
            raise NotImplementedError  # so that IPython shows it as it shows any figure
        from IPython.display import display

        image = base64.b64encode(png(self)).decode()
        display({"image/png": image, "text/plain": str(self)}, raw=True)  # type: ignore[no-untyped-call]


def png(figure: Figure) -> bytes:
    """A figure as a PNG file of at most 256 colours, with the one for narrow screens inside if it carries one."""
    drawn, file, info = BytesIO(), BytesIO(), PngInfo()
    figure.savefig(drawn, format="png", facecolor="white")
    if isinstance(figure, PageFigure) and figure.narrow is not None:
        info.add(NARROW_CHUNK, png(figure.narrow))
    with Image.open(drawn) as image:
        few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(file, "png", optimize=True, dpi=(figure.dpi, figure.dpi), pnginfo=info)
    return file.getvalue()


def part_widths(file: bytes) -> tuple[bytes, bytes | None]:
    """Part a PNG file into itself and the one for narrow screens that it holds, or None."""
    with Image.open(BytesIO(file)) as image:
        image.load()
        narrow = dict(part[:2] for part in getattr(image, "private_chunks", ())).get(NARROW_CHUNK)
        if narrow is None:
            return file, None
        alone = BytesIO()
        image.save(alone, "png", optimize=True, dpi=image.info["dpi"])
    return alone.getvalue(), narrow


def stacked(
    figure: Figure, rows: int, columns: int, *, sharex: bool | str = False, sharey: bool | str = False, **_: Any
) -> np.ndarray:
    """Panels of a grid (rows · columns,), row by row, set one below the other: row by row, or column by column.

    Columns stay together where each has a horizontal axis of its own (`sharex="col"`). Ratios of widths and heights
    are passed over.
    """
    by_column = sharex == "col"
    places = figure.add_gridspec(rows * columns, 1)
    panels: list[Axes] = []
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        groups = {False: None, True: 0, "row": row * columns, "col": column, "none": None, "all": 0}
        shared = {
            name: panels[first]
            for name, first in (("sharex", groups[sharex]), ("sharey", groups[sharey]))
            if first is not None and first < number
        }
        place = column * rows + row if by_column else number
        panel = figure.add_subplot(places[place], **shared)
        panel.set_gid(f"{row} {column}")
        panels.append(panel)
    return np.array(panels)


def finish_narrow(figure: Figure) -> None:
    """Give stacked panels the titles and labels that stood beside or above them, and wrap what is too long."""
    _label_stacked({tuple(map(int, gid.split())): axis for axis in figure.axes if (gid := axis.get_gid())})
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    width = figure.bbox.width
    for axis in figure.axes:
        box = axis.get_window_extent()
        for text in (axis.title, axis._left_title):  # type: ignore[attr-defined]
            wrap(text, width - box.x0)
        wrap(axis.xaxis.label, 2.0 * min(0.5 * (box.x0 + box.x1), width - 0.5 * (box.x0 + box.x1)))
        wrap(axis.yaxis.label, 1.05 * box.height)
    for subfigure in (figure, *figure.subfigs):
        for text, room in ((subfigure._supxlabel, width), (subfigure._supylabel, subfigure.bbox.height)):  # type: ignore[attr-defined]
            if text is not None:
                wrap(text, 0.98 * room)


def _label_stacked(panels: dict[tuple[int, ...], Axes]) -> None:
    for (row, column), axis in panels.items():
        left = [panels[row, other] for other in range(column, -1, -1)]
        above = [panels[other, column] for other in range(row, -1, -1)]
        axis.set_ylabel(next(filter(None, (other.get_ylabel() for other in left)), ""))
        axis.set_title(next(filter(None, (other.get_title(loc="left") for other in above)), ""), loc="left")
    for (row, column), axis in panels.items():
        below = [other for (r, c), other in sorted(panels.items()) if c == column and r >= row]
        label = next(filter(None, (other.get_xlabel() for other in below)), "")
        sharing = axis.get_shared_x_axes().get_siblings(axis)
        is_last = axis is max(sharing, key=lambda one: one.get_subplotspec().rowspan.start)
        axis.set_xlabel(label if is_last else "")  # one horizontal axis is named once
        axis.tick_params(labelbottom=is_last)


def wrap(text: Text, room: float) -> None:
    """Break a text into lines where it is longer than a length; formulas stay whole."""
    content = text.get_text()
    box = text.get_window_extent()
    length = box.height if text.get_rotation() == 90.0 else box.width
    if not content or length <= room:
        return
    whole = re.sub(r"\$[^$]*\$", lambda formula: formula[0].replace(" ", "\0"), content)
    line = max(map(len, content.split("\n")))
    parts = [textwrap.fill(part, int(line * room / length), break_long_words=False) for part in whole.split("\n")]
    text.set_text("\n".join(parts).replace("\0", " "))
