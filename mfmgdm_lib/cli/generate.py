"""The command `mfmgdm generate`, which reads one series and writes a file of paths like it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfmgdm_lib.cli.errors import reported_errors
from mfmgdm_lib.cli.options import FIGURE_SUFFIXES, PATHS_SUFFIXES, STARTS, check_out, option_group, paths_options
from mfmgdm_lib.cli.reading import reading_options, returns_and_doubts, stop_if_strict, summary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["generate"]

_POINTS = {"daily": "a trading day", "weekly": "a week", "monthly": "a month"}
"""What a point of a path is, by the frequency of the series."""

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
        help="Where values lie: from 0 on for volumes, volatilities and rates never below 0, with --returns none.",
    ),
    click.option(
        "--plot",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"File for a figure of the report: {', '.join(FIGURE_SUFFIXES)}.",
    ),
)


@click.command("generate")
@click.argument("file", metavar="SERIES", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@reading_options
@paths_options(100, PATHS_SUFFIXES)
@_generation_options
def generate(
    file: Path,
    kind: str,
    strict: bool,
    n_paths: int,
    length: int,
    seed: int,
    start: str | None,
    support: str,
    out: Path,
    plot: Path | None,
    force: bool,
    **reading: Any,
) -> None:
    """Generate paths like one observed series.

    SERIES is a CSV file, packed by gzip or not, a Parquet file or an Excel workbook, with column names and a row for
    each date. `mfmgdm data inspect SERIES` says what would be read. The last lines of the answer say what speaks
    against trusting the paths.
    """
    from torch.distributions import constraints

    from mfmgdm_lib import data, generation
    from mfmgdm_lib.io.files import check_output, report_text, save_figure, save_paths

    with reported_errors():
        check_out(out, PATHS_SUFFIXES, force, file, "series")
        if plot is not None:
            check_output(plot, FIGURE_SUFFIXES, force)
        series, doubts = returns_and_doubts(data.read_series(file, **reading), kind)
        click.echo("\n".join([summary(series), *_frequency_line(series), *(f"Note: {doubt}" for doubt in doubts)]))
        stop_if_strict(strict, doubts)
        made = generation.generate(series, n_paths, length, seed, start=start, support=getattr(constraints, support))
        if strict and made.notes:
            click.echo(report_text(made))
        stop_if_strict(strict, made.notes)
        figure = None
        if plot is not None:
            from mfmgdm_lib.plotting import generation_report

            figure = generation_report(made, unit=series.attrs["unit"])
        click.echo(f"Wrote {save_paths(made, out, force=force)}")
        if plot is not None and figure is not None:
            click.echo(f"Wrote {save_figure(figure, plot, force=force)}")
        click.echo(f"\n{report_text(made)}")


def _frequency_line(series: pd.Series) -> list[str]:
    """What a point of a path is, where it is no trading day."""
    frequency = series.attrs["frequency"]
    if frequency == "daily":
        return []
    point = _POINTS.get(frequency, "an observation, however far it is from the next")
    return [f"The series is {frequency}, not daily: a point of a path is {point}."]
