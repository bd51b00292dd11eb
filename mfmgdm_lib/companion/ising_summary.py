"""What is stored of descents that imitate the Ising model, and what can be said of the entropy of their signs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.optimize import brentq
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import as_shape
from mfmgdm_lib.companion.comparison import MODEL_NAMES
from mfmgdm_lib.companion.ising_cells import ISING, IsingCell, unpacked_signs
from mfmgdm_lib.companion.results import result_store
from mfmgdm_lib.processes import Ising
from mfmgdm_lib.runs.store import Result

__all__ = [
    "IsingSummary",
    "finest_power",
    "ising_energies",
    "ising_entropies",
    "largest_entropy",
    "plane_waves",
    "stored_ising",
]


@dataclass(frozen=True)
class IsingSummary:
    """A cell of the Ising model and what is kept of its run.

    Attributes:
        cell: what was run.
        result: what is stored of it.
    """

    cell: IsingCell
    result: Result

    def curve(self, quantity: str) -> pd.Series:
        """A quantity by where it is: a step, a field or a distance.

        Raises:
            KeyError: a quantity that this cell does not have, such as an entropy without determinants.
        """
        rows = self.result.table.loc[[quantity]]
        return pd.Series(rows["value"].to_numpy(), rows["at"].to_numpy(), name=quantity)

    def has(self, quantity: str) -> bool:
        """Whether a quantity was kept."""
        return quantity in self.result.table.index

    @property
    def spins(self) -> dict[str, pd.Series]:
        """What `describe_spins` says of the signs at the end."""
        return {name: self.curve(name) for name in ("energy", "magnetisation", "two-point", "two-point error")}

    @property
    def fields(self) -> list[np.ndarray]:
        """Signs of the first three fields, (H, W) of int8 each."""
        return [unpacked_signs(self.curve(f"field {n}").to_numpy(), self.cell.side) for n in range(3)]

    @property
    def lost(self) -> tuple[float, float]:
        """Entropy that the gradient steps took, nats per point, and its standard error; the map at the end apart."""
        entropy, error = self.curve("entropy"), self.curve("entropy error")
        return float(entropy.iloc[0] - entropy.iloc[-2]), float(error.iloc[-2])

    @property
    def folded(self) -> float:
        """The largest share of ensembles that a step looked at folds: A ≤ 0 along some direction."""
        return float(self.curve("folded").max())

    @property
    def sign_entropy(self) -> float:
        r"""A lower bound of the entropy of the signs, nats per spin; NaN where steps fold.

        .. math:: H(\operatorname{sign} x) = H(x) - H(|x| \mid \operatorname{sign} x) \ge H(x) - d\, h(|x_r|)

        because entropies of single magnitudes add up to no less than that of all of them together. A map of each value
        by itself moves both by the same, so the bound does not depend on the last step. Where steps fold, several
        fields may arrive at one, and what the determinants add up to is only an upper bound of H(x).
        """
        if self.folded > 0.0:
            return float("nan")
        return float(self.curve("entropy").iloc[-1] - self.curve("magnitude entropy").iloc[0])

    @property
    def divergence(self) -> float:
        """An upper bound of the reverse KL divergence of the signs' law from the Ising model's, nats per spin.

        NaN where steps fold, as `sign_entropy`.
        """
        shape, points = (self.cell.side, self.cell.side), self.cell.side**2
        energy = float(self.curve("energy").mean()) / self.cell.temperature
        return self.cell.process.log_partition(shape) / points + energy - self.sign_entropy


@checked
def stored_ising(temperature: float, side: int) -> dict[tuple[str, str], IsingSummary]:
    """What is stored at a temperature and a size, by the energy and the name of the model."""
    store, found = result_store("fields"), {}
    for cell in ISING:
        if (cell.temperature, cell.side) == (temperature, side) and (result := store.load(cell)) is not None:
            found[cell.energy, MODEL_NAMES[cell.model]] = IsingSummary(cell, result)
    return found


@checked
def ising_entropies(summaries: Mapping[tuple[str, str], IsingSummary]) -> pd.DataFrame:
    """Entropies at the end, nats per point, a row for each energy and model.

    Columns: `lost` by the gradient steps and its error, the share that is `folded`, where at least as much is lost,
    the bounds of the entropy of the `signs` from below and above, the `exact` entropy, and the bound of the
    `divergence`.
    """
    rows = {}
    for names, summary in summaries.items():
        shape, points = (summary.cell.side, summary.cell.side), summary.cell.side**2
        lost, error = summary.lost
        rows[names] = {
            "lost": lost,
            "lost ±": error,
            "folded": summary.folded,
            "signs, at least": summary.sign_entropy,
            "signs, at most": largest_entropy(float(summary.curve("energy").mean()), shape),
            "exact": summary.cell.process.entropy(shape) / points,
            "divergence, at most": summary.divergence,
        }
    return pd.DataFrame(rows).T.rename_axis(["energy", "model"])


@checked
def ising_energies(spins: Mapping[str, Mapping[str, pd.Series]]) -> pd.DataFrame:
    """Mean of U per spin and of |m|, with standard errors, a row for each name."""
    rows = {}
    for name, described in spins.items():
        energy, size = described["energy"], described["magnetisation"].abs()
        root = len(energy) ** 0.5
        rows[name] = {
            "U": energy.mean(),
            "U ±": energy.std() / root,
            "|m|": size.mean(),
            "|m| ±": size.std() / root,
        }
    return pd.DataFrame(rows).T


@checked
def largest_entropy(energy: float, shape: tuple[int, int]) -> float:
    """The largest entropy, nats per spin, of any law of spins with a mean of U per spin: that of the Ising model.

    Args:
        energy: the mean of U per spin, below 0.
        shape: of a field.
    """
    points = math.prod(as_shape("shape", shape))
    coupling = brentq(lambda beta: Ising(1.0 / beta).mean_energy(shape) / points - energy, 1e-4, 2.0, xtol=1e-12)
    return Ising(1.0 / coupling).entropy(shape) / points


def plane_waves(shape: tuple[int, int], length: int) -> Tensor:
    """Two waves of mean square 1, one along a side of a field and one along its diagonal: (2, H, W) float64.

    Args:
        shape: of a field, multiples of the length.
        length: sites from crest to crest along each axis that the wave changes on; of 2 sites the diagonal one is a
            chessboard.
    """
    down, right = (2.0 * torch.pi * torch.arange(size, dtype=torch.float64) / length for size in shape)
    phases = torch.stack([right.expand(shape), down[:, None] + right])
    waves = (phases + 0.25 * torch.pi).cos()  # at 45 degrees a wave of two sites has no zero
    return waves / waves.square().mean((-2, -1), keepdim=True).sqrt()


@checked
def finest_power(fields: Tensor | list[np.ndarray]) -> float:
    """Mean power, 1 for white noise, of the waves of fields (N, H, W) with less than 8/3 sites on both axes."""
    values = np.asarray(fields.detach() if isinstance(fields, Tensor) else fields, dtype=float)
    if values.ndim != 3 or not values.size:
        raise ValueError(f"fields has shape {values.shape}; expected (N, H, W). Pass a few fields of one shape.")
    power = np.abs(np.fft.fft2(values)) ** 2
    down, right = (np.abs(np.fft.fftfreq(size)) > 3 / 8 for size in power.shape[-2:])
    return float(power[..., down[:, None] & right].mean() / (power.shape[-2] * power.shape[-1]))
