"""Energy i of Section 5.1: the autocovariances at lags 1 and 0, sufficient statistics of an AR(1)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.energies.base import BandedEnergy
from mfmgdm_lib.specification import register

__all__ = ["Autocovariance", "add_neighbours", "lagged_products"]


@checked
@register
class Autocovariance(BandedEnergy):
    r"""Paper eq. (5), with time averages in place of sums.

    .. math:: \Phi(x) = \frac1d \Bigl(\sum_{i=2}^d x_i x_{i-1}, \; \sum_{i=1}^d x_i^2\Bigr)

    Both are quadratic, so the Hessians are constant: tridiagonal Toeplitz, 1/d beside the diagonal for the
    first and 2/d on it for the second. Such matrices commute.

    Example:
        >>> energy = Autocovariance()
        >>> energy(torch.tensor([1.0, 2.0, 3.0, 0.0])).tolist()
        [2.0, 3.5]
        >>> energy.labels
        ('lag 1', 'lag 0')
    """

    labels = ("lag 1", "lag 0")
    bandwidth = 1
    commuting = True

    def __repr__(self) -> str:
        return "Autocovariance()"

    def _evaluate(self, x: Tensor) -> Tensor:
        return torch.stack((lagged_products(x, 1), lagged_products(x, 0)), dim=-1) / x.shape[-1]

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return Σ_k w_k ∇Φ_k: (*, time) for paths (*, time) and weights (*, K)."""
        scaled = weights.unsqueeze(-2) / x.shape[-1]
        return add_neighbours(2.0 * scaled[..., 1] * x, x, 1, scaled[..., 0])

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force and the product with Σ_k w_k H_k, which is the force itself as a linear map."""
        return self.gradient(x, weights), lambda vectors: self.gradient(vectors, weights)

    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ: (*, 2, time) for paths (*, time)."""
        x = x.detach()
        rows = x.new_empty((2, *x.shape))
        add_neighbours(rows[0].zero_(), x, 1, 1.0 / x.shape[-1])
        torch.mul(x, 2.0 / x.shape[-1], out=rows[1])
        return rows.movedim(0, -2)

    def hessian_bands(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the two lower bands of Σ_k w_k H_k: (*, 2, time)."""
        bands = x.new_empty((2, *x.shape))
        bands[0] = (2.0 / x.shape[-1]) * weights[..., 1:]
        bands[1] = (1.0 / x.shape[-1]) * weights[..., :1]
        bands[1, ..., -1] = 0.0
        return bands.movedim(0, -2)

    def laplacian(self, x: Tensor) -> Tensor:
        """Return ΔΦ, (*, 2): 0 and 2, whatever the path."""
        return x.new_tensor([0.0, 2.0]).expand(*x.shape[:-1], 2)


def lagged_products(x: Tensor, lag: int) -> Tensor:
    """Σ_i x_i x_{i−lag} along the last axis."""
    return torch.linalg.vecdot(x[..., lag:], x[..., : x.shape[-1] - lag])


def add_neighbours(total: Tensor, x: Tensor, lag: int, factor: Tensor | float = 1.0) -> Tensor:
    """Add factor · (x_{i−lag} + x_{i+lag}) to `total` in place, terms beyond the ends left out; return `total`."""
    scale = torch.as_tensor(factor, dtype=x.dtype, device=x.device)
    total[..., lag:].addcmul_(x[..., :-lag], scale)
    total[..., :-lag].addcmul_(x[..., lag:], scale)
    return total
