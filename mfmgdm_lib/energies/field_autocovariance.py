"""Autocovariances of a periodic field, the sufficient statistics of a conditional autoregression."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import as_shape
from mfmgdm_lib._fields import CHUNK_POINTS, Lag, check_lags, check_lags_fit, cosines
from mfmgdm_lib.energies.base import Energy
from mfmgdm_lib.specification import register

__all__ = ["FieldAutocovariance"]


@checked
@register
class FieldAutocovariance(Energy):
    r"""Mean products of the points of a periodic field (H, W) that are a lag apart.

    .. math:: \Phi_\tau(x) = \frac1d \sum_r x(r)\, x(r + \tau), \qquad d = H \cdot W

    All are quadratic with constant Hessians, which are block-circulant: their eigenvalues are (2/d) cos ω·τ at the
    Fourier frequencies ω. So a step of a descent is a linear filter, and its determinant is exact in O(d log d).

    Args:
        lags: pairs τ, rows down and columns to the right, each once; τ and −τ are the same. All shorter than half of
            the field.

    Raises:
        ValueError: lags that are no pairs of whole numbers, or that are there twice.

    Example:
        >>> energy = FieldAutocovariance([(0, 1), (1, 0)])
        >>> energy(torch.tensor([[3.0, 3.0, 3.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])).tolist()
        [3.0, 0.0]
        >>> energy.labels
        ('lag (0, 1)', 'lag (1, 0)')
    """

    event_shape = (None, None)
    commuting = True
    circulant = True
    minimum_length = 1

    def __init__(self, lags: Sequence[Sequence[int]] = ((0, 0), (0, 1), (1, 0))) -> None:
        self.lags = check_lags("lags", lags)
        self.labels = tuple(f"lag {lag}" for lag in self.lags)

    def __repr__(self) -> str:
        return f"FieldAutocovariance({list(self.lags)})"

    def _check(self, x: Tensor) -> Tensor:
        super()._check(x)
        check_lags_fit("lags", self.lags, x.shape[-2:])
        return x

    def _evaluate(self, x: Tensor) -> Tensor:
        values = torch.cat([_mean_products(part, self.lags) for part in _chunks(x)])
        return values.reshape(*x.shape[:-2], self.dim)

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return Σ_k w_k ∇Φ_k: (*, H, W) for fields (*, H, W) and weights (*, K)."""
        scaled = (weights / (x.shape[-2] * x.shape[-1])).expand(*x.shape[:-2], self.dim).reshape(-1, self.dim, 1, 1)
        parts = _chunks(x)
        total = [torch.zeros_like(part) for part in parts]
        for force, part, each in zip(total, parts, scaled.split(len(parts[0])), strict=True):
            for lag, factor in zip(self.lags, each.unbind(1), strict=True):
                _add_moved(force, part, lag, factor)
                _add_moved(force, part, (-lag[0], -lag[1]), factor)
        return torch.cat(total).reshape(x.shape)

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force and the product with Σ_k w_k H_k, which is the force itself as a linear map."""
        return self.gradient(x, weights), lambda vectors: self.gradient(vectors, weights)

    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ: (*, K, H, W) for fields (*, H, W)."""
        rows = [_moved(x, lag) + _moved(x, (-lag[0], -lag[1])) for lag in self.lags]
        return torch.stack(rows, dim=-3) / (x.shape[-2] * x.shape[-1])

    def hessian_spectra(self, shape: Sequence[int]) -> Tensor:
        """Return the eigenvalues (2/d) cos ω·τ of the Hessians, (K, H, W // 2 + 1) float64."""
        shape = as_shape("shape", tuple(shape))
        check_lags_fit("lags", self.lags, shape)
        return (2.0 / math.prod(shape)) * cosines(self.lags, shape)

    def laplacian(self, x: Tensor) -> Tensor:
        """Return ΔΦ, (*, K): 2 at lag (0, 0) and 0 at the others, whatever the field."""
        traces = x.new_tensor([2.0 if lag == (0, 0) else 0.0 for lag in self.lags])
        return traces.expand(*x.shape[:-2], len(self.lags))


def _chunks(x: Tensor) -> tuple[Tensor, ...]:
    """Fields (*, H, W) in pieces (n, H, W) that stay near the processor."""
    points = x.shape[-2] * x.shape[-1]
    return x.reshape(-1, *x.shape[-2:]).split(max(1, CHUNK_POINTS // points))


def _mean_products(x: Tensor, lags: Sequence[Lag]) -> Tensor:
    """Means of x(r) x(r + τ) of fields (n, H, W), (n, K)."""
    flat = x.flatten(-2)
    return torch.stack([torch.linalg.vecdot(flat, _moved(x, lag).flatten(-2)) for lag in lags], -1) / flat.shape[-1]


def _add_moved(total: Tensor, x: Tensor, lag: Lag, factor: Tensor) -> None:
    """Add factor · x(r + τ) to `total` in place, in up to four pieces, as a field is cut where it is put together."""
    (height, width), (down, right) = x.shape[-2:], lag
    for to_row, from_row in _pieces(height, down):
        for to_column, from_column in _pieces(width, right):
            total[..., to_row, to_column].addcmul_(x[..., from_row, from_column], factor)


def _pieces(size: int, step: int) -> list[tuple[slice, slice]]:
    """Where the entries at i + step, around a circle of `size`, go to and come from."""
    step %= size
    if step == 0:
        return [(slice(None), slice(None))]
    return [(slice(size - step), slice(step, None)), (slice(size - step, None), slice(step))]


def _moved(x: Tensor, lag: Lag) -> Tensor:
    """x(r + τ) at each point r of fields (*, H, W)."""
    axes = [axis for axis, step in zip((-2, -1), lag, strict=True) if step]
    return torch.roll(x, [-step for step in lag if step], axes) if axes else x
