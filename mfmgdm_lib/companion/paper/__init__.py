"""The paper's numbers and parts, and where the book reproduces or checks each."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.companion.paper.comparison import (
    VERDICTS,
    OurNumber,
    compare,
    count_verdicts,
    explain_verdicts,
    verdict,
    verdict_html,
)
from mfmgdm_lib.companion.paper.tables import contents, numbers, to_html
from mfmgdm_lib.companion.paper.verification import Check, Checks, checks

__all__ = [
    "VERDICTS",
    "Check",
    "Checks",
    "OurNumber",
    "checks",
    "compare",
    "comparison_html",
    "contents",
    "count_verdicts",
    "coverage",
    "explain_verdicts",
    "numbers",
    "pages",
    "to_html",
    "verdict",
    "verdict_html",
]

_ANCHOR = re.compile(r"^\(paper-([a-z0-9-]+)\)=$", re.MULTILINE)
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def coverage(root: Path | str) -> pd.DataFrame:
    """Find where the book answers each part of the paper.

    A page claims a part by an anchor line such as `(paper-eq-3)=`, which is also the target of the link.

    Args:
        root: the root of the book, with `notebooks/` and `book/` below it.

    Returns:
        The columns of `contents()` with `page` (path without suffix, or empty) and `title` of that page.

    Raises:
        ValueError: two pages that claim the same part, or an anchor of a part that the paper does not have.
    """
    parts = contents()
    places: dict[str, tuple[str, str]] = {}
    for path in pages(root):
        text = path.read_text(encoding="utf-8")
        title = _TITLE.search(text)
        for key in _ANCHOR.findall(text):
            if key in places:
                raise ValueError(f"paper-{key} is claimed by {places[key][0]} and {path.name}; expected one page only.")
            page = path.relative_to(root).with_suffix("").as_posix()
            places[key] = (page, title.group(1) if title else path.stem)
    if unknown := sorted(set(places) - set(parts["key"])):
        raise ValueError(f"the pages claim {unknown}; expected keys of paper.contents(), such as 'eq-3'.")
    parts["page"] = [places.get(key, ("", ""))[0] for key in parts["key"]]
    parts["title"] = [places.get(key, ("", ""))[1] for key in parts["key"]]
    return parts


def pages(root: Path | str) -> list[Path]:
    """Sources of the book's pages below `root`, in the order of their names."""
    return sorted([*Path(root).glob("notebooks/*.md"), *Path(root).glob("book/*.md")])


@checked
def comparison_html(table: pd.DataFrame, *, root: str = "../") -> str:
    """Write what `compare` returns as HTML that fits a page: both errors in one column, and each number a link.

    Args:
        table: rows of `compare`.
        root: what leads from the page that shows the table to the root of the book.
    """
    names = zip(table["where"], table["what"], strict=True)
    pairs = zip(table["± paths"], table["± determinants"], strict=True)
    shown = pd.DataFrame(
        {
            # What all numbers of the table are is said once, above it: a telephone has room for little.
            "number": [
                what.removesuffix(": smallest reverse KL") if where == "Table 1" else f"{where}: {what}"
                for where, what in names
            ],
            "paper": table["paper"],
            "here": table["here"],
            "verdict": [verdict_html(word) for word in table["verdict"]],
            "paper less here": table["difference"],
            "± paths; determinants": [f"{paths}; {own}" if paths else "" for paths, own in pairs],
            "address": [f"{root}{address}" if address else "" for address in table["address"]],
        }
    )
    return to_html(shown, links={"here": "address"}, markup=["verdict"])
