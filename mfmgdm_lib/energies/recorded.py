"""Energies whose derivatives, written by hand, share what was calculated for the values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.energies.base import Derivatives, Energy

__all__ = ["Record", "RecordedEnergy", "chunks"]

_CACHE_BYTES = {"cpu": 2**22, "cuda": 2**28}
"""Size of one set of signals, such as a second layer, that is worked on at once: what stays near the processor."""

_KEPT_BYTES = {"cpu": 2**27, "cuda": 2**32}
"""Size of the records, about, that are kept from values to derivatives; those of further paths are made again."""


class Record(ABC):
    """An energy at n paths (n, time), and what was calculated on the way there."""

    @property
    @abstractmethod
    def values(self) -> Tensor:
        """Φ, (n, K), differentiable by autograd."""

    @abstractmethod
    def linearize(self, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The force J_Φᵀw, (n, time), for weights (n, K), and the product of vectors (n, time) with Σ_k w_k H_k."""

    def force(self, weights: Tensor) -> Tensor:
        """The force alone, once: `linearize` may keep what takes memory."""
        return self.linearize(weights)[0]

    @abstractmethod
    def pushforward(self, vectors: Tensor) -> Tensor:
        """The product J_Φ v, (n, K), for vectors (n, time)."""

    def rows(self) -> Tensor:
        """J_Φ, (n, K, time): a force for each energy, unless most of a force is idle in each."""
        values = self.values
        units = torch.eye(values.shape[1], dtype=values.dtype, device=values.device)
        return torch.stack([self.linearize(unit.expand(len(values), -1))[0] for unit in units], dim=1)


@checked
class RecordedEnergy(Energy):
    """An energy whose derivatives, written by hand, share what was computed for the values.

    To add one, write `_record` and `_signals`. What it is made for is one length of path, or one shape; records see
    paths laid out flat, (n, d).
    """

    @property
    @abstractmethod
    def _signals(self) -> int:
        """How many signals as long as a path a record makes of each, at its widest."""

    @property
    def _kept_signals(self) -> int:
        """How many signals as long as a path a record keeps of each, about: a layer, and its moduli or the like."""
        return 2 * self._signals

    @abstractmethod
    def _record(self, x: Tensor) -> Record:
        """Evaluate paths (n, d), so that autograd and `torch.func` can follow."""

    def _leading(self, x: Tensor) -> torch.Size:
        """The leading axes of paths (*, *event_shape)."""
        return x.shape[: x.ndim - self.event_ndim]

    def _chunk_size(self, x: Tensor) -> int:
        return max(1, _CACHE_BYTES.get(x.device.type, 2**28) // max(1, self._signals * self._path_bytes(x)))

    def _path_bytes(self, x: Tensor) -> int:
        return x.shape[x.ndim - self.event_ndim :].numel() * x.element_size()

    def _chunks(self, x: Tensor) -> tuple[Tensor, ...]:
        """Paths (*, *event_shape) laid out flat, (n, d) with n of at most the size of a chunk."""
        if not x.numel():
            raise ValueError(f"x has shape {tuple(x.shape)}; expected at least one path. Pass one or more.")
        return chunks(x.flatten(-self.event_ndim), self._chunk_size(x))

    def _records(self, x: Tensor) -> Iterator[Record]:
        """Records of paths (*, time), a chunk at a time."""
        return map(self._record, self._chunks(x))

    def _evaluate(self, x: Tensor) -> Tensor:
        return self._values(self._records(x), x)

    def _values(self, records: Iterable[Record], x: Tensor) -> Tensor:
        return torch.cat([record.values for record in records]).reshape(*self._leading(x), self.dim)

    def evaluate(self, x: Tensor) -> tuple[Tensor, Derivatives]:
        """Return Φ, (*, K), on paths x (*, time), and derivatives that use its records again."""
        self._check(x)
        kept: list[Record] = []
        room = _KEPT_BYTES.get(x.device.type, 2**27) // (self._kept_signals * self._path_bytes(x) * self._chunk_size(x))

        def first() -> Iterator[Record]:
            for record in self._records(x):
                if len(kept) < room:
                    kept.append(record)
                yield record

        def again() -> Iterator[Record]:
            yield from kept
            yield from map(self._record, self._chunks(x)[len(kept) :])

        values = self._values(first(), x)
        return values, Derivatives(
            self, x, lambda weights: self._force(again(), x, weights), lambda weights: self._curve(again(), x, weights)
        )

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the force Σ_k w_k ∇Φ_k: (*, time) for paths (*, time) and weights (*, K)."""
        return self._force(self._records(x), x, weights)

    @torch.no_grad()
    def _force(self, records: Iterable[Record], x: Tensor, weights: Tensor) -> Tensor:
        pairs = zip(records, self._weight_chunks(x, weights), strict=True)
        return torch.cat([record.force(weight) for record, weight in pairs]).reshape(x.shape)

    def _weight_chunks(self, x: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
        """Weights (*, K), or fewer axes, of paths (*, time), a chunk at a time."""
        return chunks(weights.expand(*self._leading(x), self.dim), self._chunk_size(x))

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force Σ_k w_k ∇Φ_k, (*, time), and the product with Σ_k w_k H_k."""
        return self._curve(self._records(x), x, weights)

    @torch.no_grad()
    def _curve(
        self, records: Iterable[Record], x: Tensor, weights: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        pairs = zip(records, self._weight_chunks(x, weights), strict=True)
        forces, multiply = zip(*(record.linearize(weight) for record, weight in pairs), strict=True)

        @torch.no_grad()
        def product(vectors: Tensor) -> Tensor:
            pairs = zip(multiply, self._chunks(vectors), strict=True)
            return torch.cat([times(chunk) for times, chunk in pairs]).reshape(x.shape)

        return torch.cat(forces).reshape(x.shape), product

    @torch.no_grad()
    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ: (*, K, time) for paths (*, time)."""
        leading = self._leading(x)
        rows = [record.rows() for record in self._records(x)]
        return torch.cat(rows).reshape(*leading, self.dim, *x.shape[len(leading) :])

    @torch.no_grad()
    def jacobian_products(self, x: Tensor) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        """Return the products with J_Φ and with its transpose, as `Energy.jacobian_products` says."""
        size, records = self._chunk_size(x), list(self._records(x))

        @torch.no_grad()
        def push(vectors: Tensor) -> Tensor:
            pairs = zip(records, self._chunks(vectors), strict=True)
            return torch.cat([record.pushforward(each) for record, each in pairs]).reshape(*self._leading(x), self.dim)

        @torch.no_grad()
        def pull(weights: Tensor) -> Tensor:
            pairs = zip(records, chunks(weights, size), strict=True)
            return torch.cat([record.linearize(each)[0] for record, each in pairs]).reshape(x.shape)

        return push, pull


def chunks(x: Tensor, size: int) -> tuple[Tensor, ...]:
    """Cut (*, m) into pieces (n, m) with n of at most `size`."""
    return x.reshape(-1, x.shape[-1]).split(size)
