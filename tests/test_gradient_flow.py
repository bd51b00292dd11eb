"""The gradient flow: its step formula, its duration, and its distance from an accurate solution and the descent."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.descents import gradient_flow
from mfmgdm_lib.descents.gradient_flow import FlowState, GradientFlow
from mfmgdm_lib.energies import Autocovariance, Energy, StylizedFacts

ENERGIES = pytest.mark.parametrize("energy", [Autocovariance(), StylizedFacts(4)], ids=repr)
SIZES = pytest.mark.parametrize("size", [1, 2, None])

N, D, DURATION = 4, 20, 10.0
"""Paths, points of each, and a time in which the mismatch of the stylised facts halves and paths turn."""

MakeFlow = Callable[..., GradientFlow]


class Waves(Energy):
    """Linear in the path, so that the formula of a step is exact however long it is; two of its values are the same."""

    labels = ("mean", "slow wave", "fast wave", "fast wave again")

    def _evaluate(self, x: Tensor) -> Tensor:
        return x @ self.rows(x.shape[-1]).to(x).mT

    @staticmethod
    def rows(length: int) -> Tensor:
        t = torch.arange(length, dtype=torch.float64)
        fast = 0.2 * torch.cos(2.0 * t)
        return torch.stack((torch.ones_like(t), torch.cos(0.3 * t), fast, fast)) / length


@pytest.fixture
def make_flow(make_target: Callable[..., mm.Target]) -> MakeFlow:
    return lambda energy, size=None, **settings: GradientFlow(
        energy, make_target(energy), ensemble_size=size, **settings
    )


def members(flow: GradientFlow, n: int) -> int:
    return n if flow.ensemble_size is None else flow.ensemble_size


def rate_of_change(flow: GradientFlow, x: Tensor) -> Tensor:
    """−J_Φᵀ r̄ of each path, r̄ the mean mismatch of its ensemble: eqs. (3) and (6) in the limit."""
    size = members(flow, len(x))
    mismatch = (flow.energy(x) - flow.target.mean).unflatten(0, (-1, size)).mean(1)
    return -torch.einsum("nkt,nk->nt", flow.energy.jacobian(x), mismatch.repeat_interleave(size, 0))


def solution(flow: GradientFlow, x0: Tensor, duration: float) -> Tensor:
    """Where the flow takes x0, to ten digits."""
    norm = float(flow.target.mean.square().sum())
    found = solve_ivp(
        lambda _, y: rate_of_change(flow, torch.from_numpy(y.reshape(x0.shape))).numpy().ravel(),
        (0.0, duration / norm),
        x0.numpy().ravel(),
        method="DOP853",
        rtol=1e-11,
        atol=1e-13,
    )
    return torch.from_numpy(found.y[:, -1].reshape(x0.shape))


def distance(flow: GradientFlow, one: FlowState, other: Tensor) -> float:
    """How far two mean mismatches are apart on average, relative to ‖α‖: what the tolerance is about."""
    size = members(flow, len(other))
    apart = (one.energies - flow.energy(other)).unflatten(0, (-1, size)).mean(1)
    return float(apart.norm(dim=-1).mean() / flow.target.mean.norm())


# --- against what it approximates --------------------------------------------------------------------------------


@ENERGIES
@SIZES
def test_mean_mismatch_ends_where_an_accurate_solution_does(
    energy: Energy, size: int | None, make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    x0 = noise(N, D)
    for tolerance in (0.02, 1e-3):
        flow = make_flow(energy, size, tolerance=tolerance)
        exact = solution(flow, x0, DURATION)
        *_, last = flow.steps(x0, DURATION)
        # Each step is off by `tolerance` at most, and the flow contracts: errors add up, and do not grow.
        assert distance(flow, last, exact) < last.step * tolerance
        # Of the way that the paths have gone; nothing is promised of them, and the next test is sharper.
        assert float((last.paths - exact).norm()) < 0.1 * float((x0 - exact).norm())


@SIZES
def test_error_falls_with_the_root_of_the_tolerance(
    size: int | None, make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    energy, x0 = StylizedFacts(4), noise(N, D)
    exact = solution(make_flow(energy, size), x0, DURATION)
    # The error of a step is of second order in its length, so 16 times the tolerance are 4 times the length, of which
    # there are a quarter: 4 times the error, up to parts of higher order and steps that are short for other reasons.
    errors = [
        float((make_flow(energy, size, tolerance=tolerance).sample(x0, DURATION) - exact).norm())
        for tolerance in (1e-4, 1e-4 / 16)
    ]
    assert 3.0 < errors[0] / errors[1] < 5.0


@ENERGIES
@SIZES
def test_descent_by_small_steps_draws_near_to_the_flow(
    energy: Energy, size: int | None, make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    # The curve of the autocovariances is the straighter one, which a descent of few steps follows better.
    tolerance = 1e-8 if isinstance(energy, Autocovariance) else 1e-6
    x0, flow, duration = noise(N, D), make_flow(energy, size, tolerance=tolerance), 1.0
    paths = flow.sample(x0, duration)
    few, many = (
        mm.Descent(energy, flow.target, duration / n_steps, ensemble_size=size).sample(x0, n_steps)
        for n_steps in (20, 40)
    )
    # Euler's method is of first order: half the step size halves the error. What is left when that is taken off is of
    # second order, 1/20 of it times a number of order 1, and the error of the flow.
    error = float((many - few).norm())
    assert float((many - paths).norm()) == pytest.approx(error, rel=0.2)
    assert float((2.0 * many - few - paths).norm()) < 0.2 * error


@ENERGIES
@SIZES
def test_every_step_follows_the_formula_and_keeps_to_the_tolerance(
    energy: Energy, size: int | None, make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    tolerance = 0.01
    flow = make_flow(energy, size, tolerance=tolerance)
    norm, each = float(flow.target.mean.square().sum()), members(flow, N)
    for before, after in itertools.pairwise(flow.steps(noise(N, D), DURATION)):
        h = (after.time - before.time) / norm
        misses = []
        for start in range(0, N, each):
            own = slice(start, start + each)
            rows = energy.jacobian(before.paths[own])
            gram = (rows @ rows.mT).mean(0).numpy()
            mismatch = (energy(before.paths[own]) - flow.target.mean).mean(0).numpy()
            decay = scipy.linalg.expm(-h * gram)
            weights = torch.from_numpy(scipy.linalg.solve(gram, mismatch - decay @ mismatch))
            # Round-off of the paths times the condition of G, below 10⁴ here.
            expected = before.paths[own] - torch.einsum("nkt,k->nt", rows, weights)
            torch.testing.assert_close(after.paths[own], expected, rtol=0, atol=1e-11)
            aim = torch.from_numpy(decay @ mismatch)
            misses.append(float((after.mismatch[start] - aim).norm()))
        assert np.mean(misses) <= tolerance * norm**0.5 * (1 + 1e-9)


@SIZES
def test_energies_linear_in_the_path_are_followed_exactly(
    size: int | None, make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    energy, x0, duration = Waves(), noise(N, D), 100.0
    flow, rows = make_flow(energy, size), Waves.rows(D)
    states = list(flow.steps(x0, duration))
    norm, gram = float(flow.target.mean.square().sum()), (rows @ rows.mT).numpy()
    assert np.linalg.matrix_rank(gram) == 3  # of 4: what cannot be told apart decays as one
    start = (energy(x0) - flow.target.mean).unflatten(0, (-1, members(flow, N))).mean(1)
    for state in states:
        # ∫ e^{−sG} ds from an exponential of twice the size, which needs no inverse of G.
        h = state.time / norm
        block = scipy.linalg.expm(np.block([[-h * gram, h * np.eye(4)], [np.zeros((4, 8))]]))
        decay, integral = (torch.from_numpy(part) for part in (block[:4, :4], block[:4, 4:]))
        mismatch = (start @ decay.mT).repeat_interleave(members(flow, N), 0)
        torch.testing.assert_close(state.mismatch, mismatch, rtol=0, atol=1e-13)
        expected = x0 - ((start @ integral.mT) @ rows).repeat_interleave(members(flow, N), 0)
        torch.testing.assert_close(state.paths, expected, rtol=0, atol=1e-11)
    assert float(states[-1].mismatch[0].norm()) < 0.9 * float(states[0].mismatch[0].norm())
    # Nothing but the growth of the steps limits their length: 10⁻⁶ (1 + 2 + … + 2ⁿ⁻¹) reaches 1 at n = 20.
    assert len(states) - 1 == 20


def test_mean_field_flow_comes_to_rest_on_the_target_and_single_paths_keep_their_spread(
    make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]
) -> None:
    energy = Autocovariance()
    target = make_target(energy, [0.1, 1.0])
    paths = GradientFlow(energy, target).sample(noise(64, 64), 1e4)
    # Steps shrink the mismatch until round-off, of means over 64 paths of 64 points.
    torch.testing.assert_close(energy(paths).mean(0), target.mean, rtol=0, atol=1e-12)
    assert (energy(paths) - target.mean).abs().max() > 0.1


@ENERGIES
@SIZES
def test_loss_falls_from_step_to_step(
    energy: Energy, size: int | None, make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    losses = [float(state.loss.mean()) for state in make_flow(energy, size).steps(noise(N, D), DURATION)]
    assert losses[-1] < 0.7 * losses[0]
    assert all(after < before for before, after in itertools.pairwise(losses))


# --- steps and time ----------------------------------------------------------------------------------------------


@ENERGIES
@pytest.mark.parametrize("duration", [1e-3, 0.3, 7.0, 1e5])
def test_clock_runs_from_0_to_the_duration_and_steps_are_counted(
    energy: Energy, duration: float, make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    x0 = noise(N, 64)
    states = list(make_flow(energy).steps(x0, duration))
    assert [state.step for state in states] == list(range(len(states)))
    assert states[0].paths is x0 and states[0].time == 0.0
    assert all(after.time > before.time for before, after in itertools.pairwise(states))
    # A sum of as many rounded times.
    assert states[-1].time == pytest.approx(duration, rel=len(states) * 2.0**-52)


@pytest.mark.parametrize("factor", [1e-3, 10.0])
def test_flow_of_scaled_paths_is_the_scaled_flow(
    factor: float, make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]
) -> None:
    # With paths c x and energies c² Φ the force is c³ as strong, so that a c-th of it takes 1/c² as long; the rate of a
    # descent has another 1/c⁴ in it.
    energy, x0 = Autocovariance(), noise(N, D)
    plain = GradientFlow(energy, make_target(energy, [0.3, 1.5])).sample(x0, DURATION)
    target = make_target(energy, [0.3 * factor**2, 1.5 * factor**2])
    scaled = GradientFlow(energy, target).sample(factor * x0, factor**2 * DURATION)
    torch.testing.assert_close(scaled / factor, plain, rtol=0, atol=1e-12)


def test_state_is_that_of_the_descent_at_its_paths(make_flow: MakeFlow, noise: Callable[..., Tensor]) -> None:
    flow = make_flow(StylizedFacts(4), 2)
    model = mm.Descent(flow.energy, flow.target, 1.0, ensemble_size=2)
    for state in flow.steps(noise(N, D), 1.0):
        expected = model.evaluate(state.paths)
        for name in ("energies", "mismatch", "loss"):
            assert torch.equal(getattr(state, name), getattr(expected, name))


def test_sample_gives_the_last_paths_and_leaves_the_start_alone(
    make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    flow, x0 = make_flow(StylizedFacts(4)), noise(N, D)
    before = x0.clone()
    *_, last = flow.steps(x0, 1.0)
    assert torch.equal(flow.sample(x0, 1.0), last.paths) and torch.equal(x0, before)
    assert not last.paths.requires_grad


@ENERGIES
@SIZES
def test_order_of_the_paths_in_an_ensemble_does_not_matter(
    energy: Energy, size: int | None, make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    flow, x0 = make_flow(energy, size), noise(N, D)
    order = torch.tensor({1: [2, 0, 3, 1], 2: [3, 2, 0, 1], None: [2, 0, 3, 1]}[size])
    # Sums in another order differ by round-off, in the lengths of steps as well.
    torch.testing.assert_close(flow.sample(x0[order], 1.0), flow.sample(x0, 1.0)[order], rtol=0, atol=1e-11)


@ENERGIES
@pytest.mark.parametrize("size", [1, 2])
def test_ensembles_share_nothing_but_the_lengths_of_their_steps(
    energy: Energy, size: int, make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    flow, one = make_flow(energy, size), noise(size, D)
    # Where all want the same lengths, a batch of ensembles is each of them on its own, up to the round-off of sums.
    alone = flow.sample(one, DURATION)
    torch.testing.assert_close(flow.sample(one.repeat(3, 1), DURATION), alone.repeat(3, 1), rtol=0, atol=1e-11)
    # With a companion that wants others it is as near to itself as two ways of cutting one curve are: the error of
    # either, which falls with the root of the tolerance.
    apart = []
    for tolerance in (1e-3, 1e-3 / 64):
        flow = make_flow(energy, size, tolerance=tolerance)
        both = flow.sample(torch.cat([one, 1.5 * noise(size, D, seed=1)]), DURATION)
        apart.append(float((both[:size] - flow.sample(one, DURATION)).norm()))
    assert 0.0 < apart[1] < 0.5 * apart[0] < 0.05 * float((alone - one).norm())


def test_gram_matrices_are_the_same_in_chunks(
    make_flow: MakeFlow, noise: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow, x0 = make_flow(StylizedFacts(4), 2), noise(10, D)
    whole = flow.sample(x0, 1.0)
    monkeypatch.setattr(gradient_flow, "_CHUNK", 3)  # no multiple of an ensemble, and no divisor of all
    torch.testing.assert_close(flow.sample(x0, 1.0), whole, rtol=0, atol=1e-12)


@ENERGIES
@SIZES
@pytest.mark.parametrize("gram_paths", [1, 2, N])
@pytest.mark.parametrize("few", [0, 256], ids=["products", "rows"])
def test_gram_matrix_of_a_part_of_the_paths_leaves_the_steps_within_their_tolerance(
    energy: Energy,
    size: int | None,
    gram_paths: int,
    few: int,
    make_flow: MakeFlow,
    noise: Callable[..., Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gradient_flow, "_FEW", few)
    x0, tolerance = noise(N, D), 1e-3
    flow = make_flow(energy, size, tolerance=tolerance, gram_paths=gram_paths)
    *_, last = flow.steps(x0, DURATION)
    if few and gram_paths >= members(flow, N):
        assert torch.equal(last.paths, make_flow(energy, size, tolerance=tolerance).sample(x0, DURATION))
    elif gram_paths >= members(flow, N):
        # Of the mean mismatch products with G leave a tenth of the tolerance in a step, and the step itself as much.
        *_, whole = make_flow(energy, size, tolerance=tolerance).steps(x0, DURATION)
        assert distance(flow, last, whole.paths) < (last.step + whole.step) * 1.1 * tolerance
    exact = solution(flow, x0, DURATION)
    # Of the way that the paths have gone: a G of other paths has an error of its own, of the order of their spread.
    assert float((last.paths - exact).norm()) < 0.1 * float((x0 - exact).norm())


def test_gram_matrix_and_the_product_with_it_are_those_of_its_largest_paths_and_some_for_the_rest(
    make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    x, energy = noise(12, D), StylizedFacts(4)
    flow = make_flow(energy, 6, gram_paths=4)
    state = flow._descent.evaluate(x)
    rows = energy.jacobian(x)
    grams = (rows @ rows.mT).unflatten(0, (2, 6))
    order = energy(x).norm(dim=-1).unflatten(0, (2, 6)).argsort(descending=True)
    weights = noise(2, energy.dim, seed=1)
    whole, found = flow._gram(state, 6, 4, None), flow._gram_product(state, 6, 4, None)(weights)
    for gram, matrix, places, weight, product in zip(grams, whole, order, weights, found, strict=True):
        # The two largest of six for themselves, the first and the third of the other four for two each.
        expected = (gram[places[0]] + gram[places[1]] + 2.0 * gram[places[2]] + 2.0 * gram[places[4]]) / 6.0
        torch.testing.assert_close(product, expected @ weight)
        torch.testing.assert_close(matrix, expected)


@SIZES
def test_products_take_the_steps_of_the_whole_gram_matrix_where_it_is_the_same_for_all_paths(
    size: int | None, make_flow: MakeFlow, noise: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    # With all three directions of energy space the two are one formula, up to round-off.
    monkeypatch.setattr(gradient_flow, "_KRYLOV", 0.0)
    monkeypatch.setattr(gradient_flow, "_FEW", 0)
    x0, energy = noise(N, D), Waves()
    whole, products = (make_flow(energy, size, gram_paths=some).sample(x0, 100.0) for some in (None, 1))
    torch.testing.assert_close(products, whole, rtol=0, atol=1e-9)


@ENERGIES
@SIZES
def test_float32_paths_stay_float32_and_near_to_those_of_float64(
    energy: Energy, size: int | None, make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    flow, x0 = make_flow(energy, size), noise(N, D).float()
    *_, single = flow.steps(x0, DURATION)
    *_, double = flow.steps(x0.double(), DURATION)
    assert {single.paths.dtype, single.energies.dtype, single.mismatch.dtype, single.loss.dtype} == {torch.float32}
    # Round-off in a Gram matrix, 10⁻⁷ of its largest eigenvalue, counts for all: times the condition of it.
    assert single.step == double.step
    torch.testing.assert_close(single.paths.double(), double.paths, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("tolerance", "looser"), [(1e-4, 1e-3), (1e-3, 1e-2)])
def test_smaller_tolerance_takes_more_steps(
    tolerance: float, looser: float, make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    few, many = (
        len(list(make_flow(StylizedFacts(4), tolerance=value).steps(noise(N, D), DURATION)))
        for value in (looser, tolerance)
    )
    assert few < many


# --- errors ------------------------------------------------------------------------------------------------------


def test_steps_that_do_not_suffice_are_said_with_the_part_that_they_reached(
    make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    flow, x0 = make_flow(Waves()), noise(N, D)
    # 20 steps are needed, as above; 10⁻⁶ (2¹⁷ − 1) is what 17 reach.
    assert len(list(flow.steps(x0, DURATION, max_steps=20))) == 21
    states: list[FlowState] = []
    with pytest.raises(mm.errors.DivergedError, match=r"13 % of the duration.*max_steps = 17.*Use a larger") as info:
        states.extend(flow.steps(x0, DURATION, max_steps=17))
    assert info.value.step == 17


def test_states_before_the_steps_run_out_are_given(make_flow: MakeFlow, noise: Callable[..., Tensor]) -> None:
    seen = []
    with pytest.raises(mm.errors.DivergedError):
        for state in make_flow(Waves()).steps(noise(N, D), DURATION, max_steps=5):
            seen.append(state.step)
    assert seen == [0, 1, 2, 3, 4, 5]


class Broken(Energy):
    """Jumps where its mean changes sign, so that no step across is short enough."""

    labels = ("jump",)

    def _evaluate(self, x: Tensor) -> Tensor:
        mean = x.mean(-1, keepdim=True)
        return mean + 100.0 * (mean < 0).to(x)


def test_curve_that_no_step_can_follow_is_said(
    make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]
) -> None:
    energy = Broken()
    flow = GradientFlow(energy, make_target(energy, [-1.0]))
    with pytest.raises(
        mm.errors.DivergedError, match=r"no step from step \d+ is short enough for tolerance 0\.02"
    ) as e:
        flow.sample(noise(1, D).abs(), 1e4)
    assert e.value.step is not None


class Wall(Energy):
    """Grows without bound towards 1 and is infinite from there on: steps that go too far have no energy."""

    labels = ("wall",)

    def _evaluate(self, x: Tensor) -> Tensor:
        mean = x.mean(-1, keepdim=True)
        return torch.where(mean < 1.0, 1.0 / (1.0 - mean.clamp(max=1.0)), torch.inf)


def test_steps_into_infinite_energies_are_shortened(make_target: Callable[..., mm.Target]) -> None:
    # From 0, where the slope is small, the formula leads beyond 1; the target is at 0.99.
    energy = Wall()
    target = make_target(energy, [100.0])
    x0 = torch.zeros(1, D, dtype=torch.float64)
    flow = GradientFlow(energy, target)
    *_, last = flow.steps(x0, 1e9)
    assert float(last.energies) == pytest.approx(100.0, rel=1e-9)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_start_that_is_not_finite_is_said(value: float, make_flow: MakeFlow, noise: Callable[..., Tensor]) -> None:
    x0 = noise(N, D)
    x0[2, 5] = value
    with pytest.raises(ValueError, match=r"x0 has 1 entries that are NaN or infinite, the first at index \(2, 5\)"):
        make_flow(Autocovariance()).sample(x0, 1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tolerance": 0.0}, "tolerance is 0.0; expected a finite number above 0"),
        ({"tolerance": math.nan}, "tolerance is nan"),
        ({"ensemble_size": 0}, "ensemble_size is 0; expected a whole number of at least 1"),
        ({"gram_paths": 0}, "gram_paths is 0; expected a whole number of at least 1"),
    ],
)
def test_settings_out_of_range_are_said(
    settings: dict[str, float], message: str, make_target: Callable[..., mm.Target]
) -> None:
    energy = Autocovariance()
    with pytest.raises(ValueError, match=message):
        GradientFlow(energy, make_target(energy), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("duration", "settings", "message"),
    [
        (0.0, {}, "duration is 0.0; expected a finite number above 0"),
        (-1.0, {}, "duration is -1.0"),
        (math.inf, {}, "duration is inf"),
        (1.0, {"max_steps": 0}, "max_steps is 0; expected a whole number of at least 1"),
    ],
)
def test_durations_and_numbers_of_steps_out_of_range_are_said(
    duration: float, settings: dict[str, int], message: str, make_flow: MakeFlow, noise: Callable[..., Tensor]
) -> None:
    with pytest.raises(ValueError, match=message):
        next(make_flow(Autocovariance()).steps(noise(N, D), duration, **settings))


def test_target_of_other_energies_is_said(make_target: Callable[..., mm.Target]) -> None:
    with pytest.raises(ValueError, match=r"target has the energies .*expected those of Autocovariance\(\)"):
        GradientFlow(Autocovariance(), make_target(StylizedFacts(4)))


def test_ensembles_that_do_not_divide_the_paths_are_said(make_flow: MakeFlow, noise: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match="ensemble_size is 3; expected a divisor of the 4 paths"):
        make_flow(Autocovariance(), 3).sample(noise(N, D), 1.0)


def test_repr_says_energy_and_tolerance(make_flow: MakeFlow) -> None:
    assert repr(make_flow(Autocovariance(), tolerance=0.005)) == "GradientFlow(Autocovariance(), tolerance=0.005)"


# --- supports ----------------------------------------------------------------------------------------------------


def half_line_case(mean: list[float]) -> tuple[Autocovariance, mm.Target, Tensor]:
    values = torch.tensor(mean, dtype=torch.float64)
    energy = Autocovariance()
    x0 = mm.processes.Exponential(1.0).sample(8, 32, seed=1)
    return energy, mm.Target(values, torch.zeros_like(values), energy.labels, "a test"), x0


@pytest.mark.parametrize("mean", [[0.6, 2.0], [0.2, 1.5]], ids=["fewer neighbours alike", "far fewer"])
@pytest.mark.parametrize("size", [1, None], ids=["MGDM", "MF-MGDM"])
def test_flow_on_the_half_line_is_the_descent_of_small_steps(mean: list[float], size: int | None) -> None:
    energy, target, x0 = half_line_case(mean)
    settings = {"ensemble_size": size, "support": mm.Interval(0.0)}
    duration = 80.0
    ends = []
    for step_size in (0.4, 0.1):
        descent = mm.Descent(energy, target, step_size, **settings)
        ends.append(descent.sample(x0, round(duration / step_size)))
    *_, rough = GradientFlow(energy, target, tolerance=1e-3, **settings).steps(x0, duration)
    *_, last = GradientFlow(energy, target, tolerance=1e-6, **settings).steps(x0, duration)
    assert (last.paths == 0).double().mean() > 0.05 and (last.paths >= 0).all()  # so that the rule has a say
    # The descent's error goes with its step, so at the smaller it is a third of what the two are apart by; the flow's
    # goes with the root of the tolerance, so at the smaller it is a thirtieth of that.
    allowed = (ends[1] - ends[0]).abs().max() / 2 + (last.paths - rough.paths).abs().max() / 10
    assert (last.paths - ends[1]).abs().max() < allowed < 0.01


def test_entry_rests_at_the_end_while_its_force_points_out_and_leaves_when_that_points_in() -> None:
    energy, x0 = Waves(), mm.processes.Exponential(0.5).sample(8, D, seed=1)
    # The mean is too high, and gets down fast; the slow wave is too low, and lifts what has come down too far.
    mean = energy(x0).mean(0) + torch.tensor([-0.2, 0.1, 0.0, 0.0])
    target = mm.Target(mean, torch.zeros_like(mean), energy.labels, "a test")
    states = list(GradientFlow(energy, target, tolerance=1e-5, support=mm.Interval(0.0)).steps(x0, 100.0))
    resting = torch.stack([state.paths == 0.0 for state in states])
    left = resting[:-1] & ~resting[1:]
    assert left.any()
    for state, after, gone in zip(states[:-1], states[1:], left, strict=True):
        force = energy.gradient(state.paths, state.mismatch)
        still = (state.paths == 0.0) & (force > 0.0)
        assert (after.paths[still] == 0.0).all()
        assert (force[gone] <= 0.0).all()


def test_flow_in_an_interval_touches_both_of_its_ends() -> None:
    energy, target, _ = half_line_case([-0.3, 3.0])
    x0 = torch.from_numpy(np.random.default_rng(0).uniform(-1.0, 2.0, (8, 32)))
    *_, last = GradientFlow(energy, target, support=mm.Interval(-1.0, 2.0)).steps(x0, 1e4)
    assert last.paths.min() == -1.0 and last.paths.max() == 2.0
    assert last.loss[0] > 1e-3  # the mean square cannot get to 3 in there with neighbours unlike
    with pytest.raises(ValueError, match="x0 has the value 3; expected values from -1 to 2"):
        GradientFlow(energy, target, support=mm.Interval(-1.0, 2.0)).sample(torch.full((1, 32), 3.0), 1.0)
