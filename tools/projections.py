"""Fit the projections of energy iii: 20 principal components over 10⁵ paths (paper Sections 5.1 and 5.2).

`python tools/projections.py` writes results/white_noise_projection.npz and results/garch_projection.npz in some two
minutes; a name behind it, such as "garch", fits that one alone.
"""

from __future__ import annotations

import sys

import mfmgdm_lib as mm
from mfmgdm_lib.companion import PROJECTION_FILES

LAWS = {"white noise": mm.processes.WhiteNoise(), "garch": mm.processes.GARCH(0.03, 0.1, 0.87)}


def main() -> None:
    """Fit from the paper's seed, and keep the fits."""
    energy = mm.energies.ScatteringCovariance(1024)
    for law in sys.argv[1:] or PROJECTION_FILES:
        print(mm.energies.Projection.fit(energy, LAWS[law], seed=(1, 12345)).save(PROJECTION_FILES[law]))


if __name__ == "__main__":
    main()
