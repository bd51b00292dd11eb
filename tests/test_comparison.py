"""Stored cells of Table 1 compared with the paper: values, verdicts and noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mfmgdm_lib as mm
from mfmgdm_lib.companion import TABLE_1, Cell
from mfmgdm_lib.runs.store import Result

CELLS = {cell.key: cell for cell in TABLE_1}


def a_result(least: float, *, determinant_error: float = 0.0, approximate: float | None = None) -> Result:
    """A trace that falls to `least` at step 2 and ends a nat above it."""
    columns: dict[str, Any] = {
        "reverse_kl": [least + 3, least + 1, least, least + 1],
        "standard_error": 0.25,
        "determinant_error": determinant_error,
        "least_moved": [1.0, 0.9, 0.8, 0.7],
        "most_folded": [0.0, 0.0, 0.1, 0.2],
    }
    if approximate is not None:
        columns["reverse_kl_approximate"] = [99.0, 98.0, approximate, 99.0]
    table = pd.DataFrame(columns, index=pd.Index([0, 1, 2, 3], name="step"))
    return Result({}, {"wall_time": 5.0, "best_paths": [least - 1.0, least + 1.0]}, table)


def test_row_of_a_cell_is_read_at_its_minimum() -> None:
    row = mm.companion.cell_row(CELLS["ar01-acf-mf"], a_result(0.1, approximate=0.2))
    expected = {"least": 0.1, "step": 2, "standard_error": 0.25, "determinant_error": 0.0, "rise": 1.0}
    bounds = {"moved": 0.8, "folded": 0.1, "bound": True, "ends_bound": True}
    assert row == {**expected, **bounds, "wall_time": 5.0, "approximate": 0.2}


@pytest.mark.parametrize(
    ("key", "ours", "determinant_error", "expected"),
    [
        ("ar01-acf-mgdm", 2.7622, 0.0, "same digits"),
        ("ar01-acf-mgdm", 2.775, 0.0, "small gap"),
        ("ar01-acf-mgdm", 3.27, 0.0, "differs"),  # 2 · 0.25 for the paths, and half a unit of print
        ("ar01-scatmean-mf", 2.1, 0.06, "within our error"),
        ("ar01-scatmean-mf", 2.1, 0.01, "small gap"),
        ("ar01-scatmean-mf", 2.6, 0.1, "differs"),
    ],
)
def test_verdict_asks_more_of_exact_numbers(key: str, ours: float, determinant_error: float, expected: str) -> None:
    cells = mm.companion.compare_cells({key: a_result(ours, determinant_error=determinant_error)})
    assert cells.loc[key, "verdict"] == expected
    assert cells.loc[key, "difference"] == pytest.approx(cells.loc[key, "printed"] - ours)
    assert (cells["verdict"].drop(key) == "not run yet").all() and len(cells) == 40


def test_ar_is_compared_by_the_likelihood_of_the_paper() -> None:
    cells = mm.companion.compare_cells({"ar02-acf-mgdm": a_result(9.3, approximate=9.441)})
    assert cells.loc["ar02-acf-mgdm", "verdict"] == "same digits"
    assert cells.loc["ar02-acf-mgdm", "least"] == 9.3


def test_gain_has_the_error_of_differences_path_by_path() -> None:
    found = mm.companion.gains(
        {"ar01-acf-mgdm": a_result(3.0), "ar01-acf-mf": a_result(1.0), "ar02-acf-mf": a_result(1)}
    )
    assert len(found) == 1
    assert found.loc[0, "gain"] == 2.0 and found.loc[0, "standard_error"] == 0.0  # the same deviations in both


def test_numbers_that_differ_by_less_than_their_copies_are_called_indistinct() -> None:
    rng = np.random.default_rng(0)
    common = 3.0 * rng.standard_normal(20)  # what all cells of a copy share does not count
    spreads = {"ar01-scatcov-mgdm": 0.2, "ar01-spectra-mgdm": 0.2, "ar01-acf-mf": 0.2, "ar02-acf-mf": 0.2}
    rows = [
        {"cell": key, "copy": k, "least": common[k] + spread * rng.standard_normal()}
        for key, spread in spreads.items()
        for k in range(20)
    ]
    pairs = mm.companion.indistinct_pairs(pd.DataFrame(rows))
    # 5.47 and 5.44 are printed for the first two; 0.09 and 3.81 for the others, the last of another process.
    assert len(pairs) == 1
    assert pairs.loc[0, "process"] == "AR(0.1)" and pairs.loc[0, "printed"] == pytest.approx(0.03)
    assert 0.1 < pairs.loc[0, "noise"] < 0.5


@pytest.mark.parametrize(("noise", "found"), [(0.016, 1), (0.014, 0)])
def test_pair_is_indistinct_up_to_two_standard_deviations_of_its_difference(noise: float, found: int) -> None:
    keys = np.repeat(["ar01-scatcov-mgdm", "ar01-spectra-mgdm"], 2)  # printed 0.03 apart
    least = [noise / 2**0.5, -noise / 2**0.5, 0.0, 0.0]
    pairs = mm.companion.indistinct_pairs(pd.DataFrame({"cell": keys, "copy": [0, 1] * 2, "least": least}))
    assert len(pairs) == found


def test_stored_cells_are_cells_of_the_table() -> None:
    results = mm.companion.stored_cells()
    assert set(results) <= {cell.key for cell in TABLE_1} and len(results) >= 10
    for key, result in results.items():
        table, cell = result.table, CELLS[key]
        assert isinstance(cell, Cell) and "ended" not in result.provenance
        assert table.index[0] == 0 and table.index[-1] == cell.n_steps
        np.testing.assert_allclose(-table["entropy"] - table["log_likelihood"], table["reverse_kl"], rtol=0, atol=1e-5)
        assert len(result.provenance["best_paths"]) == cell.n_paths
        # Four decimals are kept of each path.
        assert np.mean(result.provenance["best_paths"]) == pytest.approx(table["reverse_kl"].min(), abs=1e-4)
        assert {"wall_time", "peak_memory_mb", "versions", "machine", "date", "device"} <= set(result.provenance)


def test_a_number_is_a_bound_from_the_first_step_that_is_not_one_to_one() -> None:
    rows = {"reverse_kl": [3.0, 1.0, 2.0], "least_moved": [1.0, 1.0, 1.0], "most_folded": [0.0, 0.0, 0.1]}
    table = pd.DataFrame(rows, index=[0, 5, 10])
    assert mm.companion.first_bound_step(table) == 10
    assert mm.companion.first_bound_step(table.assign(least_moved=[1.0, 0.9, 0.9])) == 5
    assert mm.companion.first_bound_step(table.assign(most_folded=0.0)) == np.inf


def test_a_gain_holds_unless_the_mean_fields_own_number_is_a_bound() -> None:
    bounded = a_result(1.0)  # from step 1 on
    exact = Result({}, bounded.provenance, bounded.table.assign(least_moved=1.0, most_folded=0.0))
    cells = {"mgdm": bounded, "mf": exact}
    expected = {("mgdm",): ("MGDM", True), ("mf",): ("MF–MGDM", False), ("mgdm", "mf"): ("MGDM and MF–MGDM", False)}
    for names, (bounds, holds) in expected.items():
        given = {f"ar01-acf-{model}": bounded if model in names else exact for model in cells}
        row = mm.companion.gains(given).iloc[0]
        assert (row["bounds"], row["holds"]) == (bounds, holds)
    row = mm.companion.gains(dict.fromkeys(("ar01-acf-mgdm", "ar01-acf-mf"), exact)).iloc[0]
    assert (row["bounds"], row["holds"]) == ("", True)


def test_tables_name_cells_in_words_and_mark_bounds() -> None:
    bounded = a_result(2.9, determinant_error=0.1)
    exact = Result({}, bounded.provenance, bounded.table.assign(least_moved=1.0, most_folded=0.0))
    cells = mm.companion.compare_cells({"ar01-acf-mgdm": bounded, "ar01-acf-mf": exact})
    html = mm.companion.cells_html(cells)
    assert '<span id="table1-ar01-acf-mgdm"><strong>≥ 2.90</strong> ± 0.25</span><br>paper: 2.76<br>' in html
    assert '<span id="table1-ar01-acf-mf"><strong>2.90</strong>' in html and "less ours: −0.14" in html
    assert all(f'id="table1-{key}"' in html for key in CELLS)
    assert mm.companion.cell_details(cells)["is"].tolist() == ["≥", ""]
    assert mm.companion.bounds_table(cells).index.tolist() == [("AR(0.1)", "i. autocovariance", "MGDM")]
    copies = pd.DataFrame({"cell": ["ar01-acf-mf"] * 2, "least": [1.0, 3.0], "standard_error": 0.5})
    assert mm.companion.copies_table(copies).iloc[0, :2].tolist() == [2, 2.0]


@pytest.mark.parametrize(("understated", "passes"), [(1.0, True), (3.0, False)])
def test_claimed_errors_are_held_against_the_scatter_of_passes(understated: float, passes: bool) -> None:
    rng, shape = np.random.default_rng(4), (200, 6)
    noise = 0.05 * rng.standard_normal(shape)
    step, number = np.indices(shape)
    logs = noise - 0.01 * step
    table = pd.DataFrame({"step": step.ravel(), "pass": number.ravel(), "log_determinant": logs.ravel()})
    found = mm.companion.pass_errors(table.assign(error=0.05 / understated))
    assert found["passes"] == 6 and found["claimed"] == pytest.approx(0.05 * np.sqrt(200) / understated)
    # 200 steps of 5 degrees of freedom each know a standard deviation to one in √2000.
    assert found["seen_in_steps"] == pytest.approx(0.05 * np.sqrt(200), rel=4 / np.sqrt(2000))
    assert found["seen_in_sums"] == pytest.approx(logs.sum(0).std(ddof=1))
    assert (found["p_value"] > 0.01) == passes


def test_readme_counts_as_the_rule_does() -> None:
    cells = mm.companion.compare_cells(mm.companion.stored_cells()).dropna(subset="least")
    counts = mm.companion.paper.count_verdicts(cells["verdict"])
    readme = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if line.startswith("| Table 1 |"))
    assert f"{counts['same digits']} of 40 numbers have the printed digits, {counts['within our error']} more" in row
    assert f"{int(cells['bound'].sum())} of the 40 are lower bounds" in row
