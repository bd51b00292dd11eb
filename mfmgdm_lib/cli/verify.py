"""The command `mfmgdm verify`, which computes the first steps of stored results again and compares."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfmgdm_lib.cli.errors import reported_errors
from mfmgdm_lib.cli.options import STORES, cell_options, open_store, profile_option
from mfmgdm_lib.cli.output import say

if TYPE_CHECKING:
    from mfmgdm_lib.runs.store import Result, ResultStore

__all__ = ["verify"]


@click.group()
def verify() -> None:
    """Check what is stored."""


_steps = click.option(
    "--steps", type=click.IntRange(min=1), default=8, show_default=True, help="Steps to recompute of each trace."
)


@verify.command("results")
@cell_options
@profile_option
@_steps
def results(cells: Sequence[str], folder: Path | None, profile: str, steps: int) -> None:
    """Recompute the first steps of each stored trace of Table 1.

    Exits with 1 if one is off or damaged, or none is there.
    """
    from mfmgdm_lib.companion.table1 import LATER_VERSION, select, table_1
    from mfmgdm_lib.companion.verification import deviation

    with reported_errors():
        kept = (*table_1(profile), *(LATER_VERSION if profile == "paper" else ()))
        _verify(select(kept, cells), open_store(folder, STORES[profile]), deviation, steps)


@verify.command("market")
@cell_options
@_steps
def verify_market(cells: Sequence[str], folder: Path | None, steps: int) -> None:
    """Recompute the target and the first losses of each stored run of Figures 6 to 10.

    Without --cells, of those on the series that comes with an installed package. Exits with 1 if one is off or damaged,
    or none is there.
    """
    from mfmgdm_lib.companion.market import SERIES
    from mfmgdm_lib.companion.market_cells import MARKET
    from mfmgdm_lib.companion.table1 import select
    from mfmgdm_lib.companion.verification import market_deviation

    with reported_errors():
        at_hand = [cell for cell in MARKET if cells or SERIES[cell.series].source == "arch"]
        _verify(select(at_hand, cells), open_store(folder, "market"), market_deviation, steps)


def _verify(
    wanted: Sequence[Any], store: ResultStore, deviation: Callable[[Any, Result, int], float], steps: int
) -> None:
    good = bad = 0
    counts = Counter(cell.key for cell in wanted)  # the later version's cells have the keys of the paper's
    for cell in wanted:
        name = cell.key if counts[cell.key] == 1 else f"{cell.key}, {cell.n_steps} steps"
        try:
            apart = deviation(cell, store.read(cell), steps)
            verdict = f"{apart:.2g} of what is allowed"
        except FileNotFoundError:
            say(f"----  {name}: not run yet")
            continue
        except ValueError as error:
            apart, verdict = math.inf, str(error)
        good, bad = (good + 1, bad) if apart <= 1.0 else (good, bad + 1)
        say(f"{'ok  ' if apart <= 1.0 else 'FAIL'}  {name}: {verdict}")
    say(f"{good} of {good + bad} stored traces agree over their first {steps} steps.")
    if bad or not good:
        raise SystemExit(1)
