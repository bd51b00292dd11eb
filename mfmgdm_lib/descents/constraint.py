"""Constraints that hold each path of a descent by itself, and maps that end it in place of a gradient step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_number, check_positive, check_real
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.energies.transforms import flat_energy
from mfmgdm_lib.specification import register

__all__ = ["Constraint", "PointwiseMap", "SignedPower"]


@checked
@register
class Constraint:
    r"""Values of a second energy that each path of a descent is led to by itself, in both models.

    Every step takes away γ_c ∇V as well, with the potential

    .. math:: V(x) = \tfrac12 \|c(x) - c^*\|^2, \qquad \nabla^2 V = J_c^\top J_c + \sum_j (c_j(x) - c^*_j) \nabla^2 c_j,

    and γ_c ∇²V goes into each path's own block of the Jacobian. V counts as one more energy of constant weight γ_c
    there, which couples no paths.

    Args:
        energy: c, of the same paths as the model's energy.
        values: c*, one for each value of the energy.
        rate: γ_c itself: this loss is not divided by ‖c*‖².

    Raises:
        ValueError: another number of values, values that are not finite, or a rate that is not above 0.

    Example:
        >>> import mfmgdm_lib as mm
        >>> spins = mm.Constraint(mm.energies.AbsoluteMoments(axes=2), (1.0, 1.0), rate=2.0)
        >>> spins.potential(torch.tensor([[2.0, -2.0], [2.0, 2.0]])).tolist()  # ½ ((4 − 1)² + (2 − 1)²)
        [5.0]
    """

    def __init__(self, energy: Energy, values: Sequence[float], rate: float) -> None:
        self.energy, self.values = energy, tuple(check_number("values", value) for value in values)
        if len(self.values) != energy.dim:
            raise ValueError(
                f"values has {len(self.values)} numbers; expected {energy.dim}, one for each of {energy.labels}."
                f" Pass as many as {energy!r} has."
            )
        self.rate = check_positive("rate", rate)

    def __repr__(self) -> str:
        return f"Constraint({self.energy!r}, {self.values}, rate={self.rate:g})"

    @property
    def potential(self) -> Energy:
        """V, an energy of one value."""
        return _Potential(self)

    def flattened(self, shape: tuple[int, ...]) -> Constraint:
        """The same constraint of paths of this shape that are laid out flat."""
        return Constraint(flat_energy(self.energy, shape), self.values, self.rate)


class _Potential(Energy):
    """Half the squared distance of an energy's values from those of a constraint."""

    labels = ("constraint",)

    def __init__(self, constraint: Constraint) -> None:
        self.energy, self._values = constraint.energy, torch.tensor(constraint.values, dtype=torch.float64)
        self.minimum_length, self.length = self.energy.minimum_length, self.energy.length

    def __repr__(self) -> str:
        return f"{self.energy!r} at {tuple(self._values.tolist())}"

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """The shape of a path of the energy inside."""
        return self.energy.event_shape

    def _evaluate(self, x: Tensor) -> Tensor:
        return 0.5 * (self.energy._evaluate(x) - self._values.to(x)).square().sum(-1, keepdim=True)

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return w J_cᵀ(c − c*), of the shape of the paths."""
        values, derivatives = self.energy.evaluate(x)
        return derivatives.gradient(weights * (values - self._values.to(x)))

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force, and the product with w (J_cᵀJ_c + Σ_j (c_j − c*_j) ∇²c_j)."""
        values, derivatives = self.energy.evaluate(x)
        force, curved = derivatives.linearize(weights * (values - self._values.to(x)))
        push, pull = self.energy.jacobian_products(x)
        return force, lambda vectors: curved(vectors) + pull(weights * push(vectors))


class PointwiseMap(ABC):
    """An increasing map of each value of a path by itself, with which a descent may end.

    To add one, write `__call__`, differentiably, and register the class; the derivative follows by automatic
    differentiation. Override `log_derivative` where a closed form is better.
    """

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Map each value of `x`, a tensor of any shape."""

    def log_derivative(self, x: Tensor) -> Tensor:
        """Logarithm of the derivative at each value of `x`, of its shape."""
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self(leaf).sum(), leaf)
        return slope.log()


@checked
@register
class SignedPower(PointwiseMap):
    r"""The power of the absolute value under its sign, :math:`x \mapsto \operatorname{sign}(x) |x|^p`.

    A small p brings all values near −1 and 1, and the map can be inverted where rounding to them cannot. The
    logarithm of its derivative is log p + (p − 1) log|x|, which is +∞ at 0 for p < 1.

    Args:
        exponent: p, above 0.

    Raises:
        ValueError: an exponent that is not above 0.

    Example:
        >>> SignedPower(0.5)(torch.tensor([-4.0, 0.25])).tolist()
        [-2.0, 0.5]
    """

    def __init__(self, exponent: float) -> None:
        self.exponent = check_positive("exponent", exponent)

    def __repr__(self) -> str:
        return f"SignedPower({self.exponent:g})"

    def __call__(self, x: Tensor) -> Tensor:
        """Map each value of `x`, a tensor of any shape."""
        return check_real("x", x).sign() * x.abs() ** self.exponent

    def log_derivative(self, x: Tensor) -> Tensor:
        """Logarithm of the derivative at each value of `x`, of its shape."""
        return math.log(self.exponent) + (self.exponent - 1.0) * check_real("x", x).abs().log()
