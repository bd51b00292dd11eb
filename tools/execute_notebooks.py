"""Execute notebooks/*.md, each once: into the cache that the book is built from, and the committed .ipynb come from.

A page is executed only if the cache lacks it, as many at a time as there are cores; what nbval has executed is there
already (`nbval_cache.py`). `make book` runs this before it builds, `make notebooks` with --write.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from clear_stale import BUILD, ROOT, clear_stale
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from jupyter_cache.executors.utils import ExecutionResult, single_nb_execution

CACHE = BUILD / ".jupyter_cache"
CELL_TIMEOUT_S = 600
# Kernels that start from here, or from nbval with its plugin, draw figures for narrow screens too.
os.environ["MFMGDM_BOTH_WIDTHS"] = "1"
MOST_AT_ONCE = 4  # each takes up to 1.5 GB
LONGEST = ["03_sp500_first_look", "01_ar_illustration", "05_synthetic_table", "10_positivity"]
"""Pages that are begun first, so that none of them is left running alone at the end."""


def read_source(path: Path) -> Any:
    """Read a MyST source as a notebook whose cell ids are the same every time."""
    notebook = jupytext.read(path)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{path.stem.replace('_', '-')}-{number}"[-64:]
    return notebook


def cells_of(notebook: Any) -> list[tuple[str, str, Any]]:
    """Keep of each cell what its author wrote."""
    return [(cell.cell_type, cell.source.rstrip(), dict(cell.metadata)) for cell in notebook.cells]


def executed(cache: JupyterCacheAbstract, source: Path) -> Any | None:
    """Return a page with the outputs that the cache has for it, or None."""
    try:
        _, notebook = cache.merge_match_into_notebook(read_source(source))
    except KeyError:
        return None
    notebook.metadata.get("language_info", {}).pop("version", None)
    notebook.metadata.pop("widgets", None)
    return notebook


def execute(source: Path) -> ExecutionResult:
    """Run one page in its own folder."""
    # What is printed arrives in pieces that differ from run to run.
    return single_nb_execution(
        read_source(source), str(source.parent), CELL_TIMEOUT_S, allow_errors=False, coalesce_streams=True
    )


def keep(cache: JupyterCacheAbstract, notebook: Any, source: Path, seconds: float) -> None:
    """Put an executed page into the cache."""
    bundle = CacheBundleIn(notebook, str(source), data={"execution_seconds": seconds})
    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def execute_missing(cache: JupyterCacheAbstract, sources: list[Path], jobs: int) -> list[Path]:
    """Execute the pages that the cache lacks and put them there; return those with a cell that failed."""
    missing = [source for source in sources if executed(cache, source) is None]
    missing.sort(key=lambda source: source.stem not in LONGEST)
    failed = []
    os.environ["OMP_NUM_THREADS"] = "1"  # for the kernels, which share the cores
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(execute, source): source for source in missing}
        try:
            for done in as_completed(running):
                source, result = running[done], done.result()
                if result.err is None:
                    keep(cache, result.nb, source, result.time)
                    print(f"{source.stem}: executed in {result.time:.0f} s", flush=True)
                else:
                    print(f"{source.stem}: a cell failed\n{result.err}", file=sys.stderr, flush=True)
                    failed.append(source)
        except BaseException:  # such as Ctrl-C: the pages that wait are not begun
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failed


def write(source: Path, notebook: Any) -> None:
    """Write an executed notebook beside its source, whole or not at all."""
    target = source.with_suffix(".ipynb")
    partial = target.with_suffix(".ipynb.partial")
    nbformat.write(notebook, partial)
    partial.replace(target)


def main() -> int:
    """Execute what is missing, then write if asked; the exit status is 1 if a cell failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="stems such as 01_ar_illustration (default: all)")
    parser.add_argument("--write", action="store_true", help="write the executed pages into the committed .ipynb")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, MOST_AT_ONCE), help="pages at a time")
    arguments = parser.parse_args()

    clear_stale()
    sources = sorted((ROOT / "notebooks").glob("*.md"))
    if arguments.names:
        sources = [source for source in sources if source.stem in arguments.names]
    cache = get_cache(CACHE)
    failed = execute_missing(cache, sources, arguments.jobs)
    if arguments.write:
        for source in sources:
            if source not in failed:
                write(source, executed(cache, source))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
