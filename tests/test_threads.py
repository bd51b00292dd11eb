"""Numbers of threads: the same bits with any, and set back afterwards."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mfmgdm_lib._threads import _controls, one_thread, threads_so_far
from mfmgdm_lib.companion import TABLE_1
from mfmgdm_lib.distributed import Checkpoints, Shard
from mfmgdm_lib.runs import ResultStore, complete

PROGRAM = """
import mfmgdm_lib as mm, hashlib
returns = mm.data.returns(mm.data.sp500()).iloc[-4096:]
made = mm.generate(returns, n_paths=5, length=128)
print(hashlib.sha256(made.paths.numpy().tobytes()).hexdigest())
"""


def test_paths_have_the_same_bits_with_one_thread_and_with_two() -> None:
    found = set()
    for threads in ("1", "2"):
        settings = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM], env={**os.environ, **settings}, capture_output=True, text=True, check=True
        )
        found.add(run.stdout)
    assert len(found) == 1


def test_threads_are_one_inside_and_as_many_as_before_outside() -> None:
    def counts() -> list[int]:
        return [torch.get_num_threads(), *(get() for get, _ in _controls())]

    before = counts()
    with one_thread():
        assert set(counts()) == {1}
    assert counts() == before


# --- numbers of threads of a run ---------------------------------------------------------------------------------

CELL = dataclasses.replace(TABLE_1[0], n_steps=4, n_paths=4, target_samples=50)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """As many as before, whatever a test sets."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_another_number_of_threads_is_said_and_kept() -> None:
    said: list[str] = []
    torch.set_num_threads(2)
    assert threads_so_far([], said.append) == threads_so_far([2], said.append) == [2]
    assert threads_so_far([1, 2], said.append) == [1, 2] and not said
    assert threads_so_far([2, 1], said.append) == [2, 1, 2]
    assert len(said) == 1 and "goes on with 2 threads after 1" in said[0] and "OMP_NUM_THREADS=1 gives" in said[0]


def test_result_of_a_run_that_goes_on_with_other_threads_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    store, alone = ResultStore(tmp_path / "both", report=said.append), ResultStore(tmp_path / "alone")

    def stop(step: int, value: float) -> None:
        if step == 2:
            raise KeyboardInterrupt

    torch.set_num_threads(2)
    with pytest.raises(KeyboardInterrupt):
        complete(CELL, store, checkpoint_seconds=0, watch=stop)
    torch.set_num_threads(1)
    assert complete(CELL, store) == complete(CELL, alone) == "computed"
    assert len(said) == 1 and said[0].startswith(f"{CELL.key}: It goes on with 1 thread after 2: sums may be rounded")
    assert store.read(CELL).provenance["threads"] == [2, 1] and alone.read(CELL).provenance["threads"] == [1]


def test_checkpoints_of_a_shared_run_keep_the_threads(tmp_path: Path) -> None:
    said: list[str] = []
    torch.set_num_threads(2)
    Checkpoints(tmp_path, Shard(), {}).save(3, {"paths": np.zeros(2)})
    torch.set_num_threads(1)
    again = Checkpoints(tmp_path, Shard(), {}, report=said.append)
    kept = again.load()
    assert kept is not None and [*kept] == ["paths"] and again.threads == [2, 1]
    assert len(said) == 1 and said[0].startswith("It goes on with 1 thread after 2")
