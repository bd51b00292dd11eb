"""The figures of the book, drawn from results that are calculated elsewhere.

Colours mean the same everywhere: black is the true law, grey the start, orange MGDM, blue MF–MGDM.
"""

from mfmgdm_lib.companion.figures.determinants import READINGS as READINGS
from mfmgdm_lib.companion.figures.determinants import (
    determinant_costs,
    half_line_steps,
    jacobian_parts,
    last_line,
    pushed_densities,
)
from mfmgdm_lib.companion.figures.divergences import (
    divergence,
    divergence_by_run,
    divergence_tables,
    ensemble_sizes,
    joint_and_path,
    overshoot,
    scaling,
)
from mfmgdm_lib.companion.figures.energies import energy_clouds, energy_moves, loss_curves, spread_ratios
from mfmgdm_lib.companion.figures.frozen import frozen_divergences, frozen_held_out, frozen_sizes
from mfmgdm_lib.companion.figures.market import (
    market_bands,
    market_entropies,
    market_losses,
    market_spread,
    market_violins,
)
from mfmgdm_lib.companion.figures.scattering import (
    energy_costs,
    filter_banks,
    principal_components,
    scalograms,
    separations,
)
from mfmgdm_lib.companion.figures.series import marginals, paths_and_marginals, sample_paths, violins
from mfmgdm_lib.companion.figures.table import (
    cell_agreement,
    cell_costs,
    cell_gains,
    cell_rises,
    cell_values,
    replicate_spread,
)
from mfmgdm_lib.plotting import generation_report as generation_report  # its former place

__all__ = [
    "cell_agreement",
    "cell_costs",
    "cell_gains",
    "cell_rises",
    "cell_values",
    "determinant_costs",
    "divergence",
    "divergence_by_run",
    "divergence_tables",
    "energy_clouds",
    "energy_costs",
    "energy_moves",
    "ensemble_sizes",
    "filter_banks",
    "frozen_divergences",
    "frozen_held_out",
    "frozen_sizes",
    "half_line_steps",
    "jacobian_parts",
    "joint_and_path",
    "last_line",
    "loss_curves",
    "marginals",
    "market_bands",
    "market_entropies",
    "market_losses",
    "market_spread",
    "market_violins",
    "overshoot",
    "paths_and_marginals",
    "principal_components",
    "pushed_densities",
    "replicate_spread",
    "sample_paths",
    "scaling",
    "scalograms",
    "separations",
    "spread_ratios",
    "violins",
]
