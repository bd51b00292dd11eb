"""The command `mfmgdm generate`, which reads one series and writes a file of paths like it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mfmgdm_lib.cli.errors import reported_errors
from mfmgdm_lib.cli.options import FIGURE_SUFFIXES, PATHS_SUFFIXES, STARTS, check_out, option_group, paths_options

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["generate"]

_POINTS = {"daily": "a trading day", "weekly": "a week", "monthly": "a month"}
"""What a point of a path is, by the frequency of the series."""

_reading_options = option_group(
    click.option("--date", metavar="COLUMN", help="Column of the dates.  [default: the first]"),
    click.option("--column", metavar="COLUMN", help="Column of the values.  [default: the only one of numbers]"),
    click.option(
        "--returns",
        "kind",
        type=click.Choice(["log", "difference", "none"]),
        default="log",
        show_default=True,
        help="What to make of the values: log-returns of prices, differences of rates, or nothing.",
    ),
)

_generation_options = option_group(
    click.option("--length", type=click.IntRange(min=64), default=1024, show_default=True, help="Points of each path."),
    click.option(
        "--start",
        type=click.Choice(STARTS),
        help="Law that the paths start from.  [default: argjr-skewt; noise with --support nonnegative]",
    ),
    click.option(
        "--support",
        type=click.Choice(["real", "nonnegative"]),
        default="real",
        show_default=True,
        help="Where values lie: from 0 on for rates, volumes and volatilities, with --returns none.",
    ),
    click.option(
        "--plot",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"File for a figure of the report: {', '.join(FIGURE_SUFFIXES)}.",
    ),
)


@click.command("generate")
@click.argument("file", metavar="SERIES.csv", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_reading_options
@paths_options(100, PATHS_SUFFIXES)
@_generation_options
def generate(
    file: Path,
    date: str | None,
    column: str | None,
    kind: str,
    n_paths: int,
    length: int,
    seed: int,
    start: str | None,
    support: str,
    out: Path,
    plot: Path | None,
    force: bool,
) -> None:
    """Generate paths like one observed series.

    SERIES.csv has a line of column names, and then one for each date, written as 2024-03-01. The last lines of the
    answer say what speaks against trusting the paths.
    """
    from torch.distributions import constraints

    from mfmgdm_lib import generation
    from mfmgdm_lib.io.files import check_output, report_text, save_figure, save_paths

    with reported_errors():
        check_out(out, PATHS_SUFFIXES, force, file, "series")
        if plot is not None:
            check_output(plot, FIGURE_SUFFIXES, force)
        series = _read(file, date, column, kind)
        click.echo(_summary(series))
        made = generation.generate(series, n_paths, length, seed, start=start, support=getattr(constraints, support))
        figure = None
        if plot is not None:
            from mfmgdm_lib.plotting import generation_report

            figure = generation_report(made, unit=series.attrs["unit"])
        click.echo(f"Wrote {save_paths(made, out, force=force)}")
        if plot is not None and figure is not None:
            click.echo(f"Wrote {save_figure(figure, plot, force=force)}")
        click.echo(f"\n{report_text(made)}")


def _read(file: Path, date: str | None, column: str | None, kind: str) -> pd.Series:
    from mfmgdm_lib import data

    levels = data.read_csv(file, date, column)
    return levels if kind == "none" else data.returns(levels, kind)


def _summary(series: pd.Series) -> str:
    """What was read, and what is unusual about its dates."""
    about, (first, last) = series.attrs, series.index[[0, -1]]
    lines = [
        f"{about['source']}: {len(series)} points, {first:%Y-%m-%d} to {last:%Y-%m-%d}, {about['frequency']},"
        f" {about['unit']}"
    ]
    if about["frequency"] != "daily":
        point = _POINTS.get(about["frequency"], "an observation, however far it is from the next")
        lines.append(f"The series is {about['frequency']}, not daily: a point of a path is {point}.")
    if "note" in about:
        lines.append(f"In the file, {about['note']}.")
    return "\n".join(lines)
