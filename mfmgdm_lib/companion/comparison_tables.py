"""Table 1 and its replicates as tables for the book."""

from __future__ import annotations

import html

import pandas as pd

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.companion.comparison import cell_names
from mfmgdm_lib.companion.paper import to_html, verdict_html
from mfmgdm_lib.companion.table1 import TABLE_1, Cell

__all__ = ["bounds_table", "cell_details", "cell_name", "cells_html", "copies_table"]

_NAMES = ["process", "energy", "model"]


@checked
def cell_name(cell: Cell) -> str:
    """A cell in words.

    Example:
        >>> cell_name(TABLE_1[1])
        'AR(0.1), i. autocovariance, MF–MGDM'
    """
    return ", ".join(cell_names(cell).values())


@checked
def cells_html(cells: pd.DataFrame) -> str:
    """`compare_cells` in the layout of Table 1 as HTML, each number with its error, the paper's number and the verdict.

    The entry of a cell can be linked to by "table1-" and its key.
    """
    shown = cells.assign(entry=[_entry(str(key), row) for key, row in cells.iterrows()])
    wide = shown.pivot(index=["process", "model"], columns="energy", values="entry")
    order = pd.MultiIndex.from_frame(cells[["process", "model"]].drop_duplicates())
    energies = list(dict.fromkeys(cells["energy"]))
    return to_html(wide.reindex(order)[energies].reset_index(), markup=energies)


def _entry(key: str, row: pd.Series) -> str:
    ours, more = "not run yet", []
    if not pd.isna(row["least"]):
        sign = "≥ " if row["bound"] else ""
        ours = f"<strong>{sign}{row['least']:.2f}</strong> ± {row['standard_error']:.2f}"
        more = [f"less ours: {row['difference']:+.2f}".replace("-", "−"), verdict_html(row["verdict"])]
    place = f'<span id="table1-{html.escape(key)}">{ours}</span>'
    return "<br>".join([place, f"paper: {row['printed']:.2f}", *more])


@checked
def cell_details(cells: pd.DataFrame) -> pd.DataFrame:
    """`compare_cells` in words: each cell's two numbers, their difference, both errors, the step and the verdict."""
    ran = cells.dropna(subset="least")
    columns = {
        "printed": "paper",
        "least": "here",
        "difference": "paper less here",
        "standard_error": "± paths",
        "determinant_error": "± determinants",
        "step": "at step",
        "verdict": "verdict",
    }
    table = ran.set_index(_NAMES)[list(columns)].rename(columns=columns).astype({"at step": int})
    table.insert(2, "is", ["≥" if bound else "" for bound in ran["bound"]])
    return table.round(3)


@checked
def bounds_table(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of `compare_cells` whose numbers are lower bounds, and what makes them such, in per cent."""
    rows = cells[cells["bound"].eq(True)].set_index(_NAMES)
    return pd.DataFrame(
        {
            "entries that some step left, %": 100 * (1 - rows["moved"].astype(float)),
            "ensembles that some step folded, %": 100 * rows["folded"].astype(float),
        }
    ).round(2)


@checked
def copies_table(copies: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread of the independent copies of each cell, and the spread that 128 paths claim.

    Args:
        copies: a row for each copy: `cell` (a key), `least` and `standard_error`, nats.
    """
    groups = copies.groupby("cell")
    table = pd.DataFrame(
        {
            "copies": groups.size(),
            "mean": groups["least"].mean(),
            "their standard deviation": groups["least"].std(),
            "what 128 paths claim": groups["standard_error"].mean(),
        }
    )
    kept = [cell for cell in TABLE_1 if cell.key in table.index]
    names = pd.DataFrame([cell_names(cell) for cell in kept])
    return table.loc[[cell.key for cell in kept]].set_index(pd.MultiIndex.from_frame(names)).round(3)
