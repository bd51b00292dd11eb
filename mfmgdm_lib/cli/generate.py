"""The command `mfmgdm generate`, which reads a series, several, or a picture, and writes a file of their like."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfmgdm_lib.cli.energies import ENERGY_NAMES, energy_of
from mfmgdm_lib.cli.errors import reported_errors
from mfmgdm_lib.cli.images import generate_like_image, image_options, is_image, refuse_image_options
from mfmgdm_lib.cli.options import (
    FIGURE_SUFFIXES,
    PATHS_SUFFIXES,
    STARTS,
    STOPS,
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

    from mfmgdm_lib.generation import Generation

__all__ = ["generate"]


def _level(context: click.Context, parameter: click.Parameter, value: str | None) -> float | str | None:
    """A number, or "last"."""
    try:
        level = None if value in (None, "last") else float(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no number; expected one such as 4700, or last.") from error
    if level is not None and not math.isfinite(level):
        raise click.BadParameter(f"{value!r} is not finite; expected a number such as 4700, or last.")
    return value if level is None else level


_generation_options = option_group(
    click.option(
        "--energy",
        "energy_name",
        metavar="NAME",
        help=f"{', '.join(ENERGY_NAMES)}, or one spelled out, as 'StylizedFacts(lags=5)'.  [default: the stylised facts"
        " with leverage at 20 lags and sums of 20]",
    ),
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
        "--stop",
        type=click.Choice(STOPS),
        default="duration",
        show_default=True,
        help="Whether the paths flow for the whole duration, or up to the last step that gains more than its price.",
    ),
    click.option(
        "--plot",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"File for a figure of the report: {', '.join(FIGURE_SUFFIXES)}.",
    ),
    click.option(
        "--prices",
        metavar="LEVEL",
        callback=_level,
        help="Write prices or rates in place of returns, from this one on, as 4700; or from the last.",
    ),
    click.option("--dates", is_flag=True, help="Give rows the dates after the last in place of numbers."),
    click.option(
        "--risk",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="File for value at risk, expected shortfall and drawdowns at 1, 5 and 20 points: .csv.",
    ),
    click.option(
        "--flow",
        "flow_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="File for the frozen flow, of which `mfmgdm sample` draws any number of paths: .npz.",
    ),
)


@click.command("generate")
@click.argument("source", metavar="SERIES", type=Source())
@reading_options
@paths_options(100, PATHS_SUFFIXES)
@_generation_options
@image_options
def generate(
    source: Path | str,
    kind: str,
    strict: bool,
    n_paths: int,
    length: int,
    seed: int,
    energy_name: str | None,
    start: str | None,
    support: str,
    stop: str,
    prices: float | str | None,
    dates: bool,
    out: Path,
    force: bool,
    plot: Path | None,
    risk: Path | None,
    flow_file: Path | None,
    **options: Any,
) -> None:
    """Generate paths like one observed series, like several at once, or fields like a picture.

    SERIES is a CSV file, packed by gzip or not, a Parquet file or an Excel workbook, with column names and a row for
    each date; or a series of a publisher, such as yahoo:^GSPC, fred:DGS10, or cache:fred:DGS10 for the one that was
    fetched before, without a network. `mfmgdm data inspect SERIES` says what would be read. The last lines of the
    answer say what speaks against trusting the paths.

    Or it is a PNG, TIFF or JPEG picture of a texture: then FILE of --out is .npz or .npy, --paths is how many fields,
    and of the other options those for a picture count, --grey to --tiles, with --plot and --strict.
    """
    from torch.distributions import constraints

    from mfmgdm_lib import generation
    from mfmgdm_lib.data import dates_after
    from mfmgdm_lib.io.paths import report_text, save_paths

    outputs: Outputs = [
        ("--out", out, PATHS_SUFFIXES),
        ("--plot", plot, FIGURE_SUFFIXES),
        ("--risk", risk, (".csv",)),
        ("--flow", flow_file, (".npz",)),
    ]
    picture = {name: options.pop(name) for name in ("grey", "channel", "shape", "hold_out", "tiles")}
    with reported_errors():
        if is_image(source):
            common: dict[str, Any] = {
                "n_paths": n_paths,
                "seed": seed,
                "out": out,
                "force": force,
                "plot": plot,
                "strict": strict,
            }
            return generate_like_image(Path(source), **common, **picture)
        refuse_image_options(source)
        check_memory(paths=n_paths, length=length)
        check_outputs(outputs, force, source)
        _check_choices(kind, support, prices, risk, flow_file)
        levels = read_levels(source, **options)
        series, doubts = returns_and_doubts(levels, kind)
        say(*summary(series), *point_line(series), *(f"Note: {doubt}" for doubt in doubts))
        stop_if_strict(strict, doubts)
        _check_columns(levels, prices, flow_file)
        if dates:
            dates_after(series.index, length)  # which says why there are none
        first = [column.iloc[-1] for column in columns_of(levels)] if isinstance(prices, str) else prices
        chosen = None if energy_name is None else energy_of(energy_name, length, *columns_of(series))
        where = getattr(constraints, support)
        made = generation.generate(series, n_paths, length, seed, energy=chosen, start=start, support=where, stop=stop)
        if strict and made.notes:
            say(*report_text(made).split("\n"))
        stop_if_strict(strict, made.notes)
        say(f"Wrote {save_paths(made, out, prices=first, dates=dates, force=force)}")
        if plot is not None:
            _write_figure(made, plot, force)
        if risk is not None:
            _write_risk(made, risk, kind, force)
        if flow_file is not None:
            _write_flow(made, flow_file)
        say("", *report_text(made).split("\n"))


def _check_choices(
    kind: str, support: str, prices: float | str | None, risk: Path | None, flow_file: Path | None
) -> None:
    """Refuse options that do not go together before anyone has waited for them."""
    for option, value in (("--prices", prices), ("--risk", risk)):
        if kind == "none" and value is not None:
            raise ValueError(
                f"{option} is {value} with --returns none; expected log or difference, for levels are sums of such"
                f" returns. Use --returns log for log-returns of prices, or leave {option} out."
            )
    if prices not in (None, "last") and kind == "log" and not float(prices) > 0:
        raise ValueError(f"--prices is {prices}; expected a price above 0. Use such as --prices 100.")
    if flow_file is not None and support != "real":
        raise ValueError(
            f"--flow is {flow_file} with --support {support}; expected the real line, for where entries rest at 0 there"
            " is no flow. Leave --flow out."
        )


def _check_columns(levels: pd.Series | pd.DataFrame, prices: float | str | None, flow_file: Path | None) -> None:
    """Refuse options that are for one column where there are several."""
    if (n := len(columns_of(levels))) == 1:
        return
    if isinstance(prices, float):
        raise ValueError(f"--prices is {prices} with {n} columns; expected the last of each. Use --prices last.")
    if flow_file is not None:
        raise ValueError(f"--flow is {flow_file} with {n} columns; expected one, whose flow is kept. Leave --flow out.")


def _write_figure(made: Generation, file: Path, force: bool) -> None:
    from mfmgdm_lib.io.files import save_figure
    from mfmgdm_lib.io.paths import provenance
    from mfmgdm_lib.plotting import generation_report

    assert made.observed is not None
    figure, about = generation_report(made, unit=made.observed.attrs["unit"]), provenance(made) | {"kind": "report"}
    say(f"Wrote {save_figure(figure, file, about=about, force=force)}")


def _write_risk(made: Generation, file: Path, kind: str, force: bool) -> None:
    """Write and print the losses, of all paths, by horizon."""
    import pandas as pd

    from mfmgdm_lib.io.files import save_table
    from mfmgdm_lib.io.paths import provenance
    from mfmgdm_lib.risk import HORIZONS, risk_table

    horizons = [h for h in HORIZONS if h <= made.paths.shape[-1]]
    if made.columns:
        tables = [risk_table(paths, horizons, kind=kind) for paths in made.paths.unbind(1)]
        table = pd.concat(tables, keys=made.columns, names=["series"])
    else:
        table = risk_table(made.paths, horizons, kind=kind)
    about = provenance(made) | {"kind": "risk", "paths": len(made.paths)}
    say(f"Wrote {save_table(table, file, about=about, force=force)}")
    unit = "shares of the price" if kind == "log" else "the unit of the series"
    say("", f"Losses within so many points, {unit}, from {len(made.paths)} paths:")
    say(*table.to_string(float_format="{:.4g}".format, na_rep="–").split("\n"))


def _write_flow(made: Generation, file: Path) -> None:
    """Write the flow, and say how fresh paths of it compare with the series."""
    from mfmgdm_lib.generation import compare_flow
    from mfmgdm_lib.io.paths import provenance

    assert made.flow is not None
    written = made.flow.save(file, about=provenance(made) | {"kind": "frozen flow"})
    say(f"Wrote {written}: draw paths with mfmgdm sample {shlex.quote(str(file))} --out FILE")
    _, notes = compare_flow(made)
    say(*[f"Note on the flow: {note}" for note in notes] or ["Nothing speaks against fresh paths of it."])
