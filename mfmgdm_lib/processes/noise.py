"""Independent Gaussian and Student t noise, the starts of descents on the real line."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import (
    as_shape,
    check_number,
    check_paths,
    check_positive,
    check_positive_int,
    common_shape,
    spelled_shape,
)
from mfmgdm_lib.processes.base import DerivedProcess, InnovationProcess, Process, Seed, Size
from mfmgdm_lib.processes.innovations import StudentInnovations, check_degrees_of_freedom
from mfmgdm_lib.specification import register

__all__ = ["Independent", "StudentNoise", "WhiteNoise"]


@checked
@register
class Independent(DerivedProcess):
    """The points of a law of independent draws, arranged as channels (C, T) or a field (H, W).

    Args:
        law: what a point is drawn from, such as `WhiteNoise`, `Exponential` or `TruncatedGaussian`.
        event_shape: the shape of a path, with None for an axis of any size.

    Example:
        >>> law = Independent(WhiteNoise(stddev=2.0), event_shape=(2, None))
        >>> x = law.sample(5, (2, 64), seed=0)
        >>> x.shape, law.log_prob(x).shape
        (torch.Size([5, 2, 64]), torch.Size([5]))
    """

    def __init__(self, law: Process, event_shape: Sequence[int | None]) -> None:
        super().__init__(law)
        self.event_shape = tuple(event_shape)

    def __repr__(self) -> str:
        return f"Independent({self.law!r}, event_shape={self.event_shape})"

    def sample(self, n: int, length: Size, seed: Seed) -> Tensor:
        """Draw `n` independent paths of a shape: a float64 tensor (n, *shape)."""
        shape = as_shape("length", length)
        if common_shape(shape, self.event_shape) is None:
            raise ValueError(
                f"length is {length!r}; expected the shape of a path, ({spelled_shape(self.event_shape)}). Pass it as a"
                " tuple."
            )
        return self.law.sample(n, math.prod(shape), seed).reshape(-1, *shape)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density, in nats, of paths (*, *event_shape): a tensor (*,)."""
        check_paths("x", x)
        if common_shape(self.event_shape, x.shape[-len(self.event_shape) :]) is None:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (*, {spelled_shape(self.event_shape)}). Use paths of that"
                " shape."
            )
        return self.law.log_prob(x.flatten(-len(self.event_shape)))


@register
class WhiteNoise(InnovationProcess):
    """Independent Gaussian points: the start q_0 of Sections 1 and 3.

    Args:
        mean: marginal mean, in the units of the path.
        stddev: marginal standard deviation, above 0.

    Example:
        >>> noise = WhiteNoise()
        >>> noise.sample(1, 3, seed=(2, 12345)).shape
        torch.Size([1, 3])
        >>> round(noise.entropy(1024), 2)
        1452.99
    """

    def __init__(self, mean: float = 0.0, stddev: float = 1.0) -> None:
        super().__init__(check_number("mean", mean), check_positive("stddev", stddev))

    def __repr__(self) -> str:
        return f"WhiteNoise(mean={self.mean:g}, stddev={self.stddev:g})"

    def _draw(self, rng: np.random.Generator, n: int, length: int) -> np.ndarray:
        return self.mean + self.stddev * rng.standard_normal((n, length))

    def _log_prob(self, x: Tensor) -> Tensor:
        standardised = (x - self.mean) / self.stddev
        return -0.5 * torch.linalg.vecdot(standardised, standardised) - x.shape[-1] * math.log(
            self.stddev * math.sqrt(2 * math.pi)
        )

    def entropy(self, length: int) -> float:
        """Differential entropy, in nats, of a path of `length` points."""
        check_positive_int("length", length)
        return length * (0.5 * math.log(2 * math.pi * math.e) + math.log(self.stddev))

    def normal_scores(self, x: Tensor) -> Tensor:
        """Return paths (*, length) in standard deviations from the mean."""
        return (check_paths("x", x) - self.mean) / self.stddev

    def from_normal_scores(self, scores: Tensor) -> Tensor:
        """Return the paths, (n, length), with these deviations."""
        return self.mean + self.stddev * check_paths("scores", scores)


@checked
@register
class StudentNoise(InnovationProcess):
    """Independent points from Student's t distribution, shifted and scaled.

    Args:
        degrees_of_freedom: ν, above 2, where the variance is finite.
        mean: marginal mean, in the units of the path.
        stddev: marginal standard deviation, above 0; not the scale of the t distribution, which is smaller.

    Raises:
        ValueError: arguments out of range.

    Example:
        >>> noise = StudentNoise(5.0)
        >>> noise.sample(2, 3, seed=0).shape, noise.stddev
        (torch.Size([2, 3]), 1.0)
    """

    def __init__(self, degrees_of_freedom: float, mean: float = 0.0, stddev: float = 1.0) -> None:
        self.degrees_of_freedom = check_degrees_of_freedom(degrees_of_freedom, "WhiteNoise")
        super().__init__(check_number("mean", mean), check_positive("stddev", stddev))
        nu = self.degrees_of_freedom
        self._law = StudentInnovations(nu)
        self._scale = self.stddev * math.sqrt((nu - 2.0) / nu)  # of the t distribution that has this stddev

    def __repr__(self) -> str:
        return f"StudentNoise({self.degrees_of_freedom:g}, mean={self.mean:g}, stddev={self.stddev:g})"

    def _draw(self, rng: np.random.Generator, n: int, length: int) -> np.ndarray:
        return self.mean + self._scale * rng.standard_t(self.degrees_of_freedom, (n, length))

    def _log_prob(self, x: Tensor) -> Tensor:
        deviations = (x - self.mean) / self.stddev
        return self._law.log_density(deviations).sum(-1) - x.shape[-1] * math.log(self.stddev)

    def normal_scores(self, x: Tensor) -> Tensor:
        """Return Φ⁻¹ of the probability of a value below each point of paths (*, length)."""
        return self._law.scores((check_paths("x", x) - self.mean) / self.stddev)

    def from_normal_scores(self, scores: Tensor) -> Tensor:
        """Return the paths, (n, length), with these scores."""
        return self.mean + self.stddev * self._law.from_scores(scores)
