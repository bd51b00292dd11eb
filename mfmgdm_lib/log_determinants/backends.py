"""What is asked of the determinants of a descent, the backends that calculate them, and the choice of one."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from numpy.random import Generator
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_member, check_positive, check_positive_int
from mfmgdm_lib._deprecated import renamed
from mfmgdm_lib.descents.communicator import LOCAL
from mfmgdm_lib.descents.constraint import PointwiseMap
from mfmgdm_lib.descents.descent import Descent, Move, State
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.energies.transforms import FlatEnergy, flat_energy
from mfmgdm_lib.log_determinants.banded import banded_blocks
from mfmgdm_lib.log_determinants.circulant import circulant_blocks
from mfmgdm_lib.log_determinants.dense import dense_blocks
from mfmgdm_lib.log_determinants.determinant_lemma import Blocks, StepDeterminant, apply_lemma
from mfmgdm_lib.log_determinants.stochastic import Stochastic
from mfmgdm_lib.processes.base import Seed, generator

__all__ = [
    "BACKENDS",
    "Backend",
    "Determinants",
    "ProbingBackend",
    "choose_backend",
    "flattened",
    "log_determinant",
    "step_with_determinant",
]

BACKENDS = ("auto", "banded", "circulant", "dense", "stochastic")
"""Names that stand for a backend; see `choose_backend`."""

_FORMER = {"structured": "banded", "ignore": "record"}
"""Spellings of release 0.1, which stored results have."""

_DENSE_LENGTH = 128
"""Longest path for which "auto" takes the dense backend: beyond it the cost, d³, is felt."""


@runtime_checkable
class Backend(Protocol):
    """A way to take a descent step and get its log-determinant along with it."""

    @property
    def name(self) -> str:
        """The name by which it is asked for."""

    def step(self, model: Descent, state: State, rng: Generator | None) -> tuple[Move, StepDeterminant]:
        """Take one step from `state`; `rng` is for those that need random numbers."""

    def uncoupled(
        self, energy: Energy, paths: Tensor, weights: Tensor, moved: Tensor | None = None, rng: Generator | None = None
    ) -> StepDeterminant:
        """Log-determinant of I − Σ_k w_k H_k of each path on its own, where the mismatch depends on no path.

        Args:
            energy: Φ.
            paths: where they stand, (N, d).
            weights: γ times the mismatch, (N, K).
            moved: the entries that move, (N, d) of bool; None where all do.
            rng: for those that need random numbers.
        """


@runtime_checkable
class ProbingBackend(Backend, Protocol):
    """A backend that estimates, better with more probes for each path."""

    @property
    def probes(self) -> int:
        """Probes for each path and step."""

    def with_probes(self, probes: int) -> Backend:
        """The same backend with another number of them."""


@dataclass(frozen=True)
class Determinants:
    """What belongs to the determinants of a descent.

    Attributes:
        backend: "banded" (exact, for energies with banded Hessians: O(d) for each path, on the host), "circulant"
            (exact, for autocovariances of periodic fields: O(d log d), by the fast Fourier transform), "dense" (exact,
            the reference, by automatic differentiation: O(d³)), "stochastic" (an estimate with a standard error, for
            any energy), "auto" (see `choose_backend`), or an object with the methods of `Backend`: a `Stochastic` with
            settings of its own, or your own.
        probes: probes for each path and step where "stochastic" is taken; None for one.
        step_error: standard error, nats, that a step's blocks should have in the mean where they are estimated: as many
            probes are sent as the last steps would have needed on average, from 1 to 16. Its own error must not decide,
            or lucky draws would be believed more easily than others. None takes the backend as it is.
        every: distance, in steps, of those whose determinants are calculated late in a descent; those between are
            interpolated, path by path. The first hundred have theirs in any case.
        on_fold: "raise" an error at a step whose Jacobian is not positive definite, or "record" it and go on with the
            logarithm of the absolute determinant, which makes a lower bound of the divergence.

    Raises:
        TypeError: a backend without the methods of `Backend`.
        ValueError: an unknown name, or a number that is not above 0.

    Example:
        >>> import mfmgdm_lib as mm
        >>> mm.Determinants("stochastic", probes=4, on_fold="record")
        Determinants(backend='stochastic', probes=4, step_error=None, every=1, on_fold='record')
    """

    backend: str | Backend = "auto"
    probes: int | None = None
    step_error: float | None = None
    every: int = 1
    on_fold: str = "raise"

    def __post_init__(self) -> None:
        if isinstance(self.backend, str):
            object.__setattr__(self, "backend", check_member("determinants", _current(self.backend), BACKENDS))
        elif isinstance(self.backend, type) or not isinstance(self.backend, Backend):
            raise TypeError(
                f"determinants is {self.backend!r}; expected one of {', '.join(BACKENDS)}, a Determinants, or a backend"
                " such as a Stochastic. Use a name."
            )
        elif self.probes is not None:
            raise ValueError(
                f"probes is {self.probes} with the backend {self.backend!r}; expected a backend by its name."
                " Use Stochastic(probes=...), or the name 'stochastic'."
            )
        object.__setattr__(self, "on_fold", check_member("on_fold", _current(self.on_fold), ("raise", "record")))
        check_positive_int("every", self.every)
        if self.probes is not None:
            check_positive_int("probes", self.probes)
        if self.step_error is not None:
            check_positive("step_error", self.step_error)

    @classmethod
    def of(cls, wanted: str | Backend | Determinants) -> Determinants:
        """`wanted` itself, or the settings that a name or a backend stands for."""
        return wanted if isinstance(wanted, Determinants) else cls(wanted)


def _current(name: str) -> str:
    if name not in _FORMER:
        return name
    warnings.warn(f"{name!r} is now {_FORMER[name]!r}", DeprecationWarning, stacklevel=5)
    return _FORMER[name]


@dataclass(frozen=True)
class _Exact:
    """The blocks of each path, joined by the determinant lemma."""

    name: str
    blocks: Callable[..., Blocks]

    def step(self, model: Descent, state: State, rng: Generator | None) -> tuple[Move, StepDeterminant]:
        move = model.move(state)
        blocks = self.blocks(model.driving, state.paths, model.weights(state), move.moved)
        k = model.energy.dim  # what a constraint adds couples no paths
        blocks = blocks._replace(gram=blocks.gram[:, :k, :k])
        return move, apply_lemma(blocks, model.rate, model.members(len(state.paths)), model.ensemble)

    def uncoupled(
        self, energy: Energy, paths: Tensor, weights: Tensor, moved: Tensor | None = None, rng: Generator | None = None
    ) -> StepDeterminant:
        return apply_lemma(self.blocks(energy, paths, weights, moved, coupled=False), 0.0, 1)


_EXACT = {
    "banded": _Exact("banded", banded_blocks),
    "circulant": _Exact("circulant", circulant_blocks),
    "dense": _Exact("dense", dense_blocks),
}


@renamed(backend="determinants")
def choose_backend(model: Descent, determinants: str | Backend | Determinants = "auto", *, length: int) -> Backend:
    """Return the backend that `determinants` asks for.

    "auto" is "banded" where the Hessians are banded, "circulant" where they are circulant and the support is the real
    line; elsewhere "dense" for paths of up to 128 points, and "stochastic" for longer ones.

    Args:
        model: the descent.
        determinants: the name of a backend, a backend, or a `Determinants`.
        length: points d of each path; of channels C · T, of a field H · W.

    Raises:
        ValueError: an unknown name, "banded" or "circulant" for an energy without such Hessians, or a model with
            several inner steps.
    """
    if model.inner_steps > 1:
        raise ValueError(
            f"the model has inner_steps={model.inner_steps}; expected 1 where a determinant is wanted (Section 4)."
            " Use inner_steps=1, or sample without the divergence."
        )
    wanted, banded = Determinants.of(determinants), model.driving.bandwidth is not None
    circulant = model.driving.circulant and model.support.whole_line
    backend = wanted.backend
    if isinstance(backend, str):
        if backend == "auto":
            structured = "banded" if banded else "circulant" if circulant else None
            backend = structured or ("dense" if length <= _DENSE_LENGTH else "stochastic")
        backend = Stochastic(probes=wanted.probes or 1) if backend == "stochastic" else _EXACT[backend]
    if backend is _EXACT["banded"] and not banded:
        raise ValueError(
            f"determinants is 'banded' for {model.driving!r}; expected an energy with banded Hessians."
            " Use 'dense' or 'stochastic'."
        )
    if backend is _EXACT["circulant"] and not circulant:
        raise ValueError(
            f"determinants is 'circulant' for {model.driving!r} on {model.support}; expected an energy with circulant"
            " Hessians on the real line. Use 'dense' or 'stochastic'."
        )
    if model.communicator is not LOCAL and isinstance(backend, ProbingBackend):
        raise ValueError(
            f"determinants is {wanted.backend!r} for {model.energy!r} at length {length}, which is estimated by random"
            " probes; expected an exact one, since the others are not shared out over processes. Use 'dense' for short"
            " paths, or a single process with mm.reverse_kl_trace."
        )
    return backend


@checked
@renamed(backend="determinants")
def log_determinant(
    model: Descent, state: State, determinants: str | Backend | Determinants = "auto", *, seed: Seed = None
) -> StepDeterminant:
    r"""Log-determinant of the Jacobian of the step from `state` (paper Section 3.2 and Appendices A and B).

    Within an ensemble of M paths the Jacobian is block-diagonal minus a term of rank K,

    .. math:: J = \operatorname{diag}_n A_n - \frac{\gamma}{M} \mathcal J^\top \mathcal J, \qquad
              A_n = I - \gamma \sum_k \bar r_k H_k(x^{(n)}), \quad
              \mathcal J = [J_\Phi(x^{(1)}) \cdots J_\Phi(x^{(M)})]

    with the mismatch r̄ = Φ̄ − α, and the determinant lemma turns it into

    .. math:: \det J = \prod_n \det A_n \cdot
              \det\Bigl(I_K - \frac{\gamma}{M} \sum_n J_\Phi(x^{(n)}) A_n^{-1} J_\Phi(x^{(n)})^\top\Bigr).

    The last matrix is the capacitance matrix. Where a step leaves entries of a path as they are because they would
    leave the support, rows and columns of those entries are left out. All sums are in float64, whatever the dtype of
    the paths. A constraint of the model has γ_c ∇²V in each block, and a map at its end, where `state` is the one
    before it, has the sum of its log-derivatives.

    Args:
        model: the descent, with one inner step.
        state: where it stands, from `model.evaluate` or `model.steps`.
        determinants: the name of a backend, a backend, or a `Determinants`, of which only the backend counts.
        seed: for the stochastic backend, which needs one: whatever `numpy.random.default_rng` takes.

    Returns:
        The determinant, in its parts, on the device of the paths.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, length=64, seed=1)
        >>> model = mm.MFMGDM(energy, target, step_size=1.0)
        >>> state = model.evaluate(process.sample(3, 64, seed=2))
        >>> exact, reference = (mm.log_determinant(model, state, b) for b in ("banded", "dense"))
        >>> bool(abs(exact.per_path - reference.per_path).max() < 1e-10)
        True
        >>> estimate = mm.log_determinant(model, state, "stochastic", seed=3)
        >>> bool((abs(estimate.per_path - exact.per_path) < 4 * estimate.standard_error).all())
        True
    """
    chosen = choose_backend(model, determinants, length=math.prod(state.paths.shape[1:]))
    return step_with_determinant(chosen, model, state, None if seed is None else generator(seed))[1]


def step_with_determinant(
    backend: Backend, model: Descent, state: State, rng: Generator | None
) -> tuple[Move, StepDeterminant]:
    """Take one step from `state` and get its log-determinant; the backend sees paths laid out flat, (N, d)."""
    if state.ends and model.last is not None:
        return _last_step(model, model.last, state)
    move, determinant = backend.step(*flattened(model, state), rng)
    shape = state.paths.shape
    moved = None if move.moved is None else move.moved.reshape(shape)
    return Move(move.paths.reshape(shape), moved), determinant


def _last_step(model: Descent, last: PointwiseMap, state: State) -> tuple[Move, StepDeterminant]:
    """The map at the end of a descent, whose Jacobian is diagonal."""
    move = model.move(state)
    logs = last.log_derivative(state.paths.double())
    blocks = (logs if move.moved is None else logs.where(move.moved, 0.0)).flatten(1).sum(-1)
    members = model.members(len(blocks))
    nothing = blocks.new_zeros(len(blocks) // members)
    size = model.ensemble.size(members)
    return move, StepDeterminant(blocks, nothing, nothing.long(), torch.zeros_like(blocks), nothing, members=size)


def flattened(model: Descent, state: State) -> tuple[Descent, State]:
    """The same descent of paths laid out flat, (N, d), and where it stands."""
    shape = state.paths.shape
    if len(shape) == 2:
        return model, state
    flat, paths, derivatives = copy.copy(model), state.paths.flatten(1), state.derivatives
    flat.energy = flat_energy(model.energy, shape[1:])
    if derivatives is not None and derivatives.serve(model.energy, state.paths) and isinstance(flat.energy, FlatEnergy):
        derivatives = flat.energy.flattened(derivatives, paths)
    if model.constraint is not None:
        flat.constraint = model.constraint.flattened(tuple(shape[1:]))
    return flat, replace(state, paths=paths, derivatives=derivatives)
