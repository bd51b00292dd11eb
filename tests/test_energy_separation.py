"""The comparison of energies: standardised paths, kinds of values, and separations from noise."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from mfmgdm_lib.companion import energy_separation
from mfmgdm_lib.energies import Autocovariance, Projection, ScatteringCovariance, ScatteringMean, ScatteringSpectra
from mfmgdm_lib.processes import AR, WhiteNoise


def test_paths_have_mean_zero_and_standard_deviation_one() -> None:
    paths = energy_separation.standardized_paths(300, length=256)
    assert next(iter(paths)) == "white noise" and list(paths)[-1] == "S&P 500" and len(paths) == 8
    for name, drawn in paths.items():
        assert drawn.shape == ((4, 256) if name == "S&P 500" else (300, 256))
        # Six standard errors, if neighbours are so alike that a path is worth 64 independent values at the least.
        assert abs(float(drawn.mean())) < 6 / (len(drawn) * 64) ** 0.5
        assert float(drawn.std()) == pytest.approx(1.0, abs=0.1)
    window = paths["S&P 500"][2]
    assert float(window.mean()) == pytest.approx(0.0, abs=1e-12)
    assert float(window.square().mean()) == pytest.approx(1.0, abs=1e-12)


def test_same_seed_gives_the_same_paths() -> None:
    first, second, other = (energy_separation.standardized_paths(2, length=256, seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["GARCH"], other["GARCH"])


def test_values_are_grouped_by_the_layers_of_their_signals() -> None:
    counts = {
        kind: pd.Series(energy_separation.group_values(kind(256))).value_counts().to_dict()
        for kind in (ScatteringMean, ScatteringCovariance, ScatteringSpectra)
    }
    assert counts[ScatteringMean] == {"1": 4, "2": 24}
    assert counts[ScatteringCovariance] == {
        "1 × 1": 36,
        "1 × 2": 8 * 48,
        "2 × 2": 48 * 49 // 2,
    }
    assert counts[ScatteringSpectra] == {
        "1": 8,
        "1 × 1": 8,
        "1 × 2": 28,
        "2 × 2": 84,
    }
    assert energy_separation.group_values(Autocovariance()) == ["components"] * 2


def test_shares_of_components_add_up_to_one() -> None:
    energy = ScatteringCovariance(256)
    projection = Projection.fit(energy, WhiteNoise(), n_components=3, n_samples=50, seed=1)
    shares = energy_separation.component_shares(projection)
    assert list(shares) == ["1 × 1", "1 × 2", "2 × 2"]
    torch.testing.assert_close(sum(shares.values()), torch.ones(3).double(), rtol=0, atol=1e-12)


def test_strongest_value_is_found_whatever_its_sign() -> None:
    paths = {"white noise": WhiteNoise().sample(200, 64, 1), "AR(-0.6)": AR([-0.6]).sample(200, 64, 2)}
    table = energy_separation.separations(Autocovariance(), paths)
    assert set(table["law"]) == {"AR(-0.6)"} and table["label"].tolist() == ["lag 1", "lag 0"]
    (text,) = energy_separation.strongest({"i": table})["i"]
    shift, error = table["shift"][0], table["standard_error"][0]
    assert shift < 0 and text == f"lag 1: −{-shift:.2f} ± {error:.2f}"
