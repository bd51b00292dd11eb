"""A plugin of pytest that puts the pages which nbval has executed into the cache that the book is built from.

nbval executes every cell of a committed .ipynb and compares what it shows with what is stored. Where all cells of a
page have passed, and are those of its source, the book need not execute it again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from clear_stale import clear_stale
from execute_notebooks import CACHE, cells_of, keep, read_source
from filelock import FileLock
from jupyter_cache import get_cache

passed: dict[Path, dict[int, list[Any]]] = {}
"""Outputs of the cells that passed, by notebook and by number among its cells of code."""


def pytest_configure(config: pytest.Config) -> None:
    """Clear the cache if it is out of date: once, before workers start."""
    if not hasattr(config, "workerinput"):
        clear_stale()


@pytest.hookimpl(tryfirst=True)  # the first that returns a report ends the round
def pytest_runtest_makereport(item: Any, call: pytest.CallInfo[None]) -> None:
    """Note what a cell showed, and keep the page once all of its cells have passed."""
    if call.when != "call" or call.excinfo is not None or not hasattr(item, "test_outputs"):
        return
    cells = passed.setdefault(item.path, {})
    cells[item.cell_num] = item.test_outputs
    notebook, source = item.parent.nb, item.path.with_suffix(".md")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if len(cells) == len(code) and source.is_file() and cells_of(notebook) == cells_of(read_source(source)):
        for number, cell in enumerate(code):
            cell.outputs, cell.execution_count = cells[number], number + 1
        CACHE.parent.mkdir(exist_ok=True)
        with FileLock(CACHE.with_suffix(".lock")):  # workers share one database
            keep(get_cache(CACHE), notebook, source, 0.0)
