"""The target α: the mean energy that a descent aims at, its standard error and its origin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import as_series, as_windows, check_positive_int, spelled_shape
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.processes.base import Process, Seed, Size, draw_in_chunks
from mfmgdm_lib.specification import register

__all__ = ["Target", "estimate_target", "target_from_data"]

_BATCHES = 16
"""Windows that a single series is cut into for its standard error (batch means)."""


@checked
@register
@dataclass(frozen=True)
class Target:
    """The mean energy vector α.

    Attributes:
        mean: α, a float64 tensor (K,).
        standard_error: standard error of α, a float64 tensor (K,).
        labels: one name for each energy.
        source: where α came from, in words.
    """

    mean: Tensor
    standard_error: Tensor
    labels: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        if self.mean.shape != (len(self.labels),) or self.standard_error.shape != self.mean.shape:
            raise ValueError(
                f"mean has shape {tuple(self.mean.shape)} and standard_error {tuple(self.standard_error.shape)};"
                f" expected ({len(self.labels)},) for both, one entry for each label."
            )
        if not torch.isfinite(self.mean).all() or not self.mean.any():
            raise ValueError(
                f"mean is {self.mean.tolist()}; expected finite numbers, not all zero:"
                " the loss is measured relative to ‖α‖². Use another process, series or energy."
            )

    def __repr__(self) -> str:
        return f"Target({len(self.labels)} energies from {self.source})"


@checked
def estimate_target(
    energy: Energy, process: Process, *, n_samples: int = 10_000, length: Size | None = None, seed: Seed
) -> Target:
    """Average an energy over independent paths of a process (Section 5.1).

    Args:
        energy: Φ.
        process: the law p whose mean energy is wanted.
        n_samples: number of paths, at least 2.
        length: points of each path, or its shape; None for the length that the energy is made for, or the paper's 1024.
        seed: whatever `numpy.random.default_rng` takes; the paper's is (3, 12345).

    Returns:
        The target, with the standard error of a mean of independent draws.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process = mm.processes.AR([0.1])
        >>> target = mm.estimate_target(mm.energies.Autocovariance(), process, seed=(3, 12345))
        >>> target.mean.numpy().round(4).tolist()
        [0.1002, 0.9998]
    """
    check_positive_int("n_samples", n_samples, minimum=2)
    length = energy.path_length(length, process)
    drawn = draw_in_chunks(process, n_samples, length, seed, description="target")
    energies = torch.cat([energy(paths) for paths in drawn])
    return Target(
        mean=energies.mean(0),
        standard_error=energies.std(0) / math.sqrt(n_samples),
        labels=energy.labels,
        source=f"{n_samples} paths of {process!r}, {length} points each, seed {seed!r}",
    )


@checked
def target_from_data(energy: Energy, series: Any) -> Target:
    """Take the energy of one observed series as the target (Section 5.2).

    The standard error is that of batch means: the spread of the energy over successive windows, which allows for
    dependence that is short against a window. There are 16 of them; an energy that takes one length only is averaged
    over windows of that length, as many as cover the series, and with a single one the standard error is NaN.

    Args:
        energy: Φ.
        series: one series (length,), or (C, length) where the energy takes channels: a pandas Series, an array or a
            tensor, in the units in which paths are wanted.

    Raises:
        ValueError: a series that is constant, not finite, or shorter than 16 windows of the energy's minimum length, or
            than its only length.

    Example:
        >>> import mfmgdm_lib as mm
        >>> returns = mm.data.standardize(mm.companion.observed_returns("sp500"))
        >>> mm.target_from_data(mm.energies.StylizedFacts(), returns).mean[:2].numpy().round(3).tolist()
        [1.0, -0.098]
    """
    shape = energy.event_shape
    if None in shape[:-1]:
        raise ValueError(
            f"{energy!r} takes paths ({spelled_shape(shape)}); expected series, which have a time to be cut along."
            " Build a Target of energy(fields) yourself."
        )
    if shape[-1] is not None:
        windows = as_windows("series", series, shape[-1], shape).double()
        batches = energy(windows)
        mean, source = batches.mean(0), f"{len(windows)} windows of {shape[-1]} points of one series"
    else:
        values = as_series("series", series, minimum_length=_BATCHES * energy.minimum_length, shape=shape).double()
        window = values.shape[-1] // _BATCHES
        batches = energy(torch.stack(values[..., : _BATCHES * window].split(window, -1)))
        mean, source = energy(values), f"one series of {values.shape[-1]} points"
    error = batches.std(0) / math.sqrt(len(batches)) if len(batches) > 1 else torch.full_like(mean, math.nan)
    return Target(mean, error, energy.labels, source)
