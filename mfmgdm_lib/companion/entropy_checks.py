"""Bounds of the change of entropy, held against the exact change along the descents of the paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.random import Generator
from torch import Tensor

from mfmgdm_lib.companion.comparison import ENERGY_NAMES
from mfmgdm_lib.companion.results import stored
from mfmgdm_lib.companion.synthetic import PROCESS_NAMES
from mfmgdm_lib.descents.descent import Descent, Move, State
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.entropy import EntropyTrace
from mfmgdm_lib.log_determinants.determinant_lemma import StepDeterminant, apply_lemma, factor_symmetric

__all__ = [
    "BOUNDS",
    "ROUND_OFF",
    "Assembled",
    "AssembledBlocks",
    "bound_slacks",
    "checked_descents",
    "count_violations",
    "path_sums",
]

BOUNDS = ("A", "B, lower", "B, upper")
"""What the bounds are called in tables."""

_ENERGIES = {key: name.split(". ")[1] for key, name in ENERGY_NAMES.items()} | {"stylized": "stylised facts"}

ROUND_OFF = 1e-10
"""Nats per path and step: what a bound may be passed by, for sums of 10⁵ float64 terms have that much round-off."""


class Assembled(Energy):
    """An energy whose Hessians are written out once for each step, and then used as often as needed.

    Args:
        energy: Φ of series.

    Example:
        >>> from mfmgdm_lib.energies import Autocovariance
        >>> x, weights = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64), torch.tensor([[3.0, 0.0]])
        >>> Assembled(Autocovariance()).linearize(x, weights.double())[1](x)
        tensor([[2., 4., 2.]], dtype=torch.float64)
    """

    def __init__(self, energy: Energy) -> None:
        self.energy, self.labels = energy, energy.labels
        self.minimum_length, self.length = energy.minimum_length, energy.length
        self._made: tuple[Tensor, Tensor, Tensor] | None = None

    def __repr__(self) -> str:
        return f"Assembled({self.energy!r})"

    def _evaluate(self, x: Tensor) -> Tensor:
        return self.energy._evaluate(x)

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the force of the energy inside."""
        return self.energy.gradient(x, weights)

    def jacobian(self, x: Tensor) -> Tensor:
        """Return the Jacobian of the energy inside."""
        return self.energy.jacobian(x)

    def hessians(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return Σ_k w_k H_k, (N, time, time), for paths (N, time) and weights (N, K)."""
        if self._made is None or not (torch.equal(self._made[0], x) and torch.equal(self._made[1], weights)):
            identity, matrices = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device), []
            for path, weight in zip(x, weights, strict=True):
                _, product = self.energy.linearize(path.expand_as(identity), weight.expand(len(identity), -1))
                matrix = product(identity)
                matrices.append(0.5 * (matrix + matrix.mT))
            self._made = x, weights, torch.stack(matrices)
        return self._made[2]

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force and the product with `hessians`."""
        matrices = self.hessians(x, weights)
        return self.energy.gradient(x, weights), lambda vectors: (matrices @ vectors[..., None])[..., 0]


@dataclass(frozen=True)
class AssembledBlocks:
    """Exact determinants from the Hessians of an `Assembled` energy."""

    name: str = "assembled"

    def step(self, model: Descent, state: State, rng: Generator | None) -> tuple[Move, StepDeterminant]:
        """Take one step; see `log_determinants.Backend`."""
        move, rows = model.move(state), model.energy.jacobian(state.paths)
        matrices = _blocks(model.energy, state.paths, model.rate * state.mismatch, move.moved)
        rows = rows if move.moved is None else rows * move.moved[:, None]
        return move, apply_lemma(factor_symmetric(matrices, rows), model.rate, model.members(len(state.paths)))

    def uncoupled(
        self, energy: Energy, paths: Tensor, weights: Tensor, moved: Tensor | None = None, rng: Generator | None = None
    ) -> StepDeterminant:
        """Log-determinants of the blocks alone; see `log_determinants.Backend`."""
        return apply_lemma(factor_symmetric(_blocks(energy, paths, weights, moved)), 0.0, 1)


def _blocks(energy: Energy, paths: Tensor, weights: Tensor, moved: Tensor | None) -> Tensor:
    """A_n of the entries that move, (N, time, time), with the identity in the other rows and columns."""
    if not isinstance(energy, Assembled):
        raise TypeError(f"the model has the energy {energy!r}; expected an Assembled one. Use Assembled(energy).")
    hessians = energy.hessians(paths, weights)
    if moved is not None:
        hessians = hessians * moved[:, None] * moved[..., None]
    return torch.eye(paths.shape[-1], dtype=paths.dtype) - hessians


def bound_slacks(trace: EntropyTrace) -> dict[str, np.ndarray]:
    """How far the exact change is on the right side of each bound, nats per path, (T, E) each; inf where there is none.

    Example:
        >>> import mfmgdm_lib as mm
        >>> from mfmgdm_lib.companion import AR_ILLUSTRATION
        >>> x0 = AR_ILLUSTRATION.start.sample(8, 256, seed=1)
        >>> trace = mm.entropy_bounds(AR_ILLUSTRATION.model(8), x0, n_steps=2)
        >>> {name: bool((slack > 0).all()) for name, slack in bound_slacks(trace).items()}
        {'A': True, 'B, lower': True, 'B, upper': True}
    """
    sides = (trace.change - trace.norms, trace.change - trace.lower, trace.upper - trace.change)
    return dict(zip(BOUNDS, sides, strict=True))


def count_violations(trace: EntropyTrace) -> int:
    """Count the steps of ensembles, and bounds of each, that the exact change is on the wrong side of."""
    return sum(int((~(slack >= -ROUND_OFF)).sum()) for slack in bound_slacks(trace).values())


def path_sums(trace: EntropyTrace) -> dict[str, float]:
    """Sums over the steps that were looked at, means over ensembles, nats per path: the exact change and its bounds.

    Returns:
        `change`, `blocks`, `capacitance` and `at_rest` as in `EntropyTrace`, and the bounds by the names in `BOUNDS`.
    """
    names = {"change": "change", "blocks": "blocks", "capacitance": "capacitance", "at_rest": "at_rest"}
    names |= dict(zip(BOUNDS, ("norms", "lower", "upper"), strict=True))
    return {name: float(getattr(trace, of).mean(1).sum()) for name, of in names.items()}


def checked_descents() -> pd.DataFrame:
    """Read results/entropy_bounds.csv, with a column `name` of what figures and tables call a process and an energy.

    Example:
        >>> checked_descents()["name"].iloc[0]
        'AR(0.1), autocovariance'
    """
    table, processes = stored("entropy_bounds"), PROCESS_NAMES | {"sp500": "S&P 500"}
    pairs = zip(table["process"].astype(str), table["energy"].astype(str), strict=True)
    names = [f"{processes[process]}, {_ENERGIES[energy]}" for process, energy in pairs]
    return table.assign(name=names)
