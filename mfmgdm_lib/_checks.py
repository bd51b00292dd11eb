"""Checks of arguments, with errors that name the value, what was expected and how to correct it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

__all__ = [
    "as_series",
    "as_windows",
    "check_finite",
    "check_member",
    "check_number",
    "check_paths",
    "check_positive",
    "check_positive_int",
]


def check_number(name: str, value: float) -> float:
    """Return `value` as a float if it is finite."""
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}; expected a finite number. Use one such as 0.0.")
    return float(value)


def check_positive(name: str, value: float) -> float:
    """Return `value` as a float if it is a finite number above zero."""
    if not isinstance(value, (int, float, np.number)) or isinstance(value, bool):
        raise TypeError(
            f"{name} is {value!r} ({type(value).__name__}); expected a number above 0. Use a positive number."
        )
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value!r}; expected a finite number above 0. Use a positive number.")
    return float(value)


def check_positive_int(name: str, value: int, *, minimum: int = 1) -> int:
    """Return `value` as an int if it is a whole number of at least `minimum`."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(
            f"{name} is {value!r} ({type(value).__name__}); expected a whole number of at least {minimum}. Use an int."
        )
    if value < minimum:
        raise ValueError(f"{name} is {value}; expected a whole number of at least {minimum}. Use a larger number.")
    return int(value)


def check_member(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of the names `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(repr, allowed))}. Choose one of them.")
    return value


def check_paths(name: str, x: Tensor, *, minimum_length: int = 1) -> Tensor:
    """Return `x` if it is a floating tensor whose last axis is time and long enough."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} is a {type(x).__name__}; expected a torch.Tensor. Use torch.as_tensor(...) first.")
    if not x.is_floating_point():
        raise TypeError(f"{name} has dtype {x.dtype}; expected a real floating dtype. Use {name}.double() first.")
    if x.ndim == 0 or x.shape[-1] < minimum_length:
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}; expected (*, time) with at least {minimum_length} points in time."
            " Use longer paths."
        )
    return x


def check_finite(name: str, x: Tensor) -> Tensor:
    """Return `x` if no entry is NaN or infinite."""
    bad = ~torch.isfinite(x)
    if bad.any():
        first = tuple(int(i) for i in bad.nonzero()[0])
        raise ValueError(
            f"{name} has {int(bad.sum())} entries that are NaN or infinite, the first at index {first};"
            " expected finite numbers. Drop or repair them first."
        )
    return x


def as_series(name: str, series: Any, *, minimum_length: int = 2) -> Tensor:
    """Return a single real series as a float64 tensor (length,), or as it is if it is a floating tensor.

    The series has to be one-dimensional, finite, not constant and at least `minimum_length` long.
    """
    raw = series if isinstance(series, (Tensor, pd.Series)) else np.asarray(series)
    real = not raw.is_complex() and raw.dtype != torch.bool if isinstance(raw, Tensor) else raw.dtype.kind in "fiu"
    if not real:
        raise TypeError(f"{name} has dtype {raw.dtype}; expected real numbers. Convert it to float64 first.")
    if isinstance(raw, Tensor):
        values = raw if raw.is_floating_point() else raw.double()
    else:
        values = torch.as_tensor(np.array(raw, dtype=np.float64))
    if values.ndim != 1:
        raise ValueError(f"{name} has shape {tuple(values.shape)}; expected (length,). Pass one series at a time.")
    if len(values) < minimum_length:
        raise ValueError(
            f"{name} has {len(values)} points; expected at least {minimum_length}. Use a longer series or fewer lags."
        )
    check_finite(name, values)
    if bool((values == values[0]).all()):
        raise ValueError(f"{name} is constant at {float(values[0])}; expected a series that varies. Use another one.")
    return values


def as_windows(name: str, series: Any, length: int) -> Tensor:
    """Return a single real series, checked by `as_series`, cut into windows (n, length) that cover it evenly.

    They overlap where the series' length is no multiple of theirs.
    """
    values = as_series(name, series, minimum_length=length)
    starts = np.linspace(0, len(values) - length, math.ceil(len(values) / length)).round().astype(int)
    return torch.stack([values[start : start + length] for start in starts])
