"""MGDM and MF–MGDM: single steps, whole descents, and how the two are related."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import constraints

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Autocovariance, Energy, StylizedFacts

ENERGIES = pytest.mark.parametrize("energy", [Autocovariance(), StylizedFacts(4)], ids=repr)
SIZES = pytest.mark.parametrize("size", [1, 2, 3, 6])

MakeModel = Callable[..., mm.Descent]


HALF_LINE = constraints.nonnegative


class Mean(Energy):
    """A force that is the same everywhere on a path, so that a test can say where each entry goes."""

    labels = ("mean",)

    def _evaluate(self, x: Tensor) -> Tensor:
        return x.mean(-1, keepdim=True)


@pytest.fixture
def make_model(make_target: Callable[..., mm.Target]) -> MakeModel:
    return lambda energy, step_size=0.3, size=None, **settings: mm.Descent(
        energy, make_target(energy), step_size, ensemble_size=size, **settings
    )


@pytest.fixture
def near_the_edge(noise: Callable[..., Tensor]) -> Tensor:
    """Six paths of 20 points at or above 0, every fourth point close to it."""
    x = 1.3 * noise(6, 20).abs()
    x[:, ::4] *= 0.01
    return x


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


# --- the half-line -----------------------------------------------------------------------------------------------


@ENERGIES
@SIZES
def test_entries_that_would_leave_the_half_line_keep_their_values_and_the_others_move_as_ever(
    energy: Energy, size: int, make_model: MakeModel, near_the_edge: Tensor
) -> None:
    free, held = (make_model(energy, 1.0, size, support=support) for support in (constraints.real, HALF_LINE))
    x = near_the_edge
    proposal, move = free.update(free.evaluate(x)), held.move(held.evaluate(x))
    inside = proposal >= 0
    assert inside.any() and not inside.all()
    assert move.moved is not None and torch.equal(move.moved, inside)
    assert torch.equal(move.paths, torch.where(inside, proposal, x))
    assert torch.equal(held.update(held.evaluate(x)), move.paths)
    assert free.move(free.evaluate(x)).moved is None


@ENERGIES
@SIZES
def test_paths_stay_on_the_half_line(energy: Energy, size: int, make_model: MakeModel, near_the_edge: Tensor) -> None:
    states = list(make_model(energy, 0.5, size, support=HALF_LINE).steps(near_the_edge, 30))
    assert all((state.paths >= 0).all() for state in states)
    assert (make_model(energy, 0.5, size).sample(near_the_edge, 30) < 0).any()  # which the model sees to


@ENERGIES
def test_nothing_is_kept_where_nothing_leaves(energy: Energy, make_model: MakeModel, near_the_edge: Tensor) -> None:
    free, held = (make_model(energy, 1e-4, support=support) for support in (constraints.real, HALF_LINE))
    x = near_the_edge + 0.1
    assert held.move(held.evaluate(x)).moved is None
    assert torch.equal(held.sample(x, 3), free.sample(x, 3))


def test_zero_is_inside(make_target: Callable[..., mm.Target]) -> None:
    model = mm.MGDM(Mean(), make_target(Mean(), [2.0]), step_size=4.0, support=HALF_LINE)
    # Mean 4, mismatch 2, rate 4 / 2²: every entry is to go down by 2 / 2 = 1.
    move = model.move(model.evaluate(torch.tensor([[1.0, 7.0]], dtype=torch.float64)))
    assert move.paths.tolist() == [[0.0, 6.0]] and move.moved is None


def test_move_takes_a_force_that_is_known_already(make_model: MakeModel, near_the_edge: Tensor) -> None:
    model = make_model(Autocovariance(), support=HALF_LINE)
    move = model.move(model.evaluate(near_the_edge), torch.full_like(near_the_edge, 0.5))
    expected = torch.where(near_the_edge >= 0.5, near_the_edge - 0.5, near_the_edge)
    assert torch.equal(move.paths, expected)


def test_start_outside_the_half_line_is_refused(make_model: MakeModel, near_the_edge: Tensor) -> None:
    model = make_model(Autocovariance(), support=HALF_LINE)
    near_the_edge[2, 3] = -1e-9
    with pytest.raises(ValueError, match=r"x0 has the value -1e-09; expected values of at least 0"):
        model.sample(near_the_edge, 1)
    make_model(Autocovariance()).sample(near_the_edge, 1)


@pytest.mark.parametrize(
    ("size", "particle", "who"), [(1, 1, "path 1"), (2, None, "the ensemble of paths 2 to 3")], ids=["MGDM", "pairs"]
)
def test_step_that_would_take_every_entry_of_an_ensemble_out_is_named(
    size: int, particle: int | None, who: str, make_target: Callable[..., mm.Target]
) -> None:
    model = mm.Descent(Mean(), make_target(Mean(), [1.0]), step_size=8.0, ensemble_size=size, support=HALF_LINE)
    # With rate 8 and two points all entries go down by 4 times the mean's excess over 1. Alone, path 0 goes up and
    # path 1 is the first to leave. In pairs, path 0 stays as a whole, but path 1 moves; the second pair would leave.
    x = torch.tensor([0.1, 2.1, 2.0, 3.0], dtype=torch.float64)[:, None].expand(4, 2)
    with pytest.raises(mm.errors.StuckError) as info:
        model.update(model.evaluate(x, step=4))
    assert (info.value.step, info.value.particle) == (4, particle)
    assert f"step 4 would take every entry of {who} out of the support with step_size 8;" in str(info.value)
    assert "Use a smaller step size" in str(info.value)
    with pytest.raises(mm.errors.StuckError, match="step 0 would"):
        model.sample(x, 1)


# --- the inner problem -------------------------------------------------------------------------------------------


def inner_problem(model: mm.Descent, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """What Section 4 wants Φ(ξ) to be, (N, K), and one iteration of its gradient descent from ξ."""
    state = model.evaluate(x)
    wanted = model.energy(x) - state.mismatch

    def iterate(xi: Tensor) -> Tensor:
        leaf = xi.clone().requires_grad_()
        (slope,) = torch.autograd.grad(0.5 * (model.energy(leaf) - wanted).square().sum(), leaf)
        proposal = xi - model.rate * slope
        return torch.where(model.support.contains(proposal), proposal, xi)

    return wanted, iterate


@ENERGIES
@SIZES
@pytest.mark.parametrize("inner_steps", [1, 2, 5])
@pytest.mark.parametrize("support", [constraints.real, HALF_LINE], ids=["real line", "half-line"])
def test_every_inner_step_is_one_of_gradient_descent_on_the_inner_problem(
    energy: Energy,
    size: int,
    inner_steps: int,
    support: constraints.Constraint,
    make_model: MakeModel,
    near_the_edge: Tensor,
) -> None:
    model = make_model(energy, 0.5, size, inner_steps=inner_steps, support=support)
    _, iterate = inner_problem(model, near_the_edge)
    expected = near_the_edge
    for _ in range(inner_steps):
        expected = iterate(expected)
    # Round-off of values of order 1 in each of the five, hardly amplified.
    torch.testing.assert_close(model.update(model.evaluate(near_the_edge)), expected, rtol=0, atol=1e-13)
    assert (expected < 0).any() == (support is constraints.real)


@ENERGIES
@SIZES
def test_one_inner_step_is_the_plain_step(
    energy: Energy, size: int, make_model: MakeModel, noise: Callable[..., Tensor]
) -> None:
    plain, one = make_model(energy, size=size), make_model(energy, size=size, inner_steps=1)
    state = plain.evaluate(noise(6, 20))
    assert torch.equal(one.update(state), plain.update(state))
    assert torch.equal(one.update(state), one.move(state).paths)


@SIZES
def test_many_inner_steps_solve_the_inner_problem(
    size: int, make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]
) -> None:
    energy, x = Autocovariance(), noise(6, 40)
    target = make_target(energy, energy(1.05 * noise(6, 40, seed=1)).mean(0).tolist())  # near enough to be reached
    model = mm.Descent(energy, target, 5.0, ensemble_size=size, inner_steps=300)
    wanted, _ = inner_problem(model, x)
    after = energy(model.update(model.evaluate(x)))
    torch.testing.assert_close(after, wanted, rtol=0, atol=1e-9)
    # So that one step brings the mean energy of every ensemble to the target.
    own = after.unflatten(0, (-1, size)).mean(1)
    torch.testing.assert_close(own, target.mean.expand_as(own), rtol=0, atol=1e-9)


def test_several_inner_steps_go_on_from_step_to_step(make_model: MakeModel, noise: Callable[..., Tensor]) -> None:
    model = make_model(Autocovariance(), inner_steps=3)
    states = list(model.steps(noise(3, 20), 4))
    for before, after in itertools.pairwise(states):
        assert torch.equal(after.paths, model.update(before))


# --- many steps --------------------------------------------------------------------------------------------------


def test_caller_may_take_the_steps_itself(make_model: MakeModel, noise: Callable[..., Tensor]) -> None:
    model, x, seen = make_model(Autocovariance()), noise(3, 20), []

    def halve(state: mm.State) -> Tensor:
        seen.append(state.step)
        return 0.5 * state.paths

    states = list(model.steps(x, 3, halve))
    assert seen == [0, 1, 2]
    assert all(torch.equal(state.paths, x / 2**t) for t, state in enumerate(states))
    assert torch.equal(states[3].energies, model.energy(x / 8))


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


def test_particle_of_a_divergence_is_the_first_one_concerned(make_model: MakeModel) -> None:
    x = torch.ones(3, 20, dtype=torch.float64)
    x[1] = 1e200  # finite, but its square is not
    with pytest.raises(mm.errors.DivergedError, match="path 1 has") as info:
        make_model(Autocovariance()).evaluate(x, step=4)
    assert (info.value.particle, info.value.step) == (1, 4)


def test_model_says_what_it_is(make_target: Callable[..., mm.Target]) -> None:
    energy = Autocovariance()
    assert repr(mm.MFMGDM(energy, make_target(energy), 10.0)) == "MFMGDM(Autocovariance(), step_size=10)"


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_path_that_is_not_finite_has_diverged(
    value: float, noise: Callable[..., Tensor], make_target: Callable[..., mm.Target]
) -> None:
    energy, x = Autocovariance(), noise(3, 16)
    x[2, 5] = value
    with pytest.raises(mm.errors.DivergedError, match="path 2 has an infinite or NaN energy at step 7") as info:
        mm.MGDM(energy, make_target(energy), 1.0).evaluate(x, step=7)
    assert (info.value.step, info.value.particle) == (7, 2)
