"""A series from a file on the command line: the options that say how it is read, a summary, and doubts about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from mfmgdm_lib.cli.options import option_group

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DOUBTED", "reading_options", "returns_and_doubts", "stop_if_strict", "summary"]

DOUBTED = 3
"""Exit status of a command that was told to be strict, and had doubts."""

Command = Callable[..., Any]


def reading_options(command: Command) -> Command:
    """Add the options that say how a file is read, the arguments of `read_series`, and `--returns` and `--strict`."""
    return option_group(
        click.option("--date", "date_column", metavar="COLUMN", help="Column of the dates.  [default: the first]"),
        click.option(
            "--column",
            "value_column",
            metavar="COLUMN",
            help="Column of the values.  [default: the only one of numbers]",
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


def returns_and_doubts(levels: pd.Series, kind: str) -> tuple[pd.Series, list[str]]:
    """Return what paths are to be like, and reasons to doubt the levels that it is made of.

    Raises:
        ValueError: levels of which there are no such returns.
    """
    from mfmgdm_lib import data

    changes = levels if kind == "none" else data.returns(levels, kind)
    return changes, data.find_doubts(levels, kind)


def summary(series: pd.Series) -> str:
    """What was read, in a line with the longest gap, and what was left out or turned round."""
    about, (first, last) = series.attrs, series.index[[0, -1]]
    lines = [
        f"{about['source']}: {len(series)} points, {first:%Y-%m-%d} to {last:%Y-%m-%d}, {about['frequency']},"
        f" longest gap {about['longest_gap_days']:g} days, {about['unit']}"
    ]
    if "dropped" in about:
        lines.append(f"In the file, {about['dropped']} rows without a value were left out.")
    if "note" in about:
        lines.append(f"In the file, {about['note']}.")
    return "\n".join(lines)


def stop_if_strict(strict: bool, doubts: Sequence[str]) -> None:
    """End a command that was told to be strict, if there are doubts."""
    if strict and doubts:
        click.echo(f"{len(doubts)} doubts, and --strict: nothing was written.", err=True)
        raise SystemExit(DOUBTED)
