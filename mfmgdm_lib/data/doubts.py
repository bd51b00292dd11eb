"""Reasons to doubt a series as it was read: splits, outliers, gaps, filled values and cycles, each with its date."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd

from mfmgdm_lib._checks import check_member, spell_date
from mfmgdm_lib.data.checks import check_values
from mfmgdm_lib.data.series import days_between, look_like_changes

__all__ = ["find_doubts"]

FALSE_ALARM = 0.01
"""Expected number of values as large as one that is doubted, in a series without faults of the same tails."""

FORTNIGHT = 14.0  # days; no exchange is closed as long for a holiday, those of East Asia at New Year included
MOST_GAPS = 20  # between sizes that are ordered, at each of which all above may be outliers
SHOWN = 3  # dates in a note
NEAR = 125  # changes on either side of a filled gap, a year of days in all, which tell how coarse the quotes are
_ROUND_OFF = 1e-12  # of values relative to the largest, as they are read and interpolated
_FACTORS = [Fraction(p, q) for p, q in ((5, 4), (4, 3), (3, 2), (5, 2))] + [
    Fraction(n) for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 50, 100, 1000, 10_000)
]
"""Factors of splits, and of units such as pence for pounds."""


def find_doubts(series: pd.Series, kind: str = "log") -> list[str]:
    """Return reasons to doubt a series of a hundred values or more, in sentences with a date and a number.

    - **Outliers**: the tail of the other changes is fitted by Hill's estimate over their largest twentieth, m of them
      above x, with the index α lowered by two of its standard errors α/√m. A change of size y is doubted if
      m (y/x)^(−α), the expected number as large, is below `FALSE_ALARM`; where a log-return is within two robust
      standard deviations δ of the logarithm f of a simple factor, that number counts 2δα/f times, the chance of being
      so near. Sizes are parted at the largest gaps between them, and those above judged by the
      least of them alone, since large ones that come together may have one cause.
    - **Gaps** above a fortnight and above three times the median spacing.
    - **Spacing** that changes by a factor of 3 for good, by medians over stretches of 50 dates.
    - **Filled dates**: weekends, or 25 December and 1 January, on which nine changes in ten are 0, where the
      probability of that, with the share of zeros on other days, is below `FALSE_ALARM`.
    - **Filled gaps**: three identical changes in a row or more, not 0, of the values or of their logarithms. How likely
      changes are the same is taken from the most common one of the `NEAR` on either side; a stretch is doubted if the
      expected number as long, in a series of this length, is below `FALSE_ALARM`.
    - **A cycle of the size** of changes: a peak of the periodogram of the ranks of |x|, with a probability below one in
      a million against the median of its neighbours within half an octave.
    - **Returns** of which changes are to be taken.

    Args:
        series: numbers by ascending date; without dates, only what needs none is looked for.
        kind: what the paths are to be like: "log" for log-returns of the series, "difference" for its differences,
            "none" for the series itself.

    Raises:
        TypeError: not a pandas series of real numbers.
        ValueError: a value that is missing, another kind, or for "log" one that is not above 0.

    Example:
        >>> steps = 0.01 * np.random.default_rng(0).standard_normal(500)
        >>> steps[250] -= np.log(2.0)
        >>> find_doubts(pd.Series(100.0 * np.exp(steps.cumsum()), pd.bdate_range("2020-01-01", periods=500)))
        ['The value goes from ... on 2020-12-15 to ... on 2020-12-16, by a factor of about 1/2: a split, ...']
    """
    check_member("kind", kind, ("log", "difference", "none"))
    values = check_values("series", series)
    if kind == "log" and (values <= 0).any():
        raise ValueError('series has values that are not above 0; expected prices. Use kind="difference" or "none".')
    changes = values if kind == "none" else np.diff(np.log(values) if kind == "log" else values)
    if len(changes) < 100:  # too few for a tail, a spacing or a cycle
        return []
    dated = series.index if isinstance(series.index, pd.DatetimeIndex) else None
    found = [*_outliers(series, values, changes, kind), *_straight(series.index, values, kind)]
    if dated is not None:
        found += [*_gap(dated), *_spacing(dated), *_filled(dated, changes)]
    found += _cycle_of_size(changes)
    if kind == "difference" and look_like_changes(values):
        share, first = 100.0 * float((values < 0).mean()), spell_date(series.index[int(np.argmax(values < 0))])
        found.append(
            f"{share:.0f} % of the values are below 0, the first on {first}, and they have no memory: these look like"
            " returns already. Take them as they are (kind none, --returns none)."
        )
    return found


def _outliers(series: pd.Series, values: np.ndarray, changes: np.ndarray, kind: str) -> list[str]:
    """A note on values, or changes, that no law of the rest would have."""
    sizes = np.abs(changes - np.median(changes))
    found = too_large(sizes, factors=kind == "log")
    if not len(found):
        return []
    told = []
    for at in np.sort(found)[:SHOWN]:
        date = spell_date(series.index[at])
        if kind == "none":
            told.append(f"{values[at]:.6g} on {date}")
            continue
        then = spell_date(series.index[at + 1])
        factor = f", by a factor of {_spell_factor(values[at + 1] / values[at])}" if kind == "log" else ""
        told.append(f"from {values[at]:.6g} on {date} to {values[at + 1]:.6g} on {then}{factor}")
    more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    if kind == "none":
        which = "A value is" if len(found) == 1 else f"{len(found)} values are"
        mend = "If such a value stands for a missing one, name it in na_values (--na-value), with missing drop."
        return [f"{which} too far from the others to be of one law with them: {', '.join(told)}{more}. {mend}"]
    mend = "a split, another unit, or a value that is wrong or stands for a missing one?"
    zeros = np.flatnonzero(values == 0)
    if kind == "difference" and len(zeros) and set(zeros) & {*found, *(found + 1)}:
        date = spell_date(series.index[zeros[0]])
        mend = f"the value of 0 on {date} may stand for a missing one (na_values, --na-value 0, with missing drop)."
    return [f"The value goes {'; '.join(told)}{more}: {mend}"]


def too_large(sizes: np.ndarray, *, factors: bool = False) -> np.ndarray:
    """Return where the sizes are that no tail of the rest would have; see `find_doubts`."""
    order = np.argsort(sizes)[::-1]
    sorted_sizes = sizes[order]
    m = max(10, len(sizes) // 20)
    spread = 1.4826 * float(np.median(sizes))
    most = len(sizes) // 20  # more are no exceptions
    gaps = sorted_sizes[:most] / np.maximum(sorted_sizes[1 : most + 1], np.finfo(float).tiny)
    for count in np.sort(np.argsort(gaps)[-MOST_GAPS:] + 1)[::-1]:
        tail = sorted_sizes[count : count + m + 1]
        if tail[-1] <= 0.0:
            continue
        alpha = (1.0 - 2.0 / np.sqrt(m)) / max(float(np.log(tail[:-1] / tail[-1]).mean()), 1e-9)
        smallest = float(sorted_sizes[count - 1])
        expected = m * (smallest / tail[-1]) ** -alpha
        if factors:
            logs = np.log([float(factor) for factor in _FACTORS])
            nearest = float(logs[np.argmin(np.abs(logs - smallest))])
            if abs(nearest - smallest) < 2.0 * spread:
                expected *= min(1.0, 4.0 * spread * alpha / nearest)
        if expected < FALSE_ALARM:
            return order[:count]
    return order[:0]


def _spell_factor(ratio: float) -> str:
    size = max(ratio, 1.0 / ratio)
    nearest = min(_FACTORS, key=lambda factor: abs(np.log(size / float(factor))))
    if abs(np.log(size / float(nearest))) < 0.05:
        return f"about {nearest if ratio >= 1.0 else 1 / nearest}"
    return f"{size:.3g}" if ratio >= 1.0 else f"1/{size:.3g}"


def _gap(dates: pd.DatetimeIndex) -> list[str]:
    days = days_between(dates)
    at = int(np.argmax(days))
    if days[at] <= max(FORTNIGHT, 3.0 * float(np.median(days))):
        return []
    return [
        f"There is a gap of {days[at]:.4g} days, from {spell_date(dates[at])} to {spell_date(dates[at + 1])}: the"
        " change over it counts as one of the others."
    ]


def _spacing(dates: pd.DatetimeIndex) -> list[str]:
    """A note where dates are 3 times as far apart, or near, from some date on."""
    days = days_between(dates)
    width = 50
    medians = np.median(days[: len(days) // width * width].reshape(-1, width), axis=1)
    if len(medians) < 2 or (medians <= 0).any():
        return []
    logs = np.log(medians)
    # The partial sums of deviations from the mean turn where one level gives way to another.
    at = 1 + int(np.argmax(np.abs(np.cumsum(logs - logs.mean())[:-1])))
    before, after = logs[:at], logs[at:]
    steady = all(np.quantile(part, 0.9) - np.quantile(part, 0.1) < np.log(2.0) for part in (before, after))
    if not steady or abs(np.median(after) - np.median(before)) < np.log(3.0):
        return []
    low, high = (float(np.exp(np.median(part))) for part in (before, after))
    return [
        f"The dates are {low:.3g} days apart at first, and {high:.3g} days from about {spell_date(dates[at * width])}"
        " on: changes over them are not of one law."
    ]


def _filled(dates: pd.DatetimeIndex, changes: np.ndarray) -> list[str]:
    """Notes on weekends and holidays on which nothing ever changes."""
    ends = dates[len(dates) - len(changes) :]
    if (days_between(ends) < 0.999).any():
        return []
    still = changes == 0.0
    weekend = np.asarray(ends.dayofweek >= 5)
    holiday = np.asarray(((ends.month == 12) & (ends.day == 25)) | ((ends.month == 1) & (ends.day == 1))) & ~weekend
    usual = max(float(still[~weekend & ~holiday].mean()), 1.0 / len(still)) if (~weekend & ~holiday).any() else 1.0
    found = []
    # At most 2^zeros ways to choose which days are still, each with the probability of the share to the power of them.
    for name, here in (("weekend days", weekend), ("days that are 25 December or 1 January", holiday)):
        count, zeros = int(here.sum()), int((still & here).sum())
        if count and zeros >= 0.9 * count and usual <= 0.5 and (2.0 * usual) ** zeros < FALSE_ALARM:
            first = spell_date(ends[here & still][0])
            found.append(
                f"On {zeros} of {count} {name}, the first on {first}, nothing changes: they seem to be filled with the"
                " value before."
            )
    return found


def _straight(labels: pd.Index, values: np.ndarray, kind: str) -> list[str]:
    """A note on stretches that lie on a straight line, or whose logarithms do."""
    found: list[tuple[int, int]] = []  # the first and last value of each
    # Of values that are not coarse, at least as many.
    fewest = max(3, int(np.ceil(np.log(len(values) / FALSE_ALARM) / np.log(1 + 2 * NEAR))))
    for levels in (values, np.log(values)) if kind == "log" else (values,):
        steps, round_off = np.diff(levels), _ROUND_OFF * float(np.abs(levels).max())
        same = (np.abs(np.diff(steps)) <= round_off) & (steps[1:] != 0.0)
        edges = np.flatnonzero(np.diff(np.r_[0, same.astype(np.int8), 0]))
        ends = np.column_stack([edges[::2], edges[1::2]])  # the first and last of changes that are the same
        for first, last in ends[ends[:, 1] - ends[:, 0] + 1 >= fewest]:
            beside = np.r_[steps[max(first - NEAR, 0) : first], steps[last + 1 : last + 1 + NEAR]]
            common = _most_alike(beside[beside != 0.0], round_off)
            if len(steps) * ((1.0 + common) / (1.0 + len(beside))) ** (last - first + 1) < FALSE_ALARM:
                found.append((int(first), int(last) + 1))
    if not found:
        return []
    first, last = max(found, key=lambda ends: ends[1] - ends[0])
    stretches = len(set(found))
    more = f"; there are {stretches - 1} more such stretches" if stretches > 1 else ""
    return [
        f"From {spell_date(labels[first])} to {spell_date(labels[last])}, {last - first} changes in a row are the same:"
        f" the values seem to be filled on a straight line{more}."
    ]


def _most_alike(steps: np.ndarray, round_off: float) -> int:
    """How many changes are the same as the most common one."""
    ends = np.flatnonzero(np.r_[True, np.diff(np.sort(steps)) > round_off, True])
    return int(np.diff(ends).max()) if len(steps) else 0


def _cycle_of_size(changes: np.ndarray) -> list[str]:
    """A note on a cycle of the size of changes, such as that of a day."""
    n = len(changes)
    ranks = pd.Series(np.abs(changes - np.median(changes))).rank().to_numpy()
    power = np.abs(np.fft.rfft(ranks - ranks.mean())) ** 2
    frequencies = np.arange(10, len(power))  # below, too few neighbours to tell a cycle from slow changes
    if len(frequencies) < 20:
        return []
    centres = np.geomspace(10, len(power) - 1, 8 * int(np.log2(len(power))))
    octaves = [power[int(k / 1.4) : int(np.ceil(1.4 * k)) + 1] for k in centres]
    medians = np.array([np.median(part) for part in octaves]) / np.log(2.0)  # the means, if they are exponential
    around = np.interp(np.log(frequencies), np.log(centres), medians)
    excess = power[frequencies] / np.maximum(around, np.finfo(float).tiny)
    strong = excess > np.log(1e6 * len(frequencies))
    if not strong.any():
        return []
    best = frequencies[int(np.argmax(excess))]
    # The cycle is the slowest of the strong ones of which the strongest is an overtone, to half a frequency.
    ratios = best / frequencies[strong]
    overtone = np.abs(ratios - np.rint(ratios)) <= 0.5 * (ratios + 1.0) / frequencies[strong]
    base = int(np.flatnonzero(strong)[overtone][0])
    period = n * round(best / frequencies[base]) / float(best)
    return [
        f"The size of changes has a cycle of {period:.3g} points, {excess[base]:.0f} times as strong as chance, which"
        " no energy here can reproduce."
    ]
