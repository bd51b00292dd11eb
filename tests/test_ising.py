"""Tests of the Ising model against all states of small lattices, and against derivatives of log Z."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.companion.ising_cells import IsingCell, describe_spins, packed_signs, unpacked_signs
from mfmgdm_lib.companion.ising_summary import (
    finest_power,
    ising_entropies,
    largest_entropy,
    plane_waves,
    stored_ising,
)
from mfmgdm_lib.processes import Ising
from mfmgdm_lib.processes.ising import CRITICAL_TEMPERATURE

TEMPERATURES = [0.5, 2.0, CRITICAL_TEMPERATURE, 2.4, 4.0, 50.0]


@cache
def all_states(height: int, width: int) -> Tensor:
    points = height * width
    bits = (np.arange(2**points)[:, None] >> np.arange(points)) & 1
    return torch.from_numpy(2.0 * bits - 1.0).reshape(-1, height, width)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 4), (4, 3), (4, 4)])
def test_exact_values_are_those_of_all_states(shape: tuple[int, int], temperature: float) -> None:
    ising, states = Ising(temperature), all_states(*shape)
    energies = Ising.energy(states)
    log_mass = ising.log_prob(states)
    assert ising.log_partition(shape) == pytest.approx(float((-energies / temperature).logsumexp(0)), abs=1e-12)
    assert float(log_mass.logsumexp(0)) == pytest.approx(0.0, abs=1e-12)
    mass = log_mass.exp()
    assert ising.mean_energy(shape) == pytest.approx(float((mass * energies).sum()), abs=1e-11)
    assert ising.entropy(shape) == pytest.approx(-float((mass * log_mass).sum()), abs=1e-11)


def test_the_energy_is_the_sum_over_bonds_by_hand() -> None:
    x = torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    assert float(Ising.energy(x)) == -(18 - 2 * 4)  # the one spin that differs breaks 4 of 18 bonds


def test_a_large_lattice_has_the_entropy_and_the_energy_of_onsager() -> None:
    # Onsager (1944): at the critical temperature U = −√2 and log Z = log(2)/2 + 2G/π per spin, with Catalan's constant
    # G. On a torus they are off by 0.62/L and 0.64/L² (Ferdinand and Fisher, 1969).
    side, points = 256, 256**2
    critical = Ising(CRITICAL_TEMPERATURE)
    catalan = 0.915965594177219
    assert critical.log_partition((side, side)) / points == pytest.approx(
        0.5 * math.log(2) + 2 * catalan / math.pi, abs=1 / points
    )
    assert critical.mean_energy((side, side)) / points == pytest.approx(-math.sqrt(2), abs=1 / side)
    assert Ising(50.0).entropy((side, side)) / points == pytest.approx(math.log(2) - 1 / 50**2, abs=1 / 50**3)
    assert Ising(0.1).entropy((side, side)) == pytest.approx(math.log(2), abs=1e-8)  # all up or all down


def test_log_z_does_not_depend_on_which_side_is_called_height() -> None:
    for temperature in TEMPERATURES:
        ising = Ising(temperature)
        assert ising.log_partition((6, 37)) == pytest.approx(ising.log_partition((37, 6)), rel=1e-14)


@pytest.mark.parametrize("temperature", [1.5, 2.4, 4.0])
def test_clusters_draw_energies_and_magnetisations_of_all_states(temperature: float) -> None:
    n, states = 20_000, all_states(4, 4)
    ising = Ising(temperature, sweeps=20)
    drawn = ising.sample(n, (4, 4), seed=(1, 12345))

    def place(fields: Tensor) -> np.ndarray:  # energies are multiples of 4 from −32, sums even from 0
        return (fields.sum((-2, -1)).abs() / 2 + 9 * (Ising.energy(fields) + 32) / 4).numpy().astype(int)

    expected = n * np.bincount(place(states), ising.log_prob(states).exp().numpy(), 9 * 17)
    found = np.bincount(place(drawn), minlength=9 * 17)
    common = expected >= 5
    observed = np.append(found[common], found[~common].sum())
    wanted = np.append(expected[common], expected[~common].sum())
    kept = wanted > 1e-9
    assert stats.chisquare(observed[kept], wanted[kept]).pvalue > 1e-4


def test_clusters_draw_every_state_of_a_small_lattice_alike_where_symmetry_says_so() -> None:
    drawn = Ising(2.0, sweeps=10).sample(40_000, (2, 3), seed=2).flatten(1)
    places = ((drawn > 0).double() @ (2.0 ** torch.arange(6, dtype=torch.float64))).long()
    states = all_states(2, 3)
    expected = 40_000 * Ising(2.0).log_prob(states).exp()
    found = torch.bincount(places, minlength=64).double()
    assert stats.chisquare(found.numpy(), expected.numpy()).pvalue > 1e-4


@pytest.mark.parametrize(("temperature", "side"), [(4.0, 32), (2.4, 32), (2.4, 64)])
def test_the_mean_energy_of_draws_is_the_derivative_of_log_z(temperature: float, side: int) -> None:
    ising = Ising(temperature, sweeps=40)
    energies = Ising.energy(ising.sample(64, (side, side), seed=3))
    error = float(energies.std()) / 8
    assert float(energies.mean()) == pytest.approx(ising.mean_energy((side, side)), abs=4 * error)


def test_draws_have_both_signs_the_same_bits_again_and_no_order_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    ising = Ising(1.0, sweeps=20)
    fields = ising.sample(32, (6, 4), seed=5)
    assert torch.equal(fields, ising.sample(32, (6, 4), seed=5))
    assert not torch.equal(fields, ising.sample(32, (6, 4), seed=6))
    assert {*fields.flatten().tolist()} == {-1.0, 1.0} and fields.dtype == torch.float64
    up = int((fields.mean((-2, -1)) > 0).sum())
    assert 5 <= up <= 27  # 4 standard errors of 32 fair coins
    monkeypatch.setattr("mfmgdm_lib.processes.ising._CHUNK_POINTS", 5 * 24)
    energies = Ising.energy(ising.sample(200, (6, 4), seed=7))
    assert float(energies.mean()) == pytest.approx(ising.mean_energy((6, 4)), abs=4 * float(energies.std()) / 200**0.5)


def test_what_is_no_spin_has_no_probability() -> None:
    fields = torch.ones(3, 4, 4, dtype=torch.float64)
    fields[1, 2, 3] = 0.99
    found = Ising(2.4).log_prob(fields)
    assert (found == -torch.inf).tolist() == [False, True, False]


def test_a_law_of_spins_can_be_described_and_aimed_at() -> None:
    ising = Ising(2.4, sweeps=7)
    again = mm.from_spec(mm.spec(ising))
    assert (again.temperature, again.sweeps) == (2.4, 7)
    target = mm.estimate_target(mm.energies.AbsoluteMoments(axes=2), ising, n_samples=4, length=(8, 8), seed=0)
    assert target.mean.tolist() == [1.0, 1.0]


def test_what_cannot_be_a_lattice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 0\.05"):
        Ising(0.01)
    with pytest.raises(ValueError, match="temperature is 0"):
        Ising(0.0)
    for shape in (16, (16,), (1, 4), (2, 2, 2)):
        with pytest.raises(ValueError, match="the shape of a field"):
            Ising(2.0).sample(1, shape, 0)
    with pytest.raises(TypeError, match="whole number"):
        Ising(2.0).log_partition((2.5, 3))


# --- cells -------------------------------------------------------------------------------------------------------


def test_packed_signs_come_back() -> None:
    field = Ising(3.0, sweeps=3).sample(1, (64, 64), seed=0)[0].numpy()
    packed = packed_signs(field)
    assert len(packed) == 128 and packed.max() < 2**32
    np.testing.assert_array_equal(unpacked_signs(packed.astype(float), 64), field)


def test_spins_are_described_by_hand() -> None:
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(2, 2)[None].repeat(2, 1, 1)
    found = describe_spins(checks)
    assert found["energy"].tolist() == [2.0, 2.0] and found["magnetisation"].tolist() == [0.0, 0.0]
    assert found["two-point"].tolist() == [1.0, -1.0, 1.0]


def test_a_cell_runs_and_its_entropy_is_that_of_its_determinants() -> None:
    cell = IsingCell(4.0, 32, "wavelet", "mf", 2, 4, 4, entropy_paths=4, target_samples=4)
    run = cell.run()
    assert list(run.steps()) == [0, 1, 2, 3, 4]
    table, about = cell.summarize(run)
    assert about == {"steps": 4} and cell.nodes.tolist() == [0, 1, 2]
    entropy = table.loc["entropy"].set_index("at")["value"]
    logs = run.records["log_determinant"][:4]
    assert entropy.index.tolist() == [0, 1, 2, 3, 4]
    start = 0.5 * math.log(2 * math.pi * math.e)
    assert entropy[0] == pytest.approx(start, abs=1e-5)
    assert entropy[4] == pytest.approx(start + logs.sum(0).mean() / 1024, abs=1e-5)
    assert (run.paths.abs().log().abs() < 0.5).all()  # the map came last


def test_the_largest_entropy_is_that_of_the_ising_model_with_this_energy() -> None:
    ising = Ising(3.0)
    found = largest_entropy(ising.mean_energy((8, 8)) / 64, (8, 8))
    assert found == pytest.approx(ising.entropy((8, 8)) / 64, abs=1e-9)


def test_no_bound_is_claimed_where_steps_fold() -> None:
    table = ising_entropies(stored_ising(4.0, 32))
    bounds = table[["signs, at least", "divergence, at most"]].isna()
    assert bounds.loc["scattering"].to_numpy().all() and not bounds.loc["wavelet"].to_numpy().any()
    assert (table.loc["scattering", "folded"] > 0).all() and (table.loc["wavelet", "folded"] == 0).all()


def test_waves_and_the_power_of_the_finest_ones_by_hand() -> None:
    side, chessboard = plane_waves((4, 4), 2)
    assert torch.allclose(side, torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64).expand(4, 4))
    assert torch.allclose(chessboard, side * side.T)
    # The field with 8/3 sites and less on both axes has one such wave of 16: all of its power is there.
    assert finest_power([chessboard.numpy()]) == pytest.approx(16.0)
    assert finest_power([side.numpy()]) == pytest.approx(0.0, abs=1e-12)
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((400, 16, 16)))
    assert finest_power(noise) == pytest.approx(1.0, abs=5 / (400 * 25 / 2) ** 0.5)
