"""The parts of a log-determinant: the lemma, banded factorisations with their fallback, and dense blocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.func import grad, jacrev

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Autocovariance, BandedEnergy, Energy, StylizedFacts
from mfmgdm_lib.log_determinants import banded, choose_backend
from mfmgdm_lib.log_determinants.banded import banded_blocks
from mfmgdm_lib.log_determinants.dense import dense_blocks
from mfmgdm_lib.log_determinants.determinant_lemma import StepDeterminant, apply_lemma, factor_symmetric
from mfmgdm_lib.processes import AR

EXACT = {"rtol": 0.0, "atol": 1e-10}


class MeanSquare(BandedEnergy):
    """⟨x²⟩ and ⟨x⁴⟩: Hessians without any neighbours, the narrowest band there is."""

    labels = ("square", "fourth power")
    bandwidth = 0

    def _evaluate(self, x: Tensor) -> Tensor:
        return torch.stack(((x**2).mean(-1), (x**4).mean(-1)), dim=-1)

    def jacobian(self, x: Tensor) -> Tensor:
        return torch.stack((2 * x, 4 * x**3), dim=-2) / x.shape[-1]

    def hessian_bands(self, x: Tensor, weights: Tensor) -> Tensor:
        return ((2 * weights[..., :1] + 12 * weights[..., 1:] * x**2) / x.shape[-1]).unsqueeze(-2)


class NextToNearest(BandedEnergy):
    """⟨x²⟩ and ⟨(x_{i−1} + x_{i+1})²⟩: Hessians that commute, in a band wider than a tridiagonal one."""

    labels = ("square", "square of neighbours")
    bandwidth = 2
    commuting = True

    def _evaluate(self, x: Tensor) -> Tensor:
        return torch.stack(((x**2).mean(-1), (neighbours(x) ** 2).mean(-1)), dim=-1)

    def jacobian(self, x: Tensor) -> Tensor:
        return torch.stack((x, neighbours(neighbours(x))), dim=-2) * 2 / x.shape[-1]

    def hessian_bands(self, x: Tensor, weights: Tensor) -> Tensor:
        bands = x.new_zeros(*x.shape[:-1], 3, x.shape[-1])
        bands[..., 0, :] = weights[..., :1] + weights[..., 1:] * neighbours(torch.ones_like(x))
        bands[..., 2, :-2] = weights[..., 1:]
        return bands * 2 / x.shape[-1]


def neighbours(x: Tensor) -> Tensor:
    """x_{i−1} + x_{i+1}, with nothing beyond the ends."""
    return torch.nn.functional.pad(x[..., 1:], (0, 1)) + torch.nn.functional.pad(x[..., :-1], (1, 0))


class Cubes(Energy):
    """An energy with no Hessian bands to its name."""

    labels = ("cube",)

    def _evaluate(self, x: Tensor) -> Tensor:
        return (x**3).mean(-1, keepdim=True)


BANDED: dict[str, BandedEnergy] = {
    "autocovariance": Autocovariance(),
    "stylised, 1 lag": StylizedFacts(1),
    "stylised": StylizedFacts(5),
    "one diagonal": MeanSquare(),
    "wide and commuting": NextToNearest(),
}


# --- which backend -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("energy", "asked", "length", "chosen"),
    [
        (Autocovariance(), "auto", 16, "banded"),
        (StylizedFacts(3), "auto", 100_000, "banded"),
        (Cubes(), "auto", 128, "dense"),
        (Cubes(), "auto", 129, "stochastic"),
        (Autocovariance(), "dense", 1024, "dense"),
        (Autocovariance(), "banded", 16, "banded"),
        (Autocovariance(), "stochastic", 16, "stochastic"),
        (Cubes(), "dense", 1024, "dense"),
    ],
)
def test_auto_is_structured_where_the_hessians_are_banded_and_else_goes_by_the_length(
    energy: Energy, asked: str, length: int, chosen: str, make_target: Callable[..., mm.Target]
) -> None:
    assert choose_backend(mm.MGDM(energy, make_target(energy), 1.0), asked, length=length).name == chosen


def test_backend_with_settings_of_its_own_is_taken_as_it_is(make_target: Callable[..., mm.Target]) -> None:
    backend = mm.Stochastic(probes=2)
    model = mm.MGDM(Autocovariance(), make_target(Autocovariance()), 1.0)
    assert choose_backend(model, backend, length=16) is backend
    chosen = choose_backend(model, "banded", length=16)
    assert choose_backend(model, chosen, length=16) is chosen


def test_several_inner_steps_have_no_determinant(
    noise: Callable[..., Tensor], make_target: Callable[..., mm.Target]
) -> None:
    model = mm.MFMGDM(Autocovariance(), make_target(Autocovariance()), 0.1, inner_steps=2)
    with pytest.raises(ValueError, match=r"inner_steps=2; expected 1 .*Use inner_steps=1"):
        mm.log_determinant(model, model.evaluate(noise(2, 16)))


# --- the lemma ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [1, 2, 4])
def test_lemma_is_the_determinant_of_blocks_minus_a_shared_low_rank_term(
    noise: Callable[..., Tensor], members: int
) -> None:
    n, d, k, rate = 4, 6, 3, 0.7
    raw, rows = noise(n, d, d), noise(n, k, d, seed=1)
    blocks = raw + raw.mT + torch.tensor([8.0, 0.0, 8.0, 1.0])[:, None, None] * torch.eye(d)  # two of them definite
    result = apply_lemma(factor_symmetric(blocks, rows), rate, members)
    for ensemble in range(n // members):
        own = slice(ensemble * members, (ensemble + 1) * members)
        stacked = rows[own].movedim(0, 1).reshape(k, -1)  # 𝒥 = [J_1 … J_M]
        whole = torch.block_diag(*blocks[own]) - rate / members * stacked.T @ stacked
        sign, log_abs = torch.linalg.slogdet(whole)
        torch.testing.assert_close(result.per_path[own].sum(), log_abs, **EXACT)
        assert result.sign[ensemble] == sign
        assert result.non_positive[ensemble] == (torch.linalg.eigvalsh(whole) <= 0).sum()


def test_capacitance_is_shared_out_evenly_within_its_ensemble() -> None:
    result = StepDeterminant(
        torch.tensor([1.0, 2.0, 3.0, 4.0]),
        torch.tensor([10.0, 20.0]),
        torch.tensor([0, 3]),
        torch.tensor([3.0, 0.0, 6.0, 6.0]),
        torch.tensor([8.0, 16.0]),
    )
    assert result.per_path.tolist() == [6.0, 7.0, 13.0, 14.0]
    assert result.standard_error.tolist() == [5.0, 4.0, 10.0, 10.0]  # of two independent errors: 3 and 8 / 2, …
    assert result.sign.tolist() == [1.0, -1.0]


def test_sign_of_a_singular_determinant_is_zero() -> None:
    result = StepDeterminant(
        torch.zeros(2), torch.tensor([0.0, -torch.inf]), torch.tensor([2, 1]), torch.zeros(2), torch.zeros(2)
    )
    assert result.sign.tolist() == [1.0, 0.0]


def test_factor_counts_eigenvalues_and_solves_for_definite_and_indefinite_matrices(
    noise: Callable[..., Tensor],
) -> None:
    raw, rows = noise(5, 7, 7), noise(5, 2, 7, seed=1)
    matrices = raw @ raw.mT - torch.tensor([-1.0, 5.0, -1.0, 20.0, 100.0])[:, None, None] * torch.eye(7)
    result = factor_symmetric(matrices, rows)
    torch.testing.assert_close(result.log_abs, torch.linalg.slogdet(matrices).logabsdet, **EXACT)
    torch.testing.assert_close(result.gram, rows @ torch.linalg.inv(matrices) @ rows.mT, **EXACT)
    assert result.non_positive.tolist() == (torch.linalg.eigvalsh(matrices) <= 0).sum(-1).tolist()
    assert result.non_positive[0] == 0 and 0 < result.non_positive[1] < 7 and result.non_positive[4] == 7


def test_factor_without_rows_has_an_empty_gram() -> None:
    assert factor_symmetric(torch.eye(3, dtype=torch.float64)[None]).gram.shape == (1, 0, 0)


# --- structured --------------------------------------------------------------------------------------------------


def blocks_case(energy: Energy, noise: Callable[..., Tensor], curvature: float) -> tuple[Tensor, Tensor]:
    """Six paths of 24 points and weights; every other path gets weights so large that its block is indefinite."""
    weights = noise(6, energy.dim, seed=1).abs() * torch.tensor([0.1, curvature]).repeat(3)[:, None]
    return noise(6, 24), weights


@pytest.mark.parametrize("energy", BANDED.values(), ids=list(BANDED))
@pytest.mark.parametrize("curvature", [0.1, 100.0], ids=["definite", "every other one indefinite"])
@pytest.mark.parametrize("points", [1, 24, 3 * 24, 4 * 24 + 5])
def test_chunks_change_nothing(
    energy: BandedEnergy,
    curvature: float,
    points: int,
    noise: Callable[..., Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, weights = blocks_case(energy, noise, curvature)
    at_once, reference = banded_blocks(energy, x, weights), dense_blocks(energy, x, weights)
    monkeypatch.setattr(banded, "_CHUNK_POINTS", points)
    in_chunks = banded_blocks(energy, x, weights)
    assert (reference.non_positive > 0).tolist() == [False, curvature > 1] * 3
    assert torch.equal(in_chunks.non_positive, at_once.non_positive)
    assert torch.equal(reference.non_positive, at_once.non_positive)
    for name in ("log_abs", "gram"):
        torch.testing.assert_close(getattr(in_chunks, name), getattr(at_once, name), rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(getattr(reference, name), getattr(at_once, name), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("energy", BANDED.values(), ids=list(BANDED))
@pytest.mark.parametrize("curvature", [0.1, 100.0], ids=["definite", "every other one indefinite"])
@pytest.mark.parametrize("points", [24, 3 * 24, 2**17])
def test_entries_that_stay_are_left_out_of_every_band_and_row(
    energy: BandedEnergy,
    curvature: float,
    points: int,
    noise: Callable[..., Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(banded, "_CHUNK_POINTS", points)
    x, weights = blocks_case(energy, noise, curvature)
    moved = noise(6, 24, seed=2) > -0.5
    moved[1] = False  # a path none of whose entries moves
    moved[3] = True
    ours, reference = (blocks(energy, x, weights, moved) for blocks in (banded_blocks, dense_blocks))
    assert torch.equal(ours.non_positive, reference.non_positive)
    for n in range(6):
        kept = moved[n]
        hessian = jacrev(grad(lambda y, w=weights[n]: energy(y) @ w))(x[n])[kept][:, kept]
        rows = jacrev(energy)(x[n])[:, kept]
        block = torch.eye(int(kept.sum()), dtype=torch.float64) - hessian
        for blocks in (ours, reference):
            torch.testing.assert_close(blocks.log_abs[n], torch.linalg.slogdet(block).logabsdet, **EXACT)
            torch.testing.assert_close(blocks.gram[n], rows @ torch.linalg.inv(block) @ rows.T, **EXACT)
            assert blocks.non_positive[n] == (torch.linalg.eigvalsh(block) <= 0).sum()


def test_mask_of_ones_is_no_mask(noise: Callable[..., Tensor]) -> None:
    for energy in BANDED.values():
        x, weights = blocks_case(energy, noise, 0.1)
        for blocks in (banded_blocks, dense_blocks):
            plain, masked = blocks(energy, x, weights), blocks(energy, x, weights, torch.ones_like(x, dtype=torch.bool))
            for name in ("log_abs", "gram"):
                torch.testing.assert_close(getattr(masked, name), getattr(plain, name), rtol=1e-11, atol=1e-13)


def test_paths_strung_together_do_not_touch_each_other(noise: Callable[..., Tensor]) -> None:
    energy = StylizedFacts(5)
    x, weights = blocks_case(energy, noise, 0.1)
    alone = [banded_blocks(energy, x[n : n + 1], weights[n : n + 1]) for n in range(6)]
    together = banded_blocks(energy, x, weights)
    torch.testing.assert_close(torch.cat([blocks.log_abs for blocks in alone]), together.log_abs, rtol=0, atol=1e-13)
    torch.testing.assert_close(torch.cat([blocks.gram for blocks in alone]), together.gram, rtol=0, atol=1e-13)


def test_blocks_leave_paths_and_weights_alone(noise: Callable[..., Tensor]) -> None:
    x, weights = blocks_case(StylizedFacts(5), noise, 100.0)
    moved = x > -0.5
    before = x.clone(), weights.clone(), moved.clone()
    banded_blocks(StylizedFacts(5), x, weights, moved)
    assert all(torch.equal(value, kept) for value, kept in zip((x, weights, moved), before, strict=True))


@pytest.mark.parametrize("energy", [MeanSquare(), NextToNearest()], ids=["one diagonal", "wide and commuting"])
@pytest.mark.parametrize("step_size", [0.1, 2.0, 50.0])
@pytest.mark.parametrize("ensemble_size", [1, 2, 4])
def test_bands_of_other_widths_are_exact_too(
    energy: BandedEnergy,
    step_size: float,
    ensemble_size: int,
    noise: Callable[..., Tensor],
    make_target: Callable[..., mm.Target],
) -> None:
    model = mm.Descent(energy, make_target(energy), step_size, ensemble_size=ensemble_size)
    state = model.evaluate(noise(4, 12))
    ours, reference = (mm.log_determinant(model, state, name) for name in ("banded", "dense"))
    torch.testing.assert_close(ours.per_path, reference.per_path, **EXACT)
    assert torch.equal(ours.non_positive, reference.non_positive)


def test_block_may_be_positive_where_the_whole_step_folds(
    noise: Callable[..., Tensor], make_target: Callable[..., mm.Target]
) -> None:
    energy, x = Autocovariance(), noise(2, 16)
    # At rest the blocks are the identity, and γ|∇Φ|² is far above 1: only the capacitance can tell.
    model = mm.MFMGDM(energy, make_target(energy, energy(x).mean(0).tolist()), step_size=100.0)
    for backend in ("banded", "dense"):
        result = mm.log_determinant(model, model.evaluate(x), backend)
        assert result.blocks.abs().max() < 1e-13
        assert result.non_positive.tolist() == [2]
        assert result.sign.tolist() == [1.0]


def test_step_can_be_inverted_where_entries_keep_their_values_and_not_where_they_are_cut_to_zero(
    noise: Callable[..., Tensor], make_target: Callable[..., mm.Target]
) -> None:
    energy, x = StylizedFacts(3), noise(1, 12).abs()
    x[:, ::4] *= 0.01
    model = mm.MGDM(energy, make_target(energy, [0.1] * energy.dim), 0.5, support=constraints.nonnegative)
    moved = model.move(model.evaluate(x)).moved
    assert moved is not None and moved.any() and not moved.all()

    def proposal(path: Tensor) -> Tensor:
        rows, mismatch = jacrev(energy)(path), energy(path) - model.target.mean
        return path - model.rate * mismatch @ rows

    cut = jacrev(lambda path: torch.relu(proposal(path)))(x[0])
    kept = jacrev(lambda path: torch.where(proposal(path) >= 0, proposal(path), path))(x[0])
    assert torch.linalg.matrix_rank(cut) == int(moved.sum())
    assert torch.linalg.matrix_rank(kept) == 12
    for backend in ("banded", "dense"):
        result = mm.log_determinant(model, model.evaluate(x), backend)
        torch.testing.assert_close(result.per_path[0], torch.linalg.slogdet(kept).logabsdet, **EXACT)


@pytest.mark.parametrize("energy", BANDED.values(), ids=list(BANDED))
@pytest.mark.parametrize("backend", ["banded", "dense"])
def test_singular_block_is_counted_and_not_an_accident(
    energy: BandedEnergy, backend: str, make_target: Callable[..., mm.Target]
) -> None:
    d, variance = 8, next(k for k, label in enumerate(energy.labels) if label in ("variance", "lag 0", "square"))
    weights = torch.zeros(1, energy.dim, dtype=torch.float64)
    weights[0, variance] = d / 2  # Σ_k w_k H_k = I, so A = 0
    blocks = (banded_blocks if backend == "banded" else dense_blocks)(energy, torch.ones(1, d).double(), weights)
    assert blocks.non_positive.tolist() == [d]
    assert blocks.log_abs.tolist() == [-np.inf]
    result = apply_lemma(blocks, 1.0, 1)
    assert result.non_positive[0] > 0 and result.sign[0] == 0


# --- a backend of one's own --------------------------------------------------------------------------------------


class Halved:
    """A backend by the Protocol alone: the dense one, with half the logarithm."""

    name = "halved"

    def __init__(self, model: mm.Descent) -> None:
        self._dense = choose_backend(model, "dense", length=16)

    def step(self, model: mm.Descent, state: mm.State, rng: object) -> tuple[mm.Move, mm.StepDeterminant]:
        move, found = self._dense.step(model, state, None)
        return move, dataclasses.replace(found, blocks=found.blocks / 2, capacitance=found.capacitance / 2)

    def uncoupled(self, energy: Energy, paths: Tensor, weights: Tensor, *rest: object) -> mm.StepDeterminant:
        found = self._dense.uncoupled(energy, paths, weights, rest[0] if rest else None)
        return dataclasses.replace(found, blocks=found.blocks / 2)


def test_user_s_own_backend_is_taken_wherever_there_is_a_determinant() -> None:
    process, start = AR([0.3]), mm.processes.WhiteNoise()
    target = mm.estimate_target(Autocovariance(), process, n_samples=100, length=16, seed=1)
    model = mm.MFMGDM(Autocovariance(), target, 0.5)
    own, run = Halved(model), {"n_steps": 4, "n_paths": 6, "length": 16, "seed": 2}
    halved, whole = (mm.reverse_kl_trace(model, process, start, determinants=d, **run) for d in (own, "dense"))
    assert halved.determinants == "halved"
    torch.testing.assert_close(2 * (halved.log_q[0] - halved.log_q), whole.log_q[0] - whole.log_q)
    flow = model.freeze(start.sample(6, 16, seed=2), 4, start=start)
    x = flow.sample(2, seed=3)
    base = flow.start.log_prob(flow.inverse(x))
    torch.testing.assert_close(2 * (base - flow.log_prob(x, determinants=own)), base - flow.log_prob(x))
