"""Estimates of the capacitance matrix, which couples an ensemble, from a random subset of its paths."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from mfmgdm_lib._conjugate_gradients import conjugate_gradients
from mfmgdm_lib.descents.descent import Descent, State
from mfmgdm_lib.log_determinants.dense import inner_products
from mfmgdm_lib.log_determinants.determinant_lemma import Blocks, factor_symmetric

__all__ = ["Capacitance", "Product", "dot", "estimate_capacitance", "restricted"]

Product = Callable[[Tensor], Tensor]
"""A symmetric linear map of every path, (n, d) to (n, d)."""

_SOLVED = 1e-3
"""Residual, relative to its start, at which a row of A⁻¹Jᵀ is good enough: inner products are right to its square."""

_ROUGH = 0.3
"""Error of log det C above which a sample of members will not do: the expansion behind it is to second order only."""

_MAX_SOLVE = 100
"""Conjugate-gradient steps at most; a block that needs more is all but singular."""


class Capacitance(NamedTuple):
    """Capacitances of E ensembles: log|det|, its error and the eigenvalues ≤ 0, (E,), and the error of the mean."""

    log_abs: Tensor
    error: Tensor
    folds: Tensor
    mean_error: float


def estimate_capacitance(
    model: Descent,
    state: State,
    mask: Tensor,
    rng: Generator,
    wanted: int,
    tolerance: float,
) -> Capacitance:
    """Estimate the capacitance of every ensemble from some of its members, and of some ensembles where these are many.

    Args:
        model: the descent.
        state: where it stands.
        mask: 1 for each entry that moves, else 0, (N, d).
        rng: chooses the paths.
        wanted: how many paths to spend on it, at least 4.
        tolerance: error, in nats for each path, that an approximation may add.
    """
    if mask.shape != state.paths.shape:
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}; expected {tuple(state.paths.shape)}, that of the paths. Use ones for"
            " paths of which every entry moves."
        )
    members, dim = model.members(len(mask)), model.energy.dim
    n_ensembles = len(mask) // members
    m = min(members, wanted)
    e = min(n_ensembles, max(4, math.ceil(wanted / m)))
    drawn = torch.from_numpy(rng.permutation(n_ensembles)[:e])
    places = torch.from_numpy(np.stack([rng.permutation(members)[:m] for _ in range(e)]))
    paths = (drawn[:, None] * members + places).flatten().to(mask.device)

    rows = model.energy.jacobian(state.paths[paths]) * mask[paths, None]
    driving, weights = model.driving, model.weights(state)[paths]
    product = restricted(driving.linearize(state.paths[paths], weights)[1], mask[paths])

    def solve(vectors: Tensor) -> Tensor:
        """γ V A⁻¹ Vᵀ for vectors V of each path (n, r, d): (e, m, r, r)."""
        inner, sound = _inner_products(product, vectors)
        for n in (~sound).nonzero()[:, 0].tolist():
            inner[n] = inner_products(driving, state.paths[paths[n]], weights[n], mask[paths[n]], vectors[n])
        return (model.rate * inner).unflatten(0, (e, m))

    grams = (model.rate * (rows.double() @ rows.double().mT)).unflatten(0, (e, m))
    exact = e == n_ensembles and m == members
    change = None if exact else _expand(solve, rows, grams, model.rate, rng)
    if change is not None and 0.5 * float(change.square) <= tolerance * members:
        grams, doubt = grams + change.grams, change.doubt.cpu()
    else:
        grams, doubt = solve(rows), torch.zeros(e, dtype=torch.float64)
    identity = torch.eye(dim, dtype=torch.float64).expand(e, -1, -1)
    grams = grams.cpu()
    found = factor_symmetric(identity - grams.mean(1), identity)
    if m < members:
        doubt, bias = _error_of_members(found.gram[:, None] @ (grams.mean(1, keepdim=True) - grams), members)
        if found.non_positive.any() or not (doubt < _ROUGH).all():
            return estimate_capacitance(model, state, mask, rng, len(mask), tolerance)
        found = found._replace(log_abs=found.log_abs + bias)
    joint = _extend_to_all_ensembles(found, doubt, drawn, n_ensembles)
    log_abs, error, folds = (part.to(mask.device) for part in joint[:3])
    return Capacitance(log_abs, error, folds, joint.mean_error)


class _Expansion(NamedTuple):
    """What A⁻¹ − I = B + B² + … adds to the Gram matrices γ J Jᵀ, as far as the determinant sees it to first order."""

    grams: Tensor
    """A multiple of each capacitance that has the right trace of C⁻¹ times the change, (e, m, K, K)."""
    doubt: Tensor
    """Standard error that this leaves in each capacitance's logarithm, (e,)."""
    square: Tensor
    """Estimate of ‖C^−½ · change · C^−½‖², averaged over paths: twice what the second order adds at most, ()."""


def _expand(solve: Callable[[Tensor], Tensor], rows: Tensor, grams: Tensor, rate: float, rng: Generator) -> _Expansion:
    """Expand log det C in A⁻¹ − I with two random mixtures of the rows, where the whole matrix would take K solves.

    The mixtures x and y are drawn so that xᵀ(change)x is tr(C⁻¹ · change) on average, and (xᵀ(change)y)² is ‖·‖².
    """
    e, m, dim, _ = grams.shape
    capacitance = torch.eye(dim, dtype=torch.float64, device=grams.device) - grams.mean(1)
    eigenvalues, basis = torch.linalg.eigh(capacitance)
    root = basis / eigenvalues.clamp(min=1e-8).sqrt()[:, None]
    mixture = torch.from_numpy(rng.standard_normal((e, m, 2, dim))).to(grams)
    mixture = mixture * math.sqrt(dim) / mixture.norm(dim=-1, keepdim=True)
    vectors = (mixture @ root[:, None].mT).flatten(0, 1).to(rows) @ rows
    change = solve(vectors) - rate * (vectors.double() @ vectors.double().mT).unflatten(0, (e, m))
    traces, cross = change.diagonal(dim1=-2, dim2=-1).mean(-1), change[..., 0, 1].square()
    # Of the mean of two mixtures the variance is ‖·‖², and that of a mean over m paths as many times smaller.
    return _Expansion(traces[..., None, None] * capacitance[:, None] / dim, (cross.mean(1) / m).sqrt(), cross.mean())


def _inner_products(product: Product, rows: Tensor) -> tuple[Tensor, Tensor]:
    """J (I − B)⁻¹ Jᵀ of each path, (n, K, K), and whether that is sound, (n,): whether I − B is positive definite."""
    solution, residual, sound = conjugate_gradients(product, rows, tolerance=_SOLVED, max_steps=_MAX_SOLVE)
    # With bᵢ = Jᵀeᵢ and A x̃ⱼ = bⱼ − rⱼ this misses bᵢᵀA⁻¹bⱼ by rᵢᵀA⁻¹rⱼ only, where bᵢᵀx̃ⱼ alone misses it by bᵢᵀA⁻¹rⱼ.
    gram = rows.double() @ solution.mT + solution @ residual.mT
    return 0.5 * (gram + gram.mT), sound


def _error_of_members(changes: Tensor, members: int) -> tuple[Tensor, Tensor]:
    """Standard error of log det C from some of an ensemble's `members`, and what to add to it on average, both (e,).

    Args:
        changes: C⁻¹(Ḡ − G_n) for each member drawn, (e, m, K, K): a member's part in C, relatively.
        members: M.
    """
    m = changes.shape[1]
    thinned = (1 - m / members) / (m * (m - 1))
    first = changes.diagonal(dim1=-2, dim2=-1).sum(-1).square().sum(1) * thinned
    second = torch.einsum("emkl,emlk->e", changes, changes) * thinned
    return (first * _student_variance(m)).sqrt(), 0.5 * second


def _extend_to_all_ensembles(found: Blocks, error: Tensor, drawn: Tensor, n_ensembles: int) -> Capacitance:
    """Give the ensembles that were not drawn the average of those that were."""
    e = len(drawn)
    if e == n_ensembles:
        order = drawn.argsort()
        return Capacitance(found.log_abs[order], error[order], found.non_positive[order], float(error.norm()) / e)
    between = found.log_abs.var() * _student_variance(e)
    values, errors = found.log_abs.mean().repeat(n_ensembles), (between * (1 + 1 / e)).sqrt().repeat(n_ensembles)
    folds = torch.zeros(n_ensembles, dtype=torch.int64)
    values[drawn], errors[drawn], folds[drawn] = found.log_abs, error, found.non_positive
    # Sampling in two stages (Cochran, Sampling Techniques, 1977, Section 10.4).
    share = e / n_ensembles
    variance = ((1 - share) * between + share * error.square().mean()) / e
    return Capacitance(values, errors, folds, float(variance.sqrt()))


def _student_variance(n: int) -> float:
    """Factor on a variance that was itself estimated from n draws: the variance of Student's t with n − 1 degrees."""
    return (n - 1) / (n - 3)


def restricted(product: Product, mask: Tensor) -> Product:
    """The product with the block of the entries that move; vectors have to be zero elsewhere."""
    return lambda vectors: product(vectors) * mask


def dot(left: Tensor, right: Tensor) -> Tensor:
    """Inner product of each path in float64, (N,)."""
    return (left.double() * right.double()).sum(-1)
