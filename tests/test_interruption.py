"""Requests to stop: signals, a parent that is gone, and what is kept of the runs that they end."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mfmgdm_lib.companion import TABLE_1
from mfmgdm_lib.runs import Progress, ResultStore, complete, run_cells
from mfmgdm_lib.runs.interruption import StoppedError, check_stop, stop_signals

CELL = dataclasses.replace(TABLE_1[0], n_steps=8, n_paths=4, target_samples=50)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_run_stops_between_two_steps_and_goes_on_with_the_same_bits(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    store, alone = ResultStore(tmp_path / "stopped"), ResultStore(tmp_path / "alone")

    def at_third(step: int, value: float) -> None:
        if step == 3:
            os.kill(os.getpid(), number)

    with pytest.raises(StoppedError, match=r"kept up to step 3 of 8.*Give the same command") as stopped, stop_signals():
        complete(CELL, store, watch=at_third)
    assert stopped.value.exit_code == code and store.progress(CELL).step == 3
    check_stop()  # what was asked before is over

    assert complete(CELL, store) == complete(CELL, alone) == "computed"
    assert store.read(CELL).table.equals(alone.read(CELL).table)


def test_checkpoint_that_is_left_beside_its_result_is_deleted(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    assert complete(CELL, store) == "computed"
    for again in (lambda: complete(CELL, store), lambda: next(outcome for _, outcome in run_cells([CELL], store))):
        store.save_checkpoint(CELL, {}, Progress("interrupted", 7, 1.0, 0.5))  # a kill came before it was deleted
        assert again() == "found" and not store.checkpoint_path(CELL).exists()


def test_handlers_come_back(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stop_signals():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


SLOW = """
import dataclasses, sys
from mfmgdm_lib.cli.output import stopped_by_signals
from mfmgdm_lib.companion import TABLE_1
from mfmgdm_lib.runs import ResultStore, run_cells
cells = [dataclasses.replace(TABLE_1[k], n_steps=10**6, n_paths=4, target_samples=50) for k in range(2)]
if __name__ == "__main__":
    with stopped_by_signals():
        list(run_cells(cells, ResultStore(sys.argv[1]), jobs=2, checkpoint_seconds=0))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_workers_end_with_their_parent(tmp_path: Path, number: signal.Signals, code: int) -> None:
    script, folder = tmp_path / "slow.py", tmp_path / "store"
    script.write_text(SLOW)
    with subprocess.Popen([sys.executable, script, folder], stderr=subprocess.DEVNULL) as parent:
        try:
            while len([*folder.glob(".work/*.npz")]) < 2:  # both are at work
                assert parent.poll() is None
                time.sleep(0.05)
            children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
            assert len(children) >= 2
        finally:
            parent.send_signal(number)
        assert parent.wait(60) == code
    deadline = time.monotonic() + 60  # 5 s where nothing else runs
    while alive := [child for child in children if Path(f"/proc/{child}").exists()]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)
    assert len([*folder.glob(".work/*.npz")]) == 2
