"""The divergence trace: closed forms for a linear energy, the paper's numbers, and errors that keep what was found."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Autocovariance, BandedEnergy, Energy
from mfmgdm_lib.processes import AR, WhiteNoise

FIELDS = ("log_q", "log_p", "loss", "mean_energy")


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


PROCESS, INITIAL = AR([0.3]), WhiteNoise(mean=0.5, stddev=1.5)
LENGTH, STEPS = 6, 7
BACKENDS = pytest.mark.parametrize("jacobian", ["structured", "dense"])
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
@BACKENDS
def test_log_density_of_a_linear_descent_is_the_gaussian_it_is(
    linear: Callable[[int], mm.Descent], size: int, jacobian: str
) -> None:
    model = linear(size)
    trace = mm.reverse_kl_trace(
        model, PROCESS, INITIAL, n_steps=STEPS, n_particles=4, length=LENGTH, seed=1, jacobian=jacobian
    )
    joint = trace.log_q[-1].reshape(-1, size).sum(-1)
    exact = pushed_law(model, size).log_prob(trace.paths.reshape(-1, size * LENGTH))
    # Round-off of values of order 10, times the condition number of the pushed covariance, which is below 100.
    np.testing.assert_allclose(joint, exact.numpy(), rtol=0, atol=1e-10)
    np.testing.assert_allclose(trace.log_p[-1], PROCESS.log_prob(trace.paths).numpy(), rtol=0, atol=1e-12)


@SIZES
@BACKENDS
def test_entropy_of_a_linear_descent_changes_by_the_log_determinant_of_its_matrix(
    linear: Callable[[int], mm.Descent], size: int, jacobian: str
) -> None:
    model = linear(size)
    trace = mm.reverse_kl_trace(
        model, PROCESS, INITIAL, n_steps=STEPS, n_particles=4, length=LENGTH, seed=1, jacobian=jacobian
    )
    per_path = float(torch.logdet(step_matrix(model))) / size
    np.testing.assert_allclose(trace.entropy - trace.entropy[0], per_path * np.arange(STEPS + 1), rtol=0, atol=1e-12)
    assert per_path < -0.01  # or this would not tell an entropy from a constant


def test_divergence_of_a_linear_descent_is_the_exact_one_within_its_standard_error(
    linear: Callable[[int], mm.Descent],
) -> None:
    model = linear(1)
    trace = mm.reverse_kl_trace(model, PROCESS, INITIAL, n_steps=STEPS, n_particles=4000, length=LENGTH, seed=2)
    covariance = torch.from_numpy(scipy.linalg.toeplitz(PROCESS.autocovariance(LENGTH - 1)))
    truth = MultivariateNormal(torch.zeros(LENGTH, dtype=torch.float64), covariance)
    exact = torch.distributions.kl_divergence(pushed_law(model, 1), truth)
    assert abs(trace.reverse_kl[-1] - float(exact)) < 4 * trace.standard_error[-1] < 0.1 * float(exact)


def test_start_has_the_divergence_of_two_gaussians() -> None:
    trace = mm.reverse_kl_trace(
        mm.experiments.AR_ILLUSTRATION.model(1), PROCESS, WhiteNoise(), n_steps=0, n_particles=2000, length=50, seed=3
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
    trace = mm.experiments.AR_ILLUSTRATION.trace(ensemble_size)
    assert trace.best_step == step
    assert round(float(trace.reverse_kl.min()), 4) == least
    assert trace.jacobian == "structured"


# --- what a trace holds ------------------------------------------------------------------------------------------


def small_trace(
    size: int | None = None, *, n_steps: int = 5, seed: object = 1, jacobian: str = "auto"
) -> mm.DivergenceTrace:
    return mm.reverse_kl_trace(
        small_model(size), PROCESS, INITIAL, n_steps=n_steps, n_particles=6, length=16, seed=seed, jacobian=jacobian
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


def test_parts_of_a_trace_add_up() -> None:
    trace = small_trace()
    gaps = trace.log_q - trace.log_p
    np.testing.assert_allclose(trace.reverse_kl, -trace.entropy - trace.log_likelihood, rtol=0, atol=1e-12)
    np.testing.assert_allclose(trace.standard_error, gaps.std(-1, ddof=1) / math.sqrt(6), rtol=1e-12)
    assert trace.best_step == int(np.argmin(gaps.mean(-1)))


@pytest.mark.parametrize("seed", [7, (2, 12345), np.random.SeedSequence(3)], ids=str)
def test_same_seed_gives_the_same_trace_to_the_bit(seed: object) -> None:
    first, second = small_trace(seed=seed), small_trace(seed=seed)
    assert all(np.array_equal(getattr(first, name), getattr(second, name)) for name in FIELDS)
    assert not np.array_equal(first.log_q, small_trace(seed=8).log_q)


def test_backends_give_the_same_trace() -> None:
    ours, reference = small_trace(jacobian="auto"), small_trace(jacobian="dense")
    assert (ours.jacobian, reference.jacobian) == ("structured", "dense")
    np.testing.assert_allclose(ours.log_q, reference.log_q, rtol=0, atol=1e-10)


def test_longer_trace_begins_with_the_shorter() -> None:
    short, long = small_trace(n_steps=2), small_trace(n_steps=5)
    assert all(np.array_equal(getattr(short, name), getattr(long, name)[:3]) for name in FIELDS)


# --- standard errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ensemble_size", [1, None], ids=["MGDM", "MF-MGDM"])
def test_standard_error_is_the_spread_over_seeds(
    ensemble_size: int | None, sd_tolerance: Callable[[int], float]
) -> None:
    n_seeds = 100
    experiment = mm.experiments.SyntheticExperiment(
        AR([0.1]), Autocovariance(), step_size=0.2, n_steps=20, n_particles=64, length=32, target_samples=2000
    )
    traces = [experiment.trace(ensemble_size, seed=seed) for seed in range(n_seeds)]
    spread = np.std([trace.reverse_kl[-1] for trace in traces], ddof=1)
    claimed = np.mean([trace.standard_error[-1] for trace in traces])
    assert spread / claimed == pytest.approx(1.0, abs=sd_tolerance(n_seeds))


# --- errors that keep what was found -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, None])
@BACKENDS
def test_step_too_large_to_invert_is_named_and_keeps_the_trace(size: int | None, jacobian: str) -> None:
    model, narrow = small_model(size, step_size=4.0), WhiteNoise(stddev=0.4)  # it folds once the paths have grown
    run = {"n_particles": 6, "length": 16, "seed": 1, "jacobian": jacobian}
    with pytest.raises(mm.errors.NotInvertibleError) as info:
        mm.reverse_kl_trace(model, PROCESS, narrow, n_steps=50, **run)
    error, message = info.value, str(info.value)
    assert error.step > 0 and error.trace is not None
    assert f"step {error.step}" in message and "step_size 4" in message
    assert "expected all above 0" in message and "Use a smaller step size" in message
    kept = mm.reverse_kl_trace(model, PROCESS, narrow, n_steps=error.step, **run)
    assert all(np.array_equal(getattr(error.trace, name), getattr(kept, name)) for name in FIELDS)
    assert torch.equal(error.trace.paths, kept.paths)
    state = model.evaluate(kept.paths)
    counts = mm.log_determinant(model, state, "dense").non_positive
    first = int(counts.nonzero()[0])
    assert f"has {counts[first]} eigenvalues" in message
    assert error.particle == (first if size == 1 else None)
    whose = {1: f"path {first} ", 2: f"paths {2 * first} to {2 * first + 1} ", None: "paths 0 to 5 "}[size]
    assert whose in message


def test_descent_that_diverges_keeps_the_trace_up_to_there(make_target: Callable[..., mm.Target]) -> None:
    model = mm.MFMGDM(Fenced(), make_target(Fenced(), [2.0]), step_size=2.0)
    run = {"n_particles": 3, "length": 8, "seed": 1}
    with pytest.raises(mm.errors.DivergedError, match="infinite or NaN energy at step") as info:
        mm.reverse_kl_trace(model, PROCESS, WhiteNoise(stddev=0.1), n_steps=500, **run)
    error = info.value
    assert error.step > 1 and error.trace is not None
    kept = mm.reverse_kl_trace(model, PROCESS, WhiteNoise(stddev=0.1), n_steps=error.step - 1, **run)
    assert len(error.trace.reverse_kl) == error.step
    assert all(np.array_equal(getattr(error.trace, name), getattr(kept, name)) for name in FIELDS)


def test_start_without_finite_energies_leaves_no_trace() -> None:
    with pytest.raises(mm.errors.DivergedError, match="path 0 has an infinite or NaN energy at step 0") as info:
        mm.reverse_kl_trace(
            small_model(1), PROCESS, WhiteNoise(stddev=1e160), n_steps=3, n_particles=2, length=16, seed=0
        )
    assert (info.value.step, info.value.particle, info.value.trace) == (0, 0, None)
