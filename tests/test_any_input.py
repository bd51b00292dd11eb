"""Wrong and extreme arguments for every public callable: what comes out is a value, or an error that is documented."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import itertools
import math
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib.pyplot as plt
import mpmath
import numpy as np
import pandas as pd
import pytest
import requests
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import MultivariateNormal

import mfmgdm_lib as mm
from mfmgdm_lib import companion
from mfmgdm_lib import energies as e
from mfmgdm_lib import processes as p
from mfmgdm_lib.runs.run import Run

SECONDS = 20
"""After which a call counts as one that hangs."""

MEMORY = 6 * 2**30
"""Bytes of addresses that a call may add."""

DOCUMENTED = (ValueError, TypeError, OSError)
"""What errors are, with their subclasses, of which `mm.errors` has some."""

MORE: dict[str, type[Exception]] = {
    "companion.paper.Checks": AssertionError,
    "processes.BurnIn.log_prob": NotImplementedError,
}
"""What some are there to fail with, as their docstrings say."""

TABLES = "draws a table that the library has stored, or made"
RECORD = "a record that the library returns, which keeps what it is given"
ABSTRACT = "what others derive from, and what they are tested through"
LONG = "minutes of computation, whatever else is asked of it"

RECORDS = (
    *("Check", "EnsembleLaw", "MeanFieldLimit", "PathTerms", "IsingSummary", "MarketSummary"),
    *("DailyForecasts", "LostProcessError", "Fit", "Result", "State", "FlowState", "GuidedState", "DivergenceTrace"),
    *("EntropyTrace", "FieldGeneration", "FrozenState", "Forecast", "Generation", "StepDeterminant", "BalancedStop"),
    *("Move", "TwoSampleTest", "Progress", "DescentError", "DivergedError", "NotInvertibleError", "StuckError"),
    *("Message", "NewerFormatError"),
)
"""Classes of what the library returns or raises: they keep what they are given. Their methods are called."""

LEFT_OUT: dict[str, str] = {
    "register": "what it is given stays known to the process",
    "companion.derivations.symbolic_lines": LONG,
    "companion.derivations.same": "its arguments are matrices of symbols",
    **{
        f"companion.{kind}.{method}": LONG
        for kind in ("Cell", "IsingCell", "MarketCell")
        for method in ("run", "begin")
    },
    "companion.paper.comparison_html": TABLES,
    "Support.keep_inside": ABSTRACT,
    "distributed.join": "it begins a group of processes, from what the environment says",
    **dict.fromkeys(("companion.ar_explorer_data", "companion.market_explorer_data", "companion.our_numbers"), LONG),
}
"""Callables that are not called, and why."""

SLOW = ("energies.Projection.fit", "energies.Whitening.fit")
"""What takes longer than `SECONDS` for other energies than the quick ones, as it draws thousands of paths."""


# --- valid arguments -------------------------------------------------------------------------------------------------


def normals(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


PATHS = normals(4, 64)
SERIES = pd.Series(
    np.random.default_rng(3).standard_normal(700), index=pd.bdate_range("2020-01-01", periods=700), name="returns"
)
PRICES = pd.Series(np.exp(0.01 * SERIES.cumsum()).to_numpy(), index=SERIES.index, name="prices")
ENERGY, AR1 = e.Autocovariance(), p.AR([0.1])
TARGET = mm.Target(torch.tensor([0.1, 1.0]).double(), torch.zeros(2).double(), ENERGY.labels, "a test")
MODEL = mm.MFMGDM(ENERGY, TARGET, 0.5)
FLOW = MODEL.freeze(PATHS, 2, p.WhiteNoise())
STYLIZED = e.StylizedFacts(lags=2)
VOLATILITY = p.VolatilityModel("garch", 0.05, 0.1, 0.8, start=0.5)
CONDITIONAL = e.GivenPast((1, 5))
PAIR = p.GaussianCopula([p.WhiteNoise(), p.WhiteNoise()], [[1.0, 0.5], [0.5, 1.0]])
FIELDS = normals(3, 8, 8)
PERIODIC = p.GaussianField.conditional_autoregression(0.2, (8, 8))


class Nothing:
    """An object of a class that nobody knows."""


def wrong() -> dict[str, Any]:
    """Objects of all kinds, most of which are wrong for most arguments."""
    tensors = {
        "numbers": torch.ones(3, 5).double(),
        "half": torch.ones(4, 64, dtype=torch.float16),
        "bfloat16": torch.ones(4, 64, dtype=torch.bfloat16),
        "single": normals(4, 64).float(),
        "whole": torch.ones(4, 64, dtype=torch.int64),
        "mask": torch.ones(4, 64, dtype=torch.bool),
        "complex": torch.ones(4, 64, dtype=torch.complex128),
        "sparse": torch.eye(4, 64).double().to_sparse(),
        "meta": torch.empty(4, 64, device="meta", dtype=torch.float64),
        "graph": normals(4, 64).requires_grad_(),
        "empty": torch.empty(0, 64).double(),
        "without time": torch.empty(4, 0).double(),
        "scalar": torch.tensor(1.0).double(),
        "deep": torch.ones(2, 3, 4, 64).double(),
        "NaN": torch.full((4, 64), torch.nan).double(),
        "infinite": torch.full((4, 64), torch.inf).double(),
        "1e160": normals(4, 64) * 1e160,
        "1e308": torch.full((4, 64), 1e308, dtype=torch.float64),
        "1e-320": torch.full((4, 64), 1e-320, dtype=torch.float64),
        "zeros": torch.zeros(4, 64).double(),
        "one field": FIELDS,
    }
    numbers = {
        repr(number): number
        for number in (0, 1, -1, 2, 3.5, 0.0, -0.5, 1.0, math.nan, math.inf, -math.inf, 1e308, -1e308, 1e-320, 10**12)
    }
    others = {
        "10**400": 10**400,
        "np.float32": np.float32(1.5),
        "np.int64": np.int64(3),
        "j": 1j,
        "None": None,
        "True": True,
        "False": False,
        "text": "nonsense",
        "empty text": "",
        "device": "cuda:99",
        "bytes": b"abc",
        "object": Nothing(),
        "class": e.Autocovariance,
        "function": len,
        "module": math,
        "ellipsis": ...,
        "[]": [],
        "()": (),
        "{}": {},
        "[1.0, 2.0]": [1.0, 2.0],
        "[[1], [2, 3]]": [[1], [2, 3]],
        "['a', None]": ["a", None],
        "[None]": [None],
        "[nan]": [math.nan],
        "(10**12, 10**12)": (10**12, 10**12),
        "{1, 2}": {1, 2},
        "{'a': 1}": {"a": 1},
        "range": range(3),
        "zeros((2, 3))": np.zeros((2, 3)),
        "objects": np.array([None, "a"], dtype=object),
        "no numbers": np.array([]),
        "words": np.array(["a", "b"]),
        "times": np.array(["2020-01-01"], dtype="datetime64[D]"),
        "frame": pd.DataFrame({"a": [1.0, 2.0]}),
        "no frame": pd.DataFrame(),
        "series": pd.Series([1.0, math.nan, 2.0]),
        "words in a series": pd.Series(["a", "b"]),
        "energy": e.StylizedFacts(lags=1),
        "energy of fields": e.FieldMoments(),
        "process": p.CIR(0.5, 1.0, 1.0),
        "process of fields": PERIODIC,
        "model": mm.MGDM(
            e.StylizedFacts(lags=1),
            mm.Target(torch.ones(3).double(), torch.ones(3).double(), e.StylizedFacts(lags=1).labels, ""),
            0.1,
        ),
        "target": TARGET,
        "dtype": torch.float16,
        "the dtype of whole numbers": torch.int64,
    }
    return {**{f"tensor, {name}": value for name, value in tensors.items()}, **numbers, **others}


BY_NAME: dict[str, Any] = {
    # laws, energies, models
    "energy": ENERGY,
    "process": AR1,
    "law": p.WhiteNoise(),
    "start": p.WhiteNoise(),
    "target": TARGET,
    "model": MODEL,
    "state": MODEL.evaluate(PATHS),
    "base": VOLATILITY,
    "flow": FLOW,
    # paths and what is made of them
    "x": PATHS,
    "x0": PATHS,
    "paths": PATHS,
    "scores": PATHS,
    "innovations": PATHS,
    "starts": PATHS,
    "z": PATHS,
    "y": PATHS.flip(-1),
    "past": PATHS,
    "proposal": PATHS + 0.1,
    "value": PATHS,
    "values": PATHS,
    "weights": torch.ones(4, 2).double(),
    "text": "a sentence",
    "series": SERIES,
    "given": SERIES.to_numpy()[:50],
    "dates": SERIES.index,
    # sizes
    "n": 3,
    "length": 64,
    "seed": 0,
    "n_paths": 4,
    "n_samples": 50,
    "n_steps": 2,
    "max_steps": 3,
    "horizon": 5,
    "n_lags": 3,
    "step": 1,
    "members": 4,
    "shape": (8, 8),
    "levels": [0.1, 0.9],
    # numbers
    "step_size": 0.5,
    "mean": 1.0,
    "stddev": 0.5,
    "omega": 0.05,
    "alpha": 0.1,
    "beta": 0.8,
    "share": 0.95,
    "rate": 0.5,
    "duration": 0.5,
    "support": mm.Interval(),
    "channels": ("a", "b"),
    "kind": None,
    # sources of data
    "path": "file.npz",
    "folder": ".",
    "root": ".",
    "name": "market_flows",
    "start_date": None,
}
"""Arguments that do for most callables, by the name of the parameter."""


def arguments() -> dict[str, dict[str, Any]]:
    """What a callable gets that is not in `BY_NAME`, by its public name; methods by the names of their classes."""
    forecasts = lambda: mm.backtests.daily_forecasts(p.fit_volatility(SERIES), SERIES, 100)  # noqa: E731
    patches = {"mean": torch.arange(8.0), "size": torch.arange(8.0) ** 2}
    fine, none = {"x": PATHS.abs()}, {}
    return {
        "backtests": {"law": VOLATILITY, "days": 100, "forecasts": Lazy(forecasts), "others": Lazy(forecasts)},
        "backtests.mean_gain": {"differences": SERIES.to_numpy()},
        "backtests.shortfall_test": {
            "losses": SERIES.to_numpy(),
            "violations": SERIES.to_numpy() > 1.5,
            "tail": np.random.default_rng(4).standard_normal((700, 64)),
        },
        "companion.closed_forms": {
            "model": _linear(),
            "law": MultivariateNormal(torch.zeros(8).double(), torch.eye(8).double()),
        },
        "companion.closed_forms.LinearEnergy": {
            "matrix": torch.ones(1, 8).double(),
            "x": PATHS[:, :8],
            "weights": torch.ones(4, 1).double(),
        },
        "companion.closed_forms.gaussian_law": {"length": 8},
        "companion.closed_forms.mean_field_limit": {"model": MODEL, "length": 8},
        "companion.closed_forms.MeanFieldLimit": {"x0": PATHS[:, :8]},
        "companion.derivations": {
            "grams": torch.eye(3).double().expand(4, 3, 3),
            "one": Lazy(_matrix),
            "other": Lazy(_matrix),
        },
        "companion.derivations.assemble": {"terms": Lazy(_terms)},
        "companion.derivations.SymbolicStep": {"n_paths": 2, "n": 0, "k": 0},
        "companion.paper": {"table": pd.DataFrame({"a": ["1"]}), "verdicts": [], "word": "agrees", "ours": {}},
        "companion.paper.Checks": {
            "key": "eq-1",
            "what": "a test",
            "computed": 1.0,
            "expected": 1.0,
            "tolerance": 0.1,
            "condition": True,
            "instead": "that",
        },
        "companion.paper.OurNumber": {"value": 1.0},
        "companion.paper.verdict": {"printed": "1.0", "ours": None},
        "coverage": {"violations": SERIES.to_numpy() > 1.5},
        "data.GreyImage": {"values": FIELDS[0]},
        "data.cut_patches": {"image": normals(32, 32), "n": 2, "seed": 0},
        "data": {
            "source": "fred",
            "identifier": "DGS10",
            "series_id": "DGS10",
            "symbol": "SPY",
            "key": "FM.M.U2.EUR.4F.BB.U2_10Y.YLD",
        },
        "data.read_csv": {"path": Lazy(_csv)},
        "data.read_image": {"path": Lazy(_image)},
        "data.check_series": {"name": "returns"},
        "data.levels": {"changes": PATHS, "first": 100.0},
        "data.returns": {"series": PRICES},
        "data.find_doubts": {"series": PRICES},
        "data.unstandardize": {"values": PATHS, "scaled": Lazy(lambda: mm.data.standardize(SERIES))},
        "distributed.SharedEnsemble": {"values": PATHS[0, :4]},
        "distributed": {
            "shard": mm.distributed.Shard(),
            "numbers": [1.0, 2.0],
            "settings": {"a": 1},
            "arrays": {"a": np.ones(2)},
        },
        "distributed.follow": {
            "run": Lazy(lambda: mm.distributed.shared_run(MODEL, PATHS, 2)),
            "checkpoints": Lazy(_checkpoints),
        },
        "energies": {"vectors": PATHS, "directions": torch.eye(2).double(), "variances": torch.ones(2).double()},
        "energies.Coefficient": {"label": "a", "scales": ((1,),)},
        "energies.Linear": {"matrix": torch.eye(2).double(), "labels": ["a", "b"]},
        "energies.Projection": {"n_components": 1},
        "energies.EachChannel": {"x": normals(4, 2, 64), "weights": torch.ones(4, 4).double()},
        "energies.CrossCorrelations": {"x": normals(4, 2, 64), "weights": torch.ones(4, 5).double()},
        "energies.FieldAutocovariance": {"x": FIELDS, "weights": torch.ones(3, 3).double()},
        "energies.FieldMoments": {"x": FIELDS, "weights": torch.ones(3, 4).double()},
        "energies.FieldScatteringMean": {"x": FIELDS, "J": 2, "weights": torch.ones(3, 8).double()},
        "energies.WaveletL1": {"x": FIELDS, "J": 2, "weights": torch.ones(3, 16).double()},
        **{
            f"energies.Scattering{kind}": {"length": 256, "x": normals(2, 256), "weights": torch.ones(2, dim).double()}
            for kind, dim in (("Mean", 28), ("Covariance", 1596), ("Spectra", 128))
        },
        "energies.ScatteringSpectra.fit_scale_to_data": {"series": SERIES},
        "energies.StylizedFacts": {"weights": torch.ones(4, STYLIZED.dim).double(), "lags": 2},
        "energies.Concatenate": {"weights": torch.ones(4, 2 + STYLIZED.dim).double()},
        "energies.GivenPast": {"x": PATHS},
        "errors": {"places": [0, 1], "first": 0, "message": "no", "said": "a"},
        "errors.NewerFormatError": {"found": 3, "known": 2},
        "io": {"generation": Lazy(_generation), "forecast": Lazy(_forecast), "figure": Lazy(_figure)},
        "io.stream_paths": {"path": "stream.csv", "force": True},
        "io.save_paths": {"path": "paths.csv", "force": True},
        "io.save_forecast": {"path": "forecast.csv", "force": True},
        "io.save_figure": {"path": "figure.png", "force": True},
        **{f"io.{name}": {"generation": Lazy(_fields)} for name in ("field_report_text",)},
        "io.save_fields": {"generation": Lazy(_fields), "path": "fields.npz", "force": True},
        "io.save_tiles": {"generation": Lazy(_fields), "path": "fields.png", "force": True},
        "plotting": {
            "generation": Lazy(_fields),
            "forecasts": Lazy(forecasts),
            "levels": PRICES,
            "table": Lazy(_price_table),
        },
        "processes.AR": {"coefficients": [0.2, -0.1]},
        "processes.CIR": {"kappa": 0.5, "theta": 1.0, "sigma": 1.0, **fine},
        "processes.ARGARCH": {"phi": 0.1},
        "processes.Exponential": fine,
        "processes.TruncatedGaussian": {"location": 1.0, "scale": 0.5, **fine},
        "processes.BurnIn.log_prob": none,
        "processes.GaussianCopula": {
            "laws": [p.WhiteNoise(), p.WhiteNoise()],
            "correlation": [[1.0, 0.5], [0.5, 1.0]],
            "length": (2, 16),
            "x": normals(3, 2, 16),
            "series": normals(2, 700),
        },
        "processes.GaussianField": {
            "spectrum": torch.ones(8, 8).double(),
            "density": lambda a, b: 1.0 + 0.1 * a.cos() + 0.0 * b,
            "rho": 0.2,
            "lags": [(0, 0), (0, 1)],
            "length": (8, 8),
            "x": FIELDS,
        },
        "processes.Independent": {"event_shape": (2, None), "length": (2, 16), "x": normals(3, 2, 16)},
        "processes.Ising": {"temperature": 2.5, "length": (8, 8), "x": FIELDS.sign()},
        "processes.StudentNoise": {"degrees_of_freedom": 5.0},
        "processes.VolatilityModel": {"variance": "garch", "start": 0.5},
        "processes.starting_law": {"start": "noise"},
        "risk": none,
        "runs": {
            "specification": Lazy(_cell),
            "cell": Lazy(_cell),
            "table": pd.DataFrame({"a": [1.0]}),
            "facts": {"a": 1},
            "arrays": {"a": np.ones(2)},
            "progress": mm.runs.Progress("running"),
            "reason": "a test",
            "cells": [],
            "store": Lazy(lambda: mm.runs.ResultStore("store")),
        },
        "runs.ResultStore.save_table": {"table": "a,b\n1,2\n", "name": "mine"},
        "statistics": {"lags": 2},
        "statistics.fitted_exponent": {"sizes": [1, 2, 4], "values": [1.0, 2.0, 4.0]},
        "statistics.gaussian_contour": {"points": normals(10, 2).numpy()},
        "statistics.growth_exponents": {
            "costs": pd.DataFrame({"axis": "d", "backend": "dense", "size": [1, 2, 4], "seconds": [1.0, 2.0, 3.0]})
        },
        "statistics.histogram": {"edges": np.linspace(-2.0, 2.0, 11)},
        "statistics.return_statistics": {"paths": normals(4, 128)},
        "statistics.time_asymmetry": {"window": 5},
        "statistics.separation": {"values": normals(5, 2), "baseline": normals(6, 2)},
        "Constraint": {"energy": ENERGY, "values": [0.1, 1.0], "shape": (64,)},
        **{name: {"communicator": Lazy(_communicator)} for name in ("Descent", "Model", "MGDM", "MFMGDM")},
        "Support": {"proposal": PATHS},
        "SignedPower": {"exponent": 1.5},
        "interpolated_moments": {"data": PATHS},
        "balanced_stop": {"max_steps": 3},
        "paths_for_price": {"stop": Lazy(lambda: mm.balanced_stop(MODEL, PATHS, 3)), "price": 1.0},
        "generate_fields": {
            "image": normals(32, 32),
            "n_fields": 2,
            "shape": (8, 8),
            "energy": e.FieldAutocovariance(),
        },
        "describe_fields": {"fields": normals(3, 16, 16)},
        "ConditionalFlow": {
            "energy": CONDITIONAL,
            "features": torch.ones(4, 64, 1).double(),
            "weights": Lazy(lambda: _conditional().weights),
            "x": PATHS,
        },
        "FrozenFlow": {"mismatches": FLOW.mismatches},
        "FrozenFlow.inverse": {"x": FLOW.sample((2,), 0)},
        "fit_conditional_flow": {"energy": CONDITIONAL},
        "forecast": {"horizon": 5, "n_paths": 200, "law": VOLATILITY},
        "hold_out": {"days": 100, "law": VOLATILITY},
        "generate": {"n_paths": 4, "length": 64, "duration": 10.0, "energy": STYLIZED},
        "compare_flow": {"made": Lazy(_generation), "n_paths": 8},
        "Determinants": {"wanted": "auto"},
        "Stochastic": {"probes": 2, "rng": np.random.default_rng(0), "mask": torch.ones(4, 64, dtype=torch.bool)},
        "from_spec": {"description": {"type": "AR", "coefficients": [0.1]}},
        "register": {"value": e.Autocovariance},
        "spec": {"obj": AR1},
        "Target": {
            "mean": TARGET.mean,
            "standard_error": TARGET.standard_error,
            "labels": ENERGY.labels,
            "source": "a test",
        },
        "two_sample_test": {"first": patches, "second": patches, "n_permutations": 9},
    }


class Lazy:
    """An argument that is made when it is first used."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def __call__(self) -> Any:
        return self.make()


def _linear() -> mm.Descent:
    energy = companion.closed_forms.LinearEnergy(torch.ones(1, 8).double() / 8)
    return mm.MFMGDM(energy, mm.Target(torch.ones(1).double(), torch.ones(1).double(), energy.labels, ""), 0.5)


def _matrix() -> Any:
    import sympy

    return sympy.eye(2)


def _terms() -> Any:
    return companion.derivations.path_terms(MODEL, BY_NAME["state"])


def _csv() -> Path:
    SERIES.to_csv("series.csv")
    return Path("series.csv")


def _image() -> Path:
    plt.imsave("image.png", FIELDS[0].numpy(), cmap="gray")
    return Path("image.png")


@functools.cache
def _generation() -> mm.Generation:
    return mm.generate(SERIES, 4, 64, energy=STYLIZED, duration=10.0)


@functools.cache
def _fields() -> mm.FieldGeneration:
    return mm.generate_fields(normals(32, 32), 2, (8, 8), energy=e.FieldAutocovariance())


@functools.cache
def _forecast() -> mm.Forecast:
    return mm.forecast(SERIES, 5, 200, law=VOLATILITY)


def _price_table() -> pd.DataFrame:
    return mm.io.paths_table(_forecast(), dates=True)


def _figure() -> Any:
    return plt.figure()


def _checkpoints() -> Any:
    return mm.distributed.Checkpoints(".", mm.distributed.Shard(), {})


def _communicator() -> Any:
    return mm.distributed.SharedEnsemble(mm.distributed.Shard(), 4)


def _cell() -> Any:
    return companion.TABLE_1[0]


@functools.cache
def _conditional() -> mm.ConditionalFlow:
    return mm.fit_conditional_flow(SERIES, VOLATILITY, CONDITIONAL)


def objects() -> dict[type, Callable[[], Any]]:
    """An object of each class whose methods are called; other classes are made from their `arguments`."""
    closed = companion.closed_forms
    return {
        closed.EnsembleLaw: lambda: closed.linear_descent(_linear(), p.WhiteNoise(), n_steps=2, members=4),
        closed.MeanFieldLimit: lambda: closed.mean_field_limit(MODEL, p.WhiteNoise(), n_steps=2, length=8),
        mm.ConditionalFlow: _conditional,
        mm.FrozenFlow: lambda: FLOW,
        mm.runs.ResultStore: lambda: mm.runs.ResultStore("store"),
        e.ScatteringSpectra: lambda: e.ScatteringSpectra(256),
        e.CrossCorrelations: lambda: e.CrossCorrelations(("a", "b")),
        mm.backtests.DailyForecasts: lambda: mm.backtests.daily_forecasts(VOLATILITY, SERIES, 100),
        mm.distributed.Checkpoints: _checkpoints,
        mm.processes.BurnIn: lambda: p.BurnIn(AR1, 10),
    }


# --- the public callables -------------------------------------------------------------------------------------------


def public_callables() -> Iterator[tuple[str, Any]]:
    """Names and values of all functions, classes, and methods of classes that packages and modules list as public."""
    seen: set[int] = set()

    def walk(module: ModuleType, prefix: str) -> Iterator[tuple[str, Any]]:
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.ismodule(value):
                if value.__name__.startswith("mfmgdm_lib"):
                    yield from walk(value, f"{prefix}{name}.")
            elif callable(value) and id(value) not in seen:
                seen.add(id(value))
                yield f"{prefix}{name}", value
                if inspect.isclass(value):
                    yield from ((f"{prefix}{name}.{method}", (value, method)) for method in methods(value))

    yield from walk(mm, "")


def methods(kind: type) -> list[str]:
    """Public methods that a class of the library has, those of its bases included."""
    found = []
    for name in dir(kind):
        member = inspect.getattr_static(kind, name)
        inner = getattr(member, "__func__", member)
        ours = str(getattr(inner, "__module__", "")).startswith("mfmgdm_lib")
        if inspect.isfunction(inner) and ours and (not name.startswith("_") or name == "__call__"):
            found.append(name)
    return found


PUBLIC = dict(public_callables())


def function_of(name: str) -> tuple[Callable[..., Any], bool]:
    """What a public name calls, and whether it takes an object first."""
    value = PUBLIC[name]
    if not isinstance(value, tuple):
        return value, False
    kind, method = value
    return getattr(kind, method), inspect.isfunction(inspect.getattr_static(kind, method))


@functools.cache
def parameters(name: str) -> tuple[inspect.Parameter, ...]:
    """Parameters that a public callable is given by name."""
    function, bound = function_of(name)
    found = list(inspect.signature(function).parameters.values())[int(bound) :]
    return tuple(one for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY))


@functools.cache
def valid(name: str) -> dict[str, Any]:
    """Valid arguments of a callable."""
    parts, own = name.split("."), dict[str, Any]()
    for depth in range(1, len(parts) + 1):
        own |= _arguments().get(".".join(parts[:depth]), {})
    known, found = {**BY_NAME, **own}, {}
    for one in parameters(name):
        if one.name in own or one.default is one.empty:
            if one.name not in known:
                raise LookupError(f"{name} has no valid {one.name}; list it in `arguments`")
            found[one.name] = known[one.name]
    return found


@functools.cache
def _arguments() -> dict[str, dict[str, Any]]:
    return arguments()


@functools.cache
def _object(kind: type) -> Any:
    made = objects().get(kind)
    if made is not None:
        return made()
    name = next(name for name, value in PUBLIC.items() if value is kind)
    return kind(*SPREAD.get(name, ()), **{key: forced(value) for key, value in valid(name).items()})


def forced(value: Any) -> Any:
    return value() if isinstance(value, Lazy) else value


def run(name: str, replaced: dict[str, Any]) -> Any:
    """Call a public callable with its valid arguments but for some; what is an iterator is followed for two items."""
    function, bound = function_of(name)
    given = dict(replaced) if has_table(name) else {**valid(name), **replaced}
    first = [_object(PUBLIC[name][0])] if bound else []
    result = function(*first, *SPREAD.get(name, ()), **{key: forced(value) for key, value in given.items()})
    if isinstance(result, contextlib.AbstractContextManager) and not isinstance(result, Run):
        with result as entered:
            return entered
    if isinstance(result, Iterator):
        return list(itertools.islice(result, 2))
    return result


def names() -> list[str]:
    """Callables that are called."""
    return [name for name, value in PUBLIC.items() if not _skipped(name, value)]


def _skipped(name: str, value: Any) -> bool:
    kind = value[0] if isinstance(value, tuple) else value
    if isinstance(value, tuple) and has_table(name):  # methods of cells and of their summaries
        return True
    if name in LEFT_OUT or (inspect.isclass(kind) and inspect.isabstract(kind)):
        return True
    if not parameters_or_none(name):
        return True
    return not isinstance(value, tuple) and name.rpartition(".")[2] in RECORDS


def parameters_or_none(name: str) -> tuple[inspect.Parameter, ...]:
    try:
        return parameters(name)
    except ValueError:
        return ()


SPREAD: dict[str, tuple[Any, ...]] = {"energies.Concatenate": (ENERGY, STYLIZED)}
"""Arguments by place, where a callable takes any number of them."""


def has_table(name: str) -> bool:
    """Whether a callable takes stored tables, or cells that have some."""
    deep = ("companion.closed_forms.", "companion.derivations.", "companion.paper.")
    return name.startswith("companion.") and not name.startswith(deep)


class Hangs(BaseException):
    """A call that takes too long; no `except Exception` holds it."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Let a call take some seconds and some memory only, and warn as it likes."""
    import resource

    def stop(*_: object) -> None:
        raise Hangs

    old, limits = signal.signal(signal.SIGALRM, stop), resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + MEMORY, limits[1]))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def outcome(name: str, replaced: dict[str, Any]) -> BaseException | None:
    """The error that a call ends in; None for a value."""
    try:
        with bounded():
            run(name, replaced)
    except (Exception, Hangs) as error:
        return error
    finally:
        plt.close("all")
    return None


@pytest.fixture(autouse=True, scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Calls write into an empty folder and reach no server."""
    folder = tmp_path_factory.mktemp("calls")
    (folder / "store").mkdir()

    def refuse(*_: object, **__: object) -> None:
        raise requests.ConnectionError("no server is asked")

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(requests.Session, "request", refuse)
        patch.setattr(companion, "RESULTS", folder, raising=False)
        yield


def test_every_public_callable_has_valid_arguments() -> None:
    for name in names():
        if not has_table(name):
            valid(name)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A public callable, and wrong arguments in the place of one or two of its valid ones."""
    name = draw(st.sampled_from(NAMES))
    places = [one.name for one in parameters(name)]
    few = draw(st.lists(st.sampled_from(places), min_size=1, max_size=2, unique=True))
    if has_table(name):  # which has no valid arguments here: all that it needs are of other classes
        few = [one.name for one in parameters(name) if one.default is one.empty] or few
        return name, {place: draw(st.sampled_from(OTHERS)) for place in few}
    return name, {place: draw(values()) for place in few}


@functools.cache
def values() -> st.SearchStrategy[Any]:
    """Objects of all kinds, tensors of any shape, dtype and size of numbers, and numbers of any size."""
    kinds = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.bool, torch.complex128)
    shapes = st.lists(st.sampled_from((0, 1, 2, 3, 4, 8, 64)), max_size=4)
    fills = st.sampled_from((0.0, 1.0, -1.0, 1e-320, 1e160, 1e308, math.nan, math.inf))
    tensors = st.builds(_filled, shapes, st.sampled_from(kinds), fills, st.booleans())
    numbers = (st.floats(), st.integers(-9, 99), st.integers(10**12))  # what is large and allowed takes its time
    return st.one_of(st.sampled_from(list(wrong().values())), tensors, *numbers, st.text(max_size=5))


def _filled(shape: list[int], dtype: torch.dtype, fill: float, graph: bool) -> Tensor:
    whole = dtype in (torch.int64, torch.bool)
    x = torch.full(shape, 1.0 if whole else fill, dtype=torch.float64).to(dtype)
    return x.requires_grad_(graph and (dtype.is_floating_point or dtype.is_complex))


OTHERS = (Nothing(), 3.5, "nonsense", e.Autocovariance, torch.eye(4, 64).to_sparse(), None)
NAMES = [name for name in names() if name not in SLOW]
LONGER = os.environ.get("FAULTS") == "long"


@settings(
    max_examples=50_000 if LONGER else 1_500,
    derandomize=not LONGER,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(call=calls())
def test_any_call_ends_in_a_value_or_a_documented_error(call: tuple[str, dict[str, Any]]) -> None:
    """The long form, `make faults LONG=1`, prints how many calls ended in what."""
    name, replaced = call
    error = outcome(name, replaced)
    event("a value" if error is None else type(error).__name__)
    more = tuple(kind for prefix, kind in MORE.items() if name.startswith(prefix))
    assert error is None or isinstance(error, (*DOCUMENTED, *more)), f"{name} of {sorted(replaced)}: {error!r}"


def test_cir_has_a_finite_and_right_density_of_draws_next_to_0() -> None:
    process = p.CIR(0.5, 1.0, 100.0)
    paths = process.sample(20, 16, seed=0)
    b, rate, decay = (mpmath.mpf(value) for value in (process._shape, process._rate, process._decay))
    for path, found in zip(paths.tolist(), process.log_prob(paths).tolist(), strict=True):
        first = mpmath.mpf(path[0]) / process._scale
        terms = [(b - 1) * mpmath.log(first), -first, -mpmath.loggamma(b), -mpmath.log(process._scale)]
        for before, now in itertools.pairwise(path):
            u, v = rate * decay * mpmath.mpf(before), rate * mpmath.mpf(now)
            kernel = mpmath.log(mpmath.hyp0f1(b, u * v)) - mpmath.loggamma(b) - u - v
            terms += [mpmath.log(rate), (b - 1) * mpmath.log(v), kernel]
        # A few roundings of each term, and of each partial sum.
        assert abs(found - float(sum(terms))) < 8 * np.finfo(float).eps * float(sum(map(abs, terms))) * len(path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: p.AR([0.0] * 2000), "coefficients has 2000 numbers; expected at most 500"),
        (lambda: p.WhiteNoise("0"), "mean is '0' .str.; expected a finite number"),
        (lambda: p.WhiteNoise(10**400), "expected a finite number"),
        (lambda: p.GARCH(0.1, "a", 0.1), "alpha is 'a'; expected a number of at least 0"),
        (lambda: p.StudentNoise("5"), "degrees_of_freedom is '5'; expected a finite number above 2"),
        (lambda: p.WhiteNoise().sample(10**12, 1, 0), "n is 1000000000000; expected a whole number of at most"),
        (lambda: p.WhiteNoise().sample(2**31 - 1, 2**31 - 1, 0), "numbers in all; expected at most"),
        (lambda: ENERGY(torch.ones(4, 64, dtype=torch.float16)), "float16; expected float32 or float64"),
        (lambda: ENERGY(torch.empty(4, 64, device="meta")), "expected a torch.Tensor, dense and with numbers"),
        (lambda: mm.statistics.autocorrelation(PATHS * 1e160), r"x has .*e\+1\d\d at index"),
        (lambda: ENERGY(PATHS * 1e160), r"x has numbers up to .*e\+160, and the energy at index \(0, 0\) is beyond"),
        (lambda: AR1.log_prob(torch.full((2, 8), math.inf)), r"x has 16 entries .* first at index \(0, 0\)"),
        (lambda: mm.estimate_target(3, AR1, seed=0), "energy is 3 .int.; expected an Energy"),
    ],
)
def test_message(call: Callable[[], object], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call()
