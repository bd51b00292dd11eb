"""The steps of a descent along with their determinants, and what is recorded of these."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from mfmgdm_lib._checks import first_true
from mfmgdm_lib.descents.descent import Descent, State
from mfmgdm_lib.errors import NotInvertibleError, concerned
from mfmgdm_lib.log_determinants.backends import (
    Backend,
    Determinants,
    ProbingBackend,
    choose_backend,
    step_with_determinant,
)
from mfmgdm_lib.log_determinants.determinant_lemma import StepDeterminant
from mfmgdm_lib.log_determinants.quadrature import quadrature_nodes

__all__ = ["DeterminantSteps", "check_not_folded"]

_MAX_PROBES = 16
"""Probes for a step at most, however rough they are."""

_SMOOTHING = 1 / 8
"""Weight of the latest step in the running variance that probes are chosen by: one step alone knows its own roughly."""

_MEND = "Use a smaller step size, or pass determinants=Determinants(on_fold='record') for a lower bound."


class DeterminantSteps:
    """Takes the steps of a descent, with the determinants of those of them that are asked for.

    Nothing but the records is kept between steps, so a run goes on from them.

    Args:
        model: the descent.
        determinants: what is asked for.
        n_steps: number of steps T.
        n_paths: paths whose own logarithms are recorded; None records the means alone.
        length: points d of each path.
        entropy: what the random numbers of all steps come from; None where no backend needs any.

    Attributes:
        nodes: steps that have a determinant, in order.
        records: one row for each t = 0 … T: `log_determinant` of each path, nats, (N,), and the mean of all paths,
            `mean_log_determinant`, which between nodes is that of the last one; `determinant_error`, the standard error
            of the mean; `probe_variance`, the variance of a step's mean from a single probe, averaged over the last
            steps; `moved`, the share of entries that the step moves; and `folded`, the share of ensembles it folds.
    """

    def __init__(
        self,
        model: Descent,
        determinants: str | Backend | Determinants,
        *,
        n_steps: int,
        n_paths: int | None,
        length: int,
        entropy: Sequence[int] | None = None,
    ) -> None:
        self._model, self._wanted, self._entropy = model, Determinants.of(determinants), entropy
        self._backend = choose_backend(model, self._wanted, length=length)
        self._probing = self._backend if isinstance(self._backend, ProbingBackend) else None
        self.nodes = quadrature_nodes(n_steps, self._wanted.every)
        rows = n_steps + 1
        self.records = {"moved": np.ones(rows), "folded": np.zeros(rows)}
        for name in ("mean_log_determinant", "determinant_error", "probe_variance"):
            self.records[name] = np.full(rows, np.nan)
        if n_paths is not None:
            self.records["log_determinant"] = np.full((rows, n_paths), np.nan)

    @property
    def name(self) -> str:
        """Name of the backend."""
        return self._backend.name

    def update(self, state: State) -> Tensor:
        """Take the step from `state`, and record it.

        Raises:
            NotInvertibleError: its Jacobian is not positive definite, and that is not to be recorded.
        """
        step, place = state.step, int(np.searchsorted(self.nodes, state.step))
        if self.nodes[place] == step:
            before = math.nan if place == 0 else float(self.records["probe_variance"][self.nodes[place - 1]])
            backend, probes = self._backend_after(before)
            # A generator for each step: its draws do not depend on where the run was resumed.
            rng = None if self._entropy is None else np.random.default_rng([*self._entropy, step])
            move, determinant = step_with_determinant(backend, self._model, state, rng)
            self._record(determinant, step, before, probes)
        else:
            move = self._model.move(state)
            self.records["mean_log_determinant"][step] = self.records["mean_log_determinant"][step - 1]
        if move.moved is not None:
            self.records["moved"][step] = float(move.moved.double().mean())
        return move.paths

    def _backend_after(self, variance: float) -> tuple[Backend, int]:
        """The backend with as many probes as the last steps would have needed, and that number."""
        if self._probing is None:
            return self._backend, 1
        if self._wanted.step_error is None or math.isnan(variance):
            return self._probing, self._probing.probes
        probes = min(max(1, math.ceil(variance / self._wanted.step_error**2)), _MAX_PROBES)
        return self._probing.with_probes(probes), probes

    def _record(self, determinant: StepDeterminant, step: int, variance: float, probes: int) -> None:
        if self._wanted.on_fold == "raise":
            check_not_folded(determinant, self._model, step)
        per_path = determinant.per_path
        self.records["folded"][step] = float((determinant.non_positive > 0).double().mean())
        self.records["mean_log_determinant"][step] = float(per_path.mean())
        self.records["determinant_error"][step] = determinant.mean_error
        if "log_determinant" in self.records:
            self.records["log_determinant"][step] = per_path.cpu()
        if self._probing is not None:
            errors = determinant.blocks_error
            latest = float(errors.square().sum()) / len(errors) ** 2 * probes
            variance = latest if math.isnan(variance) else variance
            self.records["probe_variance"][step] = variance + _SMOOTHING * (latest - variance)


def check_not_folded(determinant: StepDeterminant, model: Descent, step: int, mend: str = _MEND) -> None:
    """Refuse a step of `model` of which an ensemble's Jacobian is not positive definite.

    Raises:
        NotInvertibleError: there is one; it names the first.
    """
    ensemble = first_true(determinant.non_positive > 0)
    if ensemble is None:
        return
    who, particle = concerned(ensemble, len(determinant.blocks) // len(determinant.non_positive))
    raise NotInvertibleError(
        f"the Jacobian of step {step} has {int(determinant.non_positive[ensemble])} eigenvalues at or below 0 for {who}"
        f" with step_size {model.step_size:g}; expected all above 0, so that the step can be inverted. {mend}",
        step=step,
        particle=particle,
    )
