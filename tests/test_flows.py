"""Frozen flows: a density that integrates to 1, an exact inverse, and files that restore the flow."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

import mfmgdm_lib as mm
from mfmgdm_lib import specification
from mfmgdm_lib._arrays import load_arrays, save_arrays
from mfmgdm_lib.energies import Autocovariance, BandedEnergy, Energy, ScatteringMean, StylizedFacts, Whitening
from mfmgdm_lib.errors import DivergedError, NewerFormatError, NotInvertibleError
from mfmgdm_lib.flows import transform
from mfmgdm_lib.flows.root_finding import find_origin
from mfmgdm_lib.processes import AR, CIR, Exponential, Process, WhiteNoise


class Bumps(BandedEnergy):
    """Bounded Hessians, so that small steps fold nowhere, for paths of one point on."""

    labels = ("modulus", "bell", "wave of neighbours")
    minimum_length = 1
    bandwidth = 1

    def _evaluate(self, x: Tensor) -> Tensor:
        wave = torch.cos(x[..., 1:] + x[..., :-1])
        parts = ((x * x + 1.0).sqrt(), torch.exp(-0.5 * x * x), wave)
        return torch.stack([part.sum(-1) for part in parts], dim=-1) / x.shape[-1]

    def hessian_bands(self, x: Tensor, weights: Tensor) -> Tensor:
        modulus, bell, wave = (weights / x.shape[-1]).unsqueeze(-2).unbind(-1)
        bands = x.new_zeros(*x.shape[:-1], 2, x.shape[-1])
        beside = -wave * torch.cos(x[..., 1:] + x[..., :-1])
        bands[..., 0, :] = modulus * (x * x + 1.0) ** -1.5 + bell * (x * x - 1.0) * torch.exp(-0.5 * x * x)
        bands[..., 0, 1:] += beside
        bands[..., 0, :-1] += beside
        bands[..., 1, :-1] = beside
        return bands


@pytest.fixture
def frozen(make_target: Callable[..., mm.Target]) -> Callable[..., mm.FrozenFlow]:
    """A flow of a target of made-up values, at a rate of `pace` · length whatever these are."""

    def build(
        energy: Energy,
        length: int,
        *,
        members: int | None = None,
        pace: float = 0.02,
        n_steps: int = 8,
        start: Process | None = None,
        n_paths: int = 40,
    ) -> mm.FrozenFlow:
        start = WhiteNoise() if start is None else start
        target = make_target(energy)
        step_size = pace * length * float(target.mean.square().sum())
        model = mm.Model(energy, target, step_size, ensemble_size=members, support=start.support)
        return model.freeze(start.sample(n_paths, length, seed=5), n_steps, start=start)

    return build


MODELS = pytest.mark.parametrize("members", [None, 1], ids=["MF-MGDM", "MGDM"])


# --- the density -------------------------------------------------------------------------------------------------


@MODELS
@pytest.mark.parametrize("dim", [1, 2])
def test_density_integrates_to_one(frozen: Callable[..., mm.FrozenFlow], dim: int, members: int | None) -> None:
    flow = frozen(Bumps(), dim, members=members, pace=0.05)
    changes = (flow.sample(50, seed=1) - flow.start.sample(50, dim, seed=1)).abs()
    assert changes.max() > 0.1  # else it would be the start that is integrated
    # The rectangle rule is off by e^(−2πa/h) at a spacing h, where the density is analytic up to ±ia: here a is about
    # ½, for the modulus is up to ±i. Beyond 9 there is less than e^−32 of a Gaussian moved by less than 1.
    points = 361 if dim == 1 else 181
    axis = torch.linspace(-9, 9, points, dtype=torch.float64)
    grid = torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)
    total = float(flow.log_prob(grid).exp().sum()) * (18 / (points - 1)) ** dim
    assert total == pytest.approx(1.0, abs=1e-9)


def eigenvalues_of_the_map(flow: mm.FrozenFlow) -> Tensor:
    """Those of the frozen map of `Autocovariance`: a product of tridiagonal Toeplitz matrices, in sines, (d,)."""
    angles = math.pi * torch.arange(1, flow.length + 1, dtype=torch.float64) / (flow.length + 1)
    assert flow.mismatches is not None
    bends = 2.0 * (flow.mismatches[:, :1] * torch.cos(angles) + flow.mismatches[:, 1:]) / flow.length
    return (1.0 - flow.rate * bends).prod(0)


def test_quadratic_energy_has_the_gaussian_of_its_linear_map(frozen: Callable[..., mm.FrozenFlow]) -> None:
    d = 24
    flow = frozen(Autocovariance(), d, pace=0.05, n_steps=30, start=WhiteNoise(stddev=1.5))
    matrix = flow.transform(torch.eye(d, dtype=torch.float64)).T
    exact = torch.distributions.MultivariateNormal(
        torch.zeros(d).double(), scale_tril=torch.linalg.cholesky(2.25 * matrix @ matrix.T)
    )
    x = exact.sample((20,))
    # 30 steps, each with a round-off of some ε for every one of 24 points, grown by a condition number below 10².
    torch.testing.assert_close(flow.log_prob(x), exact.log_prob(x), rtol=0, atol=1e-10)
    logs = torch.linalg.slogdet(matrix).logabsdet
    torch.testing.assert_close(eigenvalues_of_the_map(flow).log().sum(), logs, rtol=0, atol=1e-12)
    entropy, error = flow.entropy_estimate(4000, seed=1)
    assert abs(entropy - float(exact.entropy())) < 4 * error
    # The log-density of a Gaussian is −½χ² of d degrees, up to a constant: its sd is √(d/2), known here to 1/√(2n).
    assert error == pytest.approx((d / 2 / 4000) ** 0.5, rel=4 / (2 * 4000) ** 0.5 + 0.02)


def test_divergence_of_fresh_paths_is_far_below_that_of_the_coupled_ensemble() -> None:
    experiment = mm.companion.AR_ILLUSTRATION
    model, start = experiment.model(None), WhiteNoise()
    x0 = start.sample(128, 1024, seed=(2, 12345))
    flow = model.freeze(x0, 200)
    # Both laws are Gaussian: KL = ½ (tr(P M Mᵀ) − d − log det P − 2 log det M), P the precision matrix of the AR(1),
    # tridiagonal with 1 + φ² on its diagonal, but 1 at the ends, and −φ beside it, over 1 − φ².
    d, phi, values = 1024, 0.1, eigenvalues_of_the_map(flow)
    places = torch.arange(1, d + 1, dtype=torch.float64)
    sines = torch.sin(math.pi * places[:, None] * places / (d + 1)) * (2.0 / (d + 1)) ** 0.5
    covariance = sines * values.square() @ sines.T
    trace = (1 + phi**2) * covariance.trace() - phi**2 * (covariance[0, 0] + covariance[-1, -1])
    trace = (trace - 2 * phi * covariance.diagonal(1).sum()) / (1 - phi**2)
    divergence = float(0.5 * (trace - d + (d - 1) * math.log(1 - phi**2)) - values.log().sum())
    assert divergence == pytest.approx(0.0136, abs=0.0001)  # as this seed has it; the coupled ensemble has 0.10 ± 0.01
    paths, log_q = flow.sample_and_log_prob(256, seed=0)
    excess = log_q - experiment.process.log_prob(paths)
    assert abs(float(excess.mean()) - divergence) < 4 * float(excess.std()) / 256**0.5


@MODELS
@pytest.mark.parametrize("energy", [Autocovariance(), StylizedFacts(3), Bumps()], ids=["i", "facts", "bumps"])
def test_log_prob_of_a_sample_is_what_adds_up_on_the_way(
    energy: Energy, members: int | None, frozen: Callable[..., mm.FrozenFlow]
) -> None:
    flow = frozen(energy, 32, members=members, pace=0.001)
    paths, log_prob = flow.sample_and_log_prob((2, 3), seed=(1, 2))
    assert (paths.shape, log_prob.shape) == ((2, 3, 32), (2, 3))
    assert torch.equal(paths, flow.sample((2, 3), seed=(1, 2)))
    # Round-off of 32 points and 8 steps, grown by a map that shrinks no distance below a tenth.
    torch.testing.assert_close(flow.log_prob(paths), log_prob, rtol=0, atol=1e-10)
    starts = flow.inverse(paths)
    torch.testing.assert_close(flow.transform(starts), paths, rtol=0, atol=1e-12)
    torch.testing.assert_close(starts.flatten(0, 1), flow.start.sample(6, 32, seed=(1, 2)), rtol=0, atol=1e-11)
    assert not flow.log_prob_and_error(paths)[1].any()


@MODELS
def test_stochastic_log_prob_is_exact_within_its_error(
    members: int | None, frozen: Callable[..., mm.FrozenFlow]
) -> None:
    flow = frozen(StylizedFacts(2), 64, members=members, pace=0.005)
    paths = flow.sample(64, seed=3)
    exact = flow.log_prob(paths, determinants="banded")
    torch.testing.assert_close(flow.log_prob(paths[:2], determinants="dense"), exact[:2], rtol=0, atol=1e-10)
    estimate, error = flow.log_prob_and_error(paths, determinants="stochastic", seed=4)
    assert (error > 0).all() and (error < 1).all()
    deviations = (estimate - exact) / error
    # 64 independent ratios of variance about 1; for MGDM 16 paths' capacitances are right for all.
    assert abs(float(deviations.square().mean()) - 1.0) < 5 * (2 / 64) ** 0.5
    states = list(flow.steps(flow.start.sample(8, 64, seed=1), determinants="stochastic", seed=5))
    errors = torch.stack([state.standard_error for state in states])
    assert not errors[0].any() and (errors.diff(dim=0) > 0).all()
    with pytest.raises(ValueError, match=r"seed is None with the stochastic backend"):
        flow.log_prob(paths, determinants="stochastic")


def test_steps_are_those_of_flows_stopped_earlier(frozen: Callable[..., mm.FrozenFlow]) -> None:
    flow = frozen(Bumps(), 16)
    x0 = WhiteNoise().sample(5, 16, seed=9)
    states = list(flow.steps(x0))
    assert [state.step for state in states] == list(range(9))
    for state in states[::4]:
        shorter = flow.truncate(state.step)
        assert shorter.n_steps == state.step and torch.equal(shorter.transform(x0), state.paths)
        torch.testing.assert_close(shorter.log_prob(state.paths), state.log_prob, rtol=0, atol=1e-10)
    assert flow.n_steps == 8 and flow.mismatches is not None and len(flow.mismatches) == 8


# --- what is frozen ----------------------------------------------------------------------------------------------


@MODELS
def test_ensemble_that_was_frozen_goes_the_way_it_went(
    members: int | None, noise: Callable[..., Tensor], make_target: Callable[..., mm.Target]
) -> None:
    energy = StylizedFacts(3)
    model = mm.Model(energy, make_target(energy), 0.5, ensemble_size=members)
    x0 = noise(40, 32)
    flow = model.freeze(x0, 6)
    assert torch.equal(flow.transform(x0), model.sample(x0, 6))
    assert (flow.mismatches is None) == (members == 1)
    assert flow.ensemble_size == (40 if members is None else 1)
    single = flow.transform(x0.float())
    assert single.dtype == flow.inverse(single).dtype == torch.float32
    assert flow.log_prob(single).dtype == torch.float64
    # Rounded to float32, a path of 32 points lies elsewhere by 2⁻²⁴ of its values, and moves on by 6 steps.
    torch.testing.assert_close(single.double(), flow.transform(x0), rtol=0, atol=1e-5)
    torch.testing.assert_close(model.freeze(x0, 0).log_prob(x0), WhiteNoise().log_prob(x0), rtol=0, atol=1e-12)


def test_it_is_a_distribution_of_torch(frozen: Callable[..., mm.FrozenFlow]) -> None:
    flow = frozen(Autocovariance(), 8)
    assert isinstance(flow, Distribution)
    assert (flow.event_shape, flow.batch_shape) == (torch.Size([8]), torch.Size())
    assert flow.support.check(flow.sample(3, seed=0)).all() and flow.support.event_dim == 1
    assert flow.sample(seed=0).shape == (8,) and flow.log_prob(flow.sample(seed=0)).shape == ()
    assert flow.sample(torch.Size([2]), seed=0).shape == (2, 8)
    torch.manual_seed(1)
    first, other = flow.sample(2), flow.sample(2)
    torch.manual_seed(1)
    assert torch.equal(first, flow.sample(2)) and not torch.equal(first, other)
    assert torch.equal(flow.sample(3, seed=7), flow.sample(3, seed=7))
    with pytest.raises(NotImplementedError, match=r"Use entropy_estimate"):
        flow.entropy()


@MODELS
def test_samples_can_be_differentiated(members: int | None, frozen: Callable[..., mm.FrozenFlow]) -> None:
    flow = frozen(Bumps(), 6, members=members, n_steps=3)
    x0 = WhiteNoise().sample(2, 6, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(flow.transform, x0)
    torch.testing.assert_close(flow.transform(x0), flow.transform(x0.detach()), rtol=0, atol=1e-14)
    assert not flow.rsample(2, seed=0).requires_grad
    if flow.mismatches is not None:
        flow.mismatches.requires_grad_()

        def draw(mismatches: Tensor) -> Tensor:
            flow.mismatches = mismatches
            return flow.rsample(2, seed=0)

        assert torch.autograd.gradcheck(draw, flow.mismatches)
        assert not flow.sample(2, seed=0).requires_grad
        assert not flow.log_prob(flow.sample(2, seed=0)).requires_grad


def test_start_has_to_be_the_law_of_the_paths(make_target: Callable[..., mm.Target]) -> None:
    model = mm.MFMGDM(Autocovariance(), make_target(Autocovariance()), 0.1)
    x0 = WhiteNoise(0.5).sample(64, 32, seed=1)
    with pytest.raises(ValueError, match=r"x0 has the mean 0\.4\d+ ± 0\.02\d?, and WhiteNoise\(mean=0, .* has 0;"):
        model.freeze(x0, 3)
    with pytest.raises(ValueError, match=r"x0 has the variance .*WhiteNoise\(mean=0.5, stddev=2\) has 4;"):
        model.freeze(x0, 3, start=WhiteNoise(0.5, 2.0))
    model.freeze(x0, 3, start=WhiteNoise(0.5))
    model.freeze(x0[:31], 3)  # too few to tell
    with pytest.raises(ValueError, match=r"Exponential\(mean=1\) lives on .*Pass support=start.support"):
        model.freeze(x0, 3, start=Exponential(1.0))
    inside = mm.MFMGDM(Autocovariance(), model.target, 0.1, support=constraints.nonnegative)
    with pytest.raises(ValueError, match=r"start is None .*initial_distribution"):
        inside.freeze(x0.abs(), 3)


def test_models_that_cannot_be_frozen_say_why(
    make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]
) -> None:
    energy = Autocovariance()
    target, x0 = make_target(energy), noise(8, 16)
    with pytest.raises(ValueError, match=r"inner_steps=2; expected 1 where it is frozen"):
        mm.MFMGDM(energy, target, 0.1, inner_steps=2).freeze(x0, 3)
    with pytest.raises(ValueError, match=r"ensemble_size is 4 with 8 paths; expected one ensemble"):
        mm.MFMGDM(energy, target, 0.1, ensemble_size=4).freeze(x0, 3)
    assert mm.MFMGDM(energy, target, 0.1, ensemble_size=8).freeze(x0, 3).ensemble_size == 8
    with pytest.raises(ValueError, match=r"n_steps is 4; expected at most the 3 of the flow"):
        mm.MFMGDM(energy, target, 0.1).freeze(x0, 3).truncate(4)
    with pytest.raises(ValueError, match=r"mismatches has shape \(3, 1\)"):
        mm.FrozenFlow(energy, target, 0.1, torch.zeros(3, 1).double(), start=WhiteNoise(), length=16)


# --- paths that do not belong ------------------------------------------------------------------------------------


def test_paths_that_do_not_belong_are_told_so(frozen: Callable[..., mm.FrozenFlow]) -> None:
    flow = frozen(StylizedFacts(2), 16)
    x = flow.sample(4, seed=0)
    with pytest.raises(ValueError, match=r"x has shape \(4, 15\); expected \(\*, 16\)"):
        flow.log_prob(x[:, 1:])
    with pytest.raises(ValueError, match=r"x has 1 entries that are NaN or infinite"):
        flow.inverse(torch.where(x == x[2, 3], math.nan, x))
    x[1] = 4000.0 + 10 * x[1]
    with pytest.raises(NotInvertibleError, match=r"path 1 .*Standardise the series") as caught:
        flow.log_prob(x)
    assert caught.value.particle == 1
    x[1] = 1e100
    with pytest.raises(DivergedError, match=r"path 1 has an infinite or NaN energy.*Standardise"):
        flow.log_prob(x)


def test_error_names_the_path_among_all_of_them(
    frozen: Callable[..., mm.FrozenFlow], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = frozen(StylizedFacts(2), 16)
    whole = flow.log_prob(x := flow.sample(7, seed=0))
    monkeypatch.setattr(transform, "_CHUNK_POINTS", 32)
    torch.testing.assert_close(flow.log_prob(x), whole, rtol=0, atol=1e-12)
    assert torch.equal(flow.sample(7, seed=0), x)
    x[5] *= 1000.0
    for call in (flow.log_prob, flow.inverse):
        with pytest.raises(NotInvertibleError, match=r"path 5 ") as caught:
            call(x)
        assert caught.value.particle == 5


def test_step_that_folds_is_refused_on_either_way(make_target: Callable[..., mm.Target]) -> None:
    energy = Autocovariance()
    mismatches = torch.tensor([[0.0, 0.1], [0.0, 1.0]], dtype=torch.float64)
    target = make_target(energy)
    # The second step multiplies by 1 − 2 γ / d = −1, and leads everywhere from somewhere.
    step_size = 8.0 * float(target.mean.square().sum())
    flow = mm.FrozenFlow(energy, target, step_size, mismatches, start=WhiteNoise(), length=8)
    x0 = WhiteNoise().sample(2, 8, seed=0)
    for call in (flow.inverse, flow.log_prob, lambda x: list(flow.steps(x)), lambda x: flow.sample_and_log_prob(2, 0)):
        with pytest.raises(NotInvertibleError, match=r"step 1 ") as caught:
            call(x0)
        assert caught.value.step == 1
    assert flow.transform(x0).shape == (2, 8)
    # Whoever wants a bound goes on: the first step multiplies by 0.8, and of −1 the logarithm of the modulus counts.
    start, first, second = (state.log_prob for state in flow.steps(x0, determinants=mm.Determinants(on_fold="record")))
    torch.testing.assert_close(first, start - 8 * math.log(0.8), rtol=0, atol=1e-12)
    torch.testing.assert_close(second, first, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match=r"every=3.*; expected every=1 and step_error=None"):
        list(flow.steps(x0, determinants=mm.Determinants(every=3)))


def test_half_line_has_no_density_below_zero_and_counts_one_origin_above(frozen: Callable[..., mm.FrozenFlow]) -> None:
    flow = frozen(Autocovariance(), 12, start=Exponential(1.0), pace=0.2, n_steps=3)
    paths, log_prob = flow.sample_and_log_prob(400, seed=1)
    assert (paths >= 0).all()
    starts = flow.start.sample(400, 12, seed=1)
    moved = torch.stack([s.paths for s in flow.steps(starts)]).diff(dim=0).ne(0).all(-1).all(0)
    assert moved.any() and not moved.all()
    # Where every entry moved at every step the origin counted is the one drawn.
    torch.testing.assert_close(flow.log_prob(paths[moved]), log_prob[moved], rtol=0, atol=1e-10)
    outside = paths[moved][:3].clone()
    outside[1, 4] = -1e-3
    values = flow.log_prob(outside)
    assert values[1] == -math.inf and torch.equal(values[[0, 2]], flow.log_prob(outside[[0, 2]]))
    with pytest.raises(ValueError, match=r"x has the value -0.001; expected values of at least 0"):
        flow.inverse(outside)
    # A map that pushes all entries up, as a lack of variance does, leads nowhere near 0.
    rising = frozen(Autocovariance(), 12, start=Exponential(0.3), pace=0.2, n_steps=3)
    near = rising.sample(1, seed=1)
    near[0, 5] = 0.0
    with pytest.raises(NotInvertibleError, match=r"path 0 has no origin in the support .* at step \d"):
        rising.log_prob(near)


def test_entries_that_stay_are_in_the_determinant(frozen: Callable[..., mm.FrozenFlow]) -> None:
    for members, pace in ((None, 0.2), (1, 0.02)):
        flow = frozen(Autocovariance(), 12, start=Exponential(1.0), pace=pace, n_steps=3, members=members)
        _, log_prob = flow.sample_and_log_prob(20, seed=1)
        starts = flow.start.sample(20, 12, seed=1)
        logs = [torch.autograd.functional.jacobian(flow.transform, x).slogdet().logabsdet for x in starts]
        torch.testing.assert_close(log_prob, flow.start.log_prob(starts) - torch.stack(logs), rtol=0, atol=1e-10)


# --- the way back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.01, -0.01, 0.4, 0.7, 0.99, -0.9, -30.0])
def test_origin_is_found_however_fast_the_force_grows(slope: float, noise: Callable[..., Tensor]) -> None:
    slopes = slope * torch.linspace(0.2, 1.0, 10, dtype=torch.float64)
    x = noise(4, 10)
    origin = find_origin(lambda y: slopes * y, lambda y: (slopes * y, lambda v: slopes * v), x)
    assert origin.found.all()
    # The residual is a few ε of the path's norm, and its inverse grows that by 1 / (1 − slope) at most.
    torch.testing.assert_close(origin.paths, x / (1 - slopes), rtol=0, atol=1e-14 / min(1.0, 1 - slope))
    assert origin.contracting.tolist() == [abs(slope) < 0.5] * 4


def test_origins_of_curved_steps_are_found_path_by_path(noise: Callable[..., Tensor]) -> None:
    def force(y: Tensor) -> Tensor:
        return 0.9 * torch.sin(y) + 0.3 * y.roll(1, -1) + 0.3 * y.roll(-1, -1) - 0.7 * y

    def linearize(y: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return force(y), lambda v: 0.9 * torch.cos(y) * v + 0.3 * v.roll(1, -1) + 0.3 * v.roll(-1, -1) - 0.7 * v

    wanted = 5 * noise(30, 8)
    origin = find_origin(force, linearize, wanted - force(wanted))
    assert origin.found.all() and not origin.contracting.all()
    torch.testing.assert_close(origin.paths, wanted, rtol=0, atol=1e-12)


def test_place_that_nothing_leads_to_has_no_origin() -> None:
    x = torch.tensor([[0.1, 0.2], [3.0, 0.0]], dtype=torch.float64)
    # y − y³/3 is at most 2/3 on the branch through 0, where the derivative 1 − y² is positive; and below on the other
    # side all values are taken again, by a derivative that is not.
    origin = find_origin(lambda y: y * y * y / 3, lambda y: (y * y * y / 3, lambda v: y * y * v), x)
    assert origin.found[0]
    torch.testing.assert_close(origin.paths[0] - origin.paths[0] ** 3 / 3, x[0], rtol=0, atol=1e-15)
    assert not origin.found[1]


# --- units and starts that are left out ---------------------------------------------------------------------------


def test_flow_in_units_has_the_density_of_the_scaled_paths(frozen: Callable[..., mm.FrozenFlow]) -> None:
    plain = frozen(StylizedFacts(2), 16)
    flow = mm.FrozenFlow(
        plain.energy,
        plain.target,
        plain.step_size,
        plain.mismatches,
        start=plain.start,
        length=16,
        loc=-3.0,
        scale=0.25,
        unit="percent",
    )
    paths, log_prob = flow.sample_and_log_prob(20, seed=3)
    bare, bare_log_prob = plain.sample_and_log_prob(20, seed=3)
    assert torch.equal(paths, -3.0 + 0.25 * bare) and torch.equal(flow.sample(20, seed=3), paths)
    torch.testing.assert_close(log_prob, bare_log_prob - 16 * math.log(0.25), rtol=0, atol=1e-12)
    torch.testing.assert_close(flow.log_prob(paths), log_prob, rtol=0, atol=1e-8)
    torch.testing.assert_close(flow.inverse(paths), plain.inverse(bare), rtol=0, atol=1e-8)
    *_, last = flow.steps(plain.start.sample(20, 16, seed=3))
    assert torch.equal(last.paths, paths) and torch.equal(last.log_prob, log_prob)


@pytest.mark.parametrize(
    ("units", "said"),
    [({"scale": 0.0}, "scale is 0.0"), ({"scale": -1.0}, "scale is -1.0"), ({"loc": math.inf}, "loc is inf")],
)
def test_units_that_are_none_are_refused(
    units: dict[str, float], said: str, frozen: Callable[..., mm.FrozenFlow]
) -> None:
    plain = frozen(Autocovariance(), 16)
    with pytest.raises(ValueError, match=said):
        mm.FrozenFlow(plain.energy, plain.target, 1.0, plain.mismatches, start=plain.start, length=16, **units)


def test_half_line_keeps_its_units(frozen: Callable[..., mm.FrozenFlow]) -> None:
    plain = frozen(Autocovariance(), 16, start=Exponential(1.0))
    with pytest.raises(ValueError, match="expected neither but on the real line"):
        mm.FrozenFlow(plain.energy, plain.target, 1.0, plain.mismatches, start=plain.start, length=16, scale=2.0)


class Cubes(Energy):
    """Mean of fourth powers, whose force takes large values ever further where its weight is negative."""

    labels = ("fourth power",)

    def _evaluate(self, x: Tensor) -> Tensor:
        return x.pow(4).mean(-1, keepdim=True)


@pytest.fixture
def explosive(make_target: Callable[..., mm.Target]) -> Callable[..., mm.FrozenFlow]:
    """Values beyond 3 leave for infinity within twenty steps, in a few paths of a hundred."""

    def build(*, redraw: bool) -> mm.FrozenFlow:
        target = make_target(Cubes())
        mismatches = torch.full((20, 1), -1.0, dtype=torch.float64)
        step_size = 0.02 * float(target.mean.square().sum())
        return mm.FrozenFlow(Cubes(), target, step_size, mismatches, start=WhiteNoise(), length=16, redraw=redraw)

    return build


def test_starts_that_explode_are_refused_or_drawn_again(explosive: Callable[..., mm.FrozenFlow]) -> None:
    with pytest.raises(DivergedError, match="is not finite"):
        explosive(redraw=False).sample(2000, seed=0)
    flow = explosive(redraw=True)
    starts = WhiteNoise().sample(2000, 16, seed=0)
    kept = flow.ends(starts)
    assert 0 < 2000 - len(kept) < 200
    paths = flow.sample(2000, seed=0)
    assert torch.isfinite(paths).all() and paths.shape == (2000, 16)
    assert torch.equal(paths[: len(kept)], kept)


def test_flow_that_keeps_hardly_any_start_is_said(explosive: Callable[..., mm.FrozenFlow]) -> None:
    with pytest.raises(DivergedError, match="50 of 50 paths"):
        explosive(redraw=True).ends(torch.full((50, 16), 30.0, dtype=torch.float64))


# --- files -------------------------------------------------------------------------------------------------------


@MODELS
def test_flow_comes_back_from_its_file(
    members: int | None, frozen: Callable[..., mm.FrozenFlow], tmp_path: Path
) -> None:
    flow = frozen(StylizedFacts(2), 16, members=members)
    again = mm.FrozenFlow.load(flow.save(tmp_path / "flow"))
    assert repr(again) == repr(flow)
    assert torch.equal(again.sample(3, seed=1), flow.sample(3, seed=1))
    assert torch.equal(again.log_prob(again.sample(3, seed=1)), flow.log_prob(flow.sample(3, seed=1)))
    for name in ("mean", "standard_error", "labels", "source"):
        ours, theirs = getattr(again.target, name), getattr(flow.target, name)
        assert torch.equal(ours, theirs) if isinstance(ours, Tensor) else ours == theirs
    assert (again.mismatches is None) == (flow.mismatches is None)
    assert again.ensemble_size == flow.ensemble_size


def test_file_of_another_energy_is_refused(frozen: Callable[..., mm.FrozenFlow], tmp_path: Path) -> None:
    path = frozen(StylizedFacts(2), 16).save(tmp_path / "flow.npz")
    with pytest.raises(ValueError, match=r"StylizedFacts\(lags=2\).*StylizedFacts\(lags=3\)"):
        mm.FrozenFlow.load(path, StylizedFacts(3))
    ours, other = (
        Whitening.fit(StylizedFacts(2), WhiteNoise(), n_samples=200, length=16, seed=seed) for seed in (1, 2)
    )
    assert repr(ours) == repr(other)
    path = frozen(ours, 16, n_steps=1, pace=1e-4).save(tmp_path / "white")
    with pytest.raises(ValueError, match=r"holds a flow of another energy than the Whitening"):
        mm.FrozenFlow.load(path, other)
    assert mm.FrozenFlow.load(path, ours).n_steps == 1
    assert torch.equal(mm.FrozenFlow.load(path).energy.matrix, ours.matrix)  # which is made of two tensors beside it


def former_file(flow: mm.FrozenFlow, path: Path, **others: np.ndarray) -> Path:
    """The file of a flow of white noise as it was before it had a description."""
    grid = torch.from_numpy(np.sin(np.arange(1.0, flow.length + 1.0) ** 1.5))
    arrays = {
        "mean": flow.target.mean.numpy(),
        "standard_error": flow.target.standard_error.numpy(),
        "labels": np.array(flow.target.labels),
        "source": np.array(flow.target.source),
        "energy": np.array(repr(flow.energy)),
        "fingerprint": flow.energy(grid).numpy(),
        "step_size": np.array(flow.step_size),
        "counts": np.array([flow.length, flow.n_steps, flow.ensemble_size]),
        "start": np.array("WhiteNoise"),
        "start mean": np.array(flow.start.mean),
        "start stddev": np.array(flow.start.stddev),
    }
    if flow.mismatches is not None:
        arrays["mismatches"] = flow.mismatches.numpy()
    return save_arrays(path, "frozen flow", arrays | others)


@MODELS
def test_file_of_the_former_layout_is_read_with_its_energy(
    members: int | None, frozen: Callable[..., mm.FrozenFlow], tmp_path: Path
) -> None:
    flow = frozen(StylizedFacts(2), 16, members=members, start=WhiteNoise(0.5, 2.0), pace=1e-4)
    path = former_file(flow, tmp_path / "flow")
    again = mm.FrozenFlow.load(path, StylizedFacts(2))
    assert repr(again) == repr(flow) and again.ensemble_size == flow.ensemble_size
    assert torch.equal(again.sample(3, seed=1), flow.sample(3, seed=1))
    with pytest.raises(ValueError, match=r"of the energy StylizedFacts\(lags=2\) without a description.*Pass it"):
        mm.FrozenFlow.load(path)
    with pytest.raises(ValueError, match=r"StylizedFacts\(lags=2\).*StylizedFacts\(lags=3\)"):
        mm.FrozenFlow.load(path, StylizedFacts(3))
    other = former_file(flow, path, fingerprint=np.ones(4))
    with pytest.raises(ValueError, match=r"another energy than the StylizedFacts"):
        mm.FrozenFlow.load(other, StylizedFacts(2))


def test_energy_of_the_user_s_own_is_in_the_file_once_it_is_registered(
    frozen: Callable[..., mm.FrozenFlow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = frozen(Bumps(), 16)  # whose name would have its place in memory
    with pytest.warns(UserWarning, match=r"of the class Bumps; expected one that is registered: .*mm.register\(Bumps"):
        path = flow.save(tmp_path / "bumps")
    assert torch.equal(mm.FrozenFlow.load(path, Bumps()).sample(3, seed=1), flow.sample(3, seed=1))
    with pytest.raises(ValueError, match=r"of the energy Bumps without a description of it.*Pass it"):
        mm.FrozenFlow.load(path)
    monkeypatch.setattr(specification, "_KNOWN", dict(specification._KNOWN))
    mm.register(Bumps)
    again = mm.FrozenFlow.load(flow.save(path))
    assert isinstance(again.energy, Bumps) and torch.equal(again.sample(3, seed=1), flow.sample(3, seed=1))


def test_files_that_are_no_flows_are_refused(
    frozen: Callable[..., mm.FrozenFlow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow, path = frozen(Autocovariance(), 16), tmp_path / "flow.npz"
    load = mm.FrozenFlow.load
    with path.open("wb") as file:
        pickle.dump({"kind": "frozen flow"}, file)
    with pytest.raises(ValueError, match=r"cannot be read"):
        load(path, Autocovariance())
    with path.open("wb") as file:
        np.savez(file, kind=np.array("frozen flow"), mean=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"cannot be read"):
        load(path, Autocovariance())
    save_arrays(path, "checkpoint", {"mean": np.zeros(2)})
    with pytest.raises(ValueError, match=r"holds checkpoint; expected a frozen flow"):
        load(path, Autocovariance())
    flow.save(path)
    for start in ({"start": np.array("Popen")}, {"start shell": np.array("true")}):
        former_file(flow, path, **start)
        with pytest.raises(ValueError, match=r"type is 'Popen'; expected one of AR|WhiteNoise is described with shell"):
            load(path, Autocovariance())
    flow.save(path)
    with monkeypatch.context() as patched:
        patched.setattr("mfmgdm_lib._arrays.FORMAT", 99)
        flow.save(path)
    with pytest.raises(NewerFormatError, match=r"has format 99"):
        load(path, Autocovariance())


HOSTILE = {
    "unknown start": ({"start": {"type": "Popen", "args": "true"}}, r"type is 'Popen'; expected one of AR, "),
    "energy as start": ({"start": {"type": "Autocovariance"}}, r"type is Autocovariance; expected one of AR, "),
    "start as energy": (
        {"energy": {"type": "AR", "coefficients": [0.1]}},
        r"type is AR; expected one of Abs",
    ),
    "extra field": ({"start": {"type": "AR", "coefficients": [0.1], "shell": 1}}, r"AR is described with shell; exp"),
    "wrong argument": ({"start": {"type": "WhiteNoise", "stddev": "x"}}, r"WhiteNoise cannot be built .*stddev is 'x'"),
    "nothing": ({"start": None}, r"type is None; expected one of AR"),
    "tensor not there": ({"mismatches": {"array": "nowhere"}}, r"tensor is described by \{'array': 'nowhere'\}"),
    "another object": ({"type": "MGDM"}, r"MGDM is described with ensemble_size, length"),
    "no length": ({"length": "long"}, r"length is 'long' \(str\)"),
    "field of a flow": ({"shell": "true"}, r"FrozenFlow is described with shell"),
}


@pytest.mark.parametrize(("changed", "said"), HOSTILE.values(), ids=list(HOSTILE))
def test_descriptions_of_anything_but_a_flow_are_refused(
    changed: dict[str, object], said: str, frozen: Callable[..., mm.FrozenFlow], tmp_path: Path
) -> None:
    path = frozen(Autocovariance(), 16).save(tmp_path / "flow")
    arrays = load_arrays(path, "frozen flow")
    description = json.loads(str(arrays["spec"])) | changed
    save_arrays(path, "frozen flow", arrays | {"spec": np.array(json.dumps(description))})
    with pytest.raises(ValueError, match=said):
        mm.FrozenFlow.load(path)


@pytest.mark.parametrize("text", ["[]", "{", "[" * 100_000], ids=["no object", "half", "deep"])
def test_text_that_is_no_description_is_refused(
    text: str, frozen: Callable[..., mm.FrozenFlow], tmp_path: Path
) -> None:
    path = frozen(Autocovariance(), 16).save(tmp_path / "flow")
    save_arrays(path, "frozen flow", load_arrays(path, "frozen flow") | {"spec": np.array(text)})
    with pytest.raises(ValueError, match=r"flow.npz does not describe a flow"):
        mm.FrozenFlow.load(path)


def test_start_of_the_user_s_own_cannot_be_saved_before_it_is_registered(
    frozen: Callable[..., mm.FrozenFlow], tmp_path: Path
) -> None:
    class Own(WhiteNoise):
        pass

    said = r"start is .* of the class Own; expected one that is registered: AR, .*, WhiteNoise\. .*mm.register\(Own\)"
    with pytest.raises(TypeError, match=said):
        frozen(Autocovariance(), 8, start=Own()).save(tmp_path / "flow")


# --- long paths --------------------------------------------------------------------------------------------------


def test_energy_with_filters_needs_a_seed_for_its_density_and_has_an_error() -> None:
    energy, process = ScatteringMean(256), AR([0.3])
    target = mm.estimate_target(energy, process, n_samples=200, seed=1)
    x0 = WhiteNoise().sample(40, 256, seed=2)
    flow = mm.MFMGDM(energy, target, step_size=1.0).freeze(x0, 5)
    paths, _ = flow.sample_and_log_prob(4, seed=3)
    torch.testing.assert_close(flow.transform(flow.inverse(paths)), paths, rtol=0, atol=1e-10)
    estimate, error = flow.log_prob_and_error(paths, seed=4)
    exact = flow.log_prob(paths, determinants="dense")
    assert (error > 0).all() and ((estimate - exact).abs() < 4.5 * error).all()


def test_half_line_flow_of_a_process_draws_inside_it() -> None:
    process = CIR(0.5, 1.0, 1.0)
    energy, start = Autocovariance(), mm.initial_distribution(process)
    target = mm.estimate_target(energy, process, n_samples=500, length=64, seed=1)
    model = mm.MFMGDM(energy, target, step_size=2.0, support=process.support)
    flow = model.freeze(start.sample(64, 64, seed=2), 60, start=start)
    fresh = list(flow.steps(start.sample(64, 64, seed=3)))
    # An ensemble follows its own mean mismatch to nothing; others follow it there but for the spread of their means.
    ends = energy(fresh[-1].paths)
    begins = energy(fresh[0].paths)
    assert (ends.mean(0) - target.mean).norm() < 0.5 * (begins.mean(0) - target.mean).norm()
    assert all((state.paths >= 0).all() for state in fresh)
