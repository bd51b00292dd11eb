"""Divergence traces: closed forms for a linear energy, the paper's numbers, estimates, and partial traces of errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, constraints

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Autocovariance, BandedEnergy, Energy
from mfmgdm_lib.log_determinants import quadrature
from mfmgdm_lib.processes import AR, CIR, Exponential, Process, WhiteNoise
from mfmgdm_lib.runs.run import Run

FIELDS = ("log_q", "log_p", "loss", "mean_energy", "determinant_error", "moved")


class Linear(BandedEnergy):
    """Φ(x) = Bx: the descent is an affine map, so every law along it is Gaussian and known."""

    bandwidth = 0

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix
        self.labels = tuple(f"row {k}" for k in range(len(matrix)))

    def _evaluate(self, x: Tensor) -> Tensor:
        return x @ self.matrix.T

    def jacobian(self, x: Tensor) -> Tensor:
        return self.matrix.expand(*x.shape[:-1], *self.matrix.shape)

    def hessian_bands(self, x: Tensor, weights: Tensor) -> Tensor:
        return torch.zeros_like(x).unsqueeze(-2)


class Fenced(Energy):
    """The mean of a path, which exists only below 1."""

    labels = ("mean",)

    def _evaluate(self, x: Tensor) -> Tensor:
        mean = x.mean(-1, keepdim=True)
        return torch.where(mean < 1.0, mean, torch.nan)


class Cubes(Energy):
    """An energy with no Hessian bands to its name."""

    labels = ("cube",)

    def _evaluate(self, x: Tensor) -> Tensor:
        return (x**3).mean(-1, keepdim=True)


PROCESS, INITIAL = AR([0.3]), WhiteNoise(mean=0.5, stddev=1.5)
LENGTH, STEPS = 6, 7
BACKENDS = pytest.mark.parametrize("determinants", ["banded", "dense"])
# Without a Hessian there is nothing to estimate, and four paths are all taken for the capacitance.
ALL_BACKENDS = pytest.mark.parametrize("determinants", ["banded", "dense", "stochastic"])
SIZES = pytest.mark.parametrize("size", [1, 2, 4])


@pytest.fixture
def linear(noise: Callable[..., Tensor], make_target: Callable[..., mm.Target]) -> Callable[[int], mm.Descent]:
    """A descent by a linear energy, by the size of its ensembles."""
    energy = Linear(noise(2, LENGTH, seed=3))
    return lambda size: mm.Descent(energy, make_target(energy, [1.0, -2.0]), step_size=0.05, ensemble_size=size)


def step_matrix(model: mm.Descent) -> Tensor:
    """I − γBᵀB."""
    assert isinstance(model.energy, Linear)
    matrix = model.energy.matrix
    return torch.eye(LENGTH, dtype=torch.float64) - model.rate * matrix.T @ matrix


def pushed_law(model: mm.Descent, members: int) -> MultivariateNormal:
    """Law of an ensemble (M·d,) after all steps: its mean path is pushed by I − γBᵀB, deviations from it stay."""
    assert isinstance(model.energy, Linear)
    matrix, shift = step_matrix(model), model.rate * model.energy.matrix.T @ model.target.mean
    mean = torch.full((LENGTH,), INITIAL.mean, dtype=torch.float64)
    for _ in range(STEPS):
        mean = matrix @ mean + shift
    average = torch.full((members, members), 1.0 / members, dtype=torch.float64)
    deviation = torch.eye(members, dtype=torch.float64) - average
    power = torch.linalg.matrix_power(matrix, STEPS)
    root = torch.kron(deviation, torch.eye(LENGTH, dtype=torch.float64)) + torch.kron(average, power)
    return MultivariateNormal(mean.repeat(members), INITIAL.stddev**2 * root @ root.T)


# --- closed forms ------------------------------------------------------------------------------------------------


@SIZES
@ALL_BACKENDS
def test_log_density_of_a_linear_descent_is_the_gaussian_it_is(
    linear: Callable[[int], mm.Descent], size: int, determinants: str
) -> None:
    model = linear(size)
    trace = mm.reverse_kl_trace(
        model, PROCESS, INITIAL, n_steps=STEPS, n_paths=4, length=LENGTH, seed=1, determinants=determinants
    )
    joint = trace.log_q[-1].reshape(-1, size).sum(-1)
    exact = pushed_law(model, size).log_prob(trace.paths.reshape(-1, size * LENGTH))
    # Round-off of values of order 10, times the condition number of the pushed covariance, which is below 100.
    np.testing.assert_allclose(joint, exact.numpy(), rtol=0, atol=1e-10)
    np.testing.assert_allclose(trace.log_p[-1], PROCESS.log_prob(trace.paths).numpy(), rtol=0, atol=1e-12)


@SIZES
@ALL_BACKENDS
def test_entropy_of_a_linear_descent_changes_by_the_log_determinant_of_its_matrix(
    linear: Callable[[int], mm.Descent], size: int, determinants: str
) -> None:
    model = linear(size)
    trace = mm.reverse_kl_trace(
        model, PROCESS, INITIAL, n_steps=STEPS, n_paths=4, length=LENGTH, seed=1, determinants=determinants
    )
    per_path = float(torch.logdet(step_matrix(model))) / size
    np.testing.assert_allclose(trace.entropy - trace.entropy[0], per_path * np.arange(STEPS + 1), rtol=0, atol=1e-12)
    assert per_path < -0.01  # or this would not tell an entropy from a constant


def test_divergence_of_a_linear_descent_is_the_exact_one_within_its_standard_error(
    linear: Callable[[int], mm.Descent],
) -> None:
    model = linear(1)
    trace = mm.reverse_kl_trace(model, PROCESS, INITIAL, n_steps=STEPS, n_paths=4000, length=LENGTH, seed=2)
    covariance = torch.from_numpy(scipy.linalg.toeplitz(PROCESS.autocovariance(LENGTH - 1)))
    truth = MultivariateNormal(torch.zeros(LENGTH, dtype=torch.float64), covariance)
    exact = torch.distributions.kl_divergence(pushed_law(model, 1), truth)
    assert abs(trace.reverse_kl[-1] - float(exact)) < 4 * trace.standard_error[-1] < 0.1 * float(exact)


def test_start_has_the_divergence_of_two_gaussians() -> None:
    trace = mm.reverse_kl_trace(
        mm.companion.AR_ILLUSTRATION.model(1), PROCESS, WhiteNoise(), n_steps=0, n_paths=2000, length=50, seed=3
    )
    # Unit variances on both sides: KL = ½(tr Σ⁻¹ − d + log det Σ), with the tridiagonal Σ⁻¹ of an AR(1).
    phi, d = 0.3, 50
    exact = 0.5 * ((d + (d - 2) * phi**2) / (1 - phi**2) - d + (d - 1) * math.log(1 - phi**2))
    assert abs(trace.reverse_kl[0] - exact) < 4 * trace.standard_error[0] < 0.2 * exact


# --- the paper ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ensemble_size", "least", "step"), [(1, 2.7622, 36), (None, 0.0896, 157)], ids=["MGDM", "MF-MGDM"]
)
def test_papers_seeds_give_the_papers_divergences(ensemble_size: int | None, least: float, step: int) -> None:
    trace = mm.companion.AR_ILLUSTRATION.trace(ensemble_size)
    assert trace.best_step == step
    assert round(float(trace.reverse_kl.min()), 4) == least
    assert trace.determinants == "banded"


# --- what a trace holds ------------------------------------------------------------------------------------------


def small_trace(
    size: int | None = None, *, n_steps: int = 5, seed: object = 1, determinants: str | mm.Stochastic = "auto"
) -> mm.DivergenceTrace:
    return mm.reverse_kl_trace(
        small_model(size), PROCESS, INITIAL, n_steps=n_steps, n_paths=6, length=16, seed=seed, determinants=determinants
    )


def small_model(size: int | None, step_size: float = 0.05) -> mm.Descent:
    energy = Autocovariance()
    target = mm.Target(torch.tensor([0.3, 1.0]).double(), torch.zeros(2).double(), energy.labels, "a test")
    return mm.Descent(energy, target, step_size, ensemble_size=size)


@pytest.mark.parametrize("size", [1, 2, 6, None])
def test_trace_records_every_state_of_the_descent(size: int | None) -> None:
    trace, model = small_trace(size), small_model(size)
    states = list(model.steps(INITIAL.sample(6, 16, seed=1), 5))
    assert trace.log_q.shape == trace.log_p.shape == (6, 6)
    np.testing.assert_array_equal(trace.loss, [float(state.loss.mean()) for state in states])
    np.testing.assert_array_equal(trace.mean_energy, torch.stack([state.energies.mean(0) for state in states]).numpy())
    np.testing.assert_array_equal(trace.log_p, torch.stack([PROCESS.log_prob(s.paths) for s in states]).numpy())
    log_q = INITIAL.log_prob(states[0].paths)
    for t, state in enumerate(states):
        np.testing.assert_allclose(trace.log_q[t], log_q.numpy(), rtol=0, atol=1e-12)
        log_q = log_q - mm.log_determinant(model, state, "dense").per_path
    assert torch.equal(trace.paths, states[-1].paths)
    assert trace.members == (6 if size is None else size)
    np.testing.assert_array_equal(trace.determinant_error, np.zeros(6))
    np.testing.assert_array_equal(trace.moved, np.ones(6))


def test_parts_of_a_trace_add_up() -> None:
    trace = small_trace()
    gaps = trace.log_q - trace.log_p
    np.testing.assert_allclose(trace.reverse_kl, -trace.entropy - trace.log_likelihood, rtol=0, atol=1e-12)
    np.testing.assert_allclose(trace.standard_error, gaps.std(-1, ddof=1) / math.sqrt(6), rtol=1e-12)
    assert trace.best_step == int(np.argmin(gaps.mean(-1)))


@pytest.mark.parametrize("seed", [7, (2, 12345), np.random.SeedSequence(3)], ids=str)
@pytest.mark.parametrize("determinants", ["auto", "stochastic"])
def test_same_seed_gives_the_same_trace_to_the_bit(seed: object, determinants: str) -> None:
    first, second = (small_trace(seed=seed, determinants=determinants) for _ in range(2))
    assert all(np.array_equal(getattr(first, name), getattr(second, name)) for name in FIELDS)
    assert not np.array_equal(first.log_q, small_trace(seed=8).log_q)


def test_backends_give_the_same_trace() -> None:
    ours, reference = small_trace(determinants="auto"), small_trace(determinants="dense")
    assert (ours.determinants, reference.determinants) == ("banded", "dense")
    np.testing.assert_allclose(ours.log_q, reference.log_q, rtol=0, atol=1e-10)


@pytest.mark.parametrize("determinants", ["auto", "stochastic"])
def test_longer_trace_begins_with_the_shorter(determinants: str) -> None:
    short, long = (small_trace(n_steps=n, determinants=determinants) for n in (2, 5))
    assert all(np.array_equal(getattr(short, name), getattr(long, name)[:3]) for name in FIELDS)


# --- estimated determinants --------------------------------------------------------------------------------------


def test_auto_estimates_where_paths_are_long_and_nothing_is_banded(make_target: Callable[..., mm.Target]) -> None:
    model = mm.MFMGDM(Cubes(), make_target(Cubes(), [1.0]), step_size=0.1)
    used = [
        mm.reverse_kl_trace(model, PROCESS, INITIAL, n_steps=1, n_paths=4, length=length, seed=1).determinants
        for length in (128, 129)
    ]
    assert used == ["dense", "stochastic"]
    assert small_trace().determinants == "banded"


@pytest.mark.parametrize("size", [1, 2, None])
def test_estimated_trace_adds_up_the_estimates_of_its_steps(size: int | None) -> None:
    backend = mm.Stochastic(probes=2, coupling_paths=4)
    trace, model = small_trace(size, seed=3, determinants=backend), small_model(size)
    rng = np.random.default_rng(3)
    x0 = INITIAL.sample(6, 16, rng)
    entropy = rng.integers(2**32, size=4).tolist()  # of the probes: after the paths, from the same generator
    log_q, variance = INITIAL.log_prob(x0), 0.0
    for t, state in enumerate(model.steps(x0, 5)):
        np.testing.assert_allclose(trace.log_q[t], log_q.numpy(), rtol=0, atol=1e-12)
        assert trace.determinant_error[t] == pytest.approx(math.sqrt(variance), rel=1e-9)
        determinant = mm.log_determinant(model, state, backend, seed=[*entropy, t])
        log_q, variance = log_q - determinant.per_path, variance + determinant.mean_error**2
    assert trace.determinants == "stochastic"
    assert trace.determinant_error[0] == 0 and (np.diff(trace.determinant_error) > 0).all()


@pytest.mark.parametrize("ensemble_size", [1, 4, None], ids=["MGDM", "ensembles of 4", "MF-MGDM"])
def test_estimated_trace_is_the_exact_one_within_its_error(ensemble_size: int | None) -> None:
    experiment = mm.companion.SyntheticExperiment(
        AR([0.1]), Autocovariance(), step_size=1.0, n_steps=20, n_paths=16, length=64, target_samples=2000
    )
    model, run = experiment.model(ensemble_size), {"n_steps": 20, "n_paths": 16, "length": 64}
    quotients = []
    for seed in range(10):
        exact, found = (
            mm.reverse_kl_trace(model, AR([0.1]), WhiteNoise(), **run, seed=seed, determinants=determinants)
            for determinants in ("banded", "stochastic")
        )
        # The same start and the same way, so the determinants are all that differs.
        np.testing.assert_array_equal(found.log_q[0], exact.log_q[0])
        np.testing.assert_allclose(found.paths.numpy(), exact.paths.numpy(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.log_p, exact.log_p, rtol=0, atol=1e-10)
        gap = found.reverse_kl - exact.reverse_kl
        assert (np.abs(gap[1:]) < 4 * found.determinant_error[1:]).all()
        quotients.append(gap[-1] / found.determinant_error[-1])
        assert 0 < found.determinant_error[-1] < found.standard_error[-1]
    # Ten quotients of variance 1: their mean square has a standard error of √(2/10).
    assert np.mean(np.square(quotients)) == pytest.approx(1.0, abs=4 * 0.2**0.5)


def test_more_probes_make_an_estimated_trace_more_certain() -> None:
    one, four = (small_trace(1, determinants=mm.Stochastic(probes=n, coupling_paths=6)) for n in (1, 4))
    # Half is expected. One probe of d = 16 points knows its variance to √(2/16) and its error to half of that, 30 of
    # them (6 paths, 5 steps) to 1/√30 of it; both errors are known no better.
    allowed = 4 * 0.5 * (0.5 * (2 / 16 / 30) ** 0.5) * 2**0.5
    assert four.determinant_error[-1] / one.determinant_error[-1] == pytest.approx(0.5, abs=allowed)


@pytest.mark.parametrize("determinants", ["stochastic", mm.Stochastic(probes=2)], ids=["name", "settings"])
def test_estimates_need_a_seed(determinants: str | mm.Stochastic) -> None:
    with pytest.raises(ValueError, match=r"seed is None with the stochastic backend; expected a seed.*Pass seed=0"):
        small_trace(seed=None, determinants=determinants)
    assert small_trace(seed=None).determinants == "banded"  # which needs none but for the start


# --- the half-line -----------------------------------------------------------------------------------------------

RATES, RATES_START = CIR(0.5, 1.0, 1.0), Exponential(1.0)


def half_line_model(size: int | None) -> mm.Descent:
    energy = Autocovariance()
    target = mm.Target(torch.tensor([0.4, 1.4]).double(), torch.zeros(2).double(), energy.labels, "a test")
    return mm.Descent(energy, target, 0.5, ensemble_size=size, support=constraints.nonnegative)


@pytest.mark.parametrize("size", [1, 2, None])
@pytest.mark.parametrize("determinants", ["banded", "dense"])
def test_trace_on_the_half_line_leaves_out_the_entries_that_stay(size: int | None, determinants: str) -> None:
    model = half_line_model(size)
    run = {"n_paths": 6, "length": 16, "seed": 1}
    trace = mm.reverse_kl_trace(model, RATES, RATES_START, n_steps=6, determinants=determinants, **run)
    x0 = RATES_START.sample(6, 16, seed=1)
    log_q, shares = RATES_START.log_prob(x0), []
    for t, state in enumerate(model.steps(x0, 6)):
        assert (state.paths >= 0).all()
        np.testing.assert_allclose(trace.log_q[t], log_q.numpy(), rtol=0, atol=1e-10)
        moved = model.move(state).moved
        shares.append(1.0 if moved is None else float(moved.double().mean()))
        log_q = log_q - mm.log_determinant(model, state, "dense").per_path
    np.testing.assert_array_equal(trace.moved, [*shares[:-1], 1.0])  # no step after the last
    assert 0.5 < trace.moved.min() < 1.0
    estimate = mm.reverse_kl_trace(
        model, RATES, RATES_START, n_steps=6, determinants=mm.Stochastic(coupling_paths=6), **run
    )
    np.testing.assert_array_equal(estimate.moved, trace.moved)
    assert (np.abs(estimate.reverse_kl - trace.reverse_kl) <= 4 * estimate.determinant_error + 1e-12).all()


class Mean(Energy):
    """A force that is the same everywhere on a path."""

    labels = ("mean",)

    def _evaluate(self, x: Tensor) -> Tensor:
        return x.mean(-1, keepdim=True)


@pytest.mark.parametrize("size", [1, None], ids=["MGDM", "MF-MGDM"])
@pytest.mark.parametrize("determinants", ["dense", "stochastic"])
def test_descent_that_gets_stuck_keeps_the_trace_up_to_there(size: int | None, determinants: str) -> None:
    target = mm.Target(torch.tensor([1e-3]).double(), torch.zeros(1).double(), ("mean",), "a test")
    # The rate, step size / 10⁻⁶, is `times` · 8, so entries go down by that many times the mean (less 10⁻³). Those that
    # are larger do, a share below 1 / `times`, which can be inverted; until none is left that is larger.
    times = 2 if size == 1 else 3
    model = mm.Descent(Mean(), target, times * 8e-6, ensemble_size=size, support=constraints.nonnegative)
    run = {"n_paths": 3, "length": 8, "seed": 2, "determinants": determinants}
    with pytest.raises(mm.errors.StuckError) as info:
        mm.reverse_kl_trace(model, RATES, RATES_START, n_steps=100, **run)
    error = info.value
    assert error.step > 0
    assert (error.particle is None) == (size is None)
    partial = mm.reverse_kl_trace(model, RATES, RATES_START, n_steps=100, throw=False, **run)
    assert (partial.result, partial.message, partial.step) == ("stuck", str(error), error.step)
    kept = mm.reverse_kl_trace(model, RATES, RATES_START, n_steps=error.step, **run)
    assert (kept.result, kept.message, kept.step) == ("completed", "", error.step)
    assert len(partial.log_q) == error.step + 1
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(partial, name), getattr(kept, name))
    assert torch.equal(partial.paths, kept.paths)


@pytest.mark.parametrize(
    ("process", "support", "start"),
    [
        (RATES, constraints.real, RATES_START),
        (RATES, constraints.nonnegative, WhiteNoise()),
        (RATES, constraints.real, WhiteNoise()),
    ],
    ids=["model", "start", "both"],
)
def test_supports_that_disagree_are_refused(process: Process, support: constraints.Constraint, start: Process) -> None:
    model = mm.Descent(Autocovariance(), small_model(1).target, 0.1, support=support)
    with pytest.raises(ValueError, match=r"expected the same for all three.*Pass support=process\.support"):
        mm.reverse_kl_trace(model, process, start, n_steps=1, n_paths=4, length=16, seed=1)


def test_law_on_the_real_line_may_be_approached_from_the_half_line() -> None:
    trace = mm.reverse_kl_trace(half_line_model(None), PROCESS, RATES_START, n_steps=2, n_paths=4, length=16, seed=1)
    assert np.isfinite(trace.reverse_kl).all()


def test_several_inner_steps_have_no_trace() -> None:
    model = mm.MFMGDM(Autocovariance(), small_model(1).target, 0.1, inner_steps=2)
    with pytest.raises(ValueError, match=r"inner_steps=2; expected 1"):
        mm.reverse_kl_trace(model, PROCESS, INITIAL, n_steps=1, n_paths=4, length=16, seed=1)


# --- standard errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ensemble_size", [1, None], ids=["MGDM", "MF-MGDM"])
def test_standard_error_is_the_spread_over_seeds(
    ensemble_size: int | None, sd_tolerance: Callable[[int], float]
) -> None:
    n_seeds = 100
    experiment = mm.companion.SyntheticExperiment(
        AR([0.1]), Autocovariance(), step_size=0.2, n_steps=20, n_paths=64, length=32, target_samples=2000
    )
    traces = [experiment.trace(ensemble_size, seed=seed) for seed in range(n_seeds)]
    spread = np.std([trace.reverse_kl[-1] for trace in traces], ddof=1)
    claimed = np.mean([trace.standard_error[-1] for trace in traces])
    assert spread / claimed == pytest.approx(1.0, abs=sd_tolerance(n_seeds))


# --- checkpoints ----------------------------------------------------------------------------------------------------


def small_run(
    size: int | None, determinants: str | mm.Stochastic, *, n_steps: int = 8, **options: object
) -> Run[mm.DivergenceTrace]:
    run: dict[str, Any] = {"n_paths": 6, "length": 16, "seed": 3, "determinants": determinants, **options}
    return mm.divergence_run(small_model(size), PROCESS, INITIAL, n_steps=n_steps, **run)


@pytest.mark.parametrize("put_down_at", [0, 1, 5, 8])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("determinants", ["banded", "stochastic"])
@pytest.mark.parametrize("every", [1, 3])
def test_run_that_is_put_down_and_taken_up_ends_with_the_same_bits(
    determinants: str, dtype: torch.dtype, every: int, put_down_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quadrature, "DENSE_STEPS", 1)
    options = {"dtype": dtype, "observe": {"first": lambda paths: paths[:, 0]}}
    wanted = mm.Determinants(determinants, step_error=1e-4, every=every)
    whole, first, second = (small_run(None, wanted, **options) for _ in range(3))
    assert list(whole.steps()) == list(range(9))
    for step in first.steps():
        if step == put_down_at:
            checkpoint = first.checkpoint()
            break
    second.restore(checkpoint)
    assert list(second.steps()) == list(range(put_down_at, 9))
    for name in (*FIELDS, "folded", "quadrature_error"):
        np.testing.assert_array_equal(getattr(second.summary(), name), getattr(whole.summary(), name))
    np.testing.assert_array_equal(second.summary().observed["first"], whole.summary().observed["first"])
    assert torch.equal(second.summary().paths, whole.summary().paths) and whole.summary().paths.dtype == dtype
    assert second.value() == whole.value()


@pytest.mark.parametrize("other", [{"n_steps": 2}, {"n_paths": 4}, {"length": 12}, {"observe": {"x": torch.norm}}])
def test_checkpoint_of_a_run_with_other_arguments_is_refused(other: dict[str, Any]) -> None:
    run = small_run(1, "banded")
    list(run.steps())
    with pytest.raises(ValueError, match="Restore it into a run with the arguments of the one it was made by"):
        small_run(1, "banded", **other).restore(run.checkpoint())


def test_running_divergence_is_that_of_the_trace_where_every_step_has_a_determinant() -> None:
    run = small_run(2, "banded")
    seen = [run.value() for _ in run.steps()]
    np.testing.assert_allclose(seen, run.summary().reverse_kl, rtol=0, atol=1e-12)


def test_what_is_observed_is_written_down_at_every_step() -> None:
    law = AR([0.3])
    run = small_run(2, "banded", observe={"first": lambda paths: paths[:, 0], "log_p_again": law.log_prob})
    list(run.steps())
    trace = run.summary()
    np.testing.assert_array_equal(trace.observed["log_p_again"], trace.log_p)
    np.testing.assert_array_equal(trace.observed["first"][-1], trace.paths[:, 0].numpy())


def test_single_precision_paths_have_sums_in_double() -> None:
    single, double = (small_run(None, "banded", dtype=dtype) for dtype in (torch.float32, torch.float64))
    for run in (single, double):
        list(run.steps())
    # 16 terms of order 1 and 8 steps, each rounded to 2⁻²⁴.
    np.testing.assert_allclose(single.summary().log_p, double.summary().log_p, rtol=0, atol=16 * 8 * 10 * 2.0**-24)
    np.testing.assert_allclose(single.summary().log_q, double.summary().log_q, rtol=0, atol=16 * 8 * 10 * 2.0**-24)
    assert single.summary().log_q.dtype == np.float64


# --- some of the determinants ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, None])
def test_interpolated_determinants_are_right_within_the_error_that_is_stated(size: int | None) -> None:
    whole, some = (
        mm.reverse_kl_trace(
            small_model(size, step_size=0.3), PROCESS, INITIAL, n_steps=300, n_paths=6, length=16, seed=1,
            determinants=mm.Determinants(every=every),
        )
        for every in (1, 6)
    )  # fmt: skip
    assert not whole.quadrature_error.any()
    apart = np.abs(some.reverse_kl - whole.reverse_kl)
    assert 0 < apart.max() <= some.quadrature_error.max()
    assert (apart[:50] == 0).all()  # the first fifty have determinants of their own
    np.testing.assert_array_equal(some.log_p, whole.log_p)


def test_the_stated_error_of_interpolation_is_that_of_a_rough_integrand() -> None:
    rng, nodes = np.random.default_rng(1), np.arange(0, 401, 5)
    stated, true = [], []
    for _ in range(400):
        logs = rng.standard_normal((401, 1))
        sums = quadrature.integrate(logs, np.zeros(401), nodes)[0]
        true.append(sums[-1, 0] - logs.sum())
        stated.append(quadrature.quadrature_error(logs, nodes)[-1])
    ratio = np.square(stated).mean() / np.square(true).mean()
    # With 1 node in m the true variance of a sum over T steps is T(m − 1), and the stated one T m.
    assert abs(ratio - 5 / 4) < 4 * 5 / 4 * np.sqrt(2 * 2 / 400)


def test_interpolation_of_a_straight_line_is_exact_and_errors_have_the_weights_of_their_nodes() -> None:
    steps, nodes = np.arange(13), np.array([0, 1, 2, 5, 8, 12])
    lines = np.stack([2.0 - 0.1 * steps, 0.3 * steps], axis=1)
    sums, error = quadrature.integrate(lines, np.ones(13), nodes)
    np.testing.assert_allclose(sums[1:], np.cumsum(lines, axis=0), rtol=0, atol=1e-12)
    # Each node stands for its share of the 13 steps.
    weights = np.array([1.0, 1.0, 2.0, 3.0, 3.5, 2.5])
    assert error[-1] == pytest.approx(np.sqrt((weights**2).sum()))
    assert weights.sum() == 13 and error[0] == 0


@pytest.mark.parametrize(("n_steps", "every"), [(1, 1), (40, 5), (51, 3), (500, 4), (5000, 5)])
def test_determinants_grow_rare_late_in_a_descent_and_the_last_step_has_one(n_steps: int, every: int) -> None:
    nodes = quadrature.quadrature_nodes(n_steps, every)
    gaps = np.diff(nodes)
    assert nodes[0] == 0 and nodes[-1] == n_steps - 1 and (gaps <= every).all() and (gaps >= 1).all()
    assert (gaps[nodes[:-1] < 100] == 1).all()
    if n_steps > 50 * every + 1:
        assert gaps.max() == every


# --- as many probes as it takes ---------------------------------------------------------------------------------------


def test_probes_are_those_that_the_last_steps_would_have_needed() -> None:
    wanted = 5e-4
    run = small_run(None, mm.Determinants("stochastic", step_error=wanted), n_steps=30)
    model, rng = small_model(None), np.random.default_rng(3)
    paths, entropy, probes, sent = INITIAL.sample(6, 16, rng), rng.integers(2**32, size=4).tolist(), 1, []
    variance = None
    list(run.steps())
    for step, state in enumerate(model.steps(paths, 29)):
        found = mm.log_determinant(model, state, mm.Stochastic(probes=probes), seed=[*entropy, step])
        change = run.summary().log_q[step] - run.summary().log_q[step + 1]
        np.testing.assert_allclose(change, found.per_path.numpy(), rtol=0, atol=1e-12)
        sent.append(probes)
        latest = (float(found.blocks_error.norm()) / 6) ** 2 * probes
        variance = latest if variance is None else 7 / 8 * variance + 1 / 8 * latest
        probes = min(max(1, math.ceil(variance / wanted**2)), 16)
    assert min(sent) < max(sent) and max(sent) > 2
    assert (
        run.summary().determinant_error[-1]
        < small_trace(None, n_steps=30, seed=3, determinants="stochastic").determinant_error[-1]
    )


def test_error_of_the_step_itself_does_not_decide_about_its_probes() -> None:
    # With the seeds of one step changed, that step has the same number of probes.
    with pytest.raises(ValueError, match="step_error is -1"):
        mm.Determinants("stochastic", step_error=-1.0)
    wanted = mm.Determinants("stochastic", step_error=1e-9)
    first, second = (small_run(None, wanted, n_steps=1, seed=seed) for seed in (3, 4))
    for run in (first, second):
        list(run.steps())
    one = small_run(None, mm.Stochastic(probes=1), n_steps=1)
    list(one.steps())
    np.testing.assert_array_equal(first.summary().log_q, one.summary().log_q)


# --- steps that fold --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, None])
def test_step_that_folds_can_be_recorded_and_gone_on_from(size: int | None) -> None:
    model, narrow = small_model(size, step_size=4.0), WhiteNoise(stddev=0.4)  # it folds once the paths have grown
    run: dict[str, Any] = {"n_paths": 6, "length": 16, "seed": 1}
    with pytest.raises(mm.errors.NotInvertibleError, match="on_fold='record'") as info:
        mm.reverse_kl_trace(model, PROCESS, narrow, n_steps=50, determinants="banded", **run)
    fold, recorded = info.value.step, mm.Determinants("banded", on_fold="record")
    trace = mm.reverse_kl_trace(model, PROCESS, narrow, n_steps=fold + 1, determinants=recorded, **run)
    partial = mm.reverse_kl_trace(model, PROCESS, narrow, n_steps=50, determinants="banded", throw=False, **run)
    np.testing.assert_array_equal(trace.log_q[: fold + 1], partial.log_q)
    exact = mm.log_determinant(model, model.evaluate(partial.paths), "dense")
    np.testing.assert_allclose(trace.log_q[fold] - trace.log_q[fold + 1], exact.per_path.numpy(), rtol=0, atol=1e-9)
    assert not trace.folded[:fold].any()
    assert trace.folded[fold] == float((exact.non_positive > 0).double().mean()) > 0


# --- errors that keep what was found -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, None])
@pytest.mark.parametrize("determinants", ["banded", "dense", "stochastic"])
def test_step_too_large_to_invert_is_named_and_keeps_the_trace(size: int | None, determinants: str) -> None:
    model, narrow = small_model(size, step_size=4.0), WhiteNoise(stddev=0.4)  # it folds once the paths have grown
    run = {"n_paths": 6, "length": 16, "seed": 1, "determinants": determinants}
    with pytest.raises(mm.errors.NotInvertibleError) as info:
        mm.reverse_kl_trace(model, PROCESS, narrow, n_steps=50, **run)
    error, message = info.value, str(info.value)
    partial = mm.reverse_kl_trace(model, PROCESS, narrow, n_steps=50, throw=False, **run)
    assert error.step > 0 and (partial.result, partial.message, partial.step) == ("not invertible", message, error.step)
    assert f"step {error.step}" in message and "step_size 4" in message
    assert "expected all above 0" in message and "Use a smaller step size" in message
    kept = mm.reverse_kl_trace(model, PROCESS, narrow, n_steps=error.step, **run)
    assert all(np.array_equal(getattr(partial, name), getattr(kept, name)) for name in FIELDS)
    assert torch.equal(partial.paths, kept.paths)
    state = model.evaluate(kept.paths)
    counts = mm.log_determinant(model, state, "dense").non_positive
    first = int(counts.nonzero()[0])
    assert f"has {counts[first]} eigenvalues" in message
    assert error.particle == (first if size == 1 else None)
    whose = {1: f"path {first} ", 2: f"paths {2 * first} to {2 * first + 1} ", None: "paths 0 to 5 "}[size]
    assert whose in message


def test_descent_that_diverges_keeps_the_trace_up_to_there(make_target: Callable[..., mm.Target]) -> None:
    model = mm.MFMGDM(Fenced(), make_target(Fenced(), [2.0]), step_size=2.0)
    run = {"n_paths": 3, "length": 8, "seed": 1}
    with pytest.raises(mm.errors.DivergedError, match="infinite or NaN energy at step") as info:
        mm.reverse_kl_trace(model, PROCESS, WhiteNoise(stddev=0.1), n_steps=500, **run)
    error = info.value
    partial = mm.reverse_kl_trace(model, PROCESS, WhiteNoise(stddev=0.1), n_steps=500, throw=False, **run)
    assert error.step > 1 and (partial.result, partial.message, partial.step) == ("diverged", str(error), error.step)
    kept = mm.reverse_kl_trace(model, PROCESS, WhiteNoise(stddev=0.1), n_steps=error.step - 1, **run)
    assert len(partial.reverse_kl) == error.step
    assert all(np.array_equal(getattr(partial, name), getattr(kept, name)) for name in FIELDS)


def test_start_without_finite_energies_leaves_an_empty_trace() -> None:
    start, run = WhiteNoise(stddev=1e160), {"n_steps": 3, "n_paths": 2, "length": 16, "seed": 0}
    with pytest.raises(mm.errors.DivergedError, match="path 0 has an infinite or NaN energy at step 0") as info:
        mm.reverse_kl_trace(small_model(1), PROCESS, start, **run)
    assert (info.value.step, info.value.particle) == (0, 0)
    trace = mm.reverse_kl_trace(small_model(1), PROCESS, start, throw=False, **run)
    assert (trace.result, trace.step) == ("diverged", 0)
    assert len(trace.reverse_kl) == 1 and np.isnan(trace.reverse_kl[0])
