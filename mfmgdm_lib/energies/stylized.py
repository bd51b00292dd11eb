"""The stylised facts of Section 5.2: variance, one autocovariance, clusters of volatility; leverage, and sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib.energies.autocovariance import add_neighbours, lagged_products
from mfmgdm_lib.energies.base import BandedEnergy
from mfmgdm_lib.specification import register

__all__ = ["StylizedFacts"]


@checked
@register
class StylizedFacts(BandedEnergy):
    r"""Statistics that financial returns are known for, K = 2 + lags (paper Section 5.2), or more.

    .. math:: \Phi(x) = \frac1d \Bigl(\sum_i x_i^2, \; \sum_i x_i x_{i-1}, \; \sum_i x_i^2 x_{i-1}^2, \dots,
              \sum_i x_i^2 x_{i-L}^2\Bigr)

    The products of squares are not centred. Their Hessians reach `lags` places from the diagonal.

    All of these are even: they cannot tell a path from its negative. With `leverage` the means of x_i x²_{i+k} for
    k = 1 … `leverage` follow, which are negative where falls are followed by larger moves than rises are (Bouchaud,
    Matacz and Potters, 2001). With `sums` = h the last energy is Σ_t (x_t + … + x_{t+h−1})² / (h d), over all
    windows that have a point of the path: the variance of the sums of h neighbours over that of as many independent
    values of variance 1, which tells whether moves go on or are taken back. Neither is part of the paper.

    Args:
        lags: L, the number of lags of the squared series, at least 1.
        leverage: the number of lags of the products of values with later squares; None or 0 for none.
        sums: h, the number of neighbours in a sum, at least 2; None or 0 for none.

    Example:
        >>> energy = StylizedFacts(lags=20)
        >>> energy.dim, energy.labels[:3]
        (22, ('variance', 'lag 1', 'squares, lag 1'))
        >>> energy(torch.ones(100, dtype=torch.float64))[[0, 1, 2, 21]].tolist()
        [1.0, 0.99, 0.99, 0.8]
        >>> StylizedFacts(lags=1, leverage=1)(torch.tensor([1.0, -2.0, 3.0, 0.0])).tolist()
        [3.5, -2.0, 10.0, -3.5]
        >>> StylizedFacts(lags=1, sums=2)(torch.tensor([1.0, -2.0, 3.0, 0.0])).tolist()
        [3.5, -2.0, 10.0, 1.5]
    """

    def __init__(self, lags: int = 20, leverage: int | None = None, sums: int | None = None) -> None:
        self.lags = check_positive_int("lags", lags)
        # 0 is kept as None, which descriptions of an energy leave out: those of the paper's are what they were.
        self.leverage = check_positive_int("leverage", leverage or 0, minimum=0) or None
        self.sums = check_positive_int("sums", sums, minimum=2) if sums else None
        self._falls = range(1, (self.leverage or 0) + 1)
        squares = tuple(f"squares, lag {lag}" for lag in range(1, lags + 1))
        self.labels = ("variance", "lag 1", *squares, *(f"leverage, lag {lag}" for lag in self._falls))
        if self.sums:
            self.labels += (f"sums of {self.sums}",)
        self.minimum_length = self.bandwidth + 1

    def __repr__(self) -> str:
        extra = [f", {name}={value}" for name in ("leverage", "sums") if (value := getattr(self, name))]
        return f"StylizedFacts(lags={self.lags}{''.join(extra)})"

    @property
    def bandwidth(self) -> int:
        """The largest lag."""
        return max(self.lags, self.leverage or 0, (self.sums or 1) - 1)

    def _evaluate(self, x: Tensor) -> Tensor:
        squares = x * x
        products = [lagged_products(x, 0), lagged_products(x, 1)]
        products += [lagged_products(squares, lag) for lag in range(1, self.lags + 1)]
        products += [torch.linalg.vecdot(x[..., :-lag], squares[..., lag:]) for lag in self._falls]
        if self.sums:
            among = [2.0 * (1.0 - lag / self.sums) * lagged_products(x, lag) for lag in range(1, self.sums)]
            products.append(products[0] + sum(among))
        return torch.stack(products, dim=-1) / x.shape[-1]

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return Σ_k w_k ∇Φ_k: (*, time) for paths (*, time) and weights (*, K)."""
        return self.linearize(x, weights)[0]

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force Σ_k w_k ∇Φ_k, (*, time), and the product with Σ_k w_k H_k."""
        scaled = weights.unsqueeze(-2) / x.shape[-1]
        curvature = self._curvature(x, scaled)
        force = add_neighbours(curvature * x, x, 1, scaled[..., 1])
        squares = x * x
        for lag, scale in self._scales(scaled):
            force[..., :-lag].addcmul_(squares[..., lag:], scale)
        if self.sums:
            force.addcmul_(self._among_sums(x), 2.0 * scaled[..., -1])

        def product(vectors: Tensor) -> Tensor:
            products, curved = x * vectors, torch.zeros_like(x)
            for lag in range(1, self.lags + 1):
                add_neighbours(curved, products, lag, 4.0 * scaled[..., lag + 1])
            for lag, scale in self._scales(scaled):
                curved[..., lag:].addcmul_(vectors[..., :-lag], 2.0 * scale)
            curved.mul_(x)
            for lag, scale in self._scales(scaled):
                curved[..., :-lag].addcmul_(products[..., lag:], 2.0 * scale)
            if self.sums:
                curved.addcmul_(self._among_sums(vectors), 2.0 * scaled[..., -1])
            return add_neighbours(curved.addcmul_(curvature, vectors), vectors, 1, scaled[..., 1])

        return force, product

    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ: (*, K, time) for paths (*, time)."""
        x = x.detach()
        squares, scaled = x * x, (2.0 / x.shape[-1]) * x
        rows = x.new_zeros((self.dim, *x.shape))
        rows[0] = scaled
        add_neighbours(rows[1], x, 1, 1.0 / x.shape[-1])
        for lag, row in enumerate(rows[2 : self.lags + 2], start=1):
            add_neighbours(row, squares, lag).mul_(scaled)
        for lag, row in zip(self._falls, rows[self.lags + 2 : self.lags + 2 + len(self._falls)], strict=True):
            torch.mul(squares[..., lag:], 1.0 / x.shape[-1], out=row[..., :-lag])
            row[..., lag:].addcmul_(scaled[..., lag:], x[..., :-lag])
        if self.sums:
            rows[-1] = (2.0 / x.shape[-1]) * self._among_sums(x)
        return rows.movedim(0, -2)

    def hessian_bands(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the lower bands of Σ_k w_k H_k: (*, bandwidth + 1, time)."""
        scaled = weights.unsqueeze(-2) / x.shape[-1]
        bands = x.new_zeros((self.bandwidth + 1, *x.shape))
        bands[0] = self._curvature(x, scaled)
        for lag, band in enumerate(bands[1 : self.lags + 1], start=1):
            torch.mul(x[..., lag:], x[..., :-lag], out=band[..., :-lag]).mul_(4.0 * scaled[..., lag + 1])
        bands[1, ..., :-1] += scaled[..., 1]
        for lag, scale in self._scales(scaled):
            bands[lag, ..., :-lag].addcmul_(x[..., lag:], 2.0 * scale)
        for lag in range(self.sums or 0):
            bands[lag, ..., : x.shape[-1] - lag] += 2.0 * (1.0 - lag / (self.sums or 1)) * scaled[..., -1]
        return bands.movedim(0, -2)

    def laplacian(self, x: Tensor) -> Tensor:
        """Return ΔΦ, (*, K) for paths (*, time): twice what each value is multiplied by, summed and over d."""
        squares, sizes = x * x, x.new_full(x.shape[:-1], float(x.shape[-1]))
        sums = [sizes, torch.zeros_like(sizes)]
        for lag in range(1, self.lags + 1):
            sums.append(squares[..., lag:].sum(-1) + squares[..., :-lag].sum(-1))
        sums += [x[..., :-lag].sum(-1) for lag in self._falls]
        sums += [sizes] if self.sums else []
        return (2.0 / x.shape[-1]) * torch.stack(sums, dim=-1)

    def _curvature(self, x: Tensor, scaled: Tensor) -> Tensor:
        """The diagonal of the Hessian, which is the factor of x_i in the force, too.

        It is 2w_0 + 2Σ_l w_l (x²_{i−l} + x²_{i+l}) + 2Σ_k w_k x_{i−k}.
        """
        squares, total = x * x, (2.0 * scaled[..., 0]).expand(x.shape).clone()
        for lag in range(1, self.lags + 1):
            add_neighbours(total, squares, lag, 2.0 * scaled[..., lag + 1])
        for lag, scale in self._scales(scaled):
            total[..., lag:].addcmul_(x[..., :-lag], 2.0 * scale)
        return total

    def _among_sums(self, x: Tensor) -> Tensor:
        """Half the gradient of the last energy, times d: Σ_l (1 − |l|/h) x_{i−l}, (*, time) for (*, time)."""
        total, window = x.clone(), self.sums or 1
        for lag in range(1, window):
            add_neighbours(total, x, lag, 1.0 - lag / window)
        return total

    def _scales(self, scaled: Tensor) -> Iterator[tuple[int, Tensor]]:
        """The lags of the leverage, each with its weight over the number of points, (*, 1)."""
        return ((lag, scaled[..., self.lags + 1 + lag]) for lag in self._falls)
