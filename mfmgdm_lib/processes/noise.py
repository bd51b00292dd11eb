"""Independent Gaussian and Student t noise, the starts of descents on the real line."""

from __future__ import annotations

import math

import numpy as np
import scipy.special
import torch
from torch import Tensor

from mfmgdm_lib._checks import check_number, check_positive
from mfmgdm_lib.processes.base import SeriesProcess
from mfmgdm_lib.specification import register

__all__ = ["StudentNoise", "WhiteNoise", "check_degrees_of_freedom"]


def check_degrees_of_freedom(value: float, other: str) -> float:
    """Return `value` as a float if Student's t has a finite variance with it; `other` is what else may be taken."""
    if not (value > 2 and math.isfinite(value)):
        raise ValueError(
            f"degrees_of_freedom is {value!r}; expected a finite number above 2, where the variance is finite."
            f" Use more of them, or {other}."
        )
    return float(value)


@register
class WhiteNoise(SeriesProcess):
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
        return length * (0.5 * math.log(2 * math.pi * math.e) + math.log(self.stddev))


@register
class StudentNoise(SeriesProcess):
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
        self._scale = self.stddev * math.sqrt((nu - 2.0) / nu)  # of the t distribution that has this stddev

    def __repr__(self) -> str:
        return f"StudentNoise({self.degrees_of_freedom:g}, mean={self.mean:g}, stddev={self.stddev:g})"

    def _draw(self, rng: np.random.Generator, n: int, length: int) -> np.ndarray:
        return self.mean + self._scale * rng.standard_t(self.degrees_of_freedom, (n, length))

    def _log_prob(self, x: Tensor) -> Tensor:
        nu, scale = self.degrees_of_freedom, self._scale
        constant = -float(scipy.special.betaln(0.5 * nu, 0.5)) - 0.5 * math.log(nu) - math.log(scale)
        squares = ((x - self.mean) / scale).square() / nu
        return constant * x.shape[-1] - 0.5 * (nu + 1.0) * torch.log1p(squares).sum(-1)
