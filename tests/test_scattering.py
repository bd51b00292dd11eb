"""Energies ii and iii: reference values, kymatio's scattering, symmetries, kinks, and descriptions of values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Energy, RecordedEnergy, ScatteringCovariance, ScatteringMean, recorded
from mfmgdm_lib.energies.scattering.two_layers import make_layers

REFERENCE = np.load(Path(__file__).parent / "fixtures" / "energies_T1024.npz")
X = torch.from_numpy(REFERENCE["x"])
KINDS = {"mean": ScatteringMean, "covariance": ScatteringCovariance}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


@dtypes
def test_scattering_mean_is_that_of_the_reference(dtype: torch.dtype) -> None:
    values = ScatteringMean(1024)(X.to(dtype)).double().numpy()
    np.testing.assert_allclose(values, REFERENCE["scattering_mean"], rtol=1e-5)


@dtypes
def test_all_covariances_are_those_of_the_reference(dtype: torch.dtype) -> None:
    values = ScatteringCovariance(1024)(X.to(dtype)).double().numpy()
    expected = REFERENCE["scattering_covariance_upper"]
    row, column = np.triu_indices(56)
    variances = expected[:, row == column]
    # Round-off of a covariance is relative to both standard deviations: those near 0 are sums that cancel.
    scale = np.sqrt(variances[:, row] * variances[:, column])
    assert np.abs((values - expected) / scale).max() < 1e-5
    np.testing.assert_allclose(values[:, row == column], variances, rtol=1e-5)


def test_signals_are_those_of_kymatio_away_from_the_ends(noise: Callable[..., Tensor]) -> None:
    from kymatio.scattering1d.frontend.numpy_frontend import ScatteringNumPy1D

    x = noise(1024)
    first, second = ScatteringMean(1024).transform(x)
    theirs = ScatteringNumPy1D(J=8, shape=1024, Q=1, T=0, max_order=2, oversampling=8, out_type="list")(x.numpy())
    # Kymatio reflects a path at its ends; the wavelets here are over after 10 standard deviations, 90 points at most
    # for the first layer and 180 more for the second.
    compared = 0
    for output in theirs:
        match output["n"]:
            case (j,) if j < 4:
                inner, ours = slice(90, -90), first[j]
            case (j, k) if j < 4 and k < 6:
                inner, ours = slice(300, -300), second[j, k]
            case _:
                continue
        np.testing.assert_allclose(ours[inner], output["coef"][inner], rtol=0, atol=1e-12)
        assert float(ours[inner].mean()) == pytest.approx(output["coef"][inner].mean(), rel=1e-12)
        compared += 1
    # Kymatio leaves out pairs of which the second wavelet is not slower by an octave index: 0, 0, 0, 1, 2, 3.
    assert compared == 4 + 3 * 3 + 2


def test_values_are_the_averages_of_the_signals(noise: Callable[..., Tensor]) -> None:
    x = noise(2, 3, 256)
    first, second = ScatteringMean(256).transform(x)
    assert first.shape == (2, 3, 4, 256) and second.shape == (2, 3, 4, 6, 256)
    means = torch.cat([first.mean(-1), second.mean(-1).flatten(-2)], dim=-1)
    torch.testing.assert_close(ScatteringMean(256)(x), means, rtol=0, atol=1e-14)
    first, second = ScatteringCovariance(256).transform(x[0, 0])
    covariance = np.cov(torch.cat([first, second.flatten(0, 1)]).numpy())[np.triu_indices(56)]
    np.testing.assert_allclose(ScatteringCovariance(256)(x[0, 0]), covariance, rtol=0, atol=1e-14)


@kinds
@pytest.mark.parametrize("shift", [1, 100, -7])
def test_energy_does_not_change_when_a_path_is_shifted_in_time(
    kind: type[RecordedEnergy], shift: int, noise: Callable[..., Tensor]
) -> None:
    energy, x = kind(256), noise(3, 256)
    torch.testing.assert_close(energy(x.roll(shift, -1)), energy(x), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("kind", "power"), [(ScatteringMean, 1), (ScatteringCovariance, 2)], ids=list(KINDS))
def test_energy_scales_with_a_power_of_the_path_and_ignores_its_level(
    kind: type[RecordedEnergy], power: int, noise: Callable[..., Tensor]
) -> None:
    energy, x = kind(256), noise(3, 256)
    assert torch.equal(energy(2 * x), 2**power * energy(x))
    torch.testing.assert_close(energy(3 * x), 3**power * energy(x), rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(energy(x + 5), energy(x), rtol=0, atol=1e-12)


def test_moduli_do_not_see_the_direction_of_time_and_phases_do(noise: Callable[..., Tensor]) -> None:
    x = noise(256).cumsum(-1).square()
    mean, covariance = ScatteringMean(256), ScatteringCovariance(256)
    torch.testing.assert_close(mean(x.flip(-1)), mean(x), rtol=1e-12, atol=0)
    changes = (covariance(x.flip(-1)) / covariance(x) - 1).abs()
    assert changes.max() > 0.1


@kinds
@dtypes
@pytest.mark.parametrize("level", [0.0, 3.7], ids=["zero", "constant"])
def test_derivatives_are_finite_where_all_moduli_vanish(
    kind: type[RecordedEnergy], dtype: torch.dtype, level: float, noise: Callable[..., Tensor]
) -> None:
    energy, x = kind(256), torch.full((2, 256), level, dtype=dtype)
    weights, vectors = noise(2, energy.dim).to(dtype), noise(2, 256, seed=1).to(dtype)
    force, product = energy.linearize(x, weights)
    for result in (energy(x), energy.gradient(x, weights), force, product(vectors)):
        assert torch.isfinite(result).all()
    assert energy(x).abs().max() < 1e-5 * (1 + level**2)
    if level == 0.0:
        assert not force.any() and not product(vectors).any()


@kinds
def test_derivatives_of_the_length_of_the_paper_are_those_of_automatic_differentiation(
    kind: type[RecordedEnergy], noise: Callable[..., Tensor]
) -> None:
    energy, x, vectors = kind(1024), noise(3, 1024), noise(3, 1024, seed=2)
    weights = noise(3, energy.dim, seed=1)
    (force, product), (expected, expected_product) = (
        by(energy, x, weights) for by in (kind.linearize, Energy.linearize)
    )
    for ours, theirs in ((force, expected), (product(vectors), expected_product(vectors))):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13 * float(theirs.abs().max()) * 1024**0.5)


@kinds
def test_chunks_change_nothing(
    kind: type[RecordedEnergy], noise: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    energy, x = kind(256), noise(5, 256)
    weights, vectors = noise(5, energy.dim, seed=1), noise(5, 256, seed=2)

    def everything() -> list[Tensor]:
        force, product = energy.linearize(x, weights)
        return [energy(x), energy.gradient(x, weights), force, product(vectors), product(vectors)]

    whole = everything()
    monkeypatch.setattr(recorded, "_CACHE_BYTES", {"cpu": 2 * 256 * 8 * energy._signals})
    assert energy._chunk_size(x) == 2
    for at_once, in_chunks in zip(whole, everything(), strict=True):
        torch.testing.assert_close(in_chunks, at_once, rtol=1e-13, atol=1e-13)


@kinds
def test_making_an_energy_makes_no_filters_and_using_it_makes_them_once(
    kind: type[RecordedEnergy], noise: Callable[..., Tensor]
) -> None:
    make_layers.cache_clear()
    energy = kind(512, J=7)
    assert make_layers.cache_info().currsize == 0
    energy(noise(512))
    energy(noise(2, 512))
    energy(noise(512).float())
    assert make_layers.cache_info().misses == 2  # one for each dtype


def test_filters_that_were_made_in_inference_mode_serve_autograd_too(noise: Callable[..., Tensor]) -> None:
    make_layers.cache_clear()
    energy, x = ScatteringMean(256), noise(2, 256)
    with torch.inference_mode():
        energy(x)
    assert torch.isfinite(Energy.gradient(energy, x, noise(2, 28))).all()


def test_each_value_says_what_it_is_made_of() -> None:
    energy = ScatteringMean(1024)
    assert energy.coefficients[3].scales == ((3,),) and energy.coefficients[3].order == 1
    deep = energy.coefficients[4 + 6 * 2 + 5]
    assert (deep.label, deep.scales, deep.order, deep.part) == ("⟨|W5|W2 x||⟩", ((2, 5),), 2, "real")
    wide = ScatteringCovariance(1024)
    by_label = {made.label: made for made in wide.coefficients}
    made = by_label["cov(1∠π/3, 2∠0→4)"]
    assert (made.scales, made.phases, made.order) == (((1,), (2, 4)), ("π/3", "0"), 2)
    assert wide.labels == tuple(by_label) and len(by_label) == 1596


def test_a_single_coefficient_is_the_covariance_of_the_signals_that_it_names(noise: Callable[..., Tensor]) -> None:
    energy, x = ScatteringCovariance(256), noise(256)
    first, second = energy.transform(x)
    value = energy(x)[energy.labels.index("cov(1∠π/3, 2∠0→4)")]
    pair = torch.stack([first[2 * 1 + 1], second[2 * 2 + 0, 4]])
    torch.testing.assert_close(value, torch.cov(pair)[0, 1], rtol=0, atol=1e-15)


def test_descent_with_a_scattering_energy_lowers_the_loss_in_float32_too() -> None:
    energy, process = ScatteringMean(256), mm.processes.AR([0.5])
    target = mm.estimate_target(energy, process, n_samples=200, seed=1)
    assert "256 points" in target.source
    for dtype in (torch.float32, torch.float64):
        model = mm.MFMGDM(energy, target, step_size=5.0)
        states = list(model.steps(mm.processes.WhiteNoise().sample(8, 256, seed=2).to(dtype), 20))
        assert states[-1].paths.dtype == dtype
        assert float(states[-1].loss[0]) < 0.5 * float(states[0].loss[0])


def test_trace_takes_the_length_of_the_energy_and_estimates_its_determinants() -> None:
    energy, process = ScatteringMean(256), mm.processes.AR([0.3])
    target = mm.estimate_target(energy, process, n_samples=200, seed=1)
    start = mm.initial_distribution(process)
    trace = mm.reverse_kl_trace(mm.MFMGDM(energy, target, 1.0), process, start, n_steps=3, n_paths=8, seed=2)
    assert trace.determinants == "stochastic" and trace.paths.shape == (8, 256)
    assert np.isfinite(trace.reverse_kl).all() and (trace.determinant_error[1:] > 0).all()
