"""The way into the book: its examples run, its routes lead to pages, its entries of BibTeX say what they should."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

pytest.importorskip("sphinxext.opengraph")

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "book" / "get_started.md").read_text(encoding="utf-8")
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def extensions() -> Iterator[dict[str, ModuleType]]:
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    yield {name: importlib.import_module(name) for name in ("citation", "routes", "social")}
    sys.path.pop(0)


def blocks(section: str) -> list[tuple[str, str]]:
    """List the language and the content of the code blocks below a label."""
    text = PAGE.partition(f"({section})=")[2].partition("\n## Open")[0]
    return re.findall(r"(?ms)^```(\w+)\n(.*?)^```", text)


def run(program: str, *arguments: str, folder: Path) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_first_paths_come_out_as_the_page_says(tmp_path: Path) -> None:
    shown = ""
    for language, content in blocks("first-paths"):
        if language == "python":
            assert run(content, folder=tmp_path).strip() == content.rstrip().rpartition("# ")[2]
        elif language == "console":
            name, *arguments = shlex.split(content.replace("\\\n", " "))
            assert name == "mfmgdm"
            shown = run("from mfmgdm_lib.cli import main; main()", *arguments, folder=tmp_path)
        else:
            assert all(line.removesuffix("…") in shown for line in content.splitlines())
    assert {"prices.csv", "paths.parquet", "report.png"} == {path.name for path in tmp_path.iterdir()}


def test_what_the_page_tells_to_install_and_to_make_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = [name.rpartition(" ")[2] for name in project["classifiers"] if "Python :: 3." in name]
    assert f"Python {', '.join(versions[:-1])} or {versions[-1]}" in PAGE
    made = set(re.findall(r"\bmake (\w+)", "".join(re.findall(r"(?s)```console.*?```|`make \w+`", PAGE))))
    assert made == {"book", "test", "help", "lab", "pdf"}
    assert made <= set(re.findall(r"(?m)^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    assert all((ROOT / name).is_file() for name in ("constraints.txt", "environment.yml", "pyproject.toml"))
    assert yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["name"] == "mfmgdm"


def test_each_route_has_its_section_and_pages_of_the_book(extensions: dict[str, ModuleType]) -> None:
    chapters = (ROOT / "book" / "_toc.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"file: (\S+)", chapters))
    for key, route in extensions["routes"].ROUTES.items():
        assert f"(route-{key})=\n### {route.wish}\n\n```{{route}} {key}\n" in PAGE
        pages = [step.page for step in route.steps]
        assert set(pages) <= listed
        assert len(set(pages)) == len(pages)


@pytest.mark.parametrize("name", ["paper", "later", "software"])
def test_bibtex_says_what_the_citation_file_says(extensions: dict[str, ModuleType], name: str) -> None:
    from pybtex.database import parse_string
    from pybtex.richtext import Text

    citation = extensions["citation"]
    work = citation.works(CITATION)[name]
    written = citation.bibtex(work, "2026-01-31", "https://example.org/a/b")
    assert max(map(len, written.splitlines())) <= citation.LINE
    (entry,) = parse_string(written, "bibtex").entries.values()
    read = Text.from_latex
    people = [
        [str(read(" ".join(person.last_names))), " ".join(person.first_names)] for person in entry.persons["author"]
    ]
    expected = [
        [person.get("family-names", person.get("name")), person.get("given-names", "")] for person in work["authors"]
    ]
    assert people == expected
    assert " ".join(str(read(entry.fields["title"])).split()) == work["title"]
    assert entry.fields["year"] == str(work.get("year", 2026))
    if name == "software":
        assert entry.fields["url"] == "https://example.org/a/b"
        assert entry.fields["version"] == CITATION["version"]
        assert "url" not in citation.fields(work, "2026-01-31", None)


def test_the_edition_is_of_the_release_or_of_the_last_commit(extensions: dict[str, ModuleType], tmp_path: Path) -> None:
    citation = extensions["citation"]
    released = {**CITATION, "date-released": "2027-02-03"}
    date = citation.edition_date(released, tmp_path)
    assert citation.edition(released, date) == f"This is version {CITATION['version']}, released on 2027-02-03."
    unreleased = {name: value for name, value in CITATION.items() if name != "date-released"}
    assert citation.edition_date(unreleased, tmp_path) == ""
    assert citation.edition(unreleased, "") == f"This is version {CITATION['version']}, not yet released."
    for command in (
        ["init", "--quiet"],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--allow-empty", "--quiet", "--message=a"],
    ):
        when = {
            "GIT_COMMITTER_DATE": "2026-05-06T12:00:00+0000",
            "HOME": str(tmp_path),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
        }
        subprocess.run(["git", *command], cwd=tmp_path, check=True, env=when)
    assert citation.edition_date(unreleased, tmp_path) == "2026-05-06"


def test_text_about_the_repository_depends_on_its_address(extensions: dict[str, ModuleType]) -> None:
    chosen, lines = extensions["citation"].chosen, ["at <ADDRESS>", "or else", "in this folder"]
    assert chosen(lines, "https://example.org/a") == ["at <https://example.org/a>"]
    assert chosen(lines, None) == ["in this folder"]


def test_descriptions_end_with_a_sentence_or_a_word(extensions: dict[str, ModuleType]) -> None:
    shortened = extensions["social"].shortened
    assert shortened("Short.") == "Short."
    sentence = "This sentence is as long as it has to be for the test, which is more than half of a whole description."
    assert shortened(f"{sentence} {'more ' * 30}") == sentence
    assert shortened(f"{sentence[:-1]}, says Smith et al. in {'more ' * 30}").endswith("more …")
    assert shortened("word " * 60, 99) == "word " * 19 + "…"


def test_site_url_is_an_address_or_nothing(extensions: dict[str, ModuleType]) -> None:
    site_url = extensions["social"].site_url
    assert site_url("") == ""
    assert site_url("https://example.org/book") == site_url("https://example.org/book/") == "https://example.org/book/"
    for wrong in ("example.org", "file:///book", "https://example.org/?page=1"):
        with pytest.raises(Exception, match=re.escape(f"SITE_URL is {wrong!r}; expected an address such as")):
            site_url(wrong)
