"""Energies made of other energies: linear images, concatenations, flat layouts, principal components, whitening."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arrays import load_arrays, save_arrays
from mfmgdm_lib._checks import check_finite, check_positive_int, common_shape, spelled_shape
from mfmgdm_lib.energies.base import Energy, fingerprint
from mfmgdm_lib.processes.base import Process, Seed, Size, draw_in_chunks
from mfmgdm_lib.specification import register

__all__ = ["Concatenate", "FlatEnergy", "Linear", "Projection", "Whitening", "flat_energy"]

_NOTHING = 1e-12
"""Variance of a direction, relative to the largest, below which it is round-off: 4500 units of it."""


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

    def _pulled(self, weights: Tensor) -> Tensor:
        return weights @ self.matrix.to(weights)

    def _evaluate(self, x: Tensor) -> Tensor:
        return self.energy._evaluate(x) @ self.matrix.to(x).mT

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

    def _split(self, weights: Tensor) -> list[tuple[Energy, Tensor]]:
        parts = weights.split([energy.dim for energy in self.energies], dim=-1)
        return list(zip(self.energies, parts, strict=True))

    def _evaluate(self, x: Tensor) -> Tensor:
        return torch.cat([energy._evaluate(x) for energy in self.energies], dim=-1)

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the sum of the forces, (*, time)."""
        return reduce(torch.add, (energy.gradient(x, weight) for energy, weight in self._split(weights)))

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the sum of the forces, (*, time), and the sum of the products."""
        forces, products = zip(*(energy.linearize(x, weight) for energy, weight in self._split(weights)), strict=True)
        return reduce(torch.add, forces), lambda vectors: reduce(torch.add, (times(vectors) for times in products))

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

    def _up(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, self.shape)

    def _flat(self, x: Tensor) -> Tensor:
        return x.flatten(-len(self.shape))

    def _evaluate(self, x: Tensor) -> Tensor:
        return self.energy(self._up(x))

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the force, (*, d)."""
        return self._flat(self.energy.gradient(self._up(x), weights))

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force, (*, d), and the product with its derivative."""
        force, product = self.energy.linearize(self._up(x), weights)
        return self._flat(force), lambda vectors: self._flat(product(self._up(vectors)))

    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ, (*, K, d)."""
        return self._flat(self.energy.jacobian(self._up(x)))


def flat_energy(energy: Energy, shape: tuple[int, ...]) -> Energy:
    """Return the energy of paths of a shape laid out flat; an energy of series is that itself."""
    return energy if energy.event_ndim == 1 else FlatEnergy(energy, shape)


class _Fitted(Linear):
    """A matrix that was fitted to the covariance Σ of an energy under a process, and can be kept in a file."""

    _kind: str

    def __init__(self, energy: Energy, directions: Tensor, variances: Tensor, *, source: str = "") -> None:
        self.directions, self.variances, self.source = directions, variances, source
        super().__init__(energy, *self._rows(energy))

    @abstractmethod
    def _rows(self, energy: Energy) -> tuple[Tensor, list[str]]:
        """The matrix (K', K), from the directions and variances, and a name for each row."""

    @property
    def rank(self) -> int:
        """Number of directions in which the energy varies."""
        return _count_directions(self.variances)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Keep the fit in a .npz file (no pickle), whole or not at all; return the file's path."""
        arrays = {
            "directions": self.directions.numpy(),
            "variances": self.variances.numpy(),
            "energy": np.array(repr(self.energy)),
            "signature": _signature(self.energy),
            "source": np.array(self.source),
        }
        return save_arrays(path, self._kind, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], energy: Energy) -> Self:
        """Read a fit back, for the energy that it was made for.

        Raises:
            FileNotFoundError: no such file.
            ValueError: a file that holds something else, or a fit for another energy or another length.
        """
        names = ("directions", "variances", "energy", "signature", "source")
        kept = load_arrays(path, cls._kind, names)
        mine, signature = _signature(energy), kept["signature"]
        if mine.shape != signature.shape or not np.allclose(mine, signature, rtol=1e-9, atol=0):
            raise ValueError(
                f"{path} was fitted for {kept['energy']}; expected a fit for {energy!r}."
                f" Fit a {cls.__name__} for this energy, or use that one."
            )
        directions, variances = (torch.from_numpy(kept[name]) for name in ("directions", "variances"))
        return cls(energy, directions, variances, source=str(kept["source"]))


@register
class Projection(_Fitted):
    r"""Scores on the principal components of an energy: energy iii of Section 5.1, with 20 of them.

    .. math:: \Phi'_i(x) = \frac{v_i \cdot \Phi(x)}{\sqrt{\lambda_i}}

    with the largest eigenvalues λ_i of the covariance of Φ under some process, and the directions v_i that belong to
    them. Φ is not centred: what a constant shift adds is in the target as well. `fit` makes one.

    Args:
        energy: Φ, with K values.
        directions: v_i, orthonormal rows, (K', K).
        variances: all eigenvalues, largest first, (K,).
        source: what they were fitted to, in words.

    Example:
        >>> import mfmgdm_lib as mm
        >>> facts, noise = mm.energies.StylizedFacts(lags=5), mm.processes.WhiteNoise()
        >>> Projection.fit(facts, noise, n_components=2, n_samples=200, seed=1).labels
        ('component 1', 'component 2')
    """

    _kind = "projection"

    def _rows(self, energy: Energy) -> tuple[Tensor, list[str]]:
        count = len(self.directions)
        return self.directions / self.variances[:count, None].sqrt(), [f"component {i + 1}" for i in range(count)]

    @classmethod
    def fit(
        cls,
        energy: Energy,
        process: Process,
        *,
        n_components: int = 20,
        n_samples: int = 100_000,
        length: Size | None = None,
        seed: Seed,
    ) -> Self:
        """Find the principal components of an energy under a process, without holding its paths or values.

        Args:
            energy: Φ.
            process: the law of the paths: white noise in Section 5.1, a GARCH in Appendix C.
            n_components: how many to keep, at most K.
            n_samples: paths, at least 2.
            length: points of each; None for the energy's own, or 1024.
            seed: whatever `numpy.random.default_rng` takes; the paper's is (1, 12345).

        Raises:
            ValueError: more components than there are directions with a variance above round-off.
        """
        check_positive_int("n_components", n_components)
        directions, variances, source = _principal_directions(energy, process, n_samples, length, seed)
        found = _count_directions(variances)
        if n_components > found:
            raise ValueError(
                f"n_components is {n_components}; expected at most {found}, the directions in which {energy!r} varies"
                f" over {n_samples} paths. Use fewer components or more paths."
            )
        return cls(energy, directions[:n_components], variances, source=source)


@register
class Whitening(_Fitted):
    r"""An energy whose values are uncorrelated, with standard deviation 1, under some process.

    .. math:: \Phi'(x) = \Sigma^{-1/2}\, \Phi(x)

    with the symmetric root of the covariance Σ of Φ, so that each value stays as close as it can to the one that it
    was. A descent sees all directions of energy space at one scale then. Directions without any variance are left out
    of the root. Φ is not centred. `fit` makes one.

    Args:
        energy: Φ, with K values.
        directions: all eigenvectors of Σ as rows, (K, K).
        variances: its eigenvalues, largest first, (K,).
        source: what they were fitted to, in words.

    Example:
        >>> import mfmgdm_lib as mm
        >>> white = Whitening.fit(mm.energies.StylizedFacts(), mm.processes.WhiteNoise(), n_samples=500, seed=1)
        >>> white.dim, white.labels[0], white.bandwidth
        (22, 'white variance', 20)
    """

    _kind = "whitening"

    def _rows(self, energy: Energy) -> tuple[Tensor, list[str]]:
        kept = self.directions[: self.rank]
        return kept.mT / self.variances[: self.rank].sqrt() @ kept, [f"white {label}" for label in energy.labels]

    @classmethod
    def fit(
        cls, energy: Energy, process: Process, *, n_samples: int = 10_000, length: Size | None = None, seed: Seed
    ) -> Self:
        """Estimate the covariance of an energy under a process, without holding its paths or values.

        Args:
            energy: Φ.
            process: the law of the paths.
            n_samples: paths, more than K.
            length: points of each; None for the energy's own, or 1024.
            seed: whatever `numpy.random.default_rng` takes.
        """
        check_positive_int("n_samples", n_samples, minimum=energy.dim + 1)
        directions, variances, source = _principal_directions(energy, process, n_samples, length, seed)
        return cls(energy, directions, variances, source=source)


def _signature(energy: Energy) -> np.ndarray:
    """The fingerprint of an energy, and the length of its path."""
    shape = [max(energy.minimum_length, 64) if size is None else size for size in energy.event_shape]
    return np.append(fingerprint(energy, shape), shape)


def _principal_directions(
    energy: Energy, process: Process, n_samples: int, length: Size | None, seed: Seed
) -> tuple[Tensor, Tensor, str]:
    """Directions, rows with their largest entry positive, and variances, as `Projection` has them; and their source."""
    check_positive_int("n_samples", n_samples, minimum=2)
    length = energy.path_length(length, process)
    values, vectors = torch.linalg.eigh(_covariance(energy, process, n_samples, length, seed))
    rows = vectors.flip(-1).mT
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    source = f"{n_samples} paths of {process!r}, {length} points each, seed {seed!r}"
    return rows * largest.sign(), values.flip(-1).clamp(min=0.0), source


def _covariance(energy: Energy, process: Process, n_samples: int, length: Size, seed: Seed) -> Tensor:
    """Stream the covariance of an energy over paths of a process, (K, K) float64."""
    count, mean = 0, torch.zeros(energy.dim, dtype=torch.float64)
    scatter = torch.zeros(energy.dim, energy.dim, dtype=torch.float64)
    for paths in draw_in_chunks(process, n_samples, length, seed, description="moments"):
        values = energy(paths)
        # Scatter about the mean of all so far (Chan, Golub and LeVeque 1983): no difference of large sums.
        shift = values.mean(0) - mean
        total = count + len(values)
        centred = values - values.mean(0)
        scatter += centred.mT @ centred + torch.outer(shift, shift) * (count * len(values) / total)
        mean += shift * (len(values) / total)
        count = total
    return scatter / (count - 1)


def _count_directions(variances: Tensor) -> int:
    return int((variances > _NOTHING * variances[0]).sum())
