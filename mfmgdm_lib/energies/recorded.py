"""The base class of energies whose derivatives, written by hand, share what was computed for the values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mfmgdm_lib.energies.base import Energy

__all__ = ["Record", "RecordedEnergy", "chunks"]

_CACHE_BYTES = {"cpu": 2**22, "cuda": 2**28}
"""Size of one set of signals, such as a second layer, that is worked on at once: what stays near the processor."""


class Record(ABC):
    """An energy at n paths (n, time), and what was calculated on the way there."""

    @property
    @abstractmethod
    def values(self) -> Tensor:
        """Φ, (n, K), differentiable by autograd."""

    @abstractmethod
    def linearize(self, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The force J_Φᵀw, (n, time), for weights (n, K), and the product of vectors (n, time) with Σ_k w_k H_k."""

    def rows(self) -> Tensor:
        """J_Φ, (n, K, time): a force for each energy, unless most of a force is idle in each."""
        values = self.values
        units = torch.eye(values.shape[1], dtype=values.dtype, device=values.device)
        return torch.stack([self.linearize(unit.expand(len(values), -1))[0] for unit in units], dim=1)


class RecordedEnergy(Energy):
    """An energy with derivatives by hand, which its record shares.

    To add one, write `_record` and `_signals`.
    """

    length: int

    @property
    @abstractmethod
    def _signals(self) -> int:
        """How many signals as long as a path a record makes of each, at its widest."""

    @abstractmethod
    def _record(self, x: Tensor) -> Record:
        """Evaluate paths (n, time), so that autograd and `torch.func` can follow."""

    def _chunk_size(self, x: Tensor) -> int:
        each = self._signals * self.length * x.element_size()
        return max(1, _CACHE_BYTES.get(x.device.type, 2**28) // each)

    def _records(self, x: Tensor) -> Iterator[Record]:
        """Records of paths (*, time), a chunk at a time."""
        return map(self._record, chunks(x, self._chunk_size(x)))

    def _evaluate(self, x: Tensor) -> Tensor:
        return torch.cat([record.values for record in self._records(x)]).reshape(*x.shape[:-1], self.dim)

    @torch.no_grad()
    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the force Σ_k w_k ∇Φ_k: (*, time) for paths (*, time) and weights (*, K)."""
        weights = weights.expand(*x.shape[:-1], self.dim)
        pairs = zip(self._records(x), chunks(weights, self._chunk_size(x)), strict=True)
        return torch.cat([record.linearize(weight)[0] for record, weight in pairs]).reshape(x.shape)

    @torch.no_grad()
    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force Σ_k w_k ∇Φ_k, (*, time), and the product with Σ_k w_k H_k."""
        size = self._chunk_size(x)
        pairs = zip(self._records(x), chunks(weights.expand(*x.shape[:-1], self.dim), size), strict=True)
        forces, multiply = zip(*(record.linearize(weight) for record, weight in pairs), strict=True)

        @torch.no_grad()
        def product(vectors: Tensor) -> Tensor:
            pairs = zip(multiply, chunks(vectors, size), strict=True)
            return torch.cat([times(chunk) for times, chunk in pairs]).reshape(x.shape)

        return torch.cat(forces).reshape(x.shape), product

    @torch.no_grad()
    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ: (*, K, time) for paths (*, time)."""
        rows = [record.rows() for record in self._records(x)]
        return torch.cat(rows).reshape(*x.shape[:-1], self.dim, self.length)


def chunks(x: Tensor, size: int) -> tuple[Tensor, ...]:
    """Cut (*, m) into pieces (n, m) with n of at most `size`."""
    return x.reshape(-1, x.shape[-1]).split(size)
