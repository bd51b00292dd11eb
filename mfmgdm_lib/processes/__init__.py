"""The laws that a descent is asked to imitate, and the ones that it starts from."""

from mfmgdm_lib.processes.autoregressive import AR
from mfmgdm_lib.processes.base import Process
from mfmgdm_lib.processes.cir import CIR
from mfmgdm_lib.processes.garch import ARGARCH, GARCH
from mfmgdm_lib.processes.initial import Exponential, TruncatedGaussian, WhiteNoise, initial_distribution
from mfmgdm_lib.processes.student import StudentNoise

__all__ = [
    "AR",
    "ARGARCH",
    "CIR",
    "GARCH",
    "Exponential",
    "Process",
    "StudentNoise",
    "TruncatedGaussian",
    "WhiteNoise",
    "initial_distribution",
]
