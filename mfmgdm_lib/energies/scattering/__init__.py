"""The scattering energies of Section 5.1: means, covariances and spectra of wavelet coefficients."""

from mfmgdm_lib.energies.scattering.coefficients import Coefficient
from mfmgdm_lib.energies.scattering.covariance import ScatteringCovariance
from mfmgdm_lib.energies.scattering.mean import ScatteringMean
from mfmgdm_lib.energies.scattering.spectra import ScatteringSpectra

__all__ = ["Coefficient", "ScatteringCovariance", "ScatteringMean", "ScatteringSpectra"]
