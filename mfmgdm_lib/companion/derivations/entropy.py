"""Bounds of a step's change of entropy: the algebra of their proofs in symbols, and in exact fractions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
import sympy

from mfmgdm_lib.companion.derivations.symbols import SymbolicStep, same

__all__ = ["ExactStep", "exact_step", "logarithm_is_between", "proof_checks"]

_CASES = 10
"""Random steps that are looked at in fractions."""


def logarithm_is_between() -> dict[str, bool]:
    r"""Check :math:`\mu \le -\log(1 - \mu) \le \mu + \mu^2 / (2 (1 - \lambda))` for μ ≤ λ < 1 and λ ≥ 0, in symbols.

    Both gaps are 0 at μ = 0, and have slopes there that fall before 0 and rise after it, so nowhere are they below 0.

    Returns:
        Whether each gap is 0 at 0, and each slope is what its sign can be read off.

    Example:
        >>> all(logarithm_is_between().values())
        True
    """
    mu, lam = sympy.symbols("mu lambda", real=True)
    below = -sympy.log(1 - mu) - mu
    above = mu + mu**2 / (2 * (1 - lam)) + sympy.log(1 - mu)
    # μ is below 0 where its slope is, and so is μ(λ − μ) for all μ < λ with λ ≥ 0; the denominators are above 0.
    slopes = {"below": mu / (1 - mu), "above": mu * (lam - mu) / ((1 - lam) * (1 - mu))}
    gaps = {"below": below, "above": above}
    zeros = {f"{name}, at 0": gap.subs(mu, 0) == 0 for name, gap in gaps.items()}
    return zeros | {f"{name}, slope": sympy.simplify(gaps[name].diff(mu) - slopes[name]) == 0 for name in gaps}


class ExactStep(NamedTuple):
    """A step I − S − R of three paths of three points with two energies, in fractions."""

    own: sympy.Matrix
    """S, a symmetric block for each path, (9, 9)."""
    coupling: sympy.Matrix
    """R = 𝒥ᵀ𝒥 times a number, of rank 2, (9, 9)."""
    s: sympy.Rational
    """At least the largest eigenvalue of S, by less than 1/64."""
    rho: sympy.Rational
    """At least the largest eigenvalue of R, by less than 1/64."""


def exact_step(seed: int) -> ExactStep:
    """Draw a step in fractions, small enough that bound A of its determinant exists.

    Args:
        seed: of the integers that the fractions are made of.

    Example:
        >>> step = exact_step(1)
        >>> step.coupling.rank(), step.s + step.rho < 1
        (2, True)
    """
    rng = np.random.default_rng([17, seed])
    blocks = [sympy.Matrix(rng.integers(-3, 4, (3, 3))) for _ in range(3)]
    own = sympy.diag(*(block + block.T for block in blocks)) / 80
    rows = sympy.Matrix(rng.integers(-3, 4, (2, 9)))
    coupling = rows.T * rows / 200
    return ExactStep(own, coupling, _top(own), _top(coupling))


def _count_above(matrix: sympy.Matrix, level: sympy.Rational) -> int:
    """Eigenvalues of a symmetric matrix that are above a level.

    All roots of its characteristic polynomial are real, so those above 0 are as many as its coefficients have changes
    of sign (Descartes).
    """
    shifted = matrix - level * sympy.eye(len(matrix[0, :]))
    signs = [sympy.sign(c) for c in shifted.charpoly().all_coeffs() if c != 0]
    return sum(one != other for one, other in pairwise(signs))


def _top(matrix: sympy.Matrix) -> sympy.Rational:
    """The least multiple of 1/64, below 1, that no eigenvalue of a symmetric matrix is above."""
    low, high = 0, 64
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if _count_above(matrix, sympy.Rational(middle, 64)) else (low, middle)
    return sympy.Rational(low, 64)


def _few_eigenvalues_are_large(steps: Sequence[ExactStep]) -> bool:
    """At most K = 2 eigenvalues of M are above s, in some steps as many, and none is above s + ρ."""
    many = [_count_above(step.own + step.coupling, step.s) for step in steps]
    beyond = [_count_above(step.own + step.coupling, step.s + step.rho) for step in steps]
    return max(many) == 2 and not any(beyond)


def _determinant_is_not_below(steps: Sequence[ExactStep]) -> bool:
    """det(I − S − R) is at least (1 − s)^(Nd − K) (1 − s − ρ)^K: bound A without its logarithm."""

    def slack(step: ExactStep) -> sympy.Rational:
        size = len(step.own[0, :])
        bound = (1 - step.s) ** (size - 2) * (1 - step.s - step.rho) ** 2
        return (sympy.eye(size) - step.own - step.coupling).det() - bound

    return all(step.s + step.rho < 1 and slack(step) >= 0 for step in steps)


def _added(step: SymbolicStep) -> sympy.Matrix:
    """M, what a step takes off the identity."""
    return sympy.eye(len(step.entries)) - step.brute_force


def _trace_has_two_terms(step: SymbolicStep) -> bool:
    paths, energies = range(step.n_paths), range(step.n_energies)
    curved = sum(step.mean_energy[k] * step.hessian(n, k).trace() for n in paths for k in energies)
    norms = sum(sum(entry**2 for entry in step.rows(n)) for n in paths)
    terms = step.rate / step.n_paths * curved + step.rate / step.n_paths * (norms / step.n_paths)
    return same(sympy.Matrix([_added(step).trace() / step.n_paths]), sympy.Matrix([terms]))


def _square_has_three_terms(step: SymbolicStep) -> bool:
    factor, identity = step.rate / step.n_paths, sympy.eye(len(step.entries))
    own, rows = identity - step.diagonal(), step.stacked_rows
    gram = factor * rows * rows.T
    terms = _square(own) + 2 * factor * (rows * own * rows.T).trace() + _square(gram)
    return same(sympy.Matrix([_square(_added(step))]), sympy.Matrix([terms]))


def _square(matrix: sympy.Matrix) -> sympy.Expr:
    return sum(entry**2 for entry in matrix)


def _rest_is_a_small_determinant(n_paths: int = 2, length: int = 2, n_energies: int = 2) -> bool:
    """det(I − (γ/N) 𝒥ᵀ𝒥) = det(I_K − (γ/N) 𝒥𝒥ᵀ), for rows of symbols."""
    size, rate = n_paths * length, sympy.Symbol("gamma")
    rows = sympy.Matrix(n_energies, size, sympy.symbols(f"j:{n_energies * size}"))
    large = (sympy.eye(size) - rate / n_paths * rows.T * rows).det("berkowitz")
    small = (sympy.eye(n_energies) - rate / n_paths * rows * rows.T).det("berkowitz")
    return sympy.expand(large - small) == 0


def proof_checks() -> pd.DataFrame:
    """Check each statement that the proofs of the bounds A and B use.

    Returns:
        Text columns "statement" and "how".

    Raises:
        AssertionError: a statement does not hold, by its name.

    Example:
        >>> list(proof_checks()["how"].unique())
        ['10 random steps, in fractions', 'in symbols', 'in symbols, any two smooth energies, N = d = 2']
    """
    step, smooth = SymbolicStep(2, 2, 2), "in symbols, any two smooth energies, N = d = 2"
    steps, fractions = [exact_step(seed) for seed in range(_CASES)], f"{_CASES} random steps, in fractions"
    made: list[tuple[str, str, Callable[[], bool]]] = [
        ("at most K eigenvalues of M above s, none above s + ρ", fractions, lambda: _few_eigenvalues_are_large(steps)),
        ("bound A, without its logarithm", fractions, lambda: _determinant_is_not_below(steps)),
        ("−log(1 − μ) between its two bounds", "in symbols", lambda: all(logarithm_is_between().values())),
        ("the trace, of which one term has 1/N", smooth, lambda: _trace_has_two_terms(step)),
        ("the Frobenius norm", smooth, lambda: _square_has_three_terms(step)),
        ("a K × K determinant at rest", "in symbols", _rest_is_a_small_determinant),
    ]
    for statement, how, holds in made:
        if not holds():
            raise AssertionError(f"{statement}: does not hold ({how})")
    return pd.DataFrame([row[:2] for row in made], columns=["statement", "how"])
