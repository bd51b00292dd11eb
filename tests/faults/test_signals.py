"""Signals: runs stop within seconds and go on later, and no process stays when the one that started it is gone."""

from __future__ import annotations

import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault_cases import Case, long_only


def seconds() -> float:
    """Within which everything has ended: 5, or longer where more processes want to run than there are cores."""
    return 5.0 * max(1.0, 1.5 * os.getloadavg()[0] / (os.cpu_count() or 1))


CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: -signal.SIGKILL}

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")


def members(session: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):  # it has ended meanwhile
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def assert_all_end(session: int, by: float) -> None:
    while left := members(session):
        assert time.monotonic() < by, [Path(f"/proc/{process}/cmdline").read_text() for process in left]
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", ["reproduce table1", "descend"])
def test_signal_at_any_moment_stops_a_run_which_goes_on(
    cases: Callable[[str], Case],
    name: str,
    number: signal.Signals,
    tally: Callable[[str], Any],
    points: Callable[[int, int], list[int]],
) -> None:
    counts, case, draw = tally(f"{number.name} to {name.split()[0]}"), cases(name), random.Random(number)
    for _ in points(1000, 1):
        folder = case.new()
        running = case.start(folder)
        time.sleep(draw.uniform(0, case.seconds))
        running.kill(number)
        code = running.wait(seconds())
        # Before it listens a process ends as all do; and where it had ended already its code is 0.
        before = {-number, 1 if number == signal.SIGINT else -number}
        assert code in {CODES[number], 0} | before and "Traceback" not in running.said, f"{code}: {running.said}"
        outcome, what = case.after(folder)
        counts.note(outcome, f"{code}: {what}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", ["reproduce table1", "descend"])
def test_signal_to_a_run_under_way_has_its_exit_code(
    cases: Callable[[str], Case], name: str, number: signal.Signals, tally: Callable[[str], Any]
) -> None:
    counts, case = tally(f"{number.name} to {name.split()[0]}"), cases(name)
    folder = case.new()
    running = case.start(folder)
    deadline = time.monotonic() + 60
    while not [*folder.glob("checkpoint-*.npz"), *folder.glob(".work/*.npz")]:
        assert time.monotonic() < deadline, running.said
        time.sleep(0.001)
    running.kill(number)
    assert running.wait(seconds()) == CODES[number], running.said
    assert "Stopped on request." in running.said and "Give the same command again to go on." in running.said
    counts.note(*case.after(folder))


def started_with_workers(case: Case, folder: Path) -> Any:
    """A command with two workers, of which one has written a checkpoint."""
    running, deadline = case.start(folder, "--jobs", "2"), time.monotonic() + 60
    while not [*folder.glob(".work/*.npz")]:
        assert time.monotonic() < deadline, running.said
        time.sleep(0.01)
    return running


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGKILL, *long_only(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)])
def test_no_worker_stays_when_its_parent_ends(
    commands: Any, cases: Callable[[str], Case], number: signal.Signals, tmp_path: Path, tally: Callable[[str], Any]
) -> None:
    counts, long = tally(f"{number.name} to reproduce --jobs 2"), cases("reproduce longer")
    folder = tmp_path / "stopped"
    running = started_with_workers(long, folder)
    assert len(members(running.process)) >= 3
    running.kill(number)
    by = time.monotonic() + seconds()
    try:
        assert running.wait(seconds()) == CODES[number], running.said
        assert_all_end(running.process, by)
    finally:
        for process in members(running.process):
            os.kill(process, signal.SIGKILL)
    counts.note(*long.after(folder))


@needs_proc
def test_killed_worker_is_said_with_what_is_there_and_how_to_go_on(
    cases: Callable[[str], Case], tmp_path: Path, tally: Callable[[str], Any]
) -> None:
    counts, long = tally("kill -9 of a worker"), cases("reproduce longer")
    folder = tmp_path / "killed"
    running = started_with_workers(long, folder)
    workers = [one for one in members(running.process) if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]
    os.kill(workers[0], signal.SIGKILL)
    assert running.wait(seconds()) == 2 and "Traceback" not in running.said, running.said
    (last,) = [line for line in running.said.splitlines() if line.startswith("Error: ")]
    assert "Error: a process that ran cells was killed, as systems do where memory runs out" in last, last
    state = rf"{re.escape(str(folder))} has \d of 2 results, and checkpoints of (cir-trunc-acf-\w+ up to|none of)"
    assert re.search(state, last), last
    again = shlex.join(["mfmgdm", *long.words(folder), "--jobs", "2"])
    assert "Give the same command again" in last and last.endswith(f"by --jobs: {again}"), last
    assert_all_end(running.process, time.monotonic() + seconds())
    counts.note(*long.after(folder))


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGKILL, *long_only(signal.SIGTERM)])
def test_ranks_end_with_torchrun(
    environment: dict[str, str], number: signal.Signals, tmp_path: Path, tally: Callable[[str], Any]
) -> None:
    counts, folder = tally(f"{number.name} to torchrun"), tmp_path / "run"
    tool, mfmgdm = (Path(sys.executable).with_name(name) for name in ("torchrun", "mfmgdm"))
    command = [
        *(tool, "--standalone", "--nproc-per-node", "2", "--no-python", mfmgdm, "descend", "--process", "ar01"),
        *("--paths", "4", "--length", "64", "--steps", "200000", "--step-size", "1e-6", "--checkpoint-every", "0"),
    ]
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(
            [*command, "--out", folder], env=environment, start_new_session=True, stdout=log, stderr=log
        )
    ranks: set[int] = set()
    try:
        deadline = time.monotonic() + 60
        while len([*folder.glob("checkpoint-*.npz")]) < 4:  # both have written both of theirs
            assert running.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.02)
        ranks = set(ranks_of(running.pid))
        assert len(ranks) == 2
        running.send_signal(number)
        by = time.monotonic() + seconds()
        while left := ranks & set(ranks_of(None)):
            assert time.monotonic() < by, f"ranks {left} stay"
            time.sleep(0.02)
        running.wait(60)
    finally:
        running.kill()
        running.wait()
        for process in ranks & set(ranks_of(None)):
            os.kill(process, signal.SIGKILL)
    counts.note("clear error")


def ranks_of(parent: int | None) -> list[int]:
    """Processes that torchrun has given a rank; of one parent, or of any that has gone."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            status = (environ.parent / "stat").read_text().rpartition(")")[2].split()
            if b"\0RANK=" in b"\0" + environ.read_bytes() and parent in (None, int(status[1])) and status[0] != "Z":
                found.append(int(environ.parent.name))
        except OSError:
            continue
    return found
