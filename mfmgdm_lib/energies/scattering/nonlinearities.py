"""The nonlinearities of scattering transforms, with their first and second derivatives.

Each takes a signal y (*, P, time) of P parts to a value (*, time). Let a be the gradient of some loss in the value.
`pullback(scale(a))` is its gradient in y, a vector-Jacobian product; `scale(a)` is kept because the second derivative
needs it again. `pushforward(dy)` is the change of the value along dy, a Jacobian-vector product, and
`pullback_change` that of the gradient in y when y changes by dy and a by da.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

__all__ = ["ComplexModulus", "Identity", "Modulus", "Nonlinearity", "Rectifier"]


class Nonlinearity:
    """A nonlinearity at a signal, real, P = 1, and piecewise linear unless a subclass says otherwise."""

    @cached_property
    def value(self) -> Tensor:
        """The value, (*, time), differentiable by autograd."""
        raise NotImplementedError

    def scale(self, a: Tensor) -> Tensor:
        """The gradient in the value, (*, time), by the slope of the nonlinearity."""
        raise NotImplementedError

    def pullback(self, scaled: Tensor) -> Tensor:
        """The gradient in y, (*, P, time)."""
        return scaled.unsqueeze(-2)

    def pushforward(self, dy: Tensor) -> Tensor:
        """Derivative of the value, (*, time), along dy, (*, P, time)."""
        return self.scale(dy.squeeze(-2))

    def pullback_change(self, scaled: Tensor, da: Tensor | None, dy: Tensor) -> Tensor:
        """Change of the gradient in y along dy and da, None for 0; overwrites dy."""
        return (torch.zeros_like(scaled) if da is None else self.scale(da)).unsqueeze(-2)


class Identity(Nonlinearity):
    """The identity on real signals."""

    def __init__(self, y: Tensor) -> None:
        self.value = y.squeeze(-2)

    def scale(self, a: Tensor) -> Tensor:
        """The gradient itself."""
        return a


class Rectifier(Nonlinearity):
    """max(y, 0) of a real signal; at the kink the slope is 0."""

    def __init__(self, y: Tensor) -> None:
        self.value = y.squeeze(-2).relu()

    @cached_property
    def _slope(self) -> Tensor:
        return self.value.sign()  # 1 or 0, in the dtype of the signal

    def scale(self, a: Tensor) -> Tensor:
        """The gradient where y > 0, else 0."""
        return a * self._slope


class Modulus(Nonlinearity):
    """|y| of a complex signal, given as P = 2 parts; near y = 0 all derivatives are set to 0."""

    def __init__(self, y: Tensor) -> None:
        self.y = y
        # The smallest modulus there is, 2·10⁻¹³ in float32: its −3rd power, as in a second derivative, is a number.
        self._floor = torch.finfo(y.dtype).tiny ** (1 / 3)

    @staticmethod
    def _parts(y: Tensor) -> tuple[Tensor, ...]:
        """The real and the imaginary part of y, (*, time)."""
        return y.unbind(-2)

    @cached_property
    def value(self) -> Tensor:
        """|y|, or the floor: there autograd finds derivatives of 0, and no NaN."""
        real, imaginary = self._parts(self.y)
        return torch.addcmul(real * real, imaginary, imaginary).clamp(min=self._floor**2).sqrt()

    @cached_property
    def _inverse(self) -> Tensor:
        """1 / |y|, or 0 at the floor. Not from `value`, which would take as much memory again if nobody wants it."""
        real, imaginary = self._parts(self.y)
        square = (real * real).addcmul_(imaginary, imaginary)
        return torch.nn.functional.threshold(square, self._floor**2, torch.inf, inplace=True).rsqrt_()

    def scale(self, a: Tensor) -> Tensor:
        """The gradient by |y|."""
        return a * self._inverse

    def pullback(self, scaled: Tensor) -> Tensor:
        """The gradient times the phase of y."""
        return self.y * scaled.unsqueeze(-2)

    def pushforward(self, dy: Tensor) -> Tensor:
        """The part of dy along y, Re(ȳ dy) / |y|."""
        (real, imaginary), (d_real, d_imaginary) = self._parts(self.y), self._parts(dy)
        return (real * d_real).addcmul_(imaginary, d_imaginary).mul_(self._inverse)

    def pullback_change(self, scaled: Tensor, da: Tensor | None, dy: Tensor) -> Tensor:
        """For b = a / |y| it is b dy + y (da − b · pushforward(dy)) / |y|."""
        along = self._along(scaled, da, dy)
        return dy.mul_(scaled.unsqueeze(-2)).addcmul_(self.y, along.unsqueeze(-2), value=-1)

    def _along(self, scaled: Tensor, da: Tensor | None, dy: Tensor) -> Tensor:
        """The change of −a / |y|, (*, time)."""
        along = self.pushforward(dy).mul_(scaled)
        if da is not None:
            along -= da
        return along.mul_(self._inverse)


class ComplexModulus(Modulus):
    """|y| of a complex signal y (*, time) that is one tensor, as complex FFTs return it, and not two parts."""

    @staticmethod
    def _parts(y: Tensor) -> tuple[Tensor, ...]:
        return torch.view_as_real(y).unbind(-1)

    def pullback(self, scaled: Tensor) -> Tensor:
        """The gradient times the phase of y, (*, time) complex."""
        return self.y * scaled

    def pullback_change(self, scaled: Tensor, da: Tensor | None, dy: Tensor) -> Tensor:
        """As that of `Modulus`, complex."""
        along = self._along(scaled, da, dy)
        return dy.mul_(scaled).sub_(self.y * along)
