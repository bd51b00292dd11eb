"""AR(p), the Gaussian autoregression of eq. (4), with its exact stationary likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_paths, check_positive, check_positive_int
from mfmgdm_lib.processes.base import SeriesProcess
from mfmgdm_lib.specification import register

__all__ = ["AR"]

_LARGEST_ORDER = 500
"""Coefficients, from whose companion matrix the stationary law is found in seconds."""

_MANY = 256
"""Paths from which on a step of all of them at once takes no longer than a path after the other."""


@checked
@register
class AR(SeriesProcess):
    r"""Stationary Gaussian autoregression of order p, paper eq. (4) and Section 5.1.

    .. math:: x_i = \sum_{j=1}^p \varphi_j x_{i-j} + \sigma \varepsilon_i

    The innovations are drawn in the order of the paper's published runs, a burn-in of a tenth of the
    length before each path, so the paper's seeds give the paper's paths. The first p draws of a path
    are turned into a stationary state, so the law is exact however slowly the process forgets. In the log-likelihood
    the first p points have the stationary joint law, the others are Gaussian given the p before them
    (Brockwell and Davis, *Time Series: Theory and Methods*, Section 8.7).

    Args:
        coefficients: φ_1 … φ_p; the process has to be stationary.
        innovation_std: σ, in the units of the path; without it, σ is set so that the marginal variance is 1.

    Raises:
        ValueError: coefficients that are empty, not finite or not stationary; σ not above 0.

    Example:
        >>> process = AR([0.1])
        >>> process.sample(2, 4, seed=0).shape
        torch.Size([2, 4])
        >>> round(process.innovation_std**2, 2), process.stddev
        (0.99, 1.0)
    """

    def __init__(self, coefficients: Sequence[float], innovation_std: float | None = None) -> None:
        self.coefficients = _stationary(coefficients)
        self.order = len(self.coefficients)
        unit_covariance = _state_covariance(self.coefficients)
        if innovation_std is None:
            self.innovation_std = 1.0 / math.sqrt(unit_covariance[0, 0])
        else:
            self.innovation_std = check_positive("innovation_std", innovation_std)
            check_positive("innovation_std squared", float(np.square(self.innovation_std)))
        self._state_covariance = self.innovation_std**2 * unit_covariance
        self._state_root = np.linalg.cholesky(self._state_covariance)
        super().__init__(0.0, math.sqrt(self._state_covariance[0, 0]))

    def __repr__(self) -> str:
        return f"AR({self.coefficients.tolist()}, innovation_std={self.innovation_std:.6g})"

    def autocovariance(self, n_lags: int) -> np.ndarray:
        """Autocovariances at lags 0 … n_lags, exact: a float64 array (n_lags + 1,)."""
        check_positive_int("n_lags", n_lags, minimum=0)
        values = list(self._state_covariance[0])
        while len(values) <= n_lags:
            values.append(float(self.coefficients @ values[: -self.order - 1 : -1]))
        return np.array(values[: n_lags + 1])

    def _draw(self, rng: np.random.Generator, n: int, length: int) -> np.ndarray:
        burn_in = max(length // 10, self.order)
        innovations = rng.standard_normal((n, burn_in + length))
        innovations *= self.innovation_std
        root = self._state_root / self.innovation_std
        state = innovations[:, : self.order] @ root.T
        innovations[:, : self.order] = _prediction_errors(self.coefficients, state)
        follow = _follow_many if n >= _MANY else _follow_few
        return follow(self.coefficients, innovations)[:, burn_in:]

    def _log_prob(self, x: Tensor) -> Tensor:
        start = min(self.order, x.shape[-1])
        root = self._state_root[:start, :start]  # that of the first points, if there are fewer than p
        first = x[..., :start].reshape(-1, start)
        whitened = torch.linalg.solve_triangular(torch.as_tensor(root).to(x), first.mT, upper=False)
        errors = x[..., start:]
        for j, phi in enumerate(self.coefficients.tolist(), start=1):
            errors = torch.sub(errors, x[..., start - j : x.shape[-1] - j], alpha=phi)
        squares = whitened.square().sum(0).reshape(x.shape[:-1]) + errors.square().sum(-1) / self.innovation_std**2
        scales = np.log(root.diagonal()).sum() + errors.shape[-1] * math.log(self.innovation_std)
        return -0.5 * squares - float(scales) - 0.5 * x.shape[-1] * math.log(2 * math.pi)

    def approximate_log_prob(self, x: Tensor) -> Tensor:
        """Log-likelihood, in nats, as the paper's numbers for p > 1 have it: paths (*, length) to a tensor (*,).

        The first point has its marginal law, and the next ones are given what is before them, with zeros before the
        first. For p = 1 that is exact.
        """
        check_paths("x", x)
        errors = x[..., 1:].clone()
        for j, phi in enumerate(self.coefficients.tolist(), start=1):
            errors[..., j - 1 :].sub_(x[..., : max(x.shape[-1] - j, 0)], alpha=phi)
        first = x[..., 0].square() / self.stddev**2
        log_density = -0.5 * (first + torch.linalg.vecdot(errors, errors) / self.innovation_std**2)
        scales = math.log(self.stddev) + errors.shape[-1] * math.log(self.innovation_std)
        return log_density - scales - 0.5 * x.shape[-1] * math.log(2 * math.pi)


def _prediction_errors(coefficients: np.ndarray, x: np.ndarray) -> np.ndarray:
    """What a few points (n, length) are beside their predictions, with zeros before the first."""
    errors = x.copy()
    for j, phi in enumerate(coefficients[: x.shape[1] - 1], start=1):
        errors[:, j:] -= phi * x[:, :-j]
    return errors


def _follow_few(coefficients: np.ndarray, innovations: np.ndarray) -> np.ndarray:
    """The paths that innovations (n, length) drive, from zeros before the first, one after the other."""
    return np.asarray(scipy.signal.lfilter([1.0], np.concatenate(([1.0], -coefficients)), innovations))


def _follow_many(coefficients: np.ndarray, innovations: np.ndarray) -> np.ndarray:
    """The same to the last bit, all paths at once and in place, without `scipy.signal`, whose import takes 60 MB."""
    x = np.ascontiguousarray(innovations.T)
    predicted, term = np.empty_like(x[0]), np.empty_like(x[0])
    for i in range(1, len(x)):
        predicted.fill(0.0)
        for j in range(min(i, len(coefficients)), 0, -1):
            predicted += np.multiply(x[i - j], coefficients[j - 1], out=term)
        x[i] += predicted
    innovations[:] = x.T
    return innovations


def _stationary(coefficients: Sequence[float]) -> np.ndarray:
    try:
        given = coefficients.detach() if isinstance(coefficients, torch.Tensor) else coefficients
        values = np.atleast_1d(np.asarray(given, dtype=np.float64))
    except (TypeError, ValueError, OverflowError):
        values = np.array([])
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(
            f"coefficients is {coefficients!r}; expected a non-empty sequence of finite numbers."
            " Give one coefficient for each lag, such as [0.2, -0.1]."
        )
    if values.size > _LARGEST_ORDER:
        raise ValueError(
            f"coefficients has {values.size} numbers; expected at most {_LARGEST_ORDER}, as the stationary law takes"
            " operations in the cube of them. Leave out those of the longest lags."
        )
    largest = float(np.abs(np.linalg.eigvals(scipy.linalg.companion(np.concatenate(([1.0], -values))))).max())
    if largest >= 1.0:
        raise ValueError(
            f"coefficients {values.tolist()} are not stationary: the largest root of the characteristic polynomial"
            f" has modulus {largest:.4g}, expected below 1. Shrink the coefficients, or difference the series first."
        )
    return values


def _state_covariance(coefficients: np.ndarray) -> np.ndarray:
    """Covariance (p, p) of p successive points for unit innovations: the Lyapunov equation Γ = FΓFᵀ + e₁e₁ᵀ."""
    transition = scipy.linalg.companion(np.concatenate(([1.0], -coefficients)))
    noise = np.zeros_like(transition)
    noise[0, 0] = 1.0
    return np.asarray(scipy.linalg.solve_discrete_lyapunov(transition, noise))
