"""Fit the projection of energy iii: 20 principal components over 10⁵ paths of white noise (paper Section 5.1).

`python tools/white_noise_projection.py` writes results/white_noise_projection.npz in about a minute.
"""

from __future__ import annotations

import mfmgdm_lib as mm


def main() -> None:
    """Fit from the paper's seed, and keep the fit."""
    energy = mm.energies.ScatteringCovariance(1024)
    projection = mm.energies.Projection.fit(energy, mm.processes.WhiteNoise(), seed=(1, 12345))
    print(projection.save(mm.experiments.PROJECTION_FILE))


if __name__ == "__main__":
    main()
