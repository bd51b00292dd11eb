"""The paper's numbers as this project finds them."""

from __future__ import annotations

from mfmgdm_lib import data
from mfmgdm_lib.experiments.comparison import compare_cells, stored_cells
from mfmgdm_lib.experiments.synthetic import AR_ILLUSTRATION
from mfmgdm_lib.paper import Finding
from mfmgdm_lib.processes import AR

__all__ = ["findings"]


def findings() -> dict[str, Finding]:
    """The paper's numbers as far as they have been reproduced, by the keys of `paper.numbers()`.

    They are recomputed here, except for those of long runs, which are read from `results/`.
    """
    page, market_page = "notebooks/01_ar_illustration", "notebooks/02_sp500_first_look"
    found = {"figure-1-variance": Finding(AR([0.1]).innovation_std ** 2, page=page)}
    for figure, ensemble_size in ((1, 1), (3, None)):
        found[f"figure-{figure}-best"] = Finding(AR_ILLUSTRATION.trace(ensemble_size).best_step, page=page)
    for key, row in compare_cells(stored_cells()).dropna(subset="least").iterrows():
        # By the paper's likelihood where it has one of its own.
        value = row["printed"] - row["difference"]
        found[f"table1-{key}"] = Finding(value, row["standard_error"], "notebooks/08_synthetic_table")
    for name, power, shown_on in (("long", 12, market_page), ("middle", 11, None), ("short", 10, None)):
        dates = data.returns(data.sp500()).index[-(2**power) :]
        found[f"section-5-2-years-{name}"] = Finding((dates[-1] - dates[0]).days / 365.25, page=shown_on)
    return found
