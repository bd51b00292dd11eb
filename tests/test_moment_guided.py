"""Moment guided diffusion: its step, its moments and entropy in closed form, and Laplacians of energies."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import ive
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.companion.closed_forms import gaussian_law
from mfmgdm_lib.companion.guided_diffusion import (
    exact_target,
    guided_limit,
    laws_of_equal_energies,
    maximum_entropy_variances,
)
from mfmgdm_lib.descents.moment_guided import mean_laplacian
from mfmgdm_lib.energies import Autocovariance, Concatenate, Energy, Linear, StylizedFacts

D = 16


class Square(Energy):
    """Mean square: the law of largest entropy is white noise, and θ = d / 2v of a law with variance v."""

    labels = ("square",)

    def _evaluate(self, x: Tensor) -> Tensor:
        return x.square().mean(-1, keepdim=True)


class Mean(Energy):
    """Linear in the path, so that there is no Hessian."""

    labels = ("mean",)

    def _evaluate(self, x: Tensor) -> Tensor:
        return x.mean(-1, keepdim=True)


class Smooth(Energy):
    """Without a band; the Hessian of the first is diagonal, that of the second is full beside a part that varies."""

    labels = ("bell", "product")

    def _evaluate(self, x: Tensor) -> Tensor:
        return torch.stack([torch.exp(-0.5 * x * x).mean(-1), x.square().mean(-1) * x.cos().mean(-1)], dim=-1)


def test_step_is_the_one_worked_out_by_hand(
    make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]
) -> None:
    """∇Φ = 2x/d and G = 4v/d, so that a weight w multiplies a path by 1 + 2w/d = 1 + (change of v) / 2v."""
    x0, h, volatility, end = noise(8, D), 0.25, 0.7, 2.0
    guided = mm.MomentGuidedDiffusion(Square(), make_target(Square(), [end]), volatility=volatility)
    (start, state, *_) = guided.steps(x0, 4, seed=5)
    rng = np.random.default_rng(5)
    rng.integers(0, 2, x0.shape)  # signs of the Laplacian's probes
    v = float(x0.square().mean())
    y = x0 * (1 + h * (end - v) / (2 * v)) + math.sqrt(2 * h) * volatility * torch.from_numpy(
        rng.standard_normal((8, D))
    )
    p, aim = float(y.square().mean()), v + h * (end - v)
    torch.testing.assert_close(state.paths, y * (1 + (aim - p) / (2 * p)), rtol=1e-6, atol=0)  # the ridge is 1e-7
    assert state.time == h and state.weights is not None and start.weights is None
    expected = [h * (end - v) * D / (4 * v), (aim - p) * D / (4 * p)]
    np.testing.assert_allclose(state.weights[:, 0].numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("volatility", [0.0, 2.0])
def test_entropy_of_white_noise_is_that_of_its_variance(
    volatility: float, make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]
) -> None:
    """θ = d / 2v whatever the ensemble, so the sum is a trapezoidal rule for d/2 ∫dv/v: errors Σ Δ³/12 max 2/v³."""
    x0 = noise(64, D)
    states = list(
        mm.MomentGuidedDiffusion(Square(), make_target(Square(), [3.0]), volatility=volatility).steps(x0, 50, seed=1)
    )
    v = torch.stack([state.energies.mean() for state in states])
    error = D / 2 * float((v.diff().abs() ** 3 / 6 / torch.minimum(v[1:], v[:-1]) ** 3).sum())
    exact = D / 2 * math.log(float(v[-1] / v[0]))
    assert exact > 5.0 and error < 0.01
    assert abs(states[-1].entropy_gain - exact) <= error + 1e-6 * exact  # ... and the ridge


@pytest.mark.parametrize(("corrections", "order"), [(1, 2), (2, 4)])
def test_mean_energy_follows_its_path(
    corrections: int, order: int, make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]
) -> None:
    """Of an error e a correction of the mean square p leaves e² / 4p; e is about 2hσ² = 0.04."""
    guided = mm.MomentGuidedDiffusion(Square(), make_target(Square(), [1.5]), volatility=1.0, corrections=corrections)
    states = list(guided.steps(noise(256, D), 50, seed=1))
    line = torch.linspace(float(states[0].energies.mean()), 1.5, 51, dtype=torch.float64)
    miss = (torch.stack([state.energies.mean() for state in states]) - line)[1:]
    left = 0.25 * 0.04**2 if order == 2 else 0.25 * (0.25 * 0.04**2) ** 2
    assert 0.2 * left < float(miss.mean()) < 5 * left or (order == 4 and float(miss.abs().max()) < 1e-6)


def test_large_ensemble_has_the_law_of_the_limit(noise: Callable[..., Tensor]) -> None:
    """Variances in the shared directions, and the entropy, against sums over eigenvalues."""
    process, energy, start, n = mm.processes.AR([0.6]), Autocovariance(), mm.processes.WhiteNoise(), 12_000
    target = mm.estimate_target(energy, process, n_samples=1000, length=D, seed=1)
    guided = mm.MomentGuidedDiffusion(energy, target, volatility=1.0)
    limit = guided_limit(guided, start, n_steps=60, length=D)
    *_, last = guided.steps(start.sample(n, D, seed=2), 60, seed=3)
    found = (last.paths @ limit.basis).square().mean(0) / limit.variances[-1]
    assert float((found - 1).abs().max()) < 4 * math.sqrt(2 / n)  # of 16 values, 4 standard errors
    # The gain is θ·(end − begin), and both ends of a path from the mean energy of noise vary with it: of order
    # θ sd(Φ) / √N, with θ about d/2 and sd(Φ) about √(2/d).
    assert last.entropy_gain == pytest.approx(float(limit.entropy_gain[-1]), abs=4 * D / 2 * math.sqrt(4 / D / n))


def test_limit_tends_to_the_law_of_largest_entropy() -> None:
    """The gap shrinks with σ, the estimate is a bound, and both meet where the law does."""
    process, energy = mm.processes.AR([0.6]), Autocovariance()
    mean = torch.tensor([gaussian_law(process, D).covariance_matrix.diagonal(1).sum() / D, 1.0], dtype=torch.float64)
    target = mm.Target(mean, torch.zeros(2), energy.labels, source="a test")
    largest = float(0.5 * (2 * math.pi * math.e * maximum_entropy_variances(energy, mean, D)).log().sum())
    gaps, lost = [], []
    for volatility in (0.0, 0.75, 1.5, 3.0):
        guided = mm.MomentGuidedDiffusion(energy, target, volatility=volatility, corrections=3)
        limit = guided_limit(guided, mm.processes.WhiteNoise(), n_steps=400, length=D)
        gaps.append(largest - float(limit.entropy[-1]))
        lost.append(float(limit.entropy[-1] - limit.entropy[0] - limit.entropy_gain[-1]))
    assert gaps[0] > gaps[1] > gaps[2] > gaps[3] > 0.0
    assert gaps[3] < 0.1 * gaps[0]
    assert abs(lost[0]) < 1e-3  # exact without noise, up to the trapezoidal rule
    assert lost[1] > lost[2] > lost[3] > 0.0


def test_largest_entropy_is_that_of_an_autoregression_in_the_limit() -> None:
    """ln(1 − φ²)/2 for each point, with ends that cost less than a nat."""
    mean = torch.tensor([0.6 * 199 / 200, 1.0], dtype=torch.float64)
    variances = maximum_entropy_variances(Autocovariance(), mean, 200)
    assert float(0.5 * variances.log().sum()) == pytest.approx(199 / 2 * math.log(1 - 0.36), abs=1.0)
    angles = torch.arange(1, 201, dtype=torch.float64) * math.pi / 201  # 2cos: eigenvalues of ones beside the diagonal
    spread = variances.sort(descending=True).values
    torch.testing.assert_close(torch.stack([angles.cos() @ spread, spread.sum()]) / 200, mean, rtol=1e-9, atol=0)
    with pytest.raises(ValueError, match="expected values that some Gaussian law has"):
        maximum_entropy_variances(Autocovariance(), torch.tensor([1.5, 1.0]), 8)


def test_laws_of_equal_energies_have_the_second_lags_of_their_spectra() -> None:
    """1 / (1 − c cos ω) has ρ² at lag 2 if ρ at lag 1; exp(c cos ω) has ratios of Bessel functions. Ends are 1/d."""
    process, length = mm.processes.AR([0.4, 0.1]), 300
    truth = gaussian_law(process, length).covariance_matrix
    torch.testing.assert_close(
        exact_target(process, length).mean, torch.stack([truth.diagonal(1).sum(), truth.trace()]) / length
    )
    laws, rho = laws_of_equal_energies(process, length=length, volatility=2.0, n_steps=200), 0.4 / 0.9
    sharp = brentq(lambda c: ive(1, c) / ive(0, c) - rho, 0.1, 3.0)
    expected = [0.1 + 0.4 * rho, rho**2, ive(2, sharp) / ive(0, sharp)]
    np.testing.assert_allclose(laws.loc[laws.index != "σ = 2", "lag 2"], expected, rtol=0, atol=1 / length)
    assert expected[2] < laws.loc["σ = 2", "lag 2"] < expected[1]
    assert laws["KL to process"].is_monotonic_increasing and laws.loc["process", "KL to process"] == 0.0


def test_entropy_is_left_out(make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]) -> None:
    guided = mm.MomentGuidedDiffusion(Autocovariance(), make_target(Autocovariance(), [0.2, 1.0]))
    with_it, without = (list(guided.steps(noise(8, D), 5, seed=1, entropy=wanted))[-1] for wanted in (True, False))
    assert torch.equal(with_it.paths, without.paths) and torch.equal(
        guided.sample(noise(8, D), 5, seed=1), without.paths
    )
    assert math.isnan(without.entropy_gain) and without.multipliers is None


def test_moments_can_follow_data(noise: Callable[..., Tensor]) -> None:
    energy, x0, data = Autocovariance(), noise(64, D), 2.0 * noise(64, D, seed=1)
    moments = mm.interpolated_moments(energy, x0, data, 40)
    middle = energy(math.sqrt(0.5) * (x0 + data)).mean(0)
    torch.testing.assert_close(moments[20], middle, rtol=1e-12, atol=0)
    target = mm.Target(moments[-1], torch.zeros(2), energy.labels, source="a test")
    guided = mm.MomentGuidedDiffusion(energy, target, volatility=0.5, corrections=2)
    states = list(guided.steps(x0, 40, seed=1, moments=moments))
    reached = torch.stack([state.energies.mean(0) for state in states])
    torch.testing.assert_close(reached, moments, rtol=0, atol=1e-3)
    with pytest.raises(ValueError, match=r"moments has shape \(41, 2\); expected \(31, 2\)"):
        list(guided.steps(x0, 30, seed=1, moments=moments))
    with pytest.raises(ValueError, match="expected that of x0"):
        mm.interpolated_moments(energy, x0, data[:3], 40)


@pytest.mark.parametrize(
    "energy",
    [
        Autocovariance(),
        StylizedFacts(lags=3),
        StylizedFacts(lags=2, leverage=3, sums=4),
        Linear(StylizedFacts(lags=2), torch.tensor([[1.0, 0.3, 0.2, 0.1]]), ["sum"]),
        Concatenate(Autocovariance(), StylizedFacts(lags=1)),
    ],
    ids=repr,
)
def test_laplacians_are_traces_of_hessians(energy: Energy, noise: Callable[..., Tensor]) -> None:
    x = noise(3, D)
    hessians = torch.stack([torch.func.jacrev(torch.func.jacrev(energy))(path) for path in x])
    traces = hessians.diagonal(dim1=-2, dim2=-1).sum(-1)
    torch.testing.assert_close(energy.laplacian(x), traces, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(Energy.laplacian(energy, x), traces, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(
        mean_laplacian(energy, x, np.random.default_rng(0)), traces.mean(0), rtol=1e-12, atol=1e-14
    )


def test_probes_estimate_laplacians(noise: Callable[..., Tensor]) -> None:
    energy, x, rng = Smooth(), noise(2, D), np.random.default_rng(1)
    found = torch.stack([mean_laplacian(energy, x, rng) for _ in range(400)])
    hessians = torch.stack([torch.func.jacrev(torch.func.jacrev(energy))(path) for path in x])
    exact = hessians.diagonal(dim1=-2, dim2=-1).sum(-1).mean(0)
    assert found[0, 0] == pytest.approx(float(exact[0]), rel=1e-12)  # a diagonal Hessian: no probe is wrong
    assert abs(float(found[:, 1].mean() - exact[1])) < 4 * float(found[:, 1].std()) / 20
    assert mean_laplacian(Mean(), x, rng).tolist() == [0.0]


def test_what_cannot_be_is_refused(make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]) -> None:
    energy = Autocovariance()
    target = make_target(energy, [0.2, 1.0])
    with pytest.raises(ValueError, match=r"volatility is -1\.0; expected at least 0"):
        mm.MomentGuidedDiffusion(energy, target, volatility=-1.0)
    with pytest.raises(ValueError, match="Estimate the target with the same energy"):
        mm.MomentGuidedDiffusion(Square(), target)
    guided = mm.MomentGuidedDiffusion(energy, target, volatility=3.0)
    assert repr(guided) == "MomentGuidedDiffusion(Autocovariance(), volatility=3)" and guided.event_shape == (None,)
    with pytest.raises(ValueError, match="with at least two paths"):
        guided.sample(noise(1, D), 3, seed=1)
    steep = mm.MomentGuidedDiffusion(StylizedFacts(lags=2), make_target(StylizedFacts(lags=2)), volatility=1e60)
    with pytest.raises(mm.errors.DivergedError, match=r"infinite or NaN energy at step 1 with volatility 1e\+60"):
        steep.sample(noise(4, D).float(), 2, seed=1)
