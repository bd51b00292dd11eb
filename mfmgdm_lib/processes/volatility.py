"""Volatility models of a series given its past: GARCH, GJR, EGARCH and APARCH."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_finite, check_member, check_number, check_paths, check_positive, check_positive_int
from mfmgdm_lib.processes.base import Seed, generator
from mfmgdm_lib.processes.conditional import ConditionalLaw, check_levels
from mfmgdm_lib.processes.innovations import innovation_law
from mfmgdm_lib.specification import register

__all__ = ["VARIANCES", "VolatilityModel"]

VARIANCES = ("garch", "gjr", "egarch", "aparch")
"""What a model may be called by its variance."""

_MEAN_SIZE = math.sqrt(2.0 / math.pi)
"""E|ε| of a Gaussian, which `arch` takes from |ε| whatever the law of ε is."""


@checked
@register
class VolatilityModel(ConditionalLaw):
    r"""A constant or AR(1) mean, and a variance made of the innovations before, in the parameterisation of `arch`.

    .. math:: x_t = \mu + \varphi (x_{t-1} - \mu) + e_t, \quad e_t = \sigma_t \varepsilon_t

    with independent ε of mean 0 and variance 1, and one of

    .. math::
        \sigma_t^2 &= \omega + \alpha e_{t-1}^2 + \beta \sigma_{t-1}^2 \quad \text{(garch)} \\
        \sigma_t^2 &= \omega + (\alpha + \gamma 1_{e_{t-1} < 0}) e_{t-1}^2 + \beta \sigma_{t-1}^2 \quad \text{(gjr)} \\
        \log \sigma_t^2 &= \omega + \alpha (|\varepsilon_{t-1}| - \sqrt{2 / \pi}) + \gamma \varepsilon_{t-1}
            + \beta \log \sigma_{t-1}^2 \quad \text{(egarch)} \\
        \sigma_t^\delta &= \omega + \alpha (|e_{t-1}| - \gamma e_{t-1})^\delta + \beta \sigma_{t-1}^\delta
            \quad \text{(aparch)}

    (Bollerslev, 1986; Glosten, Jagannathan and Runkle, 1993; Nelson, 1991; Ding, Granger and Engle, 1993). It need not
    be stationary, and its variance need not be finite: an IGARCH has α + β = 1, and RiskMetrics ω = 0, too. With heavy
    tails an EGARCH has no finite moments at horizons beyond 1.

    A series starts with the scale σ_1. With an AR(1) mean its first point is around μ, and does not enter the variance
    of the second, whose scale is σ_1 again: `arch` leaves the first point out.

    Args:
        variance: "garch", "gjr", "egarch" or "aparch".
        omega: ω, at least 0 other than for egarch.
        alpha: α, at least 0 other than for egarch.
        beta: β, at least 0; for egarch at most 1.
        start: σ_1, above 0, in the units of the series.
        asymmetry: γ, of all but garch; at least −α for gjr, between −1 and 1 for aparch.
        power: δ, above 0, of aparch alone.
        mean: μ, in the units of the series.
        phi: φ, between −1 and 1; None for a constant mean.
        degrees_of_freedom: of Student's t, above 2; without it, ε is Gaussian.
        skew: λ of Hansen's skewed t (1994), between −1 and 1; None for none.

    Raises:
        ValueError: parameters out of range, or those of another variance.

    Example:
        >>> law = VolatilityModel("gjr", 0.02, 0.03, 0.9, start=1.0, asymmetry=0.1, degrees_of_freedom=6.0)
        >>> x = law.sample(3, 20, given=[0.5, -2.0], seed=0)
        >>> x.shape, law.log_prob(x, given=[0.5, -2.0]).shape, law.quantiles([0.01, 0.99], x).shape
        (torch.Size([3, 20]), torch.Size([3]), torch.Size([3, 20, 2]))
    """

    def __init__(
        self,
        variance: str,
        omega: float,
        alpha: float,
        beta: float,
        *,
        start: float,
        asymmetry: float | None = None,
        power: float | None = None,
        mean: float = 0.0,
        phi: float | None = None,
        degrees_of_freedom: float | None = None,
        skew: float | None = None,
    ) -> None:
        self.variance = check_member("variance", variance, VARIANCES)
        self.omega, self.alpha = check_number("omega", omega), check_number("alpha", alpha)
        self.beta, self.start = check_number("beta", beta), check_positive("start", start)
        self.asymmetry = None if asymmetry is None else check_number("asymmetry", asymmetry)
        self.power = None if power is None else check_positive("power", power)
        self.mean = check_number("mean", mean)
        if phi is not None and not abs(phi) < 1:
            raise ValueError(f"phi is {phi!r}; expected a number between -1 and 1. Difference the series first.")
        self.phi = None if phi is None else float(phi)
        self.law = innovation_law(degrees_of_freedom, skew)
        """The law of ε."""
        self.degrees_of_freedom = None if degrees_of_freedom is None else float(degrees_of_freedom)
        self.skew = None if skew is None else float(skew)
        self._check_variance()

    def __repr__(self) -> str:
        names = ("start", "asymmetry", "power", "mean", "phi", "degrees_of_freedom", "skew")
        given = [f", {name}={getattr(self, name):g}" for name in names if getattr(self, name) is not None]
        return f"VolatilityModel({self.variance!r}, {self.omega:g}, {self.alpha:g}, {self.beta:g}{''.join(given)})"

    def _check_variance(self) -> None:
        """Refuse parameters of another variance, and those with which it may be 0 or below."""
        for name, of in (("asymmetry", VARIANCES[1:]), ("power", VARIANCES[3:])):
            value = getattr(self, name)
            if (value is not None) != (self.variance in of):
                expected = "a number" if self.variance in of else "None"
                raise ValueError(
                    f"{name} is {value!r} for {self.variance}; expected {expected}: it is a parameter of"
                    f" {', '.join(of)}. {'Pass one' if value is None else 'Leave it out'}."
                )
        if self.variance == "egarch":
            if not 0.0 <= self.beta <= 1.0:
                raise ValueError(f"beta is {self.beta!r}; expected a number from 0 to 1. Use a smaller size.")
            return
        for name in ("omega", "alpha", "beta"):
            value = getattr(self, name)
            if not value >= 0:
                raise ValueError(f"{name} is {value!r}; expected a number of at least 0. Use 0.0 to leave it out.")
        if self.omega == self.beta == 0:
            raise ValueError("omega and beta are both 0; expected one above 0, or a scale may be 0. Use a larger one.")
        gamma, least = self.asymmetry or 0.0, -self.alpha if self.variance == "gjr" else -1.0
        if gamma < least or (self.variance == "aparch" and not abs(gamma) < 1):
            expected = f"at least {least!r}" if self.variance == "gjr" else "between -1 and 1"
            raise ValueError(
                f"asymmetry is {gamma!r}; expected a number {expected}, or no rise and no fall has a size. Use one"
                " closer to 0."
            )

    # --- the recursion: a state is σ², log σ² or σ^δ -----------------------------------------------------------------

    def _scale(self, state: np.ndarray) -> np.ndarray:
        """σ of a state."""
        if self.variance == "egarch":
            # Beyond e^±700, where a value is millions of scales off, float64 has no numbers.
            scale: np.ndarray = np.exp(np.clip(0.5 * state, -700.0, 700.0))
            return scale
        return np.sqrt(state) if self.power is None else state ** (1.0 / self.power)

    def _first_state(self, count: int) -> np.ndarray:
        """The state with the scale of the first point."""
        if self.variance == "egarch":
            return np.full(count, 2.0 * math.log(self.start))
        return np.full(count, self.start ** (self.power or 2.0))

    def _next_state(self, state: np.ndarray, innovation: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """The state after a point with e = `innovation` and ε = `noise`."""
        gamma = self.asymmetry or 0.0
        if self.variance == "egarch":
            news = self.alpha * (np.abs(noise) - _MEAN_SIZE) + gamma * noise
        elif self.power is not None:
            news = self.alpha * (np.abs(innovation) - gamma * innovation) ** self.power
        else:
            news = self.alpha * innovation**2
            if gamma:
                news += gamma * np.minimum(innovation, 0.0) ** 2
        return self.omega + news + self.beta * state

    def _filtered(self, x: np.ndarray, past: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """ε and σ (N, T) of paths (N, T) that go on from a past of any length, and the states (N,) after them."""
        innovations, state = self._innovations_after(past, x)
        noise, scales = np.empty_like(innovations), np.empty_like(innovations)
        for t, innovation in enumerate(innovations):
            scales[t] = self._scale(state)
            noise[t] = innovation / scales[t]
            if t or len(past) or self.phi is None:
                state = self._next_state(state, innovation, noise[t])
        return noise.T, scales.T, state

    def _innovations_after(self, past: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The e of paths, as (T, N) with the paths of a time side by side, and the states (N,) before them."""
        deviations = np.ascontiguousarray(x.T) - self.mean
        innovations = deviations.copy()
        if self.phi is not None:
            innovations[1:] -= self.phi * deviations[:-1]
            if len(past):
                innovations[0] -= self.phi * (past[-1] - self.mean)
        return innovations, self._states_after(past, len(x))

    def _states_after(self, past: np.ndarray, count: int) -> np.ndarray:
        """The state after a past (T,), `count` times."""
        if not len(past):
            return self._first_state(count)
        return np.repeat(self._filtered(past[None], past[:0])[2], count)

    def innovations(self, x: Tensor, *, given: Any = None) -> tuple[Tensor, Tensor]:
        """Return ε and σ of each point, with which x is its mean given the points before + σ ε.

        Args:
            x: series (*, T), float32 or float64.
            given: the one series that they go on from; None where they begin.

        Returns:
            Two tensors like `x`, computed in float64 and without a gradient.

        Raises:
            TypeError: something else than a tensor.
            ValueError: numbers that are not finite.

        Example:
            >>> law = VolatilityModel("garch", 0.1, 0.2, 0.7, start=2.0)
            >>> noise, scales = law.innovations(torch.tensor([1.0, -3.0], dtype=torch.float64))
            >>> noise.numpy().round(3).tolist(), scales.square().numpy().round(3).tolist()
            ([0.5, -1.704], [4.0, 3.1])
        """
        check_finite("x", check_paths("x", x))
        past = np.empty(0) if given is None else self._past(given).numpy()
        paths = x.detach().cpu().double().reshape(-1, x.shape[-1]).numpy()
        noise, scales, _ = self._filtered(paths, past)
        return _like(noise, x), _like(scales, x)

    def paths(self, innovations: Tensor, *, given: Any) -> Tensor:
        """Return the paths that go on from a series and have these ε.

        Args:
            innovations: ε, (n, h).
            given: the one series (T,) that they go on from.

        Returns:
            A float64 tensor (n, h): `self.innovations(paths, given=given)` gives ε back.

        Raises:
            TypeError: something else than a tensor.
            ValueError: another shape, or numbers that are not finite.
        """
        check_finite("innovations", check_paths("innovations", innovations))
        if innovations.ndim != 2:
            raise ValueError(
                f"innovations has shape {tuple(innovations.shape)}; expected (n, horizon). Use innovations[None] for"
                " one path."
            )
        past = self._past(given).numpy()
        noises = np.ascontiguousarray(innovations.detach().cpu().double().numpy().T)
        state = self._states_after(past, noises.shape[1])
        paths, deviation = np.empty_like(noises), np.full(noises.shape[1], past[-1] - self.mean)
        for t, noise in enumerate(noises):
            innovation = self._scale(state) * noise
            deviation = (self.phi or 0.0) * deviation + innovation
            paths[t] = self.mean + deviation
            state = self._next_state(state, innovation, noise)
        return torch.from_numpy(np.ascontiguousarray(paths.T))

    # --- the law -----------------------------------------------------------------------------------------------------

    def log_densities(self, x: Tensor) -> Tensor:
        """Log-density, in nats, of each point given those before, without a gradient: (*, T) for series (*, T)."""
        noise, scales = self.innovations(x)
        return self.law.log_density(noise) - scales.log()

    def log_prob(self, x: Tensor, *, given: Any) -> Tensor:
        """Log-density, in nats, of paths (*, h) that go on from a series (T,): a tensor (*,), without a gradient."""
        noise, scales = self.innovations(x, given=given)  # which goes through the past once, not for each path
        return (self.law.log_density(noise) - scales.log()).sum(-1)

    def probabilities(self, x: Tensor) -> Tensor:
        """Probability of a value below each point, given those before: (*, T) for series (*, T)."""
        return self.law.probabilities(self.innovations(x)[0])

    def quantiles(self, levels: Sequence[float] | Tensor, x: Tensor) -> Tensor:
        """Return the quantiles of each point given those before, which does not depend on the point itself.

        Args:
            levels: probabilities (L,) between 0 and 1.
            x: series (*, T).

        Returns:
            A tensor (*, T, L) of the dtype and on the device of `x`.

        Raises:
            ValueError: levels of another shape or out of range, or numbers that are not finite.

        Example:
            >>> law = VolatilityModel("garch", 0.1, 0.2, 0.7, start=2.0)
            >>> law.quantiles([0.025, 0.975], torch.zeros(1, dtype=torch.float64)).numpy().round(2).tolist()
            [[-3.92, 3.92]]
        """
        found = self.law.quantiles(check_levels(levels)).to(x)
        _, scales = self.innovations(x)
        return self._means(x)[..., None] + scales[..., None] * found

    def _means(self, x: Tensor) -> Tensor:
        """The mean of each point given those before."""
        means = torch.full_like(x, self.mean)
        if self.phi is not None:
            means[..., 1:] += self.phi * (x[..., :-1] - self.mean)
        return means

    def sample(self, n: int, horizon: int, *, given: Any, seed: Seed) -> Tensor:
        """Draw paths that go on from a series.

        Args:
            n: number of paths.
            horizon: points of each.
            given: the one series (T,) that they go on from.
            seed: whatever `numpy.random.default_rng` takes.

        Returns:
            A float64 tensor (n, horizon); path by path, so that more of them begin with the same.
        """
        shape = check_positive_int("n", n), check_positive_int("horizon", horizon)
        return self.paths(torch.from_numpy(self.law.draw(generator(seed), shape)), given=given)


def _like(values: np.ndarray, x: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).reshape(x.shape).to(x)
