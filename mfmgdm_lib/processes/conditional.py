"""The law of the next values of a series given those before: densities, probabilities, quantiles and paths."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mfmgdm_lib._checks import as_series, check_finite, check_paths
from mfmgdm_lib.processes.base import Seed

__all__ = ["ConditionalLaw", "check_levels"]


class ConditionalLaw(ABC):
    r"""A law of real series in discrete time, by that of each point given those before it.

    .. math:: \log q(x_1, \dots, x_T) = \sum_t \log q(x_t \mid x_1, \dots, x_{t-1})
    """

    minimum_past: int = 1
    """Points that a series has at least, so that paths can go on from it."""

    @abstractmethod
    def log_densities(self, x: Tensor) -> Tensor:
        """Log-density, in nats, of each point given those before: (*, T) for series (*, T)."""

    @abstractmethod
    def probabilities(self, x: Tensor) -> Tensor:
        """Probability of a value below each point, given those before: (*, T) for series (*, T).

        They are independent and uniform between 0 and 1 for series of this law (Rosenblatt, 1952).
        """

    @abstractmethod
    def quantiles(self, levels: Sequence[float] | Tensor, x: Tensor) -> Tensor:
        """Quantiles of each point given those before: (*, T, L) for levels (L,) and series (*, T)."""

    @abstractmethod
    def sample(self, n: int, horizon: int, *, given: Any, seed: Seed) -> Tensor:
        """Draw `n` independent paths that go on from one series (T,): a float64 tensor (n, horizon)."""

    def log_prob(self, x: Tensor, *, given: Any) -> Tensor:
        """Return the log-density of paths that go on from a series.

        Args:
            x: paths (*, h), float32 or float64.
            given: the one series (T,) that they go on from, of at least `minimum_past` points.

        Returns:
            A tensor (*,) in nats, of the dtype and on the device of `x`.

        Raises:
            TypeError: something else than a tensor of paths, or than a series of real numbers.
            ValueError: a series of another shape or with too few points, or numbers that are not finite.
        """
        check_finite("x", check_paths("x", x))
        past = self._past(given).to(x)
        return self.log_densities(torch.cat([past.expand(*x.shape[:-1], -1), x], -1))[..., len(past) :].sum(-1)

    def _past(self, given: Any) -> Tensor:
        """The series that paths go on from, checked: (T,) float64 on the CPU."""
        past = as_series("given", given, minimum_length=self.minimum_past, may_be_constant=True)
        return past.detach().double().cpu()


def check_levels(levels: Sequence[float] | Tensor) -> Tensor:
    """Return the levels of quantiles as a float64 tensor (L,) if they are between 0 and 1.

    Raises:
        ValueError: another shape, or a level at which a quantile may be infinite.
    """
    found = torch.as_tensor(levels, dtype=torch.float64)
    if found.ndim != 1 or not ((found > 0) & (found < 1)).all():
        raise ValueError(
            f"levels is {levels!r}; expected a sequence of probabilities between 0 and 1, without both ends. Use such"
            " as [0.01, 0.5, 0.99]."
        )
    return found
