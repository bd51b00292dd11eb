"""The steps of a gradient flow of one ensemble, frozen into a flow of independent paths."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mfmgdm_lib.descents import GradientFlow
from mfmgdm_lib.flows.flow import FrozenFlow
from mfmgdm_lib.processes import Process

__all__ = ["frozen_gradient_flow"]


def frozen_gradient_flow(
    flow: GradientFlow,
    weights: Sequence[Tensor],
    start: Process,
    shape: Sequence[int],
    *,
    loc: float | None = None,
    scale: float | None = None,
    unit: str | None = None,
) -> FrozenFlow:
    """Return the flow of independent paths that move by the steps of an ensemble, as `Model.freeze` does of a descent.

    A step of any length takes from each path its gradients times weights that are the same for all, so it is one of a
    frozen flow. Starts that it would take to infinity are left out: steps are long, and chosen for the ensemble.

    Args:
        flow: what the ensemble moved along, on the real line.
        weights: those of each step, (1, K), as `FlowState.weights`.
        start: the law that the ensemble was drawn from.
        shape: that of the ensemble, (N, time).
        loc: as for `FrozenFlow`, and so are `scale` and `unit`.
        scale: see there.
        unit: see there.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, length=64, seed=1)
        >>> start = mm.processes.WhiteNoise()
        >>> moving, x0 = mm.GradientFlow(energy, target), start.sample(128, 64, seed=2)
        >>> _, *states = moving.steps(x0, duration=1e4)
        >>> frozen = frozen_gradient_flow(moving, [state.weights for state in states], start, x0.shape)
        >>> bool((frozen.transform(x0) - states[-1].paths).abs().max() < 1e-12)
        True
    """
    return FrozenFlow(
        flow.energy,
        flow.target,
        float(flow.target.mean.square().sum()),  # a rate of 1: weights are all that gradients are multiplied by
        torch.cat(tuple(weights)),
        start=start,
        length=shape[-1] if len(shape) == 2 else tuple(shape[1:]),
        ensemble_size=shape[0],
        loc=loc,
        scale=scale,
        unit=unit,
        redraw=True,
    )
