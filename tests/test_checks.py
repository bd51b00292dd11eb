"""Checks of equations: they fail when they should, render stably, and are collected from the pages."""

from __future__ import annotations

import math
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter

from mfmgdm_lib.companion import paper
from mfmgdm_lib.companion.paper import Check, Checks

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def checks() -> Checks:
    return Checks()


@pytest.mark.parametrize(
    ("computed", "expected"),
    [
        (1.0, 1.5),
        (np.array([1.0, 2.0]), np.array([1.0, 1.5])),
        (torch.tensor([1.0, 2.0]), 1.5),
        (torch.tensor([2.0], requires_grad=True), [1.5]),
        (np.array([1.0 + 0.5j]), [1.0]),
    ],
)
def test_deviations_up_to_the_tolerance_pass_and_larger_ones_do_not(
    checks: Checks, computed: object, expected: object
) -> None:
    checks.close("eq-2", "loss", computed, expected, tolerance=0.5)  # every deviation above is 0.5, without rounding
    with pytest.raises(AssertionError, match=r"eq-2: loss: largest deviation 0\.5, tolerance 0\.499"):
        checks.close("eq-2", "loss", computed, expected, tolerance=0.499)
    assert list(checks) == [Check("eq-2", "loss", "agrees to 0.5", holds=True)]


def test_relative_tolerance_is_in_units_of_the_largest_expected_value(checks: Checks) -> None:
    computed, expected = [0.5, -1024.0], [0.0, -1024.0]
    checks.close("eq-2", "loss", computed, expected, tolerance=2**-11, relative=True)
    with pytest.raises(AssertionError, match=r"largest deviation 0\.5, tolerance 0\.4"):
        checks.close("eq-2", "loss", computed, expected, tolerance=0.9 * 2**-11, relative=True)
    assert [made.result for made in checks] == ["agrees to 0.00049, relative"]


def test_tolerance_of_zero_asks_for_equality(checks: Checks) -> None:
    checks.close("eq-2", "loss", [1, 2], [1, 2], tolerance=0)
    with pytest.raises(AssertionError):
        checks.close("eq-2", "loss", 1.0, 1.0 + 2**-52, tolerance=0)
    assert [made.result for made in checks] == ["agrees exactly"]


@pytest.mark.parametrize(("computed", "expected"), [(math.nan, 1.0), (1.0, math.nan), ([math.inf], [1.0])])
def test_what_is_not_finite_is_not_close(checks: Checks, computed: object, expected: object) -> None:
    with pytest.raises(AssertionError):
        checks.close("eq-2", "loss", computed, expected, tolerance=1e300)
    assert len(checks) == 0


@pytest.mark.parametrize(
    ("computed", "expected", "tolerance", "complaint"),
    [
        ([1.0, 1.0], [1.0], 0.1, r"computed has shape \(2,\) and expected has \(1,\); reshape"),
        (np.zeros((2, 1)), np.zeros((1, 2)), 0.1, r"computed has shape \(2, 1\) and expected has \(1, 2\)"),
        ([], 0.0, 0.1, "expected at least one entry"),
        (1.0, 1.0, -0.1, "tolerance is -0.1; expected a finite number of at least 0"),
        (1.0, 1.0, math.inf, "tolerance is inf"),
        (1.0, 1.0, math.nan, "tolerance is nan"),
    ],
)
def test_comparisons_that_prove_nothing_are_refused(
    checks: Checks, computed: object, expected: object, tolerance: float, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        checks.close("eq-2", "loss", computed, expected, tolerance)


@pytest.mark.parametrize("condition", [True, np.bool_(True), torch.tensor(True)])
def test_true_records_that_a_condition_holds(checks: Checks, condition: object) -> None:
    checks.true("eq-2", "loss", condition)
    assert list(checks) == [Check("eq-2", "loss", "holds", holds=True)]


@pytest.mark.parametrize("condition", [False, np.bool_(False), torch.tensor(False)])
def test_false_conditions_fail(checks: Checks, condition: object) -> None:
    with pytest.raises(AssertionError, match="eq-2: loss: does not hold"):
        checks.true("eq-2", "loss", condition)
    with pytest.raises(AssertionError, match="eq-2: loss: the printed form was expected to fail, and did not"):
        checks.as_printed_fails("eq-2", "loss", condition, "half of it")
    assert len(checks) == 0


@pytest.mark.parametrize("condition", [1, 0.5, [False], "no", None, torch.tensor(0.5), np.array([True, True])])
def test_conditions_are_true_or_false_and_nothing_else(checks: Checks, condition: object) -> None:
    with pytest.raises(TypeError, match=r"condition of eq-2 is .*expected True or False\. Compare first"):
        checks.true("eq-2", "loss", condition)
    with pytest.raises(TypeError, match="condition of eq-2"):
        checks.as_printed_fails("eq-2", "loss", condition, "half of it")


def test_a_printed_form_that_fails_is_recorded_with_what_holds(checks: Checks) -> None:
    checks.as_printed_fails("eq-2", "gradient", True, "half of it")
    assert list(checks) == [Check("eq-2", "gradient", "not as printed: half of it", holds=False)]


@pytest.mark.parametrize("key", ["eq-99", "figure-2", "section-1"])
def test_keys_are_equations_of_the_paper(checks: Checks, key: str) -> None:
    for make in [
        lambda: checks.close(key, "what", 1.0, 1.0, 0.1),
        lambda: checks.true(key, "what", True),
        lambda: checks.as_printed_fails(key, "what", True, "instead"),
    ]:
        with pytest.raises(ValueError, match=rf"key is '{key}'; expected an equation of paper\.contents\(\)"):
            make()


def test_shown_in_the_order_of_the_paper_and_by_the_names_of_its_equations(checks: Checks) -> None:
    for key, what in [("eq-b-relu", "a"), ("eq-2", "b"), ("eq-b-relu", "c"), ("eq-kl", "d")]:
        checks.true(key, what, True)
    assert [made.what for made in checks] == ["a", "b", "c", "d"]
    assert repr(checks).splitlines()[1:3] == [
        "Eq. (2), objective L = ½‖Φ‖²: b: holds",
        "App. B, projection by ReLU: a: holds",
    ]
    shown = checks._repr_html_()
    assert [shown.index(f"<td>{what}</td>") for what in "dbac"] == sorted(shown.index(f"<td>{w}</td>") for w in "abcd")


def test_record_is_the_same_whatever_the_deviation_was() -> None:
    shown = set()
    for deviation in [0.0, 1e-13, 9e-11]:
        checks = Checks()
        checks.close("eq-2", "loss", 1.0 + deviation, 1.0, tolerance=1e-10)
        shown.add((repr(checks), checks._repr_html_()))
    assert len(shown) == 1


def write_page(root: Path, name: str, *shown: Checks | str) -> None:
    """Write an executed notebook: a cell for each thing shown, checks or a table of something else."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("words")])
    for value in shown:
        data = {"text/html": value} if isinstance(value, str) else DisplayFormatter().format(value)[0]
        cell = nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output("execute_result", data)])
        notebook.cells.append(cell)
    notebook.cells.append(nbformat.v4.new_code_cell("2", outputs=[nbformat.v4.new_output("stream", text="2\n")]))
    (root / "notebooks").mkdir(exist_ok=True)
    nbformat.write(notebook, root / "notebooks" / f"{name}.ipynb")


def test_checks_are_collected_from_the_outputs_of_the_pages(tmp_path: Path, checks: Checks) -> None:
    checks.close("eq-2", 'x < "y" & z', 1.0, 1.0, tolerance=1e-10)
    checks.as_printed_fails("eq-a-lemma-4", "|off| by Σ", True, "Σ_n <here>")
    more = Checks()
    more.true("eq-2", "second page", True)
    write_page(tmp_path, "02_second", more)
    write_page(tmp_path, "01_first", "table", checks, "<table><tr><td>1</td></tr></table>")
    write_page(tmp_path, "03_none", "table")
    table = paper.checks(tmp_path)
    assert list(table.itertuples(index=False, name=None)) == [
        ("eq-2", 'x < "y" & z', "agrees to 1e-10", True, "notebooks/01_first"),
        ("eq-a-lemma-4", "|off| by Σ", "not as printed: Σ_n <here>", False, "notebooks/01_first"),
        ("eq-2", "second page", "holds", True, "notebooks/02_second"),
    ]
    assert list(table.columns) == ["key", "what", "result", "holds", "page"]


def test_checks_shown_twice_on_a_page_count_once(tmp_path: Path, checks: Checks) -> None:
    checks.true("eq-2", "loss", True)
    write_page(tmp_path, "01_first", checks, checks)
    assert len(paper.checks(tmp_path)) == 1


def test_no_notebooks_no_checks(tmp_path: Path) -> None:
    assert paper.checks(tmp_path).empty


def test_every_equation_of_the_paper_has_a_page_and_a_check() -> None:
    parts = paper.coverage(ROOT)
    equations = parts[parts["kind"] == "equation"]
    assert not list(equations.loc[equations["page"] == "", "key"]), "equations without a page"
    assert not sorted(set(equations["key"]) - set(paper.checks(ROOT)["key"])), "equations without a check"
