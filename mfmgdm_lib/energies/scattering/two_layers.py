"""Energies ii and iii of Section 5.1: means and covariances of two layers of wavelet filters and nonlinearities."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import lru_cache
from itertools import combinations_with_replacement, product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_paths, check_positive_int
from mfmgdm_lib.energies.recorded import Record, RecordedEnergy
from mfmgdm_lib.energies.scattering.coefficients import Coefficient
from mfmgdm_lib.energies.scattering.filters import Filters, PeriodicBoundary
from mfmgdm_lib.energies.scattering.nonlinearities import Modulus, Rectifier
from mfmgdm_lib.energies.scattering.wavelets import check_length, check_octaves, morlet
from mfmgdm_lib.specification import register

__all__ = ["PHASES", "Layers", "ScatteringCovariance", "ScatteringMean", "TwoLayerEnergy", "make_layers"]

PHASES = {"0": 0.0, "π/3": np.pi / 3}
"""Phases of the first layer's filters in energy iii."""


class Layers(NamedTuple):
    """Two layers of a scattering transform, ready for paths of one dtype on one device."""

    boundary: PeriodicBoundary
    first: Filters
    second: Filters
    nonlinearity: type[Modulus] | type[Rectifier]


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # cached tensors have to serve autograd too
def make_layers(
    length: int, octaves: int, wavelets: tuple[int, int], dtype: torch.dtype, device: torch.device, *, rectify: bool
) -> Layers:
    """Complex wavelets and moduli; or real parts, those of the first layer at two phases, and rectifiers."""
    boundary = PeriodicBoundary(length, dtype, device)
    responses = boundary.responses(morlet(length, octaves).band_passes)
    first, second = (responses[:count] for count in wavelets)
    if rectify:  # Re(e^{−iθ} x⋆ψ) = cos θ · Re + sin θ · Im
        turned = np.array([[np.cos(phase), np.sin(phase)] for phase in PHASES.values()])
        first = np.einsum("fp,cpvm->cfvm", turned, first)
        first, second = first.reshape(-1, 1, *first.shape[2:]), second[:, :1]
    return Layers(boundary, Filters(boundary, first), Filters(boundary, second), Rectifier if rectify else Modulus)


@checked
class TwoLayerEnergy(RecordedEnergy):
    """The parameters and filters that energies ii and iii share."""

    _rectify: bool
    _record_type: type[TwoLayerRecord]

    def __init__(self, length: int, *, J: int = 8, wavelets: tuple[int, int] = (4, 6)) -> None:
        self.length = self.minimum_length = check_length(length)
        self.wavelets = _check_wavelets(wavelets)
        self.J = check_octaves(J, length, minimum=max(self.wavelets) - 1)
        self.coefficients = self._name_coefficients()
        self.labels = tuple(coefficient.label for coefficient in self.coefficients)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.length}, J={self.J}, wavelets={self.wavelets})"

    @abstractmethod
    def _name_coefficients(self) -> tuple[Coefficient, ...]:
        """One description for each value, in order."""

    def layers_for(self, x: Tensor) -> Layers:
        """The filters in the dtype and on the device of paths x, made once for each."""
        check_paths("x", x)
        return make_layers(self.length, self.J, self.wavelets, x.dtype, x.device, rectify=self._rectify)

    def _record(self, x: Tensor) -> TwoLayerRecord:
        return self._record_type(self.layers_for(x), x)

    def transform(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the signals of both layers, before they are averaged.

        Args:
            x: paths (*, time).

        Returns:
            (*, C₁, time) and (*, C₁, C₂, time).
        """
        layers = self.layers_for(self._check(x))
        first = layers.nonlinearity(layers.first(layers.boundary.spectrum(x))).value
        return first, layers.nonlinearity(layers.second(layers.boundary.spectrum(first))).value


class TwoLayerRecord(Record):
    """Paths (n, time) after both layers; the gradient for given weights of the values, and its derivative."""

    def __init__(self, layers: Layers, x: Tensor) -> None:
        self.layers = layers
        boundary, first, second, nonlinearity = layers
        self.first = nonlinearity(first(boundary.spectrum(x)))
        self.second = nonlinearity(second(boundary.spectrum(self.first.value)))

    def linearize(self, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The force for weights (n, K), and the product with the Hessian."""
        boundary, first, second, _ = self.layers
        on_first, on_second = self._signal_gradients(weights)
        scaled_second = self.second.scale(on_second)
        on_first = on_first + boundary.signal(second.adjoint(self.second.pullback(scaled_second)))
        scaled_first = self.first.scale(on_first)
        force = boundary.signal(first.adjoint(self.first.pullback(scaled_first)))

        def times(vectors: Tensor) -> Tensor:
            dy_first = first(boundary.spectrum(vectors))
            du_first = self.first.pushforward(dy_first)
            dy_second = second(boundary.spectrum(du_first))
            d_first, d_second = self._signal_gradients_change(weights, du_first, dy_second)
            back = boundary.signal(second.adjoint(self.second.pullback_change(scaled_second, d_second, dy_second)))
            d_first = back if d_first is None else back + d_first
            return boundary.signal(first.adjoint(self.first.pullback_change(scaled_first, d_first, dy_first)))

        return force, times

    def pushforward(self, vectors: Tensor) -> Tensor:
        """The product J_Φ v, (n, K), for vectors (n, time)."""
        boundary, first, second, _ = self.layers
        du_first = self.first.pushforward(first(boundary.spectrum(vectors)))
        return self._value_changes(du_first, self.second.pushforward(second(boundary.spectrum(du_first))))

    @abstractmethod
    def _value_changes(self, du_first: Tensor, du_second: Tensor) -> Tensor:
        """Changes of the values, (n, K), with the signals of both layers."""

    @abstractmethod
    def _signal_gradients(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of Σ_k w_k Φ_k in the signals of both layers."""

    def _signal_gradients_change(
        self, weights: Tensor, du_first: Tensor, dy_second: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """Changes of those gradients with the first layer's values and with the second's filtered signals; None for 0.

        They are 0 where the values are linear in the signals.
        """
        return None, None


class _Mean(TwoLayerRecord):
    """Averages of the signals."""

    @property
    def values(self) -> Tensor:
        return self._value_changes(self.first.value, self.second.value)

    def _value_changes(self, du_first: Tensor, du_second: Tensor) -> Tensor:
        return torch.cat([du_first.mean(-1), du_second.mean(-1).flatten(1)], dim=1)

    def _signal_gradients(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        each = weights.unsqueeze(-1) / self.layers.boundary.length
        first = self.first.value.shape[1]
        return each[:, :first], each[:, first:].unflatten(1, (first, -1))

    def rows(self) -> Tensor:
        """J_Φ, (n, K, time), each row by the adjoint of one filter of each layer."""
        boundary, first, second, _ = self.layers
        even = self.first.value.new_full((), 1 / boundary.length)
        through_second = second.adjoint_each(self.second.pullback(self.second.scale(even)))
        on_first = boundary.signal(through_second).movedim(2, 0)
        of_first, of_second = (
            boundary.signal(first.adjoint_each(self.first.pullback(self.first.scale(on)))) for on in (even, on_first)
        )
        return torch.cat([of_first, of_second.movedim(0, 2).flatten(1, 2)], dim=1)


@register
class ScatteringMean(TwoLayerEnergy):
    r"""Energy ii: time averages of first- and second-order scattering, with moduli (paper Section 5.1).

    .. math:: \Phi(x) = \bigl(\langle |x \star \psi_j| \rangle,\;
              \langle \bigl||x \star \psi_j| \star \psi_k\bigr| \rangle\bigr), \qquad j < 4,\; k < 6

    with kymatio's Morlet wavelets and circular convolutions at the full rate (Andreux et al. 2020). All pairs of j and
    k are there, K = 28. The energy does not change when a path is shifted in time, and doubles with the path.

    Args:
        length: points d of a path, a power of two of at least 256.
        J: octaves of kymatio's bank, of J + 1 wavelets; log₂ d at most.
        wavelets: how many of them the first and the second layer have, from the highest frequency on.

    Raises:
        TypeError, ValueError: a length, J or number of wavelets that do not fit together.

    Example:
        >>> energy = ScatteringMean(1024)
        >>> energy.dim, energy.labels[0], energy.labels[-1]
        (28, '⟨|W0 x|⟩', '⟨|W5|W3 x||⟩')
        >>> energy(torch.zeros(2, 1024)).shape
        torch.Size([2, 28])
    """

    _rectify, _record_type = False, _Mean

    def _name_coefficients(self) -> tuple[Coefficient, ...]:
        first, second = map(range, self.wavelets)
        return (
            *(Coefficient(f"⟨|W{j} x|⟩", ((j,),)) for j in first),
            *(Coefficient(f"⟨|W{k}|W{j} x||⟩", ((j, k),)) for j, k in product(first, second)),
        )

    @property
    def _signals(self) -> int:
        return 2 * self.wavelets[0] * self.wavelets[1]


class _Covariance(TwoLayerRecord):
    """Covariances of the signals."""

    def __init__(self, layers: Layers, x: Tensor) -> None:
        super().__init__(layers, x)
        self._centred = _centre(self.first.value, self.second.value)
        count = self._centred.shape[1]
        self._row, self._column = torch.triu_indices(count, count, device=x.device)

    @property
    def values(self) -> Tensor:
        covariance = self._centred @ self._centred.mT / (self._centred.shape[-1] - 1)
        return covariance[:, self._row, self._column]

    def _value_changes(self, du_first: Tensor, du_second: Tensor) -> Tensor:
        cross = self._centred @ _centre(du_first, du_second).mT / (self._centred.shape[-1] - 1)
        return (cross + cross.mT)[:, self._row, self._column]

    def _signal_gradients(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        return self._pair(weights, self._centred)

    def _signal_gradients_change(
        self, weights: Tensor, du_first: Tensor, dy_second: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        return self._pair(weights, _centre(du_first, self.second.pushforward(dy_second)))

    def _pair(self, weights: Tensor, centred: Tensor) -> tuple[Tensor, Tensor]:
        """Signals times the matrix with the weights in its upper triangle, and times its transpose."""
        n, count, length = centred.shape
        matrix = weights.new_zeros(n, count, count)
        matrix[:, self._row, self._column] = weights / (length - 1)
        first = self.first.value.shape[1]
        weighted = (matrix + matrix.mT) @ centred
        return weighted[:, :first], weighted[:, first:].unflatten(1, (first, -1))


def _centre(first: Tensor, second: Tensor) -> Tensor:
    """All signals less their means over time, (n, C₁ + C₁C₂, time)."""
    signals = torch.cat([first, second.flatten(1, 2)], dim=1)
    return signals.sub_(signals.mean(-1, keepdim=True))


@register
class ScatteringCovariance(TwoLayerEnergy):
    r"""Energy iii before its projection: covariances over time of rectified scattering (paper Section 5.1).

    .. math:: u_{j\theta} = \operatorname{Re}(e^{-i\theta} x \star \psi_j)_+, \quad
              u_{j\theta k} = \operatorname{Re}(u_{j\theta} \star \psi_k)_+, \qquad
              j < 4,\; \theta \in \{0, \pi/3\},\; k < 6

    are 8 + 48 signals, and the upper triangle of their covariance (divisor d − 1) has K = 1596 entries, row by row. The
    paper projects them on 20 principal components: `Projection.fit` does. The energy does not change when a path is
    shifted in time, and goes with the square of its size.

    Arguments and errors are those of `ScatteringMean`: `length`, `J` and `wavelets`.

    Example:
        >>> energy = ScatteringCovariance(1024)
        >>> energy.dim, energy.labels[1], energy.labels[-1]
        (1596, 'cov(0∠0, 0∠π/3)', 'cov(3∠π/3→5, 3∠π/3→5)')
    """

    _rectify, _record_type = True, _Covariance

    def _name_coefficients(self) -> tuple[Coefficient, ...]:
        first = list(product(range(self.wavelets[0]), PHASES))
        signals: list[tuple[tuple[int, ...], str, str]] = [((j,), phase, f"{j}∠{phase}") for j, phase in first]
        signals += [((j, k), phase, f"{j}∠{phase}→{k}") for (j, phase), k in product(first, range(self.wavelets[1]))]
        return tuple(
            Coefficient(f"cov({left}, {right})", (a, b), (phase_a, phase_b))
            for (a, phase_a, left), (b, phase_b, right) in combinations_with_replacement(signals, 2)
        )

    @property
    def _signals(self) -> int:
        return len(PHASES) * self.wavelets[0] * (1 + self.wavelets[1])


def _check_wavelets(wavelets: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(wavelets, (tuple, list)) or len(wavelets) != 2:
        raise TypeError(f"wavelets is {wavelets!r}; expected two whole numbers, one for each layer, such as (4, 6).")
    return check_positive_int("wavelets[0]", wavelets[0]), check_positive_int("wavelets[1]", wavelets[1])
