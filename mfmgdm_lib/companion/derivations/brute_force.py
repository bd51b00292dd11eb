"""Appendices A and B by automatic differentiation of whole Jacobians."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.distributions import constraints

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_number, check_paths
from mfmgdm_lib.descents import Descent, State
from mfmgdm_lib.energies import BandedEnergy, StylizedFacts
from mfmgdm_lib.log_determinants.banded import banded_blocks
from mfmgdm_lib.models import MFMGDM
from mfmgdm_lib.support import as_support
from mfmgdm_lib.target import Target

__all__ = [
    "PathTerms",
    "assemble",
    "capacitance_readings",
    "determinant_lines",
    "ensemble_step",
    "full_jacobian",
    "masked_lines",
    "path_terms",
    "random_step",
    "readings_along",
]

_CHUNK_ENTRIES = 2**20
"""Entries of a Jacobian that are differentiated at once: bounds the memory that automatic differentiation takes."""


def random_step(
    seed: int, *, n_paths: int = 4, length: int = 12, support: constraints.Constraint = constraints.real
) -> tuple[Descent, State]:
    """Draw a mean-field step with three energies whose Hessians differ from path to path.

    Args:
        seed: of the paths and the target.
        n_paths: N, all in one ensemble.
        length: d.
        support: `constraints.real` for Gaussian paths, `constraints.nonnegative` for exponential ones, of which some
            entries would become negative and stay where they are (App. B).

    Returns:
        The model and the state that the step starts from.

    Example:
        >>> model, state = random_step(0)
        >>> model.energy.dim, tuple(state.paths.shape)
        (3, (4, 12))
    """
    rng, energy = np.random.default_rng(seed), StylizedFacts(lags=1)
    inside = not as_support(support).whole_line
    paths = rng.exponential(1.5, (n_paths, length)) if inside else rng.standard_normal((n_paths, length))
    mean = torch.from_numpy(rng.uniform(0.5, 1.5, energy.dim))
    target = Target(mean, torch.zeros_like(mean), energy.labels, source=f"seed {seed}")
    model = MFMGDM(energy, target, step_size=0.5, support=support)
    return model, model.evaluate(torch.from_numpy(paths))


@checked
def ensemble_step(model: Descent, paths: Tensor) -> Tensor:
    """Take the same step as `model.update`, written for automatic differentiation through all of it.

    Nothing but the energy itself is called, so no derivative written by hand can hide an error.

    Args:
        model: the descent, with one inner step.
        paths: (N, time), float64.

    Returns:
        The paths after the step, (N, time).
    """
    members = model.members(len(paths))
    mean = model.energy(paths).unflatten(0, (-1, members)).mean(1)
    mismatch = (mean - model.target.mean).repeat_interleave(members, 0)
    force = torch.func.grad(lambda x: (model.energy(x) * mismatch).sum())(paths)
    proposal = paths - model.rate * force
    return torch.where(model.support.contains(proposal), proposal, paths)


@checked
def full_jacobian(model: Descent, paths: Tensor) -> Tensor:
    """Differentiate the whole step at once: the matrix that Appendix A takes apart.

    Args:
        model: the descent, with one inner step.
        paths: (N, time), float64.

    Returns:
        The Jacobian (N·time, N·time), entries of path 0 first.

    Example:
        >>> model, state = random_step(0)
        >>> full_jacobian(model, state.paths).shape
        torch.Size([48, 48])
    """
    if not check_paths("paths", paths).numel():
        raise ValueError(f"paths has shape {tuple(paths.shape)}; expected some. Use the paths of a state.")
    chunk = max(1, _CHUNK_ENTRIES // paths.numel())
    return torch.func.jacrev(lambda x: ensemble_step(model, x).flatten(), chunk_size=chunk)(paths).flatten(1)


class PathTerms(NamedTuple):
    """What the step's Jacobian is made of, by automatic differentiation of each path's energies."""

    blocks: Tensor
    """A_n, (N, d, d)."""
    rows: Tensor
    """J_Φ(x⁽ⁿ⁾), (N, K, d)."""


@checked
def path_terms(model: Descent, state: State) -> PathTerms:
    """Differentiate the energies of each path alone, once and twice.

    Args:
        model: the descent, all paths in one ensemble and no entry that stays.
        state: where it stands; paths in float64.

    Example:
        >>> terms = path_terms(*random_step(0))
        >>> terms.blocks.shape, terms.rows.shape
        (torch.Size([4, 12, 12]), torch.Size([4, 3, 12]))
    """
    hessians = torch.func.vmap(torch.func.jacrev(torch.func.jacrev(model.energy)))(state.paths)
    rows = torch.func.vmap(torch.func.jacrev(model.energy))(state.paths)
    identity = torch.eye(state.paths.shape[-1], dtype=state.paths.dtype)
    return PathTerms(identity - model.rate * torch.einsum("nk,nkij->nij", state.mismatch, hessians), rows)


@checked
def assemble(terms: PathTerms, rate: float) -> Tensor:
    """Put the Jacobian of the whole step together: blocks A_n less γ/N times the stacked rows' product (App. A).

    Args:
        terms: of the N paths of one ensemble.
        rate: γ.

    Returns:
        The matrix (N·d, N·d).

    Example:
        >>> model, state = random_step(0)
        >>> whole = assemble(path_terms(model, state), model.rate)
        >>> bool(abs(whole - full_jacobian(model, state.paths)).max() < 1e-12)
        True
    """
    check_number("rate", rate)
    joined = torch.cat(list(terms.rows), dim=1)
    return torch.block_diag(*terms.blocks) - rate / len(terms.rows) * joined.T @ joined


@checked
def capacitance_readings(grams: Tensor, rate: float) -> dict[str, float]:
    """Evaluate the second factor of Appendix A's last line in three ways.

    Args:
        grams: J_n A_n⁻¹ J_nᵀ for the N paths of one ensemble, (N, K, K).
        rate: γ.

    Returns:
        Its log|det|, nats: "mended", with (1/N) Σ_n; "as printed", where Σ_k has nothing to add over, so that it counts
        the same term K times, within the product over n; and "Σ over n, no 1/N".

    Example:
        >>> alone = capacitance_readings(torch.full((1, 1, 1), 0.5, dtype=torch.float64), rate=1.0)
        >>> {name: round(value, 6) for name, value in alone.items()}  # all the same for N = K = 1
        {'mended': -0.693147, 'as printed': -0.693147, 'Σ over n, no 1/N': -0.693147}
    """
    if grams.ndim != 3 or grams.shape[1] != grams.shape[2]:
        raise ValueError(f"grams has shape {tuple(grams.shape)}; expected (N, K, K). Use J Jᵀ of each path.")
    n_paths, n_energies, _ = grams.shape
    identity = torch.eye(n_energies, dtype=grams.dtype)

    def log_abs(matrices: Tensor) -> float:
        return float(torch.linalg.slogdet(identity - rate * matrices).logabsdet.sum())

    return {
        "mended": log_abs(grams.sum(0) / n_paths),
        "as printed": log_abs(n_energies * grams),
        "Σ over n, no 1/N": log_abs(grams.sum(0)),
    }


@checked
def determinant_lines(model: Descent, state: State) -> dict[str, float]:
    """Evaluate log|det| of one step of one ensemble by each line of Appendix A's last equation.

    Returns:
        log|det|, nats, by "brute force" (the whole matrix by automatic differentiation), "line 1" to "line 3", and the
        last line in the three readings of `capacitance_readings`.

    Example:
        >>> lines = determinant_lines(*random_step(0))
        >>> bool(abs(lines["mended"] - lines["brute force"]) < 1e-10)
        True
    """
    terms = path_terms(model, state)
    blocks, rows = terms
    joined, rate = torch.cat(list(rows), dim=1), model.rate / len(rows)
    diagonal, identity = torch.block_diag(*blocks), torch.eye(rows.shape[1], dtype=rows.dtype)
    inverses = torch.linalg.inv(blocks)

    def log_abs(*matrices: Tensor) -> float:
        return float(sum(torch.linalg.slogdet(matrix).logabsdet.sum() for matrix in matrices))

    lines = {
        "brute force": log_abs(full_jacobian(model, state.paths)),
        "line 1": log_abs(assemble(terms, model.rate)),
        "line 2": log_abs(diagonal, identity - rate * joined @ torch.linalg.inv(diagonal) @ joined.T),
        "line 3": log_abs(diagonal, identity - rate * joined @ torch.block_diag(*inverses) @ joined.T),
    }
    own = log_abs(blocks)
    readings = capacitance_readings(rows @ inverses @ rows.mT, model.rate)
    return lines | {name: own + value for name, value in readings.items()}


@checked
def masked_lines(model: Descent, state: State) -> dict[str, float]:
    """Take the determinant of a step that leaves entries as they are in two ways (App. B).

    Returns:
        "whole", log|det| of the whole step's Jacobian, and "entries that moved", that of their rows and columns alone,
        in nats; "stayed", the number of the others; "off identity", how far their rows are from those of the identity;
        and "pull", the norm of the derivatives of entries that moved with respect to those that stayed.

    Example:
        >>> lines = masked_lines(*random_step(0, support=constraints.nonnegative))
        >>> lines["stayed"] > 0, lines["off identity"], bool(lines["pull"] > 0)
        (True, 0.0, True)
    """
    moved = (ensemble_step(model, state.paths) != state.paths).flatten()
    whole = full_jacobian(model, state.paths)
    off = (whole - torch.eye(len(whole), dtype=whole.dtype))[~moved]
    return {
        "whole": float(torch.linalg.slogdet(whole).logabsdet),
        "entries that moved": float(torch.linalg.slogdet(whole[moved][:, moved]).logabsdet),
        "stayed": int((~moved).sum()),
        "off identity": float(off.abs().sum()),
        "pull": float(whole[moved][:, ~moved].norm()),
    }


@checked
def readings_along(model: Descent, x0: Tensor, n_steps: int) -> pd.DataFrame:
    """Add up the readings of the last line along a descent of one ensemble with banded Hessians.

    Args:
        model: the descent.
        x0: starting paths (N, time).
        n_steps: number of steps T.

    Returns:
        A column for each of `capacitance_readings`, a row for each of t = 0 … T: the sum over the steps before t, in
        nats per path. Set against each other they say by how much the entropy at t would be off.

    Raises:
        TypeError: an energy without banded Hessians.
    """
    energy = model.energy
    if not isinstance(energy, BandedEnergy):
        raise TypeError(
            f"the model has the energy {energy!r}; expected one with banded Hessians. Use Autocovariance()."
        )
    sums = []
    for state in model.steps(x0, n_steps):
        blocks = banded_blocks(energy, state.paths, model.rate * state.mismatch)
        sums.append(capacitance_readings(blocks.gram, model.rate))
    steps = pd.DataFrame(sums) / len(x0)
    return steps.cumsum().shift(1, fill_value=0.0)
