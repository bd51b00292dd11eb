"""Take files out of the built site that the theme ships and no page needs.

The theme brings the icons of Font Awesome twice, as fonts and as a script of 1.5 MB that would put pictures in their
place. The fonts draw them as well, so the script goes. Only the page of the search needs the index of the book, 0.4 MB
with its scripts. Maps of sources and other formats of the fonts serve no reader. Code is marked word by word; the marks
whose colour is that of plain text are most of a page of source, and go.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

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
PLAIN_MARK = re.compile(r'<span class="[npw]">(?P<kept>[^<]*)</span>')


def rewrite(path: Path, *patterns: re.Pattern[str]) -> None:
    """Take what matches out of a file, but for what a pattern keeps."""
    text = changed = path.read_text(encoding="utf-8")
    for pattern in patterns:
        changed = pattern.sub(r"\g<kept>" if "kept" in pattern.groupindex else "", changed)
    if changed != text:
        path.write_text(changed, encoding="utf-8")


def remove_unused(app: Sphinx, exception: Exception | None) -> None:
    """Take the files out, and the lines that name them, once everything is written."""
    if exception is not None or app.builder.name != "html":
        return
    site = Path(app.outdir)
    for unused in {path for pattern in UNUSED for path in site.glob(pattern)}:
        shutil.rmtree(unused) if unused.is_dir() else unused.unlink()
    for page in site.rglob("*.html"):
        rewrite(page, SCRIPT, PLAIN_MARK, *([] if page.name == SEARCH_PAGE else [SEARCH_SCRIPT]))
    for path in [*(site / "_static").rglob("*.css"), *(site / "_static").rglob("*.js")]:
        rewrite(path, OTHER_FONT, SOURCE_MAP)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx after the extensions that write into the site at its end (priority 500)."""
    app.connect("build-finished", remove_unused, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
