"""Every public name of the companion to *Mean-Field Microcanonical Gradient Descent*, loaded when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING

from mfmgdm_lib import _environment as _environment

if TYPE_CHECKING:
    from mfmgdm_lib import (
        analytic,
        data,
        energies,
        errors,
        experiments,
        figures,
        paper,
        processes,
        sharding,
        statistics,
    )
    from mfmgdm_lib.descent import MFMGDM, MGDM, Descent, Move, State
    from mfmgdm_lib.divergence import DivergenceRun, DivergenceTrace, reverse_kl_trace
    from mfmgdm_lib.fitting import Fit, fit_argarch, fit_student, starting_law
    from mfmgdm_lib.frozen import FrozenFlow, FrozenState
    from mfmgdm_lib.generation import Generation, generate
    from mfmgdm_lib.gradient_flow import FlowState, GradientFlow
    from mfmgdm_lib.jacobian import StepDeterminant, Stochastic, log_determinant
    from mfmgdm_lib.processes.initial import initial_distribution
    from mfmgdm_lib.store import ResultStore
    from mfmgdm_lib.streaming import stream_paths
    from mfmgdm_lib.target import Target, estimate_target, target_from_data

__version__ = "0.1.0"

__all__ = [
    "MFMGDM",
    "MGDM",
    "Descent",
    "DivergenceRun",
    "DivergenceTrace",
    "Fit",
    "FlowState",
    "FrozenFlow",
    "FrozenState",
    "Generation",
    "GradientFlow",
    "Move",
    "ResultStore",
    "State",
    "StepDeterminant",
    "Stochastic",
    "Target",
    "analytic",
    "data",
    "energies",
    "errors",
    "estimate_target",
    "experiments",
    "figures",
    "fit_argarch",
    "fit_student",
    "generate",
    "initial_distribution",
    "log_determinant",
    "paper",
    "processes",
    "reverse_kl_trace",
    "sharding",
    "starting_law",
    "statistics",
    "stream_paths",
    "target_from_data",
]

_HOMES = {
    "MFMGDM": "descent",
    "MGDM": "descent",
    "Descent": "descent",
    "Move": "descent",
    "State": "descent",
    "DivergenceRun": "divergence",
    "DivergenceTrace": "divergence",
    "reverse_kl_trace": "divergence",
    "Fit": "fitting",
    "fit_argarch": "fitting",
    "fit_student": "fitting",
    "starting_law": "fitting",
    "FrozenFlow": "frozen",
    "FrozenState": "frozen",
    "Generation": "generation",
    "generate": "generation",
    "FlowState": "gradient_flow",
    "GradientFlow": "gradient_flow",
    "StepDeterminant": "jacobian",
    "Stochastic": "jacobian",
    "log_determinant": "jacobian",
    "initial_distribution": "processes.initial",
    "ResultStore": "store",
    "stream_paths": "streaming",
    "Target": "target",
    "estimate_target": "target",
    "target_from_data": "target",
}
"""The modules that names come from; every other one is a module itself."""


if not TYPE_CHECKING:  # which would take any name for one that is there

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = import_module(f"{__name__}.{_HOMES.get(name, name)}")
        globals()[name] = value = getattr(home, name) if name in _HOMES else home
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
