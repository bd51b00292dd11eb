"""Independent Gaussian and Student t noise, the starts of descents on the real line."""

from __future__ import annotations

import math

import scipy.special
import torch
from torch import Tensor

from mfmgdm_lib._checks import check_number, check_paths, check_positive, check_positive_int
from mfmgdm_lib.processes.base import Process, Seed, generator
from mfmgdm_lib.specification import register

__all__ = ["StudentNoise", "WhiteNoise"]


class _Noise(Process):
    """Independent points with a mean and a standard deviation that are given."""

    def __init__(self, mean: float = 0.0, stddev: float = 1.0) -> None:
        self._mean, self._stddev = check_number("mean", mean), check_positive("stddev", stddev)

    @property
    def mean(self) -> float:
        """Marginal mean."""
        return self._mean

    @property
    def stddev(self) -> float:
        """Marginal standard deviation."""
        return self._stddev


@register
class WhiteNoise(_Noise):
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

    def __repr__(self) -> str:
        return f"WhiteNoise(mean={self.mean:g}, stddev={self.stddev:g})"

    def sample(self, n: int, length: int, seed: Seed) -> Tensor:
        """Draw `n` independent paths: a float64 tensor (n, length)."""
        n, length = check_positive_int("n", n), check_positive_int("length", length)
        return torch.from_numpy(self.mean + self.stddev * generator(seed).standard_normal((n, length)))

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density, in nats, of paths (*, length): a tensor (*,)."""
        check_paths("x", x)
        standardised = (x - self.mean) / self.stddev
        return -0.5 * torch.linalg.vecdot(standardised, standardised) - x.shape[-1] * math.log(
            self.stddev * math.sqrt(2 * math.pi)
        )

    def entropy(self, length: int) -> float:
        """Differential entropy, in nats, of a path of `length` points."""
        return length * (0.5 * math.log(2 * math.pi * math.e) + math.log(self.stddev))


@register
class StudentNoise(_Noise):
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
        if not (degrees_of_freedom > 2 and math.isfinite(degrees_of_freedom)):
            raise ValueError(
                f"degrees_of_freedom is {degrees_of_freedom!r}; expected a finite number above 2, where the variance"
                " is finite. Use more of them, or WhiteNoise."
            )
        super().__init__(mean, stddev)
        self.degrees_of_freedom = float(degrees_of_freedom)

    def __repr__(self) -> str:
        return f"StudentNoise({self.degrees_of_freedom:g}, mean={self.mean:g}, stddev={self.stddev:g})"

    @property
    def _scale(self) -> float:
        """Scale of the t distribution that has this standard deviation."""
        return self._stddev * math.sqrt((self.degrees_of_freedom - 2.0) / self.degrees_of_freedom)

    def sample(self, n: int, length: int, seed: Seed) -> Tensor:
        """Draw `n` independent paths: a float64 tensor (n, length)."""
        n, length = check_positive_int("n", n), check_positive_int("length", length)
        noise = generator(seed).standard_t(self.degrees_of_freedom, (n, length))
        return torch.from_numpy(self._mean + self._scale * noise)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density, in nats, of paths (*, length): a tensor (*,)."""
        check_paths("x", x)
        nu, scale = self.degrees_of_freedom, self._scale
        constant = -float(scipy.special.betaln(0.5 * nu, 0.5)) - 0.5 * math.log(nu) - math.log(scale)
        squares = ((x - self._mean) / scale).square() / nu
        return constant * x.shape[-1] - 0.5 * (nu + 1.0) * torch.log1p(squares).sum(-1)
