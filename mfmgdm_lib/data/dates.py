"""Dates as files spell them: the common orders, counts of seconds or days, and formats that are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["DateError", "are_dates", "parse_dates"]

EPOCHS = {"epoch-s": "s", "epoch-ms": "ms", "epoch-us": "us", "epoch-ns": "ns"}
"""Formats of stamps that count from 1970-01-01 00:00 UTC, and their units."""

_WEEKDAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*[., ]+)?"
_WORD = r"(?P<word>[A-Za-z]{3,9})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_TIME = (
    r"(?:(?:T| +)(?P<hour>\d{2}|\d):?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:\.(?P<fraction>\d{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp][Mm]))?(?: ?(?P<offset>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?)?"
)
_SHAPES = {
    name: rf"^{_WEEKDAY}{shape}{_TIME}$"
    for name, shape in {
        "year first": r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})",
        "digits": r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
        "month": r"(?P<year>\d{4})(?:[-/]M?|M)(?P<month>\d{2})",
        "year last": r"(?P<first>\d{1,2})[-/.](?P<second_of_two>\d{1,2})[-/.](?P<year>\d{4})",
        "day, word": rf"{_DAY}[-/., ]*{_WORD}[-/., ]*(?P<year>\d{{4}})",
        "word, day": rf"{_WORD}[-/., ]*{_DAY}[-/., ]+(?P<year>\d{{4}})",
        "year, word": rf"(?P<year>\d{{4}})[-/., ]*{_WORD}[-/., ]*{_DAY}",
        "word": rf"{_WORD}[-/., ]*(?P<year>\d{{4}})",
    }.items()
}
"""Orders that can be read in one way only, "year last" where a number above 12 in the column says which is the day."""

_MONTHS = "january february march april may june july august september october november december"
_LENGTHS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_FIRST_YEAR, _LAST_YEAR = 1678, 2261  # whose nanoseconds pandas can count
_EXAMPLE = "a date such as 2024-03-01"

Cells = Any  # a pyarrow array of text, in chunks or whole; the package has no types


class DateError(ValueError):
    """A date that cannot be read, in one way only.

    Attributes:
        at: which of the cells it is.
        expected: what was expected in its place.
        mend: how to correct it in Python.
        option: how to correct it on the command line.
    """

    def __init__(self, at: int, cell: str, expected: str, mend: str, option: str | None = None) -> None:
        super().__init__(f"{cell!r} where {expected} was expected")
        self.at, self.cell, self.expected = at, cell, expected
        self.mend, self.option = mend, mend if option is None else option


def parse_dates(cells: Cells, date_format: str | None = None, zone: str | None = None) -> pd.DatetimeIndex:
    """Return the dates that cells spell, all in one way.

    Args:
        cells: text, as a pyarrow array.
        date_format: a format of `strptime`, such as "%d/%m/%Y"; "epoch-s", "epoch-ms", "epoch-us" or "epoch-ns" for a
            count since 1970 in UTC; "excel" for its count of days; None for any order that can be read in one way only.
        zone: the zone of the clock, such as "America/New_York", which the result then has; stamps with offsets or
            counts of an epoch are converted to it.

    Raises:
        DateError: a cell that is spelled in another way, or in one that is ambiguous, or names no such time.
        ValueError: a format or a zone that is none.
    """
    if zone is not None:
        _check_zone(zone)
    if len(cells) == 0:
        return pd.DatetimeIndex([], name="date", tz=zone)
    if date_format is None:
        stamps, offsets = _by_shape(cells)
    elif date_format in EPOCHS:
        stamps, offsets = _counted(cells, EPOCHS[date_format]), zone is not None
    elif date_format == "excel":
        stamps, offsets = _excel(cells), False
    elif "%" in date_format:
        stamps, offsets = _formatted(cells, date_format)
    else:
        raise ValueError(
            f"date_format is {date_format!r}; expected {', '.join(map(repr, EPOCHS))}, 'excel' or a format with %, such"
            " as '%d/%m/%Y'. Choose one."
        )
    dates = pd.DatetimeIndex(stamps, name="date")
    if zone is None:
        if offsets:
            mend = "Name the {} America/New_York or UTC."
            raise DateError(
                0, cells[0].as_py(), "a time without zone", mend.format("zone, such as"), mend.format("--zone, such as")
            )
        return dates
    return dates.tz_localize("UTC").tz_convert(zone) if offsets else _localize(dates, zone)


def _check_zone(zone: str) -> None:
    try:
        pd.Timestamp(0, tz=zone)
    except Exception as error:  # of pytz or of zoneinfo, which have no common base
        raise ValueError(
            f"zone is {zone!r}; expected the name of a time zone, such as 'America/New_York' or 'UTC'. Correct it."
        ) from error


def are_dates(cells: Cells) -> np.ndarray:
    """Return which cells have the shape of a date that can be read without a format, or with a year last."""
    found = np.zeros(len(cells), dtype=bool)
    for shape in _SHAPES.values():
        found |= np.asarray(pc.match_substring_regex(cells, shape))
    return found


def _by_shape(cells: Cells) -> tuple[np.ndarray, bool]:
    """Dates in the order of the first cell, in UTC where they have offsets, and whether they do."""
    if (plain := _plain(cells)) is not None:
        return plain, False
    first = cells[0].as_py()
    shape = next((s for s in _SHAPES.values() if pc.match_substring_regex(pa.array([first]), s)[0].as_py()), None)
    if shape is None:
        raise _explain(0, first)
    chunks = cells.chunks if isinstance(cells, pa.ChunkedArray) else [cells]
    parts: list[dict[str, np.ndarray]] = []
    at = 0
    for chunk in chunks:
        fields = pc.extract_regex(chunk, shape)
        if fields.null_count:
            bad = int(np.argmax(np.asarray(fields.is_null())))
            raise _explain(at + bad, chunk[bad].as_py())
        parts.append(_fields(fields))
        at += len(chunk)
    of = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if "first" in of:
        of["day"], of["month"] = _day_and_month(of.pop("first"), of.pop("second_of_two"), cells)
    _check_fields(of, cells)
    days = (of["year"] - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (of["month"] - 1)
    stamps = (days.astype("datetime64[D]") + (of["day"] - 1)).astype("datetime64[ns]") + of["time"]
    with_offset = of["offset"] < _NO_OFFSET
    if with_offset.any() and not with_offset.all():
        at = int(np.argmax(with_offset != with_offset[0]))
        expected = (
            "an offset from UTC, as in other lines" if with_offset[0] else "a time without zone, as in other lines"
        )
        raise DateError(at, cells[at].as_py(), expected, "Correct it.")
    if with_offset.any():
        stamps = stamps - of["offset"].astype("timedelta64[m]")
    return stamps, bool(with_offset.any())


def _plain(cells: Cells) -> np.ndarray | None:
    """Dates as in 2024-03-01, with a time of day or without, which pandas reads ten times as fast; None for others."""
    if not pc.all(pc.match_substring_regex(cells, _PLAIN)).as_py():
        return None
    chunks = cells.chunks if isinstance(cells, pa.ChunkedArray) else [cells]
    texts = (np.asarray(chunk, dtype=object) for chunk in chunks)
    parts = [pd.to_datetime(text, format="ISO8601", errors="coerce").to_numpy() for text in texts]
    stamps: np.ndarray = np.concatenate(parts) if parts else np.empty(0, dtype="datetime64[ns]")
    return None if np.isnat(stamps).any() else stamps.astype("datetime64[ns]")


_PLAIN = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?$"
_NO_OFFSET = 10_000
_OTHER_FORMAT = ("Use another date_format.", "Use another --date-format.")


def _fields(fields: Any) -> dict[str, np.ndarray]:
    """Numbers of a chunk's dates; the time of day in nanoseconds, the offset in minutes."""
    names = {field.name: fields.field(i) for i, field in enumerate(fields.type)}

    def number(name: str) -> np.ndarray:
        text = names[name]
        return np.asarray(pc.if_else(pc.equal(text, ""), "0", text).cast(pa.int32()))

    of = {name: number(name) for name in ("year", "month", "day", "first", "second_of_two") if name in names}
    if "word" in names:
        of["month"] = _month_of(names["word"])
    of.setdefault("day", np.ones_like(of["year"]))  # a month stands for its first day
    hour, minute, second = number("hour"), number("minute"), number("second")
    half = names["half"]
    if pc.any(pc.not_equal(half, "")).as_py():
        afternoon = np.asarray(pc.equal(pc.utf8_lower(half), "pm"))
        hour = np.where((hour < 1) | (hour > 12), 99, hour % 12 + 12 * afternoon)
    fraction = names["fraction"]
    nanoseconds = np.asarray(pc.utf8_rpad(fraction, 9, "0").cast(pa.int64()))
    good = (hour < 24) & (minute < 60) & (second < 60)
    seconds = (hour.astype(np.int64) * 60 + minute) * 60 + second
    of["time"] = (seconds * 10**9 + nanoseconds).astype("timedelta64[ns]")
    of["good"] = good
    offset = names["offset"]
    if pc.all(pc.equal(offset, "")).as_py():
        of["offset"] = np.full(len(good), _NO_OFFSET, dtype=np.int32)
    else:
        kinds, at = np.unique(np.asarray(offset, dtype=object).astype(str), return_inverse=True)
        of["offset"] = np.array([_minutes(kind) for kind in kinds], dtype=np.int32)[at]
    return of


def _month_of(words: Any) -> np.ndarray:
    """The numbers of months by their names, 0 for another word."""
    kinds, at = np.unique(np.asarray(words, dtype=object).astype(str), return_inverse=True)
    known = {spelled: i for i, name in enumerate(_MONTHS.split(), 1) for spelled in (name, name[:3])} | {"sept": 9}
    return np.array([known.get(kind.lower(), 0) for kind in kinds], dtype=np.int32)[at]


def _minutes(offset: str) -> int:
    if not offset:
        return _NO_OFFSET
    digits = offset.lstrip("+-").replace(":", "").ljust(4, "0")
    if not digits.isdecimal():
        return 0  # Z, UTC or GMT
    minutes = 60 * int(digits[:2]) + int(digits[2:])
    return -minutes if offset.startswith("-") else minutes


def _day_and_month(first: np.ndarray, second: np.ndarray, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Which of two numbers is the day: the one that is above 12 somewhere in the column."""
    day_first, month_first = first > 12, second > 12
    if day_first.any() and not month_first.any():
        return first, second
    if month_first.any() and not day_first.any():
        return second, first
    at = max(int(np.argmax(day_first)), int(np.argmax(month_first)))
    raise _explain(at, cells[at].as_py())


def _check_fields(of: dict[str, np.ndarray], cells: Cells) -> None:
    year, month, day = of["year"], of["month"], of["day"]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    length = _LENGTHS[np.clip(month, 1, 12) - 1] + (leap & (month == 2))
    faults = {
        f"{_EXAMPLE} (there is no such month)": (month < 1) | (month > 12),
        f"{_EXAMPLE} (day is out of range for its month)": (day < 1) | (day > length),
        "a time of day from 00:00 to 23:59:59": ~of.pop("good"),
        f"a year from {_FIRST_YEAR} to {_LAST_YEAR}": (year < _FIRST_YEAR) | (year > _LAST_YEAR),
    }
    for expected, bad in faults.items():
        if bad.any():
            at = int(np.argmax(bad))
            raise DateError(at, cells[at].as_py(), expected, "Correct it.")


def _counted(cells: Cells, unit: str) -> np.ndarray:
    """Times of an epoch's stamps, in UTC."""
    whole = _matching(cells, r"^-?\d{1,19}(\.0*)?$", f"a whole number of {unit} since 1970")
    counts = np.array([int(cell.partition(".")[0]) for cell in whole.to_pylist()], dtype=np.int64)
    limits = np.array([f"{_FIRST_YEAR}-01-01", f"{_LAST_YEAR + 1}-01-01"], dtype=f"datetime64[{unit}]").view(np.int64)
    if unit != "ns" and ((bad := (counts < limits[0]) | (counts >= limits[1])).any()):
        at = int(np.argmax(bad))
        raise DateError(at, cells[at].as_py(), f"a count of {unit} from {_FIRST_YEAR} to {_LAST_YEAR}", *_OTHER_FORMAT)
    return counts.view(f"datetime64[{unit}]").astype("datetime64[ns]")


def _excel(cells: Cells) -> np.ndarray:
    """Times that Excel counts in days from 1900 on, to the millisecond that its fractions are good for."""
    # Excel has a 29 February 1900, so that its days before 61 are other days than those of its successors.
    days = _matching(cells, r"^(6[1-9]|[7-9]\d|\d{3,6})(\.\d*)?$", "days as Excel counts them, from 61 on")
    values = np.array([float(cell) for cell in days.to_pylist()])
    if (bad := values > (np.datetime64(f"{_LAST_YEAR}-12-31") - np.datetime64("1899-12-30")).astype(int)).any():
        at = int(np.argmax(bad))
        raise DateError(at, cells[at].as_py(), f"a day up to the year {_LAST_YEAR}", "Correct it.")
    milliseconds = np.rint(values * 86_400_000).astype("timedelta64[ms]")
    return (np.datetime64("1899-12-30", "ms") + milliseconds).astype("datetime64[ns]")


def _matching(cells: Cells, shape: str, expected: str) -> Cells:
    good = np.asarray(pc.match_substring_regex(cells, shape))
    if not good.all():
        at = int(np.argmin(good))
        raise DateError(at, cells[at].as_py(), expected, *_OTHER_FORMAT)
    return cells


def _formatted(cells: Cells, date_format: str) -> tuple[np.ndarray, bool]:
    """Dates by a format of strptime, in UTC where it has an offset, and whether it does."""
    offsets = "%z" in date_format
    text = np.asarray(cells, dtype=object)
    dates = pd.DatetimeIndex(pd.to_datetime(text, format=date_format, errors="coerce", utc=offsets))
    if (bad := np.asarray(dates.isna())).any():
        at = int(np.argmax(bad))
        raise DateError(at, str(text[at]), f"a date that is written as {date_format}", *_OTHER_FORMAT)
    return dates.tz_localize(None).to_numpy(dtype="datetime64[ns]"), offsets


def _localize(dates: pd.DatetimeIndex, zone: str) -> pd.DatetimeIndex:
    """Times of a clock in a zone; the hour that it shows twice is told by the order of the lines."""
    descending = len(dates) > 1 and dates[0] > dates[-1]
    try:
        ascending = (dates[::-1] if descending else dates).tz_localize(zone, ambiguous="infer")
        return ascending[::-1] if descending else ascending
    except Exception as error:  # of pytz or of zoneinfo, which have no common base
        raise ValueError(
            f"the dates do not fit a clock in {zone} ({error}); expected times that it shows. Name another zone."
        ) from error


def _explain(at: int, cell: str) -> DateError:
    """Why a cell is no date that can be read in one way only, and what to do."""
    for shape, (expected, named) in _OTHER_DATES.items():
        if pc.match_substring_regex(pa.array([cell]), f"^(?:{shape})$")[0].as_py():
            quoted = named if "%" in named else repr(named)
            return DateError(at, cell, expected, f"Use date_format={quoted}.", f"Use --date-format {named}.")
    mend = "Name the column of dates as date_column, or their spelling as date_format."
    option = "Name the column of dates with --date, or their spelling with --date-format."
    return DateError(at, cell, _EXAMPLE, mend, option)


_OTHER_DATES = {
    r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}.*": (
        "a date such as 2024-03-01, which cannot be read with day and month swapped",
        "'%d/%m/%Y' if the day comes first, or '%m/%d/%Y'",
    ),
    r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2}( .*)?": (
        "a date such as 2024-03-01, which cannot be read with day and month swapped",
        "'%d/%m/%y' if the day comes first, '%m/%d/%y' or '%y/%m/%d'",
    ),
    r"\d{1,2}[-/., ]*[A-Za-z]{3,9}[-/., ]*\d{2}( .*)?": ("a year of four digits", "'%d-%b-%y'"),
    r"[A-Za-z]{3,9}[-/., ]*\d{2}": ("a year of four digits", "'%b-%y'"),
    r"\d{4}": ("a day of the year", "'%Y'"),
    r"\d{6}": ("a date such as 2024-03-01, and this could be a month or a day", "'%Y%m' or '%y%m%d'"),
    r"[1-9]\d{4}(\.\d*)?": ("a date such as 2024-03-01, and this may be a day as Excel counts them", "excel"),
    r"\d{9,10}(\.\d*)?": ("a date such as 2024-03-01, and this may be a count of seconds since 1970", "epoch-s"),
    r"\d{12,13}": ("a date such as 2024-03-01, and this may be a count of milliseconds since 1970", "epoch-ms"),
    r"\d{15,16}": ("a date such as 2024-03-01, and this may be a count of microseconds since 1970", "epoch-us"),
    r"\d{18,19}": ("a date such as 2024-03-01, and this may be a count of nanoseconds since 1970", "epoch-ns"),
}
"""Shapes that are refused without a format: what was expected in their place, and the format that they may have."""
