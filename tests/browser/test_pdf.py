"""The PDF of the book, made from a site of two pages: what it holds, and what ends it with an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pikepdf
import pytest
from conftest import ROOT

PAGE = """<!doctype html>
<html><head><script>window.MathJax = {{startup: {{promise: Promise.resolve()}}}}</script></head>
<body><nav class="bd-docs-nav"><li><a href="#">Cover</a></li><p class="caption">Part</p>
<li><a href="../notebooks/one.html">1. One</a></li><li><a href="api/index.html">Reference</a></li></nav>
<article class="bd-article"><h1>{title}</h1>
<section id="place"><h2>Section</h2><p id="deep">{text}</p></section></article>
</body></html>"""
LINKS = """<a href="../notebooks/one.html#deep">there</a> <a href="api/index.html">not printed</a>
<p class="pdf-offer">none</p>"""


@pytest.fixture
def make_pdf(tmp_path: Path) -> object:
    """Make the PDF of a site with this text on its second page, and return the process and its file."""

    def made(text: str) -> tuple[subprocess.CompletedProcess[str], Path]:
        for address, title, shown in [
            ("book/index.html", "Cover", ""),
            ("book/get_started.html", "Start", LINKS),
            ("notebooks/one.html", "One", text),
        ]:
            path = tmp_path / address
            path.parent.mkdir(exist_ok=True)
            path.write_text(PAGE.format(title=title, text=shown or LINKS), encoding="utf-8")
        command = [sys.executable, ROOT / "tools" / "make_pdf.py", tmp_path]
        environment = {**os.environ, "SITE_URL": ""}
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
        return run, tmp_path / "mean-field-microcanonical-gradient-descent.pdf"

    return made


def test_chapters_are_in_the_outline_links_have_ends_and_the_site_offers_it_with_its_size(make_pdf) -> None:
    run, path = make_pdf("<table><tr><td>" + "wide " * 20 + "</td></tr></table>")
    assert run.returncode == 0, run.stderr
    with pikepdf.open(path) as pdf, pdf.open_outline() as outline:
        assert [item.title for item in outline.root] == ["Cover", "Part"]
        (chapter,) = outline.root[1].children
        assert chapter.title == "1. One"
        assert [item.title for item in chapter.children] == ["Section"]
        links = [str(link.Dest) for page in pdf.pages for link in page.get("/Annots", []) if "/Dest" in link]
        assert {"/notebooks.one--place", "/notebooks.one--deep"} <= set(links)  # from the contents and from the cover
        assert set(links) <= set(pdf.Root.Dests.keys())
        n_pages = len(pdf.pages)
    page = (path.parent / "book" / "get_started.html").read_text(encoding="utf-8")
    assert f'href="../{path.name}"' in page
    assert f"Download the book as a PDF ({n_pages} pages, " in page


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"<pre style='overflow: hidden'>{'x' * 400}</pre>", "too small to read: notebooks.one: PRE"),
        ("<div style='width: 900px'>wide</div>", "cut: notebooks.one: DIV"),
        ('<a href="#nowhere">there</a>', "a link to nowhere: #notebooks.one--nowhere"),
        ('<img src="missing.png">', "not found: "),
    ],
)
def test_what_would_be_cut_or_missing_ends_it_and_leaves_no_file(make_pdf, text: str, told: str) -> None:
    run, path = make_pdf(text)
    assert run.returncode == 1
    assert told in run.stderr
    assert not list(path.parent.glob("*.pdf")) and not list(path.parent.glob(".*.pdf"))
