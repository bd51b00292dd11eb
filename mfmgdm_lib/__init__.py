"""The front door: every public name of the companion to *Mean-Field Microcanonical Gradient Descent*."""

from mfmgdm_lib import _environment as _environment
from mfmgdm_lib import analytic, data, energies, errors, experiments, figures, paper, processes, sharding, statistics
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
