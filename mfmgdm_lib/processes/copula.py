"""Several series at once: their innovations depend on one another by a Gaussian copula."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
import scipy
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import as_shape, check_paths, check_positive_int, common_shape, spelled_shape
from mfmgdm_lib.processes.base import InnovationProcess, Process, Seed, Size, generator
from mfmgdm_lib.specification import register

__all__ = ["GaussianCopula"]

_SINGULAR = 1e-8
"""Smallest eigenvalue of a correlation matrix of which a density can still be told from round-off."""


@checked
@register
class GaussianCopula(Process):
    r"""Channels (C, T) with laws of their own, whose innovations at the same time have a Gaussian copula.

    .. math:: \varepsilon_{c,t} = F_c^{-1}\bigl(\Phi(g_{c,t})\bigr), \quad g_t \sim \mathcal N(0, R)

    independently over time, with F_c the distribution of the innovations of law c. With GARCH laws that is the
    constant conditional correlation of Bollerslev (1990), in the form of a conditional copula (Patton, 2006): each
    channel has exactly its own law, and all dependence between channels is that of a time with itself.

    Args:
        laws: of C ≥ 2 channels: `WhiteNoise`, `StudentNoise`, `GARCH` or `ARGARCH`.
        correlation: R, (C, C), with ones on the diagonal, positive definite.

    Raises:
        TypeError: a law that is not driven by innovations.
        ValueError: another number of laws, or a matrix that is no such correlation.

    Example:
        >>> from mfmgdm_lib.processes import GARCH, WhiteNoise
        >>> law = GaussianCopula([GARCH(0.1, 0.1, 0.8), WhiteNoise()], [[1.0, 0.9], [0.9, 1.0]])
        >>> x = law.sample(5, (2, 64), seed=0)
        >>> x.shape, law.log_prob(x).shape, round(float(torch.corrcoef(x[0])[0, 1]), 1)
        (torch.Size([5, 2, 64]), torch.Size([5]), 0.9)
    """

    def __init__(self, laws: Sequence[InnovationProcess], correlation: Sequence[Sequence[float]] | Tensor) -> None:
        self.laws = _check_laws(laws)
        if len(self.laws) < 2:
            raise ValueError(f"laws has {len(self.laws)} laws; expected at least 2. Use the law itself for one series.")
        self.correlation = _check_correlation(correlation, len(self.laws))
        self.event_shape = (len(self.laws), None)
        self._root = torch.linalg.cholesky(self.correlation)

    @classmethod
    def fit(cls, laws: Sequence[InnovationProcess], series: Tensor) -> Self:
        """Return the copula of laws that were fitted to channels, from the ranks of the innovations at the same times.

        R is the correlation of the normal scores Φ⁻¹((rank − ½) / T), which large innovations that a law has too few
        of do not upset.

        Args:
            laws: of each channel.
            series: the channels, (C, T).

        Raises:
            ValueError: channels of which one is a function of others, or as good as that.
        """
        scores = torch.stack([law.normal_scores(row) for law, row in zip(_check_laws(laws), series, strict=True)])
        ranks = scipy.stats.rankdata(scores.numpy(), axis=-1)
        return cls(laws, torch.from_numpy(np.corrcoef(scipy.special.ndtri((ranks - 0.5) / ranks.shape[-1]))))

    def __repr__(self) -> str:
        rows = "; ".join(" ".join(f"{value:.3g}" for value in row) for row in self.correlation.tolist())
        return f"GaussianCopula([{', '.join(map(repr, self.laws))}], correlation=[{rows}])"

    @property
    def mean(self) -> float:
        """Mean of all channels together."""
        return float(np.mean([law.mean for law in self.laws]))

    @property
    def stddev(self) -> float:
        """Standard deviation of all channels together: of a value of a channel that is drawn with equal chances."""
        squares = np.mean([law.stddev**2 + (law.mean - self.mean) ** 2 for law in self.laws])
        return math.sqrt(float(squares))

    def sample(self, n: int, length: Size, seed: Seed) -> Tensor:
        """Draw `n` independent paths of a shape (C, T): a float64 tensor (n, C, T)."""
        check_positive_int("n", n)
        shape = as_shape("length", length)
        if common_shape(shape, self.event_shape) is None:
            raise ValueError(
                f"length is {length!r}; expected the shape of a path, ({spelled_shape(self.event_shape)}). Pass it as a"
                " tuple."
            )
        scores = self._root @ torch.from_numpy(generator(seed).standard_normal((n, *shape)))
        pairs = zip(self.laws, scores.unbind(1), strict=True)
        return torch.stack([law.from_normal_scores(part) for law, part in pairs], 1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log-density, in nats, of paths (*, C, T): a tensor (*,)."""
        if common_shape(self.event_shape, check_paths("x", x).shape[-2:]) is None:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (*, {spelled_shape(self.event_shape)}). Use paths of"
                f" {len(self.laws)} channels."
            )
        channels = x.unbind(-2)
        each = sum(law.log_prob(channel) for law, channel in zip(self.laws, channels, strict=True))
        scores = torch.stack([law.normal_scores(channel) for law, channel in zip(self.laws, channels, strict=True)], -2)
        root = self._root.to(x)
        independent = torch.linalg.solve_triangular(root, scores, upper=False)
        squares = (independent.square() - scores.square()).sum((-2, -1))
        return each - 0.5 * squares - x.shape[-1] * root.diagonal().log().sum()


def _check_laws(laws: Sequence[InnovationProcess]) -> tuple[InnovationProcess, ...]:
    for law in laws:
        if not isinstance(law, InnovationProcess):
            raise TypeError(
                f"laws has {law!r}; expected laws that are driven by independent innovations. Use WhiteNoise,"
                " StudentNoise, GARCH or ARGARCH."
            )
    return tuple(laws)


def _check_correlation(correlation: Sequence[Sequence[float]] | Tensor, channels: int) -> Tensor:
    """R as a float64 tensor (C, C), exactly symmetric and with a diagonal of ones."""
    matrix = torch.as_tensor(correlation, dtype=torch.float64)
    if matrix.shape != (channels, channels) or not torch.allclose(matrix, matrix.mT, rtol=0.0, atol=1e-12):
        raise ValueError(
            f"correlation is {matrix.tolist()}; expected a symmetric matrix ({channels}, {channels}), a row for each"
            " law. Use the correlations of innovations."
        )
    if not torch.allclose(matrix.diagonal(), torch.ones(channels, dtype=torch.float64), rtol=0.0, atol=1e-12):
        raise ValueError(
            f"correlation has {matrix.diagonal().tolist()} on its diagonal; expected ones. Divide covariances by the"
            " standard deviations."
        )
    smallest = float(torch.linalg.eigvalsh(matrix)[0])
    if not smallest > _SINGULAR:
        raise ValueError(
            f"correlation has the eigenvalue {smallest:.2g}; expected all above {_SINGULAR:g}: one series is a function"
            " of the others. Leave it out."
        )
    matrix = 0.5 * (matrix + matrix.mT)
    return matrix.fill_diagonal_(1.0)
