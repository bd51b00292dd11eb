"""The stylised facts: values by hand and by NumPy, and the number of lags."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Autocovariance, StylizedFacts


def test_energies_are_those_worked_out_by_hand() -> None:
    x = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    # squares 1, 4, 9, 0.25; their products at lag 1: 4 + 36 + 2.25, at lag 2: 9 + 1; nothing is centred.
    assert StylizedFacts(lags=2)(x).tolist() == [14.25 / 4, -6.5 / 4, 42.25 / 4, 10.0 / 4]


def test_energies_are_those_of_numpy(noise: Callable[..., Tensor]) -> None:
    x, lags = noise(5, 100), 20
    array, squares = x.numpy(), x.numpy() ** 2
    expected = [squares.sum(-1), (array[:, 1:] * array[:, :-1]).sum(-1)]
    expected += [(squares[:, lag:] * squares[:, :-lag]).sum(-1) for lag in range(1, lags + 1)]
    np.testing.assert_allclose(StylizedFacts(lags)(x).numpy(), np.stack(expected, -1) / 100, rtol=0, atol=1e-13)


def test_first_two_energies_are_the_autocovariances(noise: Callable[..., Tensor]) -> None:
    x = noise(4, 50)
    torch.testing.assert_close(StylizedFacts(3)(x)[:, [1, 0]], Autocovariance()(x), rtol=0, atol=0)


@pytest.mark.parametrize("lags", [1, 5, 20])
def test_lags_set_the_number_of_energies_the_bandwidth_and_the_shortest_path(lags: int) -> None:
    energy = StylizedFacts(lags)
    assert (energy.dim, energy.bandwidth, energy.minimum_length) == (lags + 2, lags, lags + 1)
    assert energy.labels[-1] == f"squares, lag {lags}"


def test_papers_number_of_energies_is_22() -> None:
    assert StylizedFacts().dim == 22


def test_sign_of_a_path_does_not_matter(noise: Callable[..., Tensor]) -> None:
    x, energy = noise(3, 30), StylizedFacts(4)
    assert torch.equal(energy(x), energy(-x))


# --- leverage ----------------------------------------------------------------------------------------------------


def test_leverage_is_worked_out_by_hand_behind_the_other_energies() -> None:
    x = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    energy = StylizedFacts(lags=1, leverage=2)
    # x_i x²_{i+1}: 4 − 18 + 0.75; x_i x²_{i+2}: 9 − 0.5.
    assert energy(x).tolist() == [*StylizedFacts(lags=1)(x).tolist(), -13.25 / 4, 8.5 / 4]
    assert energy.labels[-2:] == ("leverage, lag 1", "leverage, lag 2")
    assert (energy.dim, energy.bandwidth, energy.minimum_length) == (5, 2, 3)
    assert repr(energy) == "StylizedFacts(lags=1, leverage=2)"


def test_leverage_changes_its_sign_with_the_path(noise: Callable[..., Tensor]) -> None:
    x, energy = noise(3, 40), StylizedFacts(4, leverage=6)
    even, odd = energy(x)[:, :6], energy(x)[:, 6:]
    assert torch.equal(energy(-x), torch.cat([even, -odd], dim=-1))


@pytest.mark.parametrize("leverage", [None, 0])
def test_energy_without_leverage_is_described_as_before(leverage: int | None) -> None:
    energy = StylizedFacts(3, leverage)
    assert repr(energy) == "StylizedFacts(lags=3)"
    assert mm.spec(energy) == {"type": "StylizedFacts", "lags": 3}


def test_energy_with_leverage_is_built_from_its_description() -> None:
    description = mm.spec(StylizedFacts(3, leverage=2))
    assert description == {"type": "StylizedFacts", "lags": 3, "leverage": 2}
    assert repr(mm.from_spec(description)) == "StylizedFacts(lags=3, leverage=2)"


@pytest.mark.parametrize(("lags", "leverage", "sums"), [(2, 5, None), (5, 2, None), (3, 3, None), (2, 2, 6), (4, 0, 3)])
def test_determinants_by_bands_are_those_of_the_whole_matrix(
    noise: Callable[..., Tensor], lags: int, leverage: int, sums: int | None
) -> None:
    energy, x = StylizedFacts(lags, leverage, sums), noise(6, 30)
    target = mm.Target(
        torch.linspace(1.0, -0.5, energy.dim, dtype=torch.float64), torch.zeros(energy.dim), energy.labels, ""
    )
    for size in (1, None):
        model = mm.Descent(energy, target, 0.3, ensemble_size=size)
        state = list(model.steps(x, 2))[1]
        banded, dense = (mm.log_determinant(model, state, name) for name in ("banded", "dense"))
        # Sums of 30 logarithms of pivots around 1, each with an error of 30 roundings at most.
        torch.testing.assert_close(banded.per_path, dense.per_path, rtol=0, atol=30 * 30 * 2.0**-52)


# --- sums of neighbours ------------------------------------------------------------------------------------------


def test_sums_are_those_of_all_windows_that_have_a_point_of_the_path(noise: Callable[..., Tensor]) -> None:
    x, window = noise(5, 40), 7
    padded = np.pad(x.numpy(), ((0, 0), (window - 1, window - 1)))
    sums = np.lib.stride_tricks.sliding_window_view(padded, window, -1).sum(-1)
    energy = StylizedFacts(2, leverage=1, sums=window)
    # Round-off of 46 squares of sums of 7 values around 1.
    np.testing.assert_allclose(energy(x)[:, -1], (sums**2).sum(-1) / (window * 40), rtol=0, atol=1e-13)
    assert torch.equal(energy(x)[:, :-1], StylizedFacts(2, leverage=1)(x))
    assert energy.labels[-1] == "sums of 7" and (energy.bandwidth, energy.minimum_length) == (6, 7)


def test_energy_with_sums_is_described_and_built_again_and_without_it_is_not_named() -> None:
    energy = StylizedFacts(3, leverage=2, sums=5)
    assert repr(energy) == repr(mm.from_spec(mm.spec(energy))) == "StylizedFacts(lags=3, leverage=2, sums=5)"
    assert mm.spec(StylizedFacts(3, sums=0)) == {"type": "StylizedFacts", "lags": 3}
