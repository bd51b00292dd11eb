"""One step and many: what the two descents promise, and how they hang together."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Autocovariance, Energy, StylizedFacts

ENERGIES = pytest.mark.parametrize("energy", [Autocovariance(), StylizedFacts(4)], ids=repr)
SIZES = pytest.mark.parametrize("size", [1, 2, 3, 6])

MakeModel = Callable[..., mm.Descent]


@pytest.fixture
def make_model(make_target: Callable[..., mm.Target]) -> MakeModel:
    return lambda energy, step_size=0.3, size=None: mm.Descent(
        energy, make_target(energy), step_size, ensemble_size=size
    )


def documented_loss(model: mm.Descent, x: Tensor) -> Tensor:
    """½‖mean of Φ − α‖² / ‖α‖² of one ensemble x (M, d)."""
    target = model.target.mean
    return 0.5 * (model.energy(x).mean(0) - target).square().sum() / target.square().sum()


@ENERGIES
@SIZES
def test_step_is_minus_the_step_size_times_the_gradient_of_the_loss_of_each_ensemble(
    energy: Energy, size: int, make_model: MakeModel, noise: Callable[..., Tensor]
) -> None:
    model, x = make_model(energy, size=size), noise(6, 20)
    moved = model.update(model.evaluate(x))
    for start in range(0, 6, size):
        own = x[start : start + size].clone().requires_grad_()
        (slope,) = torch.autograd.grad(documented_loss(model, own), own)
        # The mean energy has 1/M of each path's slope in it; eq. (6) leaves that out.
        expected = own.detach() - size * model.step_size * slope
        torch.testing.assert_close(moved[start : start + size], expected, rtol=0, atol=1e-13)


@ENERGIES
@SIZES
def test_state_holds_the_energies_the_mismatch_and_the_loss(
    energy: Energy, size: int, make_model: MakeModel, noise: Callable[..., Tensor]
) -> None:
    model, x = make_model(energy, size=size), noise(6, 20)
    state = model.evaluate(x, step=7)
    assert state.step == 7 and state.paths is x
    assert torch.equal(state.energies, energy(x))
    for n in range(6):
        own = x[n - n % size : n - n % size + size]
        torch.testing.assert_close(state.mismatch[n], energy(own).mean(0) - model.target.mean, rtol=0, atol=1e-14)
        torch.testing.assert_close(state.loss[n], documented_loss(model, own), rtol=0, atol=1e-14)


def test_rate_is_the_step_size_over_the_squared_norm_of_the_target(make_target: Callable[..., mm.Target]) -> None:
    energy = Autocovariance()
    assert mm.MGDM(energy, make_target(energy, [3.0, 4.0]), step_size=10.0).rate == pytest.approx(0.4, abs=1e-16)


@ENERGIES
def test_mgdm_is_a_descent_with_ensembles_of_one(
    energy: Energy, make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]
) -> None:
    target, x = make_target(energy), noise(4, 20)
    expected = mm.Descent(energy, target, 0.3, ensemble_size=1).sample(x, 5)
    assert torch.equal(mm.MGDM(energy, target, 0.3).sample(x, 5), expected)
    assert torch.equal(mm.MFMGDM(energy, target, 0.3, ensemble_size=1).sample(x, 5), expected)


@ENERGIES
def test_mean_field_descent_is_one_ensemble_of_all_paths(
    energy: Energy, make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]
) -> None:
    target, x = make_target(energy), noise(4, 20)
    assert torch.equal(
        mm.MFMGDM(energy, target, 0.3).sample(x, 5), mm.MFMGDM(energy, target, 0.3, ensemble_size=4).sample(x, 5)
    )


@ENERGIES
def test_single_path_descends_alike_in_both_models(
    energy: Energy, make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]
) -> None:
    target, x = make_target(energy), noise(1, 20)
    assert torch.equal(mm.MFMGDM(energy, target, 0.3).sample(x, 5), mm.MGDM(energy, target, 0.3).sample(x, 5))


@ENERGIES
@SIZES
def test_ensembles_do_not_see_each_other(
    energy: Energy, size: int, make_model: MakeModel, noise: Callable[..., Tensor]
) -> None:
    model, x = make_model(energy, size=size), noise(6, 20)
    apart = torch.cat([model.sample(own, 5) for own in x.split(size)])
    torch.testing.assert_close(model.sample(x, 5), apart, rtol=0, atol=1e-12)


@ENERGIES
def test_order_of_the_paths_in_an_ensemble_does_not_matter(
    energy: Energy, make_model: MakeModel, noise: Callable[..., Tensor]
) -> None:
    model, x, order = make_model(energy), noise(6, 20), torch.tensor([4, 0, 5, 2, 1, 3])
    # A mean over another order differs by round-off, which 5 gentle steps hardly amplify.
    torch.testing.assert_close(model.sample(x[order], 5), model.sample(x, 5)[order], rtol=0, atol=1e-12)


@ENERGIES
@pytest.mark.parametrize("size", [1, None], ids=["MGDM", "MF-MGDM"])
def test_loss_falls_with_small_steps(
    energy: Energy, size: int | None, make_model: MakeModel, noise: Callable[..., Tensor]
) -> None:
    losses = torch.stack([state.loss for state in make_model(energy, 0.01, size).steps(noise(4, 40), 20)])
    assert (losses.diff(dim=0) < 0).all()


def test_mean_field_descent_comes_to_rest_on_the_target(
    make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]
) -> None:
    energy = Autocovariance()
    target = make_target(energy, [0.1, 1.0])
    paths = mm.MFMGDM(energy, target, step_size=5.0).sample(noise(64, 64), 300)
    torch.testing.assert_close(energy(paths).mean(0), target.mean, rtol=0, atol=1e-10)
    assert (energy(paths) - target.mean).abs().max() > 0.1  # single paths keep their spread


def test_steps_yields_the_start_and_every_step(make_model: MakeModel, noise: Callable[..., Tensor]) -> None:
    model, x = make_model(Autocovariance()), noise(3, 20)
    states = list(model.steps(x, 4))
    assert [state.step for state in states] == [0, 1, 2, 3, 4]
    assert torch.equal(states[0].paths, x)
    for before, after in itertools.pairwise(states):
        assert torch.equal(after.paths, model.update(before))
    assert torch.equal(model.sample(x, 4), states[-1].paths)


def test_no_steps_leave_the_paths_where_they_are(make_model: MakeModel, noise: Callable[..., Tensor]) -> None:
    x = noise(3, 20)
    assert torch.equal(make_model(Autocovariance()).sample(x, 0), x)


@ENERGIES
def test_start_is_left_alone_and_a_repeat_gives_the_same_bits(
    energy: Energy, make_model: MakeModel, noise: Callable[..., Tensor]
) -> None:
    x = noise(3, 20)
    before = x.clone()
    first = make_model(energy).sample(x, 5)
    assert torch.equal(x, before)
    assert torch.equal(first, make_model(energy).sample(x, 5))


@ENERGIES
def test_paths_keep_their_dtype(energy: Energy, make_model: MakeModel, noise: Callable[..., Tensor]) -> None:
    model, x = make_model(energy), noise(3, 20)
    single = model.sample(x.float(), 5)
    assert single.dtype == torch.float32
    # Every step rounds at 2⁻²⁴ of values below 4; 5 steps of slope of order 1 and the start itself: below 2⁻¹⁸.
    torch.testing.assert_close(single.double(), model.sample(x, 5), rtol=0, atol=2.0**-18)


def test_descent_that_diverges_stops_and_names_the_step(make_model: MakeModel, noise: Callable[..., Tensor]) -> None:
    model, seen = make_model(Autocovariance(), step_size=1e6, size=1), []
    with pytest.raises(mm.errors.DivergedError, match="Use a smaller step size") as info:
        for state in model.steps(noise(3, 20), 100):
            seen.append(state)
    assert info.value.step == len(seen) > 0
    assert f"infinite or NaN energy at step {len(seen)} with step_size 1e+06" in str(info.value)
    assert all(torch.isfinite(state.energies).all() for state in seen)
    assert info.value.trace is None


def test_particle_of_a_divergence_is_the_first_one_concerned(make_model: MakeModel) -> None:
    x = torch.ones(3, 20, dtype=torch.float64)
    x[1] = 1e200  # finite, but its square is not
    with pytest.raises(mm.errors.DivergedError, match="path 1 has") as info:
        make_model(Autocovariance()).evaluate(x, step=4)
    assert (info.value.particle, info.value.step) == (1, 4)


def test_model_says_what_it_is(make_target: Callable[..., mm.Target]) -> None:
    energy = Autocovariance()
    assert repr(mm.MFMGDM(energy, make_target(energy), 10.0)) == "MFMGDM(Autocovariance(), step_size=10)"
