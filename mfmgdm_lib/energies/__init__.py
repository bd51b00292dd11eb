"""The energies Φ: what of a path the descent is allowed to see."""

from mfmgdm_lib.energies.autocovariance import Autocovariance
from mfmgdm_lib.energies.base import BandedEnergy, Energy
from mfmgdm_lib.energies.stylized import StylizedFacts

__all__ = ["Autocovariance", "BandedEnergy", "Energy", "StylizedFacts"]
