"""The nonlinearities of scattering transforms, with their first and second derivatives.

Each takes a signal y (*, P, time) of P parts to a value (*, time). Let a be the gradient of some loss in the value.
`scale` brings it into the form that the others want, `pull` makes of that the gradient in y. When y moves by dy and a
by da, `push` is what the value moves by, and `bend` what the gradient in y does.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

__all__ = ["Bend", "Identity", "Modulus", "Rectifier"]


class Bend:
    """A nonlinearity at a signal."""

    @property
    def value(self) -> Tensor:
        """What becomes of the signal, (*, time), differentiable by autograd."""
        raise NotImplementedError

    def scale(self, a: Tensor) -> Tensor:
        """The gradient in the value, (*, time), by the slope of the nonlinearity."""
        raise NotImplementedError

    def pull(self, scaled: Tensor) -> Tensor:
        """The gradient in y, (*, P, time)."""
        raise NotImplementedError

    def push(self, dy: Tensor) -> Tensor:
        """Derivative of the value, (*, time), along dy, (*, P, time)."""
        raise NotImplementedError

    def bend(self, scaled: Tensor, da: Tensor | None, dy: Tensor) -> Tensor:
        """Derivative of the gradient in y when y moves by dy and a by da, None for 0; what dy held is lost."""
        raise NotImplementedError


class Identity(Bend):
    """A real signal as it is, P = 1."""

    def __init__(self, y: Tensor) -> None:
        self._y = y

    @property
    def value(self) -> Tensor:
        """The signal."""
        return self._y.squeeze(-2)

    def scale(self, a: Tensor) -> Tensor:
        """The gradient itself."""
        return a

    def pull(self, scaled: Tensor) -> Tensor:
        """The gradient itself."""
        return scaled.unsqueeze(-2)

    def push(self, dy: Tensor) -> Tensor:
        """The move itself."""
        return dy.squeeze(-2)

    def bend(self, scaled: Tensor, da: Tensor | None, dy: Tensor) -> Tensor:
        """The change of the gradient."""
        return (torch.zeros_like(scaled) if da is None else da).unsqueeze(-2)


class Modulus(Bend):
    """|y| of a complex signal, given as P = 2 parts. Where y is all but 0, so are all derivatives."""

    def __init__(self, y: Tensor) -> None:
        self.y = y
        # The smallest modulus there is, 2·10⁻¹³ in float32: its −3rd power, as in a second derivative, is a number.
        self._floor = torch.finfo(y.dtype).tiny ** (1 / 3)

    @cached_property
    def value(self) -> Tensor:
        """|y|, or the floor: there autograd finds derivatives of 0, and no NaN."""
        real, imaginary = self.y.unbind(-2)
        return torch.addcmul(real * real, imaginary, imaginary).clamp(min=self._floor**2).sqrt()

    @cached_property
    def _inverse(self) -> Tensor:
        """1 / |y|, or 0 at the floor. Not from `value`, which would take as much memory again if nobody wants it."""
        real, imaginary = self.y.unbind(-2)
        square = (real * real).addcmul_(imaginary, imaginary)
        return torch.nn.functional.threshold(square, self._floor**2, torch.inf, inplace=True).rsqrt_()

    def scale(self, a: Tensor) -> Tensor:
        """The gradient by |y|."""
        return a * self._inverse

    def pull(self, scaled: Tensor) -> Tensor:
        """The gradient times the phase of y."""
        return self.y * scaled.unsqueeze(-2)

    def push(self, dy: Tensor) -> Tensor:
        """The part of dy along y, Re(ȳ dy) / |y|."""
        (real, imaginary), (d_real, d_imaginary) = self.y.unbind(-2), dy.unbind(-2)
        return (real * d_real).addcmul_(imaginary, d_imaginary).mul_(self._inverse)

    def bend(self, scaled: Tensor, da: Tensor | None, dy: Tensor) -> Tensor:
        """For b = a / |y| it is b dy + y (da − b · push(dy)) / |y|."""
        turn = self.push(dy).mul_(scaled)
        if da is not None:
            turn -= da
        turn *= self._inverse
        return dy.mul_(scaled.unsqueeze(-2)).addcmul_(self.y, turn.unsqueeze(-2), value=-1)


class Rectifier(Bend):
    """max(y, 0) of a real signal, P = 1."""

    def __init__(self, y: Tensor) -> None:
        self._value = y.squeeze(-2).relu()

    @property
    def value(self) -> Tensor:
        """The signal, or 0."""
        return self._value

    @cached_property
    def _open(self) -> Tensor:
        return self.value.sign()  # 1 or 0, in the dtype of the signal

    def scale(self, a: Tensor) -> Tensor:
        """The gradient where y > 0, else 0."""
        return a * self._open

    def pull(self, scaled: Tensor) -> Tensor:
        """The gradient as it was scaled."""
        return scaled.unsqueeze(-2)

    def push(self, dy: Tensor) -> Tensor:
        """The move where y > 0, else 0."""
        return dy.squeeze(-2) * self._open

    def bend(self, scaled: Tensor, da: Tensor | None, dy: Tensor) -> Tensor:
        """The change of the gradient where y > 0, else 0: there is no curvature except in the kink."""
        return (torch.zeros_like(self.value) if da is None else da * self._open).unsqueeze(-2)
