"""Sums over the paths of an ensemble, all of which are in this process or are shared out over several."""

from __future__ import annotations

from torch import Tensor

__all__ = ["LOCAL", "Communicator"]


class Communicator:
    """Who knows the other paths of an ensemble: nobody else, for all of them are in this process.

    Where they are shared out over several, a class derived from it takes its place. All processes have to call its
    methods in the same order.
    """

    count: int = 1
    """Processes that the paths are shared out over."""

    first: int = 0
    """Place of this process's first path among all."""

    def size(self, members: int) -> int:
        """Paths of each ensemble, of which `members` are in this process."""
        return members

    def mean(self, values: Tensor) -> Tensor:
        """Mean over each ensemble: (E, members, K) to (E, 1, K)."""
        return values.mean(1, keepdim=True)

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all processes, element by element."""
        return values


LOCAL = Communicator()
"""The communicator of ensembles that are in this process as a whole."""
