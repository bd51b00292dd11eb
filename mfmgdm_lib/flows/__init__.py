"""Frozen flows: descents with a fixed mean path, whose paths are independent and have a density."""

from mfmgdm_lib.flows.flow import FrozenFlow
from mfmgdm_lib.flows.gradient import frozen_gradient_flow
from mfmgdm_lib.flows.transform import FrozenState

__all__ = ["FrozenFlow", "FrozenState", "frozen_gradient_flow"]
