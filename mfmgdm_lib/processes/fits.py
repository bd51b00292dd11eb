"""Maximum-likelihood fits of laws to one series, and the starting laws of Section 5.2."""

from __future__ import annotations

import inspect
import math
import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor

from mfmgdm_lib._checks import as_series, check_member
from mfmgdm_lib.processes.base import Process, Seed
from mfmgdm_lib.processes.copula import GaussianCopula
from mfmgdm_lib.processes.garch import ARGARCH
from mfmgdm_lib.processes.noise import StudentNoise, WhiteNoise

__all__ = ["STARTS", "Fit", "fit_argarch", "fit_student", "starting_law", "starting_paths"]

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
    from arch.univariate import ARX, GARCH, Normal, SkewStudent, StudentsT, ZeroMean  # slow to import

    check_member("innovations", innovations, _INNOVATIONS)
    values = as_series("series", series, minimum_length=_SHORTEST).double().cpu().numpy()
    mean, scale = float(values.mean()), float(values.std())
    laws: dict[str, Any] = {"gaussian": Normal, "student": StudentsT, "skewed student": SkewStudent}
    parts: dict[str, Any] = {
        "volatility": GARCH(o=int(asymmetric)),
        "distribution": laws[innovations](),
        "rescale": False,
    }
    scaled = (values - mean) / scale  # the optimiser is made for values around 1
    model = ARX(scaled, lags=1, constant=False, **parts) if autoregressive else ZeroMean(scaled, **parts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # convergence is looked at below
        found = model.fit(disp="off", show_warning=False)
    names = ["phi"] * autoregressive + ["omega", "alpha"] + ["asymmetry"] * asymmetric + ["beta"]
    names += {"gaussian": [], "student": ["degrees_of_freedom"]}.get(innovations, ["degrees_of_freedom", "skew"])
    units = np.array([scale**2 if name == "omega" else 1.0 for name in names])
    table = pd.DataFrame(
        {"estimate": found.params.to_numpy() * units, "standard_error": found.std_err.to_numpy() * units}, index=names
    )
    arguments = {"phi": 0.0, **{str(name): float(value) for name, value in table["estimate"].items()}}
    if asymmetric:  # the optimiser's own limit, which round-off may pass
        arguments["asymmetry"] = max(arguments["asymmetry"], -arguments["alpha"])
    if found.convergence_flag != 0:
        raise ValueError(
            f"the likelihood of a GARCH(1, 1) of the series has no maximum that was found (optimiser:"
            f" {found.convergence_flag}); expected a series with quiet and wild stretches. Start from white noise."
        )
    sums = "alpha + asymmetry E[e² 1(e < 0)] + beta" if asymmetric else "alpha + beta"
    persistence = _persistence(arguments)
    if persistence >= _PERSISTENT:
        raise ValueError(
            f"the most likely GARCH(1, 1) of the series has {sums} = {persistence:.6f}; expected a law of finite"
            " variance. Use a longer series, or start from white noise."
        )
    if abs(arguments["phi"]) >= _PERSISTENT:
        raise ValueError(
            f"the most likely AR(1) of the series has phi = {arguments['phi']:.6f}; expected a stationary one. Use"
            " returns or differences, not levels."
        )
    # An AR(1) has no density for the first point: `arch` leaves it out.
    log_likelihood = float(found.loglikelihood) - (len(values) - autoregressive) * math.log(scale)
    return Fit(ARGARCH(**arguments, mean=mean), table, log_likelihood)


def _persistence(arguments: dict[str, float]) -> float:
    """What is left of a deviation of the variance a point later, also where that is more than the deviation."""
    still = {name: value for name, value in arguments.items() if name in ("degrees_of_freedom", "skew")}
    # The asymmetry of a law that is finite for certain: what it leaves is linear in it.
    share = ARGARCH(0.0, 1.0, 0.0, 0.0, asymmetry=0.1, **still).persistence / 0.1
    return arguments["alpha"] + arguments["beta"] + share * arguments.get("asymmetry", 0.0)


def with_variance_of(series: Any, fitted: ARGARCH) -> ARGARCH:
    """A fitted GARCH with the variance of the series in place of its own (Engle and Mezrich, 1996).

    Where the variance persists, a likelihood hardly sees its mean: that of the most likely law may be ten times that
    of the series.
    """
    stddev = float(as_series("series", series).double().std(correction=0))
    arguments = {name: getattr(fitted, name) for name in inspect.signature(ARGARCH).parameters}
    return ARGARCH(**{**arguments, "omega": fitted.omega * (stddev / fitted.stddev) ** 2})


STARTS = ("noise", "student", "garch", "argarch", "argarch-t", "argjr-skewt")
"""Laws that paths may start from; all but white noise are fitted to the series."""

_BURN_IN = 1000
"""Points of a GARCH that are dropped, so that its variance has forgotten where it began (Section 5.2)."""


def starting_law(series: Any, start: str) -> Process:
    """The law q_0 of the paths that a descent towards a standardised series starts from.

    Args:
        series: one standardised series (length,).
        start: "noise", standard white noise as in the paper; "student", independent t draws; "garch", a GARCH(1, 1)
            with Gaussian innovations (Figure 10); "argarch", the same around an AR(1) mean; "argarch-t", that with t
            innovations, the reference model of Section 5.2; or "argjr-skewt", that with an asymmetry, a skew, and the
            variance of the series.

    Raises:
        ValueError: another name, or a series that the law cannot be fitted to.
    """
    if check_member("start", start, STARTS) == "noise":
        return WhiteNoise()
    if start == "student":
        return fit_student(series).process
    if start == "argjr-skewt":
        fitted = fit_argarch(series, "skewed student", asymmetric=True).process
        assert isinstance(fitted, ARGARCH)
        return with_variance_of(series, fitted)
    innovations = "student" if start == "argarch-t" else "gaussian"
    return fit_argarch(series, innovations, autoregressive=start != "garch").process


def starting_paths(start: Process, n: int, length: int, seed: Seed) -> Tensor:
    """Draw `n` paths of a starting law, (n, length) float64; those of a GARCH without their first 1000 points.

    Those of a `GaussianCopula` are (n, C, length), without these points too.
    """
    if isinstance(start, GaussianCopula):
        return start.sample(n, (len(start.laws), _BURN_IN + length), seed)[..., _BURN_IN:].contiguous()
    if not isinstance(start, ARGARCH):
        return start.sample(n, length, seed)
    return start.sample(n, _BURN_IN + length, seed)[:, _BURN_IN:].contiguous()


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
    import scipy.stats

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
