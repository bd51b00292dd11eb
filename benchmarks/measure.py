"""The timer of the benchmarks, which takes the best of several runs."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["best_of"]


def best_of(run: Callable[[], object], rounds: int = 5, clock: Callable[[], float] = time.perf_counter) -> float:
    """Shortest of `rounds` times, seconds, after one run that is not counted.

    The clock may be `time.process_time`, of all cores that are used, where others take the machine's time.
    """
    run()
    times = []
    for _ in range(rounds):
        start = clock()
        run()
        times.append(clock() - start)
    return min(times)
