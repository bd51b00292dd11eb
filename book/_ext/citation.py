"""The directives `{bibtex}`, `{edition}` and `{repository}`: how to cite, which version this is, and its repository."""

from __future__ import annotations

import re
import subprocess
import textwrap
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from repository import ROOT, repository_address
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

Work = Mapping[str, Any]
"""The software, or another work, as `CITATION.cff` describes it."""

CITATION = ROOT / "CITATION.cff"
KINDS = {"article": "article", "conference-paper": "inproceedings", "software": "software"}
"""The kind of entry in BibTeX for a type of work in CITATION.cff."""

LINE = 76
"""Characters of a line of BibTeX that a page has room for."""

_ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u030a": "r", "\u030c": "v"}


def tex(text: str) -> str:
    """Spell letters with accents as old versions of BibTeX read them, and mask what TeX takes for commands."""
    written: list[str] = []
    for letter in unicodedata.normalize("NFD", re.sub(r"([&%#_$])", r"\\\1", text)):
        if accent := _ACCENTS.get(letter):
            base = written.pop()
            written.append(f"{{\\{accent}{{{base}}}}}" if accent.isalpha() else f"{{\\{accent}{base}}}")
        else:
            written.append(letter)
    return "".join(written)


def author(person: Work) -> str:
    """Write a person as "Family, Given", and a group so that BibTeX does not take it apart."""
    return (
        tex(f"{person['family-names']}, {person['given-names']}")
        if "family-names" in person
        else f"{{{person['name']}}}"
    )


def fields(work: Work, date: str, address: str | None) -> dict[str, str]:
    """List what an entry says; what a work does not have is left out."""
    numbers = {identifier["value"].removeprefix("arXiv:") for identifier in work.get("identifiers", [])}
    pages = f"{work['start']}--{work['end']}" if "start" in work else ""
    listed = {
        "author": " and ".join(author(person) for person in work["authors"]),
        "title": f"{{{tex(work['title'])}}}",
        "journal": tex(work.get("journal", "")),
        "booktitle": tex(work.get("collection-title", "")),
        "volume": str(work.get("volume", "")),
        "pages": pages,
        "publisher": tex(work.get("publisher", {}).get("name", "")),
        "year": str(work.get("year", date[:4])),
        "version": str(work.get("version", "")),
        "date": date if work["type"] == "software" else "",
        "eprint": ", ".join(sorted(numbers)),
        "archiveprefix": "arXiv" if numbers else "",
        "url": work.get("url", (address or "") if work["type"] == "software" else ""),
    }
    return {name: value for name, value in listed.items() if value}


def key(work: Work, year: str) -> str:
    """Name an entry by its first author and its year, or by the first word of the title where that is a group."""
    first = work["authors"][0].get("family-names") or work["title"].partition(":")[0]
    plain = unicodedata.normalize("NFKD", first).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z]", "", plain.lower()) + year


def bibtex(work: Work, date: str, address: str | None) -> str:
    """Write an entry of BibTeX.

    Args:
        work: the software or another work of CITATION.cff.
        date: of the software, as 2026-01-31; empty where it is not known.
        address: of the repository, where it has one on the web.
    """
    listed = fields(work, date, address)
    width = max(map(len, listed))
    lines = [_wrapped(f"  {name:<{width}} = ", f"{{{value}}},") for name, value in listed.items()]
    return "\n".join([f"@{KINDS[work['type']]}{{{key(work, listed.get('year', ''))},", *lines, "}"])


def _wrapped(name: str, value: str) -> str:
    """Break a long value between words, which BibTeX does not mind, and align what follows."""
    return textwrap.fill(
        value,
        LINE,
        initial_indent=name,
        subsequent_indent=" " * (len(name) + 1),
        break_long_words=False,
        break_on_hyphens=False,
    )


def works(citation: Work) -> dict[str, Work]:
    """Name the works of CITATION.cff: the paper, its later version, and the software."""
    later, *_ = citation["references"]
    return {"paper": citation["preferred-citation"], "later": later, "software": citation}


def edition_date(citation: Work, root: Path = ROOT) -> str:
    """Return the date of the release, or of the last commit where there has been none; empty where neither is known."""
    if "date-released" in citation:
        return str(citation["date-released"])
    try:
        command = ["git", "log", "-1", "--format=%cs"]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def edition(citation: Work, date: str) -> str:
    """Say which version this is."""
    if "date-released" in citation:
        return f"This is version {citation['version']}, released on {date}."
    return f"This is version {citation['version']}, not yet released" + (f", as of {date}." if date else ".")


class _Cited(SphinxDirective):
    """A directive that reads CITATION.cff; its page is read again at each build, as the last commit may be new."""

    def citation(self) -> Work:
        self.env.note_dependency(str(CITATION))
        self.env.note_reread()
        return yaml.safe_load(CITATION.read_text(encoding="utf-8"))


class BibTeX(_Cited):
    """Show one work of CITATION.cff as an entry of BibTeX, which the theme's button copies."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the entry as code."""
        citation = self.citation()
        work = works(citation)[directives.choice(self.arguments[0], tuple(works(citation)))]
        entry = bibtex(work, edition_date(citation), repository_address())
        return [nodes.literal_block(entry, entry, language="bibtex", classes=["bibtex"])]


class Edition(_Cited):
    """Say which version of the book this is, and of when."""

    def run(self) -> list[nodes.Node]:
        """Return a paragraph."""
        citation = self.citation()
        return [nodes.paragraph("", edition(citation, edition_date(citation)))]


class Repository(SphinxDirective):
    """Text about where the repository is: of two parts, the first if it has an address, which ADDRESS stands for."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the part that applies."""
        self.env.note_reread()
        parts = chosen(list(self.content), repository_address())
        container = nodes.container()
        self.state.nested_parse(StringList(parts, source=self.name), self.content_offset, container)
        return container.children


def chosen(lines: list[str], address: str | None) -> list[str]:
    """Return the lines before the one that says `or else`, with the address in place, or those after it without one."""
    middle = lines.index("or else")
    return [line.replace("ADDRESS", address) for line in lines[:middle]] if address else lines[middle + 1 :]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("bibtex", BibTeX)
    app.add_directive("edition", Edition)
    app.add_directive("repository", Repository)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
