"""Exact blocks in O(d): banded factorisations, all paths of a chunk strung into one band matrix."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch
from scipy.linalg import lapack
from torch import Tensor

from mfmgdm_lib.energies import BandedEnergy
from mfmgdm_lib.jacobian.lemma import Blocks

__all__ = ["structured_blocks"]

_CHUNK_POINTS = 2**17
"""Points (paths × time) in work at once: bounds the memory and keeps the bands near the processor."""


def structured_blocks(energy: BandedEnergy, x: Tensor, weights: Tensor) -> Blocks:
    """Return the blocks of paths x (N, d) under weights (N, K).

    No d×d matrix is formed. LAPACK has no batched band solver, but bands that are zero where one path ends and
    the next begins make a single matrix of all of them, so one call serves a chunk.
    """
    chunk = max(1, _CHUNK_POINTS // x.shape[-1])
    parts = []
    for paths, scale in zip(x.split(chunk), weights.split(chunk), strict=True):
        paths, scale = paths.double(), scale.double()
        bands = energy.hessian_bands(paths, scale).neg_()
        bands[..., 0, :] += 1.0
        parts.append(_factor(_energy_first(bands), _energy_first(energy.jacobian(paths))))
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Blocks(*(torch.from_numpy(column).to(x.device) for column in columns))


def _energy_first(rows: Tensor) -> np.ndarray:
    """(N, R, d) as a contiguous array (R, N, d): the order in which banded energies store their rows anyway."""
    return np.ascontiguousarray(rows.movedim(-2, 0).cpu().numpy())


def _factor(bands: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blocks of a chunk with lower bands (b + 1, N, d) and rows (K, N, d); path by path if one is not definite."""
    factor = _factor_tridiagonal if len(bands) == 2 else _factor_banded
    joint = factor(bands, rows)
    if joint is not None:
        log_pivots, gram = joint
        return log_pivots.sum(-1), np.zeros(len(log_pivots), dtype=np.int64), gram
    if bands.shape[1] == 1:
        return _factor_indefinite(bands[:, 0], rows[:, 0])
    singles = (_factor(bands[:, n : n + 1], rows[:, n : n + 1]) for n in range(bands.shape[1]))
    log_abs, non_positive, gram = (np.concatenate(column) for column in zip(*singles, strict=True))
    return log_abs, non_positive, gram


def _factor_tridiagonal(bands: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Log pivots (N, d) and J A⁻¹ Jᵀ (N, K, K) by LDLᵀ; None if a pivot is not above 0."""
    pivots, lower, info = lapack.dpttrf(bands[0].ravel(), bands[1].ravel()[:-1])
    if info:
        return None
    solved, _ = lapack.dpttrs(pivots, lower, rows.reshape(len(rows), -1).T)
    return _log(pivots).reshape(rows.shape[1:]), _gram(rows, solved.T.reshape(rows.shape))


def _factor_banded(bands: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Log pivots (N, d) and J A⁻¹ Jᵀ (N, K, K) by Cholesky; None if a pivot is not above 0."""
    root, info = lapack.dpbtrf(bands.reshape(len(bands), -1), lower=1)
    if info:
        return None
    # The forward half of the solve is enough: J A⁻¹ Jᵀ = (L⁻¹Jᵀ)ᵀ(L⁻¹Jᵀ).
    half, _ = lapack.dtbtrs(root, rows.reshape(len(rows), -1).T, uplo="L")
    half = half.T.reshape(rows.shape)
    return 2.0 * _log(root[0]).reshape(rows.shape[1:]), _gram(half, half)


def _factor_indefinite(bands: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blocks of one path whose A_n is not positive definite: eigenvalues for the count, pivots for the solve."""
    width = len(bands) - 1
    eigenvalues = scipy.linalg.eigvals_banded(bands, lower=True)
    upper = np.zeros_like(bands[1:])
    for j in range(1, width + 1):
        upper[width - j, j:] = bands[j, : bands.shape[1] - j]
    try:
        solved = scipy.linalg.solve_banded((width, width), np.concatenate((upper, bands)), rows.T).T
    except scipy.linalg.LinAlgError:  # singular to the last bit
        solved = np.full_like(rows, np.nan)
    log_abs = _log(np.abs(eigenvalues)).sum()
    return np.array([log_abs]), np.array([(eigenvalues <= 0).sum()]), (rows @ solved.T)[None]


def _gram(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Σ over time of products of rows: (K, N, d) twice to (N, K, K)."""
    return left.transpose(1, 0, 2) @ right.transpose(1, 2, 0)


def _log(values: np.ndarray) -> np.ndarray:
    return torch.from_numpy(values).log().numpy()
