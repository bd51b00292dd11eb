"""The freezing of an ensemble's mean path into a flow."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mfmgdm_lib.descents.descent import Descent
from mfmgdm_lib.flows.flow import FrozenFlow
from mfmgdm_lib.processes import Independent, Process, WhiteNoise
from mfmgdm_lib.support import as_support

__all__ = ["freeze"]

_ENOUGH = 32
"""Paths from which on their spread tells how well their mean is known: 6 standard errors are one in a million then."""


def freeze(model: Descent, x0: Tensor, n_steps: int, start: Process | None = None) -> FrozenFlow:
    """Run a descent once, and keep the path of its mean mismatch; see `Descent.freeze`."""
    if start is None:
        if not model.support.whole_line:
            raise ValueError(
                f"start is None for a model on {model.support}; expected the law that x0 was drawn from."
                " Pass start=initial_distribution(process)."
            )
        start = WhiteNoise() if model.energy.event_ndim == 1 else Independent(WhiteNoise(), model.event_shape)
    if model.inner_steps > 1:
        raise ValueError(
            f"the model has inner_steps={model.inner_steps}; expected 1 where it is frozen, for the sake of its"
            " density (Section 4). Use inner_steps=1."
        )
    if as_support(start.support) != model.support:
        raise ValueError(
            f"{start!r} lives on {start.support}, the model on {model.support}; expected the same for both."
            " Pass support=start.support to the model, or another start."
        )
    (first,) = model.steps(x0, 0)
    if model.ensemble_size not in (None, 1, len(x0)):
        raise ValueError(
            f"ensemble_size is {model.ensemble_size} with {len(x0)} paths; expected one ensemble of all, whose mean is"
            " kept. Use MFMGDM without an ensemble_size, or MGDM."
        )
    _check_drawn_from(start, first.paths.flatten(1).double())
    mismatches = None
    if model.ensemble_size != 1:
        states = model.steps(x0, n_steps)
        rows = [state.mismatch[0].double().cpu() for state in states]
        mismatches = torch.stack(rows[:-1]) if n_steps else torch.zeros(0, model.energy.dim, dtype=torch.float64)
    return FrozenFlow(
        model.energy,
        model.target,
        model.step_size,
        mismatches,
        start=start,
        length=x0.shape[-1] if x0.ndim == 2 else tuple(x0.shape[1:]),
        n_steps=n_steps,
        ensemble_size=1 if mismatches is None else len(x0),
    )


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
