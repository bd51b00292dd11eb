"""Energies made of other energies: linear images, concatenations and flat layouts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import reduce

import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_finite, common_shape, spelled_shape
from mfmgdm_lib.energies.base import Derivatives, Energy
from mfmgdm_lib.specification import register

__all__ = ["Concatenate", "FlatEnergy", "Linear", "concatenated", "flat_energy"]


@checked
@register
class Linear(Energy):
    r"""A matrix times the values of another energy, :math:`\Phi'(x) = A\,\Phi(x)`.

    All derivatives are those of the energy inside, with the weights :math:`A^\top w`; where its Hessians are banded,
    these are too.

    Args:
        energy: Φ, with K values.
        matrix: A, (K', K).
        labels: a name for each of the K' values.

    Example:
        >>> from mfmgdm_lib.energies import Autocovariance
        >>> halved = Linear(Autocovariance(), torch.tensor([[0.0, 0.5]]), labels=["half the mean square"])
        >>> halved(torch.tensor([1.0, 3.0])).tolist(), halved.bandwidth
        ([2.5], 1)
    """

    def __init__(self, energy: Energy, matrix: Tensor, labels: list[str] | tuple[str, ...]) -> None:
        matrix = check_finite("matrix", torch.as_tensor(matrix, dtype=torch.float64))
        self.labels = tuple(labels)
        if matrix.shape != (len(self.labels), energy.dim):
            raise ValueError(
                f"matrix has shape {tuple(matrix.shape)}; expected {(len(self.labels), energy.dim)}, a row for each"
                f" label and a column for each value of {energy!r}. Use the matrix that was made for this energy."
            )
        self.energy = energy
        self.matrix = matrix
        self.minimum_length, self.length = energy.minimum_length, energy.length

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.energy!r}, {self.dim} values)"

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """The shape of a path of the energy inside."""
        return self.energy.event_shape

    @property
    def bandwidth(self) -> int | None:
        """The bandwidth of the energy inside."""
        return self.energy.bandwidth

    @property
    def commuting(self) -> bool:
        """Whether the energy inside is made of quadratic forms that commute: sums of them do as well."""
        return self.energy.commuting

    @property
    def circulant(self) -> bool:
        """Whether the energy inside is circulant."""
        return self.energy.circulant

    def _pulled(self, weights: Tensor) -> Tensor:
        return weights @ self.matrix.to(weights)

    def _evaluate(self, x: Tensor) -> Tensor:
        return self.energy._evaluate(x) @ self.matrix.to(x).mT

    def evaluate(self, x: Tensor) -> tuple[Tensor, Derivatives]:
        """Return A Φ, (*, K'), and derivatives that use what the energy inside keeps."""
        values, inner = self.energy.evaluate(x)
        return values @ self.matrix.to(x).mT, Derivatives(
            self,
            x,
            lambda weights: inner.gradient(self._pulled(weights)),
            lambda weights: inner.linearize(self._pulled(weights)),
        )

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the force of the energy inside with weights Aᵀw, (*, time)."""
        return self.energy.gradient(x, self._pulled(weights))

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force and the product of the energy inside with weights Aᵀw."""
        return self.energy.linearize(x, self._pulled(weights))

    def jacobian(self, x: Tensor) -> Tensor:
        """Return A J_Φ, (*, K', time), without all rows of J_Φ where A has far fewer."""
        matrix, n = self.matrix.to(x), self.event_ndim
        if self.energy.dim <= 2 * self.dim:
            return (matrix @ self.energy.jacobian(x).flatten(-n)).unflatten(-1, x.shape[-n:])
        batch = x.shape[:-n]
        copies = x.unsqueeze(-1 - n).expand(*batch, self.dim, *x.shape[-n:])
        return self.energy.gradient(copies, matrix.expand(*batch, -1, -1))

    def hessian_bands(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the bands of the energy inside with weights Aᵀw."""
        return self.energy.hessian_bands(x, self._pulled(weights))

    def hessian_spectra(self, shape: Sequence[int]) -> Tensor:
        """Return A times the eigenvalues of the energy inside."""
        return torch.tensordot(self.matrix, self.energy.hessian_spectra(shape), dims=1)

    def laplacian(self, x: Tensor) -> Tensor:
        """Return A ΔΦ, (*, K')."""
        return self.energy.laplacian(x) @ self.matrix.to(x).mT


@checked
@register
class Concatenate(Energy):
    """Several energies side by side: all values of the first, then all of the second, and so on.

    Args:
        energies: at least one, all for the same length of path where any has one.

    Example:
        >>> from mfmgdm_lib.energies import Autocovariance, StylizedFacts
        >>> both = Concatenate(Autocovariance(), StylizedFacts(lags=2))
        >>> both.labels, both.bandwidth
        (('Autocovariance: lag 1', 'Autocovariance: lag 0', 'StylizedFacts: variance', 'StylizedFacts: lag 1',
          'StylizedFacts: squares, lag 1', 'StylizedFacts: squares, lag 2'), 2)
    """

    def __init__(self, *energies: Energy) -> None:
        if not energies:
            raise ValueError("energies is empty; expected at least one energy. Pass some.")
        shape = common_shape(*(energy.event_shape for energy in energies))
        if shape is None:
            shapes = " and ".join(sorted({f"({spelled_shape(energy.event_shape)})" for energy in energies}))
            raise ValueError(
                f"energies are for paths {shapes}; expected one length or shape for all."
                " Make them with the same length."
            )
        self.energies, self._event_shape = energies, shape
        self.labels = tuple(f"{type(energy).__name__}: {label}" for energy in energies for label in energy.labels)
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"energies have labels in common; expected {energies} to differ. Leave one of them out.")
        self.minimum_length = max(energy.minimum_length for energy in energies)
        self.length = shape[0] if len(shape) == 1 else None

    def __repr__(self) -> str:
        return f"Concatenate({', '.join(map(repr, self.energies))})"

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """The shape of a path that all take."""
        return self._event_shape

    @property
    def bandwidth(self) -> int | None:
        """The largest bandwidth, if all have one."""
        widths = [energy.bandwidth for energy in self.energies]
        return None if None in widths else max(width for width in widths if width is not None)

    @property
    def circulant(self) -> bool:
        """Whether all are circulant."""
        return all(energy.circulant for energy in self.energies)

    def _split(self, weights: Tensor) -> list[tuple[Energy, Tensor]]:
        parts = weights.split([energy.dim for energy in self.energies], dim=-1)
        return list(zip(self.energies, parts, strict=True))

    def _evaluate(self, x: Tensor) -> Tensor:
        return torch.cat([energy._evaluate(x) for energy in self.energies], dim=-1)

    def evaluate(self, x: Tensor) -> tuple[Tensor, Derivatives]:
        """Return the values of all, (*, K), and derivatives that use what each keeps."""
        values, parts = zip(*(energy.evaluate(x) for energy in self.energies), strict=True)
        return torch.cat(values, dim=-1), concatenated(self, x, parts)

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the sum of the forces, (*, time)."""
        return self.derivatives(x).gradient(weights)

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the sum of the forces, (*, time), and the sum of the products."""
        return self.derivatives(x).linearize(weights)

    def derivatives(self, x: Tensor) -> Derivatives:
        """Return those of all, put together."""
        return concatenated(self, x, [energy.derivatives(x) for energy in self.energies])

    def jacobian(self, x: Tensor) -> Tensor:
        """Return the rows of all, (*, K, time)."""
        return torch.cat([energy.jacobian(x) for energy in self.energies], dim=-1 - self.event_ndim)

    def hessian_bands(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the sum of the bands, (*, bandwidth + 1, time)."""
        if self.bandwidth is None:
            return super().hessian_bands(x, weights)
        total = x.new_zeros((*x.shape[:-1], self.bandwidth + 1, x.shape[-1]))
        for energy, weight in self._split(weights):
            bands = energy.hessian_bands(x, weight)
            total[..., : bands.shape[-2], :] += bands
        return total

    def hessian_spectra(self, shape: Sequence[int]) -> Tensor:
        """Return the eigenvalues of all."""
        return torch.cat([energy.hessian_spectra(shape) for energy in self.energies])

    def laplacian(self, x: Tensor) -> Tensor:
        """Return the Laplacians of all, (*, K)."""
        return torch.cat([energy.laplacian(x) for energy in self.energies], dim=-1)


def concatenated(whole: Energy, x: Tensor, parts: Sequence[Derivatives]) -> Derivatives:
    """Return the derivatives of an energy made of others side by side at paths x (*, time), from those of each."""

    def split(weights: Tensor) -> Iterator[tuple[Derivatives, Tensor]]:
        return zip(parts, weights.split([part.dim for part in parts], dim=-1), strict=True)

    def gradient(weights: Tensor) -> Tensor:
        return reduce(torch.add, (part.gradient(weight) for part, weight in split(weights)))

    def linearize(weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        forces, products = zip(*(part.linearize(weight) for part, weight in split(weights)), strict=True)
        return reduce(torch.add, forces), lambda vectors: reduce(torch.add, (times(vectors) for times in products))

    return Derivatives(whole, x, gradient, linearize)


class FlatEnergy(Energy):
    """Another energy, of paths that are laid out flat: (*, d) with d = C · T or H · W.

    Args:
        energy: Φ.
        shape: the shape of a path, as the energy takes it.
    """

    def __init__(self, energy: Energy, shape: tuple[int, ...]) -> None:
        self.energy, self.shape, self.labels, self.length = energy, shape, energy.labels, math.prod(shape)

    def __repr__(self) -> str:
        return repr(self.energy)

    @property
    def circulant(self) -> bool:
        """Whether the energy is circulant on paths in their own shape."""
        return self.energy.circulant

    def _up(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, self.shape)

    def _flat(self, x: Tensor) -> Tensor:
        return x.flatten(-len(self.shape))

    def _evaluate(self, x: Tensor) -> Tensor:
        return self.energy(self._up(x))

    def evaluate(self, x: Tensor) -> tuple[Tensor, Derivatives]:
        """Return Φ, (*, K), on paths (*, d), and derivatives that use what the energy keeps."""
        values, shaped = self.energy.evaluate(self._up(x))
        return values, self.flattened(shaped, x)

    def flattened(self, shaped: Derivatives, x: Tensor) -> Derivatives:
        """The derivatives at paths x (*, d), from those of the energy at the same paths in their own shape."""

        def linearize(weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            force, product = shaped.linearize(weights)
            return self._flat(force), lambda vectors: self._flat(product(self._up(vectors)))

        return Derivatives(self, x, lambda weights: self._flat(shaped.gradient(weights)), linearize)

    def derivatives(self, x: Tensor) -> Derivatives:
        """Return those of the energy, laid out flat."""
        return self.flattened(self.energy.derivatives(self._up(x)), x)

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the force, (*, d)."""
        return self.derivatives(x).gradient(weights)

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force, (*, d), and the product with its derivative."""
        return self.derivatives(x).linearize(weights)

    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ, (*, K, d)."""
        return self._flat(self.energy.jacobian(self._up(x)))

    def hessian_spectra(self, shape: Sequence[int]) -> Tensor:
        """Return the eigenvalues of the energy for paths in their own shape."""
        return self.energy.hessian_spectra(shape)


def flat_energy(energy: Energy, shape: tuple[int, ...]) -> Energy:
    """Return the energy of paths of a shape laid out flat; an energy of series is that itself."""
    return energy if energy.event_ndim == 1 else FlatEnergy(energy, shape)
