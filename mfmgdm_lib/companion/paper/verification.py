"""Checks of the paper's equations: made in notebooks, and collected from their outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.companion.paper.tables import contents, to_html

__all__ = ["Check", "Checks", "checks"]

_MIMETYPE = "application/vnd.mfmgdm.checks+json"
"""What a cell that shows `Checks` keeps them under, beside the table, for `checks` to read."""


@dataclass(frozen=True)
class Check:
    """One check of an equation that has been made and has come out as `result` says.

    Attributes:
        key: the equation, a key of `contents()`.
        what: what was compared with what.
        result: how it came out, without any digit that could differ between machines.
        holds: whether the equation holds as printed; False where its printed form was shown to fail.
    """

    key: str
    what: str
    result: str
    holds: bool


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu().numpy() if isinstance(value, Tensor) else value)


def _is_true(key: str, condition: object) -> bool:
    """Read a condition strictly: a list or a difference that is merely not empty or not zero proves nothing."""
    if isinstance(condition, Tensor) and condition.ndim == 0:
        condition = condition.item()
    if not isinstance(condition, (bool, np.bool_)):
        raise TypeError(
            f"condition of {key} is {condition!r} ({type(condition).__name__}); expected True or False."
            " Compare first, and reduce arrays by .all()."
        )
    return bool(condition)


@checked
class Checks:
    """Checks of the paper's equations; one that fails raises at once.

    As the last expression of a notebook's cell it shows a table in the order of the paper, which `checks` collects for
    the map of the paper. Iteration is in the order in which the checks were made.

    Example:
        >>> checks = Checks()
        >>> checks.close("eq-2", "loss at the target against 0", computed=[0.0], expected=0.0, tolerance=1e-12)
        >>> checks.true("eq-1", "a wider set contains a narrower one", 0.1 < 0.2)
        >>> checks
        Eq. (1), microcanonical set of width ε: a wider set contains a narrower one: holds
        Eq. (2), objective L = ½‖Φ‖²: loss at the target against 0: agrees to 1e-12
    """

    def __init__(self) -> None:
        parts = contents()
        equations = parts[parts["kind"] == "equation"]
        labels = equations["label"].str.replace(", unnumbered", "") + ", " + equations["what"]
        self._labels: dict[str, str] = dict(zip(equations["key"], labels, strict=True))
        self._made: list[Check] = []

    def close(
        self, key: str, what: str, computed: Any, expected: Any, tolerance: float, *, relative: bool = False
    ) -> None:
        """Check that two results are the same number, or arrays of the same numbers.

        Args:
            key: the equation, a key of `contents()`.
            what: what is compared with what.
            computed: tensor, array or number.
            expected: the same of equal shape, or one number for all entries.
            tolerance: largest deviation allowed of any entry; 0 asks for equality.
            relative: whether `tolerance` is in units of the largest absolute value of `expected`.

        Raises:
            AssertionError: they are farther apart, or one of them is not finite.
            ValueError: a key that is not an equation, shapes that differ, no entries, or a negative tolerance.
        """
        self._check_key(key)
        one, other = _array(computed), _array(expected)
        if one.shape != other.shape and other.ndim:
            raise ValueError(f"computed has shape {one.shape} and expected has {other.shape}; reshape one of them.")
        if one.size == 0:
            raise ValueError(f"computed has shape {one.shape}; expected at least one entry. Nothing was compared.")
        if not 0 <= tolerance < np.inf:
            raise ValueError(f"tolerance is {tolerance!r}; expected a finite number of at least 0.")
        if one.dtype == object or other.dtype == object:
            raise TypeError(f"computed is {computed!r} and expected {expected!r}; expected numbers. Use floats.")
        deviation, allowed = abs(one - other).max(), tolerance * (abs(other).max() if relative else 1.0)
        if not deviation <= allowed:  # so that NaN fails
            raise AssertionError(f"{key}: {what}: largest deviation {deviation:.3g}, tolerance {allowed:.3g}")
        unit = ", relative" if relative else ""
        self._add(key, what, f"agrees to {tolerance:.2g}{unit}" if tolerance else "agrees exactly")

    def true(self, key: str, what: str, condition: object) -> None:
        """Check that a condition is True.

        Raises:
            AssertionError: it is False.
            TypeError: it is neither.
            ValueError: a key that is not an equation.
        """
        self._check_key(key)
        if not _is_true(key, condition):
            raise AssertionError(f"{key}: {what}: does not hold")
        self._add(key, what, "holds")

    def as_printed_fails(self, key: str, what: str, condition: object, instead: str) -> None:
        """Check that an equation fails as it is printed.

        Args:
            key: the equation, a key of `contents()`.
            what: what shows that it fails.
            condition: True if it does.
            instead: what holds in its place.

        Raises:
            AssertionError: the condition is False, so that the printed form may well hold.
            TypeError: it is neither True nor False.
            ValueError: a key that is not an equation.
        """
        self._check_key(key)
        if not _is_true(key, condition):
            raise AssertionError(f"{key}: {what}: the printed form was expected to fail, and did not")
        self._add(key, what, f"not as printed: {instead}", holds=False)

    def _check_key(self, key: str) -> None:
        if key not in self._labels:
            raise ValueError(f"key is {key!r}; expected an equation of paper.contents(), such as 'eq-3'.")

    def _add(self, key: str, what: str, result: str, *, holds: bool = True) -> None:
        self._made.append(Check(key, what, result, holds))

    def __iter__(self) -> Iterator[Check]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)

    def _in_order(self) -> list[Check]:
        order = list(self._labels)
        return sorted(self._made, key=lambda made: order.index(made.key))

    def _table(self) -> pd.DataFrame:
        rows = [(self._labels[made.key], made.what, made.result) for made in self._in_order()]
        return pd.DataFrame(rows, columns=["equation", "what was checked", "result"])

    def __repr__(self) -> str:
        return "\n".join(map(": ".join, self._table().to_numpy()))

    def _repr_html_(self) -> str:
        return to_html(self._table())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {_MIMETYPE: [asdict(made) for made in self._in_order()]}


def checks(root: Path | str) -> pd.DataFrame:
    """Collect the checks that the executed notebooks show.

    Nothing is executed: the outputs stored in the notebooks are read, which `make test` compares with a new run.

    Args:
        root: the root of the book, with `notebooks/` below it.

    Returns:
        Text columns `key`, `what`, `result` and `page` (path without suffix), and a column `holds` of bool, in the
        order of the pages; a check that a page shows twice is there once.
    """
    names, rows = ["key", "what", "result", "holds"], []
    for path in sorted(Path(root).glob("notebooks/*.ipynb")):
        page = path.relative_to(root).with_suffix("").as_posix()
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                shown = output.get("data", {}).get(_MIMETYPE, [])
                rows += [(*(made[name] for name in names), page) for made in shown]
    return pd.DataFrame(rows, columns=[*names, "page"]).drop_duplicates(ignore_index=True).astype({"holds": bool})
