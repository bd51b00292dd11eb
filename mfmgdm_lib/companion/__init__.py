"""The paper's experiments: specifications, stored results, and comparison with the printed numbers."""

from mfmgdm_lib._lazy import lazy_names

_MOVED = {
    "bound_from": "mfmgdm_lib.companion.comparison.first_bound_step",
    "complete": "mfmgdm_lib.runs.complete",
    "drift": "mfmgdm_lib.companion.verification.deviation",
    "findings": "mfmgdm_lib.companion.paper_numbers.our_numbers",
    "market_drift": "mfmgdm_lib.companion.verification.market_deviation",
    "run_cells": "mfmgdm_lib.runs.run_cells",
}
"""Names that `mm.experiments` had in release 0.1, and where they are now."""

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__, _MOVED)
