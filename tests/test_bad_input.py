"""Invalid arguments: each error names the value, what was expected and how to correct it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import constraints

import mfmgdm_lib as mm
from mfmgdm_lib.energies import (
    Autocovariance,
    Concatenate,
    Energy,
    Linear,
    Projection,
    ScatteringCovariance,
    ScatteringMean,
    ScatteringSpectra,
    StylizedFacts,
    Whitening,
)
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
    settings: dict[str, object] = {"n_steps": 2, "n_paths": 4, "length": 16, "seed": 0, **changes}
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
    "leverage below 0": Bad(
        lambda: StylizedFacts(leverage=-1), ValueError, "leverage is -1", "at least 0", "Use a larger number"
    ),
    "sums of one": Bad(lambda: StylizedFacts(sums=1), ValueError, "sums is 1", "at least 2", "Use a larger number"),
    "word for lags": Bad(lambda: StylizedFacts(lags="20"), TypeError, "lags is '20' (str)", "a whole number", "int"),
    "path with a NaN": Bad(
        lambda: ENERGY(spoiled(np.nan)), ValueError, "x has 1 entries", "first at index (2, 5)", "Drop or repair them"
    ),
    "path of integers": Bad(
        lambda: ENERGY(torch.ones(4, 16, dtype=torch.int64)), TypeError, "torch.int64", "floating", "x.double()"
    ),
    # energies with filters
    "length that is no power of two": Bad(
        lambda: ScatteringMean(1000), ValueError, "length is 1000", "a power of two of at least 256", "to 512 points"
    ),
    "length too short for the filters": Bad(
        lambda: ScatteringSpectra(128), ValueError, "length is 128", "a power of two of at least 256", "to 256 points"
    ),
    "length that is a float": Bad(
        lambda: ScatteringCovariance(1024.0), TypeError, "length is 1024.0 (float)", "a whole number", "Use an int"
    ),
    "J too large for the length": Bad(
        lambda: ScatteringMean(512, J=10), ValueError, "J is 10", "at most 9", "Use a smaller J or longer paths"
    ),
    "J too large for the spectra": Bad(
        lambda: ScatteringSpectra(256, J=9), ValueError, "J is 9", "at most 8", "Use a smaller J or longer paths"
    ),
    "J too small for the wavelets": Bad(
        lambda: ScatteringMean(256, J=3), ValueError, "J is 3", "at least 5", "Use a larger number"
    ),
    "J that is a word": Bad(
        lambda: ScatteringSpectra(256, J="7"), TypeError, "J is '7' (str)", "a whole number", "Use an int"
    ),
    "no wavelets": Bad(
        lambda: ScatteringMean(256, wavelets=(0, 6)), ValueError, "wavelets[0] is 0", "at least 1", "a larger number"
    ),
    "one number of wavelets": Bad(
        lambda: ScatteringMean(256, wavelets=4), TypeError, "wavelets is 4", "two whole numbers", "such as (4, 6)"
    ),
    "unknown wavelet": Bad(
        lambda: ScatteringSpectra(256, wavelet="haar"), ValueError, "wavelet is 'haar'", "'morlet'", "Choose one"
    ),
    "path of another length than the filters": Bad(
        lambda: ScatteringMean(256)(torch.ones(2, 512)),
        ValueError,
        "shape (2, 512)",
        "(*, 256), the length that ScatteringMean(256",
        "an energy made for 512",
    ),
    "path of another length to transform": Bad(
        lambda: ScatteringMean(256).transform(torch.ones(2, 512)),
        ValueError,
        "shape (2, 512)",
        "(*, 256)",
        "made for 512",
    ),
    "NaN in a path to take powers of": Bad(
        lambda: ScatteringSpectra(256).powers(torch.full((256,), torch.nan)),
        ValueError,
        "256 entries that are NaN",
        "finite numbers",
        "Drop or repair",
    ),
    "complex path for filters": Bad(
        lambda: ScatteringSpectra(256)(torch.ones(256, dtype=torch.complex64)),
        TypeError,
        "torch.complex64",
        "real floating dtype",
        "x.double()",
    ),
    "NaN in a path for filters": Bad(
        lambda: ScatteringCovariance(256)(torch.full((256,), torch.nan)),
        ValueError,
        "256 entries that are NaN",
        "finite numbers",
        "Drop or repair",
    ),
    "scale with a zero": Bad(
        lambda: ScatteringSpectra(256, scale=[1.0] * 7 + [0.0]),
        ValueError,
        "0.0)",
        "finite numbers above 0",
        "Fit it to paths that move at every scale",
    ),
    "scale with a NaN": Bad(
        lambda: ScatteringSpectra(256, scale=[np.nan] * 8), ValueError, "nan", "finite numbers above 0", "Fit it"
    ),
    "scale for another J": Bad(
        lambda: ScatteringSpectra(256, scale=[1.0] * 8, J=5), ValueError, "8 entries", "expected 6", "the same J"
    ),
    "scale of a series that is too short": Bad(
        lambda: ScatteringSpectra(256).fit_scale_to_data(RETURNS[:200]),
        ValueError,
        "series has 200 points",
        "at least 256",
        "Use a longer series",
    ),
    "scale of a constant series": Bad(
        lambda: ScatteringSpectra(256).fit_scale_to_data(np.ones(300)),
        ValueError,
        "series is constant at 1.0",
        "a series that varies",
        "Use another one",
    ),
    "scale from no samples": Bad(
        lambda: ScatteringSpectra(256).fit_scale(PROCESS, n_samples=0, seed=1),
        ValueError,
        "n_samples is 0",
        "at least 1",
        "Use a larger number",
    ),
    # transforms
    "matrix of another shape": Bad(
        lambda: Linear(ENERGY, torch.ones(2, 3), ["a", "b"]),
        ValueError,
        "shape (2, 3)",
        "(2, 2)",
        "made for this energy",
    ),
    "matrix with a NaN": Bad(
        lambda: Linear(ENERGY, torch.full((1, 2), torch.nan), ["a"]), ValueError, "matrix has 2", "finite", "repair"
    ),
    "more components than directions": Bad(
        lambda: Projection.fit(ENERGY, PROCESS, n_components=3, n_samples=50, seed=1),
        ValueError,
        "n_components is 3",
        "at most 2",
        "Use fewer components",
    ),
    "fewer paths than values to whiten": Bad(
        lambda: Whitening.fit(StylizedFacts(), PROCESS, n_samples=22, seed=1),
        ValueError,
        "n_samples is 22",
        "at least 23",
        "Use a larger number",
    ),
    "projection from one path": Bad(
        lambda: Projection.fit(ENERGY, PROCESS, n_components=1, n_samples=1, seed=1),
        ValueError,
        "n_samples is 1",
        "at least 2",
        "Use a larger number",
    ),
    "nothing to concatenate": Bad(lambda: Concatenate(), ValueError, "energies is empty", "at least one", "Pass some"),
    "energies for different lengths": Bad(
        lambda: Concatenate(ScatteringMean(256), ScatteringMean(512)),
        ValueError,
        "(256) and (512)",
        "one length",
        "the same length",
    ),
    "the same energy twice": Bad(
        lambda: Concatenate(ENERGY, ENERGY), ValueError, "labels in common", "to differ", "Leave one of them out"
    ),
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
    "support without its ends": Bad(
        lambda: mm.MGDM(ENERGY, TARGET, 1.0, support=constraints.positive),
        ValueError,
        "support is GreaterThan(lower_bound=0.0)",
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
        lambda: trace(determinants="stochastic", seed=None),
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
        lambda: trace(determinants=3),
        TypeError,
        "determinants is 3",
        "auto, banded, circulant, dense, stochastic",
        "a name",
    ),
    "class for a backend": Bad(
        lambda: mm.log_determinant(CUBES, STATE, mm.Stochastic, seed=0),
        TypeError,
        "determinants is <class",
        "auto, banded, circulant, dense, stochastic, a Determinants, or a backend",
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
        "CIR(kappa=0.5, theta=1, sigma=1) lives on Interval(0, inf), the model on Interval(-inf, inf)",
        "expected the same for all three",
        "Pass support=process.support",
    ),
    "unknown backend": Bad(
        lambda: trace(determinants="exact"),
        ValueError,
        "determinants is 'exact'",
        "'auto', 'banded', 'circulant', 'dense', 'stochastic'",
        "Choose one",
    ),
    "banded without bands": Bad(
        lambda: trace(CUBES, determinants="banded"), ValueError, "'banded'", "banded Hessians", "Use 'dense'"
    ),
    "one particle": Bad(lambda: trace(n_paths=1), ValueError, "n_paths is 1", "at least 2", "Use a larger number"),
    "word for particles": Bad(
        lambda: trace(n_paths="4"), TypeError, "n_paths is '4' (str)", "a whole number", "Use an int"
    ),
    "step too large": Bad(
        lambda: trace(mm.MGDM(ENERGY, TARGET, 1000.0)),
        mm.errors.NotInvertibleError,
        "the Jacobian of step 0 has",
        "expected all above 0",
        "Use a smaller step size",
    ),
    "estimated step too large": Bad(
        lambda: trace(mm.MGDM(ENERGY, TARGET, 1000.0), determinants="stochastic"),
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
    "date that is none": Bad(
        lambda: mm.data.sp500(start="yesteryear"), ValueError, "start is 'yesteryear'", "a date", "such as '2003-01-01'"
    ),
    "list for a date": Bad(
        lambda: mm.data.sp500(end=["2003"]), ValueError, "end is ['2003']", "a date", "such as '2003-01-01'"
    ),
    "window without prices": Bad(
        lambda: mm.data.sp500(start="2020-01-01"), ValueError, "'2020-01-01'", "1999-01-04 to 2018-12-31", "overlaps"
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


@pytest.mark.parametrize("kind", [Projection, Whitening], ids=["projection", "whitening"])
@pytest.mark.parametrize(
    "other",
    [StylizedFacts(lags=3), Concatenate(StylizedFacts(lags=1), ENERGY), ScatteringMean(256), ScatteringMean(512)],
    ids=["other parameters", "another energy with as many values", "filters", "filters of another length"],
)
def test_fit_for_another_energy_or_length_is_refused(
    kind: type[Projection | Whitening], other: Energy, tmp_path: Path
) -> None:
    energy = ScatteringMean(256) if other.length == 512 else StylizedFacts(lags=4)
    keep = {"n_components": 2} if kind is Projection else {}
    path = kind.fit(energy, PROCESS, n_samples=50, seed=1, **keep).save(tmp_path / "fit")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=rf"was fitted for {re.escape(repr(energy))}.*Fit a {kind.__name__} for this"):
        kind.load(path, other)


def test_spectra_are_not_read_from_a_projection(tmp_path: Path) -> None:
    path = Projection.fit(ENERGY, PROCESS, n_components=1, n_samples=50, seed=1).save(tmp_path / "fit")
    with pytest.raises(ValueError, match="holds projection; expected a scattering spectra"):
        ScatteringSpectra.load(path)
