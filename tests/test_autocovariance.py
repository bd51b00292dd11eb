"""Energy i: values by hand, and the functions that it shares with the stylised facts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from mfmgdm_lib.energies import Autocovariance
from mfmgdm_lib.energies.autocovariance import add_neighbours, lagged_products

ENERGY = Autocovariance()


def test_energies_are_time_averages_divided_by_the_length() -> None:
    x = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    # lag 1: −2 − 6 + 1.5 = −6.5; lag 0: 1 + 4 + 9 + 0.25 = 14.25; both over d = 4, not d − 1.
    assert ENERGY(x).tolist() == [-6.5 / 4, 14.25 / 4]


def test_energies_are_those_of_numpy(noise: Callable[..., Tensor]) -> None:
    x = noise(5, 100)
    array = x.numpy()
    expected = np.stack([(array[:, 1:] * array[:, :-1]).sum(-1), (array**2).sum(-1)], axis=-1) / 100
    np.testing.assert_allclose(ENERGY(x).numpy(), expected, rtol=0, atol=1e-14)


def test_two_points_are_enough() -> None:
    assert ENERGY(torch.tensor([3.0, 4.0])).tolist() == [6.0, 12.5]


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_lagged_products_are_sums_along_time(noise: Callable[..., Tensor], lag: int) -> None:
    x = noise(2, 3, 9)
    expected = sum(x[..., i] * x[..., i - lag] for i in range(lag, 9))
    torch.testing.assert_close(lagged_products(x, lag), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("lag", [1, 2, 4])
def test_neighbours_beyond_the_ends_are_left_out(noise: Callable[..., Tensor], lag: int) -> None:
    x, total = noise(6), torch.zeros(6, dtype=torch.float64)
    padded = torch.cat((torch.zeros(lag), x, torch.zeros(lag)))
    returned = add_neighbours(total, x, lag, 0.5)
    assert returned is total
    torch.testing.assert_close(total, 0.5 * (padded[: -2 * lag] + padded[2 * lag :]), rtol=0, atol=1e-15)
