"""Energies given the past, the conditional flow of innovations, and its fit."""

import itertools

import numpy as np
import pytest
import torch

import mfmgdm_lib as mm
from mfmgdm_lib.energies.given_past import FUNCTIONS, size
from mfmgdm_lib.flows.conditional import MOST_BEND, ConditionalFlow, bends
from mfmgdm_lib.flows.conditional_fit import _chosen, fit_conditional_flow
from mfmgdm_lib.processes import VolatilityModel, fit_volatility

ENERGY = mm.energies.GivenPast((1, 3), shape=True)
VARIANCES = {
    "garch": ((0.1, 0.1, 0.8), {}),
    "gjr": ((0.1, 0.02, 0.8), {"asymmetry": 0.1}),
    "egarch": ((0.0, 0.1, 0.9), {"asymmetry": -0.1}),
    "aparch": ((0.1, 0.1, 0.8), {"asymmetry": 0.3, "power": 1.3}),
}
LAWS = {
    "n": {"mean": 0.1},
    "t": {"degrees_of_freedom": 6.0},
    "skewt": {"degrees_of_freedom": 6.0, "skew": -0.2, "phi": 0.1},
}
BASES = {
    f"{variance}-{law}": VolatilityModel(variance, *numbers, start=1.0, **more, **LAWS[law])
    for variance, (numbers, more) in VARIANCES.items()
    for law in LAWS
}


def some_weights(energy: mm.energies.ConditionalEnergy = ENERGY, steps: int = 6) -> torch.Tensor:
    """Weights of random signs with which each step bends by as much as it may."""
    weights = torch.randn(steps, energy.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return weights * (MOST_BEND / (weights.abs() @ bends(energy)))[:, None]


def some_flow(base: str = "garch-t") -> ConditionalFlow:
    return ConditionalFlow(BASES[base], ENERGY, some_weights())


PAST = torch.tensor([0.3, -1.5, 0.8, 2.5, -0.4], dtype=torch.float64)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_of_functions_are_those_of_autodiff_and_within_their_bound(name: str) -> None:
    x = torch.linspace(-30, 30, 20_001, dtype=torch.float64, requires_grad=True)
    function = FUNCTIONS[name]
    (slope,) = torch.autograd.grad(function.value(x, size(x)).sum(), x, create_graph=True)
    assert torch.allclose(slope, function.slope(x, size(x)).expand_as(x), rtol=1e-14, atol=1e-14)
    bend = function.bend(x, size(x)).detach().expand_as(x)
    if slope.requires_grad:
        (expected,) = torch.autograd.grad(slope.sum(), x)
        assert torch.allclose(bend, expected, rtol=1e-12, atol=1e-14)
    assert bend.abs().max() <= function.most * (1 + 1e-14)


def test_energies_given_the_past_by_hand() -> None:
    series = np.array([0.5, -6.0, 1.0, 2.0])
    found = mm.energies.GivenPast((1, 3), shape=True)(torch.from_numpy(series))[-1].numpy()
    sizes = np.sqrt(series**2 + 0.25)
    cut = np.array([0.5, -4.0, 1.0])  # of the past only
    before = np.sqrt(cut**2 + 0.25) - 1.0
    features = [1.0, before[2], before[:2].mean(), cut[2], cut[:2].mean()]
    expected = [*(sizes[3] * np.array(features)), 2.0, 2.0, 0.5 * 2.0 * sizes[3]]
    assert found == pytest.approx(expected, rel=1e-14)


def test_features_stay_within_their_bounds() -> None:
    wild = 50.0 * torch.randn(2000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert (ENERGY.along(wild).abs().amax(0) <= torch.tensor(ENERGY.bounds, dtype=torch.float64)).all()


@pytest.mark.parametrize("base", BASES)
def test_densities_of_drawn_paths_agree_both_ways(base: str) -> None:
    flow = some_flow(base)
    paths, log_q = flow.sample_and_log_prob(200, 60, given=PAST, seed=0)
    assert (flow.log_prob(paths, given=PAST) - log_q).abs().max() < 1e-8
    assert torch.equal(paths, flow.sample(200, 60, given=PAST, seed=0))


@pytest.mark.parametrize("base", BASES)
def test_density_of_one_day_and_of_two_integrates_to_one(base: str) -> None:
    # The trapezoidal rule in u, x = sinh(u), is right to round-off for smooth densities. A skewed t bends more on one
    # side of its mode, and two days have a kink where the first innovation is cut off: 10⁻⁵ at this spacing.
    flow, u = some_flow(base), torch.linspace(-14, 14, 561, dtype=torch.float64)
    x, masses = u.sinh(), u.cosh() * (u[1] - u[0])
    one = (flow.log_prob(x[:, None], given=PAST).exp() * masses).sum()
    assert float(one) == pytest.approx(1.0, abs=1e-5 if "skew" in base else 1e-9)
    if base not in ("garch-t", "aparch-t"):
        return
    pairs = torch.cartesian_prod(x, x)
    two = (flow.log_prob(pairs, given=PAST).exp() * torch.outer(masses, masses).ravel()).sum()
    assert float(two) == pytest.approx(1.0, abs=1e-5)


def test_density_does_not_depend_on_the_horizon() -> None:
    flow = some_flow("gjr-skewt")
    paths = flow.sample(3, 12, given=PAST, seed=1)
    first = flow.log_prob(paths[:, :5], given=PAST)
    rest = torch.stack([flow.log_prob(path[5:], given=torch.cat([PAST, path[:5]])) for path in paths])
    assert torch.allclose(flow.log_prob(paths, given=PAST), first + rest, rtol=0, atol=1e-10)
    whole = torch.cat([PAST.expand(3, -1), paths], -1)
    assert torch.allclose(flow.log_densities(whole)[:, 5:].sum(-1), first + rest, rtol=0, atol=1e-10)


def test_steps_are_one_to_one_for_every_past_at_the_bound() -> None:
    flow = some_flow()
    draws = torch.linspace(-40, 40, 4001, dtype=torch.float64)
    wild = 5.0 * torch.randn(40, ENERGY.memory, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for features in ENERGY.features(wild):
        ends, _ = flow.ends(draws, features.expand(len(draws), -1))
        assert (ends.diff() > 0).all()


def test_probabilities_quantiles_and_densities_are_of_one_law() -> None:
    flow, x = some_flow("gjr-skewt"), some_flow("gjr-skewt").sample(1, 400, given=PAST, seed=2)[0]
    levels = torch.tensor([0.01, 0.3, 0.99], dtype=torch.float64)
    quantiles = flow.quantiles(levels, x)
    for at in (0, 7, 399):
        for level, quantile in zip(levels, quantiles[at], strict=True):
            moved = torch.cat([x[:at], quantile[None], x[at + 1 :]])
            assert float(flow.probabilities(moved)[at]) == pytest.approx(float(level), abs=1e-12)
            step = 1e-5
            around = torch.stack([moved, moved])
            around[0, at] -= step
            around[1, at] += step
            slope = float(flow.probabilities(around)[:, at].diff()) / (2 * step)
            # The central difference is off by its third derivative times step²/6, and by round-off over the step.
            assert np.log(slope) == pytest.approx(float(flow.log_densities(moved)[at]), abs=1e-6)
    again = torch.sort(flow.probabilities(x)).values
    uniform = (torch.arange(400) + 0.5) / 400
    assert float((again - uniform).abs().max()) < 1.63 / 20  # Kolmogorov–Smirnov at 1 %


def test_no_steps_are_the_base_model() -> None:
    base = BASES["gjr-skewt"]
    flow = ConditionalFlow(base, ENERGY, torch.zeros(0, ENERGY.dim, dtype=torch.float64))
    x = base.sample(2, 50, given=PAST, seed=0)
    assert torch.equal(flow.log_densities(x), base.log_densities(x))
    assert torch.equal(flow.sample(2, 50, given=PAST, seed=0), x)


def test_flow_is_the_same_from_its_file(tmp_path) -> None:
    flow = some_flow("aparch-t")
    again = ConditionalFlow.load(flow.save(tmp_path / "flow"))
    assert torch.equal(again.sample(2, 9, given=PAST, seed=0), flow.sample(2, 9, given=PAST, seed=0))
    assert repr(again) == repr(flow)


@pytest.fixture(scope="module")
def leveraged() -> torch.Tensor:
    """Days whose variance rises after falls."""
    law = mm.processes.ARGARCH(0.0, 0.05, 0.02, 0.85, asymmetry=0.2, degrees_of_freedom=8.0)
    return law.sample(1, 12_500, seed=5)[0]


def test_fit_brings_means_to_those_seen_and_finds_leverage(leveraged) -> None:
    flow = fit_conditional_flow(leveraged[:2500], "garch-t", mm.energies.GivenPast())
    gain = (flow.log_densities(leveraged) - flow.base.log_densities(leveraged))[2500:]
    mean, error = mm.backtests.mean_gain(gain.numpy())
    assert mean > 2 * error
    chosen = flow.choice[flow.choice["chosen"]]
    assert len(chosen) == 1 and chosen.index[0][1] > 0
    # Mismatches have decayed to e^{-t}: of the energies under the flow's own law, on the days that were fitted.
    innovations, _ = flow.base.innovations(leveraged[:2500])
    m = flow.energy.memory
    features = flow.energy.along(innovations)[m:]
    target = flow.energy(innovations)[m:].mean(0)
    draws = torch.from_numpy(flow.base.law.draw(np.random.default_rng(0), (len(features), 64)))

    def mismatch(values: torch.Tensor) -> torch.Tensor:
        each = [FUNCTIONS[name].value(values, size(values)).mean(-1) for name in flow.energy.functions]
        return (torch.stack(each, -1) * features).mean(0) - target

    before, after = mismatch(draws), mismatch(flow.ends(draws, features[:, None, :].expand(-1, 64, -1))[0])
    assert after.norm() < (np.exp(-chosen.index[0][1]) + 0.1) * before.norm()


def test_truth_as_base_leaves_nothing_to_gain(leveraged) -> None:
    truth = VolatilityModel("gjr", 0.05, 0.02, 0.85, asymmetry=0.2, start=0.5**0.5, degrees_of_freedom=8.0)
    flow = fit_conditional_flow(leveraged[:2500], truth, mm.energies.GivenPast())
    gain = (flow.log_densities(leveraged) - truth.log_densities(leveraged))[2500:]
    mean, error = (0.0, 1e-3) if not gain.any() else mm.backtests.mean_gain(gain.numpy())
    assert mean < 3 * error


def test_earliest_time_within_an_error_of_the_best_is_taken() -> None:
    spread = np.linspace(-1, 1, 10) * 1e-3  # a standard error of 2.02e-4
    slow, quick, none = (
        1e-4 * np.array(means)[:, None] + spread for means in ([0, 1, 4, 8, 9], [0, 6, 9, 10, 5], [1, 2, 0, -1, -2])
    )
    assert _chosen([slow, quick]) == (1, 0.5)
    assert _chosen([none, -slow]) == (0, 0.0)


def test_energies_and_days_of_ones_own(leveraged) -> None:
    @mm.register
    class AfterFalls(mm.energies.ConditionalEnergy):
        labels, memory, functions, bounds = ("size", "size after falls"), 1, ("size", "size"), (1.0, 1.0)

        def features(self, past):
            return torch.cat([torch.ones_like(past), (past < 0).to(past)], -1)

    flow = fit_conditional_flow(leveraged[:1000], "garch-n", AfterFalls())
    paths, log_q = flow.sample_and_log_prob(4, 30, given=leveraged[:1000], seed=0)
    assert (flow.log_prob(paths, given=leveraged[:1000]) - log_q).abs().max() < 1e-8


def test_fit_has_the_same_bits_with_any_number_of_threads(leveraged) -> None:
    base, threads = fit_volatility(leveraged[:800], "garch-t"), torch.get_num_threads()
    found = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            found.append(fit_conditional_flow(leveraged[:800], base, mm.energies.GivenPast((1,))).weights)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"series": torch.zeros(3, 900)}, ValueError, "series has shape"),
        ({"series": np.ones(900)}, ValueError, "series"),
        ({"series": np.arange(100.0) % 7}, ValueError, "500"),
        ({"base": "garch"}, ValueError, "garch"),
        ({"base": 3}, TypeError, "base is 3"),
        ({"energy": mm.energies.StylizedFacts()}, TypeError, "GivenPast"),
    ],
)
def test_bad_input_of_a_fit(leveraged, change, error, said) -> None:
    arguments = {"series": leveraged[:600], "base": "garch-n", "energy": None} | change
    with pytest.raises(error, match=said):
        fit_conditional_flow(*arguments.values())


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (torch.zeros(2, 3, dtype=torch.float64), "shape"),
        (torch.zeros(2, ENERGY.dim), "float64"),
        (torch.full((2, ENERGY.dim), torch.nan, dtype=torch.float64), "weights"),
        (1.01 * some_weights(), "one-to-one"),
    ],
)
def test_bad_weights(weights, said) -> None:
    with pytest.raises(ValueError, match=said):
        ConditionalFlow(BASES["garch-t"], ENERGY, weights)


def test_bad_lags_and_files(tmp_path) -> None:
    for lags in ((), (0, 5), (5, 5), (5, 1)):
        with pytest.raises(ValueError, match="lags is"):
            mm.energies.GivenPast(lags)
    path = some_flow().save(tmp_path / "flow")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"flow\.npz"):
        ConditionalFlow.load(path)


def test_energies_of_lags_are_ordered() -> None:
    energy = mm.energies.GivenPast((1, 2, 4), leverage=False)
    assert energy.labels == ("size", "memory, lag 1", "memory, lag 2", "memory, lags 3 to 4")
    assert len(list(itertools.chain(energy.functions))) == energy.dim == len(energy.bounds)
