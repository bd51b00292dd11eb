"""Appendix A in symbols and by automatic differentiation, each compared with an independent form."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import sympy
import torch
from torch import Tensor
from torch.distributions import constraints

import mfmgdm_lib as mm
from mfmgdm_lib import statistics
from mfmgdm_lib.companion import derivations
from mfmgdm_lib.companion.derivations import SymbolicStep, diffusion, same
from mfmgdm_lib.energies import Autocovariance, Energy, StylizedFacts
from mfmgdm_lib.processes import CIR

SIZES = [(1, 1, 1), (2, 2, 2), (3, 1, 2), (1, 3, 2), (2, 2, 1), (2, 1, 3)]
every_size = pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: "N{}-d{}-K{}".format(*sizes))

# Sums of fewer than 10⁴ products of numbers of order 1 round to within 10⁴ · 2⁻⁵² ≈ 2·10⁻¹².
EXACT = {"rtol": 0.0, "atol": 1e-11}


class Cubic(Energy):
    """Two polynomials of paths of two points."""

    labels = ("first", "second")

    def _evaluate(self, x: Tensor) -> Tensor:
        return torch.stack((x[..., 0] ** 2 * x[..., 1] + x[..., 0], x[..., 0] * x[..., 1] ** 3), dim=-1)


class Single(Energy):
    """One polynomial of paths of two points."""

    labels = ("only",)

    def _evaluate(self, x: Tensor) -> Tensor:
        return (x[..., :1] ** 2 * x[..., 1:] - 1.0).sum(-1, keepdim=True)


# --- in symbols --------------------------------------------------------------------------------------------------


@every_size
def test_every_way_of_stating_the_jacobian_is_the_derivative_of_the_step(sizes: tuple[int, int, int]) -> None:
    step = SymbolicStep(*sizes)
    for form in (step.by_index(), step.by_product_rule(), step.by_block(), step.by_stacking()):
        assert same(form, step.brute_force)


@every_size
def test_stacked_derivatives_are_those_of_the_summed_energies(sizes: tuple[int, int, int]) -> None:
    step = SymbolicStep(*sizes)
    assert same(step.stacked_rows, step.summed_energy.jacobian(step.entries))
    assert same(step.summed_energy, sizes[0] * step.mean_energy)
    for k, energy in enumerate(step.summed_energy):
        assert same(step.stacked_hessian(k), sympy.hessian(energy, list(step.entries)))
    assert same(step.diagonal(), sympy.diag(*(step.block(n) for n in range(sizes[0]))))


def test_symbolic_jacobian_has_the_values_of_the_numeric_one(
    noise: Callable[..., Tensor], make_target: Callable[..., mm.Target]
) -> None:
    paths = noise(2, 2)
    model = mm.MFMGDM(Cubic(), make_target(Cubic()), step_size=0.7)
    alpha = [sympy.Float(value, 17) for value in model.target.mean.tolist()]
    step = SymbolicStep(n_paths=2, length=2, n_energies=2)
    polynomials = {  # the target is part of Φ in the paper
        "Phi0": lambda x, y: x**2 * y + x - alpha[0],
        "Phi1": lambda x, y: x * y**3 - alpha[1],
    }
    matrix = step.brute_force
    for name, polynomial in polynomials.items():
        matrix = matrix.replace(sympy.Function(name), polynomial)
    at = {step.rate: model.rate, **dict(zip(step.entries, paths.flatten().tolist(), strict=True))}
    values = torch.tensor(np.array(matrix.doit().subs(at), dtype=float))
    torch.testing.assert_close(derivations.full_jacobian(model, paths), values, **EXACT)


def test_same_tells_values_and_shapes_apart() -> None:
    x, y = sympy.symbols("x y")
    assert same(sympy.Matrix([[(x + y) ** 2]]), sympy.Matrix([[x**2 + 2 * x * y + y**2]]))
    assert not same(sympy.Matrix([[x * y]]), sympy.Matrix([[x * y + 1]]))
    assert not same(sympy.zeros(1, 2), sympy.zeros(2, 1))


@pytest.mark.parametrize("sizes", [(1, 2, 1), (1, 1, 2), (2, 1, 2)])
def test_lines_in_symbols_agree_up_to_the_last_whose_print_is_right_for_one_path_and_energy_only(
    sizes: tuple[int, int, int],
) -> None:
    lines = derivations.symbolic_lines(*sizes)
    holds = {name: sympy.cancel(line - lines["line 1"]) == 0 for name, line in lines.items()}
    assert all(holds[name] for name in ("line 1", "line 2", "line 3", "mended"))
    alone = sizes[0] == 1
    assert holds["as printed"] is (alone and sizes[2] == 1)
    assert holds["Σ over n, no 1/N"] is alone


# --- by brute force ----------------------------------------------------------------------------------------------


def test_random_steps_are_the_same_for_the_same_seed_and_differ_for_others() -> None:
    (one, first), (two, again), (_, other) = (derivations.random_step(seed) for seed in (3, 3, 4))
    assert torch.equal(first.paths, again.paths) and torch.equal(one.target.mean, two.target.mean)
    assert not torch.equal(first.paths, other.paths)
    assert first.paths.shape == (4, 12) and one.energy.dim == 3 and one.members(4) == 4


@pytest.mark.parametrize("seed", range(10))
def test_random_steps_of_the_page_leave_some_entries_as_they_are_and_are_far_from_singular(seed: int) -> None:
    model, state = derivations.random_step(seed)
    assert torch.linalg.cond(derivations.full_jacobian(model, state.paths)) < 10
    masked, inside = derivations.random_step(seed, support=constraints.nonnegative)
    moved = masked.move(inside).moved
    assert moved is not None and 0 < (~moved).sum() < moved.numel()


@pytest.mark.parametrize("support", [constraints.real, constraints.nonnegative], ids=["real", "non-negative"])
@pytest.mark.parametrize("ensemble_size", [1, 2, 4])
@pytest.mark.parametrize("energy", [Autocovariance(), StylizedFacts(3)], ids=["autocovariance", "stylised"])
def test_step_for_differentiation_is_the_step_of_the_model(
    energy: Energy,
    ensemble_size: int,
    support: constraints.Constraint,
    noise: Callable[..., Tensor],
    make_target: Callable[..., mm.Target],
) -> None:
    target = make_target(energy, [0.4] * energy.dim)
    model = mm.Descent(energy, target, 2.0, ensemble_size=ensemble_size, support=support)
    paths = noise(4, 9) if support is constraints.real else noise(4, 9).abs()
    expected = model.update(model.evaluate(paths))
    torch.testing.assert_close(derivations.ensemble_step(model, paths), expected, **EXACT)


@pytest.mark.parametrize("ensemble_size", [1, 2, 4])
def test_full_jacobian_predicts_small_moves(
    ensemble_size: int, noise: Callable[..., Tensor], make_target: Callable[..., mm.Target]
) -> None:
    energy = StylizedFacts(2)
    model = mm.Descent(energy, make_target(energy), 0.5, ensemble_size=ensemble_size)
    paths, direction, h = noise(4, 6), noise(4, 6, seed=1), 1e-4
    ahead, behind = (model.update(model.evaluate(paths + sign * h * direction)) for sign in (1, -1))
    jacobian = derivations.full_jacobian(model, paths)
    # Central differences: an error of h² times third derivatives (below 100 here), and round-off of 10⁻¹⁵ / h.
    torch.testing.assert_close(
        (jacobian @ direction.flatten()).reshape(4, 6), (ahead - behind) / (2 * h), rtol=0, atol=1e-6
    )
    size = 6 * ensemble_size
    for start in range(0, 24, size):  # ensembles do not feel each other
        rows = jacobian[start : start + size]
        assert not rows[:, :start].any() and not rows[:, start + size :].any()


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, state = derivations.random_step(0)
    at_once = derivations.full_jacobian(model, state.paths)
    monkeypatch.setattr(derivations.brute_force, "_CHUNK_ENTRIES", 1)
    torch.testing.assert_close(derivations.full_jacobian(model, state.paths), at_once, **EXACT)


def test_path_terms_are_the_derivatives_written_by_hand() -> None:
    model, state = derivations.random_step(1)
    terms = derivations.path_terms(model, state)
    assert isinstance(model.energy, StylizedFacts)
    torch.testing.assert_close(terms.rows, model.energy.jacobian(state.paths), **EXACT)
    bands = model.energy.hessian_bands(state.paths, model.rate * state.mismatch)
    torch.testing.assert_close(1.0 - terms.blocks.diagonal(dim1=1, dim2=2), bands[:, 0], **EXACT)
    torch.testing.assert_close(-terms.blocks.diagonal(-1, dim1=1, dim2=2), bands[:, 1, :-1], **EXACT)
    torch.testing.assert_close(terms.blocks, terms.blocks.mT, **EXACT)
    assert not terms.blocks.tril(-2).any()


@pytest.mark.parametrize("energy", [Cubic(), Single()], ids=["K = 2", "K = 1"])
@pytest.mark.parametrize("n_paths", [1, 3])
def test_assembled_matrix_is_the_full_jacobian(
    energy: Energy, n_paths: int, noise: Callable[..., Tensor], make_target: Callable[..., mm.Target]
) -> None:
    model = mm.MFMGDM(energy, make_target(energy), step_size=0.3)
    state = model.evaluate(noise(n_paths, 2))
    assembled = derivations.assemble(derivations.path_terms(model, state), model.rate)
    torch.testing.assert_close(assembled, derivations.full_jacobian(model, state.paths), **EXACT)


def test_readings_of_the_last_line_by_hand() -> None:
    grams = torch.tensor([0.1, 0.2], dtype=torch.float64)[:, None, None] * torch.eye(2)
    readings = derivations.capacitance_readings(grams, rate=1.0)
    assert readings == pytest.approx(
        {
            "mended": 2 * math.log(1 - 0.15),
            "as printed": 2 * math.log(1 - 0.2) + 2 * math.log(1 - 0.4),
            "Σ over n, no 1/N": 2 * math.log(1 - 0.3),
        },
        abs=1e-14,  # logarithms of order 1
    )


@pytest.mark.parametrize("seed", range(10))
def test_lines_in_numbers_agree_up_to_the_last_whose_print_is_off(seed: int) -> None:
    model, state = derivations.random_step(seed)
    lines = derivations.determinant_lines(model, state)
    exact = lines.pop("brute force")
    for name in ("line 1", "line 2", "line 3", "mended"):
        # 48 rows, condition numbers below 10: round-off of log|det| below 48 · 10 · 2⁻⁵² = 1.1·10⁻¹³
        assert lines[name] == pytest.approx(exact, abs=2e-13)
    assert abs(lines["as printed"] - exact) > 0.1
    for backend in ("banded", "dense"):
        determinant = mm.log_determinant(model, state, backend)
        assert float(determinant.per_path.sum()) == pytest.approx(exact, abs=2e-13)
        whole = derivations.full_jacobian(model, state.paths)
        assert determinant.non_positive.tolist() == [int((torch.linalg.eigvalsh(whole) <= 0).sum())]


@pytest.mark.parametrize("seed", range(10))
def test_only_entries_that_moved_count(seed: int) -> None:
    model, state = derivations.random_step(seed, support=constraints.nonnegative)
    lines = derivations.masked_lines(model, state)
    moved = model.move(state).moved
    assert moved is not None
    assert lines["stayed"] == (~moved).sum() > 0
    assert lines["off identity"] == 0.0
    assert lines["pull"] > 0.1
    # Condition numbers of the whole matrix are below 10⁴ here: 48 · 10⁴ · 2⁻⁵² ≈ 10⁻¹⁰.
    assert torch.linalg.cond(derivations.full_jacobian(model, state.paths)) < 1e4
    assert lines["entries that moved"] == pytest.approx(lines["whole"], abs=1e-10)
    for backend in ("banded", "dense"):
        ours = float(mm.log_determinant(model, state, backend).per_path.sum())
        assert ours == pytest.approx(lines["whole"], abs=1e-10)


def test_step_that_moves_everything_has_nothing_that_stayed() -> None:
    lines = derivations.masked_lines(*derivations.random_step(0))
    assert (lines["stayed"], lines["off identity"], lines["pull"]) == (0, 0.0, 0.0)
    assert lines["entries that moved"] == lines["whole"]


def test_readings_along_a_descent_add_up_the_capacitances(noise: Callable[..., Tensor]) -> None:
    model, _ = derivations.random_step(2)
    x0 = noise(4, 16)
    sums = derivations.readings_along(model, x0, n_steps=5)
    assert list(sums.index) == list(range(6))
    assert (sums.loc[0] == 0.0).all()
    states = list(model.steps(x0, 5))
    expected = np.cumsum([float(mm.log_determinant(model, state).capacitance) / 4 for state in states[:-1]])
    np.testing.assert_allclose(sums["mended"][1:], expected, rtol=0, atol=1e-12)
    assert (abs(sums.loc[5] - sums.loc[5, "mended"]).drop("mended") > 0.01).all()


def test_readings_along_a_descent_need_bands(
    make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]
) -> None:
    model = mm.MFMGDM(Cubic(), make_target(Cubic()), step_size=0.1)
    with pytest.raises(TypeError, match=r"model has the energy .*expected one with banded Hessians\. Use Autocov"):
        derivations.readings_along(model, noise(2, 2), n_steps=1)


# --- what it costs -----------------------------------------------------------------------------------------------


def test_exponents_come_from_the_largest_sizes_of_each_line() -> None:
    sizes = 2.0 ** np.arange(8)
    costs = pd.concat(
        pd.DataFrame({"axis": axis, "backend": name, "size": sizes, "seconds": np.maximum(sizes, 8.0) ** power})
        for axis, name, power in [("d", "one", 3.0), ("d", "two", 1.0), ("N", "one", 2.0)]
    )
    shuffled = costs.sample(frac=1.0, random_state=np.random.RandomState(0))
    exponents = statistics.growth_exponents(shuffled)
    # A fit to four points on a line: round-off only.
    assert exponents == pytest.approx({("d", "one"): 3.0, ("d", "two"): 1.0, ("N", "one"): 2.0}, abs=1e-12)
    assert statistics.growth_exponents(costs, largest=8)["d", "one"] < 2.9


def test_the_diffusion_is_not_solved_by_the_density_of_another() -> None:
    # The checks of the page must be able to fail: a density of another volatility misses each by far more than allowed.
    process, wrong = CIR(0.5, 1.0, 1.0), CIR(0.5, 1.0, 1.1)
    before = torch.tensor([0.05, 1.0, 4.0], dtype=torch.float64)
    right = diffusion.moments_by_equations(process, before)
    torch.testing.assert_close(diffusion.moments_by_quadrature(process, before), right, rtol=0, atol=1e-8)
    assert (diffusion.moments_by_quadrature(wrong, before) - right).abs().max() > 0.01
    path = process.sample(1, 40, seed=5)[0]
    assert float(process.log_prob(path)) == pytest.approx(diffusion.log_density_by_scipy(process, path), abs=1e-10)
    assert abs(float(wrong.log_prob(path)) - diffusion.log_density_by_scipy(process, path)) > 0.01
    now = torch.tensor([0.4, 1.0, 2.3], dtype=torch.float64)
    change, flow = diffusion.forward_equation(process, 0.8, now)
    torch.testing.assert_close(change, flow, rtol=0, atol=1e-7)
    assert (flow - diffusion.forward_equation(wrong, 0.8, now)[0]).abs().max() > 1e-3
    moves, limits = diffusion.short_moves(process, 1.3, 1e-4)
    torch.testing.assert_close(moves, limits, rtol=0, atol=1e-3)
    assert (moves - diffusion.short_moves(wrong, 1.3, 1e-4)[1]).abs().max() > 0.1
    assert diffusion.errors_of_draws(process, 100_000, seed=6).abs().max() < 4.5  # four values
