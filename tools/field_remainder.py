"""Write results/field_remainder.csv: what noise on the way leaves of the divergence that filters cannot take away.

`python tools/field_remainder.py` takes a few minutes. 128 fields of 32² points are led by moment guided diffusion from
white noise to the autocovariances of a conditional autoregression, with more noise each time; the law of a field given
the weights that the ensemble has found is Gaussian, and its divergence is exact.
"""

from __future__ import annotations

import pandas as pd
import torch

import mfmgdm_lib as mm
from mfmgdm_lib.companion.field_cells import GAUSSIAN_FIELDS
from mfmgdm_lib.companion.field_spectra import divergence_per_point, guided_spectrum
from mfmgdm_lib.processes import GaussianField

VOLATILITIES = {0.0: 200, 0.5: 200, 1.0: 200, 2.0: 200, 4.0: 400}
"""σ, and steps: they have to be short against 1/σ²."""


def main() -> None:
    """Run all, and store the table."""
    cell = GAUSSIAN_FIELDS[0]
    experiment = cell.experiment()
    energy, shape = experiment.energy, experiment.length
    law = GaussianField.conditional_autoregression(cell.rho, shape)
    x0 = experiment.start.sample(experiment.n_paths, shape, experiment.initial_seed)
    rows = []
    for volatility, n_steps in VOLATILITIES.items():
        guided = mm.MomentGuidedDiffusion(energy, experiment.target, volatility=volatility)
        states = guided.steps(x0, n_steps, seed=(4, 12345), entropy=False)
        spectrum = guided_spectrum(torch.ones(shape, dtype=torch.float64), cell.lags, states, volatility)
        rows.append({"volatility": volatility, "steps": n_steps, "divergence": divergence_per_point(spectrum, law)})
        print(rows[-1], flush=True)
    mm.companion.store(
        "field_remainder",
        pd.DataFrame(rows).to_csv(index=False, float_format="%.8g"),
        [
            "KL of a field from GaussianField.conditional_autoregression(0.2, (32, 32)), nats for each point, after",
            "MomentGuidedDiffusion of 128 fields from white noise by lags (0, 0), (0, 1), (1, 0); exact for the",
            "weights that the ensemble found. Seeds: start (2, 12345), target (3, 12345), noise (4, 12345).",
            "Made by: python tools/field_remainder.py",
        ],
    )


if __name__ == "__main__":
    main()
