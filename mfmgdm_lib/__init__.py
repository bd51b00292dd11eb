"""The public names of the library, each loaded when it is first used.

To import it sets the environment variable GOMP_SPINCOUNT, unless that is set, so that waiting threads of OpenMP do not
keep cores from other programs; and tells GNU's allocator to keep half a GB of freed memory, unless a variable MALLOC_…
is set. `MFMGDM_TUNE=0` in the environment leaves both alone.
"""

from typing import TYPE_CHECKING

from mfmgdm_lib import _environment as _environment
from mfmgdm_lib._lazy import lazy_names

if TYPE_CHECKING:
    from mfmgdm_lib import companion, data, distributed, energies, errors, io, plotting, processes, runs, statistics
    from mfmgdm_lib.descents import Descent, FlowState, GradientFlow, State
    from mfmgdm_lib.divergence import DivergenceTrace, divergence_run, reverse_kl_trace
    from mfmgdm_lib.flows import FrozenFlow, FrozenState
    from mfmgdm_lib.generation import Generation, generate
    from mfmgdm_lib.io import stream_paths
    from mfmgdm_lib.log_determinants import Determinants, StepDeterminant, Stochastic, log_determinant
    from mfmgdm_lib.models import MFMGDM, MGDM, Model, from_spec, register, spec
    from mfmgdm_lib.processes import Fit, fit_argarch, fit_student, initial_distribution, starting_law
    from mfmgdm_lib.runs import ResultStore
    from mfmgdm_lib.support import Interval, Move, Support
    from mfmgdm_lib.target import Target, estimate_target, target_from_data

__version__ = "0.1.0"

__all__ = [
    "MFMGDM",
    "MGDM",
    "Descent",
    "Determinants",
    "DivergenceTrace",
    "Fit",
    "FlowState",
    "FrozenFlow",
    "FrozenState",
    "Generation",
    "GradientFlow",
    "Interval",
    "Model",
    "Move",
    "ResultStore",
    "State",
    "StepDeterminant",
    "Stochastic",
    "Support",
    "Target",
    "companion",
    "data",
    "distributed",
    "divergence_run",
    "energies",
    "errors",
    "estimate_target",
    "fit_argarch",
    "fit_student",
    "from_spec",
    "generate",
    "initial_distribution",
    "io",
    "log_determinant",
    "plotting",
    "processes",
    "register",
    "reverse_kl_trace",
    "runs",
    "spec",
    "starting_law",
    "statistics",
    "stream_paths",
    "target_from_data",
]

_HOMES = {
    "Descent": "descents",
    "FlowState": "descents",
    "GradientFlow": "descents",
    "State": "descents",
    "DivergenceTrace": "divergence",
    "divergence_run": "divergence",
    "reverse_kl_trace": "divergence",
    "FrozenFlow": "flows",
    "FrozenState": "flows",
    "Generation": "generation",
    "generate": "generation",
    "stream_paths": "io",
    "Determinants": "log_determinants",
    "StepDeterminant": "log_determinants",
    "Stochastic": "log_determinants",
    "log_determinant": "log_determinants",
    "MFMGDM": "models",
    "MGDM": "models",
    "Model": "models",
    "from_spec": "models",
    "register": "models",
    "spec": "models",
    "Fit": "processes",
    "fit_argarch": "processes",
    "fit_student": "processes",
    "initial_distribution": "processes",
    "starting_law": "processes",
    "ResultStore": "runs",
    "Interval": "support",
    "Move": "support",
    "Support": "support",
    "Target": "target",
    "estimate_target": "target",
    "target_from_data": "target",
}
"""The modules that names come from; every other one is a module itself."""

_MOVED = {
    "analytic": "companion.closed_forms",
    "experiments": "companion",
    "figures": "companion.figures",
    "paper": "companion.paper",
    "sharding": "distributed",
}
"""Names of release 0.1, and where they are now."""

if not TYPE_CHECKING:  # which would take any name for one that is there
    __getattr__, __dir__ = lazy_names(__name__, __all__, _HOMES, _MOVED)
