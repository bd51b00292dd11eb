"""The base classes of processes, random generators, and draws in chunks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import constraints

from mfmgdm_lib._checks import check_finite, check_not_nan, check_paths, check_positive_int, check_total
from mfmgdm_lib._progress import progress
from mfmgdm_lib.support import REAL_LINE

__all__ = [
    "DerivedProcess",
    "InnovationProcess",
    "Process",
    "Seed",
    "SeriesProcess",
    "Size",
    "draw_in_chunks",
    "generator",
]

Seed = Any
"""Whatever `numpy.random.default_rng` takes: an int, a sequence of ints, a SeedSequence or a Generator."""


Size = Any
"""Size of a path: the points of a series, or a shape such as (C, T) of channels and (H, W) of a field."""

_CHUNK = 512
"""Paths that are in memory at once while something is averaged over a process."""


class Process(ABC):
    """A stationary law of real-valued paths in discrete time.

    To add one, write `sample`, `log_prob`, `mean` and `stddev`, and list an instance of it in
    `tests/test_contracts.py`, which puts it through the checks that every process has to pass.
    """

    support: constraints.Constraint = REAL_LINE
    """Where the values of a path lie: a `Support`, or a constraint of `torch.distributions` that stands for one."""

    event_shape: tuple[int | None, ...] = (None,)
    """Shape of a path, with None for an axis of any size: a series (T,), channels (C, T) or a field (H, W)."""

    draws_path_by_path: bool = True
    """Whether paths are drawn one after the other, so that chunks from one generator are the same as one draw."""

    @property
    @abstractmethod
    def mean(self) -> float:
        """Marginal mean, in the units of the path."""

    @property
    @abstractmethod
    def stddev(self) -> float:
        """Marginal standard deviation, in the units of the path."""

    @abstractmethod
    def sample(self, n: int, length: Size, seed: Seed) -> Tensor:
        """Draw `n` independent paths: a float64 tensor (n, length); (n, *shape) where `length` is a shape."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density, in nats, of paths x of shape (*, length): a tensor (*,)."""


class DerivedProcess(Process):
    """A process made of another law, whose support and marginal mean and standard deviation it has.

    Args:
        law: that law.
    """

    def __init__(self, law: Process) -> None:
        self.law, self.support, self.draws_path_by_path = law, law.support, law.draws_path_by_path

    @property
    def mean(self) -> float:
        """Marginal mean, that of the law."""
        return self.law.mean

    @property
    def stddev(self) -> float:
        """Marginal standard deviation, that of the law."""
        return self.law.stddev


class SeriesProcess(Process):
    """A process of series, from how an array of them is drawn and from the log-density of checked ones.

    Args:
        mean: marginal mean.
        stddev: marginal standard deviation.
    """

    def __init__(self, mean: float, stddev: float) -> None:
        self._mean, self._stddev = mean, stddev

    @property
    def mean(self) -> float:
        """Marginal mean, in the units of the path."""
        return self._mean

    @property
    def stddev(self) -> float:
        """Marginal standard deviation, in the units of the path."""
        return self._stddev

    def sample(self, n: int, length: int, seed: Seed) -> Tensor:
        """Draw `n` independent paths.

        Args:
            n: number of paths.
            length: number of points in time.
            seed: whatever `numpy.random.default_rng` takes.

        Returns:
            A float64 tensor (n, length).
        """
        n, length = check_positive_int("n", n), check_positive_int("length", length)
        check_total("n and length", n, length)
        return torch.from_numpy(np.ascontiguousarray(self._draw(generator(seed), n, length)))

    @abstractmethod
    def _draw(self, rng: np.random.Generator, n: int, length: int) -> np.ndarray:
        """Draw paths (n, length)."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log-density, in nats; −∞ where a point is off the support.

        Args:
            x: paths (*, length), float32 or float64.

        Returns:
            A tensor (*,) of the dtype and on the device of `x`.
        """
        return check_not_nan(x, self._log_prob(check_finite("x", check_paths("x", x))), "log-density")

    @abstractmethod
    def _log_prob(self, x: Tensor) -> Tensor:
        """Log-density of checked paths (*, length)."""


class InnovationProcess(SeriesProcess):
    """A process that makes each point from one innovation and the points before it, as `GaussianCopula` needs."""

    @abstractmethod
    def normal_scores(self, x: Tensor) -> Tensor:
        """Return Φ⁻¹ of the probability of a value below each point, given those before: (*, length) for such paths.

        They are independent standard Gaussian for paths of this law (Rosenblatt, 1952).
        """

    @abstractmethod
    def from_normal_scores(self, scores: Tensor) -> Tensor:
        """Return the paths with these scores, (n, length) float64 for float64 scores (n, length)."""


def generator(seed: Seed) -> np.random.Generator:
    """Return the NumPy generator that `seed` names; a Generator is passed through and goes on from its state."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"seed is {seed!r}; expected what numpy.random.default_rng takes, such as 0 or (2, 12345). ({error})"
        ) from error


def draw_in_chunks(process: Process, n: int, length: Size, seed: Seed, *, description: str) -> Iterable[Tensor]:
    """Draw the paths that `process.sample` would draw at once, a few at a time where the process allows it.

    A progress bar says how far it has come, under the name `description`.
    """
    rng = generator(seed)

    def chunks() -> Iterator[Tensor]:
        if process.draws_path_by_path:
            for start in range(0, n, _CHUNK):
                yield process.sample(min(_CHUNK, n - start), length, rng)
        else:
            yield from process.sample(n, length, rng).split(_CHUNK)

    return progress(chunks(), total=math.ceil(n / _CHUNK), description=description)
