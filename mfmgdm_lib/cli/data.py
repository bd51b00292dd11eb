"""The command `mfmgdm data`, which downloads series and lists and verifies those in the cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfmgdm_lib.cli.errors import reported_errors, shell_message
from mfmgdm_lib.cli.options import PUBLISHERS
from mfmgdm_lib.cli.output import one_line, say
from mfmgdm_lib.cli.reading import (
    Source,
    columns_of,
    read_levels,
    reading_options,
    returns_and_doubts,
    stop_if_strict,
    summary,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["data_group"]


@click.group("data")
def data_group() -> None:
    """Download series, and look after those that were downloaded."""


@data_group.command("inspect")
@click.argument("source", metavar="SERIES", type=Source())
@reading_options
def inspect(source: Path | str, kind: str, strict: bool, **reading: Any) -> None:
    """Say what would be read from a file, and what speaks against it.

    SERIES is a CSV file, packed by gzip or not, a Parquet file or an Excel workbook, with column names and a row for
    each date; or a series of a publisher, such as yahoo:^GSPC, fred:DGS10, or cache:fred:DGS10 for the one that was
    fetched before, without a network. `mfmgdm generate` has the same options, and says the same before it begins.
    """
    from mfmgdm_lib._checks import spell_date
    from mfmgdm_lib.data.series import days_between
    from mfmgdm_lib.report import series_warnings

    with reported_errors():
        levels = read_levels(source, **reading)
    say(*summary(levels))
    gaps = days_between(levels.index)
    if len(gaps):
        at = int(gaps.argmax())
        say(f"The longest gap is from {spell_date(levels.index[at])} to {spell_date(levels.index[at + 1])}.")
    columns, doubts = columns_of(levels), []
    say("The first and last rows:")
    for at in sorted({*range(min(3, len(levels))), *range(max(len(levels) - 3, 0), len(levels))}):
        values = "  ".join(repr(column.iloc[at].item()) for column in columns)
        say(f"  {spell_date(levels.index[at])}  {values}")
    for column in columns:
        try:
            changes, found = returns_and_doubts(column, kind)
            found += series_warnings(changes)
        except ValueError as error:
            found = [shell_message(error)]
        doubts += found if len(columns) == 1 else [f"{column.name}: {doubt}" for doubt in found]
    say(*[f"Note: {doubt}" for doubt in doubts] or ["Nothing speaks against it."])
    stop_if_strict(strict, doubts)


@data_group.command("fetch")
@click.argument("source", metavar="SOURCE", type=click.Choice(PUBLISHERS))
@click.argument("identifier", metavar="ID")
@click.option("--start", metavar="DATE", help="First date wanted, as 2003-01-01.  [default: the first there is]")
@click.option("--end", metavar="DATE", help="Last date wanted.  [default: the last there is]")
@click.option("--refresh", is_flag=True, help="Ask again, though there is an answer in the cache.")
@click.option("--accept", is_flag=True, help="Take values that were revised since; with --refresh.")
def fetch(source: str, identifier: str, start: str | None, end: str | None, refresh: bool, accept: bool) -> None:
    """Fetch a series, check it and keep it.

    SOURCE is yahoo, riksbank, fred or ecb, and ID what the series is called there, such as ^GSPC, USGVB10Y, DGS10 or
    SR_10Y. Where the environment variable MFMGDM_DATA_DIR names a folder, the series is read from there instead.
    """
    from mfmgdm_lib import data

    with reported_errors():
        if accept and not refresh:
            raise ValueError("--accept is given without --refresh; expected both. Add --refresh to ask again.")
        series = data.fetch(source, identifier, start, end, refresh="accept" if accept else refresh)
    about, (first, last) = series.attrs, series.index[[0, -1]]
    say(
        f"{source} {series.name}: {len(series)} rows, {first:%Y-%m-%d} to {last:%Y-%m-%d}, {about['frequency']},"
        f" {about['unit']}"
    )
    for name in ("source", "url", "retrieved", "dropped", "note", "path"):
        if name in about:
            say(f"{name}: {about[name]}")


@data_group.command("list")
def list_cached() -> None:
    """List the downloaded series that are kept."""
    from mfmgdm_lib import data
    from mfmgdm_lib.data.cache import cache_folder

    with reported_errors():
        kept = data.cached()
    if folder := os.environ.get("MFMGDM_DATA_DIR"):
        say(f"MFMGDM_DATA_DIR is set: series are read from {folder}, and not from this list.")
    if kept.empty:
        say(f"Nothing is kept in {cache_folder()}.")
        return
    readable = kept[kept["source"] != ""]
    if len(readable):
        say(*_table(readable.drop(columns=["sha256", "path"])))
    for path in kept.loc[kept["source"] == "", "path"]:
        say(f"{path} cannot be read: see `mfmgdm data verify`.")
    say(f"{len(kept)} files in {cache_folder()}")


@data_group.command("verify")
def verify_cached() -> None:
    """Check the files that are kept; exit with 1 if one is damaged."""
    from mfmgdm_lib import data
    from mfmgdm_lib.data.cache import cache_folder

    with reported_errors():
        kept = data.verify_cache()
    for state, *names, path in kept[["state", "source", "id", "first", "last", "path"]].astype(str).to_numpy():
        named = "{} {}, {} to {}".format(*names) if state == "ok" else path
        say(f"{_VERDICTS[state]}  {named}")
    damaged = int((kept["state"] == "damaged").sum())
    say(f"{len(kept) - damaged} of {len(kept)} files in {cache_folder()} are whole.")
    if damaged:
        raise SystemExit(1)


_VERDICTS = {"ok": "ok   ", "newer": "NEWER", "damaged": "FAIL "}


def _table(rows: pd.DataFrame) -> list[str]:
    """Columns of text, each as wide as its longest cell."""
    cells = [list(rows.columns), *([one_line(cell) for cell in row] for row in rows.astype(str).to_numpy().tolist())]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
