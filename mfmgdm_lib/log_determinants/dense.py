"""Exact log-determinants of any energy from dense blocks, in O(d³) for each path."""

from __future__ import annotations

import torch
from torch import Tensor

from mfmgdm_lib.energies import Energy
from mfmgdm_lib.log_determinants.determinant_lemma import Blocks, factor_symmetric, joined

__all__ = ["dense_blocks", "inner_products"]

_CHUNK_ENTRIES = 2**17
"""Entries of a Hessian that are differentiated at once: bounds the memory that automatic differentiation takes."""


def dense_blocks(
    energy: Energy, x: Tensor, weights: Tensor, moved: Tensor | None = None, *, coupled: bool = True
) -> Blocks:
    """Return the blocks of paths x (N, d) under weights (N, K), a path at a time to bound the memory.

    With `moved` (N, d) the block is that of the entries that move, its other rows and columns those of the identity.
    Where nothing is `coupled`, the Gram matrices are left out: K = 0.
    Only `energy.__call__` is used, so no hand-written derivative can hide an error here.
    """
    length = x.shape[-1]
    identity = torch.eye(length, dtype=torch.float64, device=x.device)
    force_of = torch.func.grad(lambda path, weight: energy(path) @ weight)
    hessian_of = torch.func.jacrev(force_of, chunk_size=max(1, _CHUNK_ENTRIES // length))
    parts = []
    for n, (path, weight) in enumerate(zip(x.double(), weights.double(), strict=True)):
        rows = torch.func.jacrev(energy)(path) if coupled else path.new_zeros(0, length)
        hessian = hessian_of(path, weight)
        if moved is not None:
            rows, hessian = rows * moved[n], hessian * moved[n] * moved[n][:, None]
        parts.append(factor_symmetric((identity - hessian)[None], rows[None]))
    return joined(parts)


def inner_products(energy: Energy, path: Tensor, weight: Tensor, mask: Tensor, rows: Tensor) -> Tensor:
    """V A⁻¹ Vᵀ, (r, r), for vectors V (r, d) and the block A of one path (d,) under a weight (K,).

    The Hessian is written out by d products. Entries that stay have a `mask` of 0 in place of 1, in A and in V.
    """
    identity = torch.eye(len(path), dtype=torch.float64, device=path.device)
    columns = []
    for units in identity.to(path).split(max(1, _CHUNK_ENTRIES // len(path))):
        _, product = energy.linearize(path.expand(len(units), -1), weight.expand(len(units), -1))
        columns.append(product(units))
    hessian = torch.cat(columns).double() * mask * mask[:, None]
    return factor_symmetric((identity - 0.5 * (hessian + hessian.mT))[None], rows.double()[None]).gram[0]
