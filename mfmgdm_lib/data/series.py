"""Returns and standardisation of a series, and descriptions of its dates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mfmgdm_lib._checks import as_series, check_finite, check_member, check_number, check_paths, spell_date
from mfmgdm_lib.data.checks import check_values
from mfmgdm_lib.errors import Message

__all__ = ["days_between", "describe", "levels", "look_like_changes", "returns", "standardize", "unstandardize"]

Values = TypeVar("Values", pd.Series, np.ndarray, Tensor)

_SPACINGS = {"intraday": (0.0, 0.999), "daily": (0.999, 1.5), "weekly": (6.0, 8.0), "monthly": (27.0, 32.0)}
_PERIODS = {"daily": "trading day", "weekly": "week", "monthly": "month"}


def returns(series: pd.Series, kind: str = "log") -> pd.Series:
    """Turn levels into the changes from each date to the next.

    Args:
        series: levels by ascending date, such as prices or rates; with a time zone or without.
        kind: "log" for log(x_t / x_{t−1}), of prices above 0; "difference" for x_t − x_{t−1}, which rates need that
            can be negative.

    Returns:
        A float64 series that is one shorter: each change at the date on which it ends. Its `attrs` are those of
        `series`, but for the `unit`: log-returns have no dimension, differences have that of the levels; the kind
        as `returns`, and the unit of the levels as `level_unit`.

    Raises:
        TypeError: not a pandas series of real numbers.
        ValueError: fewer than two levels, one that is missing, NaN or infinite, dates that do not ascend, which would
            turn the signs of changes, or, for log-returns, a level that is not above 0.

    Example:
        >>> rates = pd.Series([4.0, 3.5, 3.75], index=pd.date_range("2024-01-02", periods=3), name="ten years")
        >>> returns(rates, "difference").tolist()
        [-0.5, 0.25]
    """
    check_member("kind", kind, ("log", "difference"))
    levels = check_values("series", series)
    if len(levels) < 2:
        raise ValueError(f"series has {len(levels)} points; expected at least 2. Use a longer series.")
    _check_ascending(series.index)
    if kind == "log" and (levels <= 0).any():
        raise ValueError(_explain_levels(levels, series.index))
    changes = np.diff(np.log(levels) if kind == "log" else levels)
    name = "log-return" if kind == "log" else "difference"
    result = pd.Series(changes, index=series.index[1:], name=name if series.name is None else f"{series.name} {name}")
    frequency = series.attrs.get("frequency") or describe(series)["frequency"]
    unit = "log-return" if kind == "log" else series.attrs.get("unit", "unit of the levels")
    per = _PERIODS.get(frequency, "observation")
    result.attrs = {**series.attrs, "unit": f"{unit} per {per}", "returns": kind}
    if "unit" in series.attrs:
        result.attrs["level_unit"] = series.attrs["unit"]
    return result


def levels(changes: Any, first: float, kind: str = "log") -> Tensor:
    """Add changes up to the levels that they lead to, as prices from returns: the inverse of `returns`.

    Args:
        changes: (*, time), log-returns or differences: a tensor, an array or a pandas Series.
        first: the level before the first change; above 0 for log-returns.
        kind: "log" or "difference", as for `returns`.

    Returns:
        A float64 tensor (*, time + 1), with `first` at the beginning.

    Raises:
        TypeError, ValueError: changes that are not finite numbers, another kind, a first level that cannot be one, or
            levels too large to be written down.

    Example:
        >>> levels(torch.tensor([[1.0, -0.5]]), first=3.0, kind="difference").tolist()
        [[3.0, 4.0, 3.5]]
    """
    values = changes if isinstance(changes, Tensor) else torch.as_tensor(np.asarray(changes, dtype=np.float64))
    values = check_finite("changes", check_paths("changes", values)).double()
    check_number("first", first)
    if check_member("kind", kind, ("log", "difference")) == "log" and not first > 0:
        raise ValueError(
            f'first is {first}; expected a price above 0 for log-returns. Use the last one, or kind="difference".'
        )
    sums = torch.nn.functional.pad(values.cumsum(-1), (1, 0))
    found = first * sums.exp() if kind == "log" else first + sums
    if not torch.isfinite(found).all() or (kind == "log" and not (found > 0).all()):
        raise ValueError(
            f"levels from {first} reach {float(found.max())} and {float(found.min())}; expected finite ones, above"
            " 0 for log-returns. Use shorter paths, or changes in the units of the series."
        )
    return found


def _check_ascending(index: pd.Index) -> None:
    if not isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)):
        return
    steps = np.diff(np.asarray(index.astype("int64")))
    if (steps <= 0).any():
        at = int(np.argmax(steps <= 0)) + 1
        raise ValueError(
            f"series has {spell_date(index[at])} after {spell_date(index[at - 1])}; expected dates that ascend, each"
            " once, since a change from a later date to an earlier one has the other sign. Use series.sort_index()."
        )


def _explain_levels(levels: np.ndarray, index: pd.Index) -> Message:
    """What levels that are not above 0 may be: returns already, missing values among prices, or rates."""
    first = int(np.argmax(levels <= 0))
    said = f"series is {levels[first]} on {spell_date(index[first])}; expected prices above 0 for log-returns."
    if look_like_changes(levels):
        share = 100.0 * float((levels < 0).mean())
        said = (
            f"{said} {share:.0f} % of the values are below 0 and they have no memory: these look like returns already."
        )
        return Message(said, "Leave returns() out.", option="Use --returns none.")
    zeros, above = int((levels == 0).sum()), levels[levels > 0]
    if (levels >= 0).all() and len(above) > zeros and (zeros == 1 or above.min() > 0.1 * np.median(above)):
        times = "a single 0" if zeros == 1 else f"{zeros} values of 0"
        said = f"{said} With {times} among {len(levels)}, it stands for a missing value if these are prices."
        mend = "Leave it out with {}, or for rates use {}."
        return Message(
            said,
            mend.format("series[series != 0]", 'kind="difference"'),
            option=mend.format("--na-value 0 --missing drop", "--returns difference"),
        )
    return Message(
        f"{said} Rates, and prices that fell below 0, need differences.",
        'Use kind="difference".',
        option="Use --returns difference.",
    )


def look_like_changes(levels: np.ndarray) -> bool:
    """Whether values look like returns and not like levels: of either sign about as often, and without memory.

    A mean of returns that is 0 within a standard deviation of theirs leaves 16 to 84 % of them below 0. Levels that
    wander across 0, as rates do, have an autocorrelation near 1; that of returns is far below ½.
    """
    if len(levels) < 20 or not 0.16 <= float((levels < 0).mean()) <= 0.84:
        return False
    centred = levels - levels.mean()
    return float(centred[1:] @ centred[:-1]) < 0.5 * float(centred @ centred)


def standardize(series: pd.Series) -> pd.Series:
    """Shift and scale a series to mean 0 and standard deviation 1 (Section 5.2).

    Args:
        series: finite numbers, of any size, that are not all the same.

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
    # By a power of 2, which changes no digit, to where squares neither overflow nor vanish.
    power = int(np.frexp(np.abs(values).max())[1])
    values = np.ldexp(values, -power)
    centre, spread = values.mean(), values.std()
    mean, stddev = float(np.ldexp(centre, power)), float(np.ldexp(spread, power))
    scaled = pd.Series((values - centre) / spread, index=series.index, name=series.name)
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
    if isinstance(values, Tensor) and values.layout is not torch.strided:
        raise TypeError(f"values has layout {values.layout}; expected a dense tensor. Use values.to_dense() first.")
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


def describe(series: pd.Series | pd.DataFrame) -> dict[Any, Any]:
    """Say in words how far apart the dates of a series or a table are, by their median, with the longest gap in days.

    Example:
        >>> describe(pd.Series(0.0, index=pd.date_range("2024-01-02", periods=5, freq="B")))
        {'frequency': 'daily', 'longest_gap_days': 3}
    """
    if not isinstance(series.index, pd.DatetimeIndex) or len(series) < 2:
        return {"frequency": "irregular", "longest_gap_days": 0}
    days = days_between(series.index)
    median, longest = float(np.median(days)), float(days.max())
    words = (word for word, (low, high) in _SPACINGS.items() if low <= median < high)
    return {
        "frequency": next(words, "irregular"),
        "longest_gap_days": int(longest) if longest.is_integer() else round(longest, 3),
    }


def days_between(dates: Any) -> np.ndarray:
    """Return the days from each date of a DatetimeIndex to the next, (dates − 1,)."""
    if dates.tz is not None:
        # Days are as long as the clock has them, also where it is changed; hours are as long as they are.
        whole = bool((dates == dates.normalize()).all())
        dates = dates.tz_localize(None) if whole else dates.tz_convert("UTC").tz_localize(None)
    return np.diff(dates.to_numpy()) / np.timedelta64(1, "D")
