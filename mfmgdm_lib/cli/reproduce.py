"""The commands `mfmgdm reproduce`, which runs the paper's experiments, and `mfmgdm verify`, which checks results."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfmgdm_lib.cli.choices import PROFILES
from mfmgdm_lib.cli.messages import errors_said, sentence, with_options

if TYPE_CHECKING:
    from mfmgdm_lib.runs.run import Job
    from mfmgdm_lib.runs.store import Result, ResultStore

__all__ = ["reproduce", "verify"]

_FOLDERS = {"paper": "table1", "quick": "quick"}


@click.group()
def reproduce() -> None:
    """Run what a table or figure of the paper shows."""


@click.group()
def verify() -> None:
    """Check what is stored."""


_chosen_cells = with_options(
    click.option("--cells", multiple=True, metavar="PATTERN", help="Such as 'ar01-*' or '*-mf'; may be repeated."),
    click.option(
        "--store", "folder", type=click.Path(path_type=Path), help="Folder of the results.  [default: in results]"
    ),
)
"""Which cells are meant, and where their results are."""

_profile = click.option(
    "--profile", type=click.Choice(PROFILES), default="paper", show_default=True, help="Size of a run."
)

_how_to_run = with_options(
    click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes on this machine."),
    click.option("--device", default="cpu", show_default=True, help="Where tensors live, such as cuda."),
    click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers run the cells."),
    click.option("--list", "listing", is_flag=True, help="Show the state of each cell, and run nothing."),
    click.option("--dry-run", is_flag=True, help="Name the cells that would be run, and run nothing."),
)
"""How cells are run, or whether."""


@reproduce.command("table1")
@_chosen_cells
@_profile
@click.option(
    "--replicates", type=click.IntRange(min=0), default=0, metavar="K", help="Run K independent copies of each cell."
)
@_how_to_run
def table1(cells: Sequence[str], folder: Path | None, profile: str, replicates: int, **how: Any) -> None:
    """Run the cells of Table 1 and Figure 5 that are missing.

    A run that is stopped, however that happens, goes on from its last checkpoint when the command is given again.
    """
    from mfmgdm_lib.companion.table1 import TABLE_1, select, table_1

    with errors_said():
        wanted = select(table_1(profile), cells)
        if replicates:
            wanted = tuple(cell.replicate(k) for k in range(1, replicates + 1) for cell in wanted)
        _reproduce(
            wanted, _store(folder, "replicates" if replicates else _FOLDERS[profile]), (TABLE_1, "table1"), **how
        )


@reproduce.command("market")
@_chosen_cells
@_how_to_run
def market(cells: Sequence[str], folder: Path | None, **how: Any) -> None:
    """Run what Figures 6 to 10 show: models of the S&P 500 and of four rates.

    The rates are downloaded, or read from the folder that MFMGDM_DATA_DIR names.
    """
    from mfmgdm_lib.companion.market_cells import MARKET
    from mfmgdm_lib.companion.table1 import select

    with errors_said():
        _reproduce(select(MARKET, cells), _store(folder, "market"), (MARKET, "market"), **how)


def _reproduce(
    wanted: Sequence[Job],
    store: ResultStore,
    known: tuple[Sequence[Job], str],
    *,
    jobs: int,
    device: str,
    scheduler: str | None,
    listing: bool,
    dry_run: bool,
) -> None:
    """Run cells, or list them; how long they take is guessed from the `known` ones of a folder of results."""
    from mfmgdm_lib.runs import executors

    missing = [cell for cell in wanted if store.progress(cell).state != "done"]
    if listing:
        _list(wanted, store, *known)
    elif dry_run:
        for cell in missing:
            click.echo(f"{cell.key}  {cell.n_steps} steps  -> {store.path(cell)}")
        click.echo(f"{len(missing)} of {len(wanted)} cells would be run.")
    else:
        _check_device(device)
        if missing and store.beneath is not None:
            _report(f"New results go to {store.folder.resolve()}; --store names another folder.")
        wanted, lacking = _without_what_lacks_files(wanted, missing)
        runs = executors.run_cells(wanted, store, jobs=jobs, device=device, scheduler=scheduler)
        for done, (cell, outcome) in enumerate(runs, start=1):
            click.echo(f"[{done}/{len(wanted)}] {cell.key}  {_result_text(cell, store)}  ({outcome})")
        if lacking:
            raise SystemExit(2)


def _without_what_lacks_files(wanted: Sequence[Job], missing: Sequence[Job]) -> tuple[list[Job], bool]:
    """Say which cells lack a file or a series that they begin with, before any is run; return the others."""
    settings = {cell: (getattr(cell, "series", None), getattr(cell, "energy", None)) for cell in missing}
    lacking = {setting: _what_lacks(*setting) for setting in dict.fromkeys(settings.values())}
    for reason in dict.fromkeys(filter(None, lacking.values())):
        keys = [cell.key for cell, setting in settings.items() if lacking[setting] == reason]
        _report(f"Left out: {', '.join(keys)}: {reason}")
    kept = [cell for cell in wanted if cell not in settings or lacking[settings[cell]] is None]
    return kept, len(kept) < len(wanted)


def _what_lacks(series: str | None, energy: str | None) -> str | None:
    """What is wrong with what cells of these settings read; None where all is there."""
    from mfmgdm_lib.companion.market import observed_returns
    from mfmgdm_lib.companion.results import projected_covariance

    try:
        if series is not None:
            observed_returns(series)
        if energy == "scatcov":
            projected_covariance("white noise" if series is None else "garch")
    except (OSError, RuntimeError, ValueError) as error:
        return sentence(error)
    return None


_steps = click.option(
    "--steps", type=click.IntRange(min=1), default=8, show_default=True, help="Steps to recompute of each trace."
)


@verify.command("results")
@_chosen_cells
@_profile
@_steps
def results(cells: Sequence[str], folder: Path | None, profile: str, steps: int) -> None:
    """Recompute the first steps of each stored trace of Table 1.

    Exits with 1 if one is off or damaged, or none is there.
    """
    from mfmgdm_lib.companion.table1 import LATER_VERSION, select, table_1
    from mfmgdm_lib.companion.verification import drift

    with errors_said():
        kept = (*table_1(profile), *(LATER_VERSION if profile == "paper" else ()))
        _verify(select(kept, cells), _store(folder, _FOLDERS[profile]), drift, steps)


@verify.command("market")
@_chosen_cells
@_steps
def verify_market(cells: Sequence[str], folder: Path | None, steps: int) -> None:
    """Recompute the target and the first losses of each stored run of Figures 6 to 10.

    Without --cells, of those on the series that comes with an installed package. Exits with 1 if one is off or damaged,
    or none is there.
    """
    from mfmgdm_lib.companion.market import SERIES
    from mfmgdm_lib.companion.market_cells import MARKET
    from mfmgdm_lib.companion.table1 import select
    from mfmgdm_lib.companion.verification import market_drift

    with errors_said():
        at_hand = [cell for cell in MARKET if cells or SERIES[cell.series].source == "arch"]
        _verify(select(at_hand, cells), _store(folder, "market"), market_drift, steps)


def _verify(wanted: Sequence[Any], store: ResultStore, drift: Callable[[Any, Result, int], float], steps: int) -> None:
    good = bad = 0
    counts = Counter(cell.key for cell in wanted)  # the later version's cells have the keys of the paper's
    for cell in wanted:
        name = cell.key if counts[cell.key] == 1 else f"{cell.key}, {cell.n_steps} steps"
        try:
            apart = drift(cell, store.read(cell), steps)
            verdict = f"{apart:.2g} of what is allowed"
        except FileNotFoundError:
            click.echo(f"----  {name}: not run yet")
            continue
        except ValueError as error:
            apart, verdict = math.inf, str(error)
        good, bad = (good + 1, bad) if apart <= 1.0 else (good, bad + 1)
        click.echo(f"{'ok  ' if apart <= 1.0 else 'FAIL'}  {name}: {verdict}")
    click.echo(f"{good} of {good + bad} stored traces agree over their first {steps} steps.")
    if bad or not good:
        raise SystemExit(1)


def _store(folder: Path | None, name: str) -> ResultStore:
    from mfmgdm_lib.companion.results import result_store
    from mfmgdm_lib.runs.store import ResultStore

    return result_store(name, report=_report) if folder is None else ResultStore(folder, report=_report)


def _report(text: str) -> None:
    click.echo(text, err=True)


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device is {device!r}; expected one that this machine has, such as cpu. ({error})") from error


def _result_text(cell: Job, store: ResultStore) -> str:
    result = store.load(cell)
    return "missing" if result is None else cell.headline(result)


def _list(cells: Sequence[Job], store: ResultStore, known: Sequence[Job], shelf: str) -> None:
    from mfmgdm_lib.runs import run

    rates = _rates(known, _store(None, shelf)) | _rates(cells, store)
    total, width = 0.0, max(len(cell.key) for cell in cells)
    click.echo(f"{'cell':{width}} {'state':12} {'step':>11} {'wall time':>12} {'left':>12}  result")
    for cell in cells:
        result, progress = store.load(cell, set_aside=False), store.progress(cell)
        left = run.seconds_left(cell, progress, rates)
        total += left
        if result is not None:
            step, spent, value = cell.n_steps, result.provenance["wall_time"], cell.headline(result)
        else:
            step, spent = progress.step, progress.seconds
            value = f"{cell.watched.format(progress.value)} so far" if step else ""
        times = f"{_duration(spent):>12} {_duration(left):>12}"
        click.echo(f"{cell.key:{width}} {progress.state:12} {step:5}/{cell.n_steps:<5} {times}  {value}".rstrip())
    click.echo(f"Left, one after the other: {_duration(total)}")


def _rates(cells: Sequence[Job], store: ResultStore) -> dict[str, float]:
    """Seconds for each unit of size of the results that are there, by kind."""
    times: dict[str, list[float]] = {}
    for cell in cells:
        result = store.load(cell, set_aside=False)
        if result is not None:
            times.setdefault(cell.kind, []).append(result.provenance["wall_time"] / max(cell.size, 1))
    return {kind: sum(values) / len(values) for kind, values in times.items()}


def _duration(seconds: float) -> str:
    if math.isnan(seconds):
        return "unknown"
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes // 60} h {minutes % 60:02} min"
        if minutes >= 60
        else f"{minutes} min {rest:02} s"
        if minutes
        else f"{rest} s"
    )
