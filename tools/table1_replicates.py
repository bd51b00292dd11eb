"""Sum up the independent copies of Table 1's cells for the book.

`mfmgdm reproduce table1 --replicates 20 --cells '*-acf-*'` and the like run them, into `results/replicates`, which is
not committed; `python tools/table1_replicates.py [FOLDER]` then writes results/table1_replicates.csv.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from mfmgdm_lib.companion import TABLE_1, cell_row, results_folder, store
from mfmgdm_lib.runs.store import ResultStore

MOST = 100
COLUMNS = ["least", "step", "standard_error", "determinant_error", "rise", "approximate", "wall_time"]


def main() -> None:
    """Write the table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else results_folder() / "replicates"
    found, rows = ResultStore(folder), []
    for cell in TABLE_1:
        for k in range(1, MOST + 1):
            copy = cell.replicate(k)
            result = found.load(copy)
            if result is not None:
                rows.append({"cell": cell.key, "copy": k, **cell_row(copy, result)})
    table = pd.DataFrame(rows)[["cell", "copy", *COLUMNS]]
    origin = [
        "Smallest reverse KL, nats per path, of independent copies of the cells of Table 1, at the paper's scale.",
        "Copy k has the seeds (2, 12345, k) (start) and (3, 12345, k) (target, and scale of energy iv).",
        "Made by: mfmgdm reproduce table1 --replicates K, and python tools/table1_replicates.py",
    ]
    store("table1_replicates", table.to_csv(index=False, float_format="%.6g"), origin)
    print(f"{len(table)} copies of {table['cell'].nunique()} cells")


if __name__ == "__main__":
    main()
