"""GARCH(1, 1) with and without an AR(1) mean, the reference model of Section 5.2."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_number, check_paths, check_positive
from mfmgdm_lib.processes.base import InnovationProcess
from mfmgdm_lib.processes.innovations import innovation_law
from mfmgdm_lib.specification import register

__all__ = ["ARGARCH", "GARCH"]


@checked
@register
class ARGARCH(InnovationProcess):
    r"""AR(1) process whose innovations are a GARCH(1, 1), the reference model of Section 5.2.

    .. math:: x_t - \mu = \varphi (x_{t-1} - \mu) + e_t, \quad e_t = \sigma_t \varepsilon_t, \quad
        \sigma_t^2 = \omega + \alpha e_{t-1}^2 + \beta \sigma_{t-1}^2

    The ε_t are independent with mean 0 and variance 1, Gaussian or Student t (Bollerslev, 1986 and 1987).

    Two arguments, which are no part of the paper, tell falls from rises. With an asymmetry γ, α is α + γ where e_{t-1}
    is below 0 (Glosten, Jagannathan and Runkle, 1993). With a skew λ, ε is Hansen's skewed t (1994), whose longer tail
    is above its mode where λ is above 0; its mean and variance are still 0 and 1. In the condition for a finite
    variance and in the stationary one α + γ E[ε² 1(ε < 0)] then takes the place of α, which is α + γ/2 without a skew.

    The stationary law of σ² is not known in closed form. A path therefore starts where that law has its mean,
    σ_1² = ω / (1 − α − β), and at x_1 = μ + e_1 / √(1 − φ²), and the density is that of this start, exactly.
    Mean, variance and autocovariances are then the stationary ones at every time; the kurtosis builds up from that of
    ε. For paths of the strictly stationary law drop a burn-in: `sample(n, burn_in + length, seed)[:, burn_in:]`.

    Args:
        phi: φ, the coefficient of the mean, between −1 and 1.
        omega: ω, above 0, in the units of the path squared.
        alpha: α, at least 0, the weight of the last innovation.
        beta: β, at least 0, the weight of the last variance; α + β has to be below 1.
        mean: μ, the marginal mean, in the units of the path.
        degrees_of_freedom: of Student's t, above 2; without it, ε is Gaussian.
        asymmetry: γ, at least −α, what falls add to α; None for none.
        skew: λ of Student's t, between −1 and 1; None for none.

    Raises:
        ValueError: arguments for which there is no stationary law of finite variance.

    Example:
        >>> process = ARGARCH(-0.05, 0.03, 0.1, 0.87, degrees_of_freedom=6.0)
        >>> round(process.stddev, 4)
        1.0013
        >>> process.sample(2, 4, seed=0).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        phi: float,
        omega: float,
        alpha: float,
        beta: float,
        *,
        mean: float = 0.0,
        degrees_of_freedom: float | None = None,
        asymmetry: float | None = None,
        skew: float | None = None,
    ) -> None:
        if not isinstance(phi, (int, float, np.number)) or not abs(phi) < 1:
            raise ValueError(f"phi is {phi!r}; expected a number between -1 and 1. Difference the series first.")
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not isinstance(value, (int, float, np.number)) or isinstance(value, bool) or not value >= 0:
                raise ValueError(f"{name} is {value!r}; expected a number of at least 0. Use 0.0 to leave it out.")
        if asymmetry is None and not alpha + beta < 1:
            raise ValueError(
                f"alpha + beta is {alpha!r} + {beta!r} = {alpha + beta!r}; expected below 1, where the variance is"
                " finite. Use smaller ones."
            )
        self._law = innovation_law(degrees_of_freedom, skew)
        self.phi = float(phi)
        self.omega, self.alpha, self.beta = check_positive("omega", omega), float(alpha), float(beta)
        self.degrees_of_freedom = None if degrees_of_freedom is None else float(degrees_of_freedom)
        self.skew = None if skew is None else float(skew)
        self.persistence = self.alpha + self.beta
        """What is left of a deviation of the variance a point later, on average."""
        self.asymmetry = None if asymmetry is None else self._check_asymmetry(asymmetry)
        self._innovation_variance = self.omega / (1.0 - self.persistence)  # the mean of σ_t² at every time
        super().__init__(check_number("mean", mean), math.sqrt(self._innovation_variance / (1.0 - self.phi**2)))

    def __repr__(self) -> str:
        return f"ARGARCH({self.phi:g}, {self._variance_arguments}{f', mean={self.mean:g}' if self.mean else ''})"

    def _check_asymmetry(self, asymmetry: float) -> float:
        """The asymmetry, which the persistence gets its part of, if it is what it may be."""
        if not self.alpha + check_number("asymmetry", asymmetry) >= 0:
            raise ValueError(
                f"asymmetry is {asymmetry!r} with alpha {self.alpha!r}; expected at least {-self.alpha!r}, for a"
                " variance that no fall lowers. Use a larger one."
            )
        self.persistence += asymmetry * self._law.semivariance
        if not self.persistence < 1:
            raise ValueError(
                f"asymmetry is {asymmetry!r} with alpha {self.alpha!r} and beta {self.beta!r}, which leaves"
                f" {self.persistence!r} of the variance; expected below 1, where it is finite. Use a smaller one."
            )
        return float(asymmetry)

    @property
    def _variance_arguments(self) -> str:
        names = ("degrees_of_freedom", "asymmetry", "skew")
        given = [f", {name}={getattr(self, name):g}" for name in names if getattr(self, name) is not None]
        return f"{self.omega:g}, {self.alpha:g}, {self.beta:g}{''.join(given)}"

    def _draw(self, rng: np.random.Generator, n: int, length: int) -> np.ndarray:
        return self._paths(self._law.draw(rng, (n, length)))

    def _paths(self, noise: np.ndarray) -> np.ndarray:
        """The paths (n, length) whose ε are these."""
        n, length = noise.shape
        variance = np.full(n, self._innovation_variance)
        paths = np.empty_like(noise)
        deviation = np.zeros(n)
        for t in range(length):
            innovation = np.sqrt(variance) * noise[:, t]
            deviation = self.phi * deviation + innovation if t else innovation / math.sqrt(1.0 - self.phi**2)
            paths[:, t] = self.mean + deviation
            variance = self.omega + self.alpha * innovation**2 + self.beta * variance
            if self.asymmetry is not None:
                variance += self.asymmetry * np.minimum(innovation, 0.0) ** 2
        return paths

    def _log_prob(self, x: Tensor) -> Tensor:
        innovations, variances = self._innovations_of(x)
        log_density = self._law.log_density(innovations / variances.sqrt()) - 0.5 * variances.log()
        return log_density.sum(-1) + math.log(math.sqrt(1.0 - self.phi**2))

    def _innovations_of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """e_t and σ_t² of paths (*, length), of the same shape."""
        deviations = x - self.mean
        first = math.sqrt(1.0 - self.phi**2) * deviations[..., :1]
        innovations = torch.cat([first, deviations[..., 1:] - self.phi * deviations[..., :-1]], dim=-1)
        return innovations, self._variances(innovations)

    def normal_scores(self, x: Tensor) -> Tensor:
        """Return Φ⁻¹ of the probability of a value below ε at each point of paths (*, length)."""
        innovations, variances = self._innovations_of(check_paths("x", x))
        return self._law.scores(innovations / variances.sqrt())

    def from_normal_scores(self, scores: Tensor) -> Tensor:
        """Return the paths, (n, length), whose ε have these scores."""
        return torch.from_numpy(self._paths(self._law.from_scores(check_paths("scores", scores).detach()).numpy()))

    def _variances(self, innovations: Tensor) -> Tensor:
        """σ_t² of innovations (*, length), of the same shape."""
        inputs = self.omega + self.alpha * innovations[..., :-1].square()
        if self.asymmetry is not None:
            inputs = inputs + self.asymmetry * innovations[..., :-1].clamp(max=0.0).square()
        start = torch.full_like(innovations[..., :1], self._innovation_variance)
        variances = torch.cat([start, inputs], dim=-1)
        # Solved in log₂(length) steps: after each, a variance has the inputs of twice as many times before it.
        lag, weight = 1, self.beta
        while lag < variances.shape[-1] and weight > 0:
            variances = variances + weight * pad(variances[..., :-lag], (lag, 0))
            lag, weight = 2 * lag, weight**2
        return variances


@register
class GARCH(ARGARCH):
    r"""GARCH(1, 1) process, without a mean of its own.

    .. math:: x_t = \sigma_t \varepsilon_t, \quad \sigma_t^2 = \omega + \alpha x_{t-1}^2 + \beta \sigma_{t-1}^2

    A path starts with the stationary variance, as `ARGARCH` explains.

    Args:
        omega: ω, above 0, in the units of the path squared.
        alpha: α, at least 0, the weight of the last square.
        beta: β, at least 0, the weight of the last variance; α + β has to be below 1.
        degrees_of_freedom: of Student's t, above 2; without it, ε is Gaussian.

    Raises:
        ValueError: arguments for which there is no stationary law of finite variance.

    Example:
        >>> round(GARCH(0.03, 0.1, 0.87).stddev, 12)
        1.0
    """

    def __init__(self, omega: float, alpha: float, beta: float, *, degrees_of_freedom: float | None = None) -> None:
        super().__init__(0.0, omega, alpha, beta, degrees_of_freedom=degrees_of_freedom)

    def __repr__(self) -> str:
        return f"GARCH({self._variance_arguments})"
