"""The specifications of descents that imitate the Ising model, how each is run, and what is stored of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_member, check_paths
from mfmgdm_lib.companion.table1 import MODELS
from mfmgdm_lib.descents import Constraint, Descent, SignedPower, State
from mfmgdm_lib.energies import AbsoluteMoments, Energy, FieldScatteringMean, WaveletL1
from mfmgdm_lib.log_determinants import Stochastic, log_determinant
from mfmgdm_lib.log_determinants.quadrature import integrate, quadrature_error
from mfmgdm_lib.processes import Independent, Ising, WhiteNoise
from mfmgdm_lib.runs.run import Run, descent_states, new_records
from mfmgdm_lib.runs.store import Result
from mfmgdm_lib.target import Target, estimate_target

__all__ = ["ISING", "IsingCell", "describe_spins", "packed_signs", "unpacked_signs"]

ENERGIES = ("wavelet", "scattering")
"""Means of moduli of wavelet coefficients with 8 angles, or these and those of a second layer with 2 angles."""

_NODES = 24
"""Steps whose determinants are calculated, at distances that grow in proportion."""

_BITS = 32
"""Signs of a row of a field that one stored number holds."""

Summary = tuple[pd.DataFrame, dict[str, Any]]


@dataclass(frozen=True)
class IsingCell:
    """One model of the Ising model from one energy.

    Attributes:
        temperature: T of the Ising model.
        side: H = W, spins.
        energy: one of `ENERGIES`.
        model: a key of `MODELS`.
        scales: J, octaves of wavelets.
        n_steps: steps, the map at the end included.
        n_paths: N, fields.
        rate: γ of the loss ½‖Φ − α‖², which is not divided by ‖α‖².
        constraint_rate: γ_c.
        entropy_paths: fields whose determinants are calculated; 0 for none.
        target_samples: true fields that α is averaged over.
        initial_seed: seed of the starting fields.
        target_seed: seed of the true fields.
    """

    temperature: float
    side: int
    energy: str
    model: str
    scales: int
    n_steps: int
    n_paths: int
    rate: float = 250.0
    constraint_rate: float = 2.0
    entropy_paths: int = 16
    target_samples: int = 1024
    initial_seed: tuple[int, ...] = (2, 12345)
    target_seed: tuple[int, ...] = (3, 12345)

    dtype = "float32"
    value_format = "loss {:.1e}"
    """Format of the number that shows the progress of a run."""

    def __post_init__(self) -> None:
        check_member("energy", self.energy, ENERGIES)
        check_member("model", self.model, tuple(MODELS))

    @property
    def key(self) -> str:
        """The cell's name, such as "ising-4-32-wavelet-mf"."""
        return f"ising-{self.temperature:g}-{self.side}-{self.energy}-{self.model}"

    @property
    def kind(self) -> str:
        """Runs of one energy take the same time for each point and step."""
        return f"ising, {self.energy}, {'entropy' if self.entropy_paths else 'picture'}"

    @property
    def size(self) -> int:
        """Points of all fields times steps."""
        return self.n_steps * self.n_paths * self.side**2

    @property
    def process(self) -> Ising:
        """The law that is imitated."""
        return Ising(self.temperature)

    def build_energy(self) -> Energy:
        """Φ."""
        shape = (self.side, self.side)
        if self.energy == "wavelet":
            return WaveletL1(shape, J=self.scales, angles=8)
        return FieldScatteringMean(shape, J=self.scales, angles=2)

    def descent(self) -> Descent:
        """The model, with the constraint and the map at the end."""
        energy = self.build_energy()
        target = _target(self.process.temperature, energy, self.side, self.target_samples, self.target_seed)
        return Descent(
            energy,
            target,
            self.rate * float(target.mean.square().sum()),
            ensemble_size=MODELS[self.model],
            constraint=Constraint(AbsoluteMoments(axes=2), (1.0, 1.0), self.constraint_rate),
            last=SignedPower(0.05),
        )

    @property
    def nodes(self) -> np.ndarray:
        """Gradient steps whose determinants are calculated; the map at the end has its own in any case."""
        return np.unique(np.geomspace(1, self.n_steps - 1, _NODES).round().astype(int)) - 1

    def run(self, *, n_steps: int | None = None, device: str = "cpu") -> Run[Summary]:
        """Begin the descent; `n_steps` stands in for the cell's where given."""
        model, n_steps = self.descent(), self.n_steps if n_steps is None else n_steps
        noise = Independent(WhiteNoise(), (self.side, self.side))
        x0 = noise.sample(self.n_paths, (self.side, self.side), self.initial_seed).to(device, torch.float32)
        wanted = {*self.nodes.tolist(), self.n_steps - 1} if self.entropy_paths else set()
        shapes: dict[str, tuple[int, ...]] = {"loss": ()}
        if wanted:
            shapes |= {"log_determinant": (self.entropy_paths,), "error": (), "folded": ()}

        def observed(state: State) -> dict[str, Tensor | float]:
            found = self._determinant(model, state) if state.step in wanted else {}
            return {"loss": (state.energies.mean(0) - model.target.mean).square().sum() / 2, **found}

        return Run(
            descent_states(model, n_steps),
            x0,
            n_steps,
            records=new_records(shapes, n_steps),
            observe=observed,
            summary=partial(_summarize, self),
            value=lambda run: float(run.records["loss"][run.taken]),
            throw=False,
        )

    def _determinant(self, model: Descent, state: State) -> dict[str, Tensor | float]:
        """Log-determinants of some fields, nats, with the error of their mean from probes, and the share folded.

        The capacitance matrix of a larger ensemble is a mean over those fields, and each one's share of it that of the
        whole ensemble.
        """
        members, few = model.members(len(state.paths)), min(self.entropy_paths, len(state.paths))
        part = State(
            state.step,
            state.paths[:few],
            state.energies[:few],
            state.mismatch[:few],
            state.loss[:few],
            ends=state.ends,
        )
        smaller = Descent(
            model.energy,
            model.target,
            model.step_size,
            ensemble_size=min(members, few),
            constraint=model.constraint,
            last=model.last,
        )
        found = log_determinant(smaller, part, Stochastic(), seed=(*self.initial_seed, state.step))
        share = found.capacitance.repeat_interleave(few // len(found.capacitance)) / members
        return {
            "log_determinant": found.blocks + share,
            "error": found.mean_error,
            "folded": float((found.non_positive > 0).double().mean()),
        }

    def summarize(self, run: Run[Summary]) -> Summary:
        """What is kept of a run."""
        return run.summary()

    def headline(self, result: Result) -> str:
        """The result in a few words."""
        table = result.table
        said = f"U {table.loc[['energy'], 'value'].mean():.3f} per spin"
        if "entropy" not in table.index:
            return said
        entropy, error = (float(table.loc[[name], "value"].iloc[-1]) for name in ("entropy", "entropy error"))
        return f"{said}, entropy {entropy:.3f} ± {error:.3f} nats per point"


@lru_cache(maxsize=2)
def _target(temperature: float, energy: Energy, side: int, n_samples: int, seed: tuple[int, ...]) -> Target:
    return estimate_target(energy, Ising(temperature), n_samples=n_samples, length=(side, side), seed=seed)


def _summarize(cell: IsingCell, run: Run[Summary]) -> Summary:
    """What is kept: columns `at` and `value`, by `quantity`; and facts about the run.

    Quantities: `loss` at steps, ½‖Φ̄ − α‖²; `entropy` of the fields' law after a number of steps, nats per point, with
    `entropy error` (probes and the spread of fields) and `entropy quadrature`; `folded` at the steps looked at; those
    of `describe_spins` for the signs; `magnitude entropy`, that of a single |x| at the end; and `field …` for the
    first signs, packed.
    """
    written, n_steps = run.written(), run.taken
    steps = np.unique(np.geomspace(1, n_steps + 1, 120).round().astype(int)) - 1
    parts = {"loss": pd.Series(written["loss"][steps], index=steps)}
    if "log_determinant" in written:
        parts |= _entropies(written, cell)
    paths = run.paths.double().cpu()
    signs = paths.sign()
    parts |= describe_spins(signs)
    magnitudes = paths.abs().flatten().numpy()
    parts["magnitude entropy"] = pd.Series([float(stats.differential_entropy(magnitudes, method="vasicek"))])
    rounded = {name: values.map(lambda value: float(f"{value:.6g}")) for name, values in parts.items()}
    rounded |= {f"field {n}": pd.Series(packed_signs(field)) for n, field in enumerate(signs[:3].numpy())}
    table = pd.concat(rounded, names=["quantity", "at"]).rename("value").reset_index("at")
    return table, {"steps": run.taken}


def _entropies(written: dict[str, np.ndarray], cell: IsingCell) -> dict[str, pd.Series]:
    points, gradient_steps = cell.side**2, len(written["loss"]) - 2
    start = WhiteNoise().entropy(1)
    nodes = cell.nodes[cell.nodes < gradient_steps]
    logs, errors = written["log_determinant"][:gradient_steps] / points, written["error"][:gradient_steps] / points
    sums, probes = integrate(logs, np.nan_to_num(errors), nodes)
    last = written["log_determinant"][gradient_steps] / points
    if np.isnan(last).any():  # a run that was stopped before its last step
        last = np.zeros_like(last)
    sums, probes = np.vstack([sums, sums[-1] + last]), np.append(probes, probes[-1])
    spread = sums.std(1, ddof=1) / np.sqrt(sums.shape[1])
    quadrature = quadrature_error(logs, nodes)
    steps = np.unique([*np.append(nodes, gradient_steps), gradient_steps + 1])
    folded = written["folded"][nodes]
    return {
        "entropy": pd.Series(start + sums.mean(1)[steps], index=steps),
        "entropy error": pd.Series(np.maximum(spread, probes)[steps], index=steps),
        "entropy quadrature": pd.Series(np.append(quadrature, quadrature[-1])[steps], index=steps),
        "folded": pd.Series(folded, index=nodes),
    }


@checked
def describe_spins(signs: Tensor) -> dict[str, pd.Series]:
    """What is looked at in fields (N, H, W) of ±1.

    `energy`, U per spin, and `magnetisation`, the mean, of each field; `two-point`, the mean of x_r x_{r + (0, s)} and
    x_r x_{r + (s, 0)} for s = 0 … W/2, and `two-point error`, its standard error.
    """
    signs = check_paths("signs", signs).detach()
    if signs.ndim != 3:
        raise ValueError(f"signs has shape {tuple(signs.shape)}; expected (N, H, W). Use signs[None] for one field.")
    points = signs.shape[-2] * signs.shape[-1]
    products = torch.stack(
        [
            0.5 * (signs * (signs.roll(-s, -1) + signs.roll(-s, -2))).mean((-2, -1))
            for s in range(signs.shape[-1] // 2 + 1)
        ]
    )
    return {
        "energy": pd.Series((Ising.energy(signs) / points).numpy()),
        "magnetisation": pd.Series(signs.mean((-2, -1)).numpy()),
        "two-point": pd.Series(products.mean(1).numpy()),
        "two-point error": pd.Series((products.std(1) / len(signs) ** 0.5).numpy()),
    }


def packed_signs(field: np.ndarray) -> np.ndarray:
    """Signs of a field (H, W), 32 of them in each of H W / 32 whole numbers."""
    bits = (np.asarray(field) > 0).reshape(-1, _BITS)
    return (bits * 2.0 ** np.arange(_BITS)).sum(1).astype(np.int64)


def unpacked_signs(numbers: np.ndarray, side: int) -> np.ndarray:
    """The field (side, side) of −1 and 1 that `packed_signs` has packed, int8."""
    bits = (np.asarray(numbers).astype(np.int64)[:, None] >> np.arange(_BITS)) & 1
    return (2 * bits - 1).astype(np.int8).reshape(side, side)


ENTROPY_CELLS = tuple(IsingCell(4.0, 32, energy, model, 5, 150, 128) for energy in ENERGIES for model in MODELS)
"""Both models from both energies at T = 4 on 32², with their entropies."""

PICTURE_CELLS = tuple(
    IsingCell(
        2.4, side, energy, model, scales, 157, 16, side**2 / 4.096, side**2 / 20.48, entropy_paths=0, target_samples=128
    )
    for side, scales in ((64, 5), (256, 7))
    for energy in ENERGIES
    for model in MODELS
)
"""Both models from both energies at T = 2.4 on 64² and 256², as pictures.

The published ones are of 256² with 10 000 steps at γ = 250 and γ_c = 50. The gradient of a mean over d points is in
proportion to 1/d: here γ T / d and γ_c T / d are the same.
"""

ISING = (*ENTROPY_CELLS, *PICTURE_CELLS)
"""All cells of the Ising model."""
