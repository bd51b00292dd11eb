"""Lags of periodic fields, the cosines that belong to them, and sums over half of the Fourier frequencies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["CHUNK_POINTS", "Lag", "check_lags", "check_lags_fit", "cosines", "frequencies", "half_weights", "power"]

Lag = tuple[int, int]
"""How far two points are apart: rows down and columns to the right."""

CHUNK_POINTS = 2**18
"""Points of fields in work at once: what stays near the processor."""


def check_lags(name: str, lags: Sequence[Sequence[int]]) -> tuple[Lag, ...]:
    """Return lags as pairs of whole numbers, if none is there twice; τ and −τ are one, as products have no order.

    Raises:
        ValueError: none at all, something that is no pair of whole numbers, or a lag that is there twice.
    """
    try:
        pairs = tuple((down.__index__(), right.__index__()) for down, right in lags)
    except (AttributeError, TypeError, ValueError):
        pairs = ()
    if not pairs:
        raise ValueError(
            f"{name} is {lags!r}; expected pairs of whole numbers, rows down and columns to the right."
            " Use such as [(0, 1), (1, 0)]."
        )
    seen: dict[Lag, Lag] = {}
    for down, right in pairs:
        lag = max((down, right), (-down, -right))
        if lag in seen:
            raise ValueError(
                f"{name} has {seen[lag]} and {(down, right)}; expected each lag once, and τ and −τ are the same."
                " Leave one of them out."
            )
        seen[lag] = (down, right)
    return pairs


def check_lags_fit(name: str, lags: Sequence[Lag], shape: Sequence[int]) -> None:
    """Refuse lags of half a field or more, which lead around it to where others lead.

    Raises:
        ValueError: there is one.
    """
    for lag in lags:
        if any(2 * abs(step) >= size for step, size in zip(lag, shape, strict=True) if step):
            least = " × ".join(str(2 * abs(step) + 1) for step in lag)
            raise ValueError(
                f"{name} has {lag} for a periodic field of {' × '.join(map(str, shape))} points; expected less than"
                f" half of its size. Use a field of at least {least} points, or a smaller lag."
            )


def frequencies(shape: Sequence[int], *, half: bool = False) -> tuple[Tensor, Tensor]:
    """The frequencies of `torch.fft.fft2`, or with `half` those of `rfft2`, in radians per point: (H, 1) and (1, W)."""
    columns = torch.fft.rfftfreq if half else torch.fft.fftfreq
    down = 2.0 * torch.pi * torch.fft.fftfreq(shape[0], dtype=torch.float64)[:, None]
    return down, 2.0 * torch.pi * columns(shape[1], dtype=torch.float64)[None]


def cosines(lags: Sequence[Lag], shape: Sequence[int], *, half: bool = True) -> Tensor:
    """Return cos ω·τ at these frequencies, for each lag τ: (K, H, W // 2 + 1) float64, or (K, H, W)."""
    return _cosines(tuple(lags), tuple(shape), half)


@lru_cache(maxsize=8)
def _cosines(lags: tuple[Lag, ...], shape: tuple[int, ...], half: bool) -> Tensor:
    down, right = frequencies(shape, half=half)
    return torch.stack([torch.cos(step[0] * down + step[1] * right) for step in lags])


def power(x: Tensor, axes: tuple[int, ...] = (-2, -1)) -> Tensor:
    """|x̂|², the squared moduli of the `torch.fft.rfftn` of fields (*, H, W): (*, H, W // 2 + 1)."""
    shape = x.shape[-len(axes) :]
    parts = x.reshape(-1, *shape).split(max(1, CHUNK_POINTS // math.prod(shape)))
    powers = torch.cat([_squares(torch.fft.rfftn(part, dim=axes)) for part in parts])
    return powers.reshape(*x.shape[: -len(axes)], *powers.shape[1:])


def _squares(transform: Tensor) -> Tensor:
    """|z|²; a sum over pairs of real and imaginary parts would be far slower."""
    return torch.addcmul(transform.real.square(), transform.imag, transform.imag)


def half_weights(points: int) -> Tensor:
    """How many frequencies each of those of `torch.fft.rfft` stands for: 1 or 2, (points // 2 + 1,) float64."""
    weights = torch.full((points // 2 + 1,), 2.0, dtype=torch.float64)
    weights[0] = 1.0
    if points % 2 == 0:
        weights[-1] = 1.0
    return weights
