"""What each figure and table runs: frozen specifications, and nothing that is drawn."""

from mfmgdm_lib.experiments.findings import findings
from mfmgdm_lib.experiments.market import SP500_FIRST_LOOK, MarketExperiment
from mfmgdm_lib.experiments.results import PROJECTION_FILE, projected_covariance, store, stored
from mfmgdm_lib.experiments.sightings import (
    component_shares,
    group_values,
    paper_energies,
    separations,
    standardized_paths,
    strongest,
)
from mfmgdm_lib.experiments.synthetic import (
    AR_ILLUSTRATION,
    CIR_EXPONENTIAL,
    CIR_TRUNCATED,
    SyntheticExperiment,
    final_slope,
    replicate_summary,
    summarize,
)

__all__ = [
    "AR_ILLUSTRATION",
    "CIR_EXPONENTIAL",
    "CIR_TRUNCATED",
    "PROJECTION_FILE",
    "SP500_FIRST_LOOK",
    "MarketExperiment",
    "SyntheticExperiment",
    "component_shares",
    "final_slope",
    "findings",
    "group_values",
    "paper_energies",
    "projected_covariance",
    "replicate_summary",
    "separations",
    "standardized_paths",
    "store",
    "stored",
    "strongest",
    "summarize",
]
