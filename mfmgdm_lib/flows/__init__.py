"""Frozen flows: descents with a fixed mean path, whose paths are independent and have a density."""

from mfmgdm_lib.flows.flow import FrozenFlow, FrozenState
from mfmgdm_lib.flows.freezing import freeze

__all__ = ["FrozenFlow", "FrozenState", "freeze"]
