"""Executors of many runs: in this process, in several, or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib._progress import counter
from mfmgdm_lib.errors import Message
from mfmgdm_lib.runs.cells import CHECKPOINT_SECONDS, Job, complete
from mfmgdm_lib.runs.store import ResultStore

__all__ = ["run_cells"]

_POLL_SECONDS = 0.5

_CONNECT_SECONDS = 15


def run_cells(
    cells: Sequence[Job],
    store: ResultStore,
    *,
    jobs: int = 1,
    device: str = "cpu",
    scheduler: str | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Iterator[tuple[Job, str]]:
    """Run what is missing of some cells, and yield each with its outcome as soon as it is there.

    A bar shows the present step and divergence of each run. Cells that another process has are waited for at the end.

    Args:
        cells: what to run.
        store: where the results go.
        jobs: how many processes of this machine to use; the threads are shared out among them.
        device: where tensors live.
        scheduler: address of a Dask scheduler whose workers run the cells in place of this machine. All have to have
            this library, and the workers to see the store under the same path.
        checkpoint_seconds: time between checkpoints.

    Yields:
        The cell, and "computed" or "found".

    Raises:
        OSError: the store cannot be written to, or the scheduler cannot be reached.
        RuntimeError: a worker does not see the store, or died with the same cell several times.
    """
    check_positive_int("jobs", jobs)
    options = {"device": device, "checkpoint_seconds": checkpoint_seconds}
    if store.beneath is not None:  # which workers need not see
        found = [cell for cell in cells if store.load(cell) is not None]
        yield from ((cell, "found") for cell in found)
        cells = [cell for cell in cells if cell not in found]
    if scheduler is not None:
        outcomes = _on_cluster(cells, store, scheduler, options)
    elif jobs > 1:
        outcomes = _on_processes(cells, store, jobs, options)
    else:
        outcomes = ((cell, _watched(cell, store, options)) for cell in cells)
    busy = []
    for cell, outcome in outcomes:
        if outcome == "busy":
            busy.append(cell)
        else:
            yield cell, outcome
    for cell in busy:
        yield cell, complete(cell, store, device=device, checkpoint_seconds=checkpoint_seconds, wait=True)


def _watched(cell: Job, store: ResultStore, options: Mapping[str, Any]) -> str:
    with counter(total=cell.n_steps, description=cell.key) as bar:

        def watch(step: int, value: float) -> None:
            bar.set_postfix_str(cell.watched.format(value), refresh=False)
            bar.update(step - bar.n)

        return complete(cell, store, watch=watch, **options)


def _on_processes(
    cells: Sequence[Job], store: ResultStore, jobs: int, options: Mapping[str, Any]
) -> Iterator[tuple[Job, str]]:
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    inherited = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = threads  # read once, when a new process loads its libraries
    try:
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            futures = {pool.submit(_complete_in, cell, store.folder, options): cell for cell in cells}
            try:
                yield from _gather(futures, store)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        del os.environ["OMP_NUM_THREADS"]
        if inherited is not None:
            os.environ["OMP_NUM_THREADS"] = inherited


def _on_cluster(
    cells: Sequence[Job], store: ResultStore, address: str, options: Mapping[str, Any]
) -> Iterator[tuple[Job, str]]:
    client = _connect(address)
    folder = store.folder.resolve()
    mark = folder / f"{uuid.uuid4().hex}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.touch()
        sent = client.map(_complete_at, cells, folder=folder, mark=mark, options=options, pure=False)
        futures = dict(zip(sent, cells, strict=True))
        yield from _gather(futures, store)
    except _killed_worker() as error:
        raise RuntimeError(
            f"several workers died with the same cell ({error}); expected workers that live as long as their work."
            " Give them more memory or time, and run again: the cell goes on from its last checkpoint."
        ) from error
    finally:
        mark.unlink(missing_ok=True)
        client.close()


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


def _gather(futures: dict[Any, Job], store: ResultStore) -> Iterator[tuple[Job, str]]:
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
            if not done:
                time.sleep(_POLL_SECONDS)
            if not bar.disable:
                found = [(cell, store.progress(cell)) for cell in pending.values()]
                under_way = [(cell, now) for cell, now in found if now.state == "running" and now.step]
                bar.set_postfix_str(
                    ", ".join(f"{cell.key}: {cell.watched.format(now.value)}" for cell, now in under_way), refresh=False
                )
                bar.update(finished + sum(now.step for _, now in under_way) - bar.n)


def _complete_in(cell: Job, folder: Path, options: Mapping[str, Any]) -> str:
    return complete(cell, ResultStore(folder), **options)


def _complete_at(cell: Job, folder: Path, mark: Path, options: Mapping[str, Any]) -> str:
    if not mark.is_file():
        said = f"a worker does not see the store {folder}; expected a folder that all workers share under one path."
        mend, option = "Take a ResultStore on a common file system.", "Name one on a common file system by --store."
        raise RuntimeError(Message(said, mend, option=option))
    return _complete_in(cell, folder, options)
