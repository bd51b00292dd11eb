"""Capacitance matrices from a random few of the paths: the part of an estimate that couples an ensemble."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib.descent import Descent, State
from mfmgdm_lib.jacobian.lemma import Blocks, factor_symmetric

__all__ = ["Coupling", "Product", "couple", "dot", "within"]

Product = Callable[[Tensor], Tensor]
"""A symmetric linear map of every path, (n, d) to (n, d)."""

_SOLVED = 1e-5
"""Residual, relative to its start, at which a row of A⁻¹Jᵀ is good enough: capacitances are sampled more roughly."""

_ROUGH = 0.3
"""Error of log det C above which a sample of members will not do: the expansion behind it is to second order only."""

_MAX_SOLVE = 100
"""Conjugate-gradient steps at most; a block that needs more is all but singular."""

_TINY = 1e-300
"""Keeps a quotient finite whose numerator is zero."""


class Coupling(NamedTuple):
    """Capacitances of E ensembles: log|det|, its error and the eigenvalues ≤ 0, (E,), and the error of the mean."""

    log_abs: Tensor
    error: Tensor
    folds: Tensor
    mean_error: float


def couple(
    model: Descent,
    state: State,
    mask: Tensor,
    radius: Tensor,
    rng: np.random.Generator,
    wanted: int,
    tolerance: float,
) -> Coupling:
    """Estimate the capacitance of every ensemble from some of its members, and of some ensembles where these are many.

    Args:
        model: the descent.
        state: where it stands.
        mask: 1 for each entry that moves, else 0, (N, d).
        radius: spectral radius of each path's B = I − A, (N,).
        rng: chooses the paths.
        wanted: how many paths to spend on it, at least 4.
        tolerance: error, in nats for each path, that an approximation may add.
    """
    members, dim = model.members(len(mask)), model.energy.dim
    n_ensembles = len(mask) // members
    m = min(members, wanted)
    e = min(n_ensembles, max(4, math.ceil(wanted / m)))
    drawn = torch.from_numpy(rng.permutation(n_ensembles)[:e])
    places = torch.from_numpy(np.stack([rng.permutation(members)[:m] for _ in range(e)]))
    paths = (drawn[:, None] * members + places).flatten().to(mask.device)

    rows = model.energy.jacobian(state.paths[paths]) * mask[paths, None]
    weights = model.rate * state.mismatch[paths]
    product = within(model.energy.linearize(state.paths[paths], weights)[1], mask[paths])
    grams = (model.rate * (rows.double() @ rows.double().mT)).unflatten(0, (e, m))
    reach = grams.diagonal(dim1=-2, dim2=-1).sum(-1).flatten() * radius[paths] / (1 - radius[paths]).clamp(min=_TINY)
    doubt = torch.zeros(e, dtype=torch.float64)
    if (e < n_ensembles or m < members) and bool((reach.square() <= 2 * tolerance * members).all()):
        grams = grams + _first_order(product, rows, grams, model.rate, rng)
        doubt = reach.unflatten(0, (e, m)).mean(1).cpu()  # no less than the random mixture can be out by
    else:
        grams = (model.rate * _inner_products(product, rows)).unflatten(0, (e, m))
    identity = torch.eye(dim, dtype=torch.float64).expand(e, -1, -1)
    grams = grams.cpu()
    found = factor_symmetric(identity - grams.mean(1), identity)
    if m < members:
        doubt, bias = _error_of_members(found.gram[:, None] @ (grams.mean(1, keepdim=True) - grams), members)
        if found.non_positive.any() or not (doubt < _ROUGH).all():
            return couple(model, state, mask, radius, rng, len(mask), tolerance)
        found = found._replace(log_abs=found.log_abs + bias)
    joint = _spread_over_ensembles(found, doubt, drawn, n_ensembles)
    log_abs, error, folds = (part.to(mask.device) for part in joint[:3])
    return Coupling(log_abs, error, folds, joint.mean_error)


def _first_order(product: Product, rows: Tensor, grams: Tensor, rate: float, rng: np.random.Generator) -> Tensor:
    """What A⁻¹ − I = B + B² + … adds to γ J Jᵀ, (e, m, K, K): a multiple of C with the right tr(C⁻¹ ·) on average.

    The determinant sees no more than that trace to first order, and one product with a random mixture of the rows
    estimates it, where the whole matrix would take K products.
    """
    e, m, dim, _ = grams.shape
    capacitance = torch.eye(dim, dtype=torch.float64, device=grams.device) - grams.mean(1)
    eigenvalues, basis = torch.linalg.eigh(capacitance)
    root = basis / eigenvalues.clamp(min=1e-8).sqrt()[:, None]
    mixture = torch.from_numpy(rng.standard_normal((e, m, dim))).to(grams)
    mixture = mixture * math.sqrt(dim) / mixture.norm(dim=-1, keepdim=True)
    vectors = ((mixture @ root.mT).flatten(0, 1).to(rows)[:, None] @ rows)[:, 0]
    images = product(vectors)
    traces = (rate * (dot(vectors, images) + dot(images, images))).unflatten(0, (e, m))
    return traces[..., None, None] * capacitance[:, None] / dim


def _inner_products(product: Product, rows: Tensor) -> Tensor:
    """J (I − B)⁻¹ Jᵀ of each path, (n, K, K), by conjugate gradients with step lengths of its own for each row."""
    solution, residual = torch.zeros_like(rows, dtype=torch.float64), rows.double()
    direction, power = residual, residual.square().sum(-1)
    goal = _SOLVED**2 * power
    for _ in range(_MAX_SOLVE):
        bent = torch.stack([product(row) for row in direction.to(rows).unbind(1)], 1)
        image = direction - bent.double()
        length = power / (direction * image).sum(-1).clamp(min=_TINY)
        solution = solution + length[..., None] * direction
        residual = residual - length[..., None] * image
        power, last = residual.square().sum(-1), power
        if (power <= goal).all():
            break
        direction = residual + (power / last.clamp(min=_TINY))[..., None] * direction
    gram = solution @ rows.double().mT
    return 0.5 * (gram + gram.mT)


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
    return (first * _few(m)).sqrt(), 0.5 * second


def _spread_over_ensembles(found: Blocks, error: Tensor, drawn: Tensor, n_ensembles: int) -> Coupling:
    """Give the ensembles that were not drawn the average of those that were."""
    e = len(drawn)
    if e == n_ensembles:
        order = drawn.argsort()
        return Coupling(found.log_abs[order], error[order], found.non_positive[order], float(error.norm()) / e)
    between = found.log_abs.var() * _few(e)
    values, errors = found.log_abs.mean().repeat(n_ensembles), (between * (1 + 1 / e)).sqrt().repeat(n_ensembles)
    folds = torch.zeros(n_ensembles, dtype=torch.int64)
    values[drawn], errors[drawn], folds[drawn] = found.log_abs, error, found.non_positive
    # Sampling in two stages (Cochran, Sampling Techniques, 1977, Section 10.4).
    share = e / n_ensembles
    variance = ((1 - share) * between + share * error.square().mean()) / e
    return Coupling(values, errors, folds, float(variance.sqrt()))


def _few(n: int) -> float:
    """Factor on a variance that was itself estimated from n draws: the variance of Student's t with n − 1 degrees."""
    return (n - 1) / (n - 3)


def within(product: Product, mask: Tensor) -> Product:
    """The product with the block of the entries that move; vectors have to be zero elsewhere."""
    return lambda vectors: product(vectors) * mask


def dot(left: Tensor, right: Tensor) -> Tensor:
    """Inner product of each path in float64, (N,)."""
    return (left.double() * right.double()).sum(-1)
