"""The command `mfmgdm reproduce`, which runs the experiments behind the paper's tables and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfmgdm_lib.cli.errors import reported_errors, shell_message
from mfmgdm_lib.cli.options import STORES, cell_options, open_store, option_group, profile_option
from mfmgdm_lib.cli.output import say, stopped_by_signals

if TYPE_CHECKING:
    from mfmgdm_lib.runs.cells import Job
    from mfmgdm_lib.runs.store import Result, ResultStore

__all__ = ["reproduce"]


@click.group()
def reproduce() -> None:
    """Run what a table or figure of the paper shows."""


_run_options = option_group(
    click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes on this machine."),
    click.option("--device", default="cpu", show_default=True, help="Where tensors live, such as cuda."),
    click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers run the cells."),
    click.option(
        "--worker-seconds",
        type=click.FloatRange(min=0, min_open=True),
        default=10.0,
        show_default=True,
        help="How long to wait for the first worker of the scheduler.",
    ),
    click.option("--list", "listing", is_flag=True, help="Show the state of each cell, and run nothing."),
    click.option("--dry-run", is_flag=True, help="Name the cells that would be run, and run nothing."),
)


@reproduce.command("table1")
@cell_options
@profile_option
@click.option(
    "--replicates", type=click.IntRange(min=0), default=0, metavar="K", help="Run K independent copies of each cell."
)
@_run_options
def table1(cells: Sequence[str], folder: Path | None, profile: str, replicates: int, **how: Any) -> None:
    """Run the cells of Table 1 and Figure 5 that are missing.

    A run that is stopped, however that happens, goes on from its last checkpoint when the command is given again, and
    ends with the same bits, to round-off with other --jobs or OMP_NUM_THREADS.
    """
    from mfmgdm_lib.companion.table1 import TABLE_1, select, table_1

    with reported_errors():
        wanted = select(table_1(profile), cells)
        if replicates:
            wanted = tuple(cell.replicate(k) for k in range(1, replicates + 1) for cell in wanted)
        _reproduce(
            wanted, open_store(folder, "replicates" if replicates else STORES[profile]), (TABLE_1, "table1"), **how
        )


@reproduce.command("market")
@cell_options
@_run_options
def market(cells: Sequence[str], folder: Path | None, **how: Any) -> None:
    """Run what Figures 6 to 10 show: models of the S&P 500 and of four rates.

    The rates are downloaded, or read from the folder that MFMGDM_DATA_DIR names.
    """
    from mfmgdm_lib.companion.market_cells import MARKET
    from mfmgdm_lib.companion.table1 import select

    with reported_errors():
        _reproduce(select(MARKET, cells), open_store(folder, "market"), (MARKET, "market"), **how)


@reproduce.command("fields")
@cell_options
@_run_options
def fields(cells: Sequence[str], folder: Path | None, **how: Any) -> None:
    """Run descents of two-dimensional fields, which the paper's later versions have in place of finance."""
    from mfmgdm_lib.companion.field_cells import FIELDS
    from mfmgdm_lib.companion.table1 import select

    with reported_errors():
        _reproduce(select(FIELDS, cells), open_store(folder, "fields"), (FIELDS, "fields"), **how)


def _reproduce(
    wanted: Sequence[Job],
    store: ResultStore,
    known: tuple[Sequence[Job], str],
    *,
    jobs: int,
    device: str,
    scheduler: str | None,
    worker_seconds: float,
    listing: bool,
    dry_run: bool,
) -> None:
    """Run cells, or list them; the time they take is estimated from the `known` cells and the name of their store."""
    from mfmgdm_lib.runs import executors

    missing = [cell for cell in wanted if store.progress(cell).state != "done"]
    if listing:
        _list(wanted, store, *known)
    elif dry_run:
        for cell in missing:
            say(f"{cell.key}  {cell.n_steps} steps  -> {store.path(cell)}")
        say(f"{len(missing)} of {len(wanted)} cells would be run.")
    else:
        _check_device(device)
        if missing and store.fallback is not None:
            say(f"New results go to {store.folder.resolve()}; --store names another folder.", err=True)
        wanted, lacking = _runnable(wanted, missing)
        runs = executors.run_cells(
            wanted, store, jobs=jobs, device=device, scheduler=scheduler, worker_seconds=worker_seconds
        )
        with stopped_by_signals():
            for done, (cell, outcome) in enumerate(runs, start=1):
                say(f"[{done}/{len(wanted)}] {cell.key}  {_result_text(cell, store)}  ({outcome})")
        if lacking:
            raise SystemExit(2)


def _runnable(wanted: Sequence[Job], missing: Sequence[Job]) -> tuple[list[Job], bool]:
    """Report the cells whose input file or series is missing, before any is run; return the others."""
    settings = {cell: (getattr(cell, "series", None), getattr(cell, "energy", None)) for cell in missing}
    lacking = {setting: _missing_input(*setting) for setting in dict.fromkeys(settings.values())}
    for reason in dict.fromkeys(filter(None, lacking.values())):
        keys = [cell.key for cell, setting in settings.items() if lacking[setting] == reason]
        say(f"Left out: {', '.join(keys)}: {reason}", err=True)
    kept = [cell for cell in wanted if cell not in settings or lacking[settings[cell]] is None]
    return kept, len(kept) < len(wanted)


def _missing_input(series: str | None, energy: str | None) -> str | None:
    """The error of reading the input of cells with these settings; None if there is none."""
    from mfmgdm_lib.companion.market import observed_returns
    from mfmgdm_lib.companion.results import projected_covariance

    try:
        if series is not None:
            observed_returns(series)
        if energy == "scatcov":
            projected_covariance("white noise" if series is None else "garch")
    except (OSError, RuntimeError, ValueError) as error:
        return shell_message(error)
    return None


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device is {device!r}; expected one that this machine has, such as cpu. ({error})") from error


def _result_text(cell: Job, store: ResultStore) -> str:
    result = store.load(cell)
    return "missing" if result is None else _headline(cell, result)


def _headline(cell: Job, result: Result) -> str:
    """The result in a few words, or that its table lacks what they are made of, as one made by hand may."""
    try:
        return cell.headline(result)
    except (LookupError, TypeError, ValueError) as error:
        return f"cannot be read: {error!r}; delete the file, and run it again"


def _list(cells: Sequence[Job], store: ResultStore, known: Sequence[Job], name: str) -> None:
    from mfmgdm_lib.runs.cells import seconds_left

    rates = _rates(known, open_store(None, name)) | _rates(cells, store)
    total, width = 0.0, max(len(cell.key) for cell in cells)
    say(f"{'cell':{width}} {'state':12} {'step':>11} {'wall time':>12} {'left':>12}  result")
    for cell in cells:
        result, progress = store.load(cell, set_aside=False), store.progress(cell)
        left = seconds_left(cell, progress, rates)
        total += left
        if result is not None:
            step, spent, value = cell.n_steps, result.seconds, _headline(cell, result)
        else:
            step, spent = progress.step, progress.seconds
            value = f"{cell.value_format.format(progress.value)} so far" if step else ""
        times = f"{_duration(spent):>12} {_duration(left):>12}"
        say(f"{cell.key:{width}} {progress.state:12} {step:5}/{cell.n_steps:<5} {times}  {value}".rstrip())
    say(f"Left, one after the other: {_duration(total)}")


def _rates(cells: Sequence[Job], store: ResultStore) -> dict[str, float]:
    """Seconds per unit of size of the stored results, by kind."""
    times: dict[str, list[float]] = {}
    for cell in cells:
        result = store.load(cell, set_aside=False)
        if result is not None and not math.isnan(result.seconds):
            times.setdefault(cell.kind, []).append(result.seconds / max(cell.size, 1))
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
