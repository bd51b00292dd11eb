"""Supports of paths: closed sets that their values lie in, and how a step stays inside them (Appendix B)."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import constraints

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_real
from mfmgdm_lib.errors import Message
from mfmgdm_lib.specification import register

__all__ = ["HALF_LINE", "REAL_LINE", "Interval", "Move", "Support", "as_support", "check_inside"]


class Move(NamedTuple):
    """Where one step leads."""

    paths: Tensor
    """The paths after the step, (N, *event_shape)."""
    moved: Tensor | None
    """Which entries moved, bool, of the shape of the paths; None where all did. The others would have left the support.
    """


@checked
class Support(constraints.Constraint):
    """A closed set of numbers in which every entry of a path lies; models, processes and flows take it as `support`.

    It is a constraint of `torch.distributions` too. To add one, write `contains` and `nearest`, which treat entries one
    by one. `Interval` covers the real line, half-lines and intervals.
    """

    @property
    def whole_line(self) -> bool:
        """Whether every number is inside, so that nothing has to be looked at."""
        return False

    @abstractmethod
    def contains(self, paths: Tensor) -> Tensor:
        """Whether each entry is inside: a bool tensor of the shape of `paths`; False for NaN."""

    @abstractmethod
    def nearest(self, paths: Tensor) -> Tensor:
        """The number inside that is nearest to each entry: a tensor like `paths`."""

    @property
    def description(self) -> str:
        """What is inside, in words, for messages."""
        return f"values in {self!r}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def check(self, value: Tensor) -> Tensor:
        """What `torch.distributions` calls `contains`."""
        return self.contains(value)

    def keep_inside(self, paths: Tensor, proposal: Tensor) -> Move:
        """Keep the value of each entry that the proposal takes out of the support (App. B).

        Args:
            paths: where they stand, inside.
            proposal: where a step would lead, of the same shape.
        """
        if self.whole_line:
            return Move(proposal, None)
        if paths.shape != proposal.shape:
            raise ValueError(
                f"proposal has shape {tuple(proposal.shape)} and paths {tuple(paths.shape)}; expected one shape."
                " Use where each of the paths would go."
            )
        inside = self.contains(proposal)
        if inside.all():
            return Move(proposal, None)
        return Move(torch.where(inside, proposal, paths), inside)


@checked
@register
@dataclass(frozen=True, repr=False)
class Interval(Support):
    """All numbers from `low` to `high`, ends included.

    Args:
        low: the lower end; −inf for none.
        high: the upper end, above `low`; inf for none.

    Raises:
        ValueError: ends in the wrong order, or NaN.

    Example:
        >>> shares = Interval(0.0, 1.0)
        >>> move = shares.keep_inside(torch.tensor([0.5, 0.9]), torch.tensor([0.6, 1.2]))
        >>> move.paths.tolist(), move.moved.tolist()
        ([0.6000000238418579, 0.8999999761581421], [True, False])
        >>> Interval()
        Interval(-inf, inf)
    """

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low!r} and high {self.high!r}; expected low below high. Exchange the two.")

    def __repr__(self) -> str:
        return f"Interval({self.low:g}, {self.high:g})"

    @property
    def whole_line(self) -> bool:
        """Whether there is no end."""
        return self.low == -math.inf and self.high == math.inf

    @property
    def description(self) -> str:
        """What is inside, in words."""
        if self.whole_line:
            return "real numbers"
        if self.high == math.inf:
            return f"values of at least {self.low:g}"
        if self.low == -math.inf:
            return f"values of at most {self.high:g}"
        return f"values from {self.low:g} to {self.high:g}"

    def contains(self, paths: Tensor) -> Tensor:
        """Whether each entry is between the ends."""
        check_real("paths", paths)
        return (paths >= self.low) & (paths <= self.high)

    def nearest(self, paths: Tensor) -> Tensor:
        """Each entry, or the end that it lies beyond."""
        return paths.clamp(self.low, self.high)


REAL_LINE = register(Interval(), "real line")
"""All numbers: `constraints.real`."""

HALF_LINE = register(Interval(0.0), "half-line")
"""All numbers from 0 on: `constraints.nonnegative`."""


def as_support(support: constraints.Constraint) -> Support:
    """Return `support`, or the interval that a constraint of `torch.distributions` stands for.

    Raises:
        ValueError: neither a `Support` nor a closed interval.
    """
    if support is constraints.real:
        return REAL_LINE
    if isinstance(support, (constraints.greater_than_eq, constraints.interval)):
        support = Interval(float(support.lower_bound), float(getattr(support, "upper_bound", math.inf)))
    if isinstance(support, Support):
        return HALF_LINE if support == HALF_LINE else support
    raise ValueError(
        f"support is {support!r}; expected constraints.real or constraints.nonnegative of torch.distributions, a closed"
        " interval such as mm.Interval(0, 1), or a mm.Support of your own. Map the series to one of them first."
    )


def check_inside(name: str, values: Tensor, support: Support, whose: str, mend: str, *, option: str = "") -> None:
    """Refuse values of which some are outside the support of `whose`, with a mend in Python and one in a shell."""
    if not support.contains(values).all():
        farthest = values.flatten()[(values - support.nearest(values)).abs().argmax()]
        said = f"{name} has the value {float(farthest):g}; expected {support.description}, the support of {whose}."
        raise ValueError(Message(said, mend, option=option or mend))
