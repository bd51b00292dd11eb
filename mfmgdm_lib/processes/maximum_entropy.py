"""Maximum-entropy laws for a given mean, standard deviation and support."""

from __future__ import annotations

import math

import numpy as np
import scipy
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_number, check_positive, check_positive_int
from mfmgdm_lib.processes.base import Process, SeriesProcess
from mfmgdm_lib.processes.noise import Independent, WhiteNoise
from mfmgdm_lib.specification import register
from mfmgdm_lib.support import HALF_LINE, Support, as_support

__all__ = ["Exponential", "TruncatedGaussian", "initial_distribution", "maximum_entropy"]


_RARE = 1.2815515655446004
"""Cut, in standard deviations, above which less than a tenth of a Gaussian is left."""


@register
class Exponential(SeriesProcess):
    """Independent exponential points: the start of Section 5.1 on the half-line where mean and spread are equal.

    Args:
        mean: marginal mean and standard deviation, above 0, in the units of the path.

    Example:
        >>> law = Exponential(2.0)
        >>> law.sample(1, 3, seed=(2, 12345)).shape
        torch.Size([1, 3])
        >>> round(law.entropy(10), 4)
        16.9315
    """

    support = HALF_LINE

    def __init__(self, mean: float) -> None:
        super().__init__(check_positive("mean", mean), float(mean))

    def __repr__(self) -> str:
        return f"Exponential(mean={self.mean:g})"

    def _draw(self, rng: np.random.Generator, n: int, length: int) -> np.ndarray:
        return rng.exponential(self.mean, (n, length))

    def _log_prob(self, x: Tensor) -> Tensor:
        log_density = -x.sum(-1) / self.mean - x.shape[-1] * math.log(self.mean)
        return torch.where((x < 0).any(-1), -torch.inf, log_density)

    def entropy(self, length: int) -> float:
        """Differential entropy, in nats, of a path of `length` points."""
        return check_positive_int("length", length) * (1.0 + math.log(self.mean))


@register
class TruncatedGaussian(SeriesProcess):
    """Independent points of a Gaussian cut off below 0: the start of Section 5.1 where the spread is below the mean.

    Draws at or below 0 are made again, all together, until none is left, as in the paper's published runs.

    Args:
        location: mean of the Gaussian before it is cut, in the units of the path; it may be negative.
        scale: standard deviation of the Gaussian before it is cut, above 0.

    Example:
        >>> law = TruncatedGaussian.from_moments(mean=1.5, stddev=1.0)
        >>> round(law.mean, 12), round(law.stddev, 12)
        (1.5, 1.0)
        >>> law
        TruncatedGaussian(location=0.916139, scale=1.3696)
    """

    support = HALF_LINE
    draws_path_by_path = False

    def __init__(self, location: float, scale: float) -> None:
        self.location, self.scale = check_number("location", location), check_positive("scale", scale)
        self._cut = -self.location / self.scale
        self._hazard, self._excess, variance = _standard_moments(self._cut)
        super().__init__(self.scale * self._excess, self.scale * math.sqrt(variance))

    @classmethod
    def from_moments(cls, mean: float, stddev: float) -> TruncatedGaussian:
        """Return the law whose own mean and standard deviation, those after the cut, are the ones given.

        Args:
            mean: marginal mean, above 0.
            stddev: marginal standard deviation, above 0 and below the mean.

        Raises:
            ValueError: a standard deviation that is not below the mean.
        """
        ratio = check_positive("stddev", stddev) / check_positive("mean", mean)
        if ratio >= 1.0:
            raise ValueError(
                f"stddev is {stddev!r} with mean {mean!r}; expected a stddev below the mean, as that of every"
                " Gaussian cut off below 0 is. Use Exponential(mean) where they are equal."
            )

        def mismatch(cut: float) -> float:
            _, excess, variance = _standard_moments(cut)
            return math.sqrt(variance) / excess - ratio

        # The ratio grows with the cut, from nearly −1/cut where little is cut off to 1 where nearly all is.
        below, above = -1.0 / ratio - 1.0, 1.0
        while mismatch(above) < 0.0:
            above *= 2.0
        cut = scipy.optimize.brentq(mismatch, below, above, xtol=1e-15)
        scale = mean / _standard_moments(cut)[1]
        return cls(-cut * scale, scale)

    def __repr__(self) -> str:
        return f"TruncatedGaussian(location={self.location:g}, scale={self.scale:g})"

    def _draw(self, rng: np.random.Generator, n: int, length: int) -> np.ndarray:
        points = self._propose(rng, n * length)
        while (refused := points <= 0.0).any():
            points[refused] = self._propose(rng, int(refused.sum()))
        return points.reshape(n, length)

    def _propose(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Draw points whose law, given that they are above 0, is the one wanted."""
        if self._cut < _RARE:
            return rng.standard_normal(size) * self.scale + self.location
        # So little of the Gaussian is left that most draws would be lost. The tail is an exponential of rate `cut`
        # thinned by exp(−t²/2); a draw that is not kept is set to 0 (Robert, 1995).
        tail = rng.standard_exponential(size) / self._cut
        return np.where(rng.standard_exponential(size) > 0.5 * tail**2, self.scale * tail, 0.0)

    def _log_prob(self, x: Tensor) -> Tensor:
        if self._cut > 0:  # (t + cut)² − cut², where their difference would be lost
            exponents = (0.5 * x / self.scale + self._cut) * x / self.scale
        else:
            exponents = 0.5 * ((x - self.location) / self.scale).square()
        log_density = -exponents.sum(-1) - x.shape[-1] * self._log_normaliser
        return torch.where((x < 0).any(-1), -torch.inf, log_density)

    def entropy(self, length: int) -> float:
        """Differential entropy, in nats, of a path of `length` points."""
        check_positive_int("length", length)
        # With t the point over the scale, E[t] is the excess, and by parts E[t²] = 1 − cut E[t].
        exponent = 0.5 * (1.0 + self._cut * self._excess)
        if self._cut <= 0:
            exponent += 0.5 * self._cut**2
        return length * (exponent + self._log_normaliser)

    @property
    def _log_normaliser(self) -> float:
        """Logarithm of the integral of exp(−exponent) over the half-line, for the exponents of `log_prob`."""
        if self._cut > 0:
            return math.log(self.scale / self._hazard)
        mass = float(scipy.special.log_ndtr(-self._cut))
        return math.log(self.scale * math.sqrt(2.0 * math.pi)) + mass


def _standard_moments(cut: float) -> tuple[float, float, float]:
    """Hazard rate at `cut` of a standard normal Z, and mean and variance of Z − cut given that Z is above it."""
    hazard = math.sqrt(2.0 / math.pi) / float(scipy.special.erfcx(cut / math.sqrt(2.0)))
    if cut < 3.0:
        excess = hazard - cut
        return hazard, excess, 1.0 - hazard * excess
    # Hazard and cut are close here, so their difference is taken from the continued fraction of Mills' ratio,
    # 1 / (cut + 2 / (cut + 3 / (cut + …))) (DLMF 7.9.3).
    rest = 0.0
    for k in range(60, 1, -1):
        rest = k / (cut + rest)
    excess = 1.0 / (cut + rest)
    return cut + excess, excess, excess * (rest - excess)


@checked
def initial_distribution(process: Process) -> Process:
    """Return the maximum-entropy law with the mean, standard deviation and support of `process` (Section 5.1).

    Args:
        process: a law on the whole real line, or on all numbers from 0 on.

    Returns:
        Independent points with the process's marginal mean and standard deviation. On the real line they are
        Gaussian; from 0 on they are exponential where the two are equal, and of a Gaussian cut off below 0 where the
        standard deviation is the smaller one.

    Raises:
        ValueError: another support, or one from 0 on and a standard deviation above the mean: no law has the largest
            entropy then (Dowson and Wragg, 1973).

    Example:
        >>> from mfmgdm_lib.processes import AR, CIR
        >>> initial_distribution(AR([0.5], innovation_std=2.0))
        WhiteNoise(mean=0, stddev=2.3094)
        >>> initial_distribution(CIR(0.5, 1.0, 1.0))
        Exponential(mean=1)
    """
    law = maximum_entropy(process.mean, process.stddev, as_support(process.support), name=repr(process))
    return law if len(process.event_shape) == 1 else Independent(law, process.event_shape)


def maximum_entropy(mean: float, stddev: float, support: Support, *, name: str) -> Process:
    """Return the maximum-entropy law with these moments; `name` says in messages whose they are."""
    if support.whole_line:
        return WhiteNoise(mean, stddev)
    if support != HALF_LINE:
        raise ValueError(
            f"{name} has support {support!r}; expected the real line or all numbers from 0 on."
            " Build the starting law yourself and pass it where an initial distribution is asked for."
        )
    if math.isclose(mean, stddev, rel_tol=1e-9):
        return Exponential(mean)
    if stddev > mean:
        raise ValueError(
            f"{name} has stddev {stddev:g} and mean {mean:g}; expected a stddev of at most the mean, as no law on"
            " the numbers from 0 on has the largest entropy otherwise. Build the starting law yourself, such as"
            f" Exponential({mean:g}), and pass it where an initial distribution is asked for."
        )
    return TruncatedGaussian.from_moments(mean, stddev)
