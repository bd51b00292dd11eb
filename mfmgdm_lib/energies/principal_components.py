"""Energies fitted to the covariance of another energy under a process: principal components and whitening."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._arrays import load_arrays, save_arrays
from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib.energies.base import Energy, fingerprint
from mfmgdm_lib.energies.transforms import Linear
from mfmgdm_lib.processes.base import Process, Seed, Size, draw_in_chunks
from mfmgdm_lib.specification import register

__all__ = ["Projection", "Whitening"]

_NOTHING = 1e-12
"""Variance of a direction, relative to the largest, below which it is round-off: 4500 units of it."""


@checked
class _Fitted(Linear):
    """A matrix that was fitted to the covariance Σ of an energy under a process, and can be kept in a file."""

    _kind: str

    def __init__(self, energy: Energy, directions: Tensor, variances: Tensor, *, source: str = "") -> None:
        if directions.ndim != 2 or variances.shape != (energy.dim,) or directions.shape[-1] != energy.dim:
            raise ValueError(
                f"directions has shape {tuple(directions.shape)} and variances {tuple(variances.shape)}; expected"
                f" (*, {energy.dim}) and ({energy.dim},), for {energy!r}. Use `fit`."
            )
        if directions.dtype != torch.float64 or variances.dtype != torch.float64:
            raise TypeError(
                f"directions is {directions.dtype} and variances {variances.dtype}; expected float64. Use .double()."
            )
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


@checked
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


@checked
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
