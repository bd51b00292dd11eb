"""Laws of time series: the processes that a descent imitates, and those that it starts from."""

from mfmgdm_lib.processes.autoregressive import AR
from mfmgdm_lib.processes.base import Process
from mfmgdm_lib.processes.burn_in import BurnIn
from mfmgdm_lib.processes.cir import CIR
from mfmgdm_lib.processes.conditional import ConditionalLaw
from mfmgdm_lib.processes.copula import GaussianCopula
from mfmgdm_lib.processes.fits import Fit, fit_argarch, fit_student
from mfmgdm_lib.processes.garch import ARGARCH, GARCH
from mfmgdm_lib.processes.gaussian_field import GaussianField
from mfmgdm_lib.processes.ising import Ising
from mfmgdm_lib.processes.maximum_entropy import Exponential, TruncatedGaussian, initial_distribution
from mfmgdm_lib.processes.noise import Independent, StudentNoise, WhiteNoise
from mfmgdm_lib.processes.starts import starting_law, starting_paths
from mfmgdm_lib.processes.volatility import VolatilityModel
from mfmgdm_lib.processes.volatility_fit import fit_volatility

__all__ = [
    "AR",
    "ARGARCH",
    "CIR",
    "GARCH",
    "BurnIn",
    "ConditionalLaw",
    "Exponential",
    "Fit",
    "GaussianCopula",
    "GaussianField",
    "Independent",
    "Ising",
    "Process",
    "StudentNoise",
    "TruncatedGaussian",
    "VolatilityModel",
    "WhiteNoise",
    "fit_argarch",
    "fit_student",
    "fit_volatility",
    "initial_distribution",
    "starting_law",
    "starting_paths",
]
