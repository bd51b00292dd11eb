"""Closed forms of descents, each compared with an independent derivation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

import mfmgdm_lib as mm
from mfmgdm_lib.companion.closed_forms import (
    EnsembleLaw,
    LinearEnergy,
    gaussian_law,
    linear_descent,
    mean_field_limit,
)
from mfmgdm_lib.energies import Autocovariance, Energy, StylizedFacts
from mfmgdm_lib.processes import AR, WhiteNoise

ROUND_OFF = 1e-11  # of sums of a few hundred products of order 1 to 10 in float64
INITIAL = WhiteNoise(mean=0.5, stddev=1.5)
LENGTH, STEPS = 6, 7

sizes = pytest.mark.parametrize("members", [1, 2, 5])


@pytest.fixture
def linear(noise: Callable[..., Tensor], make_target: Callable[..., mm.Target]) -> Callable[[int], mm.Descent]:
    """A descent by two rows of noise, by the size of its ensembles."""
    energy = LinearEnergy(noise(2, LENGTH, seed=3))
    return lambda members: mm.Descent(energy, make_target(energy, [1.0, -2.0]), step_size=0.05, ensemble_size=members)


def some_law(noise: Callable[..., Tensor], members: int) -> EnsembleLaw:
    """An ensemble's law with nothing special about it."""
    roots = noise(2, LENGTH, LENGTH) / 3 + torch.eye(LENGTH)
    common, own = roots @ roots.mT
    return EnsembleLaw(noise(LENGTH, seed=1), common, own, members)


# --- Gaussian processes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 5])
@pytest.mark.parametrize("process", [AR([0.5]), AR([0.2, -0.1], innovation_std=2.0), INITIAL], ids=repr)
def test_gaussian_law_has_the_density_of_the_process(process: AR | WhiteNoise, length: int) -> None:
    x = process.sample(4, length, seed=0)
    law = gaussian_law(process, length)
    torch.testing.assert_close(law.log_prob(x), process.log_prob(x), rtol=0, atol=ROUND_OFF)


def test_gaussian_law_has_the_entropy_of_white_noise() -> None:
    assert float(gaussian_law(INITIAL, 40).entropy()) == pytest.approx(INITIAL.entropy(40), abs=ROUND_OFF)


# --- linear energies ---------------------------------------------------------------------------------------------


def test_linear_energy_is_its_matrix_and_so_is_its_jacobian(noise: Callable[..., Tensor]) -> None:
    matrix, x, weights = noise(3, LENGTH), noise(4, LENGTH, seed=1), noise(4, 3, seed=2)
    energy = LinearEnergy(matrix)
    torch.testing.assert_close(energy(x), torch.einsum("kd,nd->nk", matrix, x), rtol=0, atol=ROUND_OFF)
    torch.testing.assert_close(energy.gradient(x, weights), weights @ matrix, rtol=0, atol=ROUND_OFF)
    assert energy(x.float()).dtype == torch.float32
    assert energy.dim == 3


@sizes
def test_law_of_a_linear_descent_is_what_its_steps_make_of_the_start(
    linear: Callable[[int], mm.Descent], members: int
) -> None:
    model = linear(members)
    # The descent is an affine map of the ensemble: where it sends 0 and the unit vectors says what it is.
    units = torch.eye(members * LENGTH, dtype=torch.float64).reshape(-1, members, LENGTH)
    shift = model.sample(torch.zeros(members, LENGTH, dtype=torch.float64), STEPS).flatten()
    columns = torch.stack([model.sample(unit, STEPS).flatten() - shift for unit in units], dim=-1)
    law = linear_descent(model, INITIAL, n_steps=STEPS, members=members)
    mean = columns @ torch.full_like(shift, INITIAL.mean) + shift
    torch.testing.assert_close(law.joint.mean, mean, rtol=0, atol=ROUND_OFF)
    covariance = INITIAL.stddev**2 * columns @ columns.T
    torch.testing.assert_close(law.joint.covariance_matrix, covariance, rtol=0, atol=ROUND_OFF)


@sizes
def test_trace_has_the_log_density_of_a_linear_descent(linear: Callable[[int], mm.Descent], members: int) -> None:
    model = linear(members)
    trace = mm.reverse_kl_trace(
        model, AR([0.3]), INITIAL, n_steps=STEPS, n_paths=2 * members, length=LENGTH, seed=1, determinants="dense"
    )
    law = linear_descent(model, INITIAL, n_steps=STEPS, members=members)
    exact = law.joint.log_prob(trace.paths.reshape(-1, members * LENGTH))
    # Values of order 10, times the condition number of the covariance, which is below 100.
    np.testing.assert_allclose(trace.log_q[-1].reshape(-1, members).sum(-1), exact, rtol=0, atol=1e-10)


# --- ensembles ---------------------------------------------------------------------------------------------------


@sizes
def test_path_of_an_ensemble_is_a_block_of_the_joint_law(noise: Callable[..., Tensor], members: int) -> None:
    law = some_law(noise, members)
    blocks = law.joint.covariance_matrix.reshape(members, LENGTH, members, LENGTH)
    for n in range(members):
        torch.testing.assert_close(blocks[n, :, n], law.path.covariance_matrix, rtol=0, atol=ROUND_OFF)
        torch.testing.assert_close(law.joint.mean.reshape(members, LENGTH)[n], law.path.mean)


@sizes
def test_divergences_of_an_ensemble_are_those_of_its_written_out_law(
    noise: Callable[..., Tensor], members: int
) -> None:
    law, truth = some_law(noise, members), gaussian_law(AR([0.4]), LENGTH)
    independent = MultivariateNormal(
        truth.mean.repeat(members), torch.kron(torch.eye(members, dtype=torch.float64), truth.covariance_matrix)
    )
    joint = float(kl_divergence(law.joint, independent)) / members
    assert law.joint_kl(truth) == pytest.approx(joint, abs=ROUND_OFF)
    assert law.path_kl(truth) == pytest.approx(float(kl_divergence(law.path, truth)), abs=ROUND_OFF)


@sizes
def test_joint_divergence_is_that_of_a_path_and_the_total_correlation(
    noise: Callable[..., Tensor], members: int
) -> None:
    law, truth = some_law(noise, members), gaussian_law(AR([0.4]), LENGTH)
    assert law.joint_kl(truth) - law.path_kl(truth) == pytest.approx(law.total_correlation, abs=ROUND_OFF)
    if members == 1:
        assert law.total_correlation == pytest.approx(0.0, abs=ROUND_OFF)
    else:
        assert law.total_correlation > 0.01


# --- the mean-field limit ----------------------------------------------------------------------------------------


class Square(Energy):
    """The mean of squares, for which everything is a recursion of one number."""

    labels = ("square",)

    def _evaluate(self, x: Tensor) -> Tensor:
        return x.square().mean(-1, keepdim=True)


class Ends(Energy):
    """Two quadratic forms whose matrices do not commute."""

    labels = ("first", "product")

    def _evaluate(self, x: Tensor) -> Tensor:
        return torch.stack((x[..., 0] ** 2, x[..., 0] * x[..., -1]), dim=-1)

    def __repr__(self) -> str:
        return "Ends()"


def autocovariance_model(members: int | None, step_size: float = 0.3) -> mm.Descent:
    energy = Autocovariance()
    target = mm.Target(torch.tensor([0.3, 1.2]).double(), torch.zeros(2).double(), energy.labels, "a test")
    return mm.Descent(energy, target, step_size, ensemble_size=members)


def test_limit_for_the_mean_square_is_a_recursion_of_the_variance(make_target: Callable[..., mm.Target]) -> None:
    model = mm.MFMGDM(Square(), make_target(Square(), [2.0]), step_size=0.5)
    limit = mean_field_limit(model, WhiteNoise(stddev=0.7), n_steps=9, length=4)
    variance = 0.7**2
    for t in range(10):
        assert limit.mean_energy[t].item() == pytest.approx(variance, abs=ROUND_OFF)
        covariance = limit.law(t).covariance_matrix
        torch.testing.assert_close(covariance, variance * torch.eye(4).double(), rtol=0, atol=ROUND_OFF)
        variance *= (1 - 0.5 / 2.0**2 * (variance - 2.0) * 2 / 4) ** 2
    assert variance > 0.6  # it has moved


def test_limit_has_the_mean_energies_of_its_own_law() -> None:
    limit = mean_field_limit(autocovariance_model(None), WhiteNoise(stddev=0.8), n_steps=12, length=5)
    covariance = limit.law(12).covariance_matrix
    exact = [covariance.diagonal(1).sum() / 5, covariance.diagonal().sum() / 5]
    torch.testing.assert_close(limit.mean_energy[12], torch.stack(exact), rtol=0, atol=ROUND_OFF)
    truth = gaussian_law(AR([0.3]), 5)
    last = limit.reverse_kl(truth)
    assert last.shape == (13,)
    assert last[12] == pytest.approx(float(kl_divergence(limit.law(12), truth)), abs=ROUND_OFF)


def test_log_ratio_is_that_of_the_law_where_a_path_has_come_to(noise: Callable[..., Tensor]) -> None:
    initial, process, x0 = WhiteNoise(stddev=0.8), AR([0.3]), noise(6, 5)
    limit = mean_field_limit(autocovariance_model(None), initial, n_steps=12, length=5)
    ends = x0
    for step in range(12):  # the same path by the library's own step, driven by the limit's mean energies
        mismatch = (limit.mean_energy[step] - autocovariance_model(None).target.mean).expand(6, 2)
        ends = ends - Autocovariance().gradient(ends, autocovariance_model(None).rate * mismatch)
    exact = limit.law(12).log_prob(ends) - process.log_prob(ends)
    torch.testing.assert_close(limit.log_ratio(x0, process, 12), exact, rtol=0, atol=ROUND_OFF)


def test_divergence_of_an_ensemble_approaches_that_of_the_limit_as_one_over_its_size() -> None:
    process, initial, length, steps, n_paths = AR([0.3]), WhiteNoise(), 16, 40, 16_384
    limit = mean_field_limit(autocovariance_model(None), initial, n_steps=steps, length=length)
    x0 = initial.sample(n_paths, length, seed=4)
    in_the_limit = limit.log_ratio(x0, process, steps)
    scaled = {}
    for members in (4, 16):
        trace = mm.reverse_kl_trace(
            autocovariance_model(members), process, initial, n_steps=steps, n_paths=n_paths, length=length, seed=4
        )
        excess = members * (trace.log_q[-1] - trace.log_p[-1] - in_the_limit.numpy()).reshape(-1, members).mean(-1)
        scaled[members] = (excess.mean(), excess.std(ddof=1) / math.sqrt(len(excess)))
    (small, error), (large, other) = scaled.values()
    assert small > 20 * error  # there is an excess
    # The next term of the expansion is of relative size 1/N, a quarter of the first for the smaller ensemble; one that
    # went as 1/√N or 1/N² would make these differ by a factor of 2 or 4.
    assert abs(small - large) < 4 * math.hypot(error, other) + small / 4


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gaussian_law("AR", 3), TypeError, "process is 'AR'; expected a Gaussian one. Use an AR"),
        (lambda: gaussian_law(AR([0.1]), 0), ValueError, "length is 0; expected a whole number of at least 1"),
        (lambda: LinearEnergy(torch.ones(4)), ValueError, r"matrix has shape \(4,\); expected \(K, time\). Use matrix"),
        (lambda: LinearEnergy(torch.full((1, 4), torch.nan)), ValueError, "matrix has 4 entries that are NaN"),
        (
            lambda: linear_descent(autocovariance_model(1), INITIAL, n_steps=1, members=2),
            TypeError,
            r"model descends by Autocovariance\(\); expected a LinearEnergy",
        ),
        (
            lambda: linear_descent(autocovariance_model(1), AR([0.1]), n_steps=1, members=2),  # type: ignore[arg-type]
            TypeError,
            r"start is AR.*; expected WhiteNoise, so that every law is Gaussian",
        ),
        (
            lambda: mean_field_limit(autocovariance_model(1), AR([0.1]), n_steps=1, length=8),  # type: ignore[arg-type]
            TypeError,
            r"start is AR.*; expected WhiteNoise, so that every law is Gaussian",
        ),
        (
            lambda: mean_field_limit(autocovariance_model(1), INITIAL, n_steps=1, length=8),
            ValueError,
            r"start is WhiteNoise\(mean=0.5.*expected a law with mean 0. Centre",
        ),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("energy", [StylizedFacts(lags=2), LinearEnergy(torch.full((1, 8), 1 / 8)), Ends()], ids=repr)
def test_limit_is_refused_where_it_is_not_gaussian_about_zero(
    energy: Energy, make_target: Callable[..., mm.Target]
) -> None:
    model = mm.MFMGDM(energy, make_target(energy), step_size=0.1)
    with pytest.raises(ValueError, match="expected quadratic forms whose matrices commute"):
        mean_field_limit(model, WhiteNoise(), n_steps=1, length=8)
