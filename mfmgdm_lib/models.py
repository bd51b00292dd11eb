"""The paper's two models, MGDM and MF–MGDM: descents that can be sampled from and frozen into a flow."""

from __future__ import annotations

import math
import warnings
from typing import Literal

import torch
from torch import Tensor
from torch.distributions import constraints

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.descents import Constraint, Descent, PointwiseMap
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.flows import FrozenFlow
from mfmgdm_lib.processes import Independent, Process, WhiteNoise
from mfmgdm_lib.specification import from_spec, register, spec
from mfmgdm_lib.stopping import BalancedStop, balanced_stop
from mfmgdm_lib.support import REAL_LINE, as_support
from mfmgdm_lib.target import Target

__all__ = ["MFMGDM", "MGDM", "Model", "from_spec", "register", "spec"]  # where all of the library is registered


_ENOUGH = 32
"""Paths from which on their spread tells how well their mean is known: 6 standard errors are one in a million then."""


@checked
@register
class Model(Descent):
    """A descent that can stop by itself and be frozen into a flow; it takes the arguments of `Descent`."""

    def sample(self, x0: Tensor, n_steps: int | Literal["balanced"], *, max_steps: int = 10_000) -> Tensor:
        """Return the paths after `n_steps` steps from x0 (N, time): a tensor like x0.

        Args:
            x0: starting paths, inside the support; their dtype and device are kept.
            n_steps: number of steps T, or "balanced" for those up to the stop of `balanced_stop`.
            max_steps: number of steps at most where the descent is to stop by itself; where it has not, it warns.

        Raises:
            DivergedError: an energy stopped being finite; the error names the step.
        """
        return super().sample(x0, n_steps) if n_steps != "balanced" else _stop(self, x0, max_steps).paths

    def freeze(
        self,
        x0: Tensor,
        n_steps: int | Literal["balanced"],
        start: Process | None = None,
        *,
        max_steps: int = 10_000,
    ) -> FrozenFlow:
        """Run the descent once, and keep the path of its mean mismatch: a normalizing flow of independent paths.

        Of MGDM nothing is kept but the model, for there every path has a mismatch of its own.

        Args:
            x0: the ensemble (N, time) that the mean is taken over, drawn from `start`.
            n_steps: number of steps T, or "balanced" for those up to the stop of `balanced_stop`.
            start: the law q_0 of `x0`; None stands for `WhiteNoise()`, the paper's start on the real line.
            max_steps: number of steps at most where the descent is to stop by itself; where it has not, it warns.

        Returns:
            The flow; see `FrozenFlow`.

        Raises:
            ValueError: a mean or spread of x0 that is not that of `start` by more than 6 standard errors (where there
                are enough paths to tell), another support, several inner steps, several ensembles, or a model with a
                constraint or a map at the end.
            DivergedError: an energy stopped being finite; the error names the step.

        Example:
            >>> import mfmgdm_lib as mm
            >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
            >>> target = mm.estimate_target(energy, process, n_samples=1000, length=64, seed=1)
            >>> model, start = mm.MFMGDM(energy, target, step_size=1.0), mm.processes.WhiteNoise()
            >>> model.freeze(start.sample(128, 64, seed=2), n_steps=50, start=start)
            FrozenFlow(Autocovariance(), 50 steps of size 1 from WhiteNoise(mean=0, stddev=1), 64 points)
        """
        if start is None:
            if not self.support.whole_line:
                raise ValueError(
                    f"start is None for a model on {self.support}; expected the law that x0 was drawn from."
                    " Pass start=initial_distribution(process)."
                )
            start = WhiteNoise() if self.energy.event_ndim == 1 else Independent(WhiteNoise(), self.event_shape)
        if self.constraint is not None or self.last is not None:
            raise ValueError(
                f"the model has constraint={self.constraint!r} and last={self.last!r}; expected None for both where it"
                " is frozen: a flow keeps the path of the mean mismatch only. Freeze the model without them."
            )
        if self.inner_steps > 1:
            raise ValueError(
                f"the model has inner_steps={self.inner_steps}; expected 1 where it is frozen, for the sake of its"
                " density (Section 4). Use inner_steps=1."
            )
        if as_support(start.support) != self.support:
            raise ValueError(
                f"{start!r} lives on {start.support}, the model on {self.support}; expected the same for both."
                " Pass support=start.support to the model, or another start."
            )
        (first,) = self.steps(x0, 0)
        if self.ensemble_size not in (None, 1, len(x0)):
            raise ValueError(
                f"ensemble_size is {self.ensemble_size} with {len(x0)} paths; expected one ensemble of all, whose mean"
                " is kept. Use MFMGDM without an ensemble_size, or MGDM."
            )
        _check_drawn_from(start, first.paths.flatten(1).double())
        mismatches = None
        if n_steps == "balanced":
            stop = _stop(self, x0, max_steps)
            n_steps, mismatches = stop.step, stop.mismatches
        elif self.ensemble_size != 1:
            rows = [state.mismatch[:1].double().cpu() for state in self.steps(x0, n_steps)]
            mismatches = torch.cat(rows)[:-1]
        return FrozenFlow(
            self.energy,
            self.target,
            self.step_size,
            mismatches,
            start=start,
            length=x0.shape[-1] if x0.ndim == 2 else tuple(x0.shape[1:]),
            n_steps=n_steps,
            ensemble_size=1 if mismatches is None else len(x0),
        )


def _stop(model: Model, x0: Tensor, max_steps: int) -> BalancedStop:
    """Where the model is to stop; it warns where that was not reached."""
    stop = balanced_stop(model, x0, max_steps)
    if not stop.reached:
        warnings.warn(f"{model!r} {stop.message}; use a larger max_steps.", RuntimeWarning, stacklevel=3)
    return stop


def _check_drawn_from(start: Process, paths: Tensor) -> None:
    """Refuse paths (N, d) whose mean or spread is not that of the law, as far as N independent paths can tell."""
    if len(paths) < _ENOUGH:
        return
    squares = (paths - start.mean).square().mean(-1)
    for name, values, expected in (("mean", paths.mean(-1), start.mean), ("variance", squares, start.stddev**2)):
        found, error = float(values.mean()), float(values.std()) / math.sqrt(len(values))
        if abs(found - expected) > 6.0 * error + 1e-9 * start.stddev:
            raise ValueError(
                f"x0 has the {name} {found:.4g} ± {error:.2g}, and {start!r} has {expected:.4g}; expected the same"
                " within 6 standard errors. Pass the law that x0 was drawn from as start."
            )


@checked
@register
class MGDM(Model):
    """Microcanonical gradient descent, paper eq. (3): every path answers for itself.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, seed=1)
        >>> x0 = mm.initial_distribution(process).sample(8, 1024, seed=2)
        >>> paths = mm.MGDM(energy, target, step_size=10.0).sample(x0, n_steps=50)
        >>> paths.shape
        torch.Size([8, 1024])
    """

    def __init__(
        self,
        energy: Energy,
        target: Target,
        step_size: float,
        *,
        support: constraints.Constraint = REAL_LINE,
        inner_steps: int = 1,
        constraint: Constraint | None = None,
        last: PointwiseMap | None = None,
    ) -> None:
        super().__init__(
            energy,
            target,
            step_size,
            ensemble_size=1,
            support=support,
            inner_steps=inner_steps,
            constraint=constraint,
            last=last,
        )


@register
class MFMGDM(Model):
    """Mean-field microcanonical gradient descent, paper eq. (6): an ensemble moves by its mean energy.

    With `ensemble_size` the paths are cut, in order, into ensembles of that size (Figure 4).

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, seed=1)
        >>> x0 = mm.initial_distribution(process).sample(8, 1024, seed=2)
        >>> model = mm.MFMGDM(energy, target, step_size=10.0)
        >>> losses = [float(state.loss.mean()) for state in model.steps(x0, n_steps=50)]
        >>> losses[0] > losses[-1]
        True
    """
