"""How well the energies of Section 5.1 separate known laws, and real returns, from white noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mfmgdm_lib import data
from mfmgdm_lib._arguments import checked
from mfmgdm_lib.companion.results import projected_covariance
from mfmgdm_lib.companion.synthetic import PROCESS_NAMES, PROCESSES
from mfmgdm_lib.energies import Energy, Projection, ScatteringCovariance, ScatteringMean, ScatteringSpectra
from mfmgdm_lib.processes import GARCH, WhiteNoise
from mfmgdm_lib.statistics import separation

__all__ = [
    "component_shares",
    "group_values",
    "paper_energies",
    "separations",
    "standardized_paths",
    "strongest",
]

_LAWS = {
    **{PROCESS_NAMES[name]: process for name, process in PROCESSES.items()},
    "GARCH": GARCH(0.03, 0.1, 0.87),
}
"""The processes of Section 5.1, and the GARCH that Appendix C projects with."""


def standardized_paths(n_paths: int = 2000, *, length: int = 1024, seed: int = 6) -> dict[str, Tensor]:
    """Draw paths of the paper's processes, and cut the S&P 500 into windows, all with mean 0 and standard deviation 1.

    Each process is shifted and scaled by its own two moments, so a path keeps its deviations from them. Each window is
    standardised by itself: the volatility of the four differs by more than anything that is looked for here.

    Returns:
        By name: white noise first, then six processes, (n_paths, length) each, and four windows of 1024 daily returns.
    """
    paths = {"white noise": WhiteNoise().sample(n_paths, length, (seed, 0))}
    for k, (name, process) in enumerate(_LAWS.items(), start=1):
        paths[name] = (process.sample(n_paths, length, (seed, k)) - process.mean) / process.stddev
    returns = data.returns(data.sp500()).iloc[-4 * length :]
    windows = [data.standardize(returns.iloc[k * length : (k + 1) * length]) for k in range(4)]
    paths["S&P 500"] = torch.stack([torch.tensor(window.to_numpy()) for window in windows])
    return paths


def paper_energies() -> dict[str, Energy]:
    """Energies ii, iii and iv for paths of 1024 points; iv with the scale of white noise."""
    return {
        "ii. scattering mean": ScatteringMean(1024),
        "iii. scattering covariance, 20 components": projected_covariance(),
        "iv. scattering spectra": ScatteringSpectra(1024).fit_scale(WhiteNoise(), n_samples=1000, seed=(6, 9)),
    }


@checked
def separations(energy: Energy, paths: dict[str, Tensor]) -> pd.DataFrame:
    """Compare the energies of several laws with those of white noise, value by value.

    Args:
        energy: Φ.
        paths: by the name of the law; "white noise" has to be one.

    Returns:
        For each other law and each value a row with `law`, `value`, `label`, `group` (values of one kind), `shift` and
        `standard_error`; see `statistics.separation`.
    """
    baseline, groups = energy(paths["white noise"]), group_values(energy)
    tables = [
        separation(energy(drawn), baseline).assign(law=law, label=energy.labels, group=groups)
        for law, drawn in paths.items()
        if law != "white noise"
    ]
    return pd.concat(tables, ignore_index=True)


@checked
def group_values(energy: Energy) -> list[str]:
    """Name the kind of each value of a scattering energy by the layers of its one or two signals, (K,)."""
    if not isinstance(energy, (ScatteringMean, ScatteringCovariance, ScatteringSpectra)):
        return ["components"] * energy.dim
    names = {(1,): "1", (2,): "2", (1, 1): "1 × 1", (1, 2): "1 × 2", (2, 2): "2 × 2"}
    return [names[tuple(sorted(len(through) for through in made.scales))] for made in energy.coefficients]


@checked
def component_shares(projection: Projection) -> dict[str, Tensor]:
    """For each kind of value its share of the squares of every principal component, (K',); together 1."""
    groups = np.array(group_values(projection.energy))
    squares = projection.directions.square()
    return {name: squares[:, torch.from_numpy(groups == name)].sum(1) for name in dict.fromkeys(groups.tolist())}


@checked
def strongest(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """For each law the value of each energy that is farthest from white noise.

    Args:
        tables: by title, what `separations` returns.

    Returns:
        A row for each law and a column for each energy, text: the value's label, its shift and the standard error.
    """
    columns = {}
    for title, table in tables.items():
        places = table.groupby("law", sort=False)["shift"].apply(lambda shifts: shifts.abs().idxmax())
        best = table.loc[places].set_index("law")
        rows = zip(best["label"], best["shift"], best["standard_error"], strict=True)
        text = [f"{label}: {shift:+.2f} ± {error:.2f}".replace("-", "−") for label, shift, error in rows]
        columns[title] = pd.Series(text, index=best.index)
    return pd.DataFrame(columns)
