"""Energies of channels and fields as energies of flat vectors, which is what determinants and inverses are made for."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from mfmgdm_lib.energies.base import Energy

__all__ = ["FlatEnergy", "flat_energy"]


class FlatEnergy(Energy):
    """Another energy, of paths that are laid out flat: (*, d) with d = C · T or H · W.

    Args:
        energy: Φ.
        shape: the shape of a path, as the energy takes it.
    """

    def __init__(self, energy: Energy, shape: tuple[int, ...]) -> None:
        self.energy, self.shape, self.labels, self.length = energy, shape, energy.labels, math.prod(shape)

    def __repr__(self) -> str:
        return repr(self.energy)

    def _up(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, self.shape)

    def _flat(self, x: Tensor) -> Tensor:
        return x.flatten(-len(self.shape))

    def _evaluate(self, x: Tensor) -> Tensor:
        return self.energy(self._up(x))

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the force, (*, d)."""
        return self._flat(self.energy.gradient(self._up(x), weights))

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force, (*, d), and the product with its derivative."""
        force, product = self.energy.linearize(self._up(x), weights)
        return self._flat(force), lambda vectors: self._flat(product(self._up(vectors)))

    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ, (*, K, d)."""
        return self._flat(self.energy.jacobian(self._up(x)))


def flat_energy(energy: Energy, shape: tuple[int, ...]) -> Energy:
    """Return the energy of paths of a shape laid out flat; an energy of series is that itself."""
    return energy if energy.event_ndim == 1 else FlatEnergy(energy, shape)
