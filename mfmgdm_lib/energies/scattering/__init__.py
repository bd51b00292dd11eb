"""The scattering energies of Section 5.1: means, covariances and spectra of wavelet coefficients."""

from mfmgdm_lib.energies.scattering.coefficients import Coefficient
from mfmgdm_lib.energies.scattering.fields import FieldScatteringMean, WaveletL1
from mfmgdm_lib.energies.scattering.spectra import ScatteringSpectra
from mfmgdm_lib.energies.scattering.two_layers import ScatteringCovariance, ScatteringMean

__all__ = [
    "Coefficient",
    "FieldScatteringMean",
    "ScatteringCovariance",
    "ScatteringMean",
    "ScatteringSpectra",
    "WaveletL1",
]
