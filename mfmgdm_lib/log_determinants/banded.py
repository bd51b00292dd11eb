"""Exact log-determinants of banded blocks, in O(d) for each path."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch
from scipy.linalg import lapack
from torch import Tensor

from mfmgdm_lib.energies import Energy
from mfmgdm_lib.log_determinants.determinant_lemma import Blocks

__all__ = ["banded_blocks"]

_CHUNK_POINTS = 2**17
"""Points (paths × time) in work at once: bounds the memory and keeps the bands near the processor."""


def banded_blocks(
    energy: Energy, x: Tensor, weights: Tensor, moved: Tensor | None = None, *, coupled: bool = True
) -> Blocks:
    """Return the blocks of paths x (N, d) under weights (N, K).

    With `moved` (N, d) the block is that of the entries that move, its other rows and columns those of the identity.
    Where nothing is `coupled`, the Gram matrices are left out: K = 0.
    No d×d matrix is formed. LAPACK has no batched band solver, but bands that are zero where one path ends and
    the next begins make a single matrix of all of them, so one call serves a chunk.
    """
    chunk = max(1, _CHUNK_POINTS // x.shape[-1])
    masks = [None] * len(x.split(chunk)) if moved is None else moved.split(chunk)
    parts = []
    for paths, scale, mask in zip(x.split(chunk), weights.split(chunk), masks, strict=True):
        bands = energy.hessian_bands(paths.double(), -scale.double())
        if mask is not None:
            _cut(bands, mask)
        bands[..., 0, :] += 1.0
        parts.append(_factor(energy if coupled else None, paths.double(), _rows_first(bands), mask))
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Blocks(*(torch.from_numpy(column).to(x.device) for column in columns))


def _cut(bands: Tensor, moved: Tensor) -> None:
    """Set the rows and columns of entries that stay to 0, in place."""
    bands *= moved[..., None, :]
    for j in range(1, bands.shape[-2]):
        bands[..., j, :-j] *= moved[..., j:]


Parts = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The three fields of `Blocks` for some of the paths."""


def _factor(energy: Energy | None, x: Tensor, bands: np.ndarray, moved: Tensor | None) -> Parts:
    """Blocks of paths x (N, d) with A_n in lower bands (b + 1, N, d); path by path if one is not positive definite.

    Without an energy there are no Gram matrices.
    """
    factor = _Tridiagonal(bands) if len(bands) == 2 else _Banded(bands)
    if factor.is_definite:
        log_abs = factor.log_pivots().sum(-1)
        return log_abs, np.zeros(len(log_abs), dtype=np.int64), _gram(energy, x, factor, moved)
    if len(x) > 1:
        masks = [None] * len(x) if moved is None else moved.split(1)
        singles = (_factor(energy, x[n : n + 1], bands[:, n : n + 1], masks[n]) for n in range(len(x)))
        log_abs, non_positive, gram = (np.concatenate(column) for column in zip(*singles, strict=True))
        return log_abs, non_positive, gram
    indefinite = _Indefinite(bands)
    non_positive = np.array([(indefinite.eigenvalues <= 0).sum()])
    return _log(np.abs(indefinite.eigenvalues)).sum(keepdims=True), non_positive, _gram(energy, x, indefinite, moved)


def _gram(
    energy: Energy | None, x: Tensor, factor: _Tridiagonal | _Banded | _Indefinite, moved: Tensor | None
) -> np.ndarray:
    """J A⁻¹ Jᵀ for each path, (N, K, K), over the entries that move."""
    if energy is None:
        return np.zeros((len(x), 0, 0))
    if moved is not None:  # rows and columns left out: what commuted no longer does
        return factor.gram(_rows_first(energy.jacobian(x) * moved[..., None, :]))
    if not energy.commuting:
        return factor.gram(_rows_first(energy.jacobian(x)))
    solved = torch.from_numpy(factor.solve(_rows_first(x.unsqueeze(-2)))[0])
    return (energy.jacobian(x).cpu() @ energy.jacobian(solved).mT).numpy()


class _Tridiagonal:
    """LDLᵀ of tridiagonal blocks."""

    def __init__(self, bands: np.ndarray) -> None:
        self._pivots, self._lower, info = lapack.dpttrf(bands[0].ravel(), bands[1].ravel()[:-1])
        self.is_definite = info == 0
        self._shape = bands.shape[1:]

    def log_pivots(self) -> np.ndarray:
        return _log(self._pivots).reshape(self._shape)

    def solve(self, rows: np.ndarray) -> np.ndarray:
        """A⁻¹ applied to each row, (R, N, d) to (R, N, d)."""
        solved, _ = lapack.dpttrs(self._pivots, self._lower, rows.reshape(len(rows), -1).T)
        return solved.T.reshape(rows.shape)

    def gram(self, rows: np.ndarray) -> np.ndarray:
        """Products of rows under A⁻¹, (R, N, d) to (N, R, R)."""
        return _products(rows, self.solve(rows))


class _Banded:
    """Cholesky factor of banded blocks."""

    def __init__(self, bands: np.ndarray) -> None:
        self._root, info = lapack.dpbtrf(bands.reshape(len(bands), -1), lower=1)
        self.is_definite = info == 0
        self._shape = bands.shape[1:]

    def log_pivots(self) -> np.ndarray:
        return 2.0 * _log(self._root[0]).reshape(self._shape)

    def solve(self, rows: np.ndarray) -> np.ndarray:
        """A⁻¹ applied to each row, (R, N, d) to (R, N, d)."""
        solved, _ = lapack.dpbtrs(self._root, rows.reshape(len(rows), -1).T, lower=1)
        return solved.T.reshape(rows.shape)

    def gram(self, rows: np.ndarray) -> np.ndarray:
        """Products of rows under A⁻¹ by the forward half of the solve alone: J A⁻¹ Jᵀ = (L⁻¹Jᵀ)ᵀ(L⁻¹Jᵀ)."""
        half, _ = lapack.dtbtrs(self._root, rows.reshape(len(rows), -1).T, uplo="L")
        half = half.T.reshape(rows.shape)
        return _products(half, half)


class _Indefinite:
    """One block that is not positive definite: its eigenvalues, and a solve with pivots."""

    def __init__(self, bands: np.ndarray) -> None:
        lower = bands[:, 0]
        self._width = len(lower) - 1
        upper = np.zeros_like(lower[1:])
        for j in range(1, len(lower)):
            upper[self._width - j, j:] = lower[j, : lower.shape[1] - j]
        self._bands = np.concatenate((upper, lower))
        self.eigenvalues = scipy.linalg.eigvals_banded(lower, lower=True)

    def solve(self, rows: np.ndarray) -> np.ndarray:
        """A⁻¹ applied to each row, (R, 1, d) to (R, 1, d); NaN if A is singular to the last bit."""
        try:
            return scipy.linalg.solve_banded((self._width, self._width), self._bands, rows[:, 0].T).T[:, None]
        except scipy.linalg.LinAlgError:
            return np.full_like(rows, np.nan)

    def gram(self, rows: np.ndarray) -> np.ndarray:
        """Products of rows under A⁻¹, (R, 1, d) to (1, R, R)."""
        return _products(rows, self.solve(rows))


def _rows_first(rows: Tensor) -> np.ndarray:
    """(N, R, d) as a contiguous array (R, N, d): the order in which banded energies store their rows anyway."""
    return np.ascontiguousarray(rows.movedim(-2, 0).cpu().numpy())


def _products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Sums over time of products of rows, (R, N, d) twice to (N, R, R)."""
    return left.transpose(1, 0, 2) @ right.transpose(1, 2, 0)


def _log(values: np.ndarray) -> np.ndarray:
    """Logarithm by torch, which uses every core."""
    return torch.from_numpy(values).log().numpy()
