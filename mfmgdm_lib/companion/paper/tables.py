"""The paper's numbers and its sections, figures and equations, read from CSV files; and tables of text as HTML."""

from __future__ import annotations

import html
from collections.abc import Container, Mapping
from functools import cache
from importlib import resources

import pandas as pd

from mfmgdm_lib._arguments import checked

__all__ = ["contents", "numbers", "to_html"]


@cache
def _table(name: str) -> pd.DataFrame:
    source = resources.files("mfmgdm_lib.companion.paper") / name
    with resources.as_file(source) as path:
        return pd.read_csv(path, dtype=str, keep_default_na=False)


def numbers() -> pd.DataFrame:
    """Every number that the paper states as a result, and the settings that follow from others.

    Returns:
        Text columns `key`, `where`, `what`, `value` (as printed), `unit` and `kind` ("result", or "setting" for what
        goes into a run and does not come out of it), in the order of the paper.

    Example:
        >>> numbers().set_index("key").loc["table1-ar01-acf-mgdm", "value"]
        '2.76'
    """
    return _table("numbers.csv").copy()


def contents() -> pd.DataFrame:
    """Every section, figure, table and displayed equation of the paper.

    Returns:
        Text columns `key`, `kind`, `label` and `what`, in the order of the paper.

    Example:
        >>> int((contents()["kind"] == "equation").sum())
        37
    """
    return _table("contents.csv").copy()


@checked
def to_html(
    table: pd.DataFrame,
    links: Mapping[str, str] | None = None,
    *,
    markup: Container[str] = (),
    anchors: str | None = None,
) -> str:
    """Write a table of text as plain HTML, the same on every machine.

    Args:
        table: text columns.
        links: for a column, the column that holds the addresses its entries link to; that one is left out.
        markup: columns whose text is HTML already.
        anchors: the column whose entries name their rows, so that an address can end in "#" and such a name; that one
            is left out.
    """
    if anchors is not None and anchors not in table:
        raise ValueError(
            f"anchors is {anchors!r}; expected a column, one of {', '.join(map(str, table))}. Choose one of them."
        )
    links = links or {}
    columns = [column for column in table.columns if column not in (*links.values(), anchors)]
    lines = ["<tr>" + "".join(f"<th>{html.escape(column)}</th>" for column in columns) + "</tr>"]
    for row in table.to_dict("records"):
        cells = []
        for column in columns:
            text = row[column] if column in markup else html.escape(row[column])
            address = row[links[column]] if column in links else ""
            cells.append(f'<td><a href="{html.escape(address)}">{text}</a></td>' if address else f"<td>{text}</td>")
        name = f' id="{html.escape(row[anchors])}"' if anchors and row[anchors] else ""
        lines.append(f"<tr{name}>" + "".join(cells) + "</tr>")
    return '<table class="table">\n' + "\n".join(lines) + "\n</table>"
