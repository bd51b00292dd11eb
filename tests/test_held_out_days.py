"""Scores of held-out days: which days are scored by which fit, names of laws, means and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from mfmgdm_lib.companion import held_out_days, stored
from mfmgdm_lib.companion.held_out_days import N_FITTED, WINDOW, daily_scores, gain_columns, law_names, with_errors
from mfmgdm_lib.processes import VolatilityModel

SERIES = torch.randn(N_FITTED + 2 * WINDOW + 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def law(start: float) -> VolatilityModel:
    return VolatilityModel("garch", 0.1, 0.1, 0.8, start=start)


@pytest.mark.parametrize("refitted", [False, True])
def test_days_are_scored_by_the_law_of_the_days_before_their_window(refitted: bool) -> None:
    fits: list[int] = []

    def fit(known: Tensor) -> VolatilityModel:
        fits.append(len(known))
        return VolatilityModel("garch", 0.1 * len(known), 0.1, 0.8, start=1.0)

    scores, probabilities = daily_scores(SERIES, fit, refitted=refitted)
    assert fits == ([N_FITTED, N_FITTED + WINDOW, N_FITTED + 2 * WINDOW] if refitted else [N_FITTED])
    assert len(scores) == len(probabilities) == len(SERIES) - N_FITTED
    at = N_FITTED + WINDOW + 3
    last = fit(SERIES[: N_FITTED + WINDOW * refitted])
    assert float(scores[at - N_FITTED]) == pytest.approx(float(last.log_densities(SERIES)[at]), rel=1e-12)
    assert float(probabilities[at - N_FITTED]) == pytest.approx(float(last.probabilities(SERIES)[at]), rel=1e-12)


def test_a_law_that_cannot_be_fitted_again_goes_on() -> None:
    def fit(known: Tensor) -> VolatilityModel:
        if len(known) > N_FITTED:
            raise ValueError("no maximum")
        return law(1.0)

    again, _ = daily_scores(SERIES, fit, refitted=True)
    once, _ = daily_scores(SERIES, fit, refitted=False)
    assert torch.equal(again, once)


def test_gains_have_the_mean_and_the_error_over_whole_windows() -> None:
    daily = np.r_[np.full(WINDOW, 1.0), np.full(WINDOW, 3.0), np.full(9, 100.0)]
    found = gain_columns("gain", daily)
    assert found["gain"] == pytest.approx(daily.mean())
    assert found["gain ± windows"] == pytest.approx(1.0)  # of the two windows: √2 / √2
    assert gain_columns("gain", np.zeros(600)) == {"gain": 0.0, "gain ±": 0.0, "gain ± windows": 0.0}


def test_laws_are_named_and_numbers_spelled() -> None:
    table = pd.DataFrame({"model": ["argarch-t", "araparch-skewt"], "refitted": [False, True], "flow": [False, True]})
    assert law_names(table) == ["GARCH–t", "flow of APARCH–skewt, each year"]
    gains = pd.DataFrame({"gain": [0.01234, 0.0], "gain ±": [0.001, 0.0]}, index=law_names(table))
    assert with_errors(gains, ["gain"])["gain"].tolist() == ["+0.0123 ± 0.0010", "–"]


def test_models_compared_are_those_with_an_autoregressive_mean() -> None:
    assert len(held_out_days.BASES) == 12 and all(model.startswith("ar") for model in held_out_days.BASES)


def test_the_readme_tells_the_gains_that_are_stored() -> None:
    gains = stored("held_out_gains").set_index(["series", "model", "refitted", "flow"])
    texts = with_errors(gains, ["over APARCH-skewt", "over base"])
    row = texts.loc[("S&P 500", "araparch-skewt", True, True)]
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    for text in row:
        assert text.removeprefix("+") in readme
