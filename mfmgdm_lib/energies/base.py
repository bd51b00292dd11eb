"""The base classes of energies: values, gradients, Jacobians and Hessians."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._checks import check_finite, check_paths

__all__ = ["BandedEnergy", "Energy", "fingerprint"]


class Energy(ABC):
    """A map Φ from a path to K numbers, each a time average (paper Section 1).

    To add one, set `labels` and write `_evaluate`; everything else follows by automatic differentiation.
    Override `gradient`, `linearize` and `jacobian` where a closed form is faster, derive from `BandedEnergy` where the
    Hessians are banded, from `RecordedEnergy` where all derivatives share the work of the energy itself, and list an
    instance in `tests/test_contracts.py`. Energies hold no state that changes.
    """

    labels: tuple[str, ...]
    """One name for each of the K energies, in order."""

    minimum_length: int = 2
    """Shortest path, in points, for which the energy is defined."""

    length: int | None = None
    """The only length of path that the energy takes, where it has filters made for it; else None."""

    @property
    def dim(self) -> int:
        """Number of energies K."""
        return len(self.labels)

    @property
    def bandwidth(self) -> int | None:
        """Largest |i − j| at which a Hessian entry (i, j) can differ from zero; None where there is no such band."""
        return None

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluate Φ on paths x (*, time): a tensor (*, K) of the same dtype and device.

        Raises:
            TypeError: not a tensor, or not of a real floating dtype.
            ValueError: a length that the energy does not take, or entries that are not finite.
        """
        return self._evaluate(self._check(x))

    def _check(self, x: Tensor) -> Tensor:
        """Return paths x (*, time) if the energy takes them."""
        check_paths("x", x, minimum_length=self.minimum_length)
        if self.length is not None and x.shape[-1] != self.length:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (*, {self.length}), the length that {self!r} has filters"
                f" for. Use paths of that length, or an energy made for {x.shape[-1]}."
            )
        if not torch._C._functorch.is_functorch_wrapped_tensor(x):  # inside torch.func.* nothing can be looked at
            check_finite("x", x)
        return x

    def path_length(self, wanted: int | None = None) -> int:
        """Points of a path: as many as `wanted`, or the energy's own `length`, or the 1024 of the paper."""
        if wanted is not None:
            return wanted
        return 1024 if self.length is None else self.length

    @property
    def commuting(self) -> bool:
        """Whether Φ is made of quadratic forms whose matrices H_k commute.

        Then J(x) has the rows H_k x, and A⁻¹J(x)ᵀ = J(A⁻¹x)ᵀ for any A made of the H_k: one solve does for K.
        """
        return False

    @abstractmethod
    def _evaluate(self, x: Tensor) -> Tensor:
        """Map checked paths (*, time) to energies (*, K), differentiably and without in-place writes."""

    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the force J_Φᵀw = Σ_k w_k ∇Φ_k on each path.

        Args:
            x: paths (*, time).
            weights: one weight for each energy, (*, K).

        Returns:
            A tensor (*, time).
        """
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (force,) = torch.autograd.grad((self(leaf) * weights).sum(), leaf)
        return force

    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force J_Φᵀw and its derivative: a function that multiplies vectors by Σ_k w_k H_k.

        Args:
            x: paths (*, time).
            weights: one weight for each energy, (*, K).

        Returns:
            The force (*, time), and a function from (*, time) to (*, time), to be called as often as needed.
        """
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (force,) = torch.autograd.grad((self(leaf) * weights).sum(), leaf, create_graph=True)

        def product(vectors: Tensor) -> Tensor:
            if not force.requires_grad:  # an energy linear in the path has no Hessian
                return torch.zeros_like(vectors)
            (curved,) = torch.autograd.grad(force, leaf, vectors, retain_graph=True, materialize_grads=True)
            return curved

        return force.detach(), product

    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ, one row for each energy: (*, K, time) for paths (*, time)."""
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            columns = self(leaf).reshape(-1, self.dim).sum(0)  # a path's energies do not depend on other paths
            rows = [torch.autograd.grad(value, leaf, retain_graph=True)[0] for value in columns]
        return torch.stack(rows, dim=-2)

    def hessian_bands(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the lower bands of Σ_k w_k H_k, where `bandwidth` is a number.

        Args:
            x: paths (*, time).
            weights: one weight for each energy, (*, K).

        Returns:
            A tensor (*, bandwidth + 1, time) whose entry (j, i) is the matrix entry (i + j, i); zero where i + j
            falls off the end.

        Raises:
            TypeError: an energy without banded Hessians.
        """
        raise TypeError(f"{self!r} has no banded Hessians; expected an energy with a bandwidth. Use linearize.")


class BandedEnergy(Energy):
    """An energy whose Hessians are banded, which makes determinants exact in O(d)."""

    @property
    @abstractmethod
    def bandwidth(self) -> int:
        """Largest |i − j| at which a Hessian entry (i, j) can differ from zero."""

    @abstractmethod
    def hessian_bands(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the lower bands of Σ_k w_k H_k, (*, bandwidth + 1, time), as `Energy.hessian_bands` says."""


def fingerprint(energy: Energy, length: int) -> np.ndarray:
    """Values of an energy, (K,) float64, on one path that is always the same: what tells it from others.

    A name does not tell matrices and filters apart.
    """
    time = torch.arange(length, dtype=torch.float64)
    return energy(torch.sin(time * time / length) + 0.5 * torch.cos(0.3 * time)).detach().numpy()
