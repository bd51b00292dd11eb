"""The target, the start and the energy of a flow as arrays in its file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mfmgdm_lib.energies import Energy
from mfmgdm_lib.processes import (
    AR,
    ARGARCH,
    CIR,
    GARCH,
    Exponential,
    Process,
    StudentNoise,
    TruncatedGaussian,
    WhiteNoise,
)
from mfmgdm_lib.target import Target

__all__ = [
    "KIND",
    "NAMES",
    "check_energy",
    "energy_arrays",
    "law_arrays",
    "rebuild_law",
    "rebuild_target",
    "target_arrays",
]

KIND = "frozen flow"
"""What a file says that it holds."""

NAMES = ("mean", "standard_error", "labels", "source", "energy", "fingerprint", "step_size", "counts", "start")
"""Arrays that every file has. Those of MF–MGDM have `mismatches` too."""

_LAWS: dict[type[Process], tuple[str, ...]] = {
    AR: ("coefficients", "innovation_std"),
    ARGARCH: ("phi", "omega", "alpha", "beta", "mean", "degrees_of_freedom"),
    CIR: ("kappa", "theta", "sigma", "dt"),
    Exponential: ("mean",),
    GARCH: ("omega", "alpha", "beta", "degrees_of_freedom"),
    StudentNoise: ("degrees_of_freedom", "mean", "stddev"),
    TruncatedGaussian: ("location", "scale"),
    WhiteNoise: ("mean", "stddev"),
}
"""Laws that a file may name, and the arguments to build them from."""


def target_arrays(target: Target) -> dict[str, np.ndarray]:
    """A target as arrays."""
    return {
        "mean": target.mean.cpu().numpy(),
        "standard_error": target.standard_error.cpu().numpy(),
        "labels": np.array(target.labels),
        "source": np.array(target.source),
    }


def rebuild_target(arrays: Mapping[str, np.ndarray]) -> Target:
    """What `target_arrays` was given."""
    return Target(
        mean=torch.from_numpy(arrays["mean"]),
        standard_error=torch.from_numpy(arrays["standard_error"]),
        labels=tuple(arrays["labels"].tolist()),
        source=str(arrays["source"]),
    )


def law_arrays(law: Process) -> dict[str, np.ndarray]:
    """A law as the name of its class and its arguments.

    Raises:
        TypeError: a law of a class that a file may not name.
    """
    names = _LAWS.get(type(law))
    if names is None:
        raise TypeError(
            f"start is {law!r}; expected one of {_known()}, which a file can describe. Start from one of them."
        )
    arguments = {name: getattr(law, name) for name in names}
    described = {f"start {name}": np.array(value) for name, value in arguments.items() if value is not None}
    return {"start": np.array(type(law).__name__), **described}


def rebuild_law(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> Process:
    """What `law_arrays` was given.

    Raises:
        ValueError: a law that a file may not name, or with other arguments.
    """
    name, laws = str(arrays["start"]), {law.__name__: law for law in _LAWS}
    if name not in laws:
        raise ValueError(f"{path} starts from {name}; expected one of {_known()}. Freeze and save the model again.")
    stored: dict[str, Any] = {
        key.removeprefix("start "): array.tolist() for key, array in arrays.items() if key.startswith("start ")
    }
    try:
        return laws[name](**stored)
    except TypeError as error:
        raise ValueError(f"{path} does not describe a {name} ({error}). Freeze and save the model again.") from error


def _known() -> str:
    return ", ".join(law.__name__ for law in _LAWS)


def energy_arrays(energy: Energy, length: int) -> dict[str, np.ndarray]:
    """What tells an energy from others: its name, and its values at one path that is the same everywhere.

    A name does not tell matrices and filters apart.
    """
    path = torch.from_numpy(np.sin(np.arange(1.0, length + 1.0) ** 1.5))
    return {"energy": np.array(_name(energy)), "fingerprint": energy(path[None])[0].detach().numpy()}


def check_energy(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], energy: Energy, length: int) -> None:
    """Refuse an energy other than the one that `energy_arrays` was given."""
    name, labels = str(arrays["energy"]), tuple(arrays["labels"].tolist())
    if name != _name(energy) or labels != energy.labels:
        raise ValueError(
            f"{path} holds a flow of the energy {name} with the values {labels}; expected those of {_name(energy)}, the"
            " one given. Pass the energy that the model was frozen with."
        )
    stored = arrays["fingerprint"]
    if not np.allclose(energy_arrays(energy, length)["fingerprint"], stored, 1e-6, 1e-6 * np.abs(stored).max()):
        raise ValueError(
            f"{path} holds a flow of another energy than the {name} that was given; expected the same values at the"
            " same path. Pass the energy that the model was frozen with."
        )


def _name(energy: Energy) -> str:
    """What an energy calls itself, or its class where that would say where in memory it is."""
    return type(energy).__name__ if type(energy).__repr__ is object.__repr__ else repr(energy)
