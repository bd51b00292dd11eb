"""Cells, the specifications of runs, and the execution of one of them into a store, with checkpoints."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib._threads import threads_so_far
from mfmgdm_lib.runs.interruption import check_stop
from mfmgdm_lib.runs.run import Run
from mfmgdm_lib.runs.store import Progress, Result, ResultStore, Specification

__all__ = ["CHECKPOINT_SECONDS", "Job", "Watcher", "complete", "seconds_left"]

CHECKPOINT_SECONDS = 30.0
"""Time between checkpoints: what is lost, at most, when a run is killed."""

_THREADS = "threads"
"""What a checkpoint and the provenance of a result call the numbers of threads that a run has had."""

Watcher = Callable[[int, float], None]
"""Called with the present step and the value of the run."""


class Job(Specification, Protocol):
    """A specification that knows how to run itself: a cell of Table 1, or of Figures 6 to 10."""

    @property
    def n_steps(self) -> int:
        """Steps, by which progress is counted."""

    @property
    def value_format(self) -> str:
        """Format of the value of a run."""

    @property
    def kind(self) -> str:
        """Runs of one kind take the same time for each unit of `size`."""

    @property
    def size(self) -> int:
        """How much work it is."""

    def run(self, *, device: str = "cpu") -> Run[Any]:
        """Begin; the run does not raise errors of the descent, for what came before them is a result."""

    def summarize(self, run: Run[Any]) -> tuple[pd.DataFrame, dict[str, Any]]:
        """What is kept of a run: a table, and facts for the provenance."""

    def headline(self, result: Result) -> str:
        """The result in a few words."""


@checked
def complete(
    cell: Job,
    store: ResultStore,
    *,
    device: str = "cpu",
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    watch: Watcher | None = None,
    wait: bool = False,
) -> str:
    """Run a cell unless its result is there, going on from its last checkpoint; the result has the same bits.

    It has with as many threads as before. With others, as another number of processes has, sums may be rounded
    differently, 10⁻¹⁶ of themselves or 10⁻⁷ in float32, which a descent makes more of: the store's `report` is told so,
    and the provenance of a result has its `threads`, several where they changed on the way.

    Args:
        cell: what to run.
        store: where its result goes.
        device: where to run it.
        checkpoint_seconds: time between checkpoints.
        watch: is told of every step.
        wait: whether to wait for another process that has the cell.

    Returns:
        "computed", "found" if it was there, or "busy" if another process is at it.

    Raises:
        OSError: the store cannot be written to; the last checkpoint is still there.
        StoppedError: this process was asked to stop; a checkpoint of the present step has been written.
    """
    if not checkpoint_seconds >= 0:
        raise ValueError(f"checkpoint_seconds is {checkpoint_seconds!r}; expected at least 0. Use such as 60.")
    if store.load(cell) is not None:  # before the lock, which a store that may only be read cannot have
        store.forget_checkpoint(cell)
        return "found"
    with store.claim(cell, wait=wait) as mine:
        if not mine:
            return "busy"
        if store.load(cell) is not None:
            return "found"
        run = cell.run(device=device)
        before, threads = _take_up(run, cell, store)
        facts = _follow(run, cell, store, before, threads, checkpoint_seconds, watch)
        table, about = cell.summarize(run)
        store.save(cell, table, {**facts, **about, "device": device, _THREADS: threads})
    return "computed"


def _take_up(run: Run[Any], cell: Job, store: ResultStore) -> tuple[float, list[int]]:
    """Go on from the last checkpoint, if there is one: seconds up to there, and numbers of threads that it has had."""
    kept = store.load_checkpoint(cell)
    if kept is not None:
        arrays, progress = kept
        before = arrays.pop(_THREADS, np.empty(0, dtype=int))  # which earlier versions did not write
        try:
            run.restore(arrays)
            return progress.seconds, threads_so_far(before.tolist(), lambda text: store.say(f"{cell.key}: {text}"))
        except (TypeError, ValueError) as error:
            store.drop_checkpoint(cell, str(error))
    return 0.0, threads_so_far([], store.say)


def _follow(
    run: Run[Any],
    cell: Job,
    store: ResultStore,
    before: float,
    threads: Sequence[int],
    interval: float,
    watch: Watcher | None,
) -> dict[str, Any]:
    """Take a run to its end, and say how that went."""
    began = last = time.monotonic()
    facts: dict[str, Any] = {}

    def put_down() -> None:
        about = Progress("interrupted", run.step, before + time.monotonic() - began, run.value())
        store.save_checkpoint(cell, {**run.checkpoint(), _THREADS: np.array(threads)}, about)

    for step in run.steps():
        if watch is not None:
            watch(step, run.value())
        if step == run.n_steps:
            continue
        check_stop(f"{cell.key} is kept up to step {step} of {run.n_steps}.", put_down)
        if time.monotonic() - last >= interval:
            put_down()
            last = time.monotonic()
    if run.stopped is not None:
        facts["ended"] = str(run.stopped)
    return {
        **facts,
        "wall_time": round(before + time.monotonic() - began, 1),
        "peak_memory_mb": _peak_memory(),
    }


def _peak_memory() -> int | None:
    """Largest resident size of this process so far, MB; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (1e6 if sys.platform == "darwin" else 1e3))


def seconds_left(cell: Job, progress: Progress, rates: dict[str, float]) -> float:
    """Guess how long a cell will take from where it is; NaN where nothing like it has been run.

    Args:
        cell: what is to run.
        progress: how far it is.
        rates: seconds for each unit of size of results that are there, by kind.
    """
    if progress.state == "done":
        return 0.0
    if progress.step > 0:
        return progress.seconds / progress.step * (cell.n_steps - progress.step)
    return rates.get(cell.kind, np.nan) * cell.size
