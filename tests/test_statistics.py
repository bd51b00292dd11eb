"""What paths are compared by, against statsmodels and NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from statsmodels.tsa.stattools import acf
from torch import Tensor

from mfmgdm_lib.statistics import autocorrelation, gaussian_contour, histogram, separation


def test_autocorrelation_is_that_of_statsmodels(noise: Callable[..., Tensor]) -> None:
    x = noise(2, 3, 200) + 5.0  # a mean that has to be taken out
    ours = autocorrelation(x, lags=12)
    assert ours.shape == (2, 3, 12)
    for path, values in zip(x.flatten(0, 1).numpy(), ours.flatten(0, 1).numpy(), strict=True):
        np.testing.assert_allclose(values, acf(path, nlags=12, fft=False)[1:], rtol=0, atol=1e-13)


def test_autocorrelation_does_not_depend_on_location_and_scale(noise: Callable[..., Tensor]) -> None:
    x = noise(100)
    torch.testing.assert_close(autocorrelation(3.0 - 7.0 * x, 5), autocorrelation(x, 5), rtol=0, atol=1e-13)


def test_histogram_is_the_density_of_all_values(noise: Callable[..., Tensor]) -> None:
    x, edges = noise(3, 500), np.linspace(-6.0, 6.0, 25)
    np.testing.assert_allclose(histogram(x, edges), np.histogram(x.numpy(), edges, density=True)[0], atol=1e-14)


def test_histogram_counts_values_beyond_its_edges_in_the_total() -> None:
    x, edges = torch.tensor([[0.5, 0.5, 1.5, 9.0]]), np.array([0.0, 1.0, 3.0])
    assert histogram(x, edges).tolist() == [2 / 4, 1 / 4 / 2]


def test_contour_lies_at_its_number_of_standard_deviations(noise: Callable[..., Tensor]) -> None:
    points = noise(400, 2).numpy() @ np.array([[2.0, 1.0], [0.0, 0.3]]) + [10.0, -3.0]
    contour = gaussian_contour(points, n_std=1.5, resolution=33)
    away = contour - points.mean(0)
    distance = np.sqrt(np.einsum("ni,ij,nj->n", away, np.linalg.inv(np.cov(points.T)), away))
    assert contour.shape == (33, 2)
    np.testing.assert_allclose(distance, 1.5, rtol=0, atol=1e-12)
    np.testing.assert_allclose(contour[0], contour[-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(contour[:-1].mean(0), points.mean(0), rtol=0, atol=1e-12)


def test_separation_is_in_units_of_the_baseline_and_knows_its_error(noise: Callable[..., Tensor]) -> None:
    n, m, runs = 50, 80, 400
    shifts, errors = [], []
    for k in range(runs):
        values, baseline = 2.0 + 3.0 * noise(n, 2, seed=2 * k), 1.0 + 0.5 * noise(m, 2, seed=2 * k + 1)
        table = separation(values, baseline)
        shifts.append(table["shift"])
        errors.append(table["standard_error"])
    mean, spread, claimed = np.mean(shifts), np.std(shifts), np.mean(errors)
    # The unit is itself estimated, to 1/√(2 · 79); with it the shift of 2 gets an error that `separation` leaves out.
    of_the_unit = 2.0 / np.sqrt(2 * (m - 1))
    assert abs(mean - 2.0) < 4 * spread / np.sqrt(2 * runs) + 2.0 / m
    assert abs(spread / np.hypot(claimed, of_the_unit) - 1) < 4 / np.sqrt(4 * runs)
