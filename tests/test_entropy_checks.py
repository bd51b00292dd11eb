"""Bounds of entropy held against exact changes: written-out Hessians, counts of violations, stored descents, proofs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy

import mfmgdm_lib as mm
from mfmgdm_lib.companion import AR_ILLUSTRATION, TABLE_1, derivations
from mfmgdm_lib.companion.derivations import entropy
from mfmgdm_lib.companion.entropy_checks import (
    BOUNDS,
    Assembled,
    AssembledBlocks,
    bound_slacks,
    checked_descents,
    count_violations,
    path_sums,
)

PARTS = ("change", "norms", "lower", "upper", "at_rest", "moved")


@pytest.mark.parametrize(
    ("process", "step_size"),
    [(mm.processes.AR([0.1]), 0.5), (mm.processes.CIR(0.5, 1.0, 1.0), 20.0)],
    ids=["AR", "CIR"],
)
@pytest.mark.parametrize("ensemble_size", [1, None])
def test_written_out_hessians_give_what_the_dense_backend_gives(
    process: mm.processes.Process, step_size: float, ensemble_size: int | None
) -> None:
    energy = mm.energies.StylizedFacts(lags=3)
    target = mm.estimate_target(energy, process, n_samples=200, length=16, seed=1)
    x0 = mm.initial_distribution(process).sample(6, 16, seed=2)
    options = {"step_size": step_size, "ensemble_size": ensemble_size, "support": process.support}
    dense = mm.entropy_bounds(mm.MFMGDM(energy, target, **options), x0, 3, determinants="dense")
    model = mm.MFMGDM(Assembled(energy), target, **options)
    written_out = mm.entropy_bounds(model, x0, 3, determinants=AssembledBlocks())
    for name in PARTS:
        np.testing.assert_allclose(getattr(written_out, name), getattr(dense, name), rtol=0, atol=1e-11, err_msg=name)
    if process.support != mm.Interval():
        assert dense.moved.min() < 1.0, "no entry has stayed"


def test_blocks_of_another_energy_are_refused() -> None:
    with pytest.raises(TypeError, match="expected an Assembled one"):
        mm.entropy_bounds(
            AR_ILLUSTRATION.model(), AR_ILLUSTRATION.start.sample(2, 8, 1), 1, determinants=AssembledBlocks()
        )


def a_trace() -> mm.EntropyTrace:
    x0 = AR_ILLUSTRATION.start.sample(8, 64, seed=1)
    return mm.entropy_bounds(AR_ILLUSTRATION.model(4), x0, 3)


def test_a_bound_on_the_wrong_side_is_counted_where_it_is() -> None:
    trace = a_trace()
    assert trace.change.shape == (3, 2)
    assert count_violations(trace) == 0
    off = trace.upper.copy()
    off[1, 0] = trace.change[1, 0] - 1e-9
    assert count_violations(replace(trace, upper=off)) == 1
    assert count_violations(replace(trace, lower=trace.change + 1e-9)) == 6
    assert count_violations(replace(trace, norms=np.full_like(trace.norms, np.nan))) == 6
    assert count_violations(replace(trace, norms=np.full_like(trace.norms, -np.inf))) == 0


def test_sums_are_of_the_steps_and_means_of_the_ensembles() -> None:
    trace = a_trace()
    sums = path_sums(trace)
    assert sums["change"] == pytest.approx(trace.change.sum() / 2)
    assert sums["change"] == pytest.approx(sums["blocks"] + sums["capacitance"])
    assert sums["A"] < sums["B, lower"] < sums["change"] < sums["B, upper"]
    assert list(bound_slacks(trace)) == list(BOUNDS)


def test_stored_descents_have_every_energy_of_the_paper_and_no_violation() -> None:
    table = checked_descents()
    assert (table["violations"] == 0).all()
    assert (table[[f"slack of {name}" for name in BOUNDS]] >= -1e-10).all(axis=None)
    assert set(table["energy"]) == {cell.energy for cell in TABLE_1} | {"stylized"}
    sizes = table.groupby("energy")["members"].agg(set)
    assert all(own >= {1, 8, 32} for own in sizes), sizes
    assert all(128 in own for energy, own in sizes.items() if energy != "spectra"), sizes


def test_stored_descents_start_as_they_do_now() -> None:
    """The first ten steps of MGDM towards AR(0.1) have no smaller slack than all of the stored 250."""
    x0 = AR_ILLUSTRATION.start.sample(128, 1024, AR_ILLUSTRATION.initial_seed)
    slacks = bound_slacks(mm.entropy_bounds(AR_ILLUSTRATION.model(1), x0, 10))
    row = checked_descents().set_index(["process", "energy", "members"]).loc[("ar01", "acf", 1)]
    for name, slack in slacks.items():
        assert slack.min() >= row[f"slack of {name}"] * (1 - 1e-6), name


def test_a_logarithm_with_another_remainder_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = sympy.log
    monkeypatch.setattr(sympy, "log", lambda argument: right(argument) * sympy.Rational(11, 10))
    assert not any(holds for name, holds in entropy.logarithm_is_between().items() if name.endswith("slope"))


def test_an_eigenvalue_too_many_is_noticed() -> None:
    steps = [entropy.exact_step(seed) for seed in range(3)]
    assert entropy._few_eigenvalues_are_large(steps)
    assert entropy._determinant_is_not_below(steps)
    lower = [step._replace(s=sympy.Integer(0)) for step in steps]  # half of S's eigenvalues are above 0
    assert not entropy._few_eigenvalues_are_large(lower)
    assert not entropy._determinant_is_not_below([step._replace(s=-step.s) for step in steps])


def test_eigenvalues_are_counted_exactly() -> None:
    matrix = sympy.Matrix([[2, 1], [1, 2]]) / 8  # eigenvalues 1/8 and 3/8
    assert [entropy._count_above(matrix, level) for level in map(sympy.Rational, (0, "1/4", "3/8"))] == [2, 1, 0]
    assert entropy._top(matrix) == sympy.Rational(24, 64)


def test_a_trace_without_its_second_term_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = derivations.SymbolicStep.rows
    step = derivations.SymbolicStep(2, 2, 2)
    brute_force = step.brute_force
    monkeypatch.setattr(derivations.SymbolicStep, "brute_force", property(lambda _: brute_force))
    monkeypatch.setattr(derivations.SymbolicStep, "rows", lambda own, n: 0 * right(own, n))
    assert not entropy._trace_has_two_terms(step)
    assert not entropy._square_has_three_terms(step)
