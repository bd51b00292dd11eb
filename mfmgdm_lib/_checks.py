"""Checks of arguments, with errors that name the value, what was expected and how to correct it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib.errors import Message

__all__ = [
    "as_series",
    "as_shape",
    "as_windows",
    "check_device",
    "check_finite",
    "check_member",
    "check_not_nan",
    "check_number",
    "check_paths",
    "check_positive",
    "check_positive_int",
    "check_powers",
    "check_real",
    "check_shares",
    "check_total",
    "common_shape",
    "first_true",
    "spell_date",
    "spelled_shape",
]


LARGEST_COUNT = 2**31 - 1
"""The largest number of paths, points or steps: more of them are a slip."""

LARGEST_TOTAL = 2**36
"""The largest number of points of all paths: half a terabyte of float64."""


def _is_finite(value: float) -> bool:
    """Whether a number is finite as a float, which whole numbers above 1.8e308 are not."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def check_number(name: str, value: float) -> float:
    """Return `value` as a float if it is a finite number."""
    if not isinstance(value, (int, float, np.number)) or isinstance(value, (bool, np.complexfloating)):
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}); expected a finite number. Use one such as 0.0.")
    if not _is_finite(value):
        raise ValueError(f"{name} is {value!r}; expected a finite number. Use one such as 0.0.")
    return float(value)


def check_positive(name: str, value: float) -> float:
    """Return `value` as a float if it is a finite number above zero."""
    if not isinstance(value, (int, float, np.number)) or isinstance(value, (bool, np.complexfloating)):
        raise TypeError(
            f"{name} is {value!r} ({type(value).__name__}); expected a number above 0. Use a positive number."
        )
    if not (_is_finite(value) and value > 0):
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
    if value > LARGEST_COUNT:
        raise ValueError(
            f"{name} is {value}; expected a whole number of at most {LARGEST_COUNT}. Use a smaller number."
        )
    return int(value)


def check_member(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of the names `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(repr, allowed))}. Choose one of them.")
    return value


def check_shares(shares: Sequence[float]) -> None:
    """Refuse shares of a distribution that are not between 0 and 1."""
    for share in shares:
        if not isinstance(share, (int, float, np.number)) or not 0.0 < share < 1.0:
            raise ValueError(f"shares has {share!r}; expected numbers between 0 and 1. Use such as 0.95 and 0.99.")


def check_real(name: str, x: Tensor) -> Tensor:
    """Return `x` if it is a tensor of a real floating dtype, of any shape."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} is a {type(x).__name__}; expected a torch.Tensor. Use torch.as_tensor(...) first.")
    if not x.is_floating_point():
        raise TypeError(f"{name} has dtype {x.dtype}; expected a real floating dtype. Use {name}.double() first.")
    return x


def check_paths(name: str, x: Tensor, *, minimum_length: int = 1) -> Tensor:
    """Return `x` if it is a floating tensor whose last axis is time and long enough."""
    if check_real(name, x).dtype.itemsize < 4:
        raise TypeError(f"{name} has dtype {x.dtype}; expected float32 or float64. Use {name}.float() first.")
    if x.layout is not torch.strided:
        raise TypeError(f"{name} has layout {x.layout}; expected a dense tensor. Use {name}.to_dense() first.")
    if x.is_meta:
        raise TypeError(
            f"{name} is on the device 'meta', without numbers; expected a tensor that has some. Draw it first."
        )
    if x.ndim == 0 or x.shape[-1] < minimum_length:
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}; expected (*, time) with at least {minimum_length} points in time."
            " Use longer paths."
        )
    return x


def as_shape(name: str, size: Any) -> tuple[int, ...]:
    """Return the shape of a path: (size,) for a number of points, or a shape such as (C, T) or (H, W) as it is."""
    sizes = size if isinstance(size, (tuple, list)) and len(size) else (size,)
    return tuple(check_positive_int(name, one) for one in sizes)


def spelled_shape(shape: Sequence[int | None]) -> str:
    """Spell the shape of a path in a message, with a word for each axis that may have any size."""
    words = ("time",) if len(shape) == 1 else ("height", "width") if shape[0] is None else ("channels", "time")
    words = (*words, *("any",) * len(shape))
    return ", ".join(word if size is None else str(size) for word, size in zip(words, shape, strict=False))


def common_shape(*shapes: Sequence[int | None]) -> tuple[int | None, ...] | None:
    """Return the shape that shapes with None for any size agree on; None where they do not."""
    if len({len(shape) for shape in shapes}) > 1:
        return None
    sizes = [{size for size in axis if size is not None} for axis in zip(*shapes, strict=True)]
    if any(len(axis) > 1 for axis in sizes):
        return None
    return tuple(axis.pop() if axis else None for axis in sizes)


def check_finite(name: str, x: Tensor) -> Tensor:
    """Return `x` if no entry is NaN or infinite."""
    if torch.isfinite(x.sum()):  # which is an order of magnitude quicker than to look at each
        return x
    bad = ~torch.isfinite(x)
    if bad.any():  # a sum of finite numbers may be infinite
        first = tuple(bad.nonzero()[0].tolist())
        raise ValueError(
            f"{name} has {int(bad.sum())} entries that are NaN or infinite, the first at index {first};"
            " expected finite numbers. Drop or repair them first."
        )
    return x


def check_device(name: str, device: torch.device | str) -> torch.device:
    """Return the device of a name if this machine has it."""
    try:
        return torch.empty(0, device=device).device
    except (AssertionError, RuntimeError) as error:  # torch raises either, as it was built
        raise ValueError(
            f"{name} is {str(device)!r}; expected one that this machine has ({str(error).splitlines()[0]})."
            " Use 'cpu', or such as 'cuda:0' where there is a GPU."
        ) from None


def check_powers(name: str, x: Tensor, power: int, *, points: int = 1) -> Tensor:
    """Return finite paths `x` (*, time) if sums over time of such a power, of sums of `points`, are finite, too."""
    largest = (torch.finfo(x.dtype).max / max(x.shape[-1], 1)) ** (1.0 / power) / points
    if x.numel() and (beyond := check_finite(name, x).abs() > largest).any():
        first = tuple(beyond.nonzero()[0].tolist())
        raise ValueError(
            f"{name} has {float(x[first]):g} at index {first}; expected numbers of at most {largest:.2g}, of whose"
            f" powers {x.dtype} holds sums. Divide the paths by a scale first."
        )
    return x


def check_not_nan(x: Tensor, values: Tensor, what: str) -> Tensor:
    """Return values (*,) or (*, K) at finite paths `x` if none is NaN, as where their squares overflow."""
    if torch._C._functorch.is_functorch_wrapped_tensor(values) or not x.numel():
        return values
    if (bad := values.isnan()).any():
        first = tuple(bad.nonzero()[0].tolist())
        raise ValueError(
            f"x has numbers up to {float(x.detach().abs().max()):g}, and the {what} at index {first} is beyond"
            f" {x.dtype}; expected smaller ones. Divide the paths by a scale first."
        )
    return values


def check_total(name: str, *sizes: int) -> None:
    """Refuse sizes whose product no memory holds."""
    if (total := math.prod(sizes)) > LARGEST_TOTAL:
        raise ValueError(
            f"{name} are {' and '.join(map(str, sizes))}, {total:.2g} numbers in all; expected at most"
            f" {LARGEST_TOTAL:.2g}. Use fewer, or draw them in parts."
        )


def first_true(mask: Tensor) -> int | None:
    """Return the place of the first entry of a mask (N,) that is true; None where none is."""
    return int(mask.nonzero()[0]) if mask.any() else None


def as_series(
    name: str,
    series: Any,
    *,
    minimum_length: int = 2,
    shape: Sequence[int | None] = (None,),
    may_be_constant: bool = False,
) -> Tensor:
    """Return a single real series as a float64 tensor (length,), or as it is if it is a floating tensor.

    The series has to be one-dimensional, or of another `shape`, finite, nowhere constant in time (unless it
    `may_be_constant`) and at least `minimum_length` long.
    """
    if isinstance(series, np.ma.MaskedArray) and (masked := np.broadcast_to(series.mask, series.shape)).any():
        raise ValueError(
            f"{name} has {masked.sum()} masked values, the first at index {tuple(np.argwhere(masked)[0].tolist())};"
            " expected none that are missing. Use series.compressed(), or fill them in."
        )
    # Not in one call: pandas would be loaded for tensors, too.
    raw = series if isinstance(series, Tensor) or isinstance(series, pd.Series) else np.asarray(series)  # noqa: SIM101
    real = not raw.is_complex() and raw.dtype != torch.bool if isinstance(raw, Tensor) else raw.dtype.kind in "fiu"
    if not real:
        raise TypeError(f"{name} has dtype {raw.dtype}; expected real numbers. Convert it to float64 first.")
    if isinstance(raw, Tensor):
        values = raw if raw.is_floating_point() else raw.double()
    else:
        # Missing values of the types of pandas' own are NaN then, and found below.
        floats = raw.to_numpy(np.float64, na_value=np.nan) if isinstance(raw, pd.Series) else raw
        values = torch.as_tensor(np.array(floats, dtype=np.float64))
    if common_shape((*shape[:-1], None), values.shape) is None:
        expected = "length," if len(shape) == 1 else spelled_shape((*shape[:-1], None))
        raise ValueError(f"{name} has shape {tuple(values.shape)}; expected ({expected}). Pass one series at a time.")
    if values.shape[-1] < minimum_length:
        said = f"{name} has {values.shape[-1]} points; expected at least {minimum_length}."
        raise ValueError(Message(said, "Use a longer series or fewer lags.", option="Use a longer series."))
    check_finite(name, values)
    constant = (values == values[..., :1]).all(-1)
    if constant.any() and not may_be_constant:
        value = float(values[constant][0, 0] if values.ndim > 1 else values[0])
        raise ValueError(f"{name} is constant at {value}; expected a series that varies. Use another one.")
    return values


def as_windows(name: str, series: Any, length: int, shape: Sequence[int | None] = (None,)) -> Tensor:
    """Return a single real series, checked by `as_series`, cut into windows (n, length) that cover it evenly.

    They overlap where the series' length is no multiple of theirs.
    """
    values = as_series(name, series, minimum_length=length, shape=shape)
    points = values.shape[-1]
    starts = np.linspace(0, points - length, math.ceil(points / length)).round().astype(int)
    return torch.stack([values[..., start : start + length] for start in starts])


def spell_date(label: Any) -> str:
    """Spell a label of an index for a message: a date, with the time where there is one, or a number."""
    if not isinstance(label, pd.Timestamp):
        return f"index {label}"
    return f"{label:%Y-%m-%d}" if label == label.normalize() else str(label)
