"""Descents of ensembles of paths by their energy mismatch, in steps and in their limit, and a guided diffusion."""

from mfmgdm_lib.descents.communicator import LOCAL, Communicator
from mfmgdm_lib.descents.constraint import Constraint, PointwiseMap, SignedPower
from mfmgdm_lib.descents.descent import Descent, Move, State
from mfmgdm_lib.descents.gradient_flow import FlowState, GradientFlow
from mfmgdm_lib.descents.moment_guided import GuidedState, MomentGuidedDiffusion, interpolated_moments

__all__ = [
    "LOCAL",
    "Communicator",
    "Constraint",
    "Descent",
    "FlowState",
    "GradientFlow",
    "GuidedState",
    "MomentGuidedDiffusion",
    "Move",
    "PointwiseMap",
    "SignedPower",
    "State",
    "interpolated_moments",
]
