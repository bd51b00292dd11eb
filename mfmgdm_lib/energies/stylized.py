"""The stylised facts of Section 5.2: variance, one autocovariance, and the clustering of volatility."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib.energies.autocovariance import add_neighbours, lagged_products
from mfmgdm_lib.energies.base import BandedEnergy
from mfmgdm_lib.specification import register

__all__ = ["StylizedFacts"]


@register
class StylizedFacts(BandedEnergy):
    r"""Statistics that financial returns are known for, K = 2 + lags (paper Section 5.2).

    .. math:: \Phi(x) = \frac1d \Bigl(\sum_i x_i^2, \; \sum_i x_i x_{i-1}, \; \sum_i x_i^2 x_{i-1}^2, \dots,
              \sum_i x_i^2 x_{i-L}^2\Bigr)

    The products of squares are not centred. Their Hessians reach `lags` places from the diagonal.

    Args:
        lags: L, the number of lags of the squared series, at least 1.

    Example:
        >>> energy = StylizedFacts(lags=20)
        >>> energy.dim, energy.labels[:3]
        (22, ('variance', 'lag 1', 'squares, lag 1'))
        >>> energy(torch.ones(100, dtype=torch.float64))[[0, 1, 2, 21]].tolist()
        [1.0, 0.99, 0.99, 0.8]
    """

    def __init__(self, lags: int = 20) -> None:
        self.lags = check_positive_int("lags", lags)
        self.labels = ("variance", "lag 1", *(f"squares, lag {lag}" for lag in range(1, lags + 1)))
        self.minimum_length = lags + 1

    def __repr__(self) -> str:
        return f"StylizedFacts(lags={self.lags})"

    @property
    def bandwidth(self) -> int:
        """The largest lag."""
        return self.lags

    def _evaluate(self, x: Tensor) -> Tensor:
        squares = x * x
        products = [lagged_products(x, 0), lagged_products(x, 1)]
        products += [lagged_products(squares, lag) for lag in range(1, self.lags + 1)]
        return torch.stack(products, dim=-1) / x.shape[-1]

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return Σ_k w_k ∇Φ_k: (*, time) for paths (*, time) and weights (*, K)."""
        return self.linearize(x, weights)[0]

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force Σ_k w_k ∇Φ_k, (*, time), and the product with Σ_k w_k H_k."""
        scaled = weights.unsqueeze(-2) / x.shape[-1]
        curvature = self._curvature(x * x, scaled)

        def product(vectors: Tensor) -> Tensor:
            products, curved = x * vectors, torch.zeros_like(x)
            for lag in range(1, self.lags + 1):
                add_neighbours(curved, products, lag, 4.0 * scaled[..., lag + 1])
            return add_neighbours(curved.mul_(x).addcmul_(curvature, vectors), vectors, 1, scaled[..., 1])

        return add_neighbours(curvature * x, x, 1, scaled[..., 1]), product

    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ: (*, K, time) for paths (*, time)."""
        squares, scaled = x * x, (2.0 / x.shape[-1]) * x
        rows = x.new_zeros((self.dim, *x.shape))
        rows[0] = scaled
        add_neighbours(rows[1], x, 1, 1.0 / x.shape[-1])
        for lag, row in enumerate(rows[2:], start=1):
            add_neighbours(row, squares, lag).mul_(scaled)
        return rows.movedim(0, -2)

    def hessian_bands(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the lower bands of Σ_k w_k H_k: (*, lags + 1, time)."""
        scaled = weights.unsqueeze(-2) / x.shape[-1]
        bands = x.new_zeros((self.lags + 1, *x.shape))
        bands[0] = self._curvature(x * x, scaled)
        for lag, band in enumerate(bands[1:], start=1):
            torch.mul(x[..., lag:], x[..., :-lag], out=band[..., :-lag]).mul_(4.0 * scaled[..., lag + 1])
        bands[1, ..., :-1] += scaled[..., 1]
        return bands.movedim(0, -2)

    def _curvature(self, squares: Tensor, scaled: Tensor) -> Tensor:
        """2w_0 + 2Σ_l w_l (x²_{i−l} + x²_{i+l}): the diagonal of the Hessian, and the factor of x_i in the force."""
        total = (2.0 * scaled[..., 0]).expand(squares.shape).clone()
        for lag in range(1, self.lags + 1):
            add_neighbours(total, squares, lag, 2.0 * scaled[..., lag + 1])
        return total
