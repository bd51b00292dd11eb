"""Trace, Frobenius norm and largest eigenvalue of what a step adds to the identity, without d×d matrices."""

from __future__ import annotations

from typing import NamedTuple

import torch
from numpy.random import Generator
from torch import Tensor

from mfmgdm_lib._lanczos import lanczos
from mfmgdm_lib.descents.descent import Descent, State
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.log_determinants.backends import Backend, ProbingBackend
from mfmgdm_lib.log_determinants.capacitance import Product, dot, restricted
from mfmgdm_lib.log_determinants.circulant import half_spectra
from mfmgdm_lib.log_determinants.stochastic import require_generator

__all__ = ["StepMoments", "step_moments"]

_LANCZOS_STEPS = 16
"""Products after which the largest eigenvalue of a block is known well enough for a bound."""

_CHUNK_NUMBERS = 2**22
"""Numbers of a Jacobian, paths × K × d, in memory at once."""


class StepMoments(NamedTuple):
    """Of M = S + R, where I − M is the Jacobian of a step of E ensembles, all float64: S the blocks, R of rank K."""

    entries: Tensor
    """Entries of each ensemble that move, (E,): the size of M."""
    trace: Tensor
    """tr M, (E,)."""
    square: Tensor
    """‖M‖_F², (E,)."""
    coupling: Tensor
    """Eigenvalues of (γ/M) Σ_n J_n J_nᵀ, in order, (E, K): those of R that are not 0."""
    blocks_largest: Tensor
    """At least λ_max(S), (E,)."""
    largest: Tensor
    """At least λ_max(M), and at least 0, (E,)."""
    trace_error: Tensor
    """Standard error of `trace`, (E,); 0 where nothing is estimated, like the next."""
    square_error: Tensor
    """Standard error of `square`, (E,)."""


class _BlockMoments(NamedTuple):
    """Of the block S_n of each path, (N,) each."""

    trace: Tensor
    square: Tensor
    largest: Tensor
    """At least its largest eigenvalue."""


def step_moments(backend: Backend, model: Descent, state: State, mask: Tensor, rng: Generator | None) -> StepMoments:
    """Return the moments of the step from `state`, exact where the backend is; paths are laid out flat, (N, d).

    "banded" reads them off the bands, "circulant" off the eigenvalues, stochastic backends send a random probe through
    each block, and all others send the d unit vectors. The largest eigenvalues of blocks are bounded by Gershgorin's
    discs and by Frobenius norms, after random probes by a Ritz value and the norm of its residual, which is above them
    in practice (Zhou and Li, 2011). In every case all K rows of the Jacobian are calculated for all paths.

    Args:
        backend: the one that calculates the step's determinant.
        model: the descent.
        state: where it stands.
        mask: 1 for each entry that moves, else 0, (N, d).
        rng: for the stochastic backends.
    """
    rate, members, driving, weights = model.rate, model.members(len(mask)), model.driving, model.weights(state)
    product = restricted(model.derivatives(state).linearize(weights)[1], mask)
    by_probe = isinstance(backend, ProbingBackend)
    own_grams, crossed = _couplings(model, state.paths, weights, mask)
    if by_probe:
        own = _by_probe(product, mask, require_generator(rng))
    elif backend.name == "banded":
        own = _by_bands(driving, state.paths, weights, mask)
    elif backend.name == "circulant":
        own = _by_spectra(driving, weights)
    else:
        own = _by_unit_vectors(product, mask)

    def total(values: Tensor) -> Tensor:
        return values.unflatten(0, (-1, members)).sum(1)

    gram = (rate / members) * total(own_grams)
    coupling = torch.linalg.eigvalsh(gram)
    square = total(own.square) + 2.0 * (rate / members) * total(crossed) + coupling.square().sum(-1)
    blocks_largest = own.largest.unflatten(0, (-1, members)).amax(1)
    largest = blocks_largest + coupling[:, -1]
    nothing = torch.zeros_like(square)
    trace_error, square_error = nothing, nothing
    if by_probe:  # Var vᵀSv ≤ 2‖S‖_F², and Var‖Sv‖² ≤ 2‖S²‖_F² ≤ 2λ²‖S‖_F²
        trace_error = (2.0 * total(own.square)).sqrt()
        square_error = (2.0 * total(own.largest.square() * own.square)).sqrt()
    else:
        largest = torch.minimum(largest, square.sqrt())
    return StepMoments(
        total(mask.double().sum(-1)),
        total(own.trace) + coupling.sum(-1),
        square,
        coupling,
        blocks_largest,
        largest.clamp(min=0.0),
        trace_error,
        square_error,
    )


def _couplings(model: Descent, paths: Tensor, weights: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """J_n J_nᵀ, (N, K, K), and tr(J_n S_n J_nᵀ), (N,), some paths at a time."""
    grams, crossed, energy, driving = [], [], model.energy, model.driving
    size = max(1, _CHUNK_NUMBERS // (energy.dim * paths.shape[-1]))
    for x, w, m in zip(paths.split(size), weights.split(size), mask.split(size), strict=True):
        rows = energy.jacobian(x) * m[:, None]
        grams.append(rows.double() @ rows.double().mT)
        product = restricted(driving.linearize(x, w)[1], m)
        crossed.append(torch.stack([dot(row, product(row)) for row in rows.unbind(1)]).sum(0))
    return torch.cat(grams), torch.cat(crossed)


def _by_bands(energy: Energy, paths: Tensor, weights: Tensor, mask: Tensor) -> _BlockMoments:
    bands = energy.hessian_bands(paths.double(), weights.double()) * mask[:, None]
    diagonal, radius = bands[:, 0], torch.zeros_like(bands[:, 0])
    square = diagonal.square().sum(-1)
    for j in range(1, bands.shape[1]):
        beside = bands[:, j, :-j] * mask[:, j:]
        radius[:, :-j] += beside.abs()
        radius[:, j:] += beside.abs()
        square = square + 2.0 * beside.square().sum(-1)
    return _BlockMoments(diagonal.sum(-1), square, _disc_bound(diagonal, radius, square))


def _by_spectra(energy: Energy, weights: Tensor) -> _BlockMoments:
    spectra, counts = half_spectra(energy)
    values = weights.double() @ spectra.to(weights.device)
    return _BlockMoments(values @ counts, values.square() @ counts, values.amax(-1))


def _by_unit_vectors(product: Product, mask: Tensor) -> _BlockMoments:
    diagonal, radius, square = (torch.zeros_like(mask, dtype=torch.float64) for _ in range(3))
    for i in range(mask.shape[-1]):
        unit = torch.zeros_like(mask)
        unit[:, i] = mask[:, i]
        column = product(unit).double()
        diagonal[:, i] = column[:, i]
        square += column.square()
        radius += column.abs()
        radius[:, i] -= column[:, i].abs()
    square = square.sum(-1)
    return _BlockMoments(diagonal.sum(-1), square, _disc_bound(diagonal, radius, square))


def _disc_bound(diagonal: Tensor, radius: Tensor, square: Tensor) -> Tensor:
    """The end of Gershgorin's discs, or the Frobenius norm where that is smaller; (N,)."""
    return torch.minimum((diagonal + radius).amax(-1), square.sqrt())


def _by_probe(product: Product, mask: Tensor, rng: Generator) -> _BlockMoments:
    size = mask.sum(-1, dtype=torch.float64)
    start = torch.from_numpy(rng.standard_normal(tuple(mask.shape))).to(mask.device) * mask
    start = start * (size.sqrt() / start.norm(dim=-1).clamp(min=torch.finfo(start.dtype).tiny))[:, None]
    image = product(start.to(mask)).double()
    residual = torch.zeros_like(size)

    def left(values: Tensor, first: Tensor, last: Tensor) -> bool:
        residual.copy_(last.gather(1, values.argmax(-1, keepdim=True)).abs()[:, 0])
        return values.shape[-1] < _LANCZOS_STEPS

    values, _ = lanczos(lambda vectors: product(vectors.to(mask)).double(), start, left)
    return _BlockMoments(dot(start, image), image.square().sum(-1), values.amax(-1) + residual)
