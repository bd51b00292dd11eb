"""Executors of many runs: in this process, in several, or on a Dask cluster."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._arrays import partial_path
from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib._progress import counter
from mfmgdm_lib._provenance import this_command
from mfmgdm_lib.errors import Message
from mfmgdm_lib.runs.cells import CHECKPOINT_SECONDS, Job, complete
from mfmgdm_lib.runs.interruption import WORKER_SECONDS, check_stop, end_without_parent
from mfmgdm_lib.runs.store import ResultStore

__all__ = ["run_cells"]

_POLL_SECONDS = 0.5

_CONNECT_SECONDS = 15


@checked
def run_cells(
    cells: Sequence[Job],
    store: ResultStore,
    *,
    jobs: int = 1,
    device: str = "cpu",
    scheduler: str | None = None,
    worker_seconds: float = 10.0,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Iterator[tuple[Job, str]]:
    """Run what is missing of some cells, and yield each with its outcome as soon as it is there.

    A bar shows the present step and divergence of each run. Cells that another process has are waited for at the end.

    Args:
        cells: what to run.
        store: where the results go.
        jobs: how many processes of this machine to use; the threads are shared out among them. With other numbers of
            threads sums may be rounded differently, as `complete` says.
        device: where tensors live.
        scheduler: address of a Dask scheduler whose workers run the cells in place of this machine. All have to have
            this library, and the workers to see the store under the same path.
        worker_seconds: how long to wait for the first worker of that scheduler.
        checkpoint_seconds: time between checkpoints.

    Yields:
        The cell, and "computed" or "found".

    Raises:
        OSError: the store cannot be written to, or the scheduler cannot be reached, is lost or has no workers.
        RuntimeError: a worker does not see the store, or was killed.
        StoppedError: this process was asked to stop, see `stop_signals`.
    """
    check_positive_int("jobs", jobs)
    options = {"device": device, "checkpoint_seconds": checkpoint_seconds}
    found = [cell for cell in cells if store.load(cell) is not None]
    for cell in found:
        store.forget_checkpoint(cell)
    if store.fallback is not None or len(found) == len(cells):  # which workers need not see, or a lock be taken of
        yield from ((cell, "found") for cell in found)
        if not (cells := [cell for cell in cells if cell not in found]):
            return
    with (
        _explained(cells, store),
        _executor(jobs, len(cells), scheduler, worker_seconds) as executor,
    ):
        store.expect(*(cell for cell in cells if cell not in found))
        outcomes: Iterator[tuple[Job, str]]
        if executor is None:
            outcomes = ((cell, _complete_with_bar(cell, store, options)) for cell in cells)
        else:
            outcomes = _outcomes(executor, cells, store, options)
        busy = []
        for cell, outcome in outcomes:
            if outcome == "busy":
                busy.append(cell)
            else:
                yield cell, outcome
            check_stop("Results that are there stay.")
    for cell in busy:
        yield cell, complete(cell, store, device=device, checkpoint_seconds=checkpoint_seconds, wait=True)


def _complete_with_bar(cell: Job, store: ResultStore, options: Mapping[str, Any]) -> str:
    with counter(total=cell.n_steps, description=cell.key) as bar:

        def watch(step: int, value: float) -> None:
            bar.set_postfix_str(cell.value_format.format(value), refresh=False)
            bar.update(step - bar.n)

        return complete(cell, store, watch=watch, **options)


def _executor(
    jobs: int, n_cells: int, scheduler: str | None, worker_seconds: float
) -> AbstractContextManager[Executor | None]:
    """The workers of a Dask cluster, processes of this machine, or None for this process."""
    if scheduler is not None:
        return _cluster(scheduler, worker_seconds)
    return _processes(jobs, n_cells) if jobs > 1 else nullcontext()


@contextmanager
def _processes(jobs: int, n_cells: int) -> Iterator[Executor]:
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    inherited = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = threads  # read once, when a new process loads its libraries
    context, others = multiprocessing.get_context("spawn"), set(multiprocessing.active_children())
    ours, theirs = context.Pipe()  # the system closes our end when this process dies, however that happens
    try:
        with ProcessPoolExecutor(
            min(jobs, n_cells), mp_context=context, initializer=_begin_worker, initargs=(theirs,)
        ) as pool:
            try:
                yield pool
            except BrokenProcessPool:  # which has ended the others
                raise
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                ours.close()
                _end(set(multiprocessing.active_children()) - others)
                raise
    finally:
        ours.close()
        theirs.close()
        del os.environ["OMP_NUM_THREADS"]
        if inherited is not None:
            os.environ["OMP_NUM_THREADS"] = inherited


@contextmanager
def _explained(cells: Sequence[Job], store: ResultStore) -> Iterator[None]:
    """Say of a process that was killed what is in the store, and how to go on."""
    try:
        yield
    except BrokenProcessPool as error:
        left = {cell.key: now for cell in cells if (now := store.progress(cell)).state != "done"}
        kept = [f"{key} up to step {now.step}" for key, now in left.items() if now.step]
        said = (
            "a process that ran cells was killed, as systems do where memory runs out; expected it to live as long as"
            f" its work. {store.folder} has {len(cells) - len(left)} of {len(cells)} results, and checkpoints of"
            f" {', '.join(kept) or 'none of the others'}."
        )
        mend, again = "to go on from there; where memory ran out with fewer jobs", this_command()
        option = f"Give the same command again {mend}, by --jobs" + (f": {again}" if again else ".")
        raise RuntimeError(Message(said, f"Run the same again {mend}.", option=option)) from error


def _end(processes: set[BaseProcess]) -> None:
    """Wait for processes that have been asked to stop; kill those that do not, or have not begun to listen."""
    deadline = time.monotonic() + WORKER_SECONDS
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
    for process in processes:
        process.kill()


def _begin_worker(parent: Connection) -> None:
    """Let a process that runs cells stop when its parent closes the connection or is gone, and at no signal before."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a terminal sends to all, while the parent decides
    end_without_parent(lambda: wait([parent]))


@contextmanager
def _cluster(address: str, worker_seconds: float) -> Iterator[Executor]:
    client = _connect(address)
    try:
        _wait_for_worker(client, address, worker_seconds)
        yield client.get_executor()
    except CancelledError as error:
        raise ConnectionError(
            f"the Dask scheduler at {address} is gone; expected it to stay until all cells are done. Results that are"
            " there stay, and the other cells have checkpoints: start a scheduler, and run the same again."
        ) from error
    except _killed_worker() as error:
        raise RuntimeError(
            f"several workers died with the same cell ({error}); expected workers that live as long as their work."
            " Give them more memory or time, and run again: the cell goes on from its last checkpoint."
        ) from error
    finally:
        with _without_log("distributed.client"):
            client.close()


def _outcomes(
    executor: Executor, cells: Sequence[Job], store: ResultStore, options: Mapping[str, Any]
) -> Iterator[tuple[Job, str]]:
    """Submit cells to an executor, and yield each with its outcome when it is there."""
    folder = store.folder.resolve()
    mark = partial_path(folder / "store")  # by which a worker knows that it sees it
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()
    try:
        yield from _gather({executor.submit(_complete_at, cell, folder, mark, options): cell for cell in cells}, store)
    finally:
        mark.unlink(missing_ok=True)


@contextmanager
def _without_log(name: str) -> Iterator[None]:
    """Drop what a logger is told of errors: attempts to reconnect that closing a client cuts off are none."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _killed_worker() -> type[Exception]:
    from distributed import KilledWorker

    return KilledWorker


def _connect(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise RuntimeError(
            "distributed is not installed; expected it for a Dask scheduler. pip install 'mfmgdm-lib[cluster]'"
        ) from error
    try:
        return Client(address, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        said = (
            f"no Dask scheduler answers at {address!r} ({error}); expected an address such as tcp://host:8786."
            " Start `dask scheduler` there,"
        )
        mend, option = "or leave scheduler out.", "or leave --scheduler out."
        raise ConnectionError(Message(said, mend, option=option)) from error


def _wait_for_worker(client: Any, address: str, seconds: float) -> None:
    try:
        client.wait_for_workers(1, timeout=seconds)
    except TimeoutError as error:
        said = f"the Dask scheduler at {address} has no worker after {seconds:g} s; expected at least one."
        mend = f"Start `dask worker {address}`, or wait longer with"
        raise ConnectionError(Message(said, f"{mend} worker_seconds.", option=f"{mend} --worker-seconds.")) from error


def _gather(futures: dict[Future[str], Job], store: ResultStore) -> Iterator[tuple[Job, str]]:
    """Yield each future's outcome when it is there; a bar counts the steps of all, as far as checkpoints tell."""
    total = sum(cell.n_steps for cell in futures.values())
    finished, pending = 0, dict(futures)
    with counter(total=total, description=f"{len(futures)} cells") as bar:
        while pending:
            done = [future for future in pending if future.done()]
            for future in done:
                cell = pending.pop(future)
                finished += cell.n_steps
                yield cell, future.result()
            check_stop("Results that are there stay, and the other cells have checkpoints.")
            if not done:
                time.sleep(_POLL_SECONDS)
            if not bar.disable:
                found = [(cell, store.progress(cell)) for cell in pending.values()]
                under_way = [(cell, now) for cell, now in found if now.state == "running" and now.step]
                values = [f"{cell.key}: {cell.value_format.format(now.value)}" for cell, now in under_way]
                bar.set_postfix_str(", ".join(values), refresh=False)
                bar.update(finished + sum(now.step for _, now in under_way) - bar.n)


def _complete_at(cell: Job, folder: Path, mark: Path, options: Mapping[str, Any]) -> str:
    if not mark.is_file():
        said = f"a worker does not see the store {folder}; expected a folder that all workers share under one path."
        mend, option = "Take a ResultStore on a common file system.", "Name one on a common file system by --store."
        raise RuntimeError(Message(said, mend, option=option))
    return complete(cell, ResultStore(folder, report=_say_beside_bars), **options)


def _say_beside_bars(text: str) -> None:
    """Print a sentence where a worker's errors go, at once."""
    print(text, file=sys.stderr, flush=True)
