"""Take files out of the built site that the theme ships and no page needs.

The theme brings the icons of Font Awesome twice, as fonts and as a script of 1.5 MB that would put pictures in their
place. The fonts draw them as well, so the script goes. Only the page of the search needs the index of the book, 0.4 MB
with its scripts. Maps of sources and other formats of the fonts serve no reader. Code is marked word by word; the marks
whose colour is that of plain text are most of a page of source, and go; such a page keeps those of keywords, strings,
comments and of what is defined. Figures become lossless WebP, a fifth smaller than PNG, and lines lose their indents.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from PIL import Image
from sphinx.application import Sphinx

SCRIPT = re.compile(r'[ \t]*<script[^>]* src="[^"]*/fontawesome\.js[^"]*"></script>\n?')
SEARCH_SCRIPT = re.compile(
    r'[ \t]*<script[^>]* src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>\n?'
)
SEARCH_PAGE = "search.html"
UNUSED = (
    "**/*.map",
    "_static/locales",
    "_static/scripts/fontawesome.js*",
    "_static/vendor/fontawesome/webfonts/*.ttf",
    "_static/webpack-macros.html",
)
# Stylesheets name the fonts' other format after the one that every browser takes.
OTHER_FONT = re.compile(r',url\([^)]*\.ttf\) format\("truetype"\)')
SOURCE_MAP = re.compile(r"\n?(?://|/\*)# sourceMappingURL=[^\s*]*(?: ?\*/)?")
# Names, punctuation and white space: the styles of _config.yml give them the colour that text has.
# What docutils marks in names is set by the element around it.
PLAIN_MARK = re.compile(r'<span class="(?:[npw]|pre)">(?P<kept>[^<]*)</span>')

# Operators, numbers, built-in names and parts of strings: a page of source has more of these marks than of code.
MINOR_MARK = re.compile(r'<span class="(?:o|ow|mi|mf|nb|bp|nn|si)">(?P<kept>[^<]*)</span>')
# What a browser shows as it is written stays as it is.
WRITTEN = re.compile(r"(<(pre|script|textarea|style)\b.*?</\2>)", re.DOTALL)
INDENTATION = re.compile(r"[ \t]*\n\s*")


def rewrite(path: Path, *patterns: re.Pattern[str]) -> None:
    """Take what matches out of a file, but for what a pattern keeps."""
    text = changed = path.read_text(encoding="utf-8")
    for pattern in patterns:
        changed = pattern.sub(r"\g<kept>" if "kept" in pattern.groupindex else "", changed)
    if changed != text:
        path.write_text(changed, encoding="utf-8")


def without_indentation(text: str) -> str:
    """Take empty lines and the indentation of lines out of a page, but for what is shown as it is written."""
    parts = WRITTEN.split(text)  # in threes: what is between, what is written, and the name of its tag
    return "".join(
        INDENTATION.sub("\n", part) if place % 3 == 0 else part for place, part in enumerate(parts) if place % 3 < 2
    )


def make_smaller(path: Path) -> bool:
    """Put a lossless WebP in the place of a PNG, if it is smaller; whether it was."""
    smaller = path.with_suffix(".webp")
    with Image.open(path) as image:
        image.save(smaller, lossless=True, quality=100)
    larger = path if smaller.stat().st_size < path.stat().st_size else smaller
    larger.unlink()
    return larger is path


def name_figures(text: str, figures: list[Path]) -> str:
    """Call figures that are WebP now by their names."""
    for path in figures:
        text = text.replace(f"_images/{path.name}", f"_images/{path.stem}.webp")
    return text


def remove_unused(app: Sphinx, exception: Exception | None) -> None:
    """Take the files out, and the lines that name them, once everything is written."""
    if exception is not None or app.builder.name != "html":
        return
    site = Path(app.outdir)
    for unused in {path for pattern in UNUSED for path in site.glob(pattern)}:
        shutil.rmtree(unused) if unused.is_dir() else unused.unlink()
    figures = [path for path in sorted((site / "_images").glob("*.png")) if make_smaller(path)]
    for page in site.rglob("*.html"):
        marks = [PLAIN_MARK, MINOR_MARK] if page.is_relative_to(site / "_modules") else [PLAIN_MARK]
        rewrite(page, SCRIPT, *marks, *([] if page.name == SEARCH_PAGE else [SEARCH_SCRIPT]))
        page.write_text(name_figures(without_indentation(page.read_text(encoding="utf-8")), figures), encoding="utf-8")
    for path in [*(site / "_static").rglob("*.css"), *(site / "_static").rglob("*.js")]:
        rewrite(path, OTHER_FONT, SOURCE_MAP)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx after the extensions that write into the site at its end (priority 500)."""
    app.connect("build-finished", remove_unused, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
