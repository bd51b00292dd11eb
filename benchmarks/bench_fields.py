"""The time of a step of Gaussian fields with its exact determinant, and how it grows with the number of points."""

from __future__ import annotations

import pytest
from measure import best_of

import mfmgdm_lib as mm
from mfmgdm_lib.log_determinants import choose_backend
from mfmgdm_lib.log_determinants.backends import step_with_determinant
from mfmgdm_lib.statistics import fitted_exponent

MODELS = {"MGDM": mm.MGDM, "MF-MGDM": mm.MFMGDM}
ENERGY = mm.energies.FieldAutocovariance([(0, 0), (0, 1), (1, 0)])
WANTED = {32: 0.005, 128: 0.150}


def seconds(name: str, side: int, n_paths: int = 128) -> float:
    """Of a step with its determinant, and of the energies after it."""
    law, energy = mm.processes.GaussianField.conditional_autoregression(0.2, (side, side)), ENERGY
    target = mm.estimate_target(energy, law, n_samples=64, seed=(3, 12345))
    model = MODELS[name](energy, target, 10.0 * side**2 / 1024)
    state = model.evaluate(mm.initial_distribution(law).sample(n_paths, (side, side), seed=0))
    backend = choose_backend(model, length=side**2)
    assert backend.name == "circulant"
    return best_of(lambda: model.evaluate(step_with_determinant(backend, model, state, None)[0].paths), rounds=9)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("side", WANTED)
def test_step_of_fields_with_its_exact_determinant(side, name):
    """128 fields: 5 ms for 32² points and 150 ms for 128² are wanted."""
    print(f"\n{name}, {side}²: {1e3 * seconds(name, side):.2f} ms, of {1e3 * WANTED[side]:.0f}")


@pytest.mark.parametrize("name", MODELS)
def test_growth_with_the_number_of_points(name):
    """The time grows with the number of points n at most like n^1.1."""
    sides = [32, 64, 128, 256]
    times = [seconds(name, side, n_paths=32) for side in sides]
    print(f"\n{name}: n^{fitted_exponent([side**2 for side in sides], times):.2f}")
