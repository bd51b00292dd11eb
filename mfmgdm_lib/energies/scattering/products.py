"""Time averages of products of signals, with their first and second derivatives."""

from __future__ import annotations

import torch
from torch import Tensor

from mfmgdm_lib.energies.scattering.nonlinearities import Identity, Modulus

__all__ = ["Products"]


class Products:
    """Averages ⟨y_a ȳ_b⟩, a ≥ b, of c complex or real signals (n, c, parts, time); their moduli if complex."""

    def __init__(self, signals: Tensor) -> None:
        self.signals = signals.flatten(1, 2)
        _, self.count, self.parts, self.length = signals.shape
        self.row, self.column = torch.tril_indices(self.count, self.count, device=signals.device)
        averages = self._split(self.signals @ self.signals.mT)
        self._averages = Modulus(averages) if self.parts == 2 else Identity(averages)

    def _split(self, matrix: Tensor) -> Tensor:
        """Parts of ⟨y_a ȳ_b⟩, (n, c, parts, c), from the sums of products of parts, (n, c · parts, c · parts)."""
        products = matrix.unflatten(1, (self.count, self.parts)).unflatten(3, (self.count, self.parts)) / self.length
        if self.parts == 1:
            return products.squeeze(-1)
        (rr, ri), (ir, ii) = (row.unbind(-1) for row in products.unbind(2))
        return torch.stack([rr + ii, ir - ri], dim=2)

    def _join(self, on: Tensor) -> Tensor:
        """The adjoint of `_split`, with its transpose: (n, c · parts, c · parts) from (n, c, parts, c)."""
        on = on / self.length
        if self.parts == 2:
            real, imaginary = on.unbind(2)
            on = torch.stack([torch.stack([real, -imaginary], -1), torch.stack([imaginary, real], -1)], dim=2)
        matrix = on.reshape(len(on), self.count * self.parts, -1)
        return matrix + matrix.mT

    @property
    def values(self) -> Tensor:
        """The averages row by row, (n, c(c + 1)/2)."""
        return self._averages.value[:, self.row, self.column]

    @property
    def phases(self) -> Tensor:
        """⟨y_a ȳ_b⟩ by its modulus, (n, c, parts, c); 1 for real signals."""
        return self._averages.pullback(self._averages.scale(torch.ones_like(self._averages.value)))

    def _matrix(self, weights: Tensor) -> Tensor:
        matrix = weights.new_zeros(len(weights), self.count, self.count)
        matrix[:, self.row, self.column] = weights
        return matrix

    def pushforward(self, moved: Tensor) -> Tensor:
        """Change of the values, (n, c(c + 1)/2), when signals move by `moved`, (n, c, parts, time)."""
        cross = self.signals @ moved.flatten(1, 2).mT
        return self._averages.pushforward(self._split(cross + cross.mT))[:, self.row, self.column]

    def gradient(self, weights: Tensor) -> Tensor:
        """Gradient in the signals of the values weighted by (n, c(c + 1)/2): (n, c, parts, time)."""
        on = self._join(self._averages.pullback(self._averages.scale(self._matrix(weights))))
        return (on @ self.signals).unflatten(1, (self.count, self.parts))

    def gradient_change(self, weights: Tensor, moved: Tensor) -> Tensor:
        """Change of that gradient along `moved` (n, c, parts, time)."""
        scaled, moved = self._averages.scale(self._matrix(weights)), moved.flatten(1, 2)
        cross = self.signals @ moved.mT
        curvature = self._averages.pullback_change(scaled, None, self._split(cross + cross.mT))
        change = self._join(self._averages.pullback(scaled)) @ moved
        return change.baddbmm_(self._join(curvature), self.signals).unflatten(1, (self.count, self.parts))
