"""Gaussian fields against the multivariate normal law and sums written out, and the numbers of their spectra."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch

import mfmgdm_lib as mm
from mfmgdm_lib.processes import GaussianField

NEIGHBOURS = ((0, 1), (1, 0), (1, 1))


def precision(rho: tuple[float, ...], neighbours: tuple[tuple[int, int], ...], shape: tuple[int, int]) -> np.ndarray:
    """I − Σ_τ ρ_τ (shift by τ + shift by −τ), entry by entry."""
    places = list(product(range(shape[0]), range(shape[1])))
    matrix = np.eye(len(places))
    for i, (row, column) in enumerate(places):
        for value, (down, right) in zip(rho, neighbours, strict=True):
            for sign in (1, -1):
                there = ((row + sign * down) % shape[0], (column + sign * right) % shape[1])
                matrix[i, places.index(there)] -= value
    return matrix


@pytest.mark.parametrize("shape", [(4, 6), (5, 3), (7, 4)], ids=str)
def test_conditional_autoregression_is_the_normal_law_with_its_precision_matrix(shape: tuple[int, int]) -> None:
    rho = (0.2, -0.1, 0.12)
    inverse = np.linalg.inv(precision(rho, NEIGHBOURS, shape))
    covariance = torch.from_numpy(4.0 * inverse / inverse[0, 0])
    field = GaussianField.conditional_autoregression(rho, shape, NEIGHBOURS, stddev=2.0, mean=-1.0)
    assert (field.mean, field.stddev) == (-1.0, pytest.approx(2.0, rel=1e-14))
    law = torch.distributions.MultivariateNormal(torch.full((math.prod(shape),), -1.0).double(), covariance)
    x = field.sample(5, shape, seed=1)
    # Sums of d ≤ 28 terms of order 1 to 10: round-off is below 10⁻¹³.
    torch.testing.assert_close(field.log_prob(x), law.log_prob(x.flatten(1)), rtol=0, atol=1e-11)
    assert field.entropy() == pytest.approx(float(law.entropy()), abs=1e-11)
    lags = [(0, 0), (0, 1), (1, 1), (1, -1)]
    there = [(down % shape[0]) * shape[1] + right % shape[1] for down, right in lags]
    torch.testing.assert_close(field.autocovariance(lags), covariance[0, there], rtol=0, atol=1e-12)


def test_sample_has_the_covariances_of_its_spectrum() -> None:
    shape, n = (4, 5), 40_000
    field = GaussianField.from_density(lambda down, right: torch.exp(0.8 * down.cos() + (down + right).cos()), shape)
    x = field.sample(n, shape, seed=(2, 12345)).flatten(1)
    exact = torch.fft.ifft2(field.spectrum).real.flatten()  # of the first point with each
    products = x[:, :1] * x
    # 5 standard errors for 20 numbers.
    assert ((products.mean(0) - exact).abs() < 5 * products.std(0) / n**0.5).all()


def test_chunks_from_one_generator_are_one_draw() -> None:
    field, rng = GaussianField.conditional_autoregression(0.2, (8, 6)), np.random.default_rng(5)
    chunks = torch.cat([field.sample(n, (8, 6), rng) for n in (1, 3, 2)])
    torch.testing.assert_close(chunks, field.sample(6, (8, 6), seed=5), rtol=0, atol=1e-14)


def test_log_prob_takes_leading_axes_single_precision_and_derivatives() -> None:
    field = GaussianField.conditional_autoregression(0.2, (8, 6))
    x = field.sample(6, (8, 6), seed=5)
    together = field.log_prob(x)
    torch.testing.assert_close(field.log_prob(x.unflatten(0, (2, 3))).flatten(), together, rtol=0, atol=1e-12)
    assert field.log_prob(x[0]).shape == ()
    single = field.log_prob(x.float())
    assert single.dtype == torch.float32
    # 48 squares of order 1 in single precision.
    torch.testing.assert_close(single.double(), together, rtol=0, atol=1e-4)
    assert torch.autograd.gradcheck(field.log_prob, (x[:2].requires_grad_(),))


def test_field_comes_back_from_its_description() -> None:
    field = GaussianField.conditional_autoregression(0.2, (8, 6), mean=0.5)
    again = mm.from_spec(json.loads(json.dumps(mm.spec(field))), kind=GaussianField)
    assert torch.equal(again.sample(2, (8, 6), seed=0), field.sample(2, (8, 6), seed=0))
    assert repr(again) == "GaussianField(8 × 6, mean=0.5, stddev=1)"


def test_start_of_a_field_is_white_noise_of_its_shape() -> None:
    start = mm.initial_distribution(GaussianField.conditional_autoregression(0.2, (8, 6), stddev=2.0))
    assert start.event_shape == (8, 6) and start.law.stddev == pytest.approx(2.0)


def car(*arguments: object, **options: object) -> GaussianField:
    return GaussianField.conditional_autoregression(*arguments, **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: car(0.25, (8, 8)), r"rho is 0.25; expected it between -0.25 and 0.25"),
        (lambda: car(-0.27, (8, 7)), r"rho is -0.27; expected it between -0.263 and 0.25"),
        (lambda: car(math.nan, (8, 8)), "rho is nan; expected a finite number"),
        (lambda: car([0.3, 0.3], (8, 8)), r"rho is \[0.3, 0.3\].* it comes to 1.2.*below 1/2"),
        (lambda: car([0.1], (8, 8)), "rho has 1 values; expected 2, one for each neighbour"),
        (lambda: car(0.1, (8, 8), [(0, 1), (0, -1)]), r"neighbours has \(0, 1\) and \(0, -1\); expected each lag once"),
        (lambda: car(0.1, (8, 8), [(0, 0)]), r"neighbours has \(0, 0\); expected other points"),
        (lambda: car(0.1, (8, 8), [(4, 0)]), r"neighbours has \(4, 0\) for a periodic field of 8 × 8 points"),
        (lambda: car(0.1, (8, 8), 3), "neighbours is 3; expected pairs of whole numbers"),
        (lambda: car(0.1, (8, 8), [(0.5, 1)]), "expected pairs of whole numbers"),
        (lambda: car(0.1, 8), r"shape is 8; expected \(H, W\)"),
        (lambda: GaussianField(torch.ones(8)), r"spectrum has shape \(8,\); expected \(H, W\)"),
        (lambda: GaussianField([["a"]]), "spectrum is no array of real numbers"),
        (lambda: GaussianField(torch.eye(2)), r"spectrum is 0 at index \(0, 1\); expected values above 0"),
        (lambda: GaussianField(torch.full((2, 2), torch.inf)), "spectrum has 4 entries that are NaN or infinite"),
        (
            lambda: GaussianField.from_density(lambda down, right: 2 + right.sin() + 0 * down, (4, 4)),
            r"spectrum is 3 at index \(0, 1\) and 1 at \(0, 3\), the frequency with the other sign",
        ),
        (lambda: car(0.1, (8, 8)).sample(2, (8, 9), seed=0), r"length is \(8, 9\); expected \(8, 8\)"),
        (lambda: car(0.1, (8, 8)).sample(2, 64, seed=0), r"length is 64; expected \(8, 8\)"),
        (lambda: car(0.1, (8, 8)).log_prob(torch.ones(3, 8, 9)), r"x has shape \(3, 8, 9\); expected \(\*, 8, 8\)"),
    ],
)
def test_bad_input_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
