"""The sources of the book: every cited work exists, and equations have unique numbers."""

from __future__ import annotations

import operator
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mfmgdm_lib as mm

ROOT = Path(__file__).resolve().parent.parent


def test_every_work_of_the_bibliography_is_cited_and_every_citation_has_a_work() -> None:
    works = set(re.findall(r"(?m)^@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(encoding="utf-8")))
    pages = [*(ROOT / "notebooks").glob("*.md"), *(ROOT / "book").glob("*.md")]
    cited = {
        key.strip()
        for page in pages
        for keys in re.findall(r"\{cite:[pt]\}`([^`]+)`", page.read_text(encoding="utf-8"))
        for key in keys.split(",")
    }
    assert works == cited


def test_every_word_of_the_glossary_leads_to_a_page() -> None:
    glossary = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    (entries,) = re.findall(r"(?ms)^```\{glossary\}\n:sorted:\n\n(.*?)^```", glossary)
    for entry in entries.split("\n\n"):
        assert re.search(r"\{(?:doc|ref|numref|eq)\}`", entry), entry


def test_names_of_the_library_in_texts_exist() -> None:
    texts = [*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.md"), *ROOT.glob("*.md")]
    for text in texts:
        for name in re.findall(r"(?<![\w.])mm((?:\.[A-Za-z]\w*)+)", text.read_text(encoding="utf-8")):
            assert operator.attrgetter(name.removeprefix("."))(mm) is not None, f"{text.name}: mm{name}"


def test_equations_have_the_letter_beside_them_and_where_they_are_referred_to(tmp_path: Path) -> None:
    pytest.importorskip("myst_parser")
    settings = [
        f"import sys; sys.path.insert(0, {str(ROOT / 'book' / '_ext')!r})",
        "extensions = ['myst_parser', 'equation_numbers']; myst_enable_extensions = ['dollarmath']",
        "numfig = True; math_numfig = True; math_eqref_format = '({number})'",
    ]
    (tmp_path / "conf.py").write_text("\n".join(settings), encoding="utf-8")
    (tmp_path / "index.md").write_text("# A\n\n$$ x $$ (one)\n\nas in {eq}`one`\n", encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", str(tmp_path), str(tmp_path / "out")]
    for _ in range(2):  # the second time from the stored environment
        subprocess.run(command, check=True, capture_output=True)
        html = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
        assert 'class="eqno">(E1)' in html and 'href="#equation-one">(E1)' in html
        with (tmp_path / "index.md").open("a", encoding="utf-8") as page:
            page.write("\nand more\n")


def test_exercises_are_numbered_and_leave_no_identifier_twice(tmp_path: Path) -> None:
    pytest.importorskip("sphinx_exercise")
    settings = [
        f"import sys; sys.path.insert(0, {str(ROOT / 'book' / '_ext')!r})",
        "extensions = ['myst_parser', 'exercises']; exercise_style = 'solution_follow_exercise'",
    ]
    (tmp_path / "conf.py").write_text("\n".join(settings), encoding="utf-8")
    exercise = "```{{exercise}}\n:label: ex-{0}\n\nTry.\n```\n\n"
    pair = exercise + "```{{solution-start}} ex-{0}\n```\n\nSo.\n\n```{{solution-end}}\n```\n\n"
    page = "# A\n\n" + pair.format("one") + pair.format("two") + "See {numref}`ex-two`.\n"
    (tmp_path / "index.md").write_text(page, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", str(tmp_path), str(tmp_path / "out")]
    subprocess.run(command, check=True, capture_output=True)
    html = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert re.search('href="#ex-two"><span class="std std-numref">Exercise 2</span>', html)
    assert html.count('class="solution admonition"') == 2
    identifiers = re.findall(r'\bid="([^"]+)"', html)
    assert len(identifiers) == len(set(identifiers)), identifiers
