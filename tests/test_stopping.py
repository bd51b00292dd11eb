"""Where a descent stops by itself, against descents whose prices and gains are known in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.random import Generator
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib import stopping
from mfmgdm_lib.companion import AR_ILLUSTRATION
from mfmgdm_lib.companion.closed_forms import LinearEnergy
from mfmgdm_lib.log_determinants.backends import choose_backend


class MeanSquare(mm.energies.Energy):
    """Φ(x) = ‖x‖² / d."""

    labels = ("mean square",)

    def _evaluate(self, x: Tensor) -> Tensor:
        return x.square().mean(-1, keepdim=True)


def descent(energy: mm.energies.Energy, mean: float, step_size: float, members: int | None = None) -> mm.MFMGDM:
    alpha = torch.tensor([mean], dtype=torch.float64)
    return mm.MFMGDM(energy, mm.Target(alpha, 0.0 * alpha, energy.labels, "a number"), step_size, ensemble_size=members)


def noise(n: int, d: int, seed: int = 1) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def first_of_five(price: np.ndarray, gain: np.ndarray) -> int:
    runs = np.convolve(price > gain, np.ones(5), "valid") == 5
    return int(runs.argmax())


def test_stop_of_a_linear_energy_in_closed_form() -> None:
    """A step multiplies r̄ by μ = 1 − γb² and costs −log μ / N; no path's deviation from the mean ever changes."""
    n, b, alpha, step_size = 8, 0.7, 2.0, 1.2
    row = torch.zeros(1, 5, dtype=torch.float64)
    row[0, 1] = b
    x0, mu = noise(n, 5), 1.0 - step_size / alpha**2 * b**2
    stop = mm.balanced_stop(descent(LinearEnergy(row), alpha, step_size), x0, 500)
    r, v = float(b * x0[:, 1].mean()) - alpha, float((b * x0[:, 1]).var())
    steps = np.arange(len(stop.gain))
    assert stop.gain == pytest.approx(0.5 * r**2 / v * (1.0 - mu**2) * mu ** (2 * steps), rel=1e-9)
    assert stop.price == pytest.approx(np.full(len(steps), -math.log(mu) / n), rel=1e-12)
    expected = math.log(n * r**2 * (1.0 - mu**2) / (-2.0 * math.log(mu) * v)) / (-2.0 * math.log(mu))
    assert stop.step == math.ceil(expected)
    assert stop.reached
    # r̄² falls below v / N, the square of its standard error, at the stop, but for a factor that a small step makes 1.
    factor = -2.0 * math.log(mu) / (1.0 - mu**2)
    assert mu**2 * factor < (r * mu**stop.step) ** 2 * n / v <= factor < 1.2


def test_stop_of_the_mean_square_follows_a_recursion_of_numbers() -> None:
    """A step multiplies all paths by λ = 1 − 2γr̄/d, so energies by λ², and C is the number 1 − 4γΦ̄ / (dλ)."""
    n, d, alpha, step_size = 32, 6, 1.7, 0.3
    x0 = noise(n, d)
    stop = mm.balanced_stop(descent(MeanSquare(), alpha, step_size), x0, 1000)
    gamma, energies = step_size / alpha**2, x0.square().mean(-1)
    mean, variance = float(energies.mean()), float(energies.var())
    price, cost = [], [0.5 * (mean - alpha) ** 2 / variance]
    for _ in range(len(stop.price)):
        factor = 1.0 - 2.0 * gamma * (mean - alpha) / d
        price.append(-math.log(1.0 - 4.0 * gamma * mean / (d * factor)) / n)
        mean, variance = factor**2 * mean, factor**4 * variance
        cost.append(0.5 * (mean - alpha) ** 2 / variance)
    gain = -np.diff(cost)
    assert stop.gain == pytest.approx(gain, rel=1e-9, abs=1e-15)
    assert stop.price[stop.priced] == pytest.approx(np.array(price)[stop.priced], rel=1e-9)
    assert stop.step == first_of_five(np.array(price), gain) > 10
    assert torch.equal(stop.paths, descent(MeanSquare(), alpha, step_size).sample(x0, stop.step))


def test_clear_steps_after_the_first_are_not_priced_where_prices_are_exact() -> None:
    """r̄² falls to a third with each step, so gains fall from around the price to far below it."""
    row = torch.eye(5, dtype=torch.float64)[:1]
    model, x0 = descent(LinearEnergy(row), 2.0, 4.0 * (1.0 - math.sqrt(1 / 3))), noise(16, 5)
    stop = mm.balanced_stop(model, x0, 500)
    assert stop.price == pytest.approx(0.5 * math.log(3.0) / 16, rel=1e-12)
    counted = slice(stop.step, stop.step + 5)
    clear = 2.0 * stop.gain[counted] < stop.price[counted]
    assert stop.priced[counted].tolist() == [True, *~clear[1:]]
    assert clear[2:].all()
    assert mm.balanced_stop(model, x0, 500, determinants=Doubtful(1e-9)).priced[counted].all()


def test_prices_between_are_interpolated_and_the_last_is_calculated() -> None:
    nan = math.nan
    assert stopping._interpolated(np.array([1.0, nan, nan, 8.0, nan])) == pytest.approx([1.0, 2.0, 4.0, 8.0, 8.0])
    assert stopping._interpolated(np.array([-1.0, nan, 3.0])).tolist() == [-1.0, 1.0, 3.0]
    assert np.isnan(stopping._interpolated(np.array([nan, nan]))).all()
    x0 = AR_ILLUSTRATION.start.sample(32, 1024, AR_ILLUSTRATION.initial_seed)
    stop = mm.balanced_stop(AR_ILLUSTRATION.model(None), x0, 60)
    assert np.flatnonzero(stop.priced).tolist() == [0, 3, 9, 21, 45, 59]


@pytest.mark.parametrize(("n_paths", "step"), [(8, 108), (32, 117)])
def test_stops_of_the_illustration(n_paths: int, step: int) -> None:
    """Ensembles of AR(0.1): steps that an independent calculation stopped at."""
    x0 = AR_ILLUSTRATION.start.sample(n_paths, 1024, AR_ILLUSTRATION.initial_seed)
    assert mm.balanced_stop(AR_ILLUSTRATION.model(None), x0, 200).step == step


def test_prices_that_are_left_out_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x0 = AR_ILLUSTRATION.start.sample(32, 1024, AR_ILLUSTRATION.initial_seed)
    quick = mm.balanced_stop(AR_ILLUSTRATION.model(None), x0, 200)
    monkeypatch.setattr(stopping, "_FAR", math.inf)
    whole = mm.balanced_stop(AR_ILLUSTRATION.model(None), x0, 200)
    assert whole.priced.all()
    assert quick.priced.mean() < 0.4
    assert (quick.step, quick.gain.tolist()) == (whole.step, whole.gain.tolist())
    assert quick.price == pytest.approx(whole.price, rel=0.01)
    assert not np.isfinite(quick.folded[~quick.priced]).any()


def test_gain_of_several_ensembles_is_a_mean() -> None:
    energy, x0 = MeanSquare(), noise(12, 6)
    stop = mm.balanced_stop(descent(energy, 1.7, 0.3, members=4), x0, 1)
    model, costs = descent(energy, 1.7, 0.3, members=4), []
    for state in model.steps(x0, 1):
        means = state.energies.reshape(3, 4).mean(1) - 1.7
        costs.append(float((0.5 * means.square() / state.energies.var()).mean()))
    assert stop.gain == pytest.approx([costs[0] - costs[1]])
    assert (stop.members, stop.reached, stop.step) == (4, False, 1)


def test_paths_by_themselves_have_the_mean_of_all_and_the_spread_of_the_start() -> None:
    energy, x0 = MeanSquare(), noise(12, 6)
    model = descent(energy, 1.7, 0.3, members=1)
    stop = mm.balanced_stop(model, x0, 3)
    means = [float(state.energies.mean()) - 1.7 for state in model.steps(x0, 3)]
    expected = -np.diff(0.5 * np.square(means) / float(energy(x0).var()))
    assert stop.gain == pytest.approx(expected)


@pytest.mark.parametrize("determinants", ["banded", "stochastic"])
def test_the_decision_is_the_same_with_any_number_of_threads(determinants: str) -> None:
    energy, process = mm.energies.StylizedFacts(lags=5), mm.processes.AR([0.1])
    target = mm.estimate_target(energy, process, n_samples=50, seed=1)
    model, x0 = mm.MFMGDM(energy, target, step_size=50.0), mm.processes.WhiteNoise().sample(128, 1024, seed=2)
    threads, stops = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            stops.append(mm.balanced_stop(model, x0, 3, determinants=determinants))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    for other in stops[1:]:
        assert other.step == stops[0].step
        assert np.array_equal(other.price, stops[0].price)
        assert np.array_equal(other.gain, stops[0].gain)
        assert torch.equal(other.paths, stops[0].paths)


def test_everything_runs_in_one_thread() -> None:
    seen = []

    class Watching(MeanSquare):
        def _evaluate(self, x: Tensor) -> Tensor:
            seen.append(torch.get_num_threads())
            return super()._evaluate(x)

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        mm.balanced_stop(descent(Watching(), 1.7, 0.3), noise(4, 6), 3)
    finally:
        torch.set_num_threads(threads)
    assert set(seen) == {1}


def test_estimated_prices_are_those_of_the_backend() -> None:
    energy, process = mm.energies.StylizedFacts(lags=3), mm.processes.AR([0.1])
    target = mm.estimate_target(energy, process, n_samples=500, length=64, seed=1)
    model, x0 = mm.MFMGDM(energy, target, step_size=1.0), mm.processes.WhiteNoise().sample(64, 64, seed=2)
    exact = mm.balanced_stop(model, x0, 40)
    rough = mm.balanced_stop(model, x0, 40, determinants=mm.Stochastic(coupling_paths=16))
    both = [t for t, _ in enumerate(zip(exact.price, rough.price, strict=False)) if exact.priced[t] & rough.priced[t]]
    assert len(both) > 8
    away, claimed = exact.price[both] - rough.price[both], rough.price_error[both]
    # The root mean square of n draws has a standard error of 1 / √2n; 4 of these, of both numbers, are allowed.
    assert abs(math.log(np.square(away).mean() / np.square(claimed).mean())) < 2 * 4 * math.sqrt(2 / (2 * len(both)))
    assert (rough.price_error[rough.priced] > 0).all()
    assert (exact.price_error[exact.priced] == 0).all()


@dataclass(frozen=True)
class Doubtful:
    """The exact determinants, with an error added."""

    error: float
    name: str = "doubtful"

    def step(self, model: mm.Descent, state: mm.State, rng: Generator | None) -> tuple[mm.Move, mm.StepDeterminant]:
        move, found = choose_backend(model, "dense", length=state.paths.shape[1]).step(model, state, rng)
        return move, replace(found, capacitance_error=torch.full_like(found.capacitance, self.error * found.members))

    def uncoupled(self, *_: object) -> mm.StepDeterminant:
        raise NotImplementedError


def test_a_step_counts_only_beyond_the_error_of_its_price() -> None:
    row = torch.eye(5, dtype=torch.float64)[:1]
    model, x0 = descent(LinearEnergy(row), 2.0, 0.8), noise(6, 5)
    price = -math.log(0.8) / 6
    exact = mm.balanced_stop(model, x0, 500)
    later = mm.balanced_stop(model, x0, 500, determinants=Doubtful(0.9 * price))
    never = mm.balanced_stop(model, x0, 50, determinants=Doubtful(1.1 * price))
    # The gain has to fall to a tenth of the price: log 10 / (−2 log μ) steps later, to the next whole one.
    assert later.step - exact.step == pytest.approx(math.log(10.0) / (-2.0 * math.log(0.8)), abs=1.0)
    assert (never.reached, never.step) == (False, 50)
    assert never.undecided > 25
    assert never.message == f"never stops within 50 steps; {never.undecided} of 50 steps are undecided: price and" + (
        " gain differ by less than the error"
    )


def test_entries_that_stay_are_said() -> None:
    """The mean of points on the half-line is to fall, and all points fall with it but those that have not got it."""
    row = torch.full((1, 5), 0.2, dtype=torch.float64)
    model = descent(LinearEnergy(row), 0.2, 0.04)
    model.support = mm.Interval(0.0)
    x0 = noise(16, 5).abs()
    stop = mm.balanced_stop(model, x0, 40)
    fall = 0.2 * (float(x0.mean()) - 0.2)  # γ = 1
    assert stop.moved[0] == pytest.approx(float((x0 >= fall).double().mean()))
    moving = (x0 >= fall).sum(1).double().mean()
    assert stop.price[0] == pytest.approx(-math.log(1.0 - 0.04 * float(moving)) / 16)
    stayed = int((stop.moved < 1.0).sum())
    assert f"{stayed} of {len(stop.price)} steps leave entries where they are, the most a share of" in stop.message


def test_stops_on_the_half_line_are_those_of_every_backend() -> None:
    """The first step leaves entries where they are; all backends decide alike, as far as estimates can tell."""
    process, energy = mm.processes.CIR(0.5, 1.0, 1.0), mm.energies.Autocovariance()
    target = mm.estimate_target(energy, process, n_samples=200, length=32, seed=1)
    model = mm.MFMGDM(energy, target, step_size=8.0, support=process.support)
    x0 = 1.5 * mm.initial_distribution(process).sample(32, 32, seed=2)
    banded, dense = (mm.balanced_stop(model, x0, 300, determinants=name) for name in ("banded", "dense"))
    assert banded.reached
    assert banded.moved[0] < 1.0
    assert (banded.step, banded.determinants, dense.determinants) == (dense.step, "banded", "dense")
    assert dense.price == pytest.approx(banded.price, rel=1e-9)
    assert torch.equal(dense.paths, banded.paths)
    rough = mm.balanced_stop(model, x0, 300, determinants=mm.Stochastic(coupling_paths=16), seed=1)
    both = np.flatnonzero(banded.priced[: len(rough.price)] & rough.priced[: len(banded.price)])
    both = both[rough.price_error[both] > 0.0]  # in the first step all paths are taken, and nothing is estimated
    away = (rough.price[both] - banded.price[both]) / rough.price_error[both]
    # Draws of different steps are independent: their root mean square is 1, with a standard error of 1 / √2n.
    assert len(both) > 8
    assert np.square(away).mean() ** 0.5 < 1.0 + 4.0 / math.sqrt(2 * len(both))
    assert rough.reached


@pytest.mark.parametrize("determinants", ["banded", "dense", "stochastic"])
def test_folds_of_whole_ensembles_are_seen_by_every_backend(determinants: str) -> None:
    """All paths of a step so long that the mean energy would come out on the other side of the target, twice over."""
    row = torch.eye(5, dtype=torch.float64)[:1]
    energy: mm.energies.Energy = mm.energies.Autocovariance() if determinants == "banded" else LinearEnergy(row)
    target = mm.Target(torch.ones(energy.dim).double(), torch.zeros(energy.dim).double(), energy.labels, "numbers")
    model, x0 = mm.MFMGDM(energy, target, 3.0 if determinants != "banded" else 8.0), noise(32, 5)
    stop = mm.balanced_stop(model, x0, 1, determinants=determinants)
    if determinants == "banded":
        (state,) = model.steps(x0, 0)
        exact = mm.log_determinant(model, state, "dense")
        assert exact.non_positive > 0
        assert stop.price[0] == pytest.approx(-float(exact.capacitance) / 32, rel=1e-9)
    else:
        assert stop.price[0] == pytest.approx(-math.log(3.0 - 1.0) / 32, rel=1e-9)
    assert stop.folded[0] == 1.0


def test_folds_are_said() -> None:
    stop = mm.balanced_stop(descent(MeanSquare(), 1.7, 40.0, members=1), noise(8, 6), 1)
    assert stop.folded[0] > 0
    assert "fold space, and cost more than their price" in stop.message


def test_models_sample_and_freeze_up_to_the_stop() -> None:
    model, x0 = descent(MeanSquare(), 1.7, 0.5), noise(6, 3)
    step = mm.balanced_stop(model, x0, 1000).step
    assert torch.equal(model.sample(x0, n_steps="balanced"), model.sample(x0, step))
    with pytest.warns(RuntimeWarning, match="never stops within 4 steps; use a larger max_steps"):
        assert torch.equal(model.sample(x0, "balanced", max_steps=4), model.sample(x0, 4))
    with pytest.warns(RuntimeWarning, match="never stops"):
        assert model.freeze(x0, "balanced", max_steps=4).n_steps == 4


@pytest.mark.parametrize("size", [1, None], ids=["MGDM", "MF-MGDM"])
def test_frozen_up_to_the_stop_is_frozen_at_its_step_in_one_descent(
    size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x0, start = descent(MeanSquare(), 4.0, 0.3, members=size), noise(32, 3), mm.processes.WhiteNoise()
    stop, evaluate, steps = mm.balanced_stop(model, x0, 1000), mm.Descent.evaluate, []

    def counted(self: mm.Descent, paths: Tensor, step: int = 0) -> mm.State:
        steps.append(step)
        return evaluate(self, paths, step)

    monkeypatch.setattr(mm.Descent, "evaluate", counted)
    found = model.freeze(x0, "balanced", start)
    assert steps == [0, *range(stop.step + 5 + 1)]  # x0 is looked at once before
    expected = model.freeze(x0, stop.step, start)
    assert (found.n_steps, expected.n_steps) == (stop.step, stop.step)
    assert stop.step > 10
    assert torch.equal(found.transform(x0), expected.transform(x0))
    assert torch.equal(found.transform(x0), stop.paths)
    if size is None:
        assert found.mismatches.shape == (stop.step, 1)
        assert torch.equal(found.mismatches, expected.mismatches)
    assert (stop.mismatches is None) == (size == 1)


def test_energies_without_spread_are_left_out() -> None:
    row = torch.eye(5, dtype=torch.float64)[:1]
    both = LinearEnergy(torch.cat([row, 2.0 * row]))  # their covariance is singular
    target = mm.Target(torch.tensor([2.0, 4.0]).double(), torch.zeros(2).double(), both.labels, "numbers")
    # ‖α‖² and JᵀJ are 5 times as large, so the steps are the same; and so is V, for r̄ has no other part.
    twice = mm.balanced_stop(mm.MFMGDM(both, target, 0.8), noise(8, 5), 500)
    once = mm.balanced_stop(descent(LinearEnergy(row), 2.0, 0.8), noise(8, 5), 500)
    assert twice.gain == pytest.approx(once.gain, rel=1e-8)
    assert twice.step == once.step


def test_no_more_paths_than_energies_are_refused() -> None:
    with pytest.raises(ValueError, match=r"x0 has 2 paths for 2 energies; expected more paths than energies"):
        mm.balanced_stop(AR_ILLUSTRATION.model(None), noise(2, 64), 5)


def test_paths_for_a_price() -> None:
    row = torch.eye(5, dtype=torch.float64)[:1]
    stop = mm.balanced_stop(descent(LinearEnergy(row), 2.0, 0.4), noise(16, 5), 500)
    each = -math.log(0.9)
    taken = len(stop.price)
    assert mm.paths_for_price(stop, 0.01) == math.ceil(taken * each / 0.01)
    assert mm.paths_for_price(stop, 0.01, n_steps=taken + 50) == math.ceil((taken + 50) * each / 0.01)
    assert mm.paths_for_price(stop, 0.01, n_steps=10) == math.ceil(10 * each / 0.01)
    assert mm.paths_for_price(stop, 1e6) == 1
    assert stop.total_price == pytest.approx(stop.step * each / 16)
    with pytest.raises(ValueError, match="stop has the price nan nats; expected a finite one"):
        mm.paths_for_price(replace(stop, price=np.array([math.nan])), 0.1)


# --- the gradient flow -------------------------------------------------------------------------------------------


def flow_of(energy: mm.energies.Energy, mean: float, **settings: float) -> mm.GradientFlow:
    alpha = torch.tensor([mean], dtype=torch.float64)
    return mm.GradientFlow(energy, mm.Target(alpha, 0.0 * alpha, energy.labels, "a number"), **settings)


def test_flow_of_a_linear_energy_stops_after_the_last_step_that_gains_more() -> None:
    """G is b², so r̄ decays as e^{−b² t} and a step from s to t costs b² (t − s) / N; no spread ever changes."""
    n, b, alpha = 16, 0.7, 2.0
    row = torch.zeros(1, 5, dtype=torch.float64)
    row[0, 1] = b
    x0 = noise(n, 5)
    states = list(flow_of(LinearEnergy(row), alpha).steps(x0, 400.0))
    times = np.array([state.time for state in states]) / alpha**2
    cost = 0.5 * ((float(b * x0[:, 1].mean()) - alpha) * np.exp(-(b**2) * times)) ** 2 / float((b * x0[:, 1]).var())
    price = b**2 * np.diff(times) / n
    assert [state.price for state in states[1:]] == pytest.approx(price, rel=1e-9)
    expected = 1 + int(np.flatnonzero(-np.diff(cost) > price)[-1])
    assert stopping.balanced_state(states) is states[expected]
    assert 5 < expected < len(states) - 1


def test_price_of_a_short_step_of_the_flow_is_that_of_the_descent() -> None:
    energy, process = mm.energies.StylizedFacts(lags=3), mm.processes.AR([0.1])
    target = mm.estimate_target(energy, process, n_samples=500, length=64, seed=1)
    x0 = mm.processes.WhiteNoise().sample(12, 64, seed=2)
    for size in (4, None):
        _, first, *_ = mm.GradientFlow(energy, target, ensemble_size=size).steps(x0, 1.0)
        model = mm.MFMGDM(energy, target, step_size=first.time, ensemble_size=size)
        found = mm.log_determinant(model, model.evaluate(x0))
        # The next order is a multiple of the step, which is a millionth of a time in which little changes.
        expected = -float(found.capacitance.mean()) / found.members
        assert first.price == pytest.approx(expected, rel=1e-4)
        assert first.price > 0


def test_flow_is_not_stopped_while_the_spread_falls() -> None:
    """From paths of different sizes V rises for twenty steps, since Σ_Φ falls faster than the mismatch does."""
    energy, process = mm.energies.StylizedFacts(lags=3), mm.processes.AR([0.5])
    target, rng = mm.estimate_target(energy, process, n_samples=500, length=64, seed=1), np.random.default_rng(2)
    sizes = torch.from_numpy(np.exp(0.5 * rng.standard_normal((128, 1))))
    states = list(mm.GradientFlow(energy, target).steps(sizes * noise(128, 64), 1e5))
    costs = []
    for state in states:
        mean, covariance = state.mismatch[0].numpy(), np.cov(state.energies.numpy().T)
        costs.append(0.5 * mean @ np.linalg.solve(covariance, mean))
    price, gain = np.array([state.price for state in states[1:]]), -np.diff(costs)
    assert first_of_five(price, gain) == 0
    stop = stopping.balanced_state(states)
    assert stop.step == 1 + np.flatnonzero(gain > price)[-1]
    assert 20 < stop.step < len(states) - 1
    with pytest.raises(ValueError, match="step 1 has no price, for its flow does not write G down"):
        stopping.balanced_state([states[0], replace(states[1], price=math.nan)])
    with pytest.raises(ValueError, match="states is empty"):
        stopping.balanced_state([])
