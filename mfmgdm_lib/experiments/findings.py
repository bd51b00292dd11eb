"""The paper's numbers as this project finds them."""

from __future__ import annotations

from mfmgdm_lib import data
from mfmgdm_lib.experiments.results import stored
from mfmgdm_lib.experiments.synthetic import AR_ILLUSTRATION
from mfmgdm_lib.paper import Finding
from mfmgdm_lib.processes import AR

__all__ = ["findings"]


def findings() -> dict[str, Finding]:
    """The paper's numbers as far as they have been reproduced, by the keys of `paper.numbers()`.

    They are recomputed here, except for those of long runs, which are read from `results/`.
    """
    page, market_page = "notebooks/01_ar_illustration", "notebooks/02_sp500_first_look"
    positive_page = "notebooks/05_positivity"
    found = {"figure-1-variance": Finding(AR([0.1]).innovation_std ** 2, page=page)}
    for name, figure, ensemble_size in (("mgdm", 1, 1), ("mf", 3, None)):
        trace = AR_ILLUSTRATION.trace(ensemble_size)
        least, error = float(trace.reverse_kl.min()), float(trace.standard_error[trace.best_step])
        found[f"table1-ar01-acf-{name}"] = Finding(least, error, page)
        found[f"figure-{figure}-best"] = Finding(trace.best_step, page=page)
    for (process, model), run in stored("cir_autocovariance").groupby(["process", "model"]):
        best = run.loc[run["reverse_kl"].idxmin()]
        name = "mgdm" if model == "MGDM" else "mf"
        value, error = float(best["reverse_kl"]), float(best["standard_error"])
        found[f"table1-{process}-acf-{name}"] = Finding(value, error, positive_page)
    for name, power, shown_on in (("long", 12, market_page), ("middle", 11, None), ("short", 10, None)):
        dates = data.sp500(2**power).index
        found[f"section-5-2-years-{name}"] = Finding((dates[-1] - dates[0]).days / 365.25, page=shown_on)
    return found
