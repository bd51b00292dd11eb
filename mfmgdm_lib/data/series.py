"""Returns and standardisation of a series, and descriptions of its dates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from torch import Tensor

from mfmgdm_lib._checks import as_series, check_member
from mfmgdm_lib.data.checks import check_values, spell_date
from mfmgdm_lib.errors import Message

__all__ = ["describe", "returns", "standardize", "unstandardize"]

Values = TypeVar("Values", pd.Series, np.ndarray, Tensor)

_SPACINGS = {"intraday": (0.0, 0.999), "daily": (0.999, 1.5), "weekly": (6.0, 8.0), "monthly": (27.0, 32.0)}
_PERIODS = {"daily": "trading day", "weekly": "week", "monthly": "month"}


def returns(series: pd.Series, kind: str = "log") -> pd.Series:
    """Turn levels into the changes from each date to the next.

    Args:
        series: levels by date, such as prices or rates.
        kind: "log" for log(x_t / x_{t−1}), of prices above 0; "difference" for x_t − x_{t−1}, which rates need that
            can be negative.

    Returns:
        A float64 series that is one shorter: each change at the date on which it ends. Its `attrs` are those of
        `series`, but for the `unit`: log-returns have no dimension, differences have that of the levels.

    Raises:
        TypeError: not a pandas series of real numbers.
        ValueError: fewer than two levels, a NaN or infinite one, or, for log-returns, one that is not above 0.

    Example:
        >>> rates = pd.Series([4.0, 3.5, 3.75], index=pd.date_range("2024-01-02", periods=3), name="ten years")
        >>> returns(rates, "difference").tolist()
        [-0.5, 0.25]
    """
    check_member("kind", kind, ("log", "difference"))
    levels = check_values("series", series)
    if len(levels) < 2:
        raise ValueError(f"series has {len(levels)} points; expected at least 2. Use a longer series.")
    if kind == "log" and (levels <= 0).any():
        first = int(np.argmax(levels <= 0))
        said = (
            f"series is {levels[first]} on {spell_date(series.index[first])}; expected prices above 0 for log-returns;"
            " rates need differences."
        )
        raise ValueError(Message(said, 'Use kind="difference".', option="Use --returns difference."))
    changes = np.diff(np.log(levels) if kind == "log" else levels)
    name = "log-return" if kind == "log" else "difference"
    result = pd.Series(changes, index=series.index[1:], name=name if series.name is None else f"{series.name} {name}")
    frequency = series.attrs.get("frequency") or describe(series)["frequency"]
    unit = "log-return" if kind == "log" else series.attrs.get("unit", "unit of the levels")
    result.attrs = {**series.attrs, "unit": f"{unit} per {_PERIODS.get(frequency, 'observation')}"}
    return result


def standardize(series: pd.Series) -> pd.Series:
    """Shift and scale a series to mean 0 and standard deviation 1 (Section 5.2).

    Args:
        series: finite numbers that are not all the same.

    Returns:
        A series with the same index. Its `attrs` keep the `mean`, the `stddev` (divisor: the length) and the
        `original_unit`, with which `unstandardize` undoes it.

    Raises:
        TypeError: not a pandas series of real numbers.
        ValueError: fewer than two numbers, a NaN or infinite one, or all the same.

    Example:
        >>> scaled = standardize(pd.Series([1.0, 3.0]))
        >>> scaled.tolist(), scaled.attrs["mean"], scaled.attrs["stddev"]
        ([-1.0, 1.0], 2.0, 1.0)
    """
    if not isinstance(series, pd.Series):
        raise TypeError(f"series is a {type(series).__name__}; expected a pandas Series. Use pd.Series(...) first.")
    values = as_series("series", series).numpy()
    mean, stddev = float(values.mean()), float(values.std())
    scaled = pd.Series((values - mean) / stddev, index=series.index, name=series.name)
    scaled.attrs = {**series.attrs, "mean": mean, "stddev": stddev, "unit": "standard deviations"}
    if "unit" in series.attrs:
        scaled.attrs["original_unit"] = series.attrs["unit"]
    return scaled


def unstandardize(values: Values, scaled: pd.Series | Mapping[Any, Any]) -> Values:
    """Take paths back to the units of the series that `standardize` was given.

    Args:
        values: numbers in standard deviations, of any shape: a pandas series, an array or a tensor of floats.
        scaled: what `standardize` returned, or the `attrs` of it.

    Returns:
        `values` · stddev + mean, of the same kind, shape and dtype.

    Raises:
        TypeError: values that are not floats of one of these kinds.
        ValueError: no mean and stddev to go by.

    Example:
        >>> scaled = standardize(pd.Series([1.0, 3.0]))
        >>> unstandardize(scaled, scaled).tolist()
        [1.0, 3.0]
        >>> unstandardize(np.zeros((2, 2), dtype=np.float32), scaled.attrs).dtype
        dtype('float32')
    """
    attrs = scaled.attrs if isinstance(scaled, pd.Series) else scaled
    if not isinstance(attrs, Mapping) or not {"mean", "stddev"} <= attrs.keys():
        found = sorted(map(str, attrs)) if isinstance(attrs, Mapping) else type(attrs).__name__
        raise ValueError(f"scaled has {found}; expected attrs with mean and stddev. Pass what standardize returned.")
    if not isinstance(values, (pd.Series, np.ndarray, Tensor)):
        raise TypeError(f"values is a {type(values).__name__}; expected a Series, an array or a tensor. Convert it.")
    real = values.is_floating_point() if isinstance(values, Tensor) else values.dtype.kind == "f"
    if not real:
        raise TypeError(
            f"values has dtype {values.dtype}; expected a real floating dtype. Convert it to float64 first."
        )
    result: Values = values * float(attrs["stddev"]) + float(attrs["mean"])
    if isinstance(result, pd.Series):
        result.attrs = {name: value for name, value in values.attrs.items() if name not in ("mean", "stddev", "unit")}
        if (unit := result.attrs.pop("original_unit", attrs.get("original_unit"))) is not None:
            result.attrs["unit"] = unit
    return result


def describe(series: pd.Series) -> dict[Any, Any]:
    """Say in words how far apart the dates of a series are, by their median, and give the longest gap in days.

    Example:
        >>> describe(pd.Series(0.0, index=pd.date_range("2024-01-02", periods=5, freq="B")))
        {'frequency': 'daily', 'longest_gap_days': 3}
    """
    if not isinstance(series.index, pd.DatetimeIndex) or len(series) < 2:
        return {"frequency": "irregular", "longest_gap_days": 0}
    stamps = series.index
    if stamps.tz is not None:
        # Days are as long as the clock has them, also where it is changed; hours are as long as they are.
        whole = bool((stamps == stamps.normalize()).all())
        stamps = stamps.tz_localize(None) if whole else stamps.tz_convert("UTC").tz_localize(None)
    days = np.diff(stamps.to_numpy()) / np.timedelta64(1, "D")
    median, longest = float(np.median(days)), float(days.max())
    words = (word for word, (low, high) in _SPACINGS.items() if low <= median < high)
    return {
        "frequency": next(words, "irregular"),
        "longest_gap_days": int(longest) if longest.is_integer() else round(longest, 3),
    }
