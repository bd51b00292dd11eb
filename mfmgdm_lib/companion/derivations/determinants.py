"""Appendix A line by line: checks of the whole Jacobian and of its determinant, in symbols and in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import sympy
import torch
from torch.distributions import constraints

from mfmgdm_lib.companion.derivations.brute_force import assemble, full_jacobian, masked_lines, path_terms, random_step
from mfmgdm_lib.companion.derivations.symbols import SymbolicStep, same
from mfmgdm_lib.companion.paper import Checks
from mfmgdm_lib.descents import Descent, State
from mfmgdm_lib.log_determinants import log_determinant

__all__ = ["check_lines", "check_masked", "check_matrices", "check_stacking"]

_TEN = "10 random steps"
_WHOLE = f"log|det| against that of the whole step, {_TEN}"


def check_stacking(checks: Checks, step: SymbolicStep) -> None:
    """Check what the stacked derivatives are, and that a step goes down a gradient, for N = d = 2.

    Raises:
        AssertionError: one of them is something else.
    """
    given, summed, entries = "any two smooth energies, N = d = 2", step.summed_energy, list(step.entries)
    second = [sympy.hessian(energy, entries) for energy in summed]
    stacked = [step.stacked_hessian(k) for k in range(2)]
    blocks = sympy.diag(step.block(0), step.block(1))
    potential = step.mean_energy.dot(step.mean_energy)  # ½N‖Φ̄‖² for N = 2
    downhill = sympy.eye(4) - step.rate * sympy.hessian(potential, entries)
    what = f"derivatives of the summed energies: {given}"
    checks.true("eq-a-stacked-jacobian", f"first {what}", same(step.stacked_rows, summed.jacobian(entries)))
    checks.true("eq-a-stacked-hessian", f"second {what}", all(map(same, stacked, second)))
    what = f"the blocks A_n on its diagonal and zeros elsewhere: {given}"
    checks.true("eq-a-diagonal", what, same(step.diagonal(), blocks))
    what = f"identity less γ times the Hessian of ½N‖Φ̄‖²: {given}"
    checks.true("eq-a-full", what, same(downhill, step.brute_force))


def check_lines(checks: Checks, lines: pd.DataFrame, holds: Mapping[str, bool]) -> None:
    """Check the lines of the determinant lemma.

    Args:
        checks: where to add what was checked.
        lines: what `determinant_lines` returns of ten random steps, a row for each.
        holds: whether each of `symbolic_lines` is equal to the first, for N = d = K = 2.

    Raises:
        AssertionError: a line is off, or the last one as it is printed is not.
    """
    # Matrices of 48 rows whose condition numbers are at most 10: round-off stays below 48 × 10 × 2.2e-16 = 1.1e-13.
    exact, symbols = lines["brute force"], "equal to line 1 in symbols: any blocks and rows, N = d = K = 2"
    for n in (1, 2, 3):
        checks.close(f"eq-a-lemma-{n}", _WHOLE, lines[f"line {n}"], exact, 1e-10)
    for n in (2, 3):
        checks.true(f"eq-a-lemma-{n}", symbols, holds[f"line {n}"])
    fails = not holds["as printed"] and bool(((lines["as printed"] - exact).abs() > 0.1).all())
    instead = "(γ/N) Σ_n for γ Σ_k, and outside the product over n"
    checks.as_printed_fails("eq-a-lemma-4", f"{symbols}; log|det| to 0.1, {_TEN}", fails, instead)
    checks.true("eq-a-lemma-4", f"mended: {symbols}", holds["mended"])
    checks.close("eq-a-lemma-4", f"mended: {_WHOLE}", lines["mended"], exact, 1e-10)


def check_matrices(checks: Checks, steps: Sequence[tuple[Descent, State]], lines: pd.DataFrame) -> None:
    """Check the update of ten random steps, their whole Jacobians, and the library's determinants.

    Args:
        checks: where to add what was checked.
        steps: what `random_step` returns.
        lines: what `determinant_lines` returns of them, a row for each.

    Raises:
        AssertionError: one of them is off.
    """
    terms = [path_terms(*step) for step in steps]
    wholes = torch.stack([full_jacobian(model, state.paths) for model, state in steps])
    rank = torch.linalg.matrix_rank(wholes[0] - torch.block_diag(*terms[0].blocks))
    checks.true("eq-a-full", "rank K of what paths share, one random step", rank == 3)
    printed, taken, assembled = [], [], []
    for (model, state), own in zip(steps, terms, strict=True):
        printed.append(state.paths - model.rate * (own.rows.mT @ state.mismatch[..., None])[..., 0])
        taken.append(model.update(state))
        assembled.append(assemble(own, model.rate))
    what = f"the step that the library takes, {_TEN}"
    checks.close("eq-a-update", what, torch.stack(taken), torch.stack(printed), 1e-12)
    what = f"every entry of the whole step differentiated, {_TEN}"
    checks.close("eq-a-full", what, torch.stack(assembled), wholes, 1e-12)
    ours = [log_determinant(*step, "banded") for step in steps]
    log_dets, signs = [float(own.per_path.sum()) for own in ours], [int(own.sign) for own in ours]
    checks.close("eq-a-lemma-4", f"mended, by the library: {_WHOLE}", log_dets, lines["brute force"], 1e-10)
    what = f"mended, by the library: sign, {_TEN}"
    checks.close("eq-a-lemma-4", what, signs, torch.linalg.det(wholes).sign(), 0)


def check_masked(checks: Checks) -> None:
    """Check ten random steps that leave entries as they are (App. B).

    Raises:
        AssertionError: the determinant is not that of the entries that moved.
    """
    steps = [random_step(seed, support=constraints.nonnegative) for seed in range(10)]
    masked = pd.DataFrame([masked_lines(*step) for step in steps])
    log_dets = [float(log_determinant(*step, "banded").per_path.sum()) for step in steps]
    some_stay = (masked["stayed"] > 0) & (masked["off identity"] == 0) & (masked["pull"] > 0)
    what, whole = f"entries that stay have rows of the identity, not columns, {_TEN}", masked["whole"]
    checks.true("eq-b-masked", what, bool(some_stay.all()))
    against = f"against that of the whole step, {_TEN}"
    what = f"log|det| of the entries that moved {against}"
    checks.close("eq-b-masked", what, masked["entries that moved"], whole, 1e-10)
    checks.close("eq-b-masked", f"log|det| by the library {against}", log_dets, whole, 1e-10)
