"""Energies made of other energies."""

from mfmgdm_lib.energies.transforms.composed import Concatenate, Linear
from mfmgdm_lib.energies.transforms.fitted import Projection, Whitening

__all__ = ["Concatenate", "Linear", "Projection", "Whitening"]
