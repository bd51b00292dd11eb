"""The autocovariance of periodic fields by hand, and its circulant determinants against dense ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.companion.field_spectra import (
    divergence_per_point,
    filtered,
    guided_spectrum,
    limit_of_filters,
    many_fields,
)
from mfmgdm_lib.energies import FieldAutocovariance
from mfmgdm_lib.energies.transforms import flat_energy
from mfmgdm_lib.log_determinants import choose_backend
from mfmgdm_lib.log_determinants.circulant import circulant_blocks
from mfmgdm_lib.processes import GaussianField

LAGS = ((0, 0), (0, 1), (1, 0), (2, -1))
CAR = GaussianField.conditional_autoregression(0.2, (8, 8))


def model(members: int | None, step_size: float = 2.0) -> mm.Model:
    energy = FieldAutocovariance(LAGS)
    target = mm.estimate_target(energy, CAR, n_samples=400, seed=3)
    return mm.Model(energy, target, step_size, ensemble_size=members)


def test_values_are_mean_products_around_the_torus() -> None:
    x = torch.arange(15.0).reshape(3, 5)
    (value,) = FieldAutocovariance([(1, -2)])(x).tolist()
    expected = [float(x[r, c] * x[(r + 1) % 3, (c - 2) % 5]) for r in range(3) for c in range(5)]
    assert value == pytest.approx(np.mean(expected), rel=1e-6)
    assert FieldAutocovariance([(1, -2)])(x) == FieldAutocovariance([(-1, 2)])(x)


def test_large_ensembles_are_worked_on_in_chunks_with_the_same_result(noise: Callable[..., Tensor]) -> None:
    energy, x, weights = FieldAutocovariance(LAGS), noise(40, 96, 96), noise(40, 4, seed=1)
    assert x.numel() > 2**18
    single = torch.stack([energy.gradient(path, weight) for path, weight in zip(x, weights, strict=True)])
    assert torch.equal(energy.gradient(x, weights), single)
    torch.testing.assert_close(energy(x), torch.stack([energy(path) for path in x]), rtol=0, atol=1e-14)


def test_spectra_are_the_eigenvalues_of_the_hessians_and_the_laplacian_their_sum(noise: Callable[..., Tensor]) -> None:
    shape = (5, 6)
    energy, x = FieldAutocovariance(((0, 0), (2, 1))), noise(*shape)
    spectra = energy.hessian_spectra(shape)
    for k, label in enumerate(energy.labels):
        hessian = torch.autograd.functional.hessian(lambda y, k=k: energy(y)[k], x).reshape(30, 30)
        full = torch.fft.fft2(hessian[0].reshape(shape)).real  # the first row of a circulant matrix
        torch.testing.assert_close(spectra[k], full[:, :4], rtol=0, atol=1e-14, msg=label)
        assert float(energy.laplacian(x)[k]) == pytest.approx(float(hessian.trace()), abs=1e-14)


@pytest.mark.parametrize("members", [1, 3], ids=["MGDM", "MF-MGDM"])
@pytest.mark.parametrize("step_size", [2.0, 400.0], ids=["small step", "folding step"])
def test_circulant_determinant_is_the_dense_one(members: int, step_size: float) -> None:
    descent = model(members, step_size)
    state = descent.evaluate(1.3 * mm.initial_distribution(CAR).sample(3, (8, 8), seed=3))
    exact, dense = (mm.log_determinant(descent, state, name) for name in ("circulant", "dense"))
    torch.testing.assert_close(exact.per_path, dense.per_path, rtol=0, atol=1e-10)
    assert torch.equal(exact.non_positive, dense.non_positive)
    assert (step_size > 100) == bool((exact.non_positive > 0).any())


def test_auto_takes_the_circulant_backend_for_fields_of_the_whole_line_alone(noise: Callable[..., Tensor]) -> None:
    descent = model(None)
    assert choose_backend(descent, length=64).name == "circulant"
    assert choose_backend(model(None), "dense", length=64).name == "dense"
    half = mm.Model(descent.energy, descent.target, 2.0, support=mm.Interval(0.0))
    assert choose_backend(half, length=64).name == "dense"
    with pytest.raises(ValueError, match=r"'circulant' for FieldAutocovariance.*expected an energy with circ"):
        choose_backend(half, "circulant", length=64)
    series = mm.energies.Autocovariance()
    other = mm.Model(series, mm.estimate_target(series, mm.processes.AR([0.1]), n_samples=9, length=9, seed=1), 1.0)
    with pytest.raises(ValueError, match="'circulant' for Autocovariance"):
        choose_backend(other, "circulant", length=9)
    energy, x = flat_energy(descent.energy, (8, 8)), noise(2, 64)
    with pytest.raises(ValueError, match="some entries stay where they are"):
        circulant_blocks(energy, x, noise(2, 4), x > 0)
    with pytest.raises(TypeError, match="no energy of fields that are laid out flat"):
        circulant_blocks(descent.energy, x, noise(2, 4))
    with pytest.raises(TypeError, match="no circulant Hessians"):
        series.hessian_spectra((9,))


def test_bounds_of_the_entropy_are_those_of_the_dense_backend() -> None:
    x0 = mm.initial_distribution(CAR).sample(6, (8, 8), seed=5)
    follow = partial(mm.entropy_bounds, model(None), x0, 4)
    exact, dense = follow(), follow(determinants="dense")
    assert exact.determinants == "circulant"
    for name in ("change", "upper"):
        np.testing.assert_allclose(getattr(exact, name), getattr(dense, name), rtol=0, atol=1e-12)
    assert (exact.lower >= dense.lower - 1e-12).all() and (exact.lower <= exact.change).all()


def test_stop_and_frozen_flow_take_the_circulant_backend() -> None:
    descent, start = model(None), mm.initial_distribution(CAR)
    x0 = start.sample(64, (8, 8), seed=5)
    stop = mm.balanced_stop(descent, x0, max_steps=60)
    assert stop.determinants == "circulant" and (stop.price > 0).all()
    flow = descent.freeze(x0, 30, start=start)
    paths, log_prob = flow.sample_and_log_prob(5, seed=1)
    torch.testing.assert_close(flow.log_prob(paths), log_prob, rtol=0, atol=1e-10)
    # The filter of all steps together, in one go.
    spectrum = filtered(torch.ones(8, 8).double(), LAGS, descent.rate * flow.mismatches)
    field = GaussianField(spectrum)
    torch.testing.assert_close(field.log_prob(paths), log_prob, rtol=0, atol=1e-10)


def test_divergence_of_fields_falls_to_what_filters_leave() -> None:
    shape, lags = (32, 32), LAGS[:3]
    law = GaussianField.conditional_autoregression(0.2, shape)
    energy = FieldAutocovariance(lags)
    mean = law.autocovariance(lags)
    target = mm.Target(mean, torch.zeros(3).double(), energy.labels, "the law")
    descent, start, n_steps = mm.MFMGDM(energy, target, step_size=20.0), mm.initial_distribution(law), 90
    trace = mm.reverse_kl_trace(descent, law, start, n_steps=n_steps, n_paths=64, length=shape, seed=2)
    assert trace.determinants == "circulant" and trace.result == "completed"
    pace = 2 * 20.0 / float(mean.square().sum()) / 1024
    limit = np.array([1024 * divergence_per_point(each, law) for each in many_fields(law, lags, pace, n_steps)])
    # The price of the coupling, −log det C / N, comes on top: with N = 64 less than half a nat in 60.
    apart = trace.reverse_kl - limit
    assert (abs(apart[:60]) < 5 * trace.standard_error[:60] + 0.5).all()
    assert limit.min() == pytest.approx(1024 * 0.0049, rel=0.02)


def test_filters_cannot_reach_a_conditional_autoregression_and_noise_or_another_metric_can() -> None:
    law, lags = GaussianField.conditional_autoregression(0.2, (16, 16)), LAGS[:3]
    spectrum = limit_of_filters(law, lags)
    assert GaussianField(spectrum).autocovariance(lags).numpy() == pytest.approx(
        law.autocovariance(lags).numpy(), 1e-12
    )
    left = divergence_per_point(spectrum, law)
    assert left == pytest.approx(0.00586, abs=5e-6)
    *_, slow = many_fields(law, lags, 0.02, 2500)
    # An Euler step of size h is an O(h) away from the flow.
    assert divergence_per_point(slow, law) == pytest.approx(left, rel=0.02)
    *_, own = many_fields(law, lags, 0.02, 2500, own_metric=True)
    assert divergence_per_point(own, law) < 1e-3 * left


def test_divergence_per_point_is_that_of_two_normal_laws() -> None:
    shape = (4, 3)
    laws = [GaussianField.conditional_autoregression(rho, shape) for rho in (0.2, -0.1)]
    normal = []
    for law in laws:
        columns = torch.fft.ifft2(law.spectrum).real
        matrix = torch.stack([columns.roll((r, c), (0, 1)).flatten() for r in range(4) for c in range(3)])
        normal.append(torch.distributions.MultivariateNormal(torch.zeros(12).double(), matrix))
    expected = float(torch.distributions.kl_divergence(*normal)) / 12
    assert divergence_per_point(laws[0].spectrum, laws[1]) == pytest.approx(expected, rel=1e-10)


def test_guided_spectrum_is_the_covariance_of_fields_that_are_moved_with_the_same_weights() -> None:
    energy = FieldAutocovariance(LAGS[:3])
    target = mm.Target(CAR.autocovariance(LAGS[:3]), torch.zeros(3).double(), energy.labels, "the law")
    guided, start = mm.MomentGuidedDiffusion(energy, target, volatility=1.0), mm.initial_distribution(CAR)
    n = 4000
    states = list(guided.steps(start.sample(n, (8, 8), seed=1), 20, seed=2, entropy=False))
    spectrum = guided_spectrum(torch.ones(8, 8).double(), LAGS[:3], states, 1.0)
    power = torch.fft.fft2(states[-1].paths).abs().square() / 64
    # 5 standard errors of each of 64 means of exponential laws (of χ²₁ at four frequencies: √2 more).
    assert ((power.mean(0) / spectrum - 1).abs() < 5 * math.sqrt(2 / n)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FieldAutocovariance([]), r"lags is \[\]; expected pairs of whole numbers"),
        (lambda: FieldAutocovariance([(0, 1, 2)]), "expected pairs of whole numbers"),
        (lambda: FieldAutocovariance([(0, 1), (0, 1)]), r"lags has \(0, 1\) and \(0, 1\); expected each lag once"),
        (lambda: FieldAutocovariance([(1, -2), (-1, 2)]), r"lags has \(1, -2\) and \(-1, 2\)"),
        (lambda: FieldAutocovariance([(0, 4)])(torch.zeros(8, 8)), r"lags has \(0, 4\) for a periodic field of 8 × 8"),
        (lambda: FieldAutocovariance([(0, 4)]).hessian_spectra((8, 8)), r"Use a field of at least 1 × 9 points"),
        (lambda: FieldAutocovariance([(0, 1)])(torch.zeros(8)), r"x has shape \(8,\); expected \(\*, height, width\)"),
    ],
)
def test_bad_input_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
