"""The command `mfmgdm descend`, which runs one descent in one process or in several under `torchrun`."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfmgdm_lib._provenance import this_command
from mfmgdm_lib.cli.errors import reported_errors
from mfmgdm_lib.cli.options import CHECKPOINT_SECONDS, ENERGIES, MODELS, PROCESSES, check_memory, option_group
from mfmgdm_lib.cli.output import say, stopped_by_signals

if TYPE_CHECKING:
    from torch import Tensor

    from mfmgdm_lib.companion.table1 import Cell
    from mfmgdm_lib.descents import Descent
    from mfmgdm_lib.distributed import Checkpoints, Shard
    from mfmgdm_lib.runs.run import Run

__all__ = ["descend"]

KIND = "paths of a descent"
"""What an .npz file says that it holds."""


def _steps(context: click.Context, parameter: click.Parameter, value: str | None) -> int | str | None:
    """A number of steps, or "balanced"."""
    if value is None or value == "balanced":
        return value
    if not value.isdecimal():
        raise click.BadParameter(f"{value!r} is no number from 0 on; expected one such as 250, or balanced.")
    return int(value)


_descent_options = option_group(
    click.option("--process", type=click.Choice(PROCESSES), required=True, help="Law that is imitated."),
    click.option("--energy", type=click.Choice(ENERGIES), default="acf", show_default=True, help="Energy of a path."),
    click.option("--model", type=click.Choice(MODELS), default="mf", show_default=True, help="What moves a path."),
    click.option("--paths", type=click.IntRange(min=1), default=128, show_default=True, help="Paths in all."),
    click.option("--length", type=click.IntRange(min=2), default=1024, show_default=True, help="Points of each path."),
    click.option(
        "--steps",
        metavar="NUMBER",
        callback=_steps,
        help="How many steps, or balanced: up to where five in a row cost more than they gain, which a descent of its"
        " own finds out first, in one process.  [default: as in Table 1]",
    ),
    click.option(
        "--max-steps",
        type=click.IntRange(min=1),
        help="How many at most with --steps balanced.  [default: as in Table 1]",
    ),
    click.option("--step-size", type=float, help="Dimensionless.  [default: as in Table 1]"),
    click.option(
        "--seed",
        "seeds",
        type=click.IntRange(min=0),
        multiple=True,
        default=(2, 12345),
        help="Of the starting paths; may be repeated.  [default: the paper's, 2 and 12345]",
    ),
    click.option("--determinants", is_flag=True, help="Follow the log-determinant, where it is exact."),
)

_run_options = option_group(
    click.option(
        "--out",
        "folder",
        type=click.Path(path_type=Path),
        required=True,
        metavar="FOLDER",
        help="Folder of the output.",
    ),
    click.option("--force", is_flag=True, help="Replace output, and checkpoints of other settings, that are there."),
    click.option(
        "--checkpoint-every",
        "every",
        type=click.FloatRange(min=0),
        default=CHECKPOINT_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="What is lost, at most, when a process dies.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=300.0,
        show_default=True,
        metavar="SECONDS",
        help="How long one process waits for another.",
    ),
    click.option(
        "--device",
        type=click.Choice(["cpu", "cuda"]),
        default="cpu",
        show_default=True,
        help="cpu with gloo, or cuda with NCCL: a GPU for each process.",
    ),
)


_TORCHRUN = """\b
Two processes on one machine, with the path of mfmgdm where it is not on PATH:
  torchrun --standalone --nproc-per-node 2 --no-python mfmgdm descend ...

\b
Two machines with eight GPUs each: on both, with the address of one of them,
  torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d
    --rdzv-endpoint HOST:29500 --rdzv-id NAME
    --no-python mfmgdm descend --device cuda ...
"""


@click.command("descend", epilog=_TORCHRUN)
@_descent_options
@_run_options
def descend(
    seeds: tuple[int, ...],
    steps: int | str | None,
    max_steps: int | None,
    determinants: bool,
    folder: Path,
    force: bool,
    every: float,
    timeout: float,
    device: str,
    **which: Any,
) -> None:
    """Run one descent, on as many processes as there are.

    Alone it is one process. Under torchrun the paths are shared out, and the result is the same to round-off.

    The folder, best one that all machines see, gets trace.csv, with the mean over all paths at each step, and a file of
    paths from each process. Both say what made them, trace.csv in lines that begin with #. A run that was stopped goes
    on from its last checkpoint when the command is given again, and ends with the same bits, to round-off with another
    number of threads (OMP_NUM_THREADS).
    """
    from mfmgdm_lib.distributed import Checkpoints, LostProcessError, join
    from mfmgdm_lib.specification import arguments_of

    with reported_errors(), join(device, timeout=timeout) as shard, _reported_stop(shard), _alone_in(folder, shard):
        _check_steps(steps, max_steps, shard)
        at_most = max_steps if isinstance(steps, str) else steps
        check_memory(paths=which["paths"], length=which["length"])
        cell = _cell(initial_seed=tuple(seeds), steps=at_most, **which)
        check_memory(steps=cell.n_steps)
        shard.rows(cell.n_paths)
        if isinstance(steps, str):
            _check_outputs(folder, shard, force or any(folder.glob("checkpoint-*")))
            cell = _stopped(cell, shard)
        settings = arguments_of(cell) | {"determinants": determinants, "device": device}
        checkpoints = Checkpoints(folder, shard, settings, report=lambda text: say(text, err=True))
        # Output beside a checkpoint of the same run is of one that was killed while it wrote it.
        _check_outputs(folder, shard, force or checkpoints.unfinished)
        kept = checkpoints.load(force=force)
        try:
            run = _start(cell, shard, determinants)
            if kept is not None:
                run.restore(kept)
                _echo(shard, f"Going on from the checkpoint of step {run.step}.")
            _finish(run, checkpoints, cell.n_paths, every)
        except LostProcessError as error:
            raise LostProcessError(f"{error} {_resume_hint(checkpoints)}") from error


def _cell(
    *, process: str, energy: str, model: str, paths: int, steps: int | None, step_size: float | None, **rest: Any
) -> Cell:
    """The cell of Table 1 by these names, with the settings that are given in place of its own."""
    from mfmgdm_lib.companion.table1 import TABLE_1, select

    (cell,) = select(TABLE_1, [f"{process}-{energy}-{model}"])
    return dataclasses.replace(
        cell,
        n_paths=paths,
        n_steps=cell.n_steps if steps is None else steps,
        step_size=cell.step_size if step_size is None else step_size,
        dtype="float64",
        **rest,
    )


def _check_steps(steps: int | str | None, max_steps: int | None, shard: Shard) -> None:
    """Refuse options that do not go with a stop by the rule, or without it."""
    balanced = steps == "balanced"
    if max_steps is not None and not balanced:
        raise ValueError(
            f"--max-steps is {max_steps} without --steps balanced; expected both or neither. Use --steps {max_steps}"
            " for as many steps."
        )
    if balanced and shard.count > 1:
        raise ValueError(
            f"--steps is balanced on {shard.count} processes; expected a number of steps, since the stop is found in"
            " one process. Find it without torchrun, and pass it on as --steps."
        )


def _stopped(cell: Cell, shard: Shard) -> Cell:
    """The same cell with the steps up to where the price of five in a row exceeds their gain, which is said."""
    from mfmgdm_lib.stopping import balanced_stop

    stop = balanced_stop(*_model_and_start(cell, shard), cell.n_steps)
    _echo(shard, f"The descent {stop.message}.")
    return dataclasses.replace(cell, n_steps=stop.step)


def _check_outputs(folder: Path, shard: Shard, force: bool) -> None:
    """Refuse an output that cannot be written before the descent is run."""
    from mfmgdm_lib._provenance import now
    from mfmgdm_lib.io.files import check_output

    now()  # which the output will have
    check_output(folder / "trace.csv", (".csv",), force)
    for path in [_part_file(folder, shard), *sorted(folder.glob("paths-*-of-*.npz"))]:
        check_output(path, (".npz",), force)


def _part_file(folder: Path, shard: Shard) -> Path:
    return folder / f"paths-{shard.rank}-of-{shard.count}.npz"


def _model_and_start(cell: Cell, shard: Shard) -> tuple[Descent, Tensor]:
    """The whole model, and this process's own starting paths."""
    from mfmgdm_lib.companion import table1

    experiment = cell.experiment()
    x0 = shard.draw(experiment.start, cell.n_paths, cell.length, cell.initial_seed).to(shard.device)
    return experiment.model(table1.MODELS[cell.model]), x0


def _start(cell: Cell, shard: Shard, determinants: bool) -> Run[Any]:
    from mfmgdm_lib.distributed import shared_run

    model, x0 = _model_and_start(cell, shard)
    return shared_run(shard.share(model, cell.n_paths), x0, cell.n_steps, determinants=determinants)


def _finish(run: Run[Any], checkpoints: Checkpoints, n_paths: int, every: float) -> None:
    """Finish the run, write its results, and then delete the checkpoints."""
    import numpy as np

    from mfmgdm_lib._arrays import replace_file, save_arrays
    from mfmgdm_lib._progress import progress
    from mfmgdm_lib._provenance import as_json
    from mfmgdm_lib.distributed import follow
    from mfmgdm_lib.io.files import headed_csv

    shard, folder = checkpoints.shard, checkpoints.folder
    steps = follow(run, checkpoints, every=every)
    for _ in steps if shard.rank else progress(steps, total=run.n_steps - run.step + 1, description="descend"):
        pass
    table, first = run.summary(), shard.rows(n_paths).start
    about = _provenance(checkpoints)
    arrays = {
        "paths": run.paths.cpu().numpy(),
        "first": np.array(first),
        "step": np.array(run.step),
        **{name: np.array(as_json(value) if name == "settings" else value) for name, value in about.items()},
    }
    part = save_arrays(_part_file(folder, shard), KIND, arrays)
    if shard.rank == 0:
        replace_file(folder / "trace.csv", headed_csv(table, about))
        for path in folder.glob("paths-*-of-*.npz"):  # of an earlier run, which --force replaces
            if not path.name.endswith(f"-of-{shard.count}.npz"):
                path.unlink()
    checkpoints.clear()
    parts = part if shard.count == 1 else f"{part} and those of {shard.count - 1} more"
    _echo(shard, f"Wrote {folder / 'trace.csv'}, {parts}.")
    _echo(shard, f"Loss {table['loss'].iloc[-1]:.2e} after {run.step} steps; {shard.sent} bytes sent by each process.")


def _provenance(checkpoints: Checkpoints) -> dict[str, Any]:
    """What made a descent, and from which settings; its threads are those that it has had in all its parts."""
    from mfmgdm_lib._provenance import provenance

    settings = checkpoints.settings
    told = {"kind": KIND, "seed": repr(tuple(settings["initial_seed"])), "settings": settings}
    return told | provenance() | {"threads": checkpoints.threads}


def _echo(shard: Shard, text: str) -> None:
    if shard.rank == 0:
        say(text)


def _resume_hint(checkpoints: Checkpoints) -> str:
    if checkpoints.step is None:
        return "There is no checkpoint yet: give the same command again to start afresh."
    return (
        f"The last checkpoint is that of step {checkpoints.step}, in {checkpoints.folder}. Give the same command again"
        f" to go on from there: torchrun ... --no-python {this_command()}"
    )


@contextmanager
def _alone_in(folder: Path, shard: Shard) -> Iterator[None]:
    """Make the folder, and refuse it while another run is at work in it."""
    from filelock import FileLock, Timeout

    from mfmgdm_lib._arrays import sweep_partials

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{folder} cannot be made ({error.strerror}); expected a folder, or a place for one. Name another one",
        ) from error
    if shard.rank:  # the first process answers for all
        yield
        return
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"another run is at work in {folder}; expected a folder of its own for each. Wait for it, or name another"
            " folder."
        ) from None
    for name in ("trace.csv", *(f"paths-{rank}-of-{shard.count}.npz" for rank in range(shard.count))):
        sweep_partials(folder, name, older_than=0.0)  # by a run that was killed, for there is no other now
    try:
        yield
    finally:
        with suppress(OSError):
            Path(lock.lock_file).unlink()  # whoever waits for it notices that it is gone
        lock.release()


@contextmanager
def _reported_stop(shard: Shard) -> Iterator[None]:
    """Stop between two steps at a signal; in one of several processes, raise an error when `torchrun` says so.

    It does when another has failed. Further signals are ignored then.
    """
    from mfmgdm_lib.distributed import LostProcessError

    if shard.count == 1:
        with stopped_by_signals():
            yield
        return

    def stop(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise LostProcessError(
            f"process {shard.rank} of {shard.count} was told to stop, as torchrun tells all when one has failed;"
            " expected all to stay. Look at what that one said."
        )

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except LostProcessError:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the error has yet to be reported
        raise
    else:
        signal.signal(signal.SIGTERM, before)
