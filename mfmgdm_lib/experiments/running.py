"""The engine room: run cells into a store, on one core or many, with checkpoints, and check what is stored."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from mfmgdm_lib.divergence import DivergenceRun
from mfmgdm_lib.errors import DescentError
from mfmgdm_lib.experiments.table1 import Cell, tabulate
from mfmgdm_lib.store import ResultStore

__all__ = ["CHECKPOINT_SECONDS", "Watcher", "complete"]

CHECKPOINT_SECONDS = 30.0
"""How often a run is put down: what is lost, at most, when it is killed."""

Watcher = Callable[[int, float], None]
"""Is told the present step and the running divergence, nats."""


def complete(
    cell: Cell,
    store: ResultStore,
    *,
    device: str = "cpu",
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    watch: Watcher | None = None,
    wait: bool = False,
) -> str:
    """Run a cell unless its result is there, going on from its last checkpoint; the result is the same.

    Args:
        cell: what to run.
        store: where its result goes.
        device: where to run it.
        checkpoint_seconds: time between checkpoints.
        watch: is told of every step.
        wait: whether to wait for another process that has the cell.

    Returns:
        "computed", "found" if it was there, or "busy" if another process is at it.

    Raises:
        OSError: the store cannot be written to; the last checkpoint is still there.
    """
    with store.claim(cell, wait=wait) as mine:
        if not mine:
            return "busy"
        if store.load(cell) is not None:
            return "found"
        run, before = cell.run(device=device), 0.0
        kept = store.load_checkpoint(cell)
        if kept is not None:
            arrays, before = kept
            run.restore(arrays)
        facts = _follow(run, cell, store, before, checkpoint_seconds, watch)
        store.save(cell, tabulate(run.trace()), {**facts, "device": device})
    return "computed"


def _follow(
    run: DivergenceRun, cell: Cell, store: ResultStore, before: float, interval: float, watch: Watcher | None
) -> dict[str, Any]:
    """Take a run to its end, and say how that went."""
    began = last = time.monotonic()
    facts: dict[str, Any] = {}
    try:
        for step in run.steps():
            if watch is not None:
                watch(step, run.reverse_kl)
            now = time.monotonic()
            if now - last >= interval and step < run.n_steps:
                store.save_checkpoint(cell, run.checkpoint(), before + now - began)
                last = time.monotonic()
    except DescentError as error:  # what came before it is a result
        facts["ended"] = str(error)
    trace = run.trace()
    best = (trace.log_q - trace.log_p)[trace.best_step]
    return {
        **facts,
        "wall_time": round(before + time.monotonic() - began, 1),
        "peak_memory_mb": _peak_memory(),
        "jacobian": trace.jacobian,
        "best_paths": [round(float(value), 4) for value in best],
    }


def _peak_memory() -> int | None:
    """Largest resident size of this process so far, MB; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (1e6 if sys.platform == "darwin" else 1e3))
