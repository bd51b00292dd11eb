"""Energies made of others: matrices, projections, whitening, concatenation, and files of fits."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.energies import (
    Autocovariance,
    Concatenate,
    Linear,
    Projection,
    ScatteringCovariance,
    ScatteringMean,
    StylizedFacts,
    Whitening,
    principal_components,
)
from mfmgdm_lib.processes import AR, CIR, Process, WhiteNoise


@pytest.mark.parametrize("process", [AR([0.4]), CIR(0.5, 1.0, 1.0)], ids=["path by path", "all at once"])
def test_streamed_moments_are_those_of_all_paths_at_once(process: Process) -> None:
    energy = StylizedFacts(lags=4)
    covariance = principal_components._covariance(energy, process, 1500, 64, seed=3)  # more than two chunks
    values = energy(process.sample(1500, 64, seed=3))
    expected = torch.cov(values.mT)
    torch.testing.assert_close(covariance, expected, rtol=0, atol=1e-13 * float(expected.abs().max()))


def test_streamed_moments_survive_a_mean_far_from_zero() -> None:
    shifted = Linear(Autocovariance(), torch.eye(2) * 1e-3, ["a", "b"])
    shifted._evaluate = lambda x: 1e6 + Autocovariance()(x)  # type: ignore[method-assign]
    covariance = principal_components._covariance(shifted, WhiteNoise(), 1200, 64, seed=1)
    plain = principal_components._covariance(Autocovariance(), WhiteNoise(), 1200, 64, seed=1)
    # Values are rounded to 10⁶ · 2⁻⁵³ ≈ 10⁻¹⁰; squares of sums would have lost 10⁻⁴.
    torch.testing.assert_close(covariance, plain, rtol=1e-7, atol=0)


def test_projection_has_uncorrelated_scores_of_unit_variance() -> None:
    energy, process = StylizedFacts(lags=6), AR([0.3])
    projection = Projection.fit(energy, process, n_components=3, n_samples=1000, length=128, seed=2)
    scores = projection(process.sample(1000, 128, seed=2))
    torch.testing.assert_close(torch.cov(scores.mT), torch.eye(3).double(), rtol=0, atol=1e-10)
    values = torch.linalg.eigvalsh(torch.cov(energy(process.sample(1000, 128, seed=2)).mT)).flip(0)
    torch.testing.assert_close(projection.variances, values, rtol=1e-9, atol=1e-15)
    assert "1000 paths of AR([0.3]" in projection.source
    # Not centred: the score of a mean energy is not 0.
    assert scores.mean(0).abs().max() > 1


def test_directions_of_a_projection_are_orthonormal_and_point_one_way() -> None:
    energy = ScatteringCovariance(256)
    projection = Projection.fit(energy, WhiteNoise(), n_components=20, n_samples=300, seed=1)
    rows = projection.directions
    torch.testing.assert_close(rows @ rows.mT, torch.eye(20).double(), rtol=0, atol=1e-12)
    assert (rows.gather(1, rows.abs().argmax(1, keepdim=True)) > 0).all()
    assert projection.dim == 20 and projection.length == 256


def test_whitened_energy_is_white_and_keeps_its_bands() -> None:
    energy, process = StylizedFacts(lags=6), AR([0.3])
    white = Whitening.fit(energy, process, n_samples=1000, length=128, seed=2)
    covariance = torch.cov(white(process.sample(1000, 128, seed=2)).mT)
    torch.testing.assert_close(covariance, torch.eye(8).double(), rtol=0, atol=1e-9)
    torch.testing.assert_close(white.matrix, white.matrix.mT, rtol=1e-12, atol=1e-12)
    assert (white.rank, white.bandwidth, white.commuting) == (8, 6, False)
    model = mm.MFMGDM(white, mm.estimate_target(white, process, n_samples=200, length=64, seed=1), 1.0)
    state = model.evaluate(WhiteNoise().sample(3, 64, seed=1))
    exact, reference = (mm.log_determinant(model, state, backend) for backend in ("auto", "dense"))
    torch.testing.assert_close(exact.per_path, reference.per_path, rtol=0, atol=1e-10)


def test_whitening_leaves_out_what_never_varies() -> None:
    doubled = Linear(Autocovariance(), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), ["a", "b", "sum"])
    white = Whitening.fit(doubled, WhiteNoise(), n_samples=100, length=64, seed=1)
    assert white.rank == 2 and torch.isfinite(white.matrix).all()
    covariance = torch.cov(white(WhiteNoise().sample(100, 64, seed=1)).mT)
    # A projector on the two directions there are: eigenvalues 0, 1 and 1.
    torch.testing.assert_close(
        torch.linalg.eigvalsh(covariance), torch.tensor([0.0, 1.0, 1.0]).double(), rtol=0, atol=1e-9
    )


def test_values_of_concatenated_energies_follow_each_other(noise: Callable[..., Tensor]) -> None:
    parts = ScatteringMean(256), StylizedFacts(lags=2)
    both, x = Concatenate(*parts), noise(2, 256)
    torch.testing.assert_close(both(x), torch.cat([part(x) for part in parts], dim=-1), rtol=0, atol=0)
    assert both.labels[0] == "ScatteringMean: ⟨|W0 x|⟩" and both.labels[-1] == "StylizedFacts: squares, lag 2"
    assert both.length == 256 and both.bandwidth is None and both.dim == 32


@pytest.mark.parametrize("kind", [Projection, Whitening], ids=["projection", "whitening"])
def test_saved_fit_is_the_same_one(
    kind: type[Projection | Whitening], tmp_path: Path, noise: Callable[..., Tensor]
) -> None:
    energy, keep = StylizedFacts(lags=6), {"n_components": 3} if kind is Projection else {}
    fit = kind.fit(energy, AR([0.3]), n_samples=100, length=64, seed=2, **keep)  # type: ignore[arg-type]
    path = fit.save(tmp_path / "fit.npz")
    assert [*tmp_path.iterdir()] == [path]
    again = kind.load(path, StylizedFacts(lags=6))
    assert torch.equal(again.matrix, fit.matrix) and torch.equal(again.variances, fit.variances)
    assert (again.source, again.labels) == (fit.source, fit.labels)
    assert torch.equal(again(noise(2, 64)), fit(noise(2, 64)))


def test_fits_are_reproducible_and_depend_on_the_seed() -> None:
    def fit(seed: int) -> Tensor:
        return Projection.fit(StylizedFacts(), WhiteNoise(), n_components=2, n_samples=50, length=64, seed=seed).matrix

    assert torch.equal(fit(1), fit(1)) and not torch.equal(fit(1), fit(2))


def test_projection_of_the_paper_is_in_the_repository() -> None:
    projection = mm.companion.projected_covariance()
    assert (projection.dim, projection.length, len(projection.variances)) == (20, 1024, 1596)
    assert projection.source == "100000 paths of WhiteNoise(mean=0, stddev=1), 1024 points each, seed (1, 12345)"
    # Its first 2000 paths, drawn again: variances 1 and correlations 0, to 5 standard errors for 210 numbers.
    scores = projection(WhiteNoise().sample(2000, 1024, seed=(1, 12345)))
    standardized = (scores - scores.mean(0)) / scores.std(0)
    kurtosis = standardized.pow(4).mean(0)
    assert ((scores.var(0) - 1).abs() < 5 * ((kurtosis - 1) / 2000).sqrt()).all()
    correlation = torch.corrcoef(scores.mT) - torch.eye(20)
    assert correlation.abs().max() < 5 / math.sqrt(2000)
