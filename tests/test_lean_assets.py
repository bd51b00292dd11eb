"""What is left out of the built site, and what has to stay."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent

PAGE = """<head>
<script src="../_static/scripts/fontawesome.js?digest=1"></script>
<script src="../searchindex.js"></script>
<script src="../_static/page.js"></script>
</head><pre><span class="n">x</span> <span class="o">=</span> <span class="p">(</span><span class="mi">1</span></pre>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site after the extension has gone through it."""
    for name, text in {
        "page.html": PAGE,
        "search.html": PAGE,
        "_static/scripts/fontawesome.js": "icons",
        "_static/page.js": "used()\n//# sourceMappingURL=page.js.map\n",
        "_static/page.js.map": "map",
        "_static/fonts.css": 'src: url(a.woff2) format("woff2"),url(a.ttf) format("truetype");',
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        import lean_assets
    finally:
        sys.path.pop(0)
    lean_assets.remove_unused(SimpleNamespace(builder=SimpleNamespace(name="html"), outdir=str(tmp_path)), None)
    return tmp_path


def test_icons_as_a_script_and_maps_of_sources_go(site: Path) -> None:
    assert sorted(path.name for path in (site / "_static").rglob("*") if path.is_file()) == ["fonts.css", "page.js"]
    assert (site / "_static/page.js").read_text(encoding="utf-8") == "used()\n"
    assert (site / "_static/fonts.css").read_text(encoding="utf-8") == 'src: url(a.woff2) format("woff2");'
    assert "fontawesome" not in (site / "page.html").read_text(encoding="utf-8")


def test_the_page_of_the_search_alone_keeps_its_index(site: Path) -> None:
    assert "searchindex" not in (site / "page.html").read_text(encoding="utf-8")
    assert "searchindex" in (site / "search.html").read_text(encoding="utf-8")
    assert "page.js" in (site / "page.html").read_text(encoding="utf-8")


def test_code_is_marked_where_its_colour_is_not_that_of_text(site: Path) -> None:
    page = (site / "page.html").read_text(encoding="utf-8")
    assert '<pre>x <span class="o">=</span> (<span class="mi">1</span></pre>' in page
