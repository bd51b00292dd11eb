"""Tests of the constraint and of the map at the end of a descent, against dense Jacobians of whole joint steps."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.energies import AbsoluteMoments, Energy


class Neighbours(Energy):
    """Of a field (4, 4): the mean square, a product of neighbours, and a modulus that bends Hessians."""

    labels = ("square", "product", "modulus")
    event_shape = (4, 4)

    def __repr__(self) -> str:
        return "Neighbours()"

    def _evaluate(self, x: Tensor) -> Tensor:
        parts = (x * x, x * x.roll(1, -1), (x * x + 0.25).sqrt())
        return torch.stack([part.mean((-2, -1)) for part in parts], dim=-1)


def target_of(energy: Energy, values: list[float]) -> mm.Target:
    mean = torch.tensor(values, dtype=torch.float64)
    return mm.Target(mean, torch.zeros_like(mean), energy.labels, "hand")


SPINS = mm.Constraint(AbsoluteMoments(axes=2), (1.0, 1.0), rate=0.5)
ENERGY = Neighbours()
TARGET = target_of(ENERGY, [1.0, 0.3, 1.1])
MODELS = {
    "MGDM": mm.MGDM(ENERGY, TARGET, 2.0, constraint=SPINS, last=mm.SignedPower(0.05)),
    "MF-MGDM": mm.MFMGDM(ENERGY, TARGET, 2.0, constraint=SPINS, last=mm.SignedPower(0.05)),
}
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))


def fields(n: int = 3, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, 4, 4)))


def step_by_hand(x: Tensor, coupled: bool) -> Tensor:
    """One joint step of fields laid out flat, from the formulas of the paper and of the constraint alone."""
    x = x.reshape(-1, 4, 4)
    values = ENERGY(x) - TARGET.mean
    mismatch = values.mean(0, keepdim=True).expand_as(values) if coupled else values
    rate = 2.0 / (1.0 + 0.09 + 1.21)
    # For a fixed mismatch the step is the gradient of its product with the energies.
    moved = torch.func.vjp(ENERGY, x)[1](rate * mismatch)[0]
    square, modulus = x.square().mean((-2, -1), keepdim=True), x.abs().mean((-2, -1), keepdim=True)
    held = 0.5 * ((square - 1.0) * 2.0 * x + (modulus - 1.0) * x.sign()) / 16
    return (x - moved - held).flatten()


@each_model
@pytest.mark.parametrize("backend", ["dense", "auto"])
def test_a_step_and_its_determinant_are_those_of_the_joint_jacobian(model: mm.MGDM, backend: str) -> None:
    x = fields()
    state, coupled = model.evaluate(x), model.ensemble_size is None
    torch.testing.assert_close(model.update(state).flatten(), step_by_hand(x, coupled), rtol=0, atol=1e-14)
    jacobian = torch.func.jacrev(lambda flat: step_by_hand(flat, coupled))(x.flatten())
    determinant = mm.log_determinant(model, state, backend)
    sign, log_abs = torch.linalg.slogdet(jacobian)
    assert float(determinant.per_path.sum()) == pytest.approx(float(log_abs), abs=1e-10)
    assert float(determinant.sign.prod()) == float(sign) == 1.0


@each_model
def test_the_stochastic_determinant_is_the_dense_one_within_its_error(model: mm.MGDM) -> None:
    state = model.evaluate(fields(32, seed=1))
    exact = mm.log_determinant(model, state, "dense")
    estimate = mm.log_determinant(model, state, mm.Stochastic(probes=64, coupling_paths=32), seed=2)
    assert 0.0 < estimate.mean_error < 0.05
    assert float(estimate.per_path.mean() - exact.per_path.mean()) == pytest.approx(0, abs=4 * estimate.mean_error)
    # The capacitance is exact where all paths are taken, up to what may be left out of a series.
    torch.testing.assert_close(estimate.capacitance, exact.capacitance, rtol=0, atol=1e-3)


@each_model
def test_the_last_step_is_the_map_and_its_determinant_the_sum_of_log_derivatives(model: mm.MGDM) -> None:
    *_, before, end = model.steps(fields(), 5)
    assert (before.step, before.ends, end.ends) == (4, True, False)
    torch.testing.assert_close(end.paths, before.paths.sign() * before.paths.abs() ** 0.05, rtol=0, atol=0)
    expected = (math.log(0.05) - 0.95 * before.paths.abs().log()).sum((-2, -1))
    determinant = mm.log_determinant(model, before)
    torch.testing.assert_close(determinant.per_path, expected, rtol=1e-14, atol=0)
    assert torch.equal(model.sample(fields(), 5), end.paths)


def test_the_first_of_several_steps_is_no_map_and_the_only_one_is() -> None:
    first, *_ = MODELS["MGDM"].steps(fields(), 2)
    only, end = MODELS["MGDM"].steps(fields(), 1)
    assert (first.ends, only.ends) == (False, True)
    assert float(end.paths.abs().min()) > 0.7


def test_a_trace_adds_up_all_determinants_the_last_one_included() -> None:
    model = MODELS["MF-MGDM"]
    start = mm.processes.Independent(mm.processes.WhiteNoise(), (4, 4))
    trace = mm.reverse_kl_trace(model, start, start, n_steps=4, n_paths=6, seed=3)
    states = list(model.steps(start.sample(6, (4, 4), np.random.default_rng(3)), 4))
    total = sum(mm.log_determinant(model, state).per_path.mean() for state in states[:-1])
    assert trace.entropy[-1] - trace.entropy[0] == pytest.approx(float(total), abs=1e-10)


def test_the_hessian_of_the_potential_is_that_of_automatic_differentiation() -> None:
    potential, x = SPINS.potential, fields(1)[0]
    weight = torch.tensor([3.0], dtype=torch.float64)
    hessian = torch.func.jacrev(torch.func.jacrev(lambda flat: 3.0 * potential(flat.reshape(4, 4))[0]))(x.flatten())
    force, product = potential.linearize(x[None].expand(16, 4, 4), weight.expand(16, 1))
    units = torch.eye(16, dtype=torch.float64)
    torch.testing.assert_close(product(units.reshape(16, 4, 4)).flatten(1), hessian, rtol=0, atol=1e-14)
    torch.testing.assert_close(force[0], potential.gradient(x[None], weight[None])[0], rtol=0, atol=0)


@pytest.mark.parametrize("exponent", [0.05, 0.5, 1.0, 3.0])
def test_the_log_derivative_of_a_power_is_that_of_automatic_differentiation(exponent: float) -> None:
    x, power = fields(), mm.SignedPower(exponent)
    torch.testing.assert_close(power.log_derivative(x), mm.PointwiseMap.log_derivative(power, x), rtol=0, atol=1e-12)


@mm.register
class Softened(mm.PointwiseMap):
    """What a user may write: a map alone."""

    def __call__(self, x: Tensor) -> Tensor:
        return x + x.tanh()


def test_a_map_of_ones_own_has_its_derivative_and_its_description() -> None:
    x = fields()
    torch.testing.assert_close(Softened().log_derivative(x), (2.0 - x.tanh().square()).log(), rtol=0, atol=1e-14)
    model = mm.MFMGDM(ENERGY, TARGET, 2.0, last=Softened())
    assert mm.spec(model, without=("energy", "target"))["last"] == {"type": "Softened"}


@each_model
def test_a_description_has_both_and_leaves_out_what_is_not_there(model: mm.MGDM) -> None:
    mm.register(Neighbours)
    description = mm.spec(model)
    assert description["constraint"]["rate"] == 0.5
    assert description["last"] == {"type": "SignedPower", "exponent": 0.05}
    again = mm.from_spec(description)
    assert torch.equal(again.sample(fields(), 5), model.sample(fields(), 5))
    without = mm.spec(type(model)(ENERGY, TARGET, 2.0))
    assert not {"constraint", "last"} & set(without)


def test_a_support_keeps_values_that_the_map_takes_out_of_it() -> None:
    energy = mm.energies.Autocovariance()
    target = target_of(energy, [0.2, 0.5])
    model = mm.MFMGDM(energy, target, 0.1, support=mm.Interval(0.0, 0.8), last=mm.SignedPower(0.5))
    (state, end) = model.steps(torch.tensor([[0.25, 0.7], [0.16, 0.49]], dtype=torch.float64), 1)
    torch.testing.assert_close(end.paths, torch.tensor([[0.5, 0.7], [0.4, 0.7]], dtype=torch.float64))
    derivative = 0.5 / torch.tensor([0.25, 0.16, 0.49], dtype=torch.float64).sqrt()
    expected = torch.stack([derivative[0].log(), derivative[1:].log().sum()])
    torch.testing.assert_close(mm.log_determinant(model, state).per_path, expected)


def test_the_bounds_of_the_entropy_hold_with_a_constraint() -> None:
    model = mm.MFMGDM(ENERGY, TARGET, 0.5, constraint=SPINS)
    trace = mm.entropy_bounds(model, fields(6), 5, determinants="dense")
    assert ((trace.lower <= trace.change) & (trace.change <= trace.upper)).all()
    assert (trace.upper - trace.lower < 0.2).all()  # tight enough that a missing trace would show


def test_what_cannot_be_had_is_refused() -> None:
    model, x = MODELS["MF-MGDM"], fields(8)
    series = mm.energies.Autocovariance()
    with pytest.raises(ValueError, match=r"banded.*Use 'dense' or 'stochastic'"):
        held = mm.MGDM(
            series, target_of(series, [1.0, 1.0]), 0.1, constraint=mm.Constraint(AbsoluteMoments(), (1.0, 1.0), 1.0)
        )
        mm.log_determinant(held, held.evaluate(torch.ones(2, 9, dtype=torch.float64)), "banded")
    with pytest.raises(ValueError, match="expected None for both where it is frozen"):
        model.freeze(x, 5)
    with pytest.raises(ValueError, match="expected None, for a map at the end"):
        mm.balanced_stop(model, x, 5)
    with pytest.raises(ValueError, match="expected None, for a map at the end"):
        mm.entropy_bounds(model, x, 5)
    with pytest.raises(ValueError, match="inner_steps is 2 with a constraint"):
        mm.MGDM(ENERGY, TARGET, 2.0, constraint=SPINS, inner_steps=2)
    with pytest.raises(ValueError, match="expected one length or shape"):
        mm.MGDM(ENERGY, TARGET, 2.0, constraint=mm.Constraint(AbsoluteMoments(), (1.0, 1.0), 1.0))
    with pytest.raises(ValueError, match="values has 1 numbers; expected 2"):
        mm.Constraint(AbsoluteMoments(), (1.0,), 1.0)
    with pytest.raises(ValueError, match="rate is 0"):
        mm.Constraint(AbsoluteMoments(), (1.0, 1.0), 0.0)
    with pytest.raises(ValueError, match="exponent is -1"):
        mm.SignedPower(-1.0)


def test_paths_shared_out_over_processes_are_held_and_mapped_like_all_others() -> None:
    model = MODELS["MGDM"]
    part = model.shared(copy.copy(model.communicator), 3)
    assert torch.equal(part.sample(fields(), 3), model.sample(fields(), 3))
