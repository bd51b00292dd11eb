"""The paper's algebra checked in symbols, by automatic differentiation, and against closed forms and the CIR diffusion.

The checks of each part stand in a module: `equations` (Sections 2 to 4), `densities` (Section 3.2), `diffusion` (of
Section 5.1), `determinants` (Appendix A) and `positivity` (Appendix B); those of bounds of our own in `entropy`.
"""

from mfmgdm_lib.companion.derivations.brute_force import (
    PathTerms,
    assemble,
    capacitance_readings,
    determinant_lines,
    ensemble_step,
    full_jacobian,
    masked_lines,
    path_terms,
    random_step,
    readings_along,
)
from mfmgdm_lib.companion.derivations.symbols import SymbolicStep, same, symbolic_lines

__all__ = [
    "PathTerms",
    "SymbolicStep",
    "assemble",
    "capacitance_readings",
    "determinant_lines",
    "ensemble_step",
    "full_jacobian",
    "masked_lines",
    "path_terms",
    "random_step",
    "readings_along",
    "same",
    "symbolic_lines",
]
