"""Log-determinants of descent steps: exact for banded and for short energies, estimated for all others."""

from mfmgdm_lib.log_determinants.backends import Backend, Determinants, ProbingBackend, choose_backend, log_determinant
from mfmgdm_lib.log_determinants.determinant_lemma import StepDeterminant
from mfmgdm_lib.log_determinants.stochastic import Stochastic

__all__ = [
    "Backend",
    "Determinants",
    "ProbingBackend",
    "StepDeterminant",
    "Stochastic",
    "choose_backend",
    "log_determinant",
]
