"""The contract that every process, energy and determinant backend has to satisfy; a new class is one line here."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import grad, jacrev, vjp

import mfmgdm_lib as mm
from mfmgdm_lib import specification
from mfmgdm_lib.energies import (
    AbsoluteMoments,
    Autocovariance,
    Concatenate,
    CrossCorrelations,
    EachChannel,
    Energy,
    FieldAutocovariance,
    FieldMoments,
    FieldScatteringMean,
    Linear,
    Projection,
    ScatteringCovariance,
    ScatteringMean,
    ScatteringSpectra,
    StylizedFacts,
    WaveletL1,
    Whitening,
)
from mfmgdm_lib.processes import (
    AR,
    ARGARCH,
    CIR,
    GARCH,
    Exponential,
    GaussianCopula,
    GaussianField,
    Independent,
    Process,
    StudentNoise,
    TruncatedGaussian,
    WhiteNoise,
)
from mfmgdm_lib.processes.base import generator
from mfmgdm_lib.support import HALF_LINE, REAL_LINE

PROCESSES: dict[str, Process] = {
    "AR(0.1)": AR([0.1]),
    "AR(0.999)": AR([0.999]),
    "AR(0.2, -0.1), own innovations": AR([0.2, -0.1], innovation_std=2.5),
    "AR(5)": AR([0.5, 0.0, 0.0, 0.0, 0.3]),
    "CIR, order -1/2": CIR(0.25, 1.0, 1.0),
    "CIR, order 0": CIR(0.5, 1.0, 1.0),
    "CIR, order 1": CIR(2**-0.5, 2**0.5, 1.0),
    "CIR, order 2.64, often seen": CIR(1.3, 0.7, 0.7071, dt=0.1),
    "CIR, order 37.6": CIR(0.5, 9.65, 0.5, dt=0.25),
    "GARCH": GARCH(0.03, 0.1, 0.87),
    "GARCH, Student t": GARCH(0.1, 0.2, 0.5, degrees_of_freedom=12.0),  # its 8th moment exists: see the test of the sd
    "AR-GARCH": ARGARCH(-0.3, 0.02, 0.15, 0.8, mean=0.5),
    "AR-GARCH, Student t": ARGARCH(0.6, 1.5, 0.1, 0.6, mean=-2.0, degrees_of_freedom=15.0),
    "AR-GARCH, falls": ARGARCH(-0.1, 0.2, 0.05, 0.6, degrees_of_freedom=15.0, asymmetry=0.15, skew=-0.2),
    "white noise": WhiteNoise(),
    "white noise, moved": WhiteNoise(mean=-3.0, stddev=0.2),
    "Student noise": StudentNoise(12.0, mean=0.3, stddev=2.0),  # its 8th moment exists: see the test of the sd
    "exponential": Exponential(2.5),
    "truncated Gaussian": TruncatedGaussian(1.0, 1.5),
    "truncated Gaussian, mostly cut off": TruncatedGaussian(-8.0, 2.0),
    "truncated Gaussian, hardly cut off": TruncatedGaussian(3.0, 0.5),
}

ENERGIES: dict[str, Callable[[int], Energy]] = {  # by the length of the paths, which bounds the lags
    "autocovariance": lambda length: Autocovariance(),
    "stylised": lambda length: StylizedFacts(lags=min(20, length - 1)),
    "stylised, 1 lag": lambda length: StylizedFacts(lags=1),
    "stylised, leverage": lambda length: StylizedFacts(lags=min(3, length - 1), leverage=min(5, length - 1)),
    "stylised, more lags than leverage": lambda length: StylizedFacts(lags=min(4, length - 1), leverage=1),
    "stylised, sums": lambda length: StylizedFacts(lags=1, leverage=1, sums=min(5, length)),
    "mixed": lambda length: Linear(Autocovariance(), torch.tensor([[1.0, 0.3], [0.0, 1.0]]), ["sum", "square"]),
    "whitened": lambda length: whitened(min(4, length - 1)),
    "side by side": lambda length: Concatenate(Autocovariance(), StylizedFacts(lags=2)),
}


@cache
def whitened(lags: int) -> Energy:
    return Whitening.fit(StylizedFacts(lags=lags), WhiteNoise(), n_samples=200, length=64, seed=1)


@cache
def projected() -> Energy:
    return Projection.fit(ScatteringCovariance(256), WhiteNoise(), n_components=5, n_samples=100, seed=1)


FILTERED: dict[str, Callable[[int], Energy]] = {  # for one length only, and the shortest there is is quick enough
    "scattering mean": lambda length: ScatteringMean(256),
    "scattering mean, other wavelets": lambda length: ScatteringMean(256, J=5, wavelets=(2, 3)),
    "scattering covariance, few wavelets": lambda length: ScatteringCovariance(256, J=5, wavelets=(1, 2)),
    "scattering covariance, projected": lambda length: projected(),
    "scattering spectra": lambda length: ScatteringSpectra(256, scale=np.linspace(0.9, 0.3, 8)),
    "scattering spectra, Morlet": lambda length: ScatteringSpectra(256, J=4, wavelet="morlet"),
    "side by side, one filtered": lambda length: Concatenate(ScatteringMean(256), Autocovariance()),
}

WIDE: dict[str, Callable[[int], Energy]] = {  # too many values for all of their Hessians
    "scattering covariance": lambda length: ScatteringCovariance(256),
}


class Smooth(Energy):
    """What a user may write: no closed form of any derivative, and Hessians that depend on the path."""

    labels = ("modulus", "bell", "triple")

    def __repr__(self) -> str:
        return "Smooth()"

    def _evaluate(self, x: Tensor) -> Tensor:
        parts = ((x * x + 0.25).sqrt(), torch.exp(-0.5 * x * x), x * x * x.roll(1, -1))
        return torch.stack([part.mean(-1) for part in parts], dim=-1)


class Waves(Energy):
    """Linear in the path, so that there is no Hessian at all."""

    labels = ("mean", "wave")

    def __repr__(self) -> str:
        return "Waves()"

    def _evaluate(self, x: Tensor) -> Tensor:
        wave = torch.cos(0.7 * torch.arange(x.shape[-1], dtype=x.dtype))
        return torch.stack((x.mean(-1), (wave * x).mean(-1)), dim=-1)


WITHOUT_CLOSED_FORMS: dict[str, Callable[[int], Energy]] = {
    "smooth": lambda length: Smooth(),
    "linear": lambda length: Waves(),
}


@mm.register
class TwoChannels(Energy):
    """Mean squares of two channels and their products at lags 0 and 1, with nothing but the values written down."""

    labels = ("first", "second", "lag 0", "lag 1")
    event_shape = (2, None)

    def __repr__(self) -> str:
        return "TwoChannels()"

    def _evaluate(self, x: Tensor) -> Tensor:
        first, second = x.unbind(-2)
        lagged = (first[..., :-1] * second[..., 1:]).sum(-1) / x.shape[-1]
        return torch.stack([*(part.mean(-1) for part in (first**2, second**2, first * second)), lagged], dim=-1)


@mm.register
class Correlated(Process):
    """Two channels of white noise that go together at each time, as a user may write them."""

    event_shape = (2, None)
    mean, stddev = 0.0, 1.0

    def __init__(self, correlation: float) -> None:
        self.correlation = correlation

    def __repr__(self) -> str:
        return f"Correlated({self.correlation})"

    def sample(self, n: int, length: tuple[int, int], seed: object) -> Tensor:
        first, rest = torch.from_numpy(generator(seed).standard_normal((n, *length))).unbind(1)
        return torch.stack((first, self.correlation * first + (1 - self.correlation**2) ** 0.5 * rest), 1)

    def log_prob(self, x: Tensor) -> Tensor:
        first, second = x.unbind(-2)
        variance = 1 - self.correlation**2
        squares = first.square() + (second - self.correlation * first).square() / variance
        return -0.5 * squares.sum(-1) - x.shape[-1] * (math.log(2 * math.pi) + 0.5 * math.log(variance))


@mm.register
class Field(Energy):
    """Of a field (8, 8): the mean square, products with both neighbours, and a modulus that bends Hessians."""

    labels = ("square", "across", "down", "modulus")
    event_shape = (8, 8)

    def __repr__(self) -> str:
        return "Field()"

    def _evaluate(self, x: Tensor) -> Tensor:
        parts = (x * x, x * x.roll(1, -1), x * x.roll(1, -2), (x * x + 0.25).sqrt())
        return torch.stack([part.mean((-2, -1)) for part in parts], dim=-1)


SHAPES: dict[str, tuple[Energy, Process, tuple[int, ...]]] = {  # an energy, a law, and the shape of a path
    "channels": (TwoChannels(), Correlated(0.6), (2, 12)),
    "mixed channels": (Linear(TwoChannels(), torch.eye(4)[:1] + 0.3, ["sum"]), Correlated(-0.4), (2, 12)),
    "cross-correlations": (CrossCorrelations(("a", "b"), lags=1), Correlated(0.6), (2, 12)),
    "each channel": (
        EachChannel(StylizedFacts(lags=2, leverage=1), ("a", "b")),
        GaussianCopula([StudentNoise(9.0), WhiteNoise()], [[1.0, 0.5], [0.5, 1.0]]),
        (2, 12),
    ),
    "three channels": (
        Concatenate(EachChannel(Autocovariance(), ("a", "b", "c")), CrossCorrelations(("a", "b", "c"), 2)),
        GaussianCopula(
            [ARGARCH(0.2, 0.3, 0.1, 0.6), ARGARCH(0.0, 0.3, 0.1, 0.6, degrees_of_freedom=9.0, skew=-0.2), WhiteNoise()],
            [[1.0, 0.5, 0.2], [0.5, 1.0, -0.3], [0.2, -0.3, 1.0]],
        ),
        (3, 8),
    ),
    "absolute moments": (AbsoluteMoments(axes=2), Independent(WhiteNoise(stddev=1.3), (8, 8)), (8, 8)),
    "field": (Field(), Independent(WhiteNoise(stddev=1.3), (8, 8)), (8, 8)),
    "field, moments": (FieldMoments(), Independent(WhiteNoise(stddev=1.3), (8, 8)), (8, 8)),
    "wavelets of a field": (WaveletL1((8, 8), J=2, angles=2), Independent(WhiteNoise(stddev=1.3), (8, 8)), (8, 8)),
    "scattering of a field": (
        FieldScatteringMean((8, 8), J=2, angles=2),
        Independent(WhiteNoise(stddev=1.3), (8, 8)),
        (8, 8),
    ),
    "periodic field": (
        FieldAutocovariance([(0, 0), (0, 1), (1, 0), (2, -1)]),
        GaussianField.conditional_autoregression([0.2, -0.1], (8, 8), stddev=1.3),
        (8, 8),
    ),
    "mixed periodic fields": (
        Linear(
            Concatenate(FieldAutocovariance([(0, 0)]), FieldAutocovariance([(1, 1), (0, 3)])),
            torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]]),
            ["first", "second"],
        ),
        GaussianField.conditional_autoregression(0.2, (8, 8)),
        (8, 8),
    ),
}

BACKENDS = ["banded", "dense"]
SUPPORTS = {"real line": REAL_LINE, "half-line": HALF_LINE}

LENGTHS = [5, 8, 16, 64]
ENSEMBLES = {"MGDM": (3, 1), "MF-MGDM": (3, 3), "ensembles of 2": (4, 2)}  # paths, and paths in an ensemble
REGIMES = {  # step size over length, and the scale of each path: a large mismatch bends a block
    "small steps": (0.005, [1.0, 1.0, 1.0, 1.0]),
    "moderate steps": (0.1, [1.0, 1.0, 1.0, 1.0]),
    "some blocks indefinite": (1.0, [0.1, 3.0, 0.1, 4.0]),
    "all blocks indefinite": (2.0, [3.0, 3.5, 4.0, 3.0]),
}

process_contract = pytest.mark.parametrize("process", PROCESSES.values(), ids=list(PROCESSES))
EVERY = ENERGIES | FILTERED | WIDE
every_energy_contract = pytest.mark.parametrize("build", EVERY.values(), ids=list(EVERY))
energy_contract = pytest.mark.parametrize("build", ENERGIES.values(), ids=list(ENERGIES))
filtered_contract = pytest.mark.parametrize("build", FILTERED.values(), ids=list(FILTERED))
at_any_length_contract = pytest.mark.parametrize(
    ("build", "length"),
    [
        pytest.param(build, length, id=f"{length}-{name}")
        for names, lengths in ((ENERGIES, LENGTHS), (FILTERED, [256]))
        for length in lengths
        for name, build in names.items()
    ],
)
any_energy_contract = pytest.mark.parametrize(
    "build", [*ENERGIES.values(), *WITHOUT_CLOSED_FORMS.values()], ids=[*ENERGIES, *WITHOUT_CLOSED_FORMS]
)
support_contract = pytest.mark.parametrize("support", SUPPORTS.values(), ids=list(SUPPORTS))
backend_contract = pytest.mark.parametrize("backend", BACKENDS)
length_contract = pytest.mark.parametrize("length", LENGTHS)


# --- processes ---------------------------------------------------------------------------------------------------


@process_contract
def test_sample_is_finite_float64_of_the_shape_asked_for(process: Process) -> None:
    x = process.sample(3, 17, seed=0)
    assert (tuple(x.shape), x.dtype) == ((3, 17), torch.float64)
    assert torch.isfinite(x).all()
    assert process.support.check(x).all()


@process_contract
def test_same_seed_gives_the_same_bits_and_another_seed_others(process: Process) -> None:
    first = process.sample(4, 30, seed=(2, 12345))
    assert torch.equal(first, process.sample(4, 30, seed=(2, 12345)))
    assert not torch.isclose(first, process.sample(4, 30, seed=(3, 12345))).any()


@process_contract
def test_drawing_in_chunks_from_one_generator_is_drawing_at_once(process: Process) -> None:
    if not process.draws_path_by_path:
        pytest.skip("says that it is not")
    rng = np.random.default_rng(5)
    chunks = torch.cat([process.sample(n, 30, rng) for n in (1, 3, 2)])
    # The same draws; a matrix product may sum them in another order when there are more rows.
    torch.testing.assert_close(chunks, process.sample(6, 30, seed=5), rtol=0, atol=1e-13 * process.stddev)


@process_contract
@pytest.mark.parametrize("at", [0, 5, -1])
def test_mean_and_stddev_are_those_of_the_sample_at_every_time(process: Process, at: int) -> None:
    n = 20_000
    values = process.sample(n, 12, seed=7)[:, at]
    kurtosis = float((values - process.mean).pow(4).mean()) / process.stddev**4
    # Paths are independent: the mean's standard error is σ/√n, the sd's σ √((kurtosis − 1) / 4n), which is σ/√(2n) for
    # a normal law; 5 of each, for two numbers of many processes. The kurtosis has an error too, but of 1/√n.
    assert float(values.mean()) == pytest.approx(process.mean, abs=5 * process.stddev / n**0.5)
    assert float(values.std()) == pytest.approx(process.stddev, rel=5 * ((kurtosis - 1) / (4 * n)) ** 0.5)


@process_contract
def test_log_prob_is_the_law_that_sample_draws_from(process: Process) -> None:
    n, length = 20_000, 6
    x = process.sample(n, length, seed=8).requires_grad_()
    (score,) = torch.autograd.grad(process.log_prob(x).sum(), x)
    # Stein's identity, by parts: E[score_i f + ∂_i f] = 0 for f = w(x_i) and f = w(x_i) (x_j − mean), w = 1 on the real
    # line. From 0 on, w(x) = x: f has to vanish at 0, and with it the products have a variance where the score is as
    # large as 1/x_i.
    x, ones = x.detach(), torch.ones(n, 1, dtype=torch.float64)
    weight, slope = (torch.ones_like(x), 0.0) if process.support is REAL_LINE else (x, 1.0)
    factors = torch.cat([ones, x - process.mean], dim=1)
    products = (weight * score + slope)[:, :, None] * factors[:, None, :]
    products[:, :, 1:] += torch.diag_embed(weight)
    # 5 standard errors, for 42 entries at once.
    assert (products.mean(0).abs() < 5 * products.std(0) / n**0.5).all()


@process_contract
def test_log_prob_is_minus_infinity_off_the_support(process: Process) -> None:
    x = process.sample(3, 7, seed=9)
    x[1, 4] = -1e-3
    outside = torch.tensor([False, process.support is HALF_LINE, False])
    assert torch.equal(process.log_prob(x) == -torch.inf, outside)


@process_contract
def test_log_prob_takes_any_leading_axes_and_keeps_the_dtype(process: Process) -> None:
    x = process.sample(6, 9, seed=0)
    one_by_one = torch.stack([process.log_prob(path) for path in x])
    torch.testing.assert_close(process.log_prob(x.unflatten(0, (2, 3))).flatten(), one_by_one, rtol=0, atol=1e-12)
    single = process.log_prob(x.float())
    assert single.dtype == torch.float32
    # Rounding moves a path by 2⁻²⁴ relative; the slope of log p in that is at most length · |x|² / σ_ε² here.
    slope = float(torch.autograd.functional.jacobian(lambda y: process.log_prob(y).sum(), x).mul(x).abs().sum())
    torch.testing.assert_close(single.double(), one_by_one, rtol=1e-5, atol=slope * 2.0**-22)


@process_contract
def test_process_says_what_it_is(process: Process) -> None:
    assert repr(process).startswith(type(process).__name__ + "(")


@process_contract
def test_process_comes_back_from_its_description(process: Process) -> None:
    again = mm.from_spec(json.loads(json.dumps(mm.spec(process))), kind=type(process))
    assert type(again) is type(process) and mm.spec(again) == mm.spec(process)
    x = process.sample(3, 20, seed=4)
    assert torch.equal(again.sample(3, 20, seed=4), x)
    assert torch.equal(again.log_prob(x), process.log_prob(x))


# --- energies ----------------------------------------------------------------------------------------------------


def points(energy: Energy, wanted: int = 32) -> int:
    """The length of path that an energy takes, which is what is wanted unless it takes one only."""
    return wanted if energy.length is None else energy.length


def gain(energy: Energy) -> float:
    """How many times larger a matrix inside an energy makes its round-off."""
    return max(1.0, float(energy.matrix.abs().sum(1).max())) if isinstance(energy, Linear) else 1.0


@every_energy_contract
def test_energies_are_labelled_one_by_one(build: Callable[[int], Energy]) -> None:
    energy = build(32)
    assert energy.dim == len(energy.labels) == len(set(energy.labels))
    assert repr(energy).startswith(type(energy).__name__)


@every_energy_contract
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_energy_keeps_dtype_and_leading_axes_and_leaves_its_input_alone(
    build: Callable[[int], Energy], noise: Callable[..., Tensor], dtype: torch.dtype
) -> None:
    energy = build(32)
    x = noise(2, 3, points(energy)).to(dtype)
    before = x.clone()
    values = energy(x)
    assert (tuple(values.shape), values.dtype) == ((2, 3, energy.dim), dtype)
    assert torch.equal(x, before)
    # A sum of 32 products of up to 4 factors; a sum of more of them has a divisor that makes up for it.
    tolerance = 32 * torch.finfo(dtype).eps * float(x.abs().max()) ** 4 * gain(energy)
    torch.testing.assert_close(values[1, 2], energy(x[1, 2]), rtol=0, atol=tolerance)
    torch.testing.assert_close(values.double(), energy(x.double()), rtol=0, atol=tolerance)


@every_energy_contract
def test_energy_is_defined_from_its_shortest_path_on(
    build: Callable[[int], Energy], noise: Callable[..., Tensor]
) -> None:
    energy = build(32)
    assert torch.isfinite(energy(noise(2, energy.minimum_length))).all()
    with pytest.raises(ValueError, match=rf"at least {energy.minimum_length} points in time.*Use longer paths"):
        energy(noise(2, energy.minimum_length - 1))


@at_any_length_contract
def test_gradient_is_that_of_automatic_differentiation(
    build: Callable[[int], Energy], noise: Callable[..., Tensor], length: int
) -> None:
    energy, x = build(length), noise(2, 3, length)
    weights = noise(2, 3, energy.dim, seed=1)
    force = energy.gradient(x, weights)
    exact = partial(torch.testing.assert_close, rtol=0, atol=1e-12 * gain(energy))
    exact(force, Energy.gradient(energy, x, weights))
    exact(force, torch.einsum("abkt,abk->abt", jacobian_by_autodiff(energy, x), weights))


@every_energy_contract
def test_gradient_keeps_dtype_and_leaves_its_input_alone(
    build: Callable[[int], Energy], noise: Callable[..., Tensor]
) -> None:
    energy = build(32)
    x, weights = noise(4, points(energy)).float(), noise(4, energy.dim, seed=1).float()
    before = x.clone(), weights.clone()
    force = energy.gradient(x, weights)
    assert force.dtype == torch.float32 and not force.requires_grad
    assert torch.equal(x, before[0]) and torch.equal(weights, before[1])
    exact = energy.gradient(x.double(), weights.double())
    scale = float((x.abs().max() + 1) ** 3 * weights.abs().max()) * gain(energy)
    torch.testing.assert_close(force.double(), exact, rtol=0, atol=32 * torch.finfo(torch.float32).eps * scale)


def jacobian_by_autodiff(energy: Energy, x: Tensor) -> Tensor:
    """J_Φ, (*, K, time), from `energy.__call__` alone."""
    rows = torch.stack([jacrev(energy)(path) for path in x.reshape(-1, x.shape[-1])])
    return rows.reshape(*x.shape[:-1], energy.dim, x.shape[-1])


@at_any_length_contract
def test_rows_of_the_jacobian_are_those_of_automatic_differentiation(
    build: Callable[[int], Energy], noise: Callable[..., Tensor], length: int
) -> None:
    energy, x = build(length), noise(2, 3, length)
    expected = jacobian_by_autodiff(energy, x)
    exact = partial(torch.testing.assert_close, rtol=0, atol=1e-12 * gain(energy))
    for rows in (energy.jacobian, partial(Energy.jacobian, energy)):
        exact(rows(x), expected)
        exact(rows(x[1, 2]), expected[1, 2])
        assert rows(x.float()).dtype == torch.float32
        assert not rows(x).requires_grad


@at_any_length_contract
def test_products_with_the_jacobian_are_those_with_its_rows(
    build: Callable[[int], Energy], noise: Callable[..., Tensor], length: int
) -> None:
    energy, x = build(length), noise(2, 3, length)
    expected = jacobian_by_autodiff(energy, x)
    exact = partial(torch.testing.assert_close, rtol=0, atol=1e-12 * gain(energy) * length)
    for products in (energy.jacobian_products, partial(Energy.jacobian_products, energy)):
        push, pull = products(x)
        for seed in (1, 2):  # as often as needed
            vectors, weights = noise(2, 3, length, seed=seed), noise(2, 3, energy.dim, seed=seed)
            exact(push(vectors), torch.einsum("abkt,abt->abk", expected, vectors))
            exact(pull(weights), torch.einsum("abkt,abk->abt", expected, weights))
            assert not push(vectors).requires_grad and not pull(weights).requires_grad


@pytest.mark.parametrize("build", (EVERY | WITHOUT_CLOSED_FORMS).values(), ids=list(EVERY | WITHOUT_CLOSED_FORMS))
@pytest.mark.parametrize("default", [False, True], ids=["own", "default"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linearisation_is_the_force_and_its_derivative(
    build: Callable[[int], Energy], default: bool, dtype: torch.dtype, noise: Callable[..., Tensor]
) -> None:
    energy = build(32)
    length = points(energy)
    x, weights, vectors = (noise(2, 3, n, seed=seed).to(dtype) for seed, n in enumerate((length, energy.dim, length)))
    before = x.clone(), weights.clone(), vectors.clone()
    force, product = Energy.linearize(energy, x, weights) if default else energy.linearize(x, weights)
    curved = product(vectors)
    rows_of = zip(*(values.double().flatten(0, 1) for values in (x, weights, vectors)), strict=True)
    expected = []
    for path, weight, vector in rows_of:
        expected_force, pull_back = vjp(grad(lambda y, w=weight: energy(y) @ w), path)
        expected.append((expected_force, *pull_back(vector)))
    if dtype == torch.float64:
        force_error = product_error = 1e-12 * gain(energy)
    else:  # as for the gradient: sums of up to 32 terms, each of up to 4 factors and a weight
        force_error = 32 * torch.finfo(dtype).eps * float((x.abs().max() + 1) ** 3 * weights.abs().max()) * gain(energy)
        product_error = force_error * float(vectors.abs().max())
    exact_force, exact = (torch.stack(part).reshape(2, 3, length) for part in zip(*expected, strict=True))
    torch.testing.assert_close(force.double(), exact_force, rtol=0, atol=force_error)
    torch.testing.assert_close(curved.double(), exact, rtol=0, atol=product_error)
    assert force.dtype == curved.dtype == dtype
    assert not force.requires_grad and not curved.requires_grad
    assert torch.equal(product(vectors), curved)  # as often as needed
    assert torch.equal(product(-2 * vectors), -2 * curved)  # and linear: a power of two rounds nothing
    assert all(torch.equal(value, kept) for value, kept in zip((x, weights, vectors), before, strict=True))


@energy_contract
@length_contract
def test_bands_of_the_hessian_are_those_of_automatic_differentiation(
    build: Callable[[int], Energy], noise: Callable[..., Tensor], length: int
) -> None:
    energy, x = build(length), noise(2, 3, length)
    weights = noise(2, 3, energy.dim, seed=1)
    bands = energy.hessian_bands(x, weights)
    assert bands.shape == (2, 3, energy.bandwidth + 1, length)
    assert energy.hessian_bands(x.float(), weights.float()).dtype == torch.float32
    for band, path, weight in zip(bands.flatten(0, 1), x.flatten(0, 1), weights.flatten(0, 1), strict=True):
        full = jacrev(grad(lambda y, w=weight: energy(y) @ w))(path)
        expected = torch.zeros_like(band)
        for j in range(energy.bandwidth + 1):
            expected[j, : length - j] = full.diagonal(-j)
        torch.testing.assert_close(band, expected, rtol=0, atol=1e-12 * gain(energy))
        beyond = full.tril(-energy.bandwidth - 1)
        assert torch.equal(beyond, torch.zeros_like(beyond))


@filtered_contract
def test_energy_without_bands_says_so(build: Callable[[int], Energy], noise: Callable[..., Tensor]) -> None:
    energy, x = build(256), noise(1, 256)
    assert energy.bandwidth is None and not energy.commuting
    with pytest.raises(TypeError, match="no banded Hessians; expected an energy with a bandwidth"):
        energy.hessian_bands(x, noise(1, energy.dim))


@energy_contract
def test_energy_that_calls_its_hessians_commuting_is_made_of_quadratic_forms_that_do(
    build: Callable[[int], Energy], noise: Callable[..., Tensor]
) -> None:
    energy, (x, y) = build(16), noise(2, 16)
    hessians, elsewhere = (jacrev(jacrev(energy))(path) for path in (x, y))
    close = partial(torch.allclose, rtol=0, atol=1e-13 * gain(energy) ** 2)
    constant = close(hessians, elsewhere)
    products = hessians[:, None] @ hessians
    commute = close(products, products.transpose(0, 1))
    homogeneous = close(energy.jacobian(x), hessians @ x)
    assert energy.commuting == (constant and commute and homogeneous)


@every_energy_contract
@pytest.mark.parametrize("beside", [False, True], ids=["written out", "arrays beside"])
def test_energy_comes_back_from_its_description(
    build: Callable[[int], Energy], noise: Callable[..., Tensor], beside: bool
) -> None:
    energy = build(32)
    arrays: dict[str, np.ndarray] | None = {} if beside else None
    description = json.loads(json.dumps(mm.spec(energy, arrays)))
    again, x = mm.from_spec(description, arrays, kind=Energy), noise(3, points(energy))
    assert type(again) is type(energy) and (repr(again), again.labels) == (repr(energy), energy.labels)
    assert torch.equal(again(x), energy(x))


@pytest.mark.parametrize("model", [mm.Descent, mm.Model, mm.MGDM, mm.MFMGDM, mm.GradientFlow])
def test_model_and_flow_come_back_from_their_descriptions(
    model: type, make_target: Callable[..., mm.Target], noise: Callable[..., Tensor]
) -> None:
    energy, x0 = StylizedFacts(lags=3), noise(4, 16)
    made = model(energy, make_target(energy), *([] if model is mm.GradientFlow else [0.01]))
    again = mm.from_spec(json.loads(json.dumps(mm.spec(made))), kind=model)
    assert type(again) is model and mm.spec(again) == mm.spec(made)
    ends = [list(m.steps(x0, 3))[-1].paths for m in (made, again)]
    assert torch.equal(*ends)
    if isinstance(made, mm.Model):
        flow = made.freeze(x0, 3)
        twin = mm.from_spec(json.loads(json.dumps(mm.spec(flow))), kind=mm.FrozenFlow)
        assert torch.equal(twin.sample(2, seed=1), flow.sample(2, seed=1))


def test_every_registered_class_is_in_a_test_above() -> None:
    energies = [build(32) for build in EVERY.values()]
    others = {mm.Descent, mm.Model, mm.MGDM, mm.MFMGDM, mm.GradientFlow, mm.FrozenFlow, mm.Target, mm.Interval}
    others |= {mm.processes.BurnIn}  # which has no density
    others |= {mm.processes.Ising, mm.Constraint, mm.SignedPower}  # in test_ising.py and test_constraint.py
    others |= {mm.processes.VolatilityModel, mm.ConditionalFlow, mm.energies.GivenPast}  # laws of what follows
    shaped = {type(part) for energy, law, _ in SHAPES.values() for part in (energy, law)}
    tested = {*map(type, PROCESSES.values()), *map(type, energies), *others, *shaped}
    tested = {cls for cls in tested if cls.__module__.startswith("mfmgdm_lib")}
    known = {entry.value for entry in specification._KNOWN.values() if isinstance(entry.value, type)}
    assert {cls for cls in known if cls.__module__.startswith("mfmgdm_lib")} == tested


# --- Jacobians ---------------------------------------------------------------------------------------------------


def step_by_autodiff(model: mm.Descent, x: Tensor, members: int) -> Tensor:
    """One step of all paths (N, d), from `energy.__call__`, the target and the step size alone."""
    target = model.target.mean
    energies, pull_back = vjp(model.energy, x)
    mismatch = energies.unflatten(0, (-1, members)).mean(1).repeat_interleave(members, 0) - target
    proposal = x - model.step_size / (target @ target) * pull_back(mismatch)[0]
    return proposal if model.support is REAL_LINE else torch.where(proposal >= 0, proposal, x)


def full_jacobian(model: mm.Descent, x: Tensor, members: int) -> Tensor:
    """Jacobian of the step of each ensemble, (E, M·d, M·d); asserts that ensembles leave each other alone."""
    n, d = len(x), x[0].numel()
    rows = jacrev(lambda y: step_by_autodiff(model, y, members), chunk_size=16)  # what 16 rows need stays in the cache
    whole = rows(x).reshape(n * d, n * d)
    blocks = whole.unflatten(0, (-1, members * d)).unflatten(2, (-1, members * d)).movedim(1, 2)
    own = torch.eye(n // members, dtype=torch.bool)
    assert not blocks[~own].any()
    return blocks[own]


def blocks_by_autodiff(model: mm.Descent, state: mm.State) -> Tensor:
    """A_n = I − Σ_k w_k H_k of each path, (N, d, d)."""
    identity, weights = torch.eye(state.paths.shape[-1]), model.rate * state.mismatch
    return torch.stack(
        [
            identity - jacrev(grad(lambda y, w=weight: model.energy(y) @ w))(path)
            for path, weight in zip(state.paths, weights, strict=True)
        ]
    )


def make_case(
    energy: Energy, regime: str, shape: tuple[int, int, int], noise: Callable[..., Tensor], make_target: Callable
) -> tuple[mm.Descent, mm.State]:
    """Return a model and a state of (paths, paths in an ensemble, length); the target is the energy of another path."""
    n_paths, members, length = shape
    step, scales = REGIMES[regime]
    target = make_target(energy, energy(noise(length, seed=99)).tolist())
    model = mm.Descent(energy, target, step * length, ensemble_size=members)
    return model, model.evaluate(noise(n_paths, length, seed=length) * torch.tensor(scales[:n_paths])[:, None])


def assert_regime(regime: str, members: int, eigenvalues: Tensor, indefinite: Tensor) -> None:
    """Check that a case is what its name promises: eigenvalues of each ensemble, and which blocks are indefinite."""
    if regime == "small steps":
        assert (eigenvalues > 0).all()
    elif regime == "some blocks indefinite" and members == 1:
        assert indefinite.tolist() == [False, True, False]
    elif regime == "all blocks indefinite":
        assert indefinite.all()


@energy_contract
@length_contract
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("ensemble", ENSEMBLES.values(), ids=list(ENSEMBLES))
def test_every_backend_has_the_determinant_of_the_whole_step(
    build: Callable[[int], Energy],
    length: int,
    regime: str,
    ensemble: tuple[int, int],
    noise: Callable[..., Tensor],
    make_target: Callable[..., mm.Target],
) -> None:
    n_paths, members = ensemble
    model, state = make_case(build(length), regime, (n_paths, members, length), noise, make_target)
    whole, blocks = full_jacobian(model, state.paths, members), blocks_by_autodiff(model, state)
    eigenvalues, (sign, log_abs) = torch.linalg.eigvalsh(whole), torch.linalg.slogdet(whole)
    block_log_abs = torch.linalg.slogdet(blocks).logabsdet
    assert_regime(regime, members, eigenvalues, (torch.linalg.eigvalsh(blocks) <= 0).any(-1))
    torch.testing.assert_close(whole, whole.mT, rtol=1e-13, atol=1e-13 * float(whole.abs().max()))

    results = [mm.log_determinant(model, state, name) for name in backends_for(model)]
    for result in results:
        # Round-off of a log-determinant is about d · ε · (condition number) ≤ 64 · 10⁻¹⁶ · 10⁴ here.
        exact = partial(torch.testing.assert_close, rtol=0, atol=1e-10)
        exact(result.per_path.unflatten(0, (-1, members)).sum(1), log_abs)
        exact(result.blocks, block_log_abs)
        exact(result.capacitance, log_abs - block_log_abs.unflatten(0, (-1, members)).sum(1))
        exact(result.per_path, results[0].per_path)
        assert torch.equal(result.non_positive, (eigenvalues <= 0).sum(-1))
        assert torch.equal(result.sign, sign)


def inside_case(
    energy: Energy, support: mm.Support, step: float, shape: tuple[int, int, int], noise: Callable
) -> tuple[mm.Descent, mm.State]:
    """Return a model and a state of (paths, paths in an ensemble, length) that a step size step · length moves.

    On the half-line every fourth entry starts near 0, so that some would leave.
    """
    n_paths, members, length = shape
    x = noise(n_paths, length)
    if support is HALF_LINE:
        x = x.abs()
        x[:, ::4] *= 0.01
    mean = energy(1.3 * noise(length, seed=99)).abs() + 0.1
    target = mm.Target(mean, torch.zeros_like(mean), energy.labels, "a test")
    model = mm.Descent(energy, target, step * length, ensemble_size=members, support=support)
    return model, model.evaluate(x)


@any_energy_contract
@support_contract
@pytest.mark.parametrize("length", [8, 64])
@pytest.mark.parametrize("step", [0.03, 0.1, 0.3])
@pytest.mark.parametrize("ensemble", ENSEMBLES.values(), ids=list(ENSEMBLES))
def test_every_backend_has_the_determinant_of_the_step_that_stays_inside_the_support(
    build: Callable[[int], Energy],
    support: mm.Support,
    length: int,
    step: float,
    ensemble: tuple[int, int],
    noise: Callable[..., Tensor],
) -> None:
    n_paths, members = ensemble
    model, state = inside_case(build(length), support, step, (n_paths, members, length), noise)
    moved = model.move(state).moved
    whole = full_jacobian(model, state.paths, members)
    keep = torch.ones_like(state.paths, dtype=torch.bool) if moved is None else moved
    results = {name: mm.log_determinant(model, state, name) for name in backends_for(model)}
    for own, matrix, ensemble_of in zip(keep.reshape(-1, members * length), whole, range(len(whole)), strict=True):
        identity = torch.eye(members * length, dtype=torch.float64)
        assert torch.equal(matrix[~own], identity[~own])  # an entry that stays depends on itself alone
        block = matrix[own][:, own]
        torch.testing.assert_close(block, block.mT, rtol=1e-13, atol=1e-13 * float(block.abs().max()))
        sign, log_abs = torch.linalg.slogdet(matrix)
        for result in results.values():
            # As above, d · ε · (condition number) is far below 10⁻¹⁰; the whole is not symmetric, its block is.
            in_ensemble = result.per_path.unflatten(0, (-1, members))[ensemble_of].sum()
            torch.testing.assert_close(in_ensemble, log_abs, rtol=0, atol=1e-10)
            assert result.non_positive[ensemble_of] == (torch.linalg.eigvalsh(block) <= 0).sum()
            assert result.sign[ensemble_of] == sign
    for result in results.values():
        torch.testing.assert_close(result.per_path, results["dense"].per_path, rtol=0, atol=1e-10)
        assert result.mean_error == 0.0 and not result.standard_error.any()


@filtered_contract
@support_contract
@pytest.mark.parametrize("members", [1, 2], ids=["MGDM", "MF-MGDM"])
def test_filtered_energy_has_the_determinant_of_the_whole_step(
    build: Callable[[int], Energy], support: mm.Support, members: int, noise: Callable[..., Tensor]
) -> None:
    model, state = inside_case(build(256), support, 0.03, (2, members, 256), noise)
    assert (model.move(state).moved is None) == (support is REAL_LINE)
    exact = mm.log_determinant(model, state, "dense")
    for whole, ensemble in zip(full_jacobian(model, state.paths, members), exact.per_path.split(members), strict=True):
        # As above, d · ε · (condition number) is far below 10⁻¹⁰.
        sign, log_abs = torch.linalg.slogdet(whole)
        assert sign == 1
        torch.testing.assert_close(ensemble.sum(), log_abs, rtol=0, atol=1e-10)
    for k in range(3):
        estimate = mm.log_determinant(model, state, "stochastic", seed=(k, 7))
        # 6 numbers in each of 24 cases: an error known from one probe of 256 points is good to about 1/√256.
        assert ((estimate.per_path - exact.per_path).abs() < 4.5 * estimate.standard_error).all()
        assert (estimate.standard_error > 0).all()


@any_energy_contract
@pytest.mark.parametrize("step", [0.1, 0.3])
@pytest.mark.parametrize("ensemble", ENSEMBLES.values(), ids=list(ENSEMBLES))
def test_cases_on_the_half_line_have_entries_that_stay_and_entries_that_move(
    build: Callable[[int], Energy], step: float, ensemble: tuple[int, int], noise: Callable[..., Tensor]
) -> None:
    model, state = inside_case(build(64), HALF_LINE, step, (*ensemble, 64), noise)
    moved = model.move(state).moved
    assert moved is not None and moved.any() and not moved.all()


def backends_for(model: mm.Descent) -> list[str]:
    return [name for name in BACKENDS if name != "banded" or model.energy.bandwidth is not None]


@energy_contract
@backend_contract
def test_backend_calculates_in_float64_whatever_the_paths_are(
    build: Callable[[int], Energy],
    backend: str,
    noise: Callable[..., Tensor],
    make_target: Callable[..., mm.Target],
) -> None:
    model, state = make_case(build(16), "small steps", (4, 2, 16), noise, make_target)
    if backend not in backends_for(model):
        pytest.skip("not for this energy")
    single = mm.log_determinant(model, model.evaluate(state.paths.float()), backend)
    rounded = model.evaluate(state.paths.float())
    mimic = replace(rounded, paths=rounded.paths.double(), mismatch=rounded.mismatch.double())
    assert single.per_path.dtype == torch.float64
    # Only the product rate · mismatch, ε of float32 relative, is still made in the dtype of the paths.
    expected = mm.log_determinant(model, mimic, backend).per_path
    torch.testing.assert_close(single.per_path, expected, rtol=1e-6, atol=1e-9)


@energy_contract
@backend_contract
def test_path_at_rest_is_left_with_the_capacitance_only(
    build: Callable[[int], Energy],
    backend: str,
    noise: Callable[..., Tensor],
    make_target: Callable[..., mm.Target],
) -> None:
    energy, x = build(16), noise(1, 16)
    model = mm.MGDM(energy, make_target(energy, energy(x[0]).tolist()), step_size=0.1)
    if backend not in backends_for(model):
        pytest.skip("not for this energy")
    result = mm.log_determinant(model, model.evaluate(x), backend)
    rows = jacobian_by_autodiff(energy, x)[0]
    capacitance = torch.eye(energy.dim) - model.rate * rows @ rows.T
    assert float(result.blocks) == pytest.approx(0.0, abs=1e-14)
    assert float(result.per_path) == pytest.approx(float(torch.linalg.slogdet(capacitance).logabsdet), abs=1e-13)


@energy_contract
@backend_contract
def test_vanishing_step_has_a_log_determinant_of_minus_its_trace(
    build: Callable[[int], Energy],
    backend: str,
    noise: Callable[..., Tensor],
    make_target: Callable[..., mm.Target],
) -> None:
    energy, x = build(8), noise(2, 8)
    model = mm.MFMGDM(energy, make_target(energy), step_size=1e-6)
    if backend not in backends_for(model):
        pytest.skip("not for this energy")
    result = mm.log_determinant(model, model.evaluate(x), backend)
    excess = full_jacobian(model, x, 2)[0] - torch.eye(16)
    # log det(I + E) = tr E − ½ tr E² + …, so what is left is of the order of |E|².
    assert float(result.per_path.sum()) == pytest.approx(float(excess.trace()), abs=float(excess.square().sum()))


# --- the stochastic backend --------------------------------------------------------------------------------------


def assert_calibrated(deviations: Tensor, errors: Tensor) -> None:
    """Check that independent deviations have mean 0, and the variances and the 95 % that their standard errors claim.

    Numerators and denominators are added up apart: a probe that finds a large value finds a large error too, so the
    quotient of the two need not have mean 0 where both do. Each sum of n terms of mean 0 is held to 4 of its own
    standard errors, √Σ(terms²), which a correct implementation exceeds with a probability of some 10⁻⁴. An error known
    from one probe of d points has about d/2 degrees of freedom, which takes up to 0.015 from the 95.45 % within 2.
    """
    variances = errors.square()
    assert deviations.sum().abs() < 4 * deviations.norm()
    assert (deviations.square() - variances).sum().abs() < 4 * (deviations.square() - variances).norm()
    share, n = (deviations.abs() < 2 * errors).double().mean(), deviations.numel()
    assert abs(float(share) - 0.9545) < 4 * (0.9545 * 0.0455 / n) ** 0.5 + 0.015


@any_energy_contract
def test_stochastic_estimate_is_the_exact_value_within_its_standard_error(
    build: Callable[[int], Energy], noise: Callable[..., Tensor]
) -> None:
    blocks, means = [], []
    for case, (members, support) in enumerate(itertools.product((1, 2, 16), SUPPORTS.values())):
        model, state = inside_case(build(6), support, 0.01, (16, members, 64), noise)
        exact = mm.log_determinant(model, state, backends_for(model)[0])
        assert (model.move(state).moved is None) == (support is REAL_LINE)
        for k in range(50):  # seeds other than that of the paths: the same would make the probes the paths
            estimate = mm.log_determinant(model, state, mm.Stochastic(coupling_paths=16), seed=(k, case, 7))
            blocks.append((estimate.blocks - exact.blocks, estimate.blocks_error))
            means.append(((estimate.per_path - exact.per_path).mean(), torch.tensor(estimate.mean_error)))
    for pairs in (blocks, means):
        deviations, errors = (torch.stack(column).double().flatten() for column in zip(*pairs, strict=True))
        if isinstance(model.energy, Waves):  # no Hessian, no error
            assert not errors.any() and deviations.abs().max() < 1e-12
        else:
            # What the tolerance leaves out, 10⁻⁴ at most, has to be small against what is looked at.
            assert errors.square().mean().sqrt() > 5e-4
            assert_calibrated(deviations, errors)


@any_energy_contract
@pytest.mark.parametrize("members", [1, 2, 64])
def test_stochastic_capacitance_from_half_of_the_paths_is_right_within_its_error(
    build: Callable[[int], Energy], members: int, noise: Callable[..., Tensor]
) -> None:
    model, state = inside_case(build(6), REAL_LINE, 0.003, (64, members, 16), noise)
    exact = mm.log_determinant(model, state, backends_for(model)[0]).capacitance.mean()
    deviations, errors = [], []
    for k in range(50):
        estimate = mm.log_determinant(model, state, mm.Stochastic(coupling_paths=32), seed=(k, members, 7))
        deviations.append((estimate.capacitance.mean() - exact) / members)
        errors.append((estimate.mean_error**2 - float(estimate.blocks_error.square().mean()) / 64) ** 0.5)
    if isinstance(model.energy, Waves):  # rows and blocks are the same for all paths
        assert max(errors) < 1e-10 and torch.stack(deviations).abs().max() < 1e-10
    else:
        assert_calibrated(torch.stack(deviations), torch.tensor(errors, dtype=torch.float64))


# --- frozen flows ------------------------------------------------------------------------------------------------


def freeze_case(
    energy: Energy, members: int | None, support: mm.Support, noise: Callable[..., Tensor]
) -> mm.FrozenFlow:
    """Three small steps, with a target that is the energy of another path."""
    length = points(energy, 8)
    start = WhiteNoise() if support is REAL_LINE else Exponential(1.0)
    mean = energy(1.3 * noise(length, seed=99)).abs() + 0.1
    target = mm.Target(mean, torch.zeros_like(mean), energy.labels, "a test")
    model = mm.Model(energy, target, 0.002 * length, ensemble_size=members, support=support)
    return model.freeze(start.sample(8, length, seed=1), 3, start=start)


@any_energy_contract
@pytest.mark.parametrize("members", [1, None], ids=["MGDM", "MF-MGDM"])
@support_contract
def test_frozen_flow_of_every_energy_has_the_density_of_its_map_and_an_inverse(
    build: Callable[[int], Energy],
    members: int | None,
    support: mm.Support,
    noise: Callable[..., Tensor],
) -> None:
    flow = freeze_case(build(8), members, support, noise)
    x0 = flow.start.sample(4, 8, seed=(2, 3))
    paths, log_prob = flow.sample_and_log_prob(4, seed=(2, 3))
    assert torch.equal(flow.transform(x0), paths)
    whole = [torch.autograd.functional.jacobian(flow.transform, x).slogdet().logabsdet for x in x0]
    # As for a single step, d · ε · (condition number) is far below 10⁻¹⁰, for each of three.
    exact = partial(torch.testing.assert_close, rtol=0, atol=1e-9)
    exact(log_prob, flow.start.log_prob(x0) - torch.stack(whole))
    # On the half-line the origin that is counted is the one drawn where every entry moved.
    states = list(flow.steps(x0))
    moved = torch.stack([after.paths != before.paths for before, after in itertools.pairwise(states)])
    own = torch.tensor(support is REAL_LINE) | moved.all(-1).all(0)
    assert own.any()
    exact(flow.inverse(paths[own]), x0[own])
    exact(flow.log_prob(paths[own]), log_prob[own])


@filtered_contract
@pytest.mark.parametrize("members", [1, None], ids=["MGDM", "MF-MGDM"])
def test_frozen_flow_of_a_filtered_energy_leads_back_to_where_its_inverse_came_from(
    build: Callable[[int], Energy], members: int | None, noise: Callable[..., Tensor]
) -> None:
    flow = freeze_case(build(256), members, REAL_LINE, noise)
    paths, log_prob = flow.sample_and_log_prob(2, seed=3, determinants="stochastic")
    assert torch.isfinite(log_prob).all()
    # A modulus bends without bound at 0, so there may be an origin on either side of it, and the drawn one is not
    # always the one found; but it is an origin, to the round-off of each step.
    torch.testing.assert_close(flow.transform(flow.inverse(paths)), paths, rtol=0, atol=1e-9)


@process_contract
def test_frozen_flow_of_every_start_has_a_density_and_comes_back_from_its_file(
    process: Process, tmp_path: Path
) -> None:
    energy = Autocovariance()
    target = mm.estimate_target(energy, process, n_samples=100, length=8, seed=3)
    model = mm.MFMGDM(energy, target, step_size=1e-3 * float(target.mean.norm()), support=process.support)
    flow = model.freeze(process.sample(64, 8, seed=1), 3, start=process)
    paths, log_prob = flow.sample_and_log_prob(5, seed=2)
    again = mm.FrozenFlow.load(flow.save(tmp_path / "flow"))
    assert repr(again.start) == repr(process)
    for ours, theirs in zip(again.sample_and_log_prob(5, seed=2), (paths, log_prob), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(paths, process.sample(5, 8, seed=2))
    # The start's own log-density grows round-off by its slope, as above; entries that stayed have another origin.
    x0 = process.sample(5, 8, seed=2)
    moved = torch.stack([after.paths != before.paths for before, after in itertools.pairwise(flow.steps(x0))])
    kept = moved.all(-1).all(0)
    assert kept.any()
    torch.testing.assert_close(flow.log_prob(paths[kept]), log_prob[kept], rtol=1e-9, atol=1e-8)


# --- channels and fields -----------------------------------------------------------------------------------------


shape_contract = pytest.mark.parametrize(("energy", "law", "shape"), SHAPES.values(), ids=list(SHAPES))


def shaped_model(energy: Energy, law: Process, shape: tuple[int, ...], members: int | None) -> mm.Model:
    target = mm.estimate_target(energy, law, n_samples=400, length=shape, seed=3)
    # Where there are products of squares, Hessians grow with the square of a path: a longer step folds single ones.
    size = 0.001 if isinstance(energy, (CrossCorrelations, EachChannel, Concatenate, FieldMoments)) else 0.02
    return mm.Model(energy, target, size * math.prod(shape) * float(target.mean.norm()), ensemble_size=members)


@shape_contract
def test_derivatives_of_shaped_paths_are_those_of_automatic_differentiation(
    energy: Energy, law: Process, shape: tuple[int, ...], noise: Callable[..., Tensor]
) -> None:
    x, vectors, weights = noise(2, 3, *shape), noise(2, 3, *shape, seed=1), noise(2, 3, energy.dim, seed=2)
    exact = partial(torch.testing.assert_close, rtol=0, atol=1e-12)
    rows = torch.stack([jacrev(energy)(path) for path in x.flatten(0, 1)]).unflatten(0, (2, 3))
    exact(energy.jacobian(x), rows)
    exact(energy.gradient(x, weights), torch.einsum("abk...,abk->ab...", rows, weights))
    force, product = energy.linearize(x, weights)
    exact(force, energy.gradient(x, weights))
    for path, weight, vector, curved in zip(
        *(y.flatten(0, 1) for y in (x, weights, vectors, product(vectors))), strict=True
    ):
        exact(curved, vjp(grad(lambda y, w=weight: energy(y) @ w), path)[1](vector)[0])
    exact(energy(x)[1, 2], energy(x[1, 2]))
    assert energy(x.float()).dtype == torch.float32
    assert (energy.event_ndim, energy.path_length(shape, law)) == (2, shape)


@shape_contract
@pytest.mark.parametrize("members", [1, 3], ids=["MGDM", "MF-MGDM"])
def test_determinant_of_a_step_of_shaped_paths_is_that_of_the_whole(
    energy: Energy, law: Process, shape: tuple[int, ...], members: int, noise: Callable[..., Tensor]
) -> None:
    model = shaped_model(energy, law, shape, members)
    state = model.evaluate(noise(3, *shape))
    exact = mm.log_determinant(model, state, "dense")
    log_abs = torch.linalg.slogdet(full_jacobian(model, state.paths, members)).logabsdet
    # As above, d · ε · (condition number) is far below 10⁻¹⁰.
    torch.testing.assert_close(exact.per_path.unflatten(0, (-1, members)).sum(1), log_abs, rtol=0, atol=1e-10)
    for k in range(3):
        estimate = mm.log_determinant(model, state, "stochastic", seed=(k, 7))
        # 9 numbers in each of 6 cases, of d ≥ 24 points each: see the calibration above for the rest.
        # Where all eigenvalues of a block agree, as for absolute moments, one probe is exact up to round-off.
        assert ((estimate.per_path - exact.per_path).abs() < 5 * estimate.standard_error + 1e-12).all()
    with pytest.raises(ValueError, match="expected an energy with banded Hessians"):
        mm.log_determinant(model, state, "banded")


@shape_contract
@pytest.mark.parametrize("members", [1, None], ids=["MGDM", "MF-MGDM"])
def test_divergence_of_shaped_paths_falls_and_is_the_same_with_both_backends(
    energy: Energy, law: Process, shape: tuple[int, ...], members: int | None
) -> None:
    model = shaped_model(energy, law, shape, members)
    start = mm.initial_distribution(law) if law.event_shape[-1] is None else Independent(WhiteNoise(), (8, 8))
    follow = partial(mm.reverse_kl_trace, model, law, start, n_steps=8, n_paths=16, length=shape, seed=5)
    exact, estimate = follow(determinants="dense"), follow(determinants="stochastic")
    assert exact.paths.shape == (16, *shape) and torch.equal(exact.paths, estimate.paths)
    assert (abs(estimate.reverse_kl - exact.reverse_kl)[1:] < 5 * estimate.determinant_error[1:]).all()
    assert exact.loss[-1] < exact.loss[0]
    x0 = start.sample(16, shape, seed=5)
    torch.testing.assert_close(torch.from_numpy(exact.log_q[0]), start.log_prob(x0))
    torch.testing.assert_close(exact.paths, model.sample(x0, 8))


@shape_contract
def test_gradient_flow_takes_shaped_paths_to_the_target(energy: Energy, law: Process, shape: tuple[int, ...]) -> None:
    target = mm.estimate_target(energy, law, n_samples=400, length=shape, seed=3)
    start = Independent(WhiteNoise(stddev=0.8), energy.event_shape)
    *_, last = mm.GradientFlow(energy, target).steps(start.sample(16, shape, seed=1), 1e6)
    assert last.paths.shape == (16, *shape) and (last.loss < 1e-10).all()


@shape_contract
@pytest.mark.parametrize("members", [1, None], ids=["MGDM", "MF-MGDM"])
def test_frozen_flow_of_shaped_paths_has_the_density_of_its_map_an_inverse_and_a_file(
    energy: Energy, law: Process, shape: tuple[int, ...], members: int | None, tmp_path: Path
) -> None:
    flow = shaped_model(energy, law, shape, members).freeze(law.sample(40, shape, seed=1), 3, start=law)
    x0, (paths, log_prob) = law.sample(4, shape, seed=2), flow.sample_and_log_prob((2, 2), seed=2)
    assert flow.event_shape == shape and paths.shape == (2, 2, *shape) and log_prob.shape == (2, 2)
    assert flow.support.check(paths).shape == (2, 2)
    ends = flow.transform(x0)
    assert torch.equal(ends, paths.flatten(0, 1)) and torch.equal(ends, flow.sample(4, seed=2))
    jacobians = torch.stack([torch.autograd.functional.jacobian(flow.transform, x) for x in x0])
    whole = jacobians.reshape(4, math.prod(shape), -1).slogdet().logabsdet
    exact = partial(torch.testing.assert_close, rtol=0, atol=1e-9)  # as above, for each of three steps
    exact(log_prob.flatten(), law.log_prob(x0) - whole)
    exact(flow.log_prob(paths), log_prob)
    exact(flow.inverse(ends), x0)
    *_, last = flow.steps(x0)
    assert torch.equal(last.paths, ends)
    exact(last.log_prob, log_prob.flatten())
    again = mm.FrozenFlow.load(flow.save(tmp_path / "flow"))
    assert again.event_shape == shape and torch.equal(again.sample(4, seed=2), ends)
    with np.load(mm.stream_paths(flow, 4, tmp_path / "paths.npz", seed=2)) as arrays:
        assert np.array_equal(arrays["paths"], ends)


def test_target_of_two_observed_channels_is_the_energy_of_both() -> None:
    energy, series = TwoChannels(), Correlated(0.6).sample(1, (2, 800), seed=1)[0]
    target = mm.target_from_data(energy, series)
    assert torch.equal(target.mean, energy(series))
    # Of a mean of products of independent Gaussians with variances near 1, from 16 windows.
    assert (target.standard_error < 5 * (2 / 800) ** 0.5).all() and (target.standard_error > 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda energy: mm.estimate_target(energy, AR([0.1]), seed=1),
            r"draws paths \(time\), and TwoChannels\(\) takes \(2, time\); expected one shape",
        ),
        (lambda energy: energy(torch.zeros(3, 16)), r"x has shape \(3, 16\); expected \(\*, 2, time\)"),
        (
            lambda energy: energy.path_length((3, 16)),
            r"length is \(3, 16\); expected the shape of a path .*\(2, time\)",
        ),
        (lambda energy: Concatenate(energy, Autocovariance()), r"are for paths \(2, time\) and \(time\)"),
        (
            lambda energy: mm.target_from_data(energy, np.arange(99.0)),
            r"series has shape \(99,\); expected \(2, time\)",
        ),
        (
            lambda energy: mm.MGDM(energy, mm.estimate_target(energy, Correlated(0.1), length=8, seed=1), 1.0).sample(
                torch.zeros(2, 8), 1
            ),
            r"x0 has shape \(2, 8\); expected \(paths, 2, time\)",
        ),
    ],
    ids=["law of series", "paths", "length", "side by side", "series", "start"],
)
def test_paths_of_another_shape_are_refused(call: Callable[[Energy], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(TwoChannels())
