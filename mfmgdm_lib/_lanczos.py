"""Eigenpairs by the method of Lanczos, for products of functions of symmetric matrices with one vector each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["lanczos"]

_ROUND_OFF = 1e-14
"""Part of the largest eigenvalue below which what a product adds to those before is round-off."""


def lanczos(
    product: Callable[[Tensor], Tensor], start: Tensor, left: Callable[[Tensor, Tensor, Tensor], bool]
) -> tuple[Tensor, Tensor]:
    """Return Ritz values (n, m) and vectors (n, K, m) of n symmetric matrices, in the Krylov space of a vector each.

    A function f of a matrix times its vector is nearly that of the Ritz values, V f(Λ) Vᵀb, long before the Ritz pairs
    are those of the matrix (Hochbruck and Lubich, 1997). Vectors are kept orthogonal; where the space of one matrix is
    exhausted before that of others, it gets pairs of 0.

    Args:
        product: from (n, K) to (n, K), with the matrices.
        start: b, (n, K) float64.
        left: whether to go on, from the Ritz values (n, m), the first components of the Ritz vectors in the Krylov
            basis, which are Vᵀb / ‖b‖, and the last ones times the norm of what the next product would add.

    Example:
        >>> matrix = torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64))
        >>> values, _ = lanczos(lambda v: v @ matrix, torch.ones(1, 3, dtype=torch.float64), lambda *_: True)
        >>> values.round(decimals=9)
        tensor([[1., 2., 4.]], dtype=torch.float64)
    """
    n, size = start.shape
    basis = _quotient(start, start.norm(dim=-1)).unsqueeze(-1)
    small = start.new_zeros(n, 1, 1)
    while True:
        after = product(basis[..., -1])
        small[:, -1, -1] = (after * basis[..., -1]).sum(-1)
        for _ in range(2):  # once leaves what round-off makes of it (Parlett, 1980)
            after = after - (basis @ (basis.mT @ after.unsqueeze(-1))).squeeze(-1)
        values, vectors = torch.linalg.eigh(small)
        floor = _ROUND_OFF * values.abs().amax(-1)
        beyond = after.norm(dim=-1)
        beyond = torch.where(beyond > floor, beyond, 0.0)
        first, last = vectors[:, 0], vectors[:, -1] * beyond.unsqueeze(-1)
        count = basis.shape[-1]
        if count == size or not beyond.any() or not left(values, first, last):
            return values, basis @ vectors
        basis = torch.cat([basis, _quotient(after, beyond).unsqueeze(-1)], -1)
        small = torch.nn.functional.pad(small, (0, 1, 0, 1))
        small[:, count, count - 1] = small[:, count - 1, count] = beyond


def _quotient(vectors: Tensor, norms: Tensor) -> Tensor:
    """Vectors (n, K) by numbers (n,), or 0 where those are 0."""
    return vectors / norms.where(norms > 0.0, torch.inf).unsqueeze(-1)
