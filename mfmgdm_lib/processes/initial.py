"""Where a descent starts: the maximum-entropy law for a process's mean, spread and support."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import constraints

from mfmgdm_lib._checks import check_paths, check_positive, check_positive_int
from mfmgdm_lib.processes.base import Process, Seed, generator

__all__ = ["WhiteNoise", "initial_distribution"]


class WhiteNoise(Process):
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
        if not math.isfinite(mean):
            raise ValueError(f"mean is {mean!r}; expected a finite number. Use one such as 0.0.")
        self._mean, self._stddev = float(mean), check_positive("stddev", stddev)

    def __repr__(self) -> str:
        return f"WhiteNoise(mean={self.mean:g}, stddev={self.stddev:g})"

    @property
    def mean(self) -> float:
        """Marginal mean."""
        return self._mean

    @property
    def stddev(self) -> float:
        """Marginal standard deviation."""
        return self._stddev

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


def initial_distribution(process: Process) -> WhiteNoise:
    """Return the maximum-entropy law with the mean and standard deviation of `process` (Section 5.1).

    Args:
        process: a law on the whole real line.

    Returns:
        Gaussian white noise with the process's marginal mean and standard deviation.

    Raises:
        ValueError: the support of `process` is not the real line.

    Example:
        >>> from mfmgdm_lib.processes import AR
        >>> initial_distribution(AR([0.5], innovation_std=2.0))
        WhiteNoise(mean=0, stddev=2.3094)
    """
    if process.support is not constraints.real:
        raise ValueError(
            f"{process!r} has support {process.support}; expected the real line."
            " Build the starting law yourself and pass it where an initial distribution is asked for."
        )
    return WhiteNoise(process.mean, process.stddev)
