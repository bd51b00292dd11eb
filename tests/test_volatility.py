"""Volatility models: densities and scales against arch, paths against innovations, quantiles, samples and refusals."""

from __future__ import annotations

import json
import math
import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from arch.univariate import APARCH, ARX, EGARCH, ConstantMean, Normal, SkewStudent, StudentsT
from arch.univariate import GARCH as ArchGARCH
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.processes import GARCH, ConditionalLaw, VolatilityModel, fit_volatility
from mfmgdm_lib.processes.volatility_fit import MODELS
from mfmgdm_lib.specification import parse

ROUND_OFF = 1e-12
"""Of numbers of order 1 after some dozen operations; a recursion forgets that of its past."""

every_model = pytest.mark.parametrize("model", MODELS)

LAWS = {
    "garch": VolatilityModel("garch", 0.1, 0.1, 0.8, start=1.5),
    "integrated, ar, t": VolatilityModel(
        "garch", 0.02, 0.1, 0.9, start=0.7, mean=0.3, phi=-0.2, degrees_of_freedom=5.0
    ),
    "gjr, skewt": VolatilityModel("gjr", 0.1, 0.05, 0.8, start=1.5, asymmetry=0.2, degrees_of_freedom=8.0, skew=-0.2),
    "gjr, rises": VolatilityModel("gjr", 0.1, 0.15, 0.8, start=1.5, asymmetry=-0.15),
    "egarch, ar": VolatilityModel("egarch", 0.01, 0.2, 0.9, start=2.0, asymmetry=-0.1, mean=-1.0, phi=0.5),
    "egarch, t": VolatilityModel("egarch", 0.01, 0.2, 0.95, start=0.1, asymmetry=-0.2, degrees_of_freedom=5.0),
    "aparch, ar, skewt": VolatilityModel(
        *("aparch", 0.05, 0.1, 0.85),
        **{"start": 1.2, "asymmetry": 0.7, "power": 1.1, "phi": 0.1, "degrees_of_freedom": 7.0, "skew": 0.2},
    ),
}
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=list(LAWS))


@cache
def series() -> Tensor:
    """Percent returns with falls, clusters and heavy tails, in units in which neither mean nor size is simple."""
    law = VolatilityModel(
        *("gjr", 0.05, 0.04, 0.86),
        **{"start": 1.0, "asymmetry": 0.12, "mean": 0.05, "phi": -0.1, "degrees_of_freedom": 6.0, "skew": -0.1},
    )
    return 1.7 * law.sample(1, 1500, given=[0.0], seed=11)[0]


@cache
def fitted(model: str) -> VolatilityModel:
    return fit_volatility(series(), model)


def past(law: VolatilityModel, points: int = 30) -> Tensor:
    return law.sample(1, points, given=[law.mean + 0.3], seed=5)[0]


def arch_model(model: str, values: np.ndarray) -> Any:
    """The model of arch, in the units of the series."""
    name, _, law = model.partition("-")
    recursion = {"garch": ArchGARCH, "gjr": lambda: ArchGARCH(o=1), "egarch": lambda: EGARCH(o=1), "aparch": APARCH}
    parts = {
        "volatility": recursion[name.removeprefix("ar")](),
        "distribution": {"n": Normal, "t": StudentsT, "skewt": SkewStudent}[law](),
        "rescale": False,
    }
    return ARX(values, lags=1, **parts) if name != name.removeprefix("ar") else ConstantMean(values, **parts)


def arch_parameters(law: VolatilityModel) -> np.ndarray:
    mean = [law.mean] if law.phi is None else [law.mean * (1 - law.phi), law.phi]
    asymmetry = [] if law.asymmetry is None else [law.asymmetry]
    variance = [law.omega, law.alpha, *asymmetry, law.beta, *([] if law.power is None else [law.power])]
    shape = [value for value in (law.degrees_of_freedom, law.skew) if value is not None]
    return np.array([*mean, *variance, *shape])


# --- against arch ------------------------------------------------------------------------------------------------


@every_model
def test_densities_and_scales_of_the_fitted_series_are_those_of_arch(model: str) -> None:
    law, values = fitted(model), series().numpy()
    first = int(law.phi is not None)
    ours = law.log_densities(series())[first:].numpy()
    scaled = (values - values.mean()) / values.std()  # as it was fitted, since backcasts of other powers have units
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = arch_model(model, scaled).fit(disp="off", show_warning=False, options={"maxiter": 1000})
    residuals = found.resid[first:]
    shape = found.params.to_numpy()[len(found.params) - law_parameters(law) :]
    theirs = found.model.distribution.loglikelihood(
        shape, residuals, found.conditional_volatility[first:] ** 2, individual=True
    )
    # Two optimisers on one thread end at the same bits; other sums of 1500 points leave a millionth.
    assert ours.sum() == pytest.approx(found.loglikelihood - len(residuals) * math.log(values.std()), abs=1e-8)
    np.testing.assert_allclose(ours, theirs - math.log(values.std()), rtol=0, atol=1e-10)
    scales = law.innovations(series())[1][first:].numpy()
    np.testing.assert_allclose(scales, values.std() * found.conditional_volatility[first:], rtol=1e-10)


def law_parameters(law: VolatilityModel) -> int:
    return (law.degrees_of_freedom is not None) + (law.skew is not None)


@every_model
def test_variances_are_those_of_arch_in_the_units_of_the_series(model: str) -> None:
    law, values = fitted(model), series().numpy()
    built = arch_model(model, values)
    first = int(law.phi is not None)
    parameters = arch_parameters(law)
    residuals = values - parameters[0]
    if first:
        residuals = residuals[1:] - parameters[1] * values[:-1]
    variances = np.empty_like(residuals)
    end = len(parameters) - law_parameters(law)
    # arch's first variance is not that of the law, whose start comes from the standardised series: what it forgets.
    built.volatility.compute_variance(
        parameters[1 + first : end], residuals, variances, law.start**2, np.tile([0.0, np.inf], (len(residuals), 1))
    )
    scales = law.innovations(series())[1][first:].numpy()
    forgotten = 1000  # β is at most 0.95 or so, and 0.95¹⁰⁰⁰ is 10⁻²²
    np.testing.assert_allclose(scales[forgotten:], np.sqrt(variances[forgotten:]), rtol=1e-11)


# --- the law -----------------------------------------------------------------------------------------------------


@every_law
def test_paths_of_innovations_are_the_series(law: VolatilityModel) -> None:
    x = law.sample(4, 200, given=past(law), seed=0)
    noise, scales = law.innovations(x, given=past(law))
    assert noise.shape == scales.shape == x.shape and noise.dtype == scales.dtype == torch.float64
    torch.testing.assert_close(law.paths(noise, given=past(law)), x, rtol=1e-9, atol=1e-9)
    # In one go with the past, too.
    whole = torch.cat([past(law).expand(4, -1), x], -1)
    torch.testing.assert_close(law.innovations(whole)[0][:, len(past(law)) :], noise, rtol=0, atol=1e-9)
    torch.testing.assert_close(law.innovations(whole)[1][:, len(past(law)) :], scales, rtol=1e-12, atol=0)
    noise, scales = law.innovations(whole[0])
    again = law.paths(noise[None, 7:], given=whole[0, :7])[0]
    torch.testing.assert_close(again, whole[0, 7:], rtol=1e-9, atol=1e-9)


def recursion(law: VolatilityModel, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and scales of one series, point by point from the definition."""
    means, scales = [law.mean], [law.start]
    for t, value in enumerate(x[:-1]):
        scale, gamma = scales[-1], law.asymmetry or 0.0
        e = value - means[-1]
        means.append(law.mean + (law.phi or 0.0) * (value - law.mean))
        if t == 0 and law.phi is not None:
            scales.append(scale)
        elif law.variance == "egarch":
            news = law.alpha * (abs(e / scale) - math.sqrt(2 / math.pi)) + gamma * e / scale
            scales.append(math.exp(0.5 * (law.omega + news + law.beta * math.log(scale**2))))
        elif law.variance == "aparch":
            power = law.power or math.nan
            news = law.alpha * (abs(e) - gamma * e) ** power
            scales.append((law.omega + news + law.beta * scale**power) ** (1 / power))
        else:
            scales.append(math.sqrt(law.omega + (law.alpha + gamma * (e < 0)) * e * e + law.beta * scale**2))
    return np.array(means), np.array(scales)


@every_law
def test_every_part_of_the_law_is_that_of_the_recursion(law: VolatilityModel) -> None:
    x = past(law, 60)
    means, scales = recursion(law, x.numpy())
    noise = (x.numpy() - means) / scales
    np.testing.assert_allclose(law.innovations(x)[0].numpy(), noise, rtol=0, atol=1e-11)
    np.testing.assert_allclose(law.innovations(x)[1].numpy(), scales, rtol=1e-11)
    densities = law.law.log_density(torch.from_numpy(noise)).numpy() - np.log(scales)
    np.testing.assert_allclose(law.log_densities(x).numpy(), densities, rtol=0, atol=1e-10)
    below = law.law.probabilities(torch.from_numpy(noise)).numpy()
    np.testing.assert_allclose(law.probabilities(x).numpy(), below, rtol=1e-9)
    levels = [0.001, 0.3, 0.99]
    expected = means[:, None] + scales[:, None] * law.law.quantiles(torch.tensor(levels, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(law.quantiles(levels, x).numpy(), expected, rtol=1e-10, atol=1e-10)


@every_law
def test_probabilities_of_quantiles_are_their_levels(law: VolatilityModel) -> None:
    x, levels = past(law, 20), torch.tensor([1e-6, 0.01, 0.5, 0.99], dtype=torch.float64)
    quantiles = law.quantiles(levels, x)
    for place in (0, 1, 19):
        for level, quantile in zip(levels, quantiles[place], strict=True):
            moved = x.clone()
            moved[place] = quantile
            # Those of Student's t are good to 10⁻¹⁰, relative in z.
            assert float(law.probabilities(moved)[place]) == pytest.approx(float(level), rel=1e-8)


@every_law
def test_density_of_a_point_integrates_to_one(law: VolatilityModel) -> None:
    # The trapezium rule in asinh, in which the integrand vanishes exponentially, around where the point is.
    given = past(law)
    scale = float(law.innovations(torch.zeros(1, 1, dtype=torch.float64), given=given)[1])
    s = torch.linspace(-12.0, 12.0, 1201, dtype=torch.float64)
    weights = torch.cosh(s) * scale * (s[1] - s[0])
    densities = law.log_prob((law.mean + scale * torch.sinh(s))[:, None], given=given).exp()
    # Beyond e¹² a t of 5 degrees has e⁻⁶⁰. The kink of a skew at the mode is one of the third derivative.
    assert float(densities @ weights) == pytest.approx(1.0, abs=1e-6 if law.skew else 1e-10)


@every_law
def test_log_prob_is_the_sum_over_the_points_after_the_past(law: VolatilityModel) -> None:
    given = past(law)
    x = law.sample(6, 9, given=given, seed=2).reshape(2, 3, 9)
    expected = law.log_densities(torch.cat([given.expand(2, 3, -1), x], -1))[..., len(given) :].sum(-1)
    assert law.log_prob(x, given=given).shape == (2, 3)
    torch.testing.assert_close(law.log_prob(x, given=given), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(ConditionalLaw.log_prob(law, x, given=given), expected, rtol=0, atol=1e-12)
    for other in (given.numpy(), pd.Series(given.numpy()), given.tolist()):
        assert torch.equal(law.log_prob(x, given=other), law.log_prob(x, given=given))
    single = law.log_prob(x.float(), given=given)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), expected, rtol=1e-4, atol=1e-4)


@every_law
def test_sample_has_the_means_and_variances_of_the_next_points(law: VolatilityModel) -> None:
    n, given = 40_000, past(law)
    x = law.sample(n, 2, given=given, seed=3)
    assert x.shape == (n, 2) and x.dtype == torch.float64
    whole = torch.cat([given, torch.zeros(1, dtype=torch.float64)])
    scale = float(law.innovations(whole)[1][-1])
    mean = law.mean + (law.phi or 0.0) * (float(given[-1]) - law.mean)
    first = (x[:, 0] - mean) / scale
    # 4.5 standard errors; the fourth moments are finite, from 5 degrees of freedom.
    assert float(first.mean()) == pytest.approx(0.0, abs=4.5 / n**0.5)
    assert float(first.square().mean()) == pytest.approx(1.0, abs=4.5 * float(first.square().std()) / n**0.5)
    second = x[:, 1] - law.mean - (law.phi or 0.0) * (x[:, 0] - law.mean)
    noise = second / law.innovations(x, given=given)[1][:, 1]
    assert float(noise.mean()) == pytest.approx(0.0, abs=4.5 / n**0.5)
    assert float(noise.square().mean()) == pytest.approx(1.0, abs=4.5 * float(noise.square().std()) / n**0.5)
    if law.variance in ("garch", "gjr"):  # E σ² a day later is in closed form
        expected = law.omega + (law.alpha + (law.asymmetry or 0.0) * law.law.semivariance + law.beta) * scale**2
        squares = second.square()
        assert float(squares.mean()) == pytest.approx(expected, abs=4.5 * float(squares.std()) / n**0.5)


@every_law
def test_probabilities_of_samples_are_uniform(law: VolatilityModel) -> None:
    x = law.sample(1, 5000, given=past(law), seed=4)[0]
    found = scipy.stats.kstest(law.probabilities(torch.cat([past(law), x]))[30:].numpy(), "uniform")
    assert found.statistic < 1.95 / 5000**0.5  # one law in a thousand passes it (Kolmogorov)


def test_scale_without_omega_is_that_of_riskmetrics() -> None:
    law = VolatilityModel("garch", 0.0, 0.06, 0.94, start=1.0)
    squares = law.innovations(torch.tensor([3.0, 0.0, -1.0], dtype=torch.float64))[1].square()
    np.testing.assert_allclose(squares, [1.0, 0.94 + 0.06 * 9.0, 0.94 * (0.94 + 0.06 * 9.0)], rtol=1e-15)


def test_seed_and_number_of_paths_leave_paths_as_they_are() -> None:
    for law in LAWS.values():
        x = law.sample(5, 8, given=past(law), seed=(1, 2))
        assert torch.equal(law.sample(2, 8, given=past(law), seed=(1, 2)), x[:2])
        assert not torch.equal(law.sample(5, 8, given=past(law), seed=(1, 3)), x)


def test_garch_is_the_process_given_its_past() -> None:
    process = GARCH(0.1, 0.2, 0.7)
    law = VolatilityModel("garch", 0.1, 0.2, 0.7, start=1.0)  # the stationary scale, from which the process starts
    x = process.sample(3, 50, seed=0)
    torch.testing.assert_close(law.log_densities(x).sum(-1), process.log_prob(x), rtol=0, atol=50 * ROUND_OFF)
    torch.testing.assert_close(
        law.log_prob(x[:1, 20:], given=x[0, :20]),
        process.log_prob(x[:1]) - process.log_prob(x[:1, :20]),
        rtol=0,
        atol=50 * ROUND_OFF,
    )


@every_law
def test_law_comes_back_from_its_description(law: VolatilityModel) -> None:
    again = mm.from_spec(json.loads(json.dumps(mm.spec(law))), kind=VolatilityModel)
    assert mm.spec(again) == mm.spec(law)
    assert torch.equal(again.sample(2, 5, given=past(law), seed=0), law.sample(2, 5, given=past(law), seed=0))
    assert repr(mm.from_spec(parse(repr(law)))) == repr(law)


# --- the fit -----------------------------------------------------------------------------------------------------


def test_names_are_twenty_four() -> None:
    assert len({*MODELS}) == 24 and {"garch-n", "argarch-t", "aregarch-skewt", "aparch-t"} < {*MODELS}


@pytest.mark.parametrize("model", ["garch-n", "argjr-skewt", "aregarch-t", "aparch-n"])
def test_units_of_the_series_are_those_of_the_fit(model: str) -> None:
    factor = 2.0**-7  # leaves the standardised series as it is, to the last bit
    law, other = fitted(model), fit_volatility(factor * series(), model)
    x = series()[:100]
    torch.testing.assert_close(
        other.log_densities(factor * x), law.log_densities(x) - math.log(factor), rtol=0, atol=1e-10
    )
    assert other.start == pytest.approx(factor * law.start, rel=1e-12)
    assert other.mean == pytest.approx(factor * law.mean, rel=1e-12)


def test_parameters_that_made_the_series_are_found() -> None:
    law = VolatilityModel("egarch", 0.0, 0.2, 0.9, start=1.0, asymmetry=-0.15, mean=0.5, phi=0.3)
    found = fit_volatility(law.sample(1, 8000, given=[0.5], seed=6)[0], "aregarch-n")
    # Some four standard errors, which arch says are 0.015, 0.010, 0.008, 0.011 and 0.01 here.
    assert found.asymmetry == pytest.approx(-0.15, abs=0.04)
    assert (found.alpha, found.beta, found.phi) == pytest.approx((0.2, 0.9, 0.3), abs=0.05)


def test_series_may_be_anything_that_holds_one() -> None:
    law = fitted("garch-n")
    for other in (series().numpy(), pd.Series(series().numpy()), series().tolist()):
        assert mm.spec(fit_volatility(other, "garch-n")) == mm.spec(law)


def test_variance_without_end_is_fitted() -> None:
    law = LAWS["integrated, ar, t"]
    found = fit_volatility(law.sample(1, 2000, given=[0.3], seed=0)[0], "argarch-t")
    assert found.alpha + found.beta == pytest.approx(1.0, abs=0.01)
    assert torch.isfinite(found.sample(10, 50, given=series(), seed=0)).all()


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.arange(249.0), "series has 249 points; expected at least 250. Use a longer series"),
        (np.ones(300), r"series is constant at 1\.0; expected a series that varies"),
        (np.r_[np.arange(299.0), np.nan], "series has 1 entries that are NaN or infinite"),
        (np.ones((2, 300)), r"series has shape \(2, 300\); expected \(length,\)"),
        (np.tile([1.0, -1.0], 500), "of the series has .*expected a s.* Use"),
    ],
    ids=["short", "constant", "not finite", "two series", "to and fro"],
)
def test_series_that_cannot_be_fitted_is_said(values: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_volatility(values)


def test_unknown_model_is_said() -> None:
    with pytest.raises(ValueError, match="model is 'garch'; expected one of 'garch-n', 'garch-t'"):
        fit_volatility(series(), "garch")


def test_optimiser_that_does_not_converge_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from arch.univariate.base import ARCHModelResult

    monkeypatch.setattr(ARCHModelResult, "convergence_flag", 9)
    with pytest.raises(ValueError, match=r"likelihood of 'gjr-t' .*optimiser: 9\).*Use another of .*MODELS"):
        fit_volatility(series(), "gjr-t")


def test_likelihood_with_variances_that_were_cut_off_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from arch.univariate.base import ARCHModelResult

    monkeypatch.setattr(ARCHModelResult, "loglikelihood", -1000.0)
    with pytest.raises(ValueError, match=r"'egarch-t' .* nats with variances that arch has cut off, and .*Use another"):
        fit_volatility(series(), "egarch-t")


@every_model
def test_wild_series_has_a_law_of_its_own_likelihood_or_none(model: str) -> None:
    values = np.random.default_rng(0).standard_cauchy(2000)
    try:
        law = fit_volatility(values, model)
    except ValueError as error:
        assert "Use another of" in str(error)
        return
    assert torch.isfinite(law.log_densities(torch.from_numpy(values))).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variance": "arch"}, "variance is 'arch'; expected one of 'garch'"),
        ({"omega": -0.1}, "omega is -0.1; expected a number of at least 0"),
        ({"alpha": -0.1}, "alpha is -0.1; expected a number of at least 0"),
        ({"omega": 0.0, "beta": 0.0}, "omega and beta are both 0; expected one above 0"),
        ({"start": 0.0}, "start is 0.0; expected a finite number above 0"),
        ({"phi": 1.0}, "phi is 1.0; expected a number between -1 and 1"),
        ({"mean": math.nan}, "mean is nan; expected a finite number"),
        ({"asymmetry": 0.1}, "asymmetry is 0.1 for garch; expected None: it is a parameter of gjr, egarch, aparch"),
        ({"variance": "gjr"}, "asymmetry is None for gjr; expected a number.* Pass one"),
        ({"variance": "gjr", "asymmetry": -0.2}, "asymmetry is -0.2; expected a number at least -0.1"),
        ({"variance": "gjr", "asymmetry": 0.2, "power": 2.0}, "power is 2.0 for gjr; expected None.*Leave it out"),
        ({"variance": "aparch", "asymmetry": 0.2}, "power is None for aparch; expected a number"),
        ({"variance": "aparch", "asymmetry": 1.0, "power": 1.0}, "asymmetry is 1.0; .* between -1 and 1"),
        ({"variance": "egarch", "asymmetry": 0.0, "beta": 1.1}, "beta is 1.1; expected a number from 0 to 1"),
        ({"degrees_of_freedom": 2.0}, "degrees_of_freedom is 2.0; expected a finite number above 2"),
        ({"skew": 0.1}, "skew is 0.1 with degrees_of_freedom None"),
    ],
)
def test_parameters_that_are_none_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VolatilityModel(**{"variance": "garch", "omega": 0.1, "alpha": 0.1, "beta": 0.8, "start": 1.0, **arguments})


def test_bad_input_is_said() -> None:
    law, x = LAWS["garch"], torch.zeros(2, 3, dtype=torch.float64)
    with pytest.raises(TypeError, match=r"x is a list; expected a torch\.Tensor"):
        law.log_densities([0.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x has 1 entries that are NaN or infinite"):
        law.log_densities(torch.tensor([0.0, math.nan]))
    with pytest.raises(ValueError, match="given has 0 points; expected at least 1"):
        law.log_prob(x, given=[])
    with pytest.raises(ValueError, match=r"given has shape \(2, 3\); expected \(length,\)"):
        law.sample(1, 1, given=x, seed=0)
    with pytest.raises(ValueError, match="given has 1 entries that are NaN"):
        law.paths(x, given=[math.inf, 0.0])
    with pytest.raises(ValueError, match=r"innovations has shape \(3,\); expected \(n, horizon\)"):
        law.paths(x[0], given=[0.0])
    for levels in ([0.0, 0.5], [[0.5]], 0.5, [math.nan]):
        with pytest.raises(ValueError, match=r"levels is .*; expected a sequence of probabilities between 0 and 1"):
            law.quantiles(levels, x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="horizon is 0"):
        law.sample(1, 0, given=[0.0], seed=0)
