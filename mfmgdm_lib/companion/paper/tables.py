"""The paper's numbers and its sections, figures and equations, read from CSV files."""

from __future__ import annotations

from functools import cache
from importlib import resources

import pandas as pd

__all__ = ["contents", "numbers"]


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
