"""Progress bars, shown only on a terminal and only for work that takes more than two seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from tqdm import tqdm

__all__ = ["counter", "progress"]

T = TypeVar("T")

_HABITS: dict[str, Any] = {"delay": 2.0, "disable": None, "leave": False}


def progress(steps: Iterable[T], *, total: int, description: str) -> tqdm[T]:
    """Wrap `steps` in a bar that appears after two seconds, and only where stderr is a terminal.

    A notebook's stderr is none, so a notebook that is being validated prints nothing that could differ.
    """
    return tqdm(steps, total=total, desc=description, **_HABITS)


def counter(*, total: int, description: str) -> tqdm[NoReturn]:
    """A bar like that of `progress`, for a caller who moves it."""
    return tqdm(total=total, desc=description, **_HABITS)
