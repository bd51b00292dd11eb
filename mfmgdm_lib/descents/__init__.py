"""Descents of ensembles of paths by their energy mismatch: in steps, and in the limit of small steps."""

from mfmgdm_lib.descents.communicator import LOCAL, Communicator
from mfmgdm_lib.descents.descent import Descent, Move, State
from mfmgdm_lib.descents.gradient_flow import FlowState, GradientFlow

__all__ = ["LOCAL", "Communicator", "Descent", "FlowState", "GradientFlow", "Move", "State"]
