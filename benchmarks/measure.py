"""The stopwatch of the benchmarks: best times and fitted exponents."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["best_of", "fitted_exponent"]


def best_of(run: Callable[[], object], rounds: int = 5) -> float:
    """Shortest of `rounds` times, seconds, after one run that is not counted."""
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def fitted_exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """Slope of log time against log size, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
