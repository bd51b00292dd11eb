"""Energies of several series at once: those of each channel, and the cross-correlations of pairs of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib.energies.base import Energy
from mfmgdm_lib.specification import register

__all__ = ["CrossCorrelations", "EachChannel"]


@checked
@register
class EachChannel(Energy):
    """The values of an energy of series for each of C channels: all of the first, then all of the second, and so on.

    Args:
        energy: Φ of a series, with K values.
        channels: a name for each channel.

    Example:
        >>> from mfmgdm_lib.energies import Autocovariance
        >>> both = EachChannel(Autocovariance(), ["AAA", "BBB"])
        >>> both.labels
        ('AAA: lag 1', 'AAA: lag 0', 'BBB: lag 1', 'BBB: lag 0')
        >>> both(torch.tensor([[1.0, 3.0], [2.0, 0.0]])).tolist()
        [1.5, 5.0, 0.0, 2.0]
    """

    def __init__(self, energy: Energy, channels: Sequence[str]) -> None:
        if energy.event_ndim != 1:
            raise ValueError(f"energy is {energy!r}; expected one of series. Use an energy of one channel.")
        self.energy, self.channels = energy, _check_channels(channels)
        self.labels = tuple(f"{channel}: {label}" for channel in self.channels for label in energy.labels)
        self.minimum_length, self.length = energy.minimum_length, energy.length

    def __repr__(self) -> str:
        return f"EachChannel({self.energy!r}, {self.channels})"

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """The shape of a path, (C, T)."""
        return len(self.channels), self.length

    def _parted(self, weights: Tensor) -> Tensor:
        return weights.unflatten(-1, (len(self.channels), self.energy.dim))

    def _evaluate(self, x: Tensor) -> Tensor:
        return self.energy._evaluate(x).flatten(-2)

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the force on each channel, (*, C, time)."""
        return self.energy.gradient(x, self._parted(weights))

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force on each channel, (*, C, time), and the product of the energy inside."""
        return self.energy.linearize(x, self._parted(weights))

    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ, (*, C · K, C, time), 0 where an energy is of another channel."""
        count = len(self.channels)
        rows = x.new_zeros((*x.shape[:-2], count, self.energy.dim, count, x.shape[-1]))
        for channel, own in enumerate(self.energy.jacobian(x).unbind(-3)):
            rows[..., channel, :, channel, :] = own
        return rows.flatten(-4, -3)


@checked
@register
class CrossCorrelations(Energy):
    r"""Mean products of two channels, and of their squares, at lags −L … L, for each pair i < j of C channels.

    .. math:: \Phi(x) = \frac1d \Bigl(\sum_t x_{i,t} x_{j,t+k}, \; \sum_t x_{i,t}^2 x_{j,t+k}^2\Bigr)

    over the pairs of points that there are, all products of values first. They are cross-correlations where channels
    have mean 0 and variance 1; products of squares are not centred, as in `StylizedFacts`. At a lag k above 0 the
    second channel of a pair is the later one.

    Args:
        channels: a name for each channel.
        lags: L, at least 0.

    Example:
        >>> energy = CrossCorrelations(["AAA", "BBB"], lags=1)
        >>> energy.labels[:3], energy.labels[4]
        (('AAA × BBB, lag -1', 'AAA × BBB, lag 0', 'AAA × BBB, lag 1'), 'AAA × BBB, squares, lag 0')
        >>> (4 * energy(torch.tensor([[1.0, 0.0, 0.0, 0.0], [3.0, 2.0, 0.0, 0.0]]))).tolist()
        [0.0, 3.0, 2.0, 0.0, 9.0, 4.0]
    """

    def __init__(self, channels: Sequence[str], lags: int = 2) -> None:
        self.channels, self.lags = _check_channels(channels), check_positive_int("lags", lags, minimum=0)
        pairs = list(itertools.combinations(range(len(self.channels)), 2))
        if not pairs:
            raise ValueError(f"channels is {self.channels}; expected at least 2 names. Use an energy of one series.")
        products = [(i, j, lag) for i, j in pairs for lag in range(-self.lags, self.lags + 1)]
        # Each as Σ_t y_{a,t} y_{b,t+l} with l ≥ 0.
        self._products = [(lag, i, j) if lag >= 0 else (-lag, j, i) for i, j, lag in products]
        names = [f"{self.channels[i]} × {self.channels[j]}" for i, j, _ in products]
        self.labels = tuple(
            f"{name}{kind}, lag {lag}"
            for kind in ("", ", squares")
            for name, (_, _, lag) in zip(names, products, strict=True)
        )
        self.minimum_length = max(2, self.lags + 1)

    def __repr__(self) -> str:
        return f"CrossCorrelations({self.channels}, lags={self.lags})"

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """The shape of a path, (C, T)."""
        return len(self.channels), None

    def _evaluate(self, x: Tensor) -> Tensor:
        return torch.cat([self._means(x), self._means(x * x)], dim=-1)

    def _means(self, y: Tensor) -> Tensor:
        length = y.shape[-1]
        tables = [y[..., : length - lag] @ y[..., lag:].mT for lag in range(self.lags + 1)]
        return torch.stack([tables[lag][..., a, b] for lag, a, b in self._products], dim=-1) / length

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return Σ_k w_k ∇Φ_k: (*, C, time) for paths (*, C, time) and weights (*, K)."""
        return self.linearize(x, weights)[0]

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force Σ_k w_k ∇Φ_k, (*, C, time), and the product with Σ_k w_k H_k."""
        of_values, of_squares = map(self._matrices, (weights / x.shape[-1]).chunk(2, dim=-1))
        curvature = 2.0 * _spread(of_squares, x * x)
        force = _spread(of_values, x) + curvature * x

        def product(vectors: Tensor) -> Tensor:
            return _spread(of_values, vectors) + curvature * vectors + 4.0 * x * _spread(of_squares, x * vectors)

        return force, product

    def _matrices(self, weights: Tensor) -> list[Tensor]:
        """The weights of y_{a,t} y_{b,t+l} as a matrix (*, C, C) for each l from 0 to L."""
        count = len(self.channels)
        matrices = weights.new_zeros((*weights.shape[:-1], self.lags + 1, count, count))
        lags, first, second = zip(*self._products, strict=True)
        matrices[..., lags, first, second] = weights
        return list(matrices.unbind(-3))

    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ: (*, K, C, time) for paths (*, C, time)."""
        rows = x.new_zeros((*x.shape[:-2], self.dim, *x.shape[-2:]))
        length = x.shape[-1]
        for y, scale, part in zip((x, x * x), (torch.ones_like(x), 2.0 * x), rows.chunk(2, dim=-3), strict=True):
            scale = scale / length
            for k, (lag, a, b) in enumerate(self._products):
                torch.mul(y[..., b, lag:], scale[..., a, : length - lag], out=part[..., k, a, : length - lag])
                torch.mul(y[..., a, : length - lag], scale[..., b, lag:], out=part[..., k, b, lag:])
        return rows


def _spread(matrices: list[Tensor], y: Tensor) -> Tensor:
    """Σ_l (W_l y_{t+l} + W_lᵀ y_{t−l}) of channels (*, C, time), points beyond the ends left out."""
    total = (matrices[0] + matrices[0].mT) @ y
    for lag, matrix in enumerate(matrices[1:], start=1):
        total[..., :-lag] += matrix @ y[..., lag:]
        total[..., lag:] += matrix.mT @ y[..., :-lag]
    return total


def _check_channels(channels: Sequence[str]) -> tuple[str, ...]:
    """Names of channels, all different."""
    names = tuple(channels)
    if isinstance(channels, str) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f'channels is {channels!r}; expected a name for each channel. Pass some such as ["a", "b"].')
    if len(set(names)) < len(names):
        raise ValueError(f"channels is {names}; expected names that differ. Rename one of the channels.")
    return names
