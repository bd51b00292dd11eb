"""Exact log-determinants of banded blocks, in O(d) for each path."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy
import torch
from torch import Tensor

from mfmgdm_lib.energies import Energy
from mfmgdm_lib.log_determinants.determinant_lemma import Blocks, joined
from mfmgdm_lib.log_determinants.toeplitz import toeplitz_blocks

__all__ = ["banded_blocks"]

_CHUNK_POINTS = 2**17
"""Points (paths × time) in work at once: bounds the memory and keeps the bands near the processor."""


def banded_blocks(
    energy: Energy, x: Tensor, weights: Tensor, moved: Tensor | None = None, *, coupled: bool = True
) -> Blocks:
    """Return the blocks that `dense_blocks` returns, for an energy with banded Hessians.

    Where the blocks are tridiagonal Toeplitz matrices they are known in closed form, see `toeplitz_blocks`. Elsewhere
    no d×d matrix is formed either. LAPACK has no batched band solver, but bands that are zero where one path ends and
    the next begins make a single matrix of all of them, so one call serves a chunk.
    """
    chunk = max(1, _CHUNK_POINTS // x.shape[-1])
    masks = [None] * len(x.split(chunk)) if moved is None else moved.split(chunk)
    parts = []
    for paths, scale, mask in zip(x.split(chunk), weights.split(chunk), masks, strict=True):
        paths, scale = paths.double(), scale.double()
        closed = None if mask is not None else toeplitz_blocks(energy, paths, scale, coupled=coupled)
        if closed is not None:
            parts.append(closed)
            continue
        bands = energy.hessian_bands(paths, -scale)
        if mask is not None:
            _cut(bands, mask)
        bands[..., 0, :] += 1.0
        parts.append(_blocks(energy if coupled else None, paths, _rows_first(bands), mask))
    return Blocks(*(part.to(x.device) for part in joined(parts)))


def _cut(bands: Tensor, moved: Tensor) -> None:
    """Set the rows and columns of entries that stay to 0, in place."""
    bands *= moved[..., None, :]
    for j in range(1, bands.shape[-2]):
        bands[..., j, :-j] *= moved[..., j:]


def _blocks(energy: Energy | None, x: Tensor, bands: np.ndarray, moved: Tensor | None) -> Blocks:
    """Blocks of paths x (N, d) with A_n in lower bands (b + 1, N, d); path by path if one is not positive definite.

    Without an energy there are no Gram matrices.
    """
    factor = _tridiagonal(bands) if len(bands) == 2 else _banded(bands)
    if factor is None and len(x) > 1:
        masks = [None] * len(x) if moved is None else moved.split(1)
        return joined(_blocks(energy, x[n : n + 1], bands[:, n : n + 1], masks[n]) for n in range(len(x)))
    factor = factor or _indefinite(bands)
    gram = torch.from_numpy(_gram(energy, x, factor, moved))
    return Blocks(torch.from_numpy(factor.log_abs), torch.full((len(x),), factor.non_positive), gram)


def _gram(energy: Energy | None, x: Tensor, factor: _Factor, moved: Tensor | None) -> np.ndarray:
    """J A⁻¹ Jᵀ for each path, (N, K, K), over the entries that move."""
    if energy is None:
        return np.zeros((len(x), 0, 0))
    if moved is not None:  # rows and columns left out: what commuted no longer does
        return factor.gram(_rows_first(energy.jacobian(x) * moved[..., None, :]))
    if not energy.commuting:
        return factor.gram(_rows_first(energy.jacobian(x)))
    solved = torch.from_numpy(_by_columns(factor.solve, _rows_first(x.unsqueeze(-2)))[0])
    return (energy.jacobian(x).cpu() @ energy.jacobian(solved).mT).numpy()


class _Factor(NamedTuple):
    """Blocks A_n, one after another in a single matrix A, in a form that can be solved."""

    log_abs: np.ndarray
    """log|det A_n|, (N,)."""
    solve: Callable[[np.ndarray], np.ndarray]
    """A⁻¹ applied to columns, (N · d, R)."""
    solve_root: Callable[[np.ndarray], np.ndarray] | None = None
    """L⁻¹ applied to columns, where A = LLᵀ: the forward half of the solve."""
    non_positive: int = 0
    """Eigenvalues that are not above 0."""

    def gram(self, rows: np.ndarray) -> np.ndarray:
        """Products of rows under A⁻¹, (R, N, d) to (N, R, R): J A⁻¹ Jᵀ, or (L⁻¹Jᵀ)ᵀ(L⁻¹Jᵀ)."""
        solved = _by_columns(self.solve_root or self.solve, rows)
        left = rows if self.solve_root is None else solved
        return left.transpose(1, 0, 2) @ solved.transpose(1, 2, 0)


def _tridiagonal(bands: np.ndarray) -> _Factor | None:
    """LDLᵀ of tridiagonal blocks; None where one is not positive definite."""
    pivots, lower, info = scipy.linalg.lapack.dpttrf(bands[0].ravel(), bands[1].ravel()[:-1])
    if info:
        return None
    log_abs = _log(pivots).reshape(bands.shape[1:]).sum(-1)
    return _Factor(log_abs, lambda columns: scipy.linalg.lapack.dpttrs(pivots, lower, columns)[0])


def _banded(bands: np.ndarray) -> _Factor | None:
    """Cholesky factor of banded blocks; None where one is not positive definite."""
    root, info = scipy.linalg.lapack.dpbtrf(bands.reshape(len(bands), -1), lower=1)
    if info:
        return None
    return _Factor(
        (2.0 * _log(root[0]).reshape(bands.shape[1:])).sum(-1),
        lambda columns: scipy.linalg.lapack.dpbtrs(root, columns, lower=1)[0],
        lambda columns: scipy.linalg.lapack.dtbtrs(root, columns, uplo="L")[0],
    )


def _indefinite(bands: np.ndarray) -> _Factor:
    """One block that is not positive definite: its eigenvalues, and a solve with pivots."""
    lower = bands[:, 0]
    width = len(lower) - 1
    upper = np.zeros_like(lower[1:])
    for j in range(1, len(lower)):
        upper[width - j, j:] = lower[j, : lower.shape[1] - j]
    both, eigenvalues = np.concatenate((upper, lower)), scipy.linalg.eigvals_banded(lower, lower=True)

    def solve(columns: np.ndarray) -> np.ndarray:
        """NaN if the block is singular to the last bit."""
        try:
            return scipy.linalg.solve_banded((width, width), both, columns)
        except scipy.linalg.LinAlgError:
            return np.full_like(columns, np.nan)

    log_abs = _log(np.abs(eigenvalues)).sum(keepdims=True)
    return _Factor(log_abs, solve, non_positive=int((eigenvalues <= 0).sum()))


def _by_columns(solve: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Apply what takes columns (N · d, R) to rows, (R, N, d) to (R, N, d)."""
    return solve(rows.reshape(len(rows), -1).T).T.reshape(rows.shape)


def _rows_first(rows: Tensor) -> np.ndarray:
    """(N, R, d) as a contiguous array (R, N, d): the order in which banded energies store their rows anyway."""
    return np.ascontiguousarray(rows.movedim(-2, 0).cpu().numpy())


def _log(values: np.ndarray) -> np.ndarray:
    """Logarithm by torch, which uses every core."""
    return torch.from_numpy(values).log().numpy()
