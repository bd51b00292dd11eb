"""The energies Φ: statistics of a path that a descent matches."""

from mfmgdm_lib.energies.absolute_moments import AbsoluteMoments
from mfmgdm_lib.energies.autocovariance import Autocovariance
from mfmgdm_lib.energies.base import BandedEnergy, Energy, RecordedEnergy
from mfmgdm_lib.energies.channels import CrossCorrelations, EachChannel
from mfmgdm_lib.energies.field_autocovariance import FieldAutocovariance
from mfmgdm_lib.energies.field_moments import FieldMoments
from mfmgdm_lib.energies.given_past import ConditionalEnergy, GivenPast
from mfmgdm_lib.energies.principal_components import Projection, Whitening
from mfmgdm_lib.energies.scattering import (
    Coefficient,
    FieldScatteringMean,
    ScatteringCovariance,
    ScatteringMean,
    ScatteringSpectra,
    WaveletL1,
)
from mfmgdm_lib.energies.stylized import StylizedFacts
from mfmgdm_lib.energies.transforms import Concatenate, Linear

__all__ = [
    "AbsoluteMoments",
    "Autocovariance",
    "BandedEnergy",
    "Coefficient",
    "Concatenate",
    "ConditionalEnergy",
    "CrossCorrelations",
    "EachChannel",
    "Energy",
    "FieldAutocovariance",
    "FieldMoments",
    "FieldScatteringMean",
    "GivenPast",
    "Linear",
    "Projection",
    "RecordedEnergy",
    "ScatteringCovariance",
    "ScatteringMean",
    "ScatteringSpectra",
    "StylizedFacts",
    "WaveletL1",
    "Whitening",
]
