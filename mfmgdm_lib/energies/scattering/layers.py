"""Two layers of wavelet filters and nonlinearities, with their derivatives, which energies ii and iii share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib.energies.recorded import Record, RecordedEnergy
from mfmgdm_lib.energies.scattering.coefficients import Coefficient
from mfmgdm_lib.energies.scattering.filters import Filters, PeriodicBoundary
from mfmgdm_lib.energies.scattering.nonlinearities import Modulus, Rectifier
from mfmgdm_lib.energies.scattering.wavelets import check_length, check_octaves, morlet

__all__ = ["PHASES", "Layers", "TwoLayerEnergy", "TwoLayerRecord", "moduli", "rectified"]

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
def moduli(length: int, octaves: int, wavelets: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Layers:
    """Complex wavelets and moduli: C₁ signals after the first layer, C₁ × C₂ after the second."""
    boundary = PeriodicBoundary(length, dtype, device)
    responses = boundary.responses(morlet(length, octaves).band_passes)
    first, second = (Filters(boundary, responses[:count]) for count in wavelets)
    return Layers(boundary, first, second, Modulus)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def rectified(length: int, octaves: int, wavelets: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Layers:
    """Real parts and rectifiers, the first layer at two phases: Re(e^{−iθ} x⋆ψ) = cos θ · Re + sin θ · Im."""
    boundary = PeriodicBoundary(length, dtype, device)
    responses = boundary.responses(morlet(length, octaves).band_passes)
    turned = np.array([[np.cos(phase), np.sin(phase)] for phase in PHASES.values()])
    first = np.einsum("fp,cpvm->cfvm", turned, responses[: wavelets[0]])
    first = first.reshape(-1, 1, *first.shape[2:])
    return Layers(boundary, Filters(boundary, first), Filters(boundary, responses[: wavelets[1], :1]), Rectifier)


class TwoLayerEnergy(RecordedEnergy):
    """The parameters and filters that energies ii and iii share."""

    _layers: Callable[..., Layers]

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
        return type(self)._layers(self.length, self.J, self.wavelets, x.dtype, x.device)

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

    @abstractmethod
    def _signal_gradients(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of Σ_k w_k Φ_k in the signals of both layers."""

    @abstractmethod
    def _signal_gradients_change(
        self, weights: Tensor, du_first: Tensor, dy_second: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """Changes of those gradients with the first layer's values and with the filtered signals of the second."""


def _check_wavelets(wavelets: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(wavelets, (tuple, list)) or len(wavelets) != 2:
        raise TypeError(f"wavelets is {wavelets!r}; expected two whole numbers, one for each layer, such as (4, 6).")
    return check_positive_int("wavelets[0]", wavelets[0]), check_positive_int("wavelets[1]", wavelets[1])
