"""Energies of one innovation given those before it: its sizes and signs, times bounded functions of the past."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_finite, check_paths
from mfmgdm_lib.specification import register

__all__ = ["FUNCTIONS", "ConditionalEnergy", "Function", "GivenPast", "size"]

_ROUND = 0.5
"""δ of the size √(ε² + δ²), which is smooth at 0."""


class Function(NamedTuple):
    """A function g of an innovation whose second derivative is bounded, from ε and the size v = √(ε² + ¼)."""

    value: Callable[[Tensor, Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]
    """g′."""
    bend: Callable[[Tensor, Tensor], Tensor]
    """g″."""
    most: float
    """The largest |g″|."""


def size(x: Tensor) -> Tensor:
    """Return √(ε² + ¼) of innovations of any shape."""
    return (x * x).add_(_ROUND**2).sqrt_()


def _signed_bend(x: Tensor, v: Tensor) -> Tensor:
    ratio = x / v
    return (ratio * ratio).mul_(-0.5).add_(1.5).mul_(ratio)


FUNCTIONS: dict[str, Function] = {
    "value": Function(lambda x, v: x, lambda x, v: x.new_ones(()), lambda x, v: x.new_zeros(()), 0.0),
    "size": Function(
        lambda x, v: v, lambda x, v: x / v, lambda x, v: (v * v).mul_(v).reciprocal_().mul_(_ROUND**2), 1.0 / _ROUND
    ),
    "square": Function(lambda x, v: 0.5 * x.square(), lambda x, v: x, lambda x, v: x.new_ones(()), 1.0),
    "signed square": Function(
        lambda x, v: 0.5 * x * v, lambda x, v: v.reciprocal().mul_(-0.5 * _ROUND**2).add_(v), _signed_bend, 1.0
    ),
}
"""The functions of an innovation: ε, the size v = √(ε² + ¼), ε²/2, and ε v / 2, a square that keeps its sign."""


@checked
class ConditionalEnergy(ABC):
    r"""K energies of an innovation given those before it, each a function of the one times a function of the others.

    .. math:: \Phi_k(\varepsilon_t \mid \varepsilon_{t-1}, \dots) = g_{a(k)}(\varepsilon_t) \,
              f_k(\varepsilon_{t-m}, \dots, \varepsilon_{t-1})

    The g are some of `FUNCTIONS`, whose second derivatives are bounded; the f are bounded. A descent by ε_t alone, with
    its past held fixed, is then one-to-one for every past, if its steps are short enough.

    To add one, write `labels`, `memory`, `functions`, `bounds` and `features`, and register it for files of flows.
    """

    labels: tuple[str, ...]
    """Names of the K energies."""

    memory: int
    """m, the innovations that the f look back at."""

    functions: tuple[str, ...]
    """For each energy the name of its g in `FUNCTIONS`."""

    bounds: tuple[float, ...]
    """For each energy the largest |f|."""

    @abstractmethod
    def features(self, past: Tensor) -> Tensor:
        """The f of the last m innovations: (*, K) for a past (*, m), the latest of which comes last."""

    @property
    def dim(self) -> int:
        """K, the number of energies."""
        return len(self.labels)

    def along(self, innovations: Tensor) -> Tensor:
        """Return the f at each point of series of innovations, which count as 0 before: (*, T, K) for (*, T)."""
        check_paths("innovations", innovations)
        padded = torch.nn.functional.pad(innovations, (self.memory, -1))
        return self.features(padded.unfold(-1, self.memory, 1))

    def __call__(self, innovations: Tensor) -> Tensor:
        """Return the energies at each point of series of innovations, given those before.

        Args:
            innovations: (*, T), float32 or float64.

        Returns:
            A tensor (*, T, K).

        Raises:
            TypeError, ValueError: something else than a tensor of finite numbers.
        """
        check_finite("innovations", check_paths("innovations", innovations))
        sizes = size(innovations)
        values = [FUNCTIONS[name].value(innovations, sizes) for name in self.functions]
        return torch.stack(values, -1) * self.along(innovations)


@checked
@register
class GivenPast(ConditionalEnergy):
    r"""Size, memory of size, and leverage of an innovation, each over bands of lags.

    With the size :math:`v = \sqrt{\varepsilon^2 + 1/4}`, which is smooth and whose mean large values do not carry, the
    energies are v; v times the mean of v − 1 over each band of lags (memory: whether wild days follow wild ones more
    than the base model has it); v times the mean of ε over each band (leverage: whether wild days follow falls); and
    with `shape` also ε, ε²/2 and ε v / 2, which see the mean, the variance and the skew. Innovations of the past are
    cut off at ±4.

    Args:
        lags: the last lag of each band, ascending: (1, 5, 20) are the lags 1, 2 to 5 and 6 to 20.
        leverage: whether there are the products with the mean of ε.
        shape: whether there are ε, ε²/2 and ε v / 2.

    Raises:
        ValueError: lags that are none or do not ascend.

    Example:
        >>> energy = GivenPast(lags=(1, 5))
        >>> energy.labels
        ('size', 'memory, lag 1', 'memory, lags 2 to 5', 'leverage, lag 1', 'leverage, lags 2 to 5')
        >>> energy(torch.tensor([[0.0, -1.2, 1.2]], dtype=torch.float64))[0, -1].numpy().round(3).tolist()
        [1.3, 0.39, -0.65, -1.56, 0.0]
    """

    def __init__(self, lags: tuple[int, ...] = (1, 5, 20), *, leverage: bool = True, shape: bool = False) -> None:
        if (
            not isinstance(lags, tuple)
            or not lags
            or any(later <= lag for lag, later in zip((0, *lags), lags, strict=False))
        ):
            raise ValueError(f"lags is {lags!r}; expected ascending numbers from 1 on. Use such as (1, 5, 20).")
        self.lags, self.leverage, self.shape = tuple(int(lag) for lag in lags), leverage, shape
        self.memory = self.lags[-1]
        self._bands = [(first + 1, last) for first, last in zip((0, *self.lags), self.lags, strict=False)]
        names = ["memory", "leverage"][: 1 + leverage]
        self.labels = ("size", *(f"{name}, {_spelled(*band)}" for name in names for band in self._bands))
        self.functions = ("size",) * len(self.labels)
        far = math.hypot(_FARTHEST, _ROUND)
        self.bounds = (1.0, *[far - 1.0] * len(self._bands), *[_FARTHEST] * (leverage * len(self._bands)))
        if shape:
            self.labels += ("mean", "variance", "skew")
            self.functions += ("value", "square", "signed square")
            self.bounds += (1.0,) * 3

    def __repr__(self) -> str:
        return f"GivenPast({self.lags}, leverage={self.leverage}, shape={self.shape})"

    def features(self, past: Tensor) -> Tensor:
        """The f of the last m innovations: (*, K) for a past (*, m)."""
        check_paths("past", past, minimum_length=self.memory)
        values = past.clamp(-_FARTHEST, _FARTHEST)
        kinds = [size(values) - 1.0, values][: 1 + self.leverage]
        latest = [kind.flip(-1) for kind in kinds]
        means = [kind[..., first - 1 : last].mean(-1) for kind in latest for first, last in self._bands]
        one = torch.ones_like(past[..., 0])
        return torch.stack([one, *means, *[one] * (3 * self.shape)], -1)


_FARTHEST = 4.0
"""What innovations of the past are cut off at, standard deviations."""


def _spelled(first: int, last: int) -> str:
    return f"lag {last}" if first == last else f"lags {first} to {last}"
