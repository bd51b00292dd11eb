"""Frozen flows: descents with a fixed mean path, whose paths are independent and have a density."""

from mfmgdm_lib.flows.conditional import ConditionalFlow
from mfmgdm_lib.flows.conditional_fit import fit_conditional_flow
from mfmgdm_lib.flows.flow import FrozenFlow
from mfmgdm_lib.flows.gradient import frozen_gradient_flow
from mfmgdm_lib.flows.transform import FrozenState

__all__ = ["ConditionalFlow", "FrozenFlow", "FrozenState", "fit_conditional_flow", "frozen_gradient_flow"]
