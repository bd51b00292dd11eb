"""The yardstick: blocks of any energy by automatic differentiation and dense factorisation, O(d³) for each path."""

from __future__ import annotations

import torch
from torch import Tensor

from mfmgdm_lib.energies import Energy
from mfmgdm_lib.jacobian.lemma import Blocks, factor_symmetric

__all__ = ["dense_blocks"]


def dense_blocks(energy: Energy, x: Tensor, weights: Tensor) -> Blocks:
    """Return the blocks of paths x (N, d) under weights (N, K), a path at a time to bound the memory.

    Only `energy.__call__` is used, so no hand-written derivative can hide an error here.
    """
    identity = torch.eye(x.shape[-1], dtype=torch.float64, device=x.device)
    parts = []
    for path, weight in zip(x.double(), weights.double(), strict=True):
        rows = torch.func.jacrev(energy)(path)
        hessian = torch.func.jacrev(torch.func.grad(_weighted))(path, energy, weight)
        parts.append(factor_symmetric((identity - hessian)[None], rows[None]))
    return Blocks(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _weighted(path: Tensor, energy: Energy, weight: Tensor) -> Tensor:
    return energy(path) @ weight
