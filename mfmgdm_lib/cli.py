"""The bell: the command `mfmgdm`, which asks the library and says what it answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from mfmgdm_lib.experiments import running, scheduling
from mfmgdm_lib.experiments.results import results_folder
from mfmgdm_lib.experiments.table1 import PROFILES, TABLE_1, Cell, select, table_1
from mfmgdm_lib.store import ResultStore

__all__ = ["main"]

_FOLDERS = {"paper": "table1", "quick": "quick"}


@click.group()
@click.version_option(package_name="mfmgdm-lib")
def main() -> None:
    """Reproduce the numbers of "Mean-Field Microcanonical Gradient Descent"."""


@main.group()
def reproduce() -> None:
    """Run what a table or figure of the paper shows."""


@main.group()
def verify() -> None:
    """Check what is stored."""


def _cells_and_store(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which cells are meant, and where their results are."""
    for option in (
        click.option(
            "--store",
            "folder",
            type=click.Path(path_type=Path),
            help="Folder of the results.  [default: results/table1, or results/quick]",
        ),
        click.option(
            "--profile", type=click.Choice(PROFILES), default="paper", show_default=True, help="Size of a run."
        ),
        click.option(
            "--cells", multiple=True, metavar="PATTERN", help="Such as 'ar01-*' or '*-acf-mf'; may be repeated."
        ),
    ):
        command = option(command)
    return command


@reproduce.command("table1")
@_cells_and_store
@click.option(
    "--replicates", type=click.IntRange(min=0), default=0, metavar="K", help="Run K independent copies of each cell."
)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes on this machine.")
@click.option("--device", default="cpu", show_default=True, help="Where tensors live, such as cuda.")
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers run the cells.")
@click.option("--list", "listing", is_flag=True, help="Show the state of each cell, and run nothing.")
@click.option("--dry-run", is_flag=True, help="Name the cells that would be run, and run nothing.")
def table1(
    cells: Sequence[str],
    profile: str,
    folder: Path | None,
    replicates: int,
    jobs: int,
    device: str,
    scheduler: str | None,
    listing: bool,
    dry_run: bool,
) -> None:
    """Run the cells of Table 1 and Figure 5 that are missing.

    A run that is stopped, however that happens, goes on from its last checkpoint when the command is given again.
    """
    with _errors_said():
        wanted = select(table_1(profile), cells)
        if replicates:
            wanted = tuple(cell.replicate(k) for k in range(1, replicates + 1) for cell in wanted)
        store = _store(folder, "replicates" if replicates else _FOLDERS[profile])
        missing = [cell for cell in wanted if store.progress(cell).state != "done"]
        if listing:
            _list(wanted, store)
        elif dry_run:
            for cell in missing:
                click.echo(f"{cell.key}  seed {cell.initial_seed}  {cell.n_steps} steps  -> {store.path(cell)}")
            click.echo(f"{len(missing)} of {len(wanted)} cells would be run.")
        else:
            _check_device(device)
            runs = scheduling.run_cells(wanted, store, jobs=jobs, device=device, scheduler=scheduler)
            for done, (cell, outcome) in enumerate(runs, start=1):
                click.echo(f"[{done}/{len(wanted)}] {cell.key}  {_result_text(cell, store)}  ({outcome})")


@verify.command("results")
@_cells_and_store
@click.option(
    "--steps", type=click.IntRange(min=1), default=8, show_default=True, help="Steps to recompute of each trace."
)
def results(cells: Sequence[str], profile: str, folder: Path | None, steps: int) -> None:
    """Recompute the first steps of each stored trace; exit with 1 if one is off or damaged, or none is there."""
    with _errors_said():
        wanted, store = select(table_1(profile), cells), _store(folder, _FOLDERS[profile])
        good = bad = 0
        for cell in wanted:
            try:
                apart = running.drift(cell, store.read(cell), steps)
                verdict = f"{apart:.2g} of what is allowed"
            except FileNotFoundError:
                click.echo(f"----  {cell.key}: not run yet")
                continue
            except ValueError as error:
                apart, verdict = math.inf, str(error)
            good, bad = (good + 1, bad) if apart <= 1.0 else (good, bad + 1)
            click.echo(f"{'ok  ' if apart <= 1.0 else 'FAIL'}  {cell.key}: {verdict}")
        click.echo(f"{good} of {good + bad} stored traces agree over their first {steps} steps.")
    if bad or not good:
        raise SystemExit(1)


def _store(folder: Path | None, name: str) -> ResultStore:
    return ResultStore(
        results_folder() / name if folder is None else folder, report=lambda text: click.echo(text, err=True)
    )


class _BadInputError(click.ClickException):
    """Something that the caller can mend."""

    exit_code = 2


@contextmanager
def _errors_said() -> Iterator[None]:
    """Say an expected error in a sentence, and exit with 2."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise _BadInputError(error.strerror if isinstance(error, OSError) and error.strerror else str(error)) from error


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device is {device!r}; expected one that this machine has, such as cpu. ({error})") from error


def _result_text(cell: Cell, store: ResultStore) -> str:
    result = store.load(cell)
    if result is None:
        return "missing"
    best = result.table["reverse_kl"].idxmin()
    row = result.table.loc[best]
    return f"KL {row['reverse_kl']:.2f} ± {row['standard_error']:.2f} at step {best}"


def _list(cells: Sequence[Cell], store: ResultStore) -> None:
    rates = _rates(TABLE_1, _store(None, "table1")) | _rates(cells, store)
    total = 0.0
    click.echo(f"{'cell':24} {'state':12} {'step':>11} {'wall time':>12} {'left':>12}  reverse KL")
    for cell in cells:
        result, progress = store.load(cell, set_aside=False), store.progress(cell)
        left = running.seconds_left(cell, progress, rates)
        total += left
        if result is not None:
            step, spent, value = cell.n_steps, result.provenance["wall_time"], _result_text(cell, store)
        else:
            step, spent = progress.step, progress.seconds
            value = f"KL {progress.value:.2f} so far" if step else ""
        times = f"{_duration(spent):>12} {_duration(left):>12}"
        click.echo(f"{cell.key:24} {progress.state:12} {step:5}/{cell.n_steps:<5} {times}  {value}".rstrip())
    click.echo(f"Left, one after the other: {_duration(total)}")


def _rates(cells: Sequence[Cell], store: ResultStore) -> dict[str, float]:
    """Seconds for each path and step of the results that are there, by energy."""
    times: dict[str, list[float]] = {}
    for cell in cells:
        result = store.load(cell, set_aside=False)
        if result is not None:
            times.setdefault(cell.energy, []).append(result.provenance["wall_time"] / (cell.n_steps * cell.n_particles))
    return {energy: sum(values) / len(values) for energy, values in times.items()}


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
