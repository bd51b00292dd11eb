"""Filters by real FFTs against complex convolutions, and each adjoint against its filter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from mfmgdm_lib.energies.scattering.filters import Boundary, Filters, PeriodicBoundary, ReflectedBoundary

LENGTH = 64
CPU = torch.device("cpu")
BOUNDARIES = {
    "circle": (PeriodicBoundary(LENGTH, torch.float64, CPU), LENGTH),
    "mirror": (ReflectedBoundary(LENGTH, torch.float64, CPU), 128),
}
boundaries = pytest.mark.parametrize(("boundary", "grid"), BOUNDARIES.values(), ids=list(BOUNDARIES))


def filters_on(grid: int) -> np.ndarray:
    """Filters without any symmetry, a narrow one, and an even one."""
    rng = np.random.default_rng(3)
    anything, narrow, even = rng.standard_normal((3, grid))
    narrow[grid // 8 :] = 0.0
    even += np.roll(even[::-1], 1)
    return np.stack([anything, narrow, even])


def filtered_directly(x: Tensor, filters: np.ndarray) -> Tensor:
    """x⋆ψ as complex signals (*, C, time), by one long FFT of the path continued to the grid of the filters."""
    length, grid = x.shape[-1], filters.shape[-1]
    continued = x if grid == length else torch.cat([x, x.flip(-1)], dim=-1)
    spectrum = torch.fft.fft(continued).unsqueeze(-2) * torch.from_numpy(filters)
    return torch.fft.ifft(spectrum)[..., :length]


def arranged(boundary: Boundary, x: Tensor) -> Tensor:
    return boundary.arrange(x) if isinstance(boundary, ReflectedBoundary) else x


@boundaries
def test_filtered_signals_are_the_parts_of_a_complex_convolution(
    boundary: Boundary, grid: int, noise: Callable[..., Tensor]
) -> None:
    x, filters = noise(2, LENGTH), filters_on(grid)
    signals = Filters(boundary, boundary.responses(filters))(boundary.spectrum(arranged(boundary, x)))
    if isinstance(boundary, ReflectedBoundary):
        signals = boundary.restore(boundary.conjugate_(signals))
    expected = filtered_directly(x, filters)
    torch.testing.assert_close(signals, torch.stack([expected.real, expected.imag], dim=-2), rtol=0, atol=1e-13)


@boundaries
@pytest.mark.parametrize("chosen", [slice(None), slice(1, 2)], ids=["all", "the narrow one"])
def test_adjoint_is_that_of_the_filters(
    boundary: Boundary, grid: int, chosen: slice, noise: Callable[..., Tensor]
) -> None:
    filters = Filters(boundary, boundary.responses(filters_on(grid)[chosen]))
    x = noise(2, LENGTH)
    signals = filters(boundary.spectrum(x))
    other = noise(*signals.shape, seed=1)
    back = boundary.signal(filters.adjoint(other))
    products = (signals * other).sum((1, 2, 3)), (x * back).sum(-1)
    torch.testing.assert_close(*products, rtol=0, atol=1e-12)
    apart = boundary.signal(filters.adjoint_each(other))
    torch.testing.assert_close(apart.sum(1), back, rtol=0, atol=1e-12)
    first = boundary.signal(filters.adjoint_each(other[:, :1]))
    torch.testing.assert_close(first, apart[:, :1], rtol=0, atol=1e-13)
    before = boundary.spectrum(noise(2, LENGTH, seed=2))
    added = filters.adjoint(other, out=before.clone())
    torch.testing.assert_close(boundary.signal(added - before), back, rtol=0, atol=1e-12)


def test_views_and_frequencies_that_nothing_passes_are_left_out_of_the_work() -> None:
    mirror = BOUNDARIES["mirror"][0]
    narrow = Filters(mirror, mirror.responses(filters_on(128)[1:2]))
    assert len(narrow._weights) == 1 and narrow._weights[0].shape[-1] == 16
    wide = Filters(mirror, mirror.responses(filters_on(128)))
    assert len(wide._weights) == 2 and wide._weights[0].shape[-1] == LENGTH // 2 + 1


def test_mirror_puts_paths_back_into_the_order_of_time(noise: Callable[..., Tensor]) -> None:
    mirror, x = BOUNDARIES["mirror"][0], noise(3, LENGTH)
    torch.testing.assert_close(mirror.restore(mirror.arrange(x)), x, rtol=0, atol=0)
