"""Logarithms of the Bessel functions in the transition density of CIR, safe from overflow and underflow.

`scipy.special.ive` agrees to 2e-14 where it is not 0, but it is 0 for large orders and small arguments, rounds orders
next to −1, has no derivatives, and takes 14 to 17 times as long: a step of CIR's descents would take five times as long
as it does.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor

__all__ = ["log_hyp0f1e", "log_kernel"]

_FAR = 40.0
"""Where √(order² + z²) is at least this, the expansion in its inverse takes over from the power series."""

_POWERS = 52
"""Terms of the power series: what is left out is below 1e-17 of the sum for all z up to `_FAR` and orders above −1."""

_ORDERS = 12
"""Terms of the expansion: the first that is left out is below 2e-16 from `_FAR` on."""


def log_hyp0f1e(shape: float, z: Tensor) -> Tensor:
    r"""Logarithm of the regularised hypergeometric function 0F1, less its exponential growth.

    .. math:: \log \frac{e^{-z}}{\Gamma(b)} {}_0F_1(; b; z^2/4)
        = \log I_{b-1}(z) - z - (b - 1) \log(z/2), \qquad b = \mathrm{shape},

    I the modified Bessel function of the first kind (DLMF 10.39.9). It is finite at z = 0, where I is 0 or infinite.

    Args:
        shape: b, the order of I plus one, above 0.
        z: float64 numbers of at least 0, of any shape.

    Returns:
        A tensor like `z`, good to a few units in the last place of its largest term.

    Example:
        >>> log_hyp0f1e(0.5, torch.tensor([0.0, 1.0], dtype=torch.float64))  # cosh(z) e⁻ᶻ / √π
        tensor([-0.5724, -1.1386], dtype=torch.float64)
    """
    order = shape - 1.0
    if order >= _FAR:
        return _expansion(order, z)
    nearest = math.sqrt(_FAR**2 - order**2)
    values = _power_series(shape, z.clamp(max=nearest))
    far = z > nearest
    if far.any():
        values[far] = _expansion(order, z[far])
    return values


def _power_series(shape: float, z: Tensor) -> Tensor:
    """By the definition of 0F1: all terms are positive, so nothing cancels."""
    coefficients = [1.0 / shape]
    for k in range(2, _POWERS + 1):
        coefficients.append(coefficients[-1] / (k * (shape + k - 1.0)))
    y = z.square().mul_(0.25)
    total = torch.zeros_like(z)
    for coefficient in reversed(coefficients):
        total.add_(coefficient).mul_(y)
    return total.log1p_().sub_(z).sub_(math.lgamma(shape))


def _expansion(order: float, z: Tensor) -> Tensor:
    """By Debye's expansion (DLMF 10.41.3), arranged in powers of 1/√(order² + z²).

    So arranged it is good wherever that root is large, be it for the order or for z, and for negative orders too:
    I_ν and I_−ν differ by a multiple of K_ν (DLMF 10.27.2), which is e⁻²ᶻ of them and lost in the rounding.
    """
    root = torch.hypot(z, torch.full_like(z, order))
    inverse = root.reciprocal()
    squared = (order * inverse).square_()
    total = torch.zeros_like(z)
    for polynomial in reversed(_debye_polynomials()):
        value = torch.full_like(z, polynomial[-1])
        for coefficient in polynomial[-2::-1]:
            value.mul_(squared).add_(coefficient)
        total.add_(value).mul_(inverse)
    growth = order**2 / (root + z) - order * torch.log(0.5 * (root + order))
    return total.log1p_().add_(growth).sub_(0.5 * torch.log(2.0 * math.pi * root))


@cache
def _debye_polynomials() -> list[list[float]]:
    """Coefficients of u_k(p) / p^k in powers of p², k = 1, 2, …, by the recursion DLMF 10.41.9."""
    rows = [[1.0]]
    for k in range(_ORDERS - 1):
        row = [0.0] * (k + 2)
        for j, coefficient in enumerate(rows[-1]):
            power = k + 2 * j
            row[j] += coefficient * (power / 2 + 1 / (8 * (power + 1)))
            row[j + 1] -= coefficient * (power / 2 + 5 / (8 * (power + 3)))
        rows.append(row)
    return rows[1:]


class _LogKernel(torch.autograd.Function):
    """Written with its derivatives because those of √u are infinite at 0, while the kernel's are not."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, v: Tensor, shape: float) -> Tensor:
        ctx.save_for_backward(u, v)
        ctx.shape = shape
        root_u, root_v = u.sqrt(), v.sqrt()
        # −u − v + 2√(uv) as a square: for large u and v the difference of its terms would be lost.
        return log_hyp0f1e(shape, 2.0 * root_u * root_v).sub_((root_u - root_v).square_())

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, Tensor, None]:
        u, v = ctx.saved_tensors
        slope = _slope(u * v, ctx.shape)
        return grad_output * (v * slope - 1.0), grad_output * (u * slope - 1.0), None


class _Slope(torch.autograd.Function):
    """Derivative of log 0F1(; b; y): a ratio, as that of 0F1 raises b by one (DLMF 16.3.1). So it has its own too."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, shape: float) -> Tensor:
        ctx.save_for_backward(y)
        ctx.shape = shape
        z = 2.0 * y.sqrt()
        return log_hyp0f1e(shape + 1.0, z).sub_(log_hyp0f1e(shape, z)).exp_()

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        slope = _slope(y, ctx.shape)
        return grad_output * slope * (_slope(y, ctx.shape + 1.0) - slope), None


def _slope(y: Tensor, shape: float) -> Tensor:
    return _Slope.apply(y, shape)  # type: ignore[no-untyped-call]


def log_kernel(u: Tensor, v: Tensor, shape: float) -> Tensor:
    r"""Logarithm of :math:`e^{-u-v} {}_0F_1(; b; uv) / \Gamma(b)`, b = shape.

    Args:
        u: float64 numbers of at least 0.
        v: float64 numbers of at least 0, of the shape of `u`.
        shape: b, above 0.

    Returns:
        A tensor like `u`; it and its derivatives are finite wherever u and v are.

    Example:
        >>> u = torch.tensor([0.0, 1.0], dtype=torch.float64)
        >>> log_kernel(u, torch.ones_like(u), shape=1.0)
        tensor([-1.0000, -1.1760], dtype=torch.float64)
    """
    return _LogKernel.apply(u, v, float(shape))  # type: ignore[no-untyped-call]
