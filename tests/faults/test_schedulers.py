"""A Dask scheduler that dies or has no workers: what is there stays, and the error says how to go on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_cases import Case, long_only

distributed = pytest.importorskip("distributed")

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Start]:
    """Begins a process of Dask: "scheduler", which leaves its address in a file, or "worker"."""
    processes: list[subprocess.Popen[bytes]] = []
    where = tmp_path / "scheduler.json"

    def begin(role: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", role, "--scheduler-file", where, "--no-dashboard", *options]
        with (tmp_path / f"{role}.log").open("wb") as log:
            processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=tmp_path))
        return processes[-1]

    yield begin
    for process in reversed(processes):  # workers first, which would look for their scheduler
        process.kill()
        process.wait()


def address(folder: Path) -> str:
    """That of the scheduler, once it is there."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return str(json.loads((folder / "scheduler.json").read_text())["address"])
        except (OSError, ValueError):
            assert time.monotonic() < deadline, (folder / "scheduler.log").read_text()
            time.sleep(0.02)


def test_scheduler_that_dies_is_said_and_the_store_is_whole(
    cases: Callable[[str], Case], start: Start, tmp_path: Path, tally: Callable[[str], Any]
) -> None:
    counts, case, folder = tally("scheduler killed"), cases("reproduce longer"), tmp_path / "store"
    scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0")
    at = address(tmp_path)
    start("worker", "--no-nanny", "--nthreads", "1", "--local-directory", str(tmp_path))
    running = case.start(folder, "--scheduler", at, "--worker-seconds", "60")
    deadline = time.monotonic() + 60
    while not [*folder.glob(".work/*.npz")]:  # a cell is under way
        assert time.monotonic() < deadline, running.said
        time.sleep(0.01)
    scheduler.kill()
    code = running.wait()
    gone = f"the Dask scheduler at {at} is gone; expected it to stay until all cells are done. Results that are there"
    assert code == 2 and gone in running.said and "Traceback" not in running.said, running.said
    assert "start a scheduler, and run the same again" in running.said
    counts.note(*case.after(folder))


@pytest.mark.parametrize("seconds", [1, *long_only(10)])
def test_scheduler_without_workers_is_said(
    cases: Callable[[str], Case], seconds: int, start: Start, tmp_path: Path, tally: Callable[[str], Any]
) -> None:
    counts, case, folder = tally("scheduler without workers"), cases("reproduce longer"), tmp_path / "store"
    start("scheduler", "--host", "127.0.0.1", "--port", "0")
    at, began = address(tmp_path), time.monotonic()
    running = case.start(folder, "--scheduler", at, *([] if seconds == 10 else ["--worker-seconds", str(seconds)]))
    assert running.wait() == 2 and seconds <= time.monotonic() - began < seconds + 10
    assert f"has no worker after {seconds} s; expected at least one. Start `dask worker {at}`" in running.said
    assert "wait longer with --worker-seconds" in running.said and not folder.exists()
    counts.note("clear error")
