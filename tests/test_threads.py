"""Numbers of threads: the same bits with any, and set back afterwards."""

from __future__ import annotations

import os
import subprocess
import sys

import torch

from mfmgdm_lib._threads import _controls, one_thread

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
