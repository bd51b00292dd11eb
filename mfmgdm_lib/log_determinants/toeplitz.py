"""Exact log-determinants of tridiagonal Toeplitz blocks in closed form, in O(1) for each path."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib.energies import Energy
from mfmgdm_lib.log_determinants.determinant_lemma import Blocks

__all__ = ["toeplitz_blocks"]

_MOST_LAGS = 64
"""Lags in a series at most: from there on a factorisation of each path's block is as quick."""

_EPSILON = np.finfo(np.float64).eps


def toeplitz_blocks(energy: Energy, x: Tensor, weights: Tensor, *, coupled: bool = True) -> Blocks | None:
    r"""Return the blocks that `dense_blocks` returns, for quadratic forms with tridiagonal Toeplitz matrices.

    With T for the matrix that is 1 beside the diagonal, a block of a path of d points is A = aI + bT, and with
    r = (a + √(a² − 4b²)) / 2 and s = −b/r, where A is positive definite by a margin (a > 2|b|),

    .. math:: \log \det A = d \log r + \log \frac{1 - s^{2(d+1)}}{1 - s^2} .

    A function of T is a sum of matrices :math:`Q_m` that shift by m points either way, with paths odd about points 0
    and d + 1, as the sine transform has them. With :math:`1/(a + 2b\cos θ) = (1 + 2Σ_m s^m \cos mθ) / (r(1 - s^2))`,

    .. math:: x^\top A^{-1} x = \frac{1}{r (1 - s^2)} \sum_{m \ge 0} s^m q_m, \qquad
              q_m = x^\top Q_m x = 2 \sum_i x_i x_{i-m} - \sum_{i+j=m} (x_i x_j + x_{d+1-i} x_{d+1-j}),

    and q_0 = x·x; further factors T shift the powers. The series ends where powers are below round-off, and no A⁻¹ is
    applied to anything.

    Args:
        energy: Φ, banded.
        x: paths, (N, d) float64.
        weights: w, (N, K) float64.
        coupled: whether J A⁻¹ Jᵀ is wanted.

    Returns:
        The blocks; None for an energy with other Hessians, blocks that are not positive definite by a margin, or so
        little of one that the series is long.
    """
    parts = _parts(energy, x.shape[-1]) if energy.commuting and energy.bandwidth == 1 else None
    if parts is None:
        return None
    length, scales = x.shape[-1], weights.detach().cpu().numpy()
    if (scales == scales[:1]).all():  # as in an ensemble of all paths: one block serves for all
        scales = scales[:1]
    shift, b = -(scales @ parts).T
    root = (1.0 + shift) ** 2 - 4.0 * b * b
    if not (root.min() > 0.0 and shift.min() > -1.0):  # where they are NaN neither is
        return None
    r = 0.5 * (1.0 + shift + np.sqrt(root))
    s = -b / r
    lags = _lags_until_round_off(float(np.abs(s).max()))
    if lags > min(length, _MOST_LAGS):
        return None
    logs = np.log1p(shift - b * b / r)  # log r, near 0 in most steps
    log_abs = length * logs + np.log1p(-(s ** (2 * length + 2))) - np.log1p(-s * s)
    gram = _grams(x.detach().cpu().numpy(), parts, s, r, lags) if coupled else np.zeros((len(x), 0, 0))
    non_positive = torch.zeros(len(x), dtype=torch.int64)
    return Blocks(torch.from_numpy(log_abs).expand(len(x)), non_positive, torch.from_numpy(gram))


@lru_cache(maxsize=16)
def _parts(energy: Energy, length: int) -> np.ndarray | None:
    """Numbers c_k and e_k of H_k = c_k I + e_k T, (K, 2); None if the matrices, the same for all paths, are others."""
    units = torch.eye(energy.dim, dtype=torch.float64)
    bands = energy.hessian_bands(units.new_zeros(energy.dim, length), units).numpy()
    diagonal, beside = bands[:, 0], bands[:, 1, :-1]
    if not ((diagonal == diagonal[:, :1]).all() and (beside == beside[:, :1]).all()):
        return None
    return bands[:, :, 0]


def _lags_until_round_off(largest: float) -> int:
    """The last m whose term with two factors T, which has the power m − 2 of s, is above round-off."""
    return 2 if largest == 0.0 else 2 + int(min(math.log(_EPSILON) / math.log(largest), 1e9))


def _grams(x: np.ndarray, parts: np.ndarray, s: np.ndarray, r: np.ndarray, lags: int) -> np.ndarray:
    """J A⁻¹ Jᵀ of each path, (N, K, K), with r and s of each, or one of all: J has the rows c_k x + e_k Tx."""
    plain = s[:, None] ** np.arange(lags + 3) / (r * (1.0 - s * s))[:, None]  # of 1/(a + bt)
    once = _times_shift(plain)  # of t/(a + bt)
    series = np.stack([plain[:, :-2], once[:, :-1], once[:, :-1], _times_shift(once)], -1)
    forms = _lag_forms(x, lags)[:, None] @ series  # of x and Tx with each other
    return np.asarray(parts @ forms.reshape(-1, 2, 2) @ parts.T)


def _times_shift(coefficients: np.ndarray) -> np.ndarray:
    """Coefficients of t f(t) from those of f(t) = f_0 + 2 Σ f_m cos mθ, t = 2 cos θ, of which there is one less."""
    later = coefficients[:, 1:]
    return np.concatenate([2.0 * later[:, :1], coefficients[:, :-2] + later[:, 1:]], -1)


def _lag_forms(x: np.ndarray, lags: int) -> np.ndarray:
    """q_0 … q_M of each path for M = `lags`, at most d: (N, M + 1)."""
    length = x.shape[-1]
    rows, columns = x[:, None, :], x[:, :, None]  # a product of matrices is quicker than a sum of products
    sums = np.concatenate([rows[..., m:] @ columns[:, : length - m] for m in range(lags + 1)], -1)[:, 0]
    sums[:, 1:] *= 2.0
    ends = np.stack([x[:, : lags - 1], x[:, :-lags:-1]])
    spectra = np.fft.rfft(ends, 2 * lags)  # for convolutions of both with themselves
    sums[:, 2:] -= np.fft.irfft((spectra * spectra).sum(0), 2 * lags)[:, : lags - 1]
    return sums
