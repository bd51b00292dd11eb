"""What is left out of the built site, and what has to stay."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent

PAGE = """<head>
<script src="../_static/scripts/fontawesome.js?digest=1"></script>
<script src="../searchindex.js"></script>
<script src="../_static/page.js"></script>
</head><pre><span class="n">x</span> <span class="o">=</span> <span class="p">(</span><span class="mi">1</span></pre>"""


def lean(site: Path) -> None:
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        import lean_assets
    finally:
        sys.path.pop(0)
    lean_assets.remove_unused(SimpleNamespace(builder=SimpleNamespace(name="html"), outdir=str(site)), None)


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
    lean(tmp_path)
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


def test_a_page_of_source_keeps_the_marks_of_keywords_and_strings(site: Path) -> None:
    keyword, string = '<span class="k">return</span>', '<span class="sd">"x"</span>'
    page = site / "_modules" / "module.html"
    page.parent.mkdir()
    number, plus = '<span class="mi">1</span>', '<span class="o">+</span>'
    page.write_text(f"<pre>{keyword} {number} {plus} {string}</pre>", encoding="utf-8")
    lean(site)
    assert (
        page.read_text(encoding="utf-8") == '<pre><span class="k">return</span> 1 + <span class="sd">"x"</span></pre>'
    )


def test_lines_lose_their_indents_where_they_are_not_shown(site: Path) -> None:
    page = site / "page.html"
    page.write_text("<p>a\n\n   b</p>\n  <pre>\n  c\n\n  d</pre>\n   <script>\n  e()</script>", encoding="utf-8")
    lean(site)
    assert page.read_text(encoding="utf-8") == ("<p>a\nb</p>\n<pre>\n  c\n\n  d</pre>\n<script>\n  e()</script>")


def test_figures_become_smaller_and_are_the_same(site: Path) -> None:
    figure, page = site / "_images" / "figure.png", site / "page.html"
    figure.parent.mkdir()
    points = np.random.default_rng(0).integers(0, 2, (64, 64, 3)).astype(np.uint8) * 255
    Image.fromarray(points).save(figure)
    page.write_text('<a href="../_images/figure.png"><img src="../_images/figure.png"></a>', encoding="utf-8")
    lean(site)
    assert page.read_text(encoding="utf-8").count("../_images/figure.webp") == 2 and not figure.exists()
    with Image.open(figure.with_suffix(".webp")) as image:
        assert (np.asarray(image.convert("RGB")) == points).all()
