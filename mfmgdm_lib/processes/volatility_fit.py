"""Maximum-likelihood fits of volatility models to one series, with `arch`."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import torch

from mfmgdm_lib._checks import check_member
from mfmgdm_lib.processes.fits import arch_law, check_stationary, most_likely, standardised
from mfmgdm_lib.processes.volatility import VARIANCES, VolatilityModel

__all__ = ["MODELS", "fit_volatility"]

_LAWS = {"n": "gaussian", "t": "student", "skewt": "skewed student"}

MODELS = tuple(f"{mean}{variance}-{law}" for mean, variance, law in product(("", "ar"), VARIANCES, _LAWS))
"""Names that `fit_volatility` takes: "ar" for an AR(1) mean, a variance, and the law of the innovations."""


def fit_volatility(series: Any, model: str = "argarch-t") -> VolatilityModel:
    """Fit a volatility model by maximum likelihood with `arch`, in the units of the series.

    The recursion starts as that of `arch`, from a weighted mean of the first 75 squares, so that the densities of the
    series are those that `arch` has maximised; with an AR(1) mean, other than that of the first point. The limits of
    its search hold here too: α + β (with γ/2 for gjr) is at most 1, and ν at least 2.05.

    Args:
        series: one series (length,) of at least 250 returns.
        model: one of `MODELS`, such as "gjr-skewt" or "aregarch-n".

    Returns:
        The most likely law, whose variance may be infinite.

    Raises:
        ValueError: another name, a series that is too short, constant or of levels, an optimiser that has not
            converged, or one that has ended where `arch` cuts variances off.

    Example:
        >>> from mfmgdm_lib.processes import GARCH
        >>> law = fit_volatility(GARCH(0.05, 0.1, 0.85).sample(1, 4096, seed=0)[0], "garch-n")
        >>> round(law.alpha, 1), round(law.beta, 1), law.degrees_of_freedom
        (0.1, 0.9, None)
    """
    check_member("model", model, MODELS)
    name, _, innovations = model.partition("-")
    variance = name.removeprefix("ar")
    scaled, mean, scale = standardised(series)
    first = int(variance != name)  # an AR(1) has no density for the first point: `arch` leaves it out
    built = _arch_model(scaled, variance, arch_law(_LAWS[innovations]), autoregressive=bool(first))
    found = most_likely(built, f"{model!r}", _MEND, options={"maxiter": 1000})
    values = {_NAMES[str(key)]: float(value) for key, value in found.params.items()}
    phi = values.get("phi", 0.0)
    check_stationary(phi)
    values["mean"] = mean + scale * values["mean"] / (1.0 - phi)  # of a constant: `arch` adds φ x, not φ (x − μ)
    start = scale * float(found.conditional_volatility[first])
    law = VolatilityModel(variance, start=start, **_in_units(values, variance, scale))
    with np.errstate(all="ignore"):  # of scales without any limit
        ours = float(law.log_densities(torch.from_numpy(mean + scale * scaled))[first:].sum())
    theirs = float(found.loglikelihood) - (len(scaled) - first) * math.log(scale)
    if not abs(ours - theirs) < _CUT_OFF:
        raise ValueError(
            f"the most likely {model!r} of the series has {theirs:.6g} nats with variances that arch has cut off, and"
            f" {ours:.6g} without; expected a law with the same. {_MEND}"
        )
    return law


_CUT_OFF = 1e-3
"""Nats by which a variance that `arch` has cut off moves a likelihood at least; round-off moves it by 10⁻⁸."""

_MEND = "Use another of processes.volatility_fit.MODELS, such as 'garch-n', or a longer series."

_NAMES = {
    **{"mu": "mean", "Const": "mean", "y[1]": "phi"},
    **{"omega": "omega", "alpha[1]": "alpha", "gamma[1]": "asymmetry", "beta[1]": "beta", "delta": "power"},
    **{"nu": "degrees_of_freedom", "eta": "degrees_of_freedom", "lambda": "skew"},
}
"""What `arch` calls the parameters, and what they are called here."""


def _arch_model(scaled: np.ndarray, variance: str, law: Any, *, autoregressive: bool) -> Any:
    """The model of `arch` of a standardised series."""
    from arch.univariate import APARCH, ARX, EGARCH, GARCH, ConstantMean  # slow to import

    recursion = {"garch": GARCH, "gjr": GARCH, "egarch": EGARCH, "aparch": APARCH}[variance]
    parts = {"volatility": recursion(o=int(variance != "garch")), "distribution": law, "rescale": False}
    return ARX(scaled, lags=1, **parts) if autoregressive else ConstantMean(scaled, **parts)


def _in_units(values: dict[str, float], variance: str, scale: float) -> dict[str, float]:
    """Parameters of a standardised series as those of the series, within the limits that round-off may pass."""
    found = dict(values)
    if variance == "egarch":
        found["omega"] += (1.0 - found["beta"]) * 2.0 * math.log(scale)
        return found
    found |= {name: max(found[name], 0.0) for name in ("omega", "alpha", "beta")}
    found["omega"] *= scale ** found.get("power", 2.0)
    if variance == "gjr":
        found["asymmetry"] = max(found["asymmetry"], -found["alpha"])
    return found
