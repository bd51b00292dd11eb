"""CIR, the square-root diffusion of Section 5.1, with its exact transition density."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_positive
from mfmgdm_lib.processes._bessel import log_kernel
from mfmgdm_lib.processes.base import SeriesProcess
from mfmgdm_lib.specification import register
from mfmgdm_lib.support import HALF_LINE

__all__ = ["CIR"]


@checked
@register
class CIR(SeriesProcess):
    r"""Stationary Cox–Ingersoll–Ross process, seen at equal spacings of time (paper Section 5.1).

    .. math:: dr_t = \kappa (\theta - r_t)\, dt + \sigma \sqrt{r_t}\, dW_t

    The first point has the stationary gamma law of shape 2κθ/σ²; each later one, given the one before it, is a
    multiple of a noncentral chi-square variable (Cox, Ingersoll and Ross, 1985, eq. 18). The standard deviation is
    σ √(θ / 2κ). Where a point is 0, each density of it given the others is infinite, finite or zero as 2κθ is below σ²,
    equal to it or above it, and so is that of the path; the arithmetic of densities is float64 for all paths.

    Where 2κθ is far below σ², much of the law is nearer to 0 than floating-point numbers get. Draws there are a
    number of about 1e-305, at which the density is finite. In float32 it is 0.

    The draws are those of the paper's published runs, one point of all paths after the other: a seed's first path
    depends on how many there are.

    Args:
        kappa: κ, the rate of return to the mean, in units of one over time.
        theta: θ, the mean, in the units of the path.
        sigma: σ, the volatility of r for r = 1.
        dt: spacing of the points in time.

    Raises:
        ValueError: an argument that is not a finite number above 0.

    Example:
        >>> process = CIR(0.5, 1.0, 1.0)
        >>> process.mean, process.stddev
        (1.0, 1.0)
        >>> process.sample(2, 4, seed=0).shape
        torch.Size([2, 4])
    """

    support = HALF_LINE
    draws_path_by_path = False

    def __init__(self, kappa: float, theta: float, sigma: float, dt: float = 1.0) -> None:
        self.kappa, self.theta = check_positive("kappa", kappa), check_positive("theta", theta)
        self.sigma, self.dt = check_positive("sigma", sigma), check_positive("dt", dt)
        super().__init__(self.theta, self.sigma * math.sqrt(self.theta / (2.0 * self.kappa)))
        # Of the stationary gamma law; the shape is one more than the order of the Bessel function in the transition.
        # At a shape of 1 the density at 0 is finite, which rounding, as in 0.49 / 0.7², must not decide.
        if not 0.0 < self.sigma * self.sigma < math.inf:
            raise ValueError(
                f"sigma is {sigma!r}; expected a number whose square is above 0 and finite. Change the unit of the"
                " process."
            )
        shape = 2.0 * self.kappa * self.theta / self.sigma**2
        self._shape = 1.0 if math.isclose(shape, 1.0, rel_tol=1e-15) else shape
        self._scale = self.sigma**2 / (2.0 * self.kappa)
        # After one spacing this share of a deviation is left, and 2 · rate · x is a noncentral chi-square variable.
        self._decay = math.exp(-self.kappa * self.dt)
        self._rate = -2.0 * self.kappa / (self.sigma**2 * math.expm1(-self.kappa * self.dt))

        # The least draw: all digits are kept of it, of its multiple by the rate and of its share of the scale.
        self._smallest = float(np.finfo(np.float64).tiny) * max(1.0, 1.0 / self._rate, self._scale)

    def __repr__(self) -> str:
        spacing = "" if self.dt == 1.0 else f", dt={self.dt:g}"
        return f"CIR(kappa={self.kappa:g}, theta={self.theta:g}, sigma={self.sigma:g}{spacing})"

    def _draw(self, rng: np.random.Generator, n: int, length: int) -> np.ndarray:
        paths = np.empty((length, n))
        paths[0] = np.maximum(rng.gamma(self._shape, self._scale, n), self._smallest)
        for before, now in pairwise(paths):
            now[:] = rng.noncentral_chisquare(2.0 * self._shape, 2.0 * self._rate * self._decay * before)
            now /= 2.0 * self._rate
            np.maximum(now, self._smallest, out=now)
        return paths.T

    def _log_prob(self, x: Tensor) -> Tensor:
        below = x < 0
        inside = torch.where(below, self.theta, x.double())  # any point that has a finite density
        order, v = self._shape - 1.0, self._rate * inside[..., 1:]
        kernel = log_kernel(self._decay * self._rate * inside[..., :-1], v, self._shape)
        first = inside[..., 0] / self._scale
        log_density = kernel.sum(-1) - first - math.lgamma(self._shape)
        if order != 0.0:  # 0 · log 0 is 0 here, but its derivative would be NaN
            log_density = log_density + order * (v.log().sum(-1) + first.log())
        log_density = log_density + v.shape[-1] * math.log(self._rate) - math.log(self._scale)
        return torch.where(below.any(-1), -torch.inf, log_density).to(x)
