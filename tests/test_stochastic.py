"""The stochastic backend: accuracy of probes, estimates from a subset of the paths, and cost."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.func import grad, jacrev

import mfmgdm_lib as mm
from mfmgdm_lib._conjugate_gradients import conjugate_gradients
from mfmgdm_lib.energies import Autocovariance, Energy, StylizedFacts
from mfmgdm_lib.log_determinants.dense import dense_blocks

REAL, HALF_LINE = constraints.real, constraints.nonnegative


class Bells(Energy):
    """⟨exp(−x²/2)⟩ and ⟨x_i² x_{i+1}⟩: no closed form of any derivative."""

    labels = ("bell", "triple")

    def _evaluate(self, x: Tensor) -> Tensor:
        return torch.stack((torch.exp(-0.5 * x * x).mean(-1), (x * x * x.roll(1, -1)).mean(-1)), dim=-1)


class Mean(Energy):
    """Linear in the path."""

    labels = ("mean",)

    def _evaluate(self, x: Tensor) -> Tensor:
        return x.mean(-1, keepdim=True)


class MeanAndSquare(Energy):
    """⟨x⟩, which pushes all entries of a path the same way, and ⟨x²⟩."""

    labels = ("mean", "square")

    def _evaluate(self, x: Tensor) -> Tensor:
        return torch.stack((x.mean(-1), (x * x).mean(-1)), dim=-1)


class Watched(Energy):
    """An energy that keeps the vectors which its Hessians were multiplied with: a list for each linearisation."""

    def __init__(self, energy: Energy) -> None:
        self.energy, self.labels, self.minimum_length = energy, energy.labels, energy.minimum_length
        self.vectors: list[list[Tensor]] = []

    def _evaluate(self, x: Tensor) -> Tensor:
        return self.energy(x)

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        force, product = self.energy.linearize(x, weights)
        seen: list[Tensor] = []
        self.vectors.append(seen)

        def watched(vectors: Tensor) -> Tensor:
            seen.append(vectors.clone())
            return product(vectors)

        return force, watched


Case = Callable[..., tuple[mm.Descent, mm.State]]

ENERGIES = pytest.mark.parametrize("energy", [Autocovariance(), StylizedFacts(4), Bells()], ids=lambda e: e.labels[0])
SUPPORTS = pytest.mark.parametrize("support", [REAL, HALF_LINE], ids=["real line", "half-line"])


@pytest.fixture
def make_case(noise: Callable[..., Tensor]) -> Case:
    """A model whose first step has ‖B‖ = `bend` at most, and there on one path if no entry stays, and its state.

    On the half-line every fourth entry starts near 0, so that some would leave.
    """

    def build(
        energy: Energy,
        bend: float,
        *,
        paths: int = 6,
        members: int = 1,
        length: int = 24,
        scale: float = 1.0,
        support: constraints.Constraint = REAL,
    ) -> tuple[mm.Descent, mm.State]:
        x = scale * noise(paths, length)
        if support is HALF_LINE:
            x = x.abs()
            x[:, ::4] *= 0.01
        mean = energy(1.3 * noise(length, seed=99)).abs() + 0.1
        target = mm.Target(mean, torch.zeros_like(mean), energy.labels, "a test")
        unit = mm.Descent(energy, target, 1.0, ensemble_size=members)
        norms = [float(matrix.norm()) for matrix in weighted_hessians(unit, unit.evaluate(x))]
        model = mm.Descent(energy, target, bend / max(norms), ensemble_size=members, support=support)
        if isinstance(energy, Watched):
            energy.vectors.clear()
        return model, model.evaluate(x)

    return build


def moved_of(model: mm.Descent, state: mm.State) -> Tensor:
    moved = model.move(state).moved
    return torch.ones_like(state.paths, dtype=torch.bool) if moved is None else moved


def weighted_hessians(model: mm.Descent, state: mm.State) -> list[Tensor]:
    """B = γ Σ_k r_k H_k of each path, over the entries that move, by automatic differentiation."""
    matrices = []
    for path, weight, keep in zip(state.paths, model.rate * state.mismatch, moved_of(model, state), strict=True):
        hessian = jacrev(grad(lambda y, w=weight: model.energy(y) @ w))(path)
        matrices.append(hessian[keep][:, keep])
    return matrices


def at_probe(matrix: Tensor, probe: Tensor) -> tuple[Tensor, Tensor]:
    """Size times vᵀ log|I − B| v for a unit probe v, and the standard error that this probe claims."""
    eigenvalues, basis = torch.linalg.eigh(matrix)
    logs, weights = (1 - eigenvalues).abs().log(), (probe @ basis).square()
    mean, size = weights @ logs, len(matrix)
    # Var(vᵀXv) = 2 / (d (d + 2)) · Σ(λ − λ̄)² on the unit sphere; the weights of one probe stand in for 1/d.
    return size * mean, size * (2 / size * (weights @ (logs - mean).square())).sqrt()


# --- one probe ---------------------------------------------------------------------------------------------------


@ENERGIES
@SUPPORTS
@pytest.mark.parametrize(("bend", "scale"), [(0.5, 1.0), (5.0, 1.0), (8.0, 2.0)], ids=["gentle", "hard", "folding"])
def test_lanczos_of_as_many_products_as_points_is_exact_for_its_probe(
    energy: Energy, support: constraints.Constraint, bend: float, scale: float, make_case: Case
) -> None:
    if support is HALF_LINE:
        bend = min(bend, 4.0)  # beyond that every entry of a path would leave
    model, state = make_case(Watched(energy), bend, scale=scale, support=support)
    # Tolerance: so small that nothing is settled before the space of each probe is used up.
    result = mm.log_determinant(model, state, mm.Stochastic(coupling_paths=6, tolerance=1e-300), seed=(1, 7))
    probes = model.energy.vectors[0][0]
    moved, folds = moved_of(model, state), []
    for n, matrix in enumerate(weighted_hessians(model, state)):
        value, error = at_probe(matrix, probes[n][moved[n]])
        eigenvalues = torch.linalg.eigvalsh(torch.eye(len(matrix)) - matrix)
        # Round-off of eigenvalues, below 10⁻¹³ where ‖B‖ is 8, is enlarged by 1 / |eigenvalue of I − B|, here below
        # 10³, and 24 such terms are added up.
        assert eigenvalues.abs().min() > 1e-3
        assert float(result.blocks[n]) == pytest.approx(float(value), abs=1e-8)
        assert float(result.blocks_error[n]) == pytest.approx(float(error), abs=1e-8)
        folds.append(int((eigenvalues <= 0).sum()))
    if scale == 2.0 and support is REAL:
        assert sum(folds) > 0
    # What the capacitances add is not below −1: a rank-K term that pushes eigenvalues down takes none back up.
    assert all(int(found) >= own for found, own in zip(result.non_positive, folds, strict=True))


@ENERGIES
@SUPPORTS
def test_one_product_gives_the_series_to_second_order(
    energy: Energy, support: constraints.Constraint, make_case: Case
) -> None:
    model, state = make_case(Watched(energy), 0.05, support=support)
    result = mm.log_determinant(model, state, mm.Stochastic(), seed=(1, 7))
    (probes,) = model.energy.vectors[0]
    moved, second = moved_of(model, state), []
    for n, matrix in enumerate(weighted_hessians(model, state)):
        probe = probes[n][moved[n]]
        value, error = at_probe(matrix, probe)
        # The bound that decides on it: |Σ_{k>2} λᵏ/k| ≤ ‖B‖³ / (3 (1 − ‖B‖)), kept below the tolerance.
        assert abs(float(result.blocks[n] - value)) < 1e-4
        assert float(result.blocks_error[n]) == pytest.approx(float(error), rel=0.1)  # to first order in B
        second.append(float(0.5 * len(matrix) * (matrix @ probe).square().sum()))
    assert max(second) > 5e-4  # what the second order adds is seen


@ENERGIES
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-8])
def test_cut_series_is_within_the_tolerance_and_takes_no_more_products_than_it_needs(
    energy: Energy, tolerance: float, make_case: Case
) -> None:
    model, state = make_case(Watched(energy), 0.5, length=64)
    result = mm.log_determinant(model, state, mm.Stochastic(tolerance=tolerance), seed=(1, 7))
    probes, matrices = model.energy.vectors[0], weighted_hessians(model, state)
    values = torch.stack([at_probe(matrix, probes[0][n])[0] for n, matrix in enumerate(matrices)])
    assert (result.blocks - values).abs().max() < tolerance
    # Gauss quadrature leaves out Σ_{j≥2k} tr|B|ʲ/j ≤ ‖B‖² ρ^(2k−2) / (2k (1 − ρ)); with ρ known to a tenth, and ‖B‖²,
    # from one probe, to a factor of 2.
    radius = 1.1 * max(float(torch.linalg.matrix_norm(matrix, 2)) for matrix in matrices)
    square = 2 * max(float(matrix.square().sum()) for matrix in matrices)
    enough = next(k for k in range(1, 40) if square * radius ** (2 * k - 2) / (2 * k * (1 - radius)) < tolerance)
    assert len(probes) <= enough < 40


@SUPPORTS
def test_probes_are_unit_vectors_on_the_entries_that_move_and_orthogonal_to_the_end(
    support: constraints.Constraint, make_case: Case
) -> None:
    model, state = make_case(Watched(StylizedFacts(4)), 10.0, length=64, support=support)
    mm.log_determinant(model, state, mm.Stochastic(), seed=(1, 7))
    basis = torch.stack(model.energy.vectors[0], dim=1)
    assert basis.shape == (6, 40, 64)
    # Three terms alone lose orthogonality where an eigenvalue is found, here after some 15 products; round-off of the
    # subtraction, 10⁻¹⁵, is enlarged by the steps whose vectors shrink the most, to below 10⁻¹¹.
    torch.testing.assert_close(basis @ basis.mT, torch.eye(40).double().expand(6, -1, -1), rtol=0, atol=1e-11)
    assert not basis.movedim(1, 0)[:, ~moved_of(model, state)].any()
    assert moved_of(model, state).all() == (support is REAL)


def test_probes_of_different_paths_are_different(make_case: Case, noise: Callable[..., Tensor]) -> None:
    model, state = make_case(Watched(Autocovariance()), 0.02, paths=200, length=64)
    mm.log_determinant(model, state, mm.Stochastic(), seed=(1, 7))
    probes = model.energy.vectors[0][0]
    products = (probes @ probes.mT)[~torch.eye(200, dtype=torch.bool)]
    # Products of independent unit vectors have mean 0 and variance 1/d; 4 standard errors of each for 19 900 pairs.
    assert abs(float(products.mean())) < 4 / (64 * 19_900) ** 0.5
    assert float(64 * products.square().mean()) == pytest.approx(1.0, abs=4 * (2 / 19_900) ** 0.5)


@pytest.mark.parametrize("probes", [1, 3])
@pytest.mark.parametrize("members", [1, 6])
def test_gentle_step_costs_one_product_for_each_probe_and_one_of_a_few_paths(
    probes: int, members: int, make_case: Case
) -> None:
    model, state = make_case(Watched(StylizedFacts(4)), 0.01, members=members)
    mm.log_determinant(model, state, mm.Stochastic(probes=probes), seed=(1, 7))
    shapes = [[tuple(vectors.shape) for vectors in seen] for seen in model.energy.vectors]
    assert shapes[0] == [(6, 24)] * probes
    assert shapes[1:] == [[(4, 24)] * 2] or shapes[1:] == [[(4, 24)] * 4], (
        "two mixtures, one or two conjugate gradients"
    )


def test_more_probes_shrink_the_error_and_the_claim_alike(make_case: Case) -> None:
    model, state = make_case(StylizedFacts(4), 0.03, paths=400, length=64)
    exact = mm.log_determinant(model, state, "banded").blocks
    one, many = (
        mm.log_determinant(model, state, mm.Stochastic(probes=n, coupling_paths=4), seed=(1, 7)) for n in (1, 16)
    )
    # Independent probes: 1/16 of the variance. Quotients of mean squares of 400 values with kurtosis κ have a relative
    # standard error of √(2 (κ − 1) / 400); κ is below 10 for paths whose own errors differ this much.
    allowed = 4 * (2 * 9 / 400) ** 0.5
    spread = (many.blocks - exact).square().mean() / (one.blocks - exact).square().mean()
    claim = many.blocks_error.square().mean() / one.blocks_error.square().mean()
    assert float(16 * spread) == pytest.approx(1.0, abs=allowed)
    assert float(16 * claim) == pytest.approx(1.0, abs=allowed)


def test_calibration_holds_where_lanczos_is_needed(make_case: Case) -> None:
    model, state = make_case(Bells(), 1.0, paths=8, length=64)
    exact = mm.log_determinant(model, state, "dense").blocks.repeat(60)
    many = model.evaluate(state.paths.repeat(60, 1))
    result = mm.log_determinant(model, many, mm.Stochastic(coupling_paths=4), seed=(1, 7))
    deviations, variances = result.blocks - exact, result.blocks_error.square()
    # As in the contract: sums of terms of mean 0 within 4 of their own standard errors, and the share within 2 errors,
    # 0.9545 less up to 0.015 because one probe knows its error from 64 points only.
    assert deviations.sum().abs() < 4 * deviations.norm()
    assert (deviations.square() - variances).sum().abs() < 4 * (deviations.square() - variances).norm()
    share = float((deviations.abs() < 2 * result.blocks_error).double().mean())
    assert abs(share - 0.9545) < 4 * (0.9545 * 0.0455 / 480) ** 0.5 + 0.015


def test_what_has_not_settled_goes_into_the_error(make_case: Case) -> None:
    model, state = make_case(Watched(StylizedFacts(4)), 10.0, length=64, scale=2.0)
    before, last = (
        mm.log_determinant(model, state, mm.Stochastic(max_products=n, coupling_paths=4, tolerance=1e-300), seed=(1, 7))
        for n in (4, 5)
    )
    (five,) = (seen for seen in model.energy.vectors if len(seen) == 5 and len(seen[0]) == len(state.paths))
    change, basis = (last.blocks - before.blocks).abs(), torch.stack(five, dim=1)
    assert change.max() > 0.1
    for n, matrix in enumerate(weighted_hessians(model, state)):
        first = torch.eye(5, dtype=torch.float64)[0]  # the probe, seen from the space of its five products
        nodes, vectors = torch.linalg.eigh(basis[n] @ matrix @ basis[n].T)
        logs, weights = (1 - nodes).abs().log(), (first @ vectors).square()
        claimed = 64 * (2 / 64 * (weights @ (logs - weights @ logs).square())).sqrt()
        assert float(last.blocks[n]) == pytest.approx(64 * float(weights @ logs), abs=1e-9)
        assert float(last.blocks_error[n]) == pytest.approx(float(torch.hypot(claimed, change[n])), abs=1e-9)


# --- seeds and types ---------------------------------------------------------------------------------------------


def test_same_seed_gives_the_same_bits_and_another_seed_another_value(make_case: Case) -> None:
    model, state = make_case(StylizedFacts(4), 0.3, paths=16, members=8)
    first, again, other = (mm.log_determinant(model, state, "stochastic", seed=seed) for seed in (3, 3, 4))
    for name in ("blocks", "capacitance", "blocks_error", "capacitance_error"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))
    assert first.mean_error == again.mean_error != other.mean_error


def test_generator_goes_on_so_that_the_next_step_has_other_probes(make_case: Case) -> None:
    model, state = make_case(StylizedFacts(4), 0.3)
    rng = np.random.default_rng(3)
    first, second = (mm.log_determinant(model, state, "stochastic", seed=rng).blocks for _ in range(2))
    assert not torch.isclose(first, second).any()
    assert torch.equal(first, mm.log_determinant(model, state, "stochastic", seed=3).blocks)


def test_move_is_that_of_the_model(make_case: Case) -> None:
    for energy in (Autocovariance(), StylizedFacts(4), Bells()):
        model, state = make_case(energy, 0.5, support=HALF_LINE)
        move, _ = mm.Stochastic().step(model, state, np.random.default_rng(0))
        expected = model.move(state)
        torch.testing.assert_close(move.paths, expected.paths, rtol=0, atol=1e-14)
        assert torch.equal(move.moved, expected.moved)


@SUPPORTS
def test_single_precision_paths_are_estimated_in_double(support: constraints.Constraint, make_case: Case) -> None:
    model, state = make_case(StylizedFacts(4), 0.5, support=support, members=3)
    backend = mm.Stochastic(coupling_paths=6)
    double = mm.log_determinant(model, state, backend, seed=(1, 7))
    single = mm.log_determinant(model, model.evaluate(state.paths.float()), backend, seed=(1, 7))
    assert {single.blocks.dtype, single.capacitance.dtype, single.blocks_error.dtype} == {torch.float64}
    # d · 2⁻²⁴ relative to entries of B below 1, times the few products of each path.
    torch.testing.assert_close(single.per_path, double.per_path, rtol=0, atol=24 * 10 * 2.0**-24)


# --- the capacitance ---------------------------------------------------------------------------------------------


@ENERGIES
@SUPPORTS
@pytest.mark.parametrize("members", [1, 2, 6])
def test_capacitance_from_all_paths_is_the_exact_one(
    energy: Energy, support: constraints.Constraint, members: int, make_case: Case
) -> None:
    model, state = make_case(Watched(energy), 0.5, members=members, support=support)
    exact = mm.log_determinant(model, state, "dense")
    found = mm.log_determinant(model, state, mm.Stochastic(coupling_paths=6), seed=(1, 7))
    assert model.energy.vectors[-1][0].shape == (6, 24)  # the solves: of all paths
    blocks = dense_blocks(energy, state.paths, model.rate * state.mismatch, moved_of(model, state))
    grams = model.rate * blocks.gram.unflatten(0, (-1, members)).mean(1)
    least = min(1 - float(torch.linalg.eigvalsh(matrix).max()) for matrix in weighted_hessians(model, state))
    # Residuals of 10⁻³ leave errors of 10⁻⁶ · tr G / λ_min(A) in the sum of the entries of G, and log det C has the
    # slope C⁻¹ in them; K for as many rows and columns.
    slope = torch.linalg.matrix_norm(torch.linalg.inv(torch.eye(energy.dim) - grams), 2)
    allowed = 1e-6 * energy.dim * slope * grams.diagonal(dim1=-2, dim2=-1).sum(-1) / least
    assert ((found.capacitance - exact.capacitance).abs() < allowed).all()
    assert allowed.max() < 0.02 * exact.capacitance.abs().max()
    assert not found.capacitance_error.any()
    assert torch.equal(found.non_positive, exact.non_positive)
    assert found.mean_error == pytest.approx(float(found.blocks_error.norm()) / 6, rel=1e-12)


def test_random_mixture_of_rows_has_the_trace_of_all_on_average(make_case: Case) -> None:
    energy = StylizedFacts(4)
    model, state = make_case(energy, 0.3, paths=8)
    # A tolerance so wide that one product with a mixture is thought enough.
    backend = mm.Stochastic(coupling_paths=4, tolerance=10.0)
    found = [mm.log_determinant(model, state, backend, seed=(k, 7)) for k in range(300)]
    exact = mm.log_determinant(model, state, "banded").capacitance
    gains = []
    for n, matrix in enumerate(weighted_hessians(model, state)):
        rows = energy.jacobian(state.paths[n])
        plain = torch.eye(6) - model.rate * rows @ rows.T
        change = model.rate * rows @ (matrix + matrix @ matrix) @ rows.T
        trace, least = float((torch.linalg.inv(plain) @ change).trace()), float(torch.logdet(plain))
        drawn = [result for result in found if result.capacitance[n] != result.capacitance.median()]
        values = torch.stack([result.capacitance[n] for result in drawn])
        # What was added is t C / K, so the logarithm of the determinant moved by K log(1 − t/K).
        mixtures = 6 * (1 - torch.exp((values - least) / 6))
        assert len(values) > 100 and abs(trace) > 0.01
        assert abs(float(mixtures.mean()) - trace) < 4 * float(mixtures.std()) / len(values) ** 0.5
        # What is claimed is a bound by the trace of JJᵀ and the spectral radius, so not below what is seen.
        claimed = torch.stack([result.capacitance_error[n] for result in drawn])
        assert (values - exact[n]).square().mean() < claimed.square().mean()
        gains.append((least - exact[n]).square() - (values - exact[n]).square().mean())
    assert torch.stack(gains).mean() > 0  # better than to leave the blocks out of it


@pytest.mark.parametrize("members", [1, 2])
def test_ensembles_that_were_not_drawn_get_the_average_of_those_that_were(members: int, make_case: Case) -> None:
    model, state = make_case(Autocovariance(), 0.5, paths=32 * members, members=members)
    exact = mm.log_determinant(model, state, "banded").capacitance
    found = mm.log_determinant(model, state, mm.Stochastic(coupling_paths=8 * members), seed=(1, 7))
    drawn = found.capacitance_error == 0
    assert int(drawn.sum()) == 8
    # The solves are good to 10⁻⁵ of logarithms of order 1, times 1 / λ_min(A), which is below 10.
    torch.testing.assert_close(found.capacitance[drawn], exact[drawn], rtol=0, atol=1e-4)
    average, variance = found.capacitance[drawn].mean(), float(found.capacitance[drawn].var())
    torch.testing.assert_close(found.capacitance[~drawn], average.expand(24), rtol=1e-14, atol=0)
    # A new draw from a normal population against the mean of 8: Student's t with 7 degrees, whose variance is 7/5.
    prediction = (variance * (1 + 1 / 8) * 7 / 5) ** 0.5
    torch.testing.assert_close(found.capacitance_error[~drawn], torch.tensor(prediction).expand(24).double())
    # And the mean of all 32: 8 of them are known, so that the variance of a mean of 8 is cut by a quarter.
    of_mean = (variance * 7 / 5 / 8 * (1 - 8 / 32)) ** 0.5 / members
    of_blocks = float(found.blocks_error.norm()) / (32 * members)
    assert found.mean_error == pytest.approx((of_mean**2 + of_blocks**2) ** 0.5, rel=1e-9)


def test_other_ensembles_are_drawn_by_another_seed_and_all_have_a_chance(make_case: Case) -> None:
    model, state = make_case(Autocovariance(), 0.02, paths=16)
    found = [
        mm.log_determinant(model, state, mm.Stochastic(coupling_paths=4), seed=(k, 7)).capacitance for k in range(200)
    ]
    # The twelve that were not drawn share one value, which therefore is the median.
    drawn = torch.stack([capacitance != capacitance.median() for capacitance in found]).double()
    assert (drawn.sum(1) == 4).all()
    # Each with probability 1/4: 50 of 200, standard error √(200 · 3/16); 4 of them for 16 ensembles.
    assert (drawn.sum(0) - 50).abs().max() < 4 * (200 * 3 / 16) ** 0.5


def at_rest(x: Tensor, step_size: float, members: int | None = None) -> tuple[mm.Descent, mm.State]:
    """Paths whose mean energy is the target: one ensemble has blocks that are the identity, and a capacitance."""
    energy = Autocovariance()
    target = mm.Target(energy(x).mean(0), torch.zeros(2).double(), energy.labels, "a test")
    model = mm.MFMGDM(energy, target, step_size=step_size, ensemble_size=members)
    return model, model.evaluate(x)


def test_part_of_an_ensemble_is_right_on_average_over_all_parts_of_its_size(noise: Callable[..., Tensor]) -> None:
    model, state = at_rest(noise(7, 64) * torch.linspace(0.8, 1.2, 7).double()[:, None], step_size=5.0)
    exact = float(mm.log_determinant(model, state, "banded").capacitance)
    rows = model.energy.jacobian(state.paths)
    grams = model.rate * rows @ rows.mT
    parts = torch.tensor(list(itertools.combinations(range(7), 5)))
    plain = torch.logdet(torch.eye(2) - grams[parts].mean(1))
    found = [mm.log_determinant(model, state, mm.Stochastic(coupling_paths=5), seed=(k, 7)) for k in range(150)]
    different = {round(float(result.capacitance), 9): result for result in found}
    assert len(different) == len(parts) == 21  # 21 (1 + 1/2 + … + 1/21) = 77 draws find them all, on average
    values, errors = (
        torch.tensor([float(getattr(result, name)) for result in different.values()]).double()
        for name in ("capacitance", "capacitance_error")
    )
    # The logarithm's curvature puts a bias of second order on the plain ones; what corrects it leaves the third.
    bias = float(plain.mean()) - exact
    assert abs(float(values.mean()) - exact) < 0.25 * abs(bias)
    # And the mean square of the error, less the factor of Student's t, (5 − 1) / (5 − 3), is the variance over all
    # parts, to first order in deviations of a tenth.
    variance = float((plain - exact).square().mean())
    assert float(errors.square().mean()) / 2 == pytest.approx(variance, rel=0.2)
    assert 0.03 < variance**0.5 < 0.2


def test_error_of_a_part_holds_as_often_as_it_says(noise: Callable[..., Tensor]) -> None:
    model, state = at_rest(noise(48, 16), step_size=2.0)
    exact = float(mm.log_determinant(model, state, "banded").capacitance)
    found = [mm.log_determinant(model, state, mm.Stochastic(coupling_paths=12), seed=(k, 7)) for k in range(300)]
    z = np.array([(float(result.capacitance) - exact) / float(result.capacitance_error) for result in found])
    # About Student's t with 11 degrees, scaled to variance 1: kurtosis 3 + 6/7; 4 standard errors.
    assert (z**2).mean() == pytest.approx(1.0, abs=4 * (2.86 / 300) ** 0.5)
    assert float(np.mean(np.abs(z) < 2)) == pytest.approx(0.9545, abs=4 * (0.9545 * 0.0455 / 300) ** 0.5)
    assert found[0].mean_error == pytest.approx(float(found[0].capacitance_error) / 48, rel=1e-12)


def test_parts_of_several_ensembles_are_each_compared_with_their_own(noise: Callable[..., Tensor]) -> None:
    scales = torch.tensor([0.5, 1.0, 1.5, 2.0]).double().repeat_interleave(32)
    x = noise(128, 16) * scales[:, None]
    model, state = at_rest(x, step_size=0.5, members=32)
    exact = mm.log_determinant(model, state, "banded")
    found = mm.log_determinant(model, state, mm.Stochastic(coupling_paths=16), seed=(1, 7))
    assert found.capacitance.shape == (4,)
    # Student's t with 15 degrees is beyond 6 once in 10⁴ draws.
    assert ((found.capacitance - exact.capacitance).abs() < 6 * found.capacitance_error).all()
    alone = [
        mm.log_determinant(*at_rest_alone(model, own), mm.Stochastic(coupling_paths=16), seed=(1, 7))
        for own in x.split(32)
    ]
    # Other members are drawn there; a standard error from 16 draws is itself known to 1 / √30, here to 4 times that.
    errors = torch.cat([result.capacitance_error for result in alone])
    torch.testing.assert_close(found.capacitance_error.log(), errors.log(), rtol=0, atol=4 * (2 / 30) ** 0.5)


def at_rest_alone(model: mm.Descent, x: Tensor) -> tuple[mm.Descent, mm.State]:
    alone = mm.MFMGDM(model.energy, model.target, model.step_size)
    return alone, alone.evaluate(x)


def test_all_members_leave_no_error(noise: Callable[..., Tensor]) -> None:
    model, state = at_rest(noise(8, 16), step_size=0.5)
    found = mm.log_determinant(model, state, mm.Stochastic(coupling_paths=8), seed=0)
    exact = mm.log_determinant(model, state, "banded")
    torch.testing.assert_close(found.capacitance, exact.capacitance, rtol=0, atol=1e-12)
    assert found.mean_error < 1e-12


# --- edges -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tolerance", [1e-4, 1e-300], ids=["one product", "many"])
def test_path_whose_entries_all_stay_adds_nothing(
    dtype: torch.dtype, tolerance: float, noise: Callable[..., Tensor]
) -> None:
    energy, x = MeanAndSquare(), noise(4, 24).abs()
    x[1] *= 1e-6
    target = mm.Target(torch.tensor([0.1, 0.5]).double(), torch.zeros(2).double(), energy.labels, "a test")
    model = mm.MFMGDM(energy, target, step_size=0.2, support=HALF_LINE)
    state = model.evaluate(x.to(dtype))
    assert moved_of(model, state).any(-1).tolist() == [True, False, True, True]
    exact = mm.log_determinant(model, state, "dense")
    found = mm.log_determinant(model, state, mm.Stochastic(tolerance=tolerance), seed=1)
    assert exact.blocks[1] == found.blocks[1] == found.blocks_error[1] == 0
    assert ((found.blocks - exact.blocks).abs() <= 4 * found.blocks_error + 1e-4).all()
    torch.testing.assert_close(found.capacitance, exact.capacitance, rtol=0, atol=1e-4)


def test_energy_without_hessians_has_blocks_without_error(noise: Callable[..., Tensor]) -> None:
    target = mm.Target(torch.ones(1).double(), torch.zeros(1).double(), ("mean",), "a test")
    model = mm.MFMGDM(Mean(), target, step_size=5.0, ensemble_size=3)
    state = model.evaluate(noise(6, 24))
    found, exact = (mm.log_determinant(model, state, name, seed=0) for name in ("stochastic", "dense"))
    assert not found.blocks.any() and not found.blocks_error.any()
    torch.testing.assert_close(found.per_path, exact.per_path, rtol=0, atol=1e-12)


@ENERGIES
@pytest.mark.parametrize("members", [1, 2])
def test_step_that_folds_is_noticed(energy: Energy, members: int, make_case: Case) -> None:
    model, state = make_case(energy, 20.0, members=members, length=64, scale=2.0)
    exact = mm.log_determinant(model, state, "dense")
    found = mm.log_determinant(model, state, mm.Stochastic(coupling_paths=6), seed=(1, 7))
    assert (exact.non_positive > 0).any()
    assert (found.non_positive > 0).tolist() == (exact.non_positive > 0).tolist()


@ENERGIES
def test_gentle_step_is_not_taken_for_one_that_folds(energy: Energy, make_case: Case) -> None:
    model, state = make_case(energy, 0.3, length=64)
    assert not mm.log_determinant(model, state, "stochastic", seed=(1, 7)).non_positive.any()


@pytest.mark.parametrize("length", [2, 3])
def test_shortest_paths_are_no_exception(length: int, make_case: Case) -> None:
    model, state = make_case(Autocovariance(), 0.3, length=length)
    result = mm.log_determinant(model, state, mm.Stochastic(tolerance=1e-300, coupling_paths=6), seed=(1, 7))
    for n, matrix in enumerate(weighted_hessians(model, state)):
        spread = (1 - torch.linalg.eigvalsh(matrix)).log()
        # The quadratic form of a unit vector lies between the extremes.
        assert length * spread.min() - 1e-12 <= result.blocks[n] <= length * spread.max() + 1e-12


def test_capacitance_that_is_all_but_singular_is_taken_from_all_members(noise: Callable[..., Tensor]) -> None:
    # A few members put an eigenvalue of the capacitance on either side of zero; log|det| of that can be anything.
    energy, x = Autocovariance(), noise(48, 64)
    mean = energy(x).mean(0)
    rate = 0.98 / float(torch.linalg.eigvalsh((energy.jacobian(x) @ energy.jacobian(x).mT).mean(0)).max())
    target = mm.Target(mean, torch.zeros(2, dtype=torch.float64), energy.labels, source="their own mean")
    model = mm.MFMGDM(energy, target, rate * float(mean.square().sum()))
    state = model.evaluate(x)  # at rest: the blocks are the identity, and the capacitance is I − γ mean JJᵀ
    exact = mm.log_determinant(model, state, "banded")
    assert float(exact.capacitance) < -2.0 and not exact.non_positive.any()
    for k in range(50):
        found = mm.log_determinant(model, state, mm.Stochastic(coupling_paths=12), seed=(k, 7))
        assert not found.non_positive.any()
        torch.testing.assert_close(found.capacitance, exact.capacitance, rtol=0, atol=1e-9)


def test_system_that_is_solved_stays_so_while_others_are_not() -> None:
    # The first matrix is indefinite, where its right-hand side hardly reaches: solved after a step, it has to stop.
    matrices = torch.diag_embed(torch.tensor([[1.0, -1.0, 1.0], [1.0, 2.0, 3.0], [1.0, -1.0, 1.0]]).double())
    targets = torch.tensor([[1.0, 1e-9, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)[:, None]
    found = conjugate_gradients(lambda x: x - (matrices @ x[..., None])[..., 0], targets, tolerance=1e-6, max_steps=10)
    assert found.sound.tolist() == [True, True, False]
    expected = torch.linalg.solve(matrices[:2], targets[:2].mT).mT
    torch.testing.assert_close(found.values[:2], expected, rtol=0, atol=1e-8)
    assert not found.values[2].any()
