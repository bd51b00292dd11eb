"""Derivatives that use what an energy's values took: the same bits, one forward pass for each step, never stale."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Energy, RecordedEnergy, recorded
from mfmgdm_lib.energies.transforms import FlatEnergy
from mfmgdm_lib.log_determinants.backends import flattened

MEAN = mm.energies.ScatteringMean(256)
ENERGIES: dict[str, Energy] = {
    "mean": MEAN,
    "covariance": mm.energies.ScatteringCovariance(256),
    "spectra": mm.energies.ScatteringSpectra(256),
    "linear": mm.energies.Linear(MEAN, torch.ones(1, MEAN.dim), ["sum"]),
    "side by side": mm.energies.Concatenate(MEAN, mm.energies.Autocovariance()),
    "fields, flat": FlatEnergy(mm.energies.FieldScatteringMean((16, 16), J=3), (16, 16)),
}
every_energy = pytest.mark.parametrize("name", ENERGIES)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(50, 256, dtype=torch.float64, generator=torch.Generator().manual_seed(1))  # more than a chunk


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many paths each record was made of, in order."""
    sizes: list[int] = []
    for kind in (mm.energies.ScatteringMean, mm.energies.ScatteringSpectra):

        def record(self: RecordedEnergy, x: Tensor, plain=kind._record) -> recorded.Record:
            sizes.append(len(x))
            return plain(self, x)

        monkeypatch.setattr(kind, "_record", record)
    yield sizes


def descent(energy: Energy, x: Tensor, step_size: float = 0.1, **options: object) -> mm.MFMGDM:
    values = 1.1 * energy(x).mean(0)
    return mm.MFMGDM(energy, mm.Target(values, torch.zeros_like(values), energy.labels, "a test"), step_size, **options)


@every_energy
@pytest.mark.parametrize("room", [0, 2**21, 2**27])
def test_derivatives_have_the_bits_of_those_without_values(
    name: str, room: int, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no room, with room for some of the paths and with room for all."""
    monkeypatch.setitem(recorded._KEPT_BYTES, "cpu", room)
    monkeypatch.setitem(recorded._CACHE_BYTES, "cpu", 2**21)
    energy = ENERGIES[name]
    weights = torch.randn(len(x), energy.dim, dtype=x.dtype, generator=torch.Generator().manual_seed(2))
    values, derivatives = energy.evaluate(x)
    assert torch.equal(values, energy(x))
    force, product = energy.linearize(x, weights)
    for _ in range(2):  # they can be asked for again
        assert torch.equal(derivatives.gradient(weights), energy.gradient(x, weights))
        found, times = derivatives.linearize(weights)
        assert torch.equal(found, force)
        assert torch.equal(times(x.flip(0)), product(x.flip(0)))


@pytest.mark.parametrize("name", ["mean", "spectra", "linear", "side by side"])
def test_each_step_evaluates_an_energy_once(name: str, x: Tensor, made: list[int]) -> None:
    model = descent(ENERGIES[name], x)
    made.clear()
    model.sample(x, 4)
    assert sum(made) == 5 * len(x)  # at t = 0 … 4


def test_stochastic_determinant_uses_the_evaluation_of_its_step(x: Tensor, made: list[int]) -> None:
    model = descent(MEAN, x)
    state, bare = model.evaluate(x), next(model.steps(x, 0))
    made.clear()
    backend = mm.Stochastic(max_products=1, coupling_paths=4)
    mm.log_determinant(model, state, backend, seed=1)
    with_record = sum(made)
    made.clear()
    mm.log_determinant(model, bare, backend, seed=1)
    assert sum(made) == with_record + len(x)


def test_paths_of_another_shape_keep_their_evaluation_laid_out_flat() -> None:
    fields = torch.randn(6, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    energy = mm.energies.FieldScatteringMean((16, 16), J=3)
    model = descent(energy, fields)
    state = model.evaluate(fields)
    flat, place = flattened(model, state)
    assert place.derivatives is not None and place.derivatives.serve(flat.energy, place.paths)
    weights = model.weights(state)
    assert torch.equal(flat.derivatives(place).gradient(weights), energy.gradient(fields, weights).flatten(1))


def test_constraint_does_not_hide_what_is_kept(x: Tensor, made: list[int]) -> None:
    model = descent(MEAN, x, constraint=mm.Constraint(mm.energies.Autocovariance(), (0.1, 1.0), rate=0.5))
    state = model.evaluate(x)
    expected = model.driving.gradient(x, model.weights(state))
    made.clear()
    assert torch.equal(model.derivatives(state).gradient(model.weights(state)), expected)
    assert not made


def test_what_is_kept_is_not_used_for_paths_changed_in_place(x: Tensor) -> None:
    model = descent(MEAN, x)
    state = model.evaluate(x)
    x.mul_(2.0)
    expected = MEAN.gradient(x, model.weights(state))
    assert torch.equal(model.derivatives(state).gradient(model.weights(state)), expected)
    view = model.evaluate(x[:5])
    x[0] = 0.0  # a view's base
    assert torch.equal(model.derivatives(view).gradient(model.weights(view)), MEAN.gradient(x[:5], model.weights(view)))


def test_what_is_kept_is_of_one_energy_and_one_tensor(x: Tensor) -> None:
    derivatives = MEAN.evaluate(x)[1]
    assert derivatives.serve(MEAN, x)
    assert not derivatives.serve(mm.energies.ScatteringMean(256), x)
    assert not derivatives.serve(MEAN, x.clone())
    with torch.inference_mode():
        inside = x.clone()
        assert not MEAN.evaluate(inside)[1].serve(MEAN, inside)  # its changes are not counted
        descent(MEAN, inside).sample(inside, 1)


def test_records_are_let_go_of_before_the_next_ones_are_made(x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[recorded.Record]] = []
    most, plain = [], mm.energies.ScatteringMean._record

    def record(self: RecordedEnergy, x: Tensor) -> recorded.Record:
        most.append(sum(ref() is not None for ref in alive))
        made = plain(self, x)
        alive.append(weakref.ref(made))
        return made

    model = descent(MEAN, x)
    monkeypatch.setattr(mm.energies.ScatteringMean, "_record", record)
    gc.disable()  # nothing may wait for a cycle to be found
    try:
        states = list(model.steps(x, 3))
    finally:
        gc.enable()
    chunks = len(MEAN._chunks(x))
    assert chunks > 1
    assert max(most) < chunks  # those of the same evaluation alone
    assert all(state.derivatives is None for state in states)
    assert not any(ref() is not None for ref in alive)
