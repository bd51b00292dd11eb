"""Executors: processes on this machine, a Dask cluster that loses a worker, and one that is not there."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from mfmgdm_lib.companion import TABLE_1, Cell
from mfmgdm_lib.runs import ResultStore, complete, executors, run_cells

SMALL = tuple(
    dataclasses.replace(cell, n_steps=8, n_paths=4, target_samples=50) for cell in TABLE_1 if cell.energy == "acf"
)[:3]
"""Cells of a tenth of a second."""


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "store")


def table_bytes(store: ResultStore, cell: Cell) -> bytes:
    """The table of a result as it is on disk, without the lines above it, which say how long it took."""
    return b"".join(line for line in store.path(cell).read_bytes().splitlines(True) if not line.startswith(b"#"))


def assert_same_as_undisturbed(cells: tuple[Cell, ...], store: ResultStore, folder: Path) -> None:
    alone = ResultStore(folder)
    for cell in cells:
        complete(cell, alone)
        assert table_bytes(store, cell) == table_bytes(alone, cell), cell.key


def test_cells_are_run_here_in_order_and_found_afterwards(store: ResultStore) -> None:
    complete(SMALL[1], store)
    assert [*run_cells(SMALL, store)] == [(SMALL[0], "computed"), (SMALL[1], "found"), (SMALL[2], "computed")]
    assert [*run_cells(SMALL, store)] == [(cell, "found") for cell in SMALL]


def test_cell_that_another_has_is_waited_for_after_the_rest(store: ResultStore) -> None:
    runs = run_cells(SMALL, store)
    with ResultStore(store.folder).claim(SMALL[0]):
        # The first is passed over, so that the second comes first; nothing waits as long as there is something to do.
        assert [next(runs), next(runs)] == [(SMALL[1], "computed"), (SMALL[2], "computed")]
    assert [*runs] == [(SMALL[0], "computed")]


def test_jobs_have_to_be_some(store: ResultStore) -> None:
    with pytest.raises(ValueError, match="jobs is 0"):
        next(run_cells(SMALL, store, jobs=0))


def test_two_processes_on_this_machine_give_what_one_gives(
    store: ResultStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    outcomes = [*run_cells(SMALL, store, jobs=2)]
    assert sorted(outcomes, key=lambda pair: SMALL.index(pair[0])) == [(cell, "computed") for cell in SMALL]
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert_same_as_undisturbed(SMALL, store, tmp_path / "alone")


# --- a cluster ---------------------------------------------------------------------------------------------------


@dataclass
class Cluster:
    """A Dask scheduler and two workers, each a process of this machine."""

    address: str
    workers: list[subprocess.Popen[bytes]]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    distributed = pytest.importorskip("distributed")
    folder, processes = tmp_path / "cluster", []
    folder.mkdir()
    where = folder / "scheduler.json"

    def start(role: str, *options: str) -> subprocess.Popen[bytes]:
        # All have the library before there is work, so that both workers are at it at the same time.
        options = ("--scheduler-file", str(where), "--no-dashboard", "--preload", "mfmgdm_lib.companion", *options)
        command = [sys.executable, "-m", "dask", role, *options]
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
        processes.append(process)
        return process

    try:
        start("scheduler", "--host", "127.0.0.1", "--port", "0")
        # The scheduler creates the file first and writes it then; a worker that reads it in between ends.
        wait_until(lambda: where.is_file() and where.read_text().rstrip().endswith("}"))
        options = ("--no-nanny", "--nthreads", "1", "--local-directory", str(folder))
        workers = [start("worker", *options) for _ in range(2)]
        address = json.loads(where.read_text())["address"]
        with distributed.Client(address) as client:
            client.wait_for_workers(2, timeout=PATIENCE)
        yield Cluster(address, workers)
    finally:
        # Workers first, which would look for their scheduler.
        for process in reversed(processes):
            process.kill()
            process.wait()


PATIENCE = 60
"""Seconds after which something that should have happened has not."""


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def freeze(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)


def test_cells_of_a_worker_that_is_killed_are_taken_over(cluster: Cluster, store: ResultStore, tmp_path: Path) -> None:
    cells = tuple(
        dataclasses.replace(TABLE_1[k % 2], n_steps=100, n_paths=32, target_samples=50, initial_seed=(k,))
        for k in range(4)
    )
    states: list[str] = []

    def checkpoints() -> int:
        return sum(store.checkpoint_path(cell).is_file() for cell in cells)

    def freeze_at(count: int, worker: subprocess.Popen[bytes]) -> None:
        # However fast the machine is, the worker stops in the middle of a cell.
        while checkpoints() != count:
            worker.send_signal(signal.SIGCONT)
            wait_until(lambda: checkpoints() == count)
            freeze(worker)

    def kill_one() -> None:
        first, second = cluster.workers
        freeze_at(1, first)
        freeze_at(2, second)
        first.kill()
        first.wait()
        states.extend(store.progress(cell).state for cell in cells)
        second.send_signal(signal.SIGCONT)

    freeze(cluster.workers[1])
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_one)
        outcomes = [*run_cells(cells, store, scheduler=cluster.address, checkpoint_seconds=0.05)]
        killed.result()
    assert states.count("interrupted") == states.count("running") == 1
    assert cluster.workers[0].returncode == -signal.SIGKILL
    assert sorted(outcomes, key=lambda pair: cells.index(pair[0])) == [(cell, "computed") for cell in cells]
    # Nothing is left behind but results.
    assert {path for path in store.folder.iterdir() if path.is_file()} == {store.path(cell) for cell in cells}
    assert_same_as_undisturbed(cells, store, tmp_path / "alone")


def test_scheduler_that_does_not_answer_is_said(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(executors, "_CONNECT_SECONDS", 1)
    with socket.socket() as unheard:
        # A port that is taken, but at which nobody listens.
        unheard.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unheard.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(ConnectionError, match=rf"no Dask scheduler answers at '{address}'.*Start `dask scheduler`"):
            next(run_cells(SMALL, store, scheduler=address))
        assert time.monotonic() - began < 10
    assert not store.folder.exists()


def test_scheduler_without_workers_is_said(store: ResultStore) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=0, processes=False, protocol="tcp", dashboard_address=None) as empty,
        pytest.raises(ConnectionError, match=r"has no worker after 0\.1 s; .*Start `dask worker tcp://.*wait longer"),
    ):
        next(run_cells(SMALL, store, scheduler=empty.scheduler_address, worker_seconds=0.1))


def test_address_that_is_none_is_said(store: ResultStore) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(ConnectionError, match=r"at 'nonsense://here'.*expected an address such as tcp://host:8786"):
        next(run_cells(SMALL, store, scheduler="nonsense://here"))


def test_worker_that_does_not_see_the_store_says_so(store: ResultStore) -> None:
    store.folder.mkdir()
    mark, options = store.folder / "mark", {"device": "cpu", "checkpoint_seconds": 30.0}
    with pytest.raises(RuntimeError, match=rf"does not see the store {store.folder}; expected a folder that") as info:
        executors._complete_at(SMALL[0], store.folder, mark, options)
    there = pickle.loads(pickle.dumps(info.value))  # as it comes back from a worker
    assert "Take a ResultStore" in str(there) and there.args[0].in_shell.endswith("by --store.")
    assert [*store.folder.iterdir()] == []
    mark.touch()
    assert executors._complete_at(SMALL[0], store.folder, mark, options) == "computed"
