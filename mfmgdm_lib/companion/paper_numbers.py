"""Our values of the paper's numbers, from the stored results."""

from __future__ import annotations

from mfmgdm_lib import data
from mfmgdm_lib.companion.comparison import cell_number, compare_cells, stored_cells
from mfmgdm_lib.companion.paper import OurNumber
from mfmgdm_lib.companion.synthetic import AR_ILLUSTRATION
from mfmgdm_lib.companion.table1 import TABLE_1
from mfmgdm_lib.processes import AR

__all__ = ["our_numbers"]


def our_numbers() -> dict[str, OurNumber]:
    """The paper's numbers as far as they have been reproduced, by the keys of `paper.numbers()`.

    They are recomputed here, except for those of long runs, which are read from `results/`.
    """
    page, market_page = "notebooks/01_ar_illustration", "notebooks/03_sp500_first_look"
    found = {"figure-1-variance": OurNumber(AR([0.1]).innovation_std ** 2, page=page, anchor="paper-eq-4")}
    for figure, ensemble_size, model in ((1, 1, "mgdm"), (3, None, "mf")):
        best = AR_ILLUSTRATION.trace(ensemble_size).best_step
        found[f"figure-{figure}-best"] = OurNumber(best, page=page, anchor=f"best-step-{model}")
    cells = {cell.key: cell for cell in TABLE_1}
    for key, row in compare_cells(stored_cells()).dropna(subset="least").iterrows():
        found[f"table1-{key}"] = cell_number(cells[str(key)], {str(name): value for name, value in row.items()})
    for name, power, anchor in (("long", 12, "length-of-the-series"), ("middle", 11, None), ("short", 10, None)):
        dates = data.returns(data.sp500()).index[-(2**power) :]
        years = (dates[-1] - dates[0]).days / 365.25
        found[f"section-5-2-years-{name}"] = OurNumber(years, page=market_page if anchor else None, anchor=anchor)
    return found
