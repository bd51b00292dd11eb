"""Appendix A in symbols, for arbitrary smooth energies."""

from __future__ import annotations

from collections.abc import Callable

import sympy

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_positive_int

__all__ = ["SymbolicStep", "same", "symbolic_lines"]


@checked
class SymbolicStep:
    r"""One step of a small ensemble, for energies Φ_k that may be any smooth functions (App. A).

    .. math:: \tilde g^{(n)}(\boldsymbol x) = x^{(n)} - \gamma \sum_k \nabla\Phi_k(x^{(n)}) \, \bar\Phi_k(\boldsymbol x)

    Paths and energies are counted from 0. The target is part of Φ, as in the paper.

    Attributes:
        rate: γ, a symbol.
        paths: the N paths, columns of d symbols.
        entries: all of them in one column of N·d.

    Example:
        >>> step = SymbolicStep(n_paths=1, length=1, n_energies=1)
        >>> step.brute_force
        Matrix([[-gamma*Phi0(x0_0)*Derivative(Phi0(x0_0), (x0_0, 2)) - gamma*Derivative(Phi0(x0_0), x0_0)**2 + 1]])
        >>> same(step.by_stacking(), step.brute_force)
        True
    """

    def __init__(self, n_paths: int = 2, length: int = 2, n_energies: int = 2) -> None:
        for name, value in (("n_paths", n_paths), ("length", length), ("n_energies", n_energies)):
            check_positive_int(name, value)
        self.n_paths, self.length, self.n_energies = n_paths, length, n_energies
        self.rate = sympy.Symbol("gamma")
        self.paths = [sympy.Matrix(sympy.symbols(f"x{n}_:{length}")) for n in range(n_paths)]
        self.entries = sympy.Matrix.vstack(*self.paths)

    @staticmethod
    def _check_index(name: str, value: int, count: int) -> None:
        if check_positive_int(name, value, minimum=0) >= count:
            raise ValueError(f"{name} is {value}; expected a whole number below {count}. Count from 0.")

    def energy(self, n: int) -> sympy.Matrix:
        """Φ(x⁽ⁿ⁾), K × 1."""
        self._check_index("n", n, self.n_paths)
        return sympy.Matrix([sympy.Function(f"Phi{k}")(*self.paths[n]) for k in range(self.n_energies)])

    @property
    def summed_energy(self) -> sympy.Matrix:
        """NΦ̄, K × 1."""
        return sum((self.energy(n) for n in range(self.n_paths)), sympy.zeros(self.n_energies, 1))

    @property
    def mean_energy(self) -> sympy.Matrix:
        """Φ̄, K × 1."""
        return self.summed_energy / self.n_paths

    def rows(self, n: int) -> sympy.Matrix:
        """J_Φ(x⁽ⁿ⁾), K × d."""
        return self.energy(n).jacobian(self.paths[n])

    def hessian(self, n: int, k: int) -> sympy.Matrix:
        """H_{Φ_k}(x⁽ⁿ⁾), d × d."""
        self._check_index("k", k, self.n_energies)
        return sympy.hessian(self.energy(n)[k], list(self.paths[n]))

    def update(self, n: int) -> sympy.Matrix:
        """The path x⁽ⁿ⁾ after the step, d × 1."""
        self._check_index("n", n, self.n_paths)
        return self.paths[n] - self.rate * self.rows(n).T * self.mean_energy

    @property
    def brute_force(self) -> sympy.Matrix:
        """Jacobian of the whole step with respect to every entry of every path, N·d × N·d, by differentiation."""
        return sympy.Matrix.vstack(*(self.update(n) for n in range(self.n_paths))).jacobian(self.entries)

    def by_index(self) -> sympy.Matrix:
        """The first line by index: one energy's share of the force, ∂_i Φ_k(x⁽ⁿ⁾) Φ̄_k, differentiated as a whole."""

        def entry(n: int, i: int, m: int, j: int) -> sympy.Expr:
            shares = (self.rows(n)[k, i] * self.mean_energy[k] for k in range(self.n_energies))
            return _delta(n, m) * _delta(i, j) - self.rate * sum(share.diff(self.paths[m][j]) for share in shares)

        return self._from_entries(entry)

    def by_product_rule(self) -> sympy.Matrix:
        """The second line by index: the Hessians of a path, and products of first derivatives of any two paths."""

        def entry(n: int, i: int, m: int, j: int) -> sympy.Expr:
            total = sum(
                _delta(n, m) * self.hessian(n, k)[i, j] * self.mean_energy[k]
                + self.rows(n)[k, i] * self.rows(m)[k, j] / self.n_paths
                for k in range(self.n_energies)
            )
            return _delta(n, m) * _delta(i, j) - self.rate * total

        return self._from_entries(entry)

    def block(self, n: int) -> sympy.Matrix:
        """A_n = I − γ Σ_k H_{Φ_k}(x⁽ⁿ⁾) Φ̄_k, d × d."""
        hessians = (self.hessian(n, k) * self.mean_energy[k] for k in range(self.n_energies))
        return sympy.eye(self.length) - self.rate * sum(hessians, sympy.zeros(self.length))

    def by_block(self) -> sympy.Matrix:
        """The Jacobian stated by block: δ_{mn} A_n − γ/N J_Φᵀ(x⁽ⁿ⁾) J_Φ(x⁽ᵐ⁾)."""
        every = range(self.n_paths)
        factor = self.rate / self.n_paths
        blocks = [[_delta(n, m) * self.block(n) - factor * self.rows(n).T * self.rows(m) for m in every] for n in every]
        return sympy.Matrix(sympy.BlockMatrix(blocks))

    @property
    def stacked_rows(self) -> sympy.Matrix:
        """The Jacobians side by side, K × N·d."""
        return sympy.Matrix.hstack(*(self.rows(n) for n in range(self.n_paths)))

    def stacked_hessian(self, k: int) -> sympy.Matrix:
        """The Hessians of one energy in a block-diagonal matrix, N·d × N·d."""
        return sympy.diag(*(self.hessian(n, k) for n in range(self.n_paths)))

    def diagonal(self) -> sympy.Matrix:
        """I − γ Σ_k Φ̄_k times the stacked Hessians, N·d × N·d."""
        size = len(self.entries)
        hessians = (self.stacked_hessian(k) * self.mean_energy[k] for k in range(self.n_energies))
        return sympy.eye(size) - self.rate * sum(hessians, sympy.zeros(size))

    def by_stacking(self) -> sympy.Matrix:
        """The entire Jacobian: the block-diagonal matrix less γ/N times the stacked Jacobians' product."""
        return self.diagonal() - self.rate / self.n_paths * self.stacked_rows.T * self.stacked_rows

    def _from_entries(self, entry: Callable[[int, int, int, int], sympy.Expr]) -> sympy.Matrix:
        places = [(n, i) for n in range(self.n_paths) for i in range(self.length)]
        return sympy.Matrix([[entry(*row, *column) for column in places] for row in places])


def _delta(i: int, j: int) -> int:
    return int(i == j)


def same(one: sympy.Matrix, other: sympy.Matrix) -> bool:
    """Whether two polynomial matrices are equal for all values of their symbols.

    Example:
        >>> x = sympy.Symbol("x")
        >>> same(sympy.Matrix([(x + 1) ** 2]), sympy.Matrix([x**2 + 2 * x + 1]))
        True
    """
    return one.shape == other.shape and (one - other).expand() == sympy.zeros(*one.shape)


def symbolic_lines(n_paths: int = 2, length: int = 2, n_energies: int = 2) -> dict[str, sympy.Expr]:
    """Write out every line of Appendix A's last equation for blocks A_n and rows J_n made of symbols.

    Returns:
        The determinant by the names of `determinant_lines`, "brute force" apart.

    Example:
        >>> lines = symbolic_lines(n_paths=2, length=1, n_energies=1)
        >>> [name for name, line in lines.items() if sympy.cancel(line - lines["line 1"]) == 0]
        ['line 1', 'line 2', 'line 3', 'mended']
    """
    blocks = [sympy.Matrix(length, length, _symmetric(f"a{n}")) for n in range(n_paths)]
    rows = [sympy.Matrix(n_energies, length, sympy.symbols(f"j{n}_:{n_energies * length}")) for n in range(n_paths)]
    rate, identity = sympy.Symbol("gamma"), sympy.eye(n_energies)
    diagonal, joined = sympy.diag(*blocks), sympy.Matrix.hstack(*rows)
    inverses = [block.inv("GE") for block in blocks]
    grams = [row * inverse * row.T for row, inverse in zip(rows, inverses, strict=True)]
    total = sum(grams, sympy.zeros(n_energies))
    scale = rate / n_paths

    def det(*matrices: sympy.Matrix) -> sympy.Expr:
        return sympy.prod([matrix.det("laplace") for matrix in matrices])

    return {
        "line 1": det(diagonal - scale * joined.T * joined),
        "line 2": det(diagonal, identity - scale * joined * diagonal.inv("GE") * joined.T),
        "line 3": det(diagonal, identity - scale * joined * sympy.diag(*inverses) * joined.T),
        "mended": det(*blocks, identity - scale * total),
        "as printed": det(*blocks, *(identity - rate * n_energies * gram for gram in grams)),
        "Σ over n, no 1/N": det(*blocks, identity - rate * total),
    }


def _symmetric(name: str) -> Callable[[int, int], sympy.Symbol]:
    return lambda i, j: sympy.Symbol(f"{name}_{min(i, j)}_{max(i, j)}")
