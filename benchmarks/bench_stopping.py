"""The cost of stopping by the rule relative to the same descent without it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import pytest
import torch

import mfmgdm_lib as mm

T = TypeVar("T")


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """What a call returns, and its processor time, which other work on the machine hardly changes."""
    began = time.process_time()
    found = call()
    return found, time.process_time() - began


def of_market(lags: int, step_size: float) -> mm.MFMGDM:
    """A descent to the stylised energy of the S&P 500, with a step size large enough for it to end."""
    returns = torch.tensor(mm.data.returns(mm.data.sp500()).to_numpy())
    energy = mm.energies.StylizedFacts(lags=lags)
    return mm.MFMGDM(energy, mm.target_from_data(energy, (returns - returns.mean()) / returns.std()), step_size)


def of_table1(energy: str) -> mm.MFMGDM:
    """A descent of Table 1 to AR(0.1)."""
    (cell,) = mm.companion.select(mm.companion.TABLE_1, [f"ar01-{energy}-mf"])
    return cell.experiment().model(None)


MODELS = {
    "autocovariance": lambda: of_table1("acf"),
    "7 stylised energies, large steps": lambda: of_market(5, 8.0),
    "7 stylised energies": lambda: of_market(5, 2.0),
    "22 stylised energies": lambda: of_market(20, 8.0),
}
ESTIMATED = {
    "scattering spectra": lambda: of_table1("spectra"),
    "scattering covariances": lambda: of_table1("scatcov"),
}


def report(name: str, model: mm.MFMGDM, max_steps: int, rounds: int) -> None:
    """Print the ratio of the least times of several runs, taken in turn after one that is not counted."""
    x0 = mm.processes.WhiteNoise().sample(max(128, model.energy.dim + 1), 1024, (2, 12345))
    stop, times = mm.balanced_stop(model, x0, max_steps), []
    for _ in range(rounds):
        _, balanced = timed(lambda: mm.balanced_stop(model, x0, max_steps))
        _, plain = timed(lambda: model.sample(x0, len(stop.gain)))
        times.append((balanced, plain))
    balanced, plain = map(min, zip(*times, strict=True))
    print(
        f"\n{name}: {balanced / plain:.2f} times the {len(stop.gain)} steps alone, of"
        f" {1e3 * plain / len(stop.gain):.1f} ms; {int(stop.priced.sum())} prices; {stop.message}"
    )


@pytest.mark.parametrize("name", MODELS)
def test_exact_prices(name):
    """Ratios in one run, for 128 paths of 1024 points: at most 2 are wanted.

    A descent of a few steps pays more, for some exact prices are calculated in any.
    """
    report(name, MODELS[name](), 250, rounds=3)


@pytest.mark.parametrize("name", ESTIMATED)
def test_estimated_prices(name):
    """Ratios in one run, for 128 paths of 1024 points, or one more than energies: at most 3 are wanted."""
    report(name, ESTIMATED[name](), 30, rounds=1)
