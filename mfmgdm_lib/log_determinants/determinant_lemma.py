"""The matrix determinant lemma: the determinant of an ensemble's step from the blocks of its paths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mfmgdm_lib.descents.communicator import LOCAL, Communicator

__all__ = ["Blocks", "StepDeterminant", "apply_lemma", "factor_symmetric", "joined"]


class Blocks(NamedTuple):
    """What the lemma needs of each path's block A_n = I − Σ_k w_k H_k and its rows J_n."""

    log_abs: Tensor
    """log|det A_n|, (N,)."""
    non_positive: Tensor
    """Number of eigenvalues of A_n that are not above 0, (N,)."""
    gram: Tensor
    """J_n A_n⁻¹ J_nᵀ, (N, K, K); not finite where A_n is singular."""


def joined(parts: Iterable[Blocks]) -> Blocks:
    """Blocks of some paths, and of others after them."""
    first, *others = parts
    return Blocks(*map(torch.cat, zip(first, *others, strict=True))) if others else first


@dataclass(frozen=True)
class StepDeterminant:
    """Determinant of one descent step for E ensembles of M paths, N = E·M.

    Attributes:
        blocks: log|det A_n| for each path, nats, (N,).
        capacitance: log|det| of each ensemble's capacitance matrix, nats, (E,).
        non_positive: eigenvalues of each ensemble's Jacobian that are not above 0, (E,). The Jacobian is symmetric;
            where there is any, the step folds space, and the change of variables no longer counts every preimage.
            A stochastic estimate counts only those that it has found.
        blocks_error: standard error of `blocks`, (N,); 0 from an exact backend, like the other two.
        capacitance_error: standard error of `capacitance`, (E,).
        mean_error: standard error of the mean of `per_path` over all paths.
        members: paths M of each ensemble, where other processes have some of them; None where all are here.
    """

    blocks: Tensor
    capacitance: Tensor
    non_positive: Tensor
    blocks_error: Tensor
    capacitance_error: Tensor
    mean_error: float = 0.0
    members: int | None = None

    @property
    def per_path(self) -> Tensor:
        """log|det| shared out to the paths, nats, (N,): a path's own block and its part of the capacitance matrix."""
        return self.blocks + self._share(self.capacitance)

    @property
    def standard_error(self) -> Tensor:
        """Standard error of `per_path`, (N,); the part of the capacitance is common to an ensemble."""
        return torch.hypot(self.blocks_error, self._share(self.capacitance_error))

    @property
    def sign(self) -> Tensor:
        """Sign of each ensemble's determinant, (E,)."""
        parity = 1.0 - 2.0 * (self.non_positive % 2).to(self.blocks.dtype)
        return torch.where(torch.isfinite(self.capacitance), parity, torch.zeros_like(parity))

    def _share(self, of_ensembles: Tensor) -> Tensor:
        here = len(self.blocks) // len(of_ensembles)
        return (of_ensembles / (self.members or here)).unsqueeze(-1).expand(-1, here).flatten()


def apply_lemma(blocks: Blocks, rate: float, members: int, ensemble: Communicator = LOCAL) -> StepDeterminant:
    """Join the blocks of each ensemble by its capacitance matrix I_K − (γ/M) Σ_n J_n A_n⁻¹ J_nᵀ.

    The Jacobian and this pair are the two Schur complements of one symmetric matrix with a positive definite
    corner, so their counts of negative eigenvalues add up (Haynsworth's inertia formula). Where a block is singular the
    lemma has no answer: the capacitance is NaN, and the count is that of the blocks, which the ensemble's is not below.

    Args:
        blocks: those of the paths of this process.
        rate: γ.
        members: paths of each ensemble that are in this process.
        ensemble: adds up over the processes that have the others.
    """
    grams = blocks.gram.unflatten(0, (-1, members)).sum(1)
    below = blocks.non_positive.unflatten(0, (-1, members)).sum(1)
    if ensemble.count > 1:
        total = ensemble.sum(torch.cat([grams.flatten(), below.double()]))
        grams, below = total[: grams.numel()].view_as(grams), total[grams.numel() :].long()
    size = ensemble.size(members)
    identity = torch.eye(grams.shape[-1], dtype=grams.dtype, device=grams.device)
    capacitance, folds, _ = factor_symmetric(identity - (rate / size) * grams)
    return StepDeterminant(
        blocks.log_abs,
        capacitance,
        folds + below,
        torch.zeros_like(blocks.log_abs),
        torch.zeros_like(capacitance),
        members=size,
    )


def factor_symmetric(matrices: Tensor, rows: Tensor | None = None) -> Blocks:
    """Factor symmetric matrices A (N, m, m), by Cholesky where they are positive definite, else by eigenvalues.

    Args:
        matrices: A, (N, m, m).
        rows: J, (N, K, m), for which J A⁻¹ Jᵀ is wanted; K = 0 without.
    """
    root, info = torch.linalg.cholesky_ex(matrices)
    log_abs = 2.0 * root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    gram, non_positive = matrices.new_zeros(len(matrices), 0, 0), torch.zeros_like(info, dtype=torch.int64)
    if rows is not None:
        half = torch.linalg.solve_triangular(root, rows.mT, upper=False)
        gram = half.mT @ half
    for n in info.nonzero().flatten().tolist():
        if not torch.isfinite(matrices[n]).all():
            log_abs[n], gram[n] = torch.nan, torch.nan
            continue
        eigenvalues, basis = torch.linalg.eigh(matrices[n])
        log_abs[n] = eigenvalues.abs().log().sum()
        if rows is not None:
            projected = rows[n] @ basis
            gram[n] = (projected / eigenvalues) @ projected.mT
        non_positive[n] = int((eigenvalues <= 0).sum())
    return Blocks(log_abs, non_positive, gram)
