"""The timer of the benchmarks, which takes the best of several runs."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["best_of"]


def best_of(run: Callable[[], object], rounds: int = 5) -> float:
    """Shortest of `rounds` times, seconds, after one run that is not counted."""
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
