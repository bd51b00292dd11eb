"""The laws that a descent is asked to imitate, and the ones that it starts from."""

from mfmgdm_lib.processes.autoregressive import AR
from mfmgdm_lib.processes.base import Process
from mfmgdm_lib.processes.initial import WhiteNoise, initial_distribution

__all__ = ["AR", "Process", "WhiteNoise", "initial_distribution"]
