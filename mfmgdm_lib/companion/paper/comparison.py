"""The comparison of our numbers with the paper's: verdicts, and the table of all numbers."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.companion.paper.tables import numbers

__all__ = ["VERDICTS", "OurNumber", "compare", "count_verdicts", "explain_verdicts", "verdict", "verdict_html"]

VERDICTS = {
    "same digits": "ours rounds to what is printed",
    "within our error": (
        "the gap is at most 2 standard errors of our determinants, plus half a unit of the last printed digit"
    ),
    "small gap": (
        "more than that, but at most 2 standard errors of 128 paths, which the paper's seeds do not excuse;"
        " other starting paths would move the number as far"
    ),
    "differs": "a gap that neither explains",
    "not run yet": "there is no number of ours",
}
"""What a verdict means, from the strictest on; `verdict` gives the first that holds."""

_DOTS = {"same digits": "#009e73", "within our error": "#66c2a5", "small gap": "#e0a500", "differs": "#c2255c"}


@dataclass(frozen=True)
class OurNumber:
    """Our value of a number of the paper.

    Attributes:
        value: the number, in the unit of the paper's.
        standard_error: its standard error over draws of the paths, or None where it has none, as a count.
        own_error: standard error that is left when the paths are the paper's: that of estimated determinants.
        is_bound: whether the true value may be larger than `value` (and the paper's larger than the one it prints).
        page: path of the page that shows it, relative to the root of the book, without its suffix.
        anchor: where on that page.
    """

    value: float
    standard_error: float | None = None
    own_error: float = 0.0
    is_bound: bool = False
    page: str | None = None
    anchor: str | None = None

    @property
    def address(self) -> str:
        """The page and the place on it, relative to the root of the book; empty if no page shows the number."""
        if self.page is None:
            return ""
        return f"{self.page}.html" + (f"#{self.anchor}" if self.anchor else "")


@checked
def verdict(printed: str, ours: OurNumber | None) -> str:
    """Compare a number of ours with one that the paper prints, by one of the words that `VERDICTS` defines.

    Our paths start from the paper's seeds, so the error of 128 paths is common to both numbers and does not excuse a
    gap. What is left is the error of our determinants. Those of the paper have errors, too, if it estimated them; it
    does not say, so none are allowed for.

    Args:
        printed: the paper's number as it prints it, such as "2.76".
        ours: our number, or None if it has not been run.

    Example:
        >>> verdict("2.76", OurNumber(2.7622, 0.09)), verdict("2.76", OurNumber(2.79, 0.09)), verdict("36", None)
        ('same digits', 'small gap', 'not run yet')
        >>> verdict("1.99", OurNumber(2.01, 0.19, own_error=0.018))
        'within our error'
    """
    if ours is None:
        return "not run yet"
    digits = _digits(printed)
    rounding = 0.5 * 10**-digits
    gap = abs(ours.value - float(printed))
    if f"{ours.value:.{digits}f}" == printed:
        return "same digits"
    if ours.own_error and gap <= 2 * ours.own_error + rounding:
        return "within our error"
    if ours.standard_error and gap <= 2 * ours.standard_error + rounding:
        return "small gap"
    return "differs"


def count_verdicts(verdicts: Iterable[str]) -> dict[str, int]:
    """How often each verdict is there, from the strictest on, without those that are not.

    Example:
        >>> count_verdicts(["small gap", "same digits", "small gap"])
        {'same digits': 1, 'small gap': 2}
    """
    given = list(verdicts)
    return {word: given.count(word) for word in VERDICTS if word in given}


def explain_verdicts(verdicts: Iterable[str]) -> pd.DataFrame:
    """A table of the verdicts that are there, how often, and what they mean: text columns."""
    counts = count_verdicts(verdicts)
    rows = [{"verdict": word, "numbers": str(n), "meaning": VERDICTS[word]} for word, n in counts.items()]
    return pd.DataFrame(rows, columns=["verdict", "numbers", "meaning"])


@checked
def verdict_html(word: str) -> str:
    """A verdict as HTML, with a dot of its colour before it.

    Example:
        >>> verdict_html("not run yet")
        'not run yet'
    """
    if not isinstance(word, str):
        raise TypeError(f"word is {word!r}; expected text. Use what `verdict` returns.")
    colour, text = _DOTS.get(word), html.escape(word)
    return f'<span style="color: {colour}" aria-hidden="true">●</span>&nbsp;{text}' if colour else text


@checked
def compare(ours: Mapping[str, OurNumber]) -> pd.DataFrame:
    """Set every number of the paper beside ours.

    Args:
        ours: our numbers, by the paper's key; what is missing is shown as not run yet.

    Returns:
        A table of text, one row for each of the paper's numbers, by its key: `kind` ("result" or "setting"), `where`,
        `what`, `paper`, `here` (with "≥" before a lower bound), `difference` (the paper's less ours), `± paths`,
        `± determinants`, `verdict` and `address`.

    Raises:
        ValueError: a key that the paper does not have.
    """
    stated = numbers()
    if unknown := sorted(set(ours) - set(stated["key"])):
        raise ValueError(f"ours has the keys {unknown}; expected keys of paper.numbers(), such as 'figure-1-best'.")
    rows = {part["key"]: _row(part, ours.get(part["key"])) for _, part in stated.iterrows()}
    return pd.DataFrame.from_dict(rows, orient="index")


def _row(part: pd.Series, ours: OurNumber | None) -> dict[str, str]:
    printed = part["value"]
    row = {name: part[name] for name in ("kind", "where", "what")}
    row["paper"] = f"{printed}\u00a0{part['unit']}".strip()
    here = dict.fromkeys(("here", "difference", "± paths", "± determinants"), "")
    if ours is not None:
        places = _digits(printed) + (1 if ours.standard_error else 0)
        here["here"] = f"{'≥ ' if ours.is_bound else ''}{ours.value:.{places}f}"
        gap = round(float(printed) - ours.value, places)
        here["difference"] = f"{gap:+.{places}f}".replace("-", "−") if gap else "0"
        if ours.standard_error:
            here["± paths"] = f"{ours.standard_error:.{places}f}"
            here["± determinants"] = f"{ours.own_error:.{places}f}" if ours.own_error else "exact"
    address = "" if ours is None else ours.address
    return {**row, **here, "verdict": verdict(printed, ours), "address": address}


def _digits(printed: str) -> int:
    return len(printed.partition(".")[2])
