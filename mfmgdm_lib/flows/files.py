"""A frozen flow as a description and arrays in one file, and back again."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mfmgdm_lib._arrays import load_arrays
from mfmgdm_lib._checks import as_shape
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.energies.base import fingerprint
from mfmgdm_lib.errors import Message
from mfmgdm_lib.processes import Process
from mfmgdm_lib.processes.base import Size
from mfmgdm_lib.specification import from_spec, spec
from mfmgdm_lib.target import Target

__all__ = ["ABOUT", "KIND", "check_energy", "flow_arrays", "flow_parts", "stored_about", "stored_energy"]

KIND = "frozen flow"
"""What a file says that it holds."""

ABOUT = "about"
"""The array with what is known of the flow besides, as JSON: what made it, and of what."""

_SPEC = "spec"
"""The array with the description, as JSON; tensors stand beside it by the way to them."""

_MEND = "Pass the energy that the model was frozen with."
_OPTION = "Name the energy that the model was frozen with by --energy."

_FORMER = ("mean", "standard_error", "labels", "source", "energy", "fingerprint", "step_size", "counts", "start")
"""Arrays of a file of 2026 without a description; those of MF–MGDM have `mismatches` too."""


def flow_arrays(flow: object, energy: Energy, length: Size) -> dict[str, np.ndarray]:
    """A flow as arrays: its description, the tensors, and what tells its energy from others.

    An energy of a class that is not registered is left out, with a warning: its name and fingerprint are there.

    Raises:
        TypeError: a start of a class that is not registered.
    """
    arrays: dict[str, np.ndarray] = {}
    without: tuple[str, ...] = ()
    try:
        spec(energy, {})
    except TypeError as error:
        without = ("energy",)
        warnings.warn(f"the file does not describe its energy, which `load` has to be given: {error}", stacklevel=3)
    description = spec(flow, arrays, without=without)
    return {
        **arrays,
        _SPEC: np.array(json.dumps(description)),
        "energy": np.array(_name(energy)),
        "fingerprint": fingerprint(energy, length),
    }


def flow_parts(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `flow_arrays` has described, with target and start built, and all arrays.

    Raises:
        ValueError: a description of anything that is not registered.
    """
    arrays = load_arrays(path, KIND, ("energy", "fingerprint"))
    try:
        if _SPEC in arrays:
            description = json.loads(str(arrays[_SPEC]))
        else:
            description = _describe_former(load_arrays(path, KIND, _FORMER))
        as_shape("length", description["length"])
        for name, kind in (("target", Target), ("start", Process)):
            description[name] = from_spec(description[name], arrays, kind=kind)
        if "energy" in description:
            description["energy"] = from_spec(description["energy"], arrays, kind=Energy)
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ValueError(f"{path} does not describe a flow: {error}") from error
    return description, arrays


def stored_energy(arrays: Mapping[str, np.ndarray]) -> str:
    """What the energy of a file calls itself."""
    return str(arrays["energy"])


def stored_about(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What a file says of where its flow comes from; nothing in one of 2026."""
    try:
        return dict(json.loads(str(arrays.get(ABOUT, "{}"))))
    except (ValueError, TypeError, RecursionError):
        return {}


def check_energy(
    path: str | os.PathLike[str], target: Target, arrays: Mapping[str, np.ndarray], energy: Energy, length: int
) -> None:
    """Refuse an energy other than the one that `flow_arrays` was given."""
    name = stored_energy(arrays)
    if name != _name(energy) or target.labels != energy.labels:
        said = f"{path} holds a flow of the energy {name} with the values {target.labels}"
        raise ValueError(Message(f"{said}; expected those of {_name(energy)}, the one given.", _MEND, option=_OPTION))
    stored, found = arrays["fingerprint"], _values(energy, arrays, length)
    if stored.shape != found.shape or not np.allclose(found, stored, 1e-6, 1e-6 * np.abs(stored).max()):
        said = f"{path} holds a flow of another energy than the {name} that was given"
        raise ValueError(Message(f"{said}; expected the same values at the same path.", _MEND, option=_OPTION))


def _name(energy: Energy) -> str:
    """What an energy calls itself, or its class where that would say where in memory it is."""
    return type(energy).__name__ if type(energy).__repr__ is object.__repr__ else repr(energy)


# --- files of 2026, for one release ----------------------------------------------------------------------------------


def _describe_former(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The description of a flow whose file has none."""
    length, n_steps, ensemble_size = arrays["counts"].tolist()
    start = {key.removeprefix("start "): array.tolist() for key, array in arrays.items() if key.startswith("start ")}
    target = {
        "mean": {"array": "mean"},
        "standard_error": {"array": "standard_error"},
        "labels": arrays["labels"].tolist(),
        "source": str(arrays["source"]),
    }
    return {
        "type": "FrozenFlow",
        "target": {"type": "Target", **target},
        "step_size": float(arrays["step_size"]),
        "mismatches": {"array": "mismatches"} if "mismatches" in arrays else None,
        "start": {"type": str(arrays["start"]), **start},
        "length": length,
        "n_steps": n_steps,
        "ensemble_size": ensemble_size,
    }


def _values(energy: Energy, arrays: Mapping[str, np.ndarray], length: Size) -> np.ndarray:
    """The fingerprint of an energy; in a file without a description it is of another path."""
    if _SPEC in arrays:
        return fingerprint(energy, length)
    return energy(torch.from_numpy(np.sin(np.arange(1.0, length + 1.0) ** 1.5))).detach().numpy()
