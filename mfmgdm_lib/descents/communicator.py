"""Sums over the paths of an ensemble, all of which are in this process or are shared out over several."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

__all__ = ["LOCAL", "Communicator"]


class Communicator(Protocol):
    """Who knows the other paths of an ensemble. All processes have to call its methods in the same order."""

    @property
    def count(self) -> int:
        """Processes that the paths are shared out over."""

    @property
    def first(self) -> int:
        """Place of this process's first path among all."""

    def size(self, members: int) -> int:
        """Paths of each ensemble, of which `members` are in this process."""

    def mean(self, values: Tensor) -> Tensor:
        """Mean over each ensemble: (E, members, K) to (E, 1, K)."""

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all processes, element by element."""


class _Local:
    """All paths are in this process."""

    count, first = 1, 0

    def size(self, members: int) -> int:
        return members

    def mean(self, values: Tensor) -> Tensor:
        return values.mean(1, keepdim=True)

    def sum(self, values: Tensor) -> Tensor:
        return values


LOCAL: Communicator = _Local()
"""The communicator of ensembles that are in this process as a whole."""
