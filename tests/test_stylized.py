"""The stylised facts: values by hand and by NumPy, and the number of lags."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

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
