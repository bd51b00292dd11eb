"""A process without the first points of its paths, in which it still remembers where it began."""

from __future__ import annotations

from typing import Any, NoReturn

from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import as_shape, check_positive_int
from mfmgdm_lib.processes.base import DerivedProcess, Process, Seed, Size
from mfmgdm_lib.specification import register

__all__ = ["BurnIn"]


@checked
@register
class BurnIn(DerivedProcess):
    """The law of later points of a process of series, such as a GARCH whose variance begins at its mean.

    It can be drawn from and has no density: that of the points left is an integral over all that were dropped.

    Args:
        law: a process of series (time,), or of channels (C, time).
        points: how many are dropped from the beginning of each path; the paper's 1000 (Section 5.2).

    Example:
        >>> from mfmgdm_lib.processes.garch import ARGARCH
        >>> law = ARGARCH(0.1, 0.1, 0.1, 0.8)
        >>> bool((BurnIn(law, 10).sample(2, 5, seed=0) == law.sample(2, 15, seed=0)[:, 10:]).all())
        True
    """

    def __init__(self, law: Process, points: int = 1000) -> None:
        super().__init__(law)
        self.points, self.event_shape = check_positive_int("points", points), law.event_shape

    def __repr__(self) -> str:
        return f"BurnIn({self.law!r}, {self.points})"

    def sample(self, n: int, length: Size, seed: Seed) -> Tensor:
        """Draw `n` independent paths (n, length), or (n, *shape) where `length` is one: the ends of longer ones."""
        shape = as_shape("length", length)
        longer = (*shape[:-1], self.points + shape[-1])
        size = longer if len(shape) > 1 else longer[0]
        return self.law.sample(n, size, seed)[..., self.points :].contiguous()

    def log_prob(self, x: Any) -> NoReturn:
        """Not known.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            f"{self!r} has no density, as its first {self.points} points are unknown; expected a law that has one."
            f" Start from {self.law!r} for a density."
        )
