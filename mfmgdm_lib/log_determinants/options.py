"""What is asked of the determinants of a descent: a backend, and how often and how well each is to be known."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from mfmgdm_lib._checks import check_member, check_positive, check_positive_int
from mfmgdm_lib.descents.descent import Descent, Move, State
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.log_determinants.determinant_lemma import StepDeterminant

__all__ = ["BACKENDS", "Backend", "Determinants", "ProbingBackend"]

BACKENDS = ("auto", "banded", "dense", "stochastic")
"""Names that stand for a backend; see `choose_backend`."""

_FORMER = {"structured": "banded", "ignore": "record"}
"""Spellings of release 0.1, which stored results have."""


@runtime_checkable
class Backend(Protocol):
    """A way to take a descent step and get its log-determinant along with it."""

    @property
    def name(self) -> str:
        """The name by which it is asked for."""

    def step(self, model: Descent, state: State, rng: np.random.Generator | None) -> tuple[Move, StepDeterminant]:
        """Take one step from `state`; `rng` is for those that need random numbers."""

    def uncoupled(
        self,
        energy: Energy,
        paths: Tensor,
        weights: Tensor,
        moved: Tensor | None = None,
        rng: np.random.Generator | None = None,
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
        backend: "banded" (exact, for energies with banded Hessians), "dense" (exact, the reference), "stochastic" (an
            estimate, for any energy), "auto" (see `choose_backend`), or an object with the methods of `Backend`: a
            `Stochastic` with settings of its own, or your own.
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
