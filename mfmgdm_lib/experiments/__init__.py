"""What each figure and table runs: frozen specifications, and nothing that is drawn."""

from mfmgdm_lib.experiments.comparison import (
    ENERGY_NAMES,
    MODEL_NAMES,
    PROCESS_NAMES,
    bound_from,
    cell_finding,
    cell_row,
    compare_cells,
    gains,
    indistinct_pairs,
    stored_cells,
)
from mfmgdm_lib.experiments.comparison_tables import (
    bounds_table,
    cell_details,
    cell_name,
    cells_html,
    copies_table,
)
from mfmgdm_lib.experiments.findings import findings
from mfmgdm_lib.experiments.market import SERIES, SP500_FIRST_LOOK, MarketExperiment, observed_returns
from mfmgdm_lib.experiments.market_cells import MARKET, MarketCell
from mfmgdm_lib.experiments.market_summary import (
    MarketSummary,
    market_models,
    market_spreads,
    spreads_text,
    stored_market,
    stylized_descents,
)
from mfmgdm_lib.experiments.results import (
    PROJECTION_FILES,
    new_results_folder,
    projected_covariance,
    result_store,
    results_folder,
    store,
    stored,
)
from mfmgdm_lib.experiments.running import complete
from mfmgdm_lib.experiments.scheduling import run_cells
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
from mfmgdm_lib.experiments.table1 import TABLE_1, Cell, select, table_1, tabulate
from mfmgdm_lib.experiments.verifying import drift, market_drift

__all__ = [
    "AR_ILLUSTRATION",
    "CIR_EXPONENTIAL",
    "CIR_TRUNCATED",
    "ENERGY_NAMES",
    "MARKET",
    "MODEL_NAMES",
    "PROCESS_NAMES",
    "PROJECTION_FILES",
    "SERIES",
    "SP500_FIRST_LOOK",
    "TABLE_1",
    "Cell",
    "MarketCell",
    "MarketExperiment",
    "MarketSummary",
    "SyntheticExperiment",
    "bound_from",
    "bounds_table",
    "cell_details",
    "cell_finding",
    "cell_name",
    "cell_row",
    "cells_html",
    "compare_cells",
    "complete",
    "component_shares",
    "copies_table",
    "drift",
    "final_slope",
    "findings",
    "gains",
    "group_values",
    "indistinct_pairs",
    "market_drift",
    "market_models",
    "market_spreads",
    "new_results_folder",
    "observed_returns",
    "paper_energies",
    "projected_covariance",
    "replicate_summary",
    "result_store",
    "results_folder",
    "run_cells",
    "select",
    "separations",
    "spreads_text",
    "standardized_paths",
    "store",
    "stored",
    "stored_cells",
    "stored_market",
    "strongest",
    "stylized_descents",
    "summarize",
    "table_1",
    "tabulate",
]
