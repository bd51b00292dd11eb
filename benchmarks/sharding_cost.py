"""Time a step of one ensemble on as many processes as `torchrun` has started; bench_sharding.py starts it.

It prints a line of JSON: seconds for each step on the clock and of a processor, those of the slowest process, and bytes
that each process sends in a step. The processor's time is what a machine with other work to do can be judged by.
"""

from __future__ import annotations

import json
import sys
import time

import torch

import mfmgdm_lib as mm
from mfmgdm_lib.distributed import Shard, join
from mfmgdm_lib.log_determinants import choose_backend

EXPERIMENT = mm.companion.AR_ILLUSTRATION
LENGTH, STEPS, ROUNDS = 1024, 20, 5


def measure(shard: Shard, n_paths: int, determinants: bool) -> dict[str, float]:
    """Shortest times of a few rounds, and what a step sends."""
    model = shard.share(EXPERIMENT.model(), n_paths)
    backend = choose_backend(model, length=LENGTH)
    x0 = shard.draw(EXPERIMENT.start, n_paths, LENGTH, seed=0)
    update = (lambda state: backend.step(model, state, None)[0].paths) if determinants else None
    times = []
    for _ in range(1 + ROUNDS):
        shard.gather([0.0])
        sent, start = shard.sent, (time.perf_counter(), time.process_time())
        for _ in model.steps(x0, STEPS, update, show_progress=False):
            pass
        sent = (shard.sent - sent - 8 * model.energy.dim) // STEPS  # the start is looked at, too
        spent = [clock() - began for clock, began in zip((time.perf_counter, time.process_time), start, strict=True)]
        times.append([max(column) / STEPS for column in zip(*shard.gather(spent), strict=True)])
    seconds, processor = (min(column) for column in zip(*times[1:], strict=True))
    return {"seconds": seconds, "processor": processor, "bytes": sent}


def main() -> None:
    torch.set_num_threads(1)
    n_paths, determinants = int(sys.argv[1]), sys.argv[2] == "determinants"
    with join() as shard:
        measured = measure(shard, n_paths, determinants)
        if shard.rank == 0:
            print(json.dumps(measured))


if __name__ == "__main__":
    main()
