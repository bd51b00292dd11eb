"""Resumable runs, the store of their results, and the executors that run many of them."""

from mfmgdm_lib.runs.cells import complete
from mfmgdm_lib.runs.executors import run_cells
from mfmgdm_lib.runs.store import Progress, Result, ResultStore

__all__ = ["Progress", "Result", "ResultStore", "complete", "run_cells"]
