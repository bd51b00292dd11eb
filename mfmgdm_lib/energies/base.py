"""The base classes of energies: values, gradients, Jacobians and Hessians."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import as_shape, check_finite, check_not_nan, check_paths, common_shape, spelled_shape
from mfmgdm_lib.processes.base import Process, Size

__all__ = ["BandedEnergy", "Derivatives", "Energy", "fingerprint"]


class Derivatives:
    """Derivatives of an energy at some paths, which may use what was calculated for its values there.

    Args:
        energy: Φ.
        x: paths, (*, time).
        gradient: from weights (*, K) to what `Energy.gradient` returns.
        linearize: from weights (*, K) to what `Energy.linearize` returns.
    """

    def __init__(
        self,
        energy: Energy,
        x: Tensor,
        gradient: Callable[[Tensor], Tensor],
        linearize: Callable[[Tensor], tuple[Tensor, Callable[[Tensor], Tensor]]],
    ) -> None:
        self.gradient, self.linearize = gradient, linearize
        self.dim, self._energy, self._x = energy.dim, energy, x
        self._version = None if x.is_inference() else x._version

    def serve(self, energy: Energy, x: Tensor) -> bool:
        """Whether they are those of this energy at these very paths, and these have not been changed in place.

        Tensors of `torch.inference_mode` do not count their changes, so nothing serves for them.
        """
        same = energy is self._energy and x is self._x
        return same and self._version is not None and x._version == self._version


_DERIVATIVES = ("gradient", "linearize", "jacobian", "jacobian_products", "hessian_bands", "laplacian")


def _of_its_shapes(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a derivative refuse paths and weights of other shapes than its energy takes."""

    @functools.wraps(method)
    def call(self: Energy, x: Tensor, *weights: Tensor, **named: Tensor) -> Any:
        self._check_shapes(x, *weights, **named)
        return method(self, x, *weights, **named)

    return call


@checked
class Energy(ABC):
    """A map Φ from a path to K numbers, each a time average (paper Section 1).

    A path is a series (time,) unless `event_shape` says otherwise: with (2, None) it has two channels (2, time), with
    (8, 8) it is a field. What is said below of paths (*, time) holds for (*, *event_shape).

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
    def event_shape(self) -> tuple[int | None, ...]:
        """Shape of a path, with None for an axis of any size: (T,) of a series, (C, T) of channels, (H, W) of a field.

        An energy of other paths than series sets it in its class.
        """
        return (self.length,)

    @property
    def event_ndim(self) -> int:
        """Number of axes of a path: 1 for a series."""
        return len(self.event_shape)

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
            ValueError: a length that the energy does not take, entries that are not finite, or so large that an energy
                is NaN.
        """
        return check_not_nan(x, self._evaluate(self._check(x)), "energy")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Hold the arguments of the derivatives that a class writes itself against its shapes."""
        super().__init_subclass__(**kwargs)
        for name in _DERIVATIVES:
            if name in vars(cls):
                setattr(cls, name, _of_its_shapes(vars(cls)[name]))

    def _check_shapes(self, x: Tensor, weights: Tensor | None = None) -> None:
        """Refuse paths x (*, time) that the energy does not take, and weights that are not (*, K)."""
        check_paths("x", x, minimum_length=self.minimum_length)
        if self.length is not None and x.shape[-1] != self.length:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (*, {self.length}), the length that {self!r} has filters"
                f" for. Use paths of that length, or an energy made for {x.shape[-1]}."
            )
        shape = self.event_shape
        if len(shape) > 1 and common_shape(shape, x.shape[-len(shape) :]) is None:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (*, {spelled_shape(shape)}), the paths of {self!r}."
                " Use paths of that shape, or an energy made for theirs."
            )
        if weights is None:
            return
        check_paths("weights", weights)
        batch = x.shape[: x.ndim - self.event_ndim]
        sizes = zip(weights.shape[-2::-1], batch[::-1], strict=False)
        fits = weights.ndim <= len(batch) + 1 and all(have in (1, wanted) for have, wanted in sizes)
        if weights.shape[-1] != self.dim or not fits:
            raise ValueError(
                f"weights has shape {tuple(weights.shape)}; expected {(*batch, self.dim)}, a weight for each energy of"
                f" {self!r} and each path. Use such as `model.weights(state)`."
            )

    def _check(self, x: Tensor) -> Tensor:
        """Return paths x (*, time) if the energy takes them."""
        self._check_shapes(x)
        if not torch._C._functorch.is_functorch_wrapped_tensor(x):  # inside torch.func.* nothing can be looked at
            check_finite("x", x)
        return x

    def path_length(self, wanted: Size | None = None, *laws: Process) -> Size:
        """The size of a path, as `Process.sample` takes it: points of a series, or the shape of another path.

        Args:
            wanted: points of a series, or of each channel; or a whole shape. None for the size that the energy is made
                for, or the 1024 points in time of the paper.
            laws: what such paths are drawn from.

        Raises:
            ValueError: laws over paths of another shape, or an axis whose size is not known.
        """
        shape = self.event_shape
        for law in laws:
            shape = common_shape(shape, law.event_shape) or ()
            if not shape:
                raise ValueError(
                    f"{law!r} draws paths ({spelled_shape(law.event_shape)}), and {self!r} takes"
                    f" ({spelled_shape(self.event_shape)}); expected one shape. Use a law and an energy of the same"
                    " paths."
                )
        if wanted is None:
            wanted = 1024 if shape[-1] is None else shape[-1]
        if len(shape) == 1:
            return wanted
        asked = (*shape[:-1], wanted) if isinstance(wanted, int) else tuple(wanted)
        if None in asked or common_shape(shape, asked) is None:
            raise ValueError(
                f"length is {wanted!r}; expected the shape of a path of {self!r}, ({spelled_shape(shape)})."
                " Pass it as a tuple."
            )
        return as_shape("length", asked)

    @property
    def commuting(self) -> bool:
        """Whether Φ is made of quadratic forms whose matrices H_k commute.

        Then J(x) has the rows H_k x, and A⁻¹J(x)ᵀ = J(A⁻¹x)ᵀ for any A made of the H_k: one solve does for K.
        """
        return False

    @property
    def circulant(self) -> bool:
        """Whether Φ is made of quadratic forms ½ xᵀH_k x whose H_k do not change when a periodic path is shifted.

        Then the Fourier basis diagonalises all H_k, and `hessian_spectra` has their eigenvalues.
        """
        return False

    @abstractmethod
    def _evaluate(self, x: Tensor) -> Tensor:
        """Map checked paths (*, time) to energies (*, K), differentiably and without in-place writes."""

    def evaluate(self, x: Tensor) -> tuple[Tensor, Derivatives]:
        """Return Φ, (*, K), on paths x (*, time) as a call does, NaN too, and derivatives that may use what it took.

        These are for the next step: until they are let go of, they may keep a hundred megabytes.
        """
        return self._evaluate(self._check(x)), self.derivatives(x)

    def derivatives(self, x: Tensor) -> Derivatives:
        """Return `gradient` and `linearize` at paths x (*, time), where no values are at hand that they could use."""
        return Derivatives(self, x, partial(self.gradient, x), partial(self.linearize, x))

    @_of_its_shapes
    def gradient(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the force J_Φᵀw = Σ_k w_k ∇Φ_k: (*, time) for paths (*, time) and weights (*, K)."""
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (force,) = torch.autograd.grad((self(leaf) * weights).sum(), leaf)
        return force

    @_of_its_shapes
    def linearize(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the force J_Φᵀw, (*, time), for paths (*, time) and weights (*, K), and its derivative.

        That is a function from (*, time) to (*, time), the product with Σ_k w_k H_k, to be called as often as needed.
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

    @_of_its_shapes
    def jacobian(self, x: Tensor) -> Tensor:
        """Return J_Φ, one row for each energy: (*, K, time) for paths (*, time)."""
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            columns = self(leaf).reshape(-1, self.dim).sum(0)  # a path's energies do not depend on other paths
            rows = [torch.autograd.grad(value, leaf, retain_graph=True)[0] for value in columns]
        return torch.stack(rows, dim=-1 - self.event_ndim)

    @_of_its_shapes
    def jacobian_products(self, x: Tensor) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        """Return the products with J_Φ at paths (*, time) and with its transpose, to be called as often as needed.

        The first is a function from (*, time) to (*, K), the second one from (*, K) to (*, time).
        """
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            values = self(leaf)
            weights = torch.zeros_like(values, requires_grad=True)
            (force,) = torch.autograd.grad(values, leaf, weights, create_graph=True)  # linear in the weights

        def push(vectors: Tensor) -> Tensor:
            return torch.autograd.grad(force, weights, vectors, retain_graph=True)[0]

        def pull(weights: Tensor) -> Tensor:
            return torch.autograd.grad(values, leaf, weights, retain_graph=True)[0]

        return push, pull

    def hessian_bands(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the lower bands of Σ_k w_k H_k, (*, bandwidth + 1, time), for paths (*, time) and weights (*, K).

        Entry (j, i) is the entry (i + j, i) of the matrix; zero where i + j falls off the end.

        Raises:
            TypeError: an energy without banded Hessians.
        """
        raise TypeError(f"{self!r} has no banded Hessians; expected an energy with a bandwidth. Use linearize.")

    def hessian_spectra(self, shape: Sequence[int]) -> Tensor:
        """Return the eigenvalues of the H_k of a `circulant` energy of paths of a shape, float64.

        They are those at the frequencies of `torch.fft.rfftn`: (K, H, W // 2 + 1) for fields (H, W).

        Raises:
            TypeError: an energy that is not circulant.
        """
        raise TypeError(f"{self!r} has no circulant Hessians; expected an energy that has. Use linearize.")

    @_of_its_shapes
    def laplacian(self, x: Tensor) -> Tensor:
        """Return ΔΦ, the traces of the Hessians: (*, K) for paths (*, time).

        Here from the bands, an energy at a time; override it where a closed form is faster.

        Raises:
            TypeError: an energy without banded Hessians.
        """
        units = torch.eye(self.dim, dtype=x.dtype, device=x.device)
        bands = (self.hessian_bands(x, unit.expand(*x.shape[:-1], self.dim)) for unit in units)
        return torch.stack([each[..., 0, :].sum(-1) for each in bands], dim=-1)


class BandedEnergy(Energy):
    """An energy whose Hessians are banded, which makes determinants exact in O(d)."""

    @property
    @abstractmethod
    def bandwidth(self) -> int:
        """Largest |i − j| at which a Hessian entry (i, j) can differ from zero."""

    @abstractmethod
    def hessian_bands(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the lower bands of Σ_k w_k H_k, (*, bandwidth + 1, time), as `Energy.hessian_bands` says."""


def fingerprint(energy: Energy, length: Size) -> np.ndarray:
    """Values of an energy, (K,) float64, on one path that is always the same: what tells it from others.

    A name does not tell matrices and filters apart.
    """
    shape = as_shape("length", length)
    points = math.prod(shape)
    time = torch.arange(points, dtype=torch.float64)
    path = torch.sin(time * time / points) + 0.5 * torch.cos(0.3 * time)
    return energy(path.reshape(shape)).detach().numpy()
