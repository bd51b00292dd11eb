"""Laws of mean 0 and variance 1 that the innovations of a GARCH have: Gaussian, Student t and Hansen's skewed t."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy
import torch
from torch import Tensor

__all__ = [
    "GaussianInnovations",
    "InnovationLaw",
    "SkewedStudentInnovations",
    "StudentInnovations",
    "check_degrees_of_freedom",
    "innovation_law",
]


def check_degrees_of_freedom(value: float, other: str) -> float:
    """Return `value` as a float if Student's t has a finite variance with it; `other` is what else may be taken."""
    if not isinstance(value, (int, float, np.number)) or isinstance(value, bool) or not 2 < value < math.inf:
        raise ValueError(
            f"degrees_of_freedom is {value!r}; expected a finite number above 2, where the variance is finite."
            f" Use more of them, or {other}."
        )
    return float(value)


class InnovationLaw(ABC):
    """A continuous law of mean 0 and variance 1, of the ε in x = mean + scale · ε."""

    @abstractmethod
    def log_density(self, z: Tensor) -> Tensor:
        """Log-density, in nats, at numbers of any shape: a tensor like `z`, which autograd follows."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Draw paths (n, length), those of a path after those of the one before, whatever number of them follows."""

    @property
    @abstractmethod
    def semivariance(self) -> float:
        """E[ε² 1(ε < 0)], the part of the variance that falls have: 1/2 for a symmetric law."""

    @abstractmethod
    def _tails(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities of a value below and of one above, the smaller of which has all its digits."""

    @abstractmethod
    def _quantiles(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """What `_tails` takes to these probabilities, which add up to 1."""

    def probabilities(self, z: Tensor, *, upper: bool = False) -> Tensor:
        """Return the probability of a value below each z, or above it; without a gradient.

        Args:
            z: numbers of any shape.
            upper: whether to return that of a value above, which has digits where that below rounds to 1.

        Returns:
            A tensor like `z`.

        Example:
            >>> law, z = StudentInnovations(5.0), torch.tensor([1e6], dtype=torch.float64)
            >>> float(law.probabilities(z)), f"{float(law.probabilities(z, upper=True)):.3g}"
            (1.0, '2.65e-30')
        """
        return torch.from_numpy(np.asarray(self._tails(_doubles(z))[int(upper)])).to(z)

    def quantiles(self, levels: Tensor, *, upper: bool = False) -> Tensor:
        """Return the z with the probability `levels` of a value below, or above: a tensor like `levels`."""
        given = _doubles(levels)
        lower, upper_tail = (1.0 - given, given) if upper else (given, 1.0 - given)
        return torch.from_numpy(np.asarray(self._quantiles(lower, upper_tail))).to(levels)

    def scores(self, z: Tensor) -> Tensor:
        """Return Φ⁻¹ of the probability of a value below each z, with digits in both tails; autograd follows."""
        scores: Tensor = _Scores.apply(z, self)  # type: ignore[no-untyped-call]
        return scores

    def from_scores(self, scores: Tensor) -> Tensor:
        """Return what `scores` takes to these, a tensor like them; without a gradient."""
        values = _doubles(scores)
        found = self._quantiles(scipy.special.ndtr(values), scipy.special.ndtr(-values))
        return torch.from_numpy(np.asarray(found)).to(scores)


def innovation_law(degrees_of_freedom: float | None = None, skew: float | None = None) -> InnovationLaw:
    """Return the Gaussian law, Student's t with degrees of freedom, or Hansen's with a skew, too.

    Raises:
        ValueError: degrees of freedom of an infinite variance, a skew without any, or one out of range.

    Example:
        >>> innovation_law(5.0)
        StudentInnovations(degrees_of_freedom=5.0)
    """
    if degrees_of_freedom is None:
        if skew is not None:
            raise ValueError(
                f"skew is {skew!r} with degrees_of_freedom None; expected a Student's t, which alone has one. Leave it"
                " out, or pass degrees_of_freedom, too."
            )
        return GaussianInnovations()
    nu = check_degrees_of_freedom(degrees_of_freedom, "None for Gaussian innovations")
    return StudentInnovations(nu) if skew is None else SkewedStudentInnovations(nu, skew)


@dataclass(frozen=True)
class GaussianInnovations(InnovationLaw):
    """The standard Gaussian law.

    Example:
        >>> float(GaussianInnovations().quantiles(torch.tensor(0.025, dtype=torch.float64)).round(decimals=2))
        -1.96
    """

    semivariance = 0.5

    def log_density(self, z: Tensor) -> Tensor:
        """Log-density, in nats, at numbers of any shape: a tensor like `z`."""
        return -0.5 * (z.square() + math.log(2.0 * math.pi))

    def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Draw paths (n, length)."""
        return rng.standard_normal(shape)

    def scores(self, z: Tensor) -> Tensor:
        """Return the numbers as they are."""
        return z

    def from_scores(self, scores: Tensor) -> Tensor:
        """Return the scores as they are."""
        return scores

    def _tails(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return scipy.special.ndtr(z), scipy.special.ndtr(-z)

    def _quantiles(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        return np.where(lower < upper, scipy.special.ndtri(lower), -scipy.special.ndtri(upper))


@dataclass(frozen=True)
class StudentInnovations(InnovationLaw):
    """Student's t, scaled to variance 1 (Bollerslev, 1987).

    Args:
        degrees_of_freedom: ν, above 2, where the variance is finite.

    Raises:
        ValueError: degrees of freedom out of range.

    Example:
        >>> float(StudentInnovations(3.0).quantiles(torch.tensor(0.025, dtype=torch.float64)).round(decimals=2))
        -1.84
    """

    degrees_of_freedom: float

    def __post_init__(self) -> None:
        check_degrees_of_freedom(self.degrees_of_freedom, "GaussianInnovations")

    @property
    def _sides(self) -> tuple[float, float, float]:
        """λ, a and b: (s − a) / b has mean 0 and variance 1, s of the scale 1 − λ below 0 and 1 + λ above."""
        return 0.0, 0.0, 1.0

    @property
    def _unit(self) -> float:
        """The scale of a Student's t of variance 1."""
        return math.sqrt((self.degrees_of_freedom - 2.0) / self.degrees_of_freedom)

    @property
    def _log_constant(self) -> float:
        nu = self.degrees_of_freedom
        return -float(scipy.special.betaln(0.5 * nu, 0.5)) - 0.5 * math.log(nu - 2.0)

    @property
    def semivariance(self) -> float:
        """E[ε² 1(ε < 0)], the part of the variance that falls have."""
        return 0.5

    def log_density(self, z: Tensor) -> Tensor:
        """Log-density, in nats, at numbers of any shape: a tensor like `z`, which autograd follows."""
        nu = self.degrees_of_freedom
        return self._log_constant - 0.5 * (nu + 1.0) * torch.log1p(z.square() / (nu - 2.0))

    def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Draw paths (n, length)."""
        return rng.standard_t(self.degrees_of_freedom, shape) * self._unit

    def _tails(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        skew, centre, scale = self._sides
        values = (scale * z + centre) / self._unit
        side = np.where(values < 0.0, 1.0 - skew, 1.0 + skew)
        tail = side * scipy.special.stdtr(self.degrees_of_freedom, -np.abs(values) / side)
        return np.where(values < 0.0, tail, 1.0 - tail), np.where(values < 0.0, 1.0 - tail, tail)

    def _quantiles(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        skew, centre, scale = self._sides
        # Each side from its own tail, where a probability near 1 would lose all digits.
        below = lower / (1.0 - skew) < 0.5
        level = np.where(below, lower / (1.0 - skew), np.minimum(upper / (1.0 + skew), 0.5))
        quantiles = scipy.special.stdtrit(self.degrees_of_freedom, level)
        stretched = np.where(below, 1.0 - skew, 1.0 + skew) * np.where(below, quantiles, -quantiles)
        return (self._unit * stretched - centre) / scale


@dataclass(frozen=True)
class SkewedStudentInnovations(StudentInnovations):
    """Hansen's skewed t (1994): half of a Student's t on either side of the mode, of different scales.

    Args:
        degrees_of_freedom: ν, above 2.
        skew: λ, between −1 and 1; where it is above 0 the longer tail is above the mode.

    Raises:
        ValueError: arguments out of range.

    Example:
        >>> law = SkewedStudentInnovations(5.0, -0.3)
        >>> law.quantiles(torch.tensor([0.01, 0.99], dtype=torch.float64)).numpy().round(2).tolist()
        [-3.08, 2.02]
    """

    skew: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.skew, (int, float, np.number)) or not abs(self.skew) < 1:
            raise ValueError(
                f"skew is {self.skew!r}; expected a number between -1 and 1. Use one closer to 0, which is none."
            )

    @property
    def _sides(self) -> tuple[float, float, float]:
        nu, skew = self.degrees_of_freedom, self.skew
        constant = math.exp(-float(scipy.special.betaln(0.5 * nu, 0.5))) / math.sqrt(nu - 2.0)
        centre = 4.0 * skew * constant * (nu - 2.0) / (nu - 1.0)
        return skew, centre, math.sqrt(1.0 + 3.0 * skew**2 - centre**2)

    @property
    def _log_constant(self) -> float:
        return super()._log_constant + math.log(self._sides[2])

    @cached_property
    def semivariance(self) -> float:
        """E[ε² 1(ε < 0)], the part of the variance that falls have, by quadrature."""

        def integrand(value: float) -> float:
            return value**2 * math.exp(float(self.log_density(torch.tensor(value, dtype=torch.float64))))

        return float(scipy.integrate.quad(integrand, -math.inf, 0.0, epsabs=1e-10)[0])

    def log_density(self, z: Tensor) -> Tensor:
        """Log-density, in nats, at numbers of any shape: a tensor like `z`, which autograd follows."""
        skew, centre, scale = self._sides
        sided = scale * z + centre
        return super().log_density(sided / (1.0 + skew * sided.sign()))

    def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Draw paths (n, length)."""
        skew, centre, scale = self._sides
        draws = np.empty(shape)
        # Below with a part (1 − λ) / 2 of the draws, and as much narrower.
        for row in draws:
            half = np.abs(rng.standard_t(self.degrees_of_freedom, shape[1]))
            row[:] = half * np.where(rng.random(shape[1]) < 0.5 * (1.0 - skew), skew - 1.0, 1.0 + skew)
        return (self._unit * draws - centre) / scale


class _Scores(torch.autograd.Function):
    """The scores, whose derivative is the ratio of the two densities."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, law: InnovationLaw) -> Tensor:
        # So far out that a tail is 0, a score is 38: further ones cannot be told apart.
        lower, upper = (np.maximum(tail, np.finfo(np.float64).tiny) for tail in law._tails(_doubles(z)))
        scores = np.where(lower < upper, scipy.special.ndtri(lower), -scipy.special.ndtri(upper))
        ctx.law = law
        ctx.save_for_backward(z, found := torch.from_numpy(np.asarray(scores)).to(z))
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        z, scores = ctx.saved_tensors
        log_ratio = ctx.law.log_density(z) + 0.5 * scores.square() + 0.5 * math.log(2.0 * math.pi)
        return gradients[0] * log_ratio.exp(), None


def _doubles(z: Tensor) -> np.ndarray:
    return z.detach().cpu().double().numpy()
