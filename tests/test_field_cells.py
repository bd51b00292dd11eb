"""Stored descents of fields against an independent calculation, and how their cells are run."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from mfmgdm_lib.cli import main
from mfmgdm_lib.companion.field_cells import FIELDS, GAUSSIAN_FIELDS, GaussianFieldCell, stored_gaussian_fields
from mfmgdm_lib.companion.results import result_store
from mfmgdm_lib.companion.verification import deviation

# Smallest divergences that an independent calculation has found, nats per field, with its standard error where it told
# one; of the others that of ours is taken.
FOUND = {
    (32, "mgdm"): (11.81, 0.23),
    (32, "mf"): (5.00, None),
    (64, "mgdm"): (28.3, None),
    (64, "mf"): (19.9, None),
    (128, "mgdm"): (88.1, None),
    (128, "mf"): (78.6, None),
}


@pytest.mark.parametrize("at", FOUND, ids=str)
def test_stored_divergence_is_that_of_an_independent_calculation(at: tuple[int, str]) -> None:
    table, (value, error) = stored_gaussian_fields()[at], FOUND[at]
    best = table["reverse_kl"].idxmin()
    own = table.loc[best, "standard_error"]
    assert abs(table.loc[best, "reverse_kl"] - value) < 3 * math.hypot(own, own if error is None else error)
    assert (table["most_folded"] == 0).all()


def test_first_steps_of_a_stored_cell_come_out_again() -> None:
    (cell,) = (cell for cell in GAUSSIAN_FIELDS if cell.key == "car-32-mf")
    result = result_store("fields").read(cell)
    assert deviation(cell, result, 3) <= 1.0
    assert deviation(replace(cell, step_size=10.001), result, 3) > 1.0


def test_cells_are_run_and_resumed_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = GaussianFieldCell(8, "mf", 0.5, n_steps=4, n_paths=8, target_samples=50)
    monkeypatch.setattr("mfmgdm_lib.companion.field_cells.FIELDS", (cell,))
    command = ["reproduce", "fields", "--store", str(tmp_path), "--cells", "car-8-*"]
    first, again = (CliRunner().invoke(main, command) for _ in range(2))
    assert first.exit_code == again.exit_code == 0, first.output
    assert "[1/1] car-8-mf  KL" in first.output and "(computed)" in first.output and "(found)" in again.output


def test_keys_name_one_cell_each_and_models_are_checked() -> None:
    assert len({cell.key for cell in FIELDS}) == len(FIELDS)
    with pytest.raises(ValueError, match="model is 'mean'; expected one of 'mgdm', 'mf'"):
        GaussianFieldCell(8, "mean", 1.0)
