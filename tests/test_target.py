"""Targets from a process and from data, with their standard errors."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Autocovariance, StylizedFacts
from mfmgdm_lib.processes import AR, WhiteNoise


def test_target_is_the_mean_energy_of_independent_paths() -> None:
    energy, process = StylizedFacts(3), AR([0.5])
    target = mm.estimate_target(energy, process, n_samples=700, length=20, seed=5)
    energies = energy(process.sample(700, 20, seed=5))  # in one go: the target is drawn in chunks
    torch.testing.assert_close(target.mean, energies.mean(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(target.standard_error, energies.std(0) / math.sqrt(700), rtol=0, atol=1e-12)
    assert target.labels == energy.labels
    assert "700 paths of AR([0.5]" in target.source and "seed 5" in target.source


def test_target_of_an_autoregression_is_the_exact_one_within_its_standard_error() -> None:
    process, d = AR([0.5]), 64
    target = mm.estimate_target(Autocovariance(), process, n_samples=4000, length=d, seed=0)
    exact = torch.tensor([0.5 * (d - 1) / d, 1.0]).double()  # the sum has d − 1 terms, and d divides it
    assert ((target.mean - exact).abs() < 4 * target.standard_error).all()


@pytest.mark.parametrize("seed", [3, (3, 12345)], ids=str)
def test_same_seed_gives_the_same_target_to_the_bit(seed: object) -> None:
    first, second = (
        mm.estimate_target(Autocovariance(), AR([0.1]), n_samples=600, length=16, seed=seed) for _ in range(2)
    )
    assert torch.equal(first.mean, second.mean) and torch.equal(first.standard_error, second.standard_error)


def test_standard_error_of_a_process_target_is_the_spread_over_seeds(sd_tolerance: Callable[[int], float]) -> None:
    n_seeds = 200
    targets = [
        mm.estimate_target(Autocovariance(), AR([0.3]), n_samples=100, length=32, seed=seed) for seed in range(n_seeds)
    ]
    spread = torch.stack([target.mean for target in targets]).std(0)
    claimed = torch.stack([target.standard_error for target in targets]).mean(0)
    assert ((spread / claimed - 1).abs() < sd_tolerance(n_seeds)).all()


def test_standard_error_of_a_data_target_is_the_spread_over_series() -> None:
    n_series = 300
    series = AR([0.3]).sample(n_series, 16 * 64, seed=1)
    targets = [mm.target_from_data(Autocovariance(), path) for path in series]
    variance = torch.stack([target.mean for target in targets]).var(0)
    claimed = torch.stack([target.standard_error for target in targets]).square().mean(0)
    # Relative standard error of a variance from n draws is √(2/(n − 1)); the mean of 300 ones from 16 batches adds
    # √(2/(15 · 300)); neighbouring windows of 64 points share at most 2 % of their dependence.
    tolerance = 4 * math.sqrt(2 / (n_series - 1) + 2 / (15 * n_series)) + 0.02
    assert ((variance / claimed - 1).abs() < tolerance).all()


def test_target_from_data_is_the_energy_of_the_whole_series(noise: Callable[..., Tensor]) -> None:
    energy, series = Autocovariance(), noise(100)
    target = mm.target_from_data(energy, series)
    windows = energy(series[:96].reshape(16, 6))
    torch.testing.assert_close(target.mean, energy(series), rtol=0, atol=0)
    torch.testing.assert_close(target.standard_error, windows.std(0) / 4.0, rtol=0, atol=1e-15)
    assert target.source == "one series of 100 points"


def test_target_from_data_takes_tensors_arrays_and_pandas_series_alike(noise: Callable[..., Tensor]) -> None:
    import pandas as pd

    energy, series = Autocovariance(), noise(64)
    first = mm.target_from_data(energy, series)
    for other in (series.numpy(), series.tolist(), pd.Series(series.numpy())):
        assert torch.equal(mm.target_from_data(energy, other).mean, first.mean)
    assert mm.target_from_data(energy, series.float()).mean.dtype == torch.float64
    assert mm.target_from_data(energy, np.arange(64)).mean.dtype == torch.float64


def test_target_of_the_sp500_has_unit_variance_and_clustered_volatility() -> None:
    returns = mm.data.standardize(mm.companion.observed_returns("sp500"))
    target = mm.target_from_data(StylizedFacts(), returns)
    x = returns.to_numpy()
    assert float(target.mean[0]) == pytest.approx(1.0, abs=1e-12)
    assert float(target.mean[1]) == pytest.approx(float((x[1:] * x[:-1]).sum()) / 4096, abs=1e-12)
    assert float(target.mean[21]) == pytest.approx(float((x[20:] ** 2 * x[:-20] ** 2).sum()) / 4096, abs=1e-12)
    # For independent returns of unit variance the products of squares would be 1 on average.
    assert (target.mean[2:] > 2).all()


def test_target_says_where_it_came_from() -> None:
    target = mm.estimate_target(Autocovariance(), WhiteNoise(), n_samples=10, length=8, seed=0)
    expected = "Target(2 energies from 10 paths of WhiteNoise(mean=0, stddev=1), 8 points each, seed 0)"
    assert repr(target) == expected


def test_target_cannot_be_changed() -> None:
    target = mm.estimate_target(Autocovariance(), WhiteNoise(), n_samples=10, length=8, seed=0)
    with pytest.raises(AttributeError):
        target.source = "elsewhere"  # type: ignore[misc]
