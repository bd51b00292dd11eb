"""Frozen flows: a descent whose mean path is fixed, so that each path descends on its own and has a density."""

from mfmgdm_lib.flows.flow import FrozenFlow, FrozenState
from mfmgdm_lib.flows.freezing import freeze

__all__ = ["FrozenFlow", "FrozenState", "freeze"]
