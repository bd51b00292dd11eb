"""The gradient flow, the limit of small steps of a descent, by an exponential Euler method with adaptive steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.distributions import constraints

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_positive, check_positive_int
from mfmgdm_lib._lanczos import lanczos
from mfmgdm_lib._progress import counter
from mfmgdm_lib.descents.descent import Descent, State
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.errors import DivergedError
from mfmgdm_lib.specification import register
from mfmgdm_lib.support import REAL_LINE
from mfmgdm_lib.target import Target

__all__ = ["FlowState", "GradientFlow"]

_CHUNK = 64
"""Paths whose Jacobians are in memory at once."""

_FIRST = 1e-6
"""The first step tried, as a part of the duration."""

_FEW = 256
"""Energies up to which the rows of a part of the paths' Jacobians are quicker than products with them."""

_KRYLOV = 0.1
"""Part of the error that a step may have which products with G may leave."""

_GROWTH, _SHRINK, _CAUTION = 2.0, 0.2, 0.8
"""How much longer or shorter a step may be than the one before, and how far below the tolerance it aims."""


@dataclass(frozen=True)
class FlowState(State):
    """Where N paths stand after some time.

    Attributes:
        time: how long they have flowed, in the units of step size times steps of the descent that this stands for.
        weights: what the gradients of the energies were multiplied by in the step that led here, (N / members, K),
            float64, the same for all members of an ensemble; None before the first step.
        price: what the coupling of N paths took of the entropy of each in the step that led here, h tr G / N nats for a
            step of length h, a mean over ensembles; NaN where G is not written down.
    """

    time: float = 0.0
    weights: Tensor | None = None
    price: float = 0.0


@checked
@register
class GradientFlow:
    r"""The limit of small steps of a descent, eqs. (3) and (6), followed by steps as long as the curve allows.

    Along the flow :math:`\dot x = -J_\Phi(x)^\top \bar r` the mean mismatch r̄ = Φ̄ − α of an ensemble obeys
    :math:`\dot{\bar r} = -G \bar r`, where G is the mean over the ensemble of the Gram matrices
    :math:`J_\Phi J_\Phi^\top` of the energies' gradients. They are far apart in scale, which is what makes the descent
    slow: its step has to be small enough for the steepest direction of energy space, and all others wait. With G held
    for a time h the flow can be written down,

    .. math:: x \leftarrow x - J_\Phi(x)^\top\, G^{-1} \bigl(I - e^{-hG}\bigr)\, \bar r,

    an exponential Euler step (Hochbruck and Ostermann, 2010). It is a step of the descent with the energy whitened by
    :math:`G^{-1/2}`, anew each time. h is chosen so that the mean mismatch after the step is where
    the formula says it is, up to `tolerance` times ‖α‖, or up to `relative_tolerance` times the mean mismatch where
    that is more, which saves steps where paths start far from the target. No determinants come with these steps.

    On a support with ends the flow is what App. B's rule becomes for small steps, where an entry that a step would take
    out keeps its value: it runs on to the end of the support, rests there while its own force points out, and leaves
    when that points in. So a step leaves the entries that rest out of G, and sets those that would get out to the end.
    No entry is ever outside, and with the tolerance the paths tend to those of a descent whose steps get smaller. The
    mean energy need not get to the target: where all that could lead there is at rest, the flow is at rest too, and its
    loss says how far away. Many entries may end exactly at the end of the support.

    Args:
        energy: Φ.
        target: α, of the same K energies.
        tolerance: error of one step in the mean mismatch (in MGDM: its average over paths), relative to ‖α‖. Steps are
            of the first order: the error of the paths goes with the square root of it.
        relative_tolerance: the same relative to the mean mismatch, where that allows more; None for never.
        ensemble_size: paths in each ensemble: 1 is MGDM, None puts all in one.
        support: where the values of a path lie, as for `Descent`.
        gram_paths: paths of each ensemble that G is averaged over at first: one half are those of the largest energies,
            the other stands for the rest. After a step that had to be shortened they are twice as many. A few often do
            for an energy whose Jacobian is slow: as in a W-method (Steihaug and Wolfbrandt, 1979) a rough G costs
            steps, while their error, which is measured, stays within the tolerance. Of more than 256 energies G is then
            not written down either: its function in the formula comes from products with it, up to a tenth of the
            tolerance (`lanczos`). None for all paths and the whole G.

    Raises:
        ValueError: a tolerance or number of paths that is not above 0, a target of other energies, or another support.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, seed=1)
        >>> x0 = mm.initial_distribution(process).sample(8, 1024, seed=2)
        >>> states = list(mm.GradientFlow(energy, target).steps(x0, duration=10.0 * 1000))
        >>> len(states) < 30, float(states[-1].loss[0]) < 1e-8
        (True, True)
    """

    def __init__(
        self,
        energy: Energy,
        target: Target,
        *,
        tolerance: float = 0.02,
        relative_tolerance: float | None = None,
        ensemble_size: int | None = None,
        support: constraints.Constraint = REAL_LINE,
        gram_paths: int | None = None,
    ) -> None:
        self._descent = Descent(energy, target, 1.0, ensemble_size=ensemble_size, support=support)
        self.support = self._descent.support
        self.energy, self.target, self.ensemble_size = energy, target, ensemble_size
        self.tolerance = check_positive("tolerance", tolerance)
        self.gram_paths = None if gram_paths is None else check_positive_int("gram_paths", gram_paths)
        self.relative_tolerance = (
            None if relative_tolerance is None else check_positive("relative_tolerance", relative_tolerance)
        )

    def __repr__(self) -> str:
        return f"GradientFlow({self.energy!r}, tolerance={self.tolerance:g})"

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """Shape of a path, that of the energy."""
        return self.energy.event_shape

    def sample(self, x0: Tensor, duration: float) -> Tensor:
        """Return the paths to which x0 (N, time) has flowed after `duration`: a tensor like x0.

        Raises:
            DivergedError: the curve is too sharp to be followed; the error names the step.
        """
        for state in self.steps(x0, duration):
            last = state
        return last.paths

    def steps(self, x0: Tensor, duration: float, *, max_steps: int = 2000) -> Iterator[FlowState]:
        """Yield the states after 0, 1, 2, … steps, the last one after `duration`.

        Args:
            x0: starting paths (N, time); their dtype and device are kept.
            duration: step size s times number of steps T of the descent that this stands for, above 0.
            max_steps: how many steps are allowed.

        Raises:
            DivergedError: the curve is too sharp to be followed in that many steps.
        """
        # The rate of a descent is s / ‖α‖², so this is how long it flows.
        norm = float(self.target.mean.square().sum())
        left = check_positive("duration", duration) / norm
        allowed = check_positive_int("max_steps", max_steps)
        (start,) = self._descent.steps(x0, 0)
        state = FlowState(**vars(start))
        yield state
        length = _FIRST * left
        members = self._descent.members(len(x0))
        n_used = members if self.gram_paths is None else min(members, self.gram_paths)
        with counter(total=100, description="gradient flow") as bar:
            while left > 0.0:
                if state.step == allowed:
                    raise DivergedError(
                        f"{100 * (1 - left * norm / duration):.2g} % of the duration were reached in max_steps ="
                        f" {allowed} steps with tolerance {self.tolerance:g}; expected the whole. Use a larger"
                        " tolerance, another start, or an energy whose values are less extreme.",
                        step=state.step,
                    )
                tried = min(length, left)
                state, taken, length = self._step(state, tried, norm, n_used)
                if taken < tried:
                    n_used = min(2 * n_used, members)
                left = 0.0 if taken >= left else left - taken
                bar.update(int(100 * (1 - left * norm / duration)) - bar.n)
                yield state

    def _step(self, state: FlowState, length: float, norm: float, n_used: int) -> tuple[FlowState, float, float]:
        """Take a step of at most `length`: the state after it, how long it was, and how long the next may be.

        With `gram_paths`, G is that of `n_used` paths of each ensemble.
        """
        members = self._descent.members(len(state.paths))
        resting = self._resting(state, length)
        mismatch = state.mismatch.double()[::members]
        scale = norm**0.5
        if self.relative_tolerance is not None:
            far = float(mismatch.norm(dim=-1).mean())
            scale = max(scale, far * self.relative_tolerance / self.tolerance)
        trace = torch.nan
        if self.gram_paths is None or self.energy.dim <= _FEW:
            values, vectors = torch.linalg.eigh(self._gram(state, members, n_used, resting))
            trace = float(values.sum(-1).mean())
        else:
            product = self._gram_product(state, members, n_used, resting)
            values, vectors = _ritz_pairs(product, mismatch, length, _KRYLOV * self.tolerance * scale)
        values = values.clamp(min=0.0)  # which round-off alone can make negative
        rotated = _apply(vectors.mT, mismatch)
        while True:
            weights = _apply(vectors, _mean_decay(length, values) * length * rotated)
            aim = _apply(vectors, torch.exp(-length * values) * rotated)
            each = weights.repeat_interleave(members, 0).to(state.paths)
            miss = torch.inf
            with suppress(DivergedError):  # which says that the step was too long
                after = self._descent.evaluate(self._moved(state.paths, each, resting), state.step + 1)
                miss = float((after.mismatch[::members] - aim).norm(dim=-1).mean()) / scale
            if miss <= self.tolerance:
                longer = min(_GROWTH, _CAUTION * (self.tolerance / max(miss, 1e-300)) ** 0.5)
                now, price = state.time + length * norm, length * trace / members
                reached = replace(after, derivatives=None)  # of states that are yielded, and may be kept
                return FlowState(**vars(reached), time=now, weights=weights, price=price), length, longer * length
            length *= max(_SHRINK, _CAUTION * (self.tolerance / miss) ** 0.5)
            if length * norm < torch.finfo(torch.float64).eps * max(state.time, 1e-30):
                raise DivergedError(
                    f"no step from step {state.step} is short enough for tolerance {self.tolerance:g}; expected paths"
                    " whose energies change smoothly. Use another start, or less extreme values.",
                    step=state.step,
                )

    def _resting(self, state: State, length: float) -> Tensor | None:
        """Which entries, (N, time), are at an end of the support with a force that points out; None without ends."""
        if self.support.whole_line:
            return None
        proposal = state.paths - length * self.energy.gradient(state.paths, state.mismatch)
        return ~self.support.contains(proposal) & (self.support.nearest(proposal) == state.paths)

    def _moved(self, paths: Tensor, weights: Tensor, resting: Tensor | None) -> Tensor:
        """Paths less the force with these weights (N, K), inside the support."""
        force = self.energy.gradient(paths, weights)
        return paths - force if resting is None else self.support.nearest(paths - force.masked_fill(resting, 0.0))

    def _gram(self, state: State, members: int, n_used: int, resting: Tensor | None) -> Tensor:
        """G of each ensemble, of the entries that do not rest, over some paths: (N / members, K, K), float64."""
        paths, shares = state.paths, None
        if n_used < members:
            places, shares = _some_paths(state.energies, members, n_used)
            paths, resting = paths[places], None if resting is None else resting[places]
        grams = []
        for start in range(0, len(paths), _CHUNK):
            some = slice(start, start + _CHUNK)
            rows = self.energy.jacobian(paths[some])
            rows = (rows if resting is None else rows.masked_fill(resting[some, None], 0.0)).flatten(2)
            grams.append((rows @ rows.mT).double())
        grouped = torch.cat(grams).unflatten(0, (-1, n_used))
        return grouped.mean(1) if shares is None else torch.einsum("p,npkl->nkl", shares, grouped)

    def _gram_product(
        self, state: State, members: int, n_used: int, resting: Tensor | None
    ) -> Callable[[Tensor], Tensor]:
        """The product with G, of the entries that do not rest, over some paths: (N / members, K) to itself, float64."""
        places, shares = _some_paths(state.energies, members, n_used)
        push, pull = self.energy.jacobian_products(state.paths[places])

        def product(weights: Tensor) -> Tensor:
            force = pull(weights.repeat_interleave(n_used, 0).to(state.paths))
            force = force if resting is None else force.masked_fill(resting[places], 0.0)
            return shares @ push(force).double().unflatten(0, (-1, n_used))

        return product


def _some_paths(energies: Tensor, members: int, n_used: int) -> tuple[Tensor, Tensor]:
    """Places of `n_used` paths of each ensemble, in order, and the shares of an ensemble that they stand for.

    Gradients grow with energies, and where tails are heavy a few paths have most of G: half of those used are the ones
    of the largest energies, for themselves, the others evenly spaced among the rest by size, for all of it.
    """
    sizes = energies.double().norm(dim=-1).unflatten(0, (-1, members))
    order = sizes.argsort(dim=-1, descending=True, stable=True)
    largest = n_used if n_used == members else n_used // 2
    spaced = largest + torch.arange(n_used - largest) * (members - largest) // max(n_used - largest, 1)
    chosen = order[:, torch.cat([torch.arange(largest), spaced])]
    shares = energies.new_full((n_used,), 1.0 / members, dtype=torch.float64)
    shares[largest:] = (1.0 - largest / members) / max(n_used - largest, 1)
    starts = torch.arange(0, len(energies), members, device=energies.device)
    return (starts[:, None] + chosen).flatten(), shares


def _ritz_pairs(
    product: Callable[[Tensor], Tensor], mismatch: Tensor, length: float, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Eigenpairs of each G in the fewest vectors that leave an error of `tolerance` in the mismatch after a step.

    The formula's own rate of change there differs from −G r̄ by what the next vector would add; integrated over the
    step that is the error, for G lets none grow.
    """

    def left(values: Tensor, first: Tensor, last: Tensor) -> bool:
        error = length * (last * _mean_decay(length, values.clamp(min=0.0)) * first).sum(-1).abs()
        return float((error * mismatch.norm(dim=-1)).mean()) > tolerance

    return lanczos(product, mismatch, left)


def _apply(matrices: Tensor, vectors: Tensor) -> Tensor:
    return (matrices @ vectors.unsqueeze(-1)).squeeze(-1)


def _mean_decay(length: float, values: Tensor) -> Tensor:
    """(1 − e^{−hλ}) / hλ, the mean of a decay over a time h; 1 at λ = 0."""
    product = length * values
    return torch.where(product > 1e-12, -torch.expm1(-product) / product.clamp(min=1e-12), 1.0)
