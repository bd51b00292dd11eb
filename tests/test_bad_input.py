"""Bad input: each gets an error that names the value, what was expected and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import constraints

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Autocovariance, Energy, StylizedFacts
from mfmgdm_lib.processes import (
    AR,
    ARGARCH,
    CIR,
    GARCH,
    Exponential,
    Process,
    TruncatedGaussian,
    WhiteNoise,
    initial_distribution,
)

ENERGY, PROCESS, START = Autocovariance(), AR([0.1]), WhiteNoise()
TARGET = mm.Target(torch.tensor([0.1, 1.0]).double(), torch.zeros(2).double(), ENERGY.labels, "a test")
PATHS = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 16)))
RETURNS = pd.Series(np.random.default_rng(1).standard_normal(400))


class Cubes(Energy):
    labels = ("cube",)

    def _evaluate(self, x: torch.Tensor) -> torch.Tensor:
        return (x**3).mean(-1, keepdim=True)


CUBES = mm.MGDM(Cubes(), mm.Target(torch.ones(1).double(), torch.ones(1).double(), ("cube",), "a test"), 0.1)


STATE = CUBES.evaluate(PATHS)


def spoiled(value: float) -> torch.Tensor:
    paths = PATHS.clone()
    paths[2, 5] = value
    return paths


def trace(model: mm.Descent | None = None, process: Process = PROCESS, **changes: object) -> mm.DivergenceTrace:
    settings: dict[str, object] = {"n_steps": 2, "n_particles": 4, "length": 16, "seed": 0, **changes}
    return mm.reverse_kl_trace(model or mm.MGDM(ENERGY, TARGET, 0.1), process, START, **settings)  # type: ignore[arg-type]


class Bad(NamedTuple):
    """A call that has to fail, and what its message has to say."""

    call: Callable[[], object]
    error: type[Exception]
    value: str
    expectation: str
    mend: str


CASES = {
    # processes
    "explosive coefficients": Bad(
        lambda: AR([0.5, 0.6]), ValueError, "[0.5, 0.6]", "modulus 1.064, expected below 1", "Shrink the coefficients"
    ),
    "unit root": Bad(lambda: AR([1.0]), ValueError, "[1.0]", "expected below 1", "difference the series first"),
    "NaN coefficient": Bad(lambda: AR([np.nan]), ValueError, "[nan]", "finite numbers", "Give one coefficient"),
    "infinite coefficient": Bad(lambda: AR([np.inf]), ValueError, "[inf]", "finite numbers", "Give one coefficient"),
    "no coefficients": Bad(lambda: AR([]), ValueError, "[]", "non-empty sequence", "Give one coefficient"),
    "matrix of coefficients": Bad(
        lambda: AR([[0.1], [0.2]]), ValueError, "[[0.1], [0.2]]", "sequence of finite", "Give one coefficient"
    ),
    "words for coefficients": Bad(lambda: AR("abc"), ValueError, "'abc'", "finite numbers", "Give one coefficient"),
    "negative innovation_std": Bad(
        lambda: AR([0.1], innovation_std=-1.0), ValueError, "innovation_std is -1.0", "above 0", "Use a positive number"
    ),
    "zero stddev": Bad(lambda: WhiteNoise(stddev=0.0), ValueError, "stddev is 0.0", "above 0", "Use a positive number"),
    "infinite mean": Bad(
        lambda: WhiteNoise(mean=np.inf), ValueError, "mean is inf", "a finite number", "Use one such as 0.0"
    ),
    "negative kappa": Bad(lambda: CIR(-0.5, 1.0, 1.0), ValueError, "kappa is -0.5", "above 0", "Use a positive number"),
    "zero theta": Bad(lambda: CIR(0.5, 0.0, 1.0), ValueError, "theta is 0.0", "above 0", "Use a positive number"),
    "infinite sigma": Bad(lambda: CIR(0.5, 1.0, np.inf), ValueError, "sigma is inf", "finite", "Use a positive number"),
    "NaN dt": Bad(lambda: CIR(0.5, 1.0, 1.0, dt=np.nan), ValueError, "dt is nan", "finite", "Use a positive number"),
    "word for sigma": Bad(
        lambda: CIR(0.5, 1.0, "1"), TypeError, "sigma is '1' (str)", "a number above 0", "Use a positive number"
    ),
    "zero omega": Bad(lambda: GARCH(0.0, 0.1, 0.8), ValueError, "omega is 0.0", "above 0", "Use a positive number"),
    "negative alpha": Bad(
        lambda: GARCH(0.1, -0.1, 0.8), ValueError, "alpha is -0.1", "at least 0", "Use 0.0 to leave it out"
    ),
    "NaN beta": Bad(
        lambda: GARCH(0.1, 0.1, np.nan), ValueError, "beta is nan", "at least 0", "Use 0.0 to leave it out"
    ),
    "integrated variance": Bad(
        lambda: GARCH(0.1, 0.25, 0.75), ValueError, "0.25 + 0.75 = 1.0", "below 1, where the variance", "Use smaller"
    ),
    "infinite beta": Bad(lambda: GARCH(0.1, 0.1, np.inf), ValueError, "0.1 + inf = inf", "below 1", "Use smaller ones"),
    "unit root around a GARCH": Bad(
        lambda: ARGARCH(-1.0, 0.1, 0.1, 0.8), ValueError, "phi is -1.0", "between -1 and 1", "Difference the series"
    ),
    "NaN phi": Bad(
        lambda: ARGARCH(np.nan, 0.1, 0.1, 0.8), ValueError, "phi is nan", "between -1 and 1", "Difference the series"
    ),
    "NaN mean of a GARCH": Bad(
        lambda: ARGARCH(0.1, 0.1, 0.1, 0.8, mean=np.nan), ValueError, "mean is nan", "a finite number", "such as 0.0"
    ),
    "two degrees of freedom": Bad(
        lambda: GARCH(0.1, 0.1, 0.8, degrees_of_freedom=2),
        ValueError,
        "degrees_of_freedom is 2",
        "above 2, where the variance is finite",
        "None for Gaussian innovations",
    ),
    "infinite degrees of freedom": Bad(
        lambda: GARCH(0.1, 0.1, 0.8, degrees_of_freedom=np.inf),
        ValueError,
        "degrees_of_freedom is inf",
        "a finite number above 2",
        "None for Gaussian innovations",
    ),
    "zero mean of an exponential": Bad(
        lambda: Exponential(0.0), ValueError, "mean is 0.0", "above 0", "Use a positive number"
    ),
    "infinite location": Bad(
        lambda: TruncatedGaussian(-np.inf, 1.0), ValueError, "location is -inf", "a finite number", "such as 0.0"
    ),
    "zero scale": Bad(
        lambda: TruncatedGaussian(1.0, 0.0), ValueError, "scale is 0.0", "above 0", "Use a positive number"
    ),
    "spread of an exponential for a truncated Gaussian": Bad(
        lambda: TruncatedGaussian.from_moments(1.5, 1.5),
        ValueError,
        "stddev is 1.5 with mean 1.5",
        "a stddev below the mean",
        "Use Exponential(mean)",
    ),
    "spread without a law of most entropy": Bad(
        lambda: initial_distribution(CIR(0.25, 1.0, 1.0)),
        ValueError,
        "has stddev 1.41421 and mean 1",
        "a stddev of at most the mean",
        "Build the starting law yourself",
    ),
    "integer paths for CIR": Bad(
        lambda: CIR(0.5, 1.0, 1.0).log_prob(torch.ones(2, 4, dtype=torch.int64)),
        TypeError,
        "x has dtype torch.int64",
        "floating dtype",
        "Use x.double()",
    ),
    "no paths": Bad(lambda: PROCESS.sample(0, 8, seed=0), ValueError, "n is 0", "at least 1", "Use a larger number"),
    "half a path": Bad(
        lambda: PROCESS.sample(2, 8.5, seed=0), TypeError, "length is 8.5 (float)", "a whole number", "Use an int"
    ),
    "word for a seed": Bad(
        lambda: PROCESS.sample(1, 8, seed="abc"), TypeError, "seed is 'abc'", "numpy.random.default_rng", "such as 0"
    ),
    "negative seed": Bad(
        lambda: START.sample(1, 8, seed=-1), ValueError, "seed is -1", "numpy.random.default_rng", "such as 0"
    ),
    "fraction for a seed": Bad(
        lambda: trace(seed=1.5), TypeError, "seed is 1.5", "numpy.random.default_rng", "(2, 12345)"
    ),
    "integer paths for log_prob": Bad(
        lambda: PROCESS.log_prob(torch.ones(2, 4, dtype=torch.int64)),
        TypeError,
        "x has dtype torch.int64",
        "floating dtype",
        "Use x.double()",
    ),
    "array for log_prob": Bad(
        lambda: START.log_prob(np.ones(4)), TypeError, "x is a ndarray", "torch.Tensor", "torch.as_tensor"
    ),
    # energies
    "path shorter than the lags": Bad(
        lambda: StylizedFacts(20)(PATHS), ValueError, "shape (4, 16)", "at least 21 points in time", "Use longer paths"
    ),
    "single number as a path": Bad(
        lambda: ENERGY(torch.tensor(1.0)), ValueError, "shape ()", "(*, time)", "Use longer paths"
    ),
    "complex path": Bad(
        lambda: ENERGY(PATHS.to(torch.complex128)), TypeError, "torch.complex128", "real floating dtype", "x.double()"
    ),
    "list as a path": Bad(lambda: ENERGY([1.0, 2.0]), TypeError, "x is a list", "torch.Tensor", "torch.as_tensor"),
    "no lags": Bad(lambda: StylizedFacts(lags=0), ValueError, "lags is 0", "at least 1", "Use a larger number"),
    "word for lags": Bad(lambda: StylizedFacts(lags="20"), TypeError, "lags is '20' (str)", "a whole number", "int"),
    # targets
    "one sample": Bad(
        lambda: mm.estimate_target(ENERGY, PROCESS, n_samples=1, seed=0),
        ValueError,
        "n_samples is 1",
        "at least 2",
        "Use a larger number",
    ),
    "series with a NaN": Bad(
        lambda: mm.target_from_data(ENERGY, RETURNS.where(RETURNS.index != 7)),
        ValueError,
        "series has 1 entries that are NaN or infinite, the first at index (7,)",
        "expected finite numbers",
        "Drop or repair them",
    ),
    "infinite series": Bad(
        lambda: mm.target_from_data(ENERGY, RETURNS.replace(RETURNS[3], -np.inf)),
        ValueError,
        "the first at index (3,)",
        "expected finite numbers",
        "Drop or repair them",
    ),
    "series shorter than the lags": Bad(
        lambda: mm.target_from_data(StylizedFacts(20), RETURNS[:335]),
        ValueError,
        "series has 335 points",
        "at least 336",  # 16 windows of 21
        "Use a longer series or fewer lags",
    ),
    "constant series": Bad(
        lambda: mm.target_from_data(ENERGY, np.full(100, 2.5)),
        ValueError,
        "series is constant at 2.5",
        "a series that varies",
        "Use another one",
    ),
    "two series at once": Bad(
        lambda: mm.target_from_data(ENERGY, np.ones((2, 100))),
        ValueError,
        "series has shape (2, 100)",
        "(length,)",
        "Pass one series at a time",
    ),
    "series of words": Bad(
        lambda: mm.target_from_data(ENERGY, ["a", "b"] * 50), TypeError, "dtype <U1", "real numbers", "Convert it"
    ),
    "series of complex numbers": Bad(
        lambda: mm.target_from_data(ENERGY, PATHS.flatten().to(torch.complex128)),
        TypeError,
        "torch.complex128",
        "real numbers",
        "Convert it",
    ),
    "target of zeros": Bad(
        lambda: mm.Target(torch.zeros(2), torch.zeros(2), ENERGY.labels, ""),
        ValueError,
        "mean is [0.0, 0.0]",
        "not all zero",
        "Use another",
    ),
    "target with a NaN": Bad(
        lambda: mm.Target(torch.tensor([1.0, torch.nan]), torch.zeros(2), ENERGY.labels, ""),
        ValueError,
        "mean is [1.0, nan]",
        "finite numbers",
        "Use another",
    ),
    "target of another shape": Bad(
        lambda: mm.Target(torch.ones(3), torch.ones(3), ENERGY.labels, ""),
        ValueError,
        "mean has shape (3,)",
        "expected (2,)",
        "one entry for each label",
    ),
    # descents
    "zero step size": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, 0), ValueError, "step_size is 0", "above 0", "Use a positive number"
    ),
    "negative step size": Bad(
        lambda: mm.MFMGDM(ENERGY, TARGET, -1.0), ValueError, "step_size is -1.0", "above 0", "Use a positive number"
    ),
    "NaN step size": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, np.nan), ValueError, "step_size is nan", "finite", "Use a positive number"
    ),
    "infinite step size": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, np.inf), ValueError, "step_size is inf", "finite", "Use a positive number"
    ),
    "word for a step size": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, "10"), TypeError, "step_size is '10' (str)", "a number", "Use a positive number"
    ),
    "target of other energies": Bad(
        lambda: mm.MGDM(StylizedFacts(1), TARGET, 1.0),
        ValueError,
        "('lag 1', 'lag 0')",
        "expected those of StylizedFacts(lags=1)",
        "Estimate the target with the same energy",
    ),
    "empty ensembles": Bad(
        lambda: mm.MFMGDM(ENERGY, TARGET, 1.0, ensemble_size=0),
        ValueError,
        "ensemble_size is 0",
        "at least 1",
        "Use a larger number",
    ),
    "ensembles that leave paths over": Bad(
        lambda: mm.MFMGDM(ENERGY, TARGET, 1.0, ensemble_size=3).sample(PATHS, 1),
        ValueError,
        "ensemble_size is 3",
        "a divisor of the 4 paths",
        "Change one of the two",
    ),
    "start with a NaN": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, 1.0).sample(spoiled(np.nan), 1),
        ValueError,
        "x0 has 1 entries that are NaN or infinite, the first at index (2, 5)",
        "expected finite numbers",
        "Drop or repair them",
    ),
    "infinite start": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, 1.0).sample(spoiled(np.inf), 1),
        ValueError,
        "the first at index (2, 5)",
        "expected finite numbers",
        "Drop or repair them",
    ),
    "integer start": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, 1.0).sample(PATHS.long(), 1),
        TypeError,
        "x0 has dtype torch.int64",
        "floating dtype",
        "Use x0.double()",
    ),
    "start without an axis for paths": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, 1.0).sample(PATHS[0], 1),
        ValueError,
        "x0 has shape (16,)",
        "(paths, time)",
        "Use x0[None]",
    ),
    "start without paths": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, 1.0).sample(PATHS[:0], 1),
        ValueError,
        "x0 has shape (0, 16)",
        "at least one path",
        "Use x0[None]",
    ),
    "negative number of steps": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, 1.0).sample(PATHS, -1),
        ValueError,
        "n_steps is -1",
        "at least 0",
        "Use a larger",
    ),
    "no inner steps": Bad(
        lambda: mm.MFMGDM(ENERGY, TARGET, 1.0, inner_steps=0),
        ValueError,
        "inner_steps is 0",
        "at least 1",
        "Use a larger number",
    ),
    "half an inner step": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, 1.0, inner_steps=0.5), TypeError, "inner_steps is 0.5", "whole number", "an int"
    ),
    "support of the unit interval": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, 1.0, support=constraints.unit_interval),
        ValueError,
        "support is Interval(lower_bound=0.0, upper_bound=1.0)",
        "constraints.real or constraints.nonnegative",
        "Map the series",
    ),
    "word for a support": Bad(
        lambda: mm.MFMGDM(ENERGY, TARGET, 1.0, support="nonnegative"),
        ValueError,
        "support is 'nonnegative'",
        "constraints.real or constraints.nonnegative",
        "Map the series",
    ),
    "start outside the support": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, 1.0, support=constraints.nonnegative).sample(spoiled(-9.5), 1),
        ValueError,
        "x0 has the value -9.5",
        "at least 0, the support of the model",
        "Start from `initial_distribution(process)`",
    ),
    "step out of the support": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, 1e4, support=constraints.nonnegative).sample(9 + 0 * PATHS, 1),
        mm.errors.StuckError,
        "step 0 would take every entry of path 0 out of the support with step_size 10000",
        "expected at least one that can move",
        "Use a smaller step size",
    ),
    # determinants
    "estimate without a seed": Bad(
        lambda: mm.log_determinant(CUBES, STATE, "stochastic"),
        ValueError,
        "seed is None with the stochastic backend",
        "expected a seed",
        "Pass seed=0",
    ),
    "estimated trace without a seed": Bad(
        lambda: trace(jacobian="stochastic", seed=None),
        ValueError,
        "seed is None with the stochastic backend",
        "expected a seed",
        "Pass seed=0",
    ),
    "fraction for the seed of an estimate": Bad(
        lambda: mm.log_determinant(CUBES, STATE, "stochastic", seed=0.5),
        TypeError,
        "seed is 0.5",
        "numpy.random.default_rng",
        "such as 0",
    ),
    "no probes": Bad(lambda: mm.Stochastic(probes=0), ValueError, "probes is 0", "at least 1", "Use a larger number"),
    "few paths for the coupling": Bad(
        lambda: mm.Stochastic(coupling_paths=3), ValueError, "coupling_paths is 3", "at least 4", "Use a larger number"
    ),
    "no tolerance": Bad(
        lambda: mm.Stochastic(tolerance=0), ValueError, "tolerance is 0", "above 0", "Use a positive number"
    ),
    "no products": Bad(
        lambda: mm.Stochastic(max_products=0), ValueError, "max_products is 0", "at least 1", "Use a larger number"
    ),
    "number for a backend": Bad(
        lambda: trace(jacobian=3), TypeError, "jacobian is 3", "structured, dense, stochastic or a Stochastic", "a name"
    ),
    "class for a backend": Bad(
        lambda: mm.log_determinant(CUBES, STATE, mm.Stochastic, seed=0),
        TypeError,
        "jacobian is <class",
        "structured, dense, stochastic or a Stochastic",
        "a name",
    ),
    "determinant of several inner steps": Bad(
        lambda: mm.log_determinant(mm.MGDM(ENERGY, TARGET, 0.1, inner_steps=2), STATE),
        ValueError,
        "inner_steps=2",
        "expected 1 where a determinant is wanted",
        "Use inner_steps=1",
    ),
    # divergence
    "supports that disagree": Bad(
        lambda: trace(mm.MGDM(ENERGY, TARGET, 0.1), CIR(0.5, 1.0, 1.0)),
        ValueError,
        "CIR(kappa=0.5, theta=1, sigma=1) lives on GreaterThanEq(lower_bound=0.0), the model on Real()",
        "expected the same for all three",
        "Pass support=process.support",
    ),
    "unknown backend": Bad(
        lambda: trace(jacobian="exact"),
        ValueError,
        "jacobian is 'exact'",
        "'auto', 'structured', 'dense', 'stochastic'",
        "Choose one",
    ),
    "structured without bands": Bad(
        lambda: trace(CUBES, jacobian="structured"), ValueError, "'structured'", "banded Hessians", "Use 'dense'"
    ),
    "one particle": Bad(
        lambda: trace(n_particles=1), ValueError, "n_particles is 1", "at least 2", "Use a larger number"
    ),
    "word for particles": Bad(
        lambda: trace(n_particles="4"), TypeError, "n_particles is '4' (str)", "a whole number", "Use an int"
    ),
    "step too large": Bad(
        lambda: trace(mm.MGDM(ENERGY, TARGET, 1000.0)),
        mm.errors.NotInvertibleError,
        "the Jacobian of step 0 has",
        "expected all above 0",
        "Use a smaller step size",
    ),
    "estimated step too large": Bad(
        lambda: trace(mm.MGDM(ENERGY, TARGET, 1000.0), jacobian="stochastic"),
        mm.errors.NotInvertibleError,
        "the Jacobian of step 0 has",
        "expected all above 0",
        "Use a smaller step size",
    ),
    "descent that diverges": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, 1e6).sample(PATHS, 100),
        mm.errors.DivergedError,
        "with step_size 1e+06",
        "expected finite energies",
        "Use a smaller step size",
    ),
    # data and statistics
    "more returns than there are": Bad(
        lambda: mm.data.sp500(n=6000), ValueError, "n is 6000", "at most the 5030 returns", "Widen the window"
    ),
    "no returns wanted": Bad(lambda: mm.data.sp500(n=0), ValueError, "n is 0", "at least 1", "Use a larger number"),
    "date that is none": Bad(
        lambda: mm.data.sp500(start="yesteryear"), ValueError, "start is 'yesteryear'", "a date", "such as '2003-01-01'"
    ),
    "list for a date": Bad(
        lambda: mm.data.sp500(end=["2003"]), ValueError, "end is ['2003']", "a date", "such as '2003-01-01'"
    ),
    "window without returns": Bad(
        lambda: mm.data.sp500(start="2020-01-01"), ValueError, "'2020-01-01'", "1999-01-05 to 2018-12-31", "overlaps"
    ),
    "window the wrong way round": Bad(
        lambda: mm.data.sp500(start="2010-01-01", end="2009-01-01"), ValueError, "'2010-01-01'", "expected", "overlaps"
    ),
    "constant series to standardise": Bad(
        lambda: mm.data.standardize(pd.Series([1.0, 1.0, 1.0])),
        ValueError,
        "series is constant at 1.0",
        "a series that varies",
        "Use another one",
    ),
    "array to standardise": Bad(
        lambda: mm.data.standardize(np.ones(3)), TypeError, "series is a ndarray", "pandas Series", "Use pd.Series"
    ),
    "autocorrelation beyond the path": Bad(
        lambda: mm.statistics.autocorrelation(PATHS, lags=16),
        ValueError,
        "shape (4, 16)",
        "at least 17 points",
        "Use longer paths",
    ),
}


@pytest.mark.parametrize("bad", CASES.values(), ids=list(CASES))
def test_message_names_the_value_the_expectation_and_the_mend(bad: Bad) -> None:
    with pytest.raises(bad.error) as info:
        bad.call()
    message = str(info.value)
    assert [part for part in bad[2:] if part not in message] == [], message
