"""The command `mfmgdm forecast`, which reads a series and writes what may follow it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfmgdm_lib.cli.errors import reported_errors
from mfmgdm_lib.cli.options import (
    BASES,
    FIGURE_SUFFIXES,
    PATHS_SUFFIXES,
    Outputs,
    check_memory,
    check_outputs,
    option_group,
    paths_options,
)
from mfmgdm_lib.cli.output import say
from mfmgdm_lib.cli.reading import (
    Source,
    columns_of,
    point_line,
    read_levels,
    reading_options,
    returns_and_doubts,
    stop_if_strict,
    summary,
)

if TYPE_CHECKING:
    import pandas as pd

    from mfmgdm_lib.forecasting import Backtest, Forecast

__all__ = ["forecast"]


def _file(option: str, help_text: str, name: str | None = None) -> Any:
    names = (option,) if name is None else (option, name)
    return click.option(*names, type=click.Path(path_type=Path), metavar="FILE", help=help_text)


_forecast_options = option_group(
    click.option("--horizon", type=click.IntRange(min=1), default=20, show_default=True, help="Points ahead."),
    click.option(
        "--base",
        type=click.Choice(BASES),
        default="argarch-t",
        show_default=True,
        metavar="MODEL",
        help="Volatility that the law starts from: garch, gjr, egarch or aparch, with ar before it for an AR(1) mean,"
        " and -n, -t or -skewt after it for the law of its innovations.",
    ),
    _file("--plot", f"File for a fan chart of prices or rates: {', '.join(FIGURE_SUFFIXES)}."),
    _file("--paths-out", f"File for the simulated paths of prices or rates: {', '.join(PATHS_SUFFIXES)}."),
    _file("--backtest", "File for back-tests of one-day-ahead forecasts over the last points: .csv.", "backtest_file"),
    click.option(
        "--backtest-days",
        type=click.IntRange(min=50),
        default=1000,
        show_default=True,
        help="Last points for back-tests; the law is then fitted to those before.",
    ),
    _file("--backtest-plot", f"File for a figure of the back-tests: {', '.join(FIGURE_SUFFIXES)}."),
)


@click.command("forecast")
@click.argument("source", metavar="SERIES", type=Source())
@reading_options
@paths_options(10000, (".csv",), "quantiles, volatility, value at risk and expected shortfall by horizon", fewest=2)
@_forecast_options
def forecast(
    source: Path | str,
    kind: str,
    strict: bool,
    n_paths: int,
    seed: int,
    out: Path,
    force: bool,
    horizon: int,
    base: str,
    plot: Path | None,
    paths_out: Path | None,
    backtest_file: Path | None,
    backtest_days: int,
    backtest_plot: Path | None,
    **reading: Any,
) -> None:
    """Forecast prices or rates over the points after the last, by simulation.

    SERIES is as for `mfmgdm generate`. The law of a return given those before it, a conditional flow, is fitted to the
    whole series. Errors in the table, after ±, are those of the number of paths alone. The last lines of the answer say
    what speaks against trusting it.
    """
    from mfmgdm_lib import forecasting

    outputs: Outputs = [
        ("--out", out, (".csv",)),
        ("--plot", plot, FIGURE_SUFFIXES),
        ("--paths-out", paths_out, PATHS_SUFFIXES),
        ("--backtest", backtest_file, (".csv",)),
        ("--backtest-plot", backtest_plot, FIGURE_SUFFIXES),
    ]
    with reported_errors():
        check_memory(paths=n_paths, horizon=horizon)
        check_outputs(outputs, force, source)
        _check_kind(kind)
        levels = _one_column(read_levels(source, **reading))
        series, doubts = returns_and_doubts(levels, kind)
        say(*summary(series), *point_line(series), *(f"Note: {doubt}" for doubt in doubts))
        stop_if_strict(strict, doubts)
        if plot is not None:
            _check_dates(series.index, horizon)
        tested = backtest_file is not None or backtest_plot is not None
        held_out = forecasting.hold_out(series, backtest_days, seed, base=base) if tested else None
        made = forecasting.forecast(series, horizon, n_paths, seed, base=base, level=float(levels.iloc[-1]))
        stop_if_strict(strict, made.notes)
        _write(made, levels, out, plot, paths_out, force)
        if held_out is not None:
            _write_backtest(made, held_out, backtest_file, backtest_plot, force)
        say(*[f"Note: {note}" for note in made.notes] or ["Nothing speaks against the forecast."])


def _check_kind(kind: str) -> None:
    if kind == "none":
        raise ValueError(
            "--returns is none; expected log or difference, for levels are sums of such returns. Use --returns log for"
            " prices, or --returns difference for rates."
        )


def _one_column(levels: pd.Series | pd.DataFrame) -> pd.Series:
    if len(columns := columns_of(levels)) > 1:
        raise ValueError(f"--column is given {len(columns)} times; expected one series. Leave out all but one.")
    return columns[0]


def _check_dates(index: pd.Index, horizon: int) -> None:
    """Whether there are dates to draw prices by, before anyone has waited for them."""
    from mfmgdm_lib.data import dates_after

    try:
        dates_after(index, horizon)
    except (TypeError, ValueError) as error:
        said = error.args[0].partition(";")[0]
        raise ValueError(f"--plot needs the dates of the points ahead, and {said}. Leave it out.") from error


def _write(
    made: Forecast, levels: pd.Series, out: Path, plot: Path | None, paths_out: Path | None, force: bool
) -> None:
    """Write the table, print some rows of it, and write what else is asked for."""
    from mfmgdm_lib.io.files import save_figure
    from mfmgdm_lib.io.paths import paths_table, provenance, save_forecast, save_paths
    from mfmgdm_lib.risk import HORIZONS

    last, dated, kind = float(levels.iloc[-1]), "date" in made.table, made.observed.attrs["returns"]  # type: ignore[union-attr]
    say(f"Wrote {save_forecast(made, out, force=force)}")
    if paths_out is not None:
        say(f"Wrote {save_paths(made, paths_out, prices=last, dates=dated, force=force)}")
    if plot is not None:
        from mfmgdm_lib.plotting import price_fan

        table, unit = paths_table(made, prices=last, dates=True), str(levels.attrs.get("unit", ""))
        figure = price_fan(levels, table, unit=unit, log=kind == "log", history=3 * len(table))
        say(f"Wrote {save_figure(figure, plot, about=provenance(made), force=force)}")
    shown = [h for h in made.table.index if h in (*HORIZONS, made.table.index[-1])]
    unit = "shares of the price" if kind == "log" else "the unit of the series"
    say("", f"From {last:g}, by points ahead, losses as {unit}, from {len(made.paths)} paths:")
    numbers = made.table.loc[shown].drop(columns="date", errors="ignore")
    say(*numbers.T.to_string(float_format="{:.4g}".format, na_rep="–").split("\n"))
    say(f"The law: {made.law}")


def _write_backtest(made: Forecast, held_out: Backtest, file: Path | None, plot: Path | None, force: bool) -> None:
    """Print the back-tests, and write them and their figure."""
    from mfmgdm_lib.io.files import save_figure, save_table
    from mfmgdm_lib.io.paths import provenance
    from mfmgdm_lib.plotting import backtest_figure

    first = next(iter(held_out.forecasts.values()))
    say("", f"Back-tests over the last {len(first.table)} points, fitted to those before:")
    for name, table in held_out.table.groupby("law", sort=False):
        shown = table.droplevel("law").dropna(axis=1, how="all")
        say("", str(name), *shown.to_string(float_format="{:.4g}".format, na_rep="–").split("\n"))
    about = provenance(made) | {"kind": "back-tests", "days": len(first.table)}
    if file is not None:
        say(f"Wrote {save_table(held_out.table, file, about=about, force=force)}")
    if plot is not None:
        figure = backtest_figure(first, unit=made.observed.attrs["unit"])  # type: ignore[union-attr]
        say(f"Wrote {save_figure(figure, plot, about=about, force=force)}")
