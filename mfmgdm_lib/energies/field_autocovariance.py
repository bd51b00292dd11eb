"""Autocovariances of a periodic field, the sufficient statistics of a conditional autoregression."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mfmgdm_lib._fields import check_lags, check_lags_fit, cosines
from mfmgdm_lib.energies.base import Energy
from mfmgdm_lib.specification import register

__all__ = ["FieldAutocovariance"]


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
        >>> energy = FieldAutocovariance([(0, 0), (0, 1)])
        >>> energy(torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])).numpy().round(3).tolist()
        [1.556, 1.222]
        >>> energy.labels
        ('lag (0, 0)', 'lag (0, 1)')
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
        flat = x.flatten(-2)
        products = [torch.linalg.vecdot(flat, _moved(x, lag).flatten(-2)) for lag in self.lags]
        return torch.stack(products, dim=-1) / flat.shape[-1]

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return Σ_k w_k ∇Φ_k: (*, H, W) for fields (*, H, W) and weights (*, K)."""
        scaled = (weights / (x.shape[-2] * x.shape[-1]))[..., None, None, :]
        total = torch.zeros_like(x)
        for k, (down, right) in enumerate(self.lags):
            if (down, right) == (0, 0):
                total.addcmul_(x, 2.0 * scaled[..., k])
                continue
            for lag in ((down, right), (-down, -right)):
                total.addcmul_(_moved(x, lag), scaled[..., k])
        return total

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force and the product with Σ_k w_k H_k, which is the force itself as a linear map."""
        return self.gradient(x, weights), lambda vectors: self.gradient(vectors, weights)

    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ: (*, K, H, W) for fields (*, H, W)."""
        rows = [_moved(x, lag) + _moved(x, (-lag[0], -lag[1])) for lag in self.lags]
        return torch.stack(rows, dim=-3) / (x.shape[-2] * x.shape[-1])

    def hessian_spectra(self, shape: Sequence[int]) -> Tensor:
        """Return the eigenvalues (2/d) cos ω·τ of the Hessians, (K, H, W // 2 + 1) float64."""
        check_lags_fit("lags", self.lags, shape)
        return (2.0 / (shape[0] * shape[1])) * cosines(self.lags, shape)

    def laplacian(self, x: Tensor) -> Tensor:
        """Return ΔΦ, (*, K): 2 at lag (0, 0) and 0 at the others, whatever the field."""
        traces = x.new_tensor([2.0 if lag == (0, 0) else 0.0 for lag in self.lags])
        return traces.expand(*x.shape[:-2], len(self.lags))


def _moved(x: Tensor, lag: tuple[int, int]) -> Tensor:
    """x(r + τ) at each point r of fields (*, H, W)."""
    axes = [axis for axis, step in zip((-2, -1), lag, strict=True) if step]
    return torch.roll(x, [-step for step in lag if step], axes) if axes else x
