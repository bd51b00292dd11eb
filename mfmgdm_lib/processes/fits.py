"""Maximum-likelihood fits of laws to one series."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import numpy as np
import scipy

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import as_series, check_member
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib._threads import one_thread
from mfmgdm_lib.processes.base import Process
from mfmgdm_lib.processes.garch import ARGARCH
from mfmgdm_lib.processes.innovations import innovation_law
from mfmgdm_lib.processes.noise import StudentNoise

__all__ = [
    "FEWEST_DEGREES",
    "Fit",
    "arch_law",
    "check_stationary",
    "fit_argarch",
    "fit_student",
    "fit_with_variance",
    "most_likely",
    "standardised",
]

_INNOVATIONS = ("gaussian", "student", "skewed student")

_SHORTEST = 250
"""Points below which a GARCH cannot be told from noise: a year of days."""


_PERSISTENT = 1.0 - 1e-4
"""φ, and α + β, from which on a variance is as good as infinite: the optimiser stops a hair below 1."""


FEWEST_DEGREES = 2.05
"""From here on `arch` looks for the degrees of freedom of Student's t."""


class Fit(NamedTuple):
    """A law and how well the series determines it."""

    process: Process
    """The law with the most likely parameters."""
    parameters: pd.DataFrame
    """Columns `estimate` and `standard_error`, a row for each parameter."""
    log_likelihood: float
    """Of the series, in nats; with an AR(1) mean, of all but its first point."""


@checked
def fit_argarch(
    series: Any, innovations: str = "student", *, autoregressive: bool = True, asymmetric: bool = False
) -> Fit:
    """Fit an AR(1)–GARCH(1, 1), the reference model of Section 5.2, by maximum likelihood with `arch`.

    The series' mean is taken out first and kept as that of the process.

    Args:
        series: one series (length,) of at least 250 returns, in the units in which paths are wanted.
        innovations: "student" (the paper's reference), "gaussian", or "skewed student".
        autoregressive: whether there is an AR(1) mean; without it φ is 0.
        asymmetric: whether falls may count for more than rises in the variance.

    Returns:
        The process, the parameters φ, ω, α, β (and γ, ν, λ) with robust standard errors, and the log-likelihood.

    Raises:
        ValueError: a series that is too short or constant, or whose most likely law has no finite variance.

    Example:
        >>> import mfmgdm_lib as mm
        >>> fit = fit_argarch(mm.processes.ARGARCH(-0.1, 0.05, 0.1, 0.85).sample(1, 4096, seed=0)[0], "gaussian")
        >>> fit.parameters["estimate"].round(1).to_dict()
        {'phi': -0.1, 'omega': 0.0, 'alpha': 0.1, 'beta': 0.9}
    """
    from arch.univariate import ARX, GARCH, ZeroMean  # slow to import

    check_member("innovations", innovations, _INNOVATIONS)
    asymmetric, autoregressive = bool(asymmetric), bool(autoregressive)
    scaled, mean, scale = standardised(series)
    parts: dict[str, Any] = {
        "volatility": GARCH(o=int(asymmetric)),
        "distribution": arch_law(innovations),
        "rescale": False,
    }
    model = ARX(scaled, lags=1, constant=False, **parts) if autoregressive else ZeroMean(scaled, **parts)
    found = most_likely(model, "a GARCH(1, 1)", "Start from white noise.")
    names = ["phi"] * autoregressive + ["omega", "alpha"] + ["asymmetry"] * asymmetric + ["beta"]
    names += {"gaussian": [], "student": ["degrees_of_freedom"]}.get(innovations, ["degrees_of_freedom", "skew"])
    units = np.array([scale**2 if name == "omega" else 1.0 for name in names])
    table = pd.DataFrame(
        {"estimate": found.params.to_numpy() * units, "standard_error": found.std_err.to_numpy() * units}, index=names
    )
    arguments = {"phi": 0.0, **{str(name): float(value) for name, value in table["estimate"].items()}}
    if asymmetric:  # the optimiser's own limit, which round-off may pass
        arguments["asymmetry"] = max(arguments["asymmetry"], -arguments["alpha"])
    sums = "alpha + asymmetry E[e² 1(e < 0)] + beta" if asymmetric else "alpha + beta"
    persistence = _persistence(arguments)
    if persistence >= _PERSISTENT:
        raise ValueError(
            f"the most likely GARCH(1, 1) of the series has {sums} = {persistence:.6f}; expected a law of finite"
            " variance. Use a longer series, or start from white noise."
        )
    check_stationary(arguments["phi"])
    # An AR(1) has no density for the first point: `arch` leaves it out.
    log_likelihood = float(found.loglikelihood) - (len(scaled) - autoregressive) * math.log(scale)
    return Fit(ARGARCH(**arguments, mean=mean), table, log_likelihood)


def standardised(series: Any) -> tuple[np.ndarray, float, float]:
    """Return a series of at least 250 points in standard deviations from its mean, its mean and its deviation.

    Optimisers are made for values around 1.
    """
    values = as_series("series", series, minimum_length=_SHORTEST).double().cpu().numpy()
    mean, scale = float(values.mean()), float(values.std())
    return (values - mean) / scale, mean, scale


def arch_law(innovations: str) -> Any:
    """Return the distribution of `arch` for "gaussian", "student" or "skewed student" innovations."""
    from arch.univariate import Normal, SkewStudent, StudentsT  # slow to import

    laws: dict[str, Any] = {"gaussian": Normal, "student": StudentsT, "skewed student": SkewStudent}
    return laws[innovations]()


def most_likely(model: Any, said: str, mend: str, **options: Any) -> Any:
    """Return the fit of a model of `arch`; `said` and `mend` are what a failure calls it and what else to do.

    Raises:
        ValueError: an optimiser that has not converged.
    """
    # The optimiser makes round-off a millionth of its result, and so would the number of threads.
    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore")  # convergence is looked at below
        found = model.fit(disp="off", show_warning=False, **options)
    if found.convergence_flag != 0:
        raise ValueError(
            f"the likelihood of {said} of the series has no maximum that was found (optimiser:"
            f" {found.convergence_flag}); expected a series with quiet and wild stretches. {mend}"
        )
    return found


def check_stationary(phi: float) -> None:
    """Refuse the φ of a fitted AR(1) that is not stationary.

    Raises:
        ValueError: one at the limit or beyond it.
    """
    if abs(phi) >= _PERSISTENT:
        raise ValueError(
            f"the most likely AR(1) of the series has phi = {phi:.6f}; expected a stationary one. Use returns or"
            " differences, not levels."
        )


def _persistence(arguments: dict[str, float]) -> float:
    """What is left of a deviation of the variance a point later, also where that is more than the deviation."""
    law = innovation_law(arguments.get("degrees_of_freedom"), arguments.get("skew"))
    return arguments["alpha"] + arguments["beta"] + law.semivariance * arguments.get("asymmetry", 0.0)


def fit_with_variance(series: Any) -> ARGARCH:
    """Return the most likely AR(1)–GARCH(1, 1) with an asymmetry and a skew of those with the variance of the series.

    Where the variance persists, a likelihood hardly sees its mean (Engle and Mezrich, 1996): that of the most likely
    law of all may be ten times that of the series, or infinite, and the optimiser of `arch` stops at the limit where
    that begins. The variance is given here, and the memory 1 / (1 − persistence) is at most the length of the series.
    """
    scaled, mean, scale = standardised(series)
    student = arch_law("skewed student")

    def law(parameters: np.ndarray) -> dict[str, float]:
        phi, log_memory, weight, falls, tail, skew = (float(value) for value in parameters)
        shape = [1.0 / tail, skew]  # a tail of 0 is Gaussian, to which the likelihood tends evenly in 1/ν
        persistence, share = 1.0 - math.exp(-log_memory), float(student.partial_moment(2, 0.0, shape))
        # The last innovation has a part `weight` of what persists, and falls a part `falls` of that.
        after_rise = persistence * weight * (1.0 - falls) / (1.0 - share)
        after_fall = persistence * weight * falls / share
        return {
            "phi": phi,
            "omega": (1.0 - phi**2) * (1.0 - persistence),
            "alpha": after_rise,
            "beta": persistence * (1.0 - weight),
            "degrees_of_freedom": shape[0],
            "asymmetry": max(after_fall - after_rise, -after_rise),
            "skew": shape[1],
        }

    def loss(parameters: np.ndarray) -> float:
        found = law(parameters)
        phi, root = found["phi"], math.sqrt(1.0 - found["phi"] ** 2)
        innovations = np.r_[root * scaled[0], scaled[1:] - phi * scaled[:-1]]
        weights = np.where(innovations < 0.0, found["alpha"] + found["asymmetry"], found["alpha"])
        inputs = np.r_[root**2, found["omega"] + weights[:-1] * innovations[:-1] ** 2]
        variances = scipy.signal.lfilter([1.0], [1.0, -found["beta"]], inputs)
        shape = np.array([found["degrees_of_freedom"], found["skew"]])
        log_likelihood = float(student.loglikelihood(shape, innovations, variances)) + math.log(root)
        return -log_likelihood / len(scaled)

    bounds = [
        (-_PERSISTENT, _PERSISTENT),
        (math.log(2.0), math.log(len(scaled))),
        (0.0, 1.0),
        (0.0, 1.0),
        (1.0 / 300.0, 1.0 / FEWEST_DEGREES),
        (-0.99, 0.99),
    ]
    start = [0.0, math.log(50.0), 0.1, 0.5, 1.0 / 6.0, 0.0]  # as daily returns have them
    with one_thread():
        found = scipy.optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds)
    check_stationary(float(found.x[0]))
    arguments = law(found.x)
    return ARGARCH(**{**arguments, "omega": arguments["omega"] * scale**2}, mean=mean)


def fit_student(series: Any) -> Fit:
    """Fit independent Student t draws by maximum likelihood with SciPy.

    Args:
        series: one series (length,) of at least 250 points.

    Returns:
        The process, its degrees of freedom and standard deviation (without standard errors), and the log-likelihood.

    Raises:
        ValueError: a series that is too short or constant, or tails so heavy that the variance is infinite.

    Example:
        >>> import mfmgdm_lib as mm
        >>> fit = fit_student(mm.processes.StudentNoise(5.0).sample(1, 8192, seed=0)[0])
        >>> round(fit.process.degrees_of_freedom)
        5
    """
    values = as_series("series", series, minimum_length=_SHORTEST).double().cpu().numpy()
    centre, unit = float(values.mean()), float(values.std())
    nu, location, scale = scipy.stats.t.fit((values - centre) / unit)  # the optimiser starts at 0 and 1
    mean, scale = centre + unit * location, unit * scale
    if not 2.0 < nu < 1e6:
        raise ValueError(
            f"the most likely Student t of the series has {nu:.3g} degrees of freedom; expected more than 2, for a"
            " finite variance, and fewer than a million. Start from white noise."
        )
    stddev = scale * math.sqrt(nu / (nu - 2.0))
    table = pd.DataFrame(
        {"estimate": [nu, mean, stddev], "standard_error": math.nan}, index=["degrees_of_freedom", "mean", "stddev"]
    )
    return Fit(StudentNoise(nu, mean, stddev), table, float(scipy.stats.t.logpdf(values, nu, mean, scale).sum()))
