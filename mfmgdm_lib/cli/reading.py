"""A series from a file on the command line: the options that say how it is read, a summary, and doubts about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mfmgdm_lib.cli.options import PUBLISHERS, option_group
from mfmgdm_lib.cli.output import say

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DOUBTED",
    "Source",
    "columns_of",
    "point_line",
    "read_levels",
    "reading_options",
    "returns_and_doubts",
    "stop_if_strict",
    "summary",
]

DOUBTED = 3
"""Exit status of a command that was told to be strict, and had doubts."""

Command = Callable[..., Any]

_POINTS = {"daily": "a trading day", "weekly": "a week", "monthly": "a month"}
"""What a point of a path is, by the frequency of the series."""

_ELSEWHERE = re.compile(rf"(cache:)?({'|'.join(PUBLISHERS)}):(.+)")
"""A series that is not in a file of the user's."""


class Source(click.Path):
    """A file that is there, as a Path, or the name of a series elsewhere, as text."""

    name = "source"

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=Path)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Return a Path or a name."""
        if isinstance(value, str) and _ELSEWHERE.fullmatch(value):
            return value
        return super().convert(value, parameter, context)


def reading_options(command: Command) -> Command:
    """Add the options that say how a file is read, the arguments of `read_series`, and `--returns` and `--strict`."""
    return option_group(
        click.option("--date", "date_column", metavar="COLUMN", help="Column of the dates.  [default: the first]"),
        click.option(
            "--column",
            "value_columns",
            multiple=True,
            metavar="COLUMN",
            help="Column of the values; repeated for several series at once.  [default: the only one of numbers]",
        ),
        click.option("--time", "time_column", metavar="COLUMN", help="Column of times of day beside the dates."),
        click.option(
            "--missing",
            type=click.Choice(["error", "drop"]),
            default="error",
            show_default=True,
            help="What to do with rows without a value.",
        ),
        click.option(
            "--na-value",
            "na_values",
            multiple=True,
            metavar="TEXT",
            help="Stands for no value, as -99.99; may be repeated.",
        ),
        click.option(
            "--separator", default=",", show_default=True, metavar="MARK", callback=_tab, help="Between cells; or tab."
        ),
        click.option("--decimal", default=".", show_default=True, metavar="MARK", help="Before decimals."),
        click.option("--thousands", metavar="MARK", help="Between groups of digits.  [default: none]"),
        click.option(
            "--date-format",
            metavar="FORMAT",
            help="As %d/%m/%Y; or epoch-s, epoch-ms, epoch-us, epoch-ns, excel.  [default: any with one meaning]",
        ),
        click.option("--zone", metavar="NAME", help="Time zone of the clock, as America/New_York."),
        click.option(
            "--where",
            multiple=True,
            metavar="COLUMN=TEXT",
            callback=_pairs,
            help="Take such rows only; may be repeated.",
        ),
        click.option("--since", metavar="DATE", help="Leave out earlier dates, as 2003-01-01."),
        click.option("--until", metavar="DATE", help="Leave out later dates."),
        click.option(
            "--skip-rows", type=click.IntRange(min=0), default=0, metavar="N", help="Leave out lines at the beginning."
        ),
        click.option(
            "--skip-footer", type=click.IntRange(min=0), default=0, metavar="N", help="Leave out lines at the end."
        ),
        click.option("--no-header", "header", flag_value=False, default=True, help="Call columns 1, 2, and so on."),
        click.option("--encoding", default="utf-8", show_default=True, metavar="NAME", help="Of text, as cp1252."),
        click.option("--sheet", metavar="NAME", help="Of an Excel workbook.  [default: the only one]"),
        click.option(
            "--returns",
            "kind",
            type=click.Choice(["log", "difference", "none"]),
            default="log",
            show_default=True,
            help="What to make of the values: log-returns of prices, differences of rates, or nothing.",
        ),
        click.option("--strict", is_flag=True, help="If there are doubts, write nothing and exit with 3."),
    )(command)


def _tab(context: click.Context, parameter: click.Parameter, value: str) -> str:
    return "\t" if value in ("tab", "\\t") else value


def _pairs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    if wrong := [value for value, (_, mark, _) in zip(values, pairs, strict=True) if not mark]:
        raise click.BadParameter(f"{wrong[0]!r} has no =; expected COLUMN=TEXT, as Symbol=AAA.")
    return {name: text for name, _, text in pairs}


def read_levels(
    source: Path | str, since: str | None, until: str | None, value_columns: tuple[str, ...], **reading: Any
) -> pd.Series | pd.DataFrame:
    """Return the series of a file, as `read_series` reads it, of a publisher or of the cache, between two dates.

    Args:
        source: what `Source` returned.
        since: the first date; None for all.
        until: the last date; None for all.
        value_columns: names of columns of a file; a table is returned of several.
        **reading: the other options of `reading_options`, which are for files.

    Raises:
        ValueError: what cannot be read, or no date between the two.
    """
    from mfmgdm_lib import data

    if isinstance(source, Path):
        return _between(_read_columns(source, value_columns, **reading), since, until)
    context = click.get_current_context()
    for option in context.command.params:
        if (
            option.name in {"value_columns", *reading}
            and context.get_parameter_source(option.name) is not ParameterSource.DEFAULT
        ):
            raise ValueError(
                f"{option.opts[0]} is given for {source}; expected it for files alone, as that comes with dates and"
                " values. Leave it out."
            )
    cached, publisher, identifier = _ELSEWHERE.fullmatch(source).groups()  # type: ignore[union-attr]
    series = data.kept(publisher, identifier) if cached else data.fetch(publisher, identifier)
    return _between(series, since, until)


def _read_columns(file: Path, columns: tuple[str, ...], **reading: Any) -> pd.Series | pd.DataFrame:
    """A series of a file, or several on the dates that all of them have."""
    import pandas as pd

    from mfmgdm_lib import data
    from mfmgdm_lib.data.series import describe

    if len(columns) < 2:
        return data.read_series(file, value_column=columns[0] if columns else None, **reading)
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise ValueError(f"--column is {twice[0]!r} twice; expected different columns. Leave one of them out.")
    series = [data.read_series(file, value_column=name, **reading) for name in columns]
    table = pd.concat(series, axis=1, join="inner")
    # Rows without a value are left out of each by --missing drop, and are refused otherwise.
    dropped = max(one.attrs.get("dropped", 0) + len(one) for one in series) - len(table)
    units = {one.attrs["unit"] for one in series}
    table.attrs = {
        **series[0].attrs,
        "source": f"{file.name}, columns {', '.join(columns)}",
        "unit": units.pop() if len(units) == 1 else "units of the file",
        **describe(table),
        **({"dropped": dropped} if dropped else {}),
    }
    return table


def _between(series: pd.Series | pd.DataFrame, since: str | None, until: str | None) -> pd.Series | pd.DataFrame:
    """The part of a series from a date to another, with what is still true of it in its `attrs`."""
    from mfmgdm_lib._checks import spell_date
    from mfmgdm_lib.data.checks import parse_window
    from mfmgdm_lib.data.series import describe

    if since is None and until is None:
        return series
    first, last = parse_window(since, until)
    window = series.loc[first:last]
    if window.empty:
        raise ValueError(
            f"--since {since} and --until {until} leave nothing of {spell_date(series.index[0])} to"
            f" {spell_date(series.index[-1])}; expected dates that overlap. Move one of the two."
        )
    window.attrs = {**series.attrs, **describe(window)}
    return window


def returns_and_doubts(levels: pd.Series | pd.DataFrame, kind: str) -> tuple[pd.Series | pd.DataFrame, list[str]]:
    """Return what paths are to be like, and reasons to doubt the levels that it is made of.

    Raises:
        ValueError: levels of which there are no such returns.
    """
    import pandas as pd

    from mfmgdm_lib import data

    if isinstance(levels, pd.DataFrame):
        parts = [returns_and_doubts(column, kind) for column in columns_of(levels)]
        table = pd.concat([changes for changes, _ in parts], axis=1, keys=list(levels))
        table.attrs = parts[0][0].attrs
        return table, [f"{name}: {doubt}" for name, (_, doubts) in zip(levels, parts, strict=True) for doubt in doubts]
    changes = levels if kind == "none" else data.returns(levels, kind)
    return changes, data.find_doubts(levels, kind)


def columns_of(levels: pd.Series | pd.DataFrame) -> list[pd.Series]:
    """A series, or each column of a table with what is known of all."""
    import pandas as pd

    if isinstance(levels, pd.Series):
        return [levels]
    columns = [levels[name].copy() for name in levels]
    for column in columns:
        column.attrs = {**levels.attrs}
    return columns


def summary(series: pd.Series | pd.DataFrame) -> list[str]:
    """Lines on what was read: the first with the longest gap, and what was left out or turned round."""
    about, (first, last) = series.attrs, series.index[[0, -1]]
    lines = [
        f"{about['source']}: {len(series)} points, {first:%Y-%m-%d} to {last:%Y-%m-%d}, {about['frequency']},"
        f" longest gap {about['longest_gap_days']:g} days, {about['unit']}"
    ]
    if "dropped" in about:
        lines.append(f"In the file, {about['dropped']} rows without a value were left out.")
    if "note" in about:
        lines.append(f"In the file, {about['note']}.")
    return lines


def point_line(series: pd.Series | pd.DataFrame) -> list[str]:
    """What a point of a path is, where it is no trading day."""
    frequency = series.attrs["frequency"]
    if frequency == "daily":
        return []
    point = _POINTS.get(frequency, "an observation, however far it is from the next")
    return [f"The series is {frequency}, not daily: a point of a path is {point}."]


def stop_if_strict(strict: bool, doubts: Sequence[str]) -> None:
    """End a command that was told to be strict, if there are doubts."""
    if strict and doubts:
        say(f"{len(doubts)} doubts, and --strict: nothing was written.", err=True)
        raise SystemExit(DOUBTED)
