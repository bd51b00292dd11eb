"""The other side of the comparison: what the paper states and contains, and where the book answers it."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mfmgdm_lib.paper.tables import contents, numbers
from mfmgdm_lib.paper.verification import Check, Checks, checks

__all__ = [
    "Check",
    "Checks",
    "Finding",
    "checks",
    "compare",
    "contents",
    "coverage",
    "numbers",
    "pages",
    "to_html",
    "verdict",
]

_ANCHOR = re.compile(r"^\(paper-([a-z0-9-]+)\)=$", re.MULTILINE)
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """A number of ours.

    Attributes:
        value: the number, in the unit of the paper's.
        standard_error: its standard error, or None where it has none: a count, or an exact value.
        page: path of the page that shows it, relative to the root of the book, without its suffix.
    """

    value: float
    standard_error: float | None = None
    page: str | None = None


def verdict(printed: str, finding: Finding | None) -> str:
    """Say how a number of ours stands to one that the paper prints.

    "same digits" means that ours rounds to the printed ones; "within 2 standard errors" that the difference is at
    most that, the rounding of the print aside.

    Args:
        printed: the paper's number as it prints it, such as "2.76".
        finding: ours, or None if it has not been run.

    Example:
        >>> verdict("2.76", Finding(2.7622, 0.09)), verdict("0.09", Finding(0.12, 0.02)), verdict("36", None)
        ('same digits', 'within 2 standard errors', 'not run yet')
    """
    if finding is None:
        return "not run yet"
    digits = len(printed.partition(".")[2])
    difference = abs(finding.value - float(printed))
    if f"{finding.value:.{digits}f}" == printed:
        return "same digits"
    if finding.standard_error is not None and difference <= 2 * finding.standard_error + 0.5 * 10**-digits:
        return "within 2 standard errors"
    return "differs"


def compare(findings: Mapping[str, Finding]) -> pd.DataFrame:
    """Set every number of the paper beside ours.

    Args:
        findings: ours, by the paper's key; what is missing is shown as not run yet.

    Returns:
        A table of text, one row for each of the paper's numbers.

    Raises:
        ValueError: a key that the paper does not have.
    """
    stated = numbers()
    if unknown := sorted(set(findings) - set(stated["key"])):
        raise ValueError(f"findings has the keys {unknown}; expected keys of paper.numbers(), such as 'figure-1-best'.")
    rows = []
    for key, where, what, printed, unit in stated.itertuples(index=False):
        finding = findings.get(key)
        digits = len(printed.partition(".")[2])
        error = None if finding is None else finding.standard_error
        rows.append(
            {
                "where": where,
                "what": what,
                "paper": f"{printed}\u00a0{unit}".strip(),
                "this run": "" if finding is None else f"{finding.value:.{digits + 1 if error else digits}f}",
                "standard error": "" if error is None else f"{error:.{digits + 1}f}",
                "verdict": verdict(printed, finding),
                "page": "" if finding is None or finding.page is None else finding.page,
            }
        )
    return pd.DataFrame(rows)


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


def to_html(table: pd.DataFrame, links: Mapping[str, str] | None = None) -> str:
    """Write a table of text as plain HTML, the same on every machine.

    Args:
        table: text columns.
        links: for a column, the column that holds the addresses its entries link to; that one is left out.
    """
    links = links or {}
    columns = [column for column in table.columns if column not in links.values()]
    lines = ["<tr>" + "".join(f"<th>{html.escape(column)}</th>" for column in columns) + "</tr>"]
    for row in table.to_dict("records"):
        cells = []
        for column in columns:
            text, address = html.escape(row[column]), row[links[column]] if column in links else ""
            cells.append(f'<td><a href="{html.escape(address)}">{text}</a></td>' if address else f"<td>{text}</td>")
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return '<table class="table">\n' + "\n".join(lines) + "\n</table>"
