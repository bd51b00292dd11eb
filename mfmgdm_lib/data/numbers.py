"""Numbers as files spell them: with a decimal mark, marks of thousands and a sign of their unit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfmgdm_lib._checks import check_member

__all__ = ["are_like_numbers", "are_missing", "check_marks", "explain_number", "parse_numbers"]

Cells = Any  # a pyarrow array of text, in chunks or whole; the package has no types

_MISSING = pa.array(
    [
        "",
        ".",
        "..",
        ":",
        "-",
        "--",
        "–",
        "—",
        "na",
        "n/a",
        "n.a.",
        "#n/a",
        "#n/a n/a",
        "nd",
        "nan",
        "null",
        "(null)",
        "none",
    ]
)
_UNIT = r"[$€£¥₹%]"
# What a person would take for a number, though it may have to be told how to read it: $1,234.50, 0.12%, 1.23M, 3,01.
_MONEY = r"(?:[A-Za-z]{0,3}[$€£¥₹₩₽₺₪₫฿]|[A-Z]{3}|kr|Rs\.?|Fr\.?|zł|Kč|Ft)"
_LIKE_A_NUMBER = (
    rf"^{_MONEY}? ?[-+−(]?{_MONEY}? ?"
    r"(?:\d{1,3}(?:[.,' ’\x{a0}\x{202f}]\d{2,3})*|\d+)?(?:[.,]\d*)?(?:[eE][-+]?\d+)?"
    rf"\)? ?(?:%|{_MONEY}|[KkMmBbTt]|bn)?$"
)


def are_missing(cells: Cells) -> np.ndarray:
    """Return which cells stand for no value: empty ones, and ".", "-", "NA", "NaN", "null" and their like."""
    return np.asarray(pc.is_in(pc.utf8_lower(cells), value_set=_MISSING))


def are_like_numbers(cells: Cells) -> np.ndarray:
    """Return which cells a person would take for a number, whatever its marks and its unit."""
    return np.asarray(pc.and_(pc.match_substring_regex(cells, _LIKE_A_NUMBER), pc.match_substring_regex(cells, r"\d")))


def check_marks(separator: str, decimal: str, thousands: str | None) -> None:
    """Refuse marks that cannot be told from each other.

    Raises:
        ValueError: a decimal mark other than "." and ",", or a mark that is used twice.
    """
    check_member("decimal", decimal, (".", ","))
    if thousands is not None and (len(thousands) != 1 or thousands.isalnum() or thousands in (decimal, "+", "-")):
        raise ValueError(
            f"thousands is {thousands!r} and decimal {decimal!r}; expected two marks, such as ',' and '.'. Correct one."
        )
    if len(separator) != 1 or separator in '"\r\n':
        raise ValueError(f"separator is {separator!r}; expected one character, such as ';'. Correct it.")


def parse_numbers(cells: Cells, decimal: str = ".", thousands: str | None = None) -> tuple[np.ndarray, str | None]:
    """Return the numbers that cells spell, each as Python's `float` reads it, NaN for what is none.

    Args:
        cells: text, as a pyarrow array.
        decimal: mark before the decimals.
        thousands: mark between groups of digits, a blank for any kind of blank; None where there is none.

    Returns:
        The numbers (cells,), float64; and the sign of a unit that every cell has, such as "$" or "%", or None.

    Example:
        >>> parse_numbers(pa.array(["$1.234,5", "$7"]), ",", ".")
        (array([1234.5,    7. ]), '$')
    """
    unit = None
    if len(cells) and (found := re.match(_UNIT, str(cells[0])) or re.search(rf"{_UNIT}$", str(cells[0]))):
        shape = rf"^{re.escape(found[0])} ?| ?{re.escape(found[0])}$"
        if pc.all(pc.match_substring_regex(cells, shape)).as_py():
            unit = found[0]
            cells = pc.replace_substring_regex(cells, shape, "")
    if pc.any(pc.match_substring(cells, "−")).as_py():
        cells = pc.replace_substring(cells, "−", "-")  # the minus sign of typesetters, which can mean nothing else
    point = re.escape(decimal)
    whole = r"\d+"
    if thousands is not None:
        group = r"[ \x{a0}\x{202f}]" if thousands == " " else re.escape(thousands)
        whole = rf"(\d{{1,3}}({group}\d{{2,3}})*{group}\d{{3}}|\d+)"  # in India, groups of two before the last
    good = np.asarray(pc.match_substring_regex(cells, rf"^[+-]?({whole}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?$"))
    if thousands is not None:
        cells = pc.replace_substring_regex(cells, group, "")
    if decimal != ".":
        cells = pc.replace_substring(cells, decimal, ".")
    values = np.full(len(cells), np.nan)
    at = 0
    for chunk in cells.chunks if isinstance(cells, pa.ChunkedArray) else [cells]:
        texts = zip(chunk.to_pylist(), good[at : at + len(chunk)], strict=True)
        values[at : at + len(chunk)] = [float(text) if is_good else np.nan for text, is_good in texts]
        at += len(chunk)
    return values, unit


def explain_number(cell: str) -> tuple[str, str]:
    """How to have a cell read that is no number such as 1234.5, in Python and on the command line."""
    for shape, marks in _OTHER_MARKS.items():
        if re.fullmatch(shape, cell):
            if not marks:
                return "Use decimal=',' or thousands=','.", "Use --decimal ',' or --thousands ','."
            python = " and ".join(f"{name}={mark!r}" for name, mark in marks.items())
            option = " and ".join(f"--{name} {mark!r}" for name, mark in marks.items())
            return f"Use {python}.", f"Use {option}."
    mend = "Correct it, name another column, or, if it stands for no value, name it {} and drop it {}."
    return mend.format("in na_values", "by missing='drop'"), mend.format("with --na-value", "with --missing drop")


_OTHER_MARKS = {
    r"(?a)[+-]?\d{1,3},\d{3}": {},
    r"(?a)[+-]?(\d{1,3}(,\d{2,3})+\.\d*|\d{1,3}(,\d{2,3}){2,})": {"thousands": ","},
    r"(?a)[+-]?(\d{1,3}(\.\d{3})+,\d*|\d{1,3}(\.\d{3}){2,})": {"thousands": ".", "decimal": ","},
    r"(?a)[+-]?\d{1,3}([ \u00a0\u202f]\d{3})+(\.\d*)?": {"thousands": " "},
    r"(?a)[+-]?\d{1,3}([ \u00a0\u202f]\d{3})+,\d*": {"thousands": " ", "decimal": ","},
    r"(?a)[+-]?\d{1,3}('\d{3})+(\.\d*)?": {"thousands": "'"},
    r"(?a)[+-]?\d*,\d+": {"decimal": ","},
}
"""Spellings of numbers that a mark explains, and the marks; a comma before three digits may be either."""
