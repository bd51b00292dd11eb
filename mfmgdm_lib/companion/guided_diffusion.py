"""Moment guided diffusion by quadratic energies: its exact law, and the Gaussian law of largest entropy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from mfmgdm_lib.companion.closed_forms import check_white, divergences, gaussian_law, quadratic_forms
from mfmgdm_lib.descents import MomentGuidedDiffusion
from mfmgdm_lib.energies import Autocovariance, Energy
from mfmgdm_lib.processes import AR, WhiteNoise
from mfmgdm_lib.target import Target

__all__ = [
    "GuidedLimit",
    "comparison",
    "exact_target",
    "guided_limit",
    "laws_of_equal_energies",
    "maximum_entropy_variances",
    "model_names",
]


@dataclass(frozen=True)
class GuidedLimit:
    """The law of a path of infinitely many that a moment guided diffusion leads by quadratic energies.

    Attributes:
        variances: of each direction, (T + 1, d).
        basis: the directions, one in each column, (d, d).
        mean_energy: E Φ(x_t), (T + 1, K).
        entropy_gain: the estimate of the entropy gained since the start, nats, (T + 1,).
    """

    variances: Tensor
    basis: Tensor
    mean_energy: Tensor
    entropy_gain: Tensor

    @property
    def entropy(self) -> Tensor:
        """Differential entropy of a path, nats, (T + 1,)."""
        return 0.5 * (2.0 * math.pi * math.e * self.variances).log().sum(-1)

    def reverse_kl(self, law: MultivariateNormal) -> np.ndarray:
        """Divergence of each law from a `law` on R^d with mean 0, nats, (T + 1,)."""
        return divergences(self.variances, self.basis, law)


def guided_limit(model: MomentGuidedDiffusion, start: WhiteNoise, *, n_steps: int, length: int) -> GuidedLimit:
    r"""Follow the limit of a moment guided diffusion for ensembles of infinitely many paths, exactly.

    For Φ_k(x) = ½ xᵀH_k x with eigenvalues b_k in shared directions, whose variances are λ, the moves of a step are
    linear maps and the noise adds 2hσ² after the first. All means are sums: the mean energy ½ b·λ,
    G_kl = Σ_j b_kj b_lj λ_j and the mean Laplacian Σ_j b_kj.

    Args:
        model: a diffusion by quadratic forms that commute, such as `Autocovariance`.
        start: the law of the starting paths, with mean 0.
        n_steps: number of steps T.
        length: points d of each path. O(d³) once, then O(d) for each step.

    Raises:
        ValueError: an energy that is not made of such forms.

    Example:
        >>> import mfmgdm_lib as mm
        >>> from mfmgdm_lib.companion.closed_forms import gaussian_law
        >>> experiment = mm.companion.AR_ILLUSTRATION
        >>> guided = mm.MomentGuidedDiffusion(experiment.energy, experiment.target, volatility=4.0)
        >>> limit = guided_limit(guided, experiment.start, n_steps=200, length=1024)
        >>> float(limit.reverse_kl(gaussian_law(experiment.process, 1024))[-1]) < 0.02
        True
    """
    check_white(start)
    bends, basis = quadratic_forms(model.energy, length)

    def mean_energy(spread: Tensor) -> Tensor:
        return 0.5 * bends @ spread

    def solve(spread: Tensor, values: Tensor) -> Tensor:
        return torch.linalg.solve((bends * spread) @ bends.T, values)

    spread = bends.new_full((length,), start.stddev**2)
    spreads, gains, change = [spread], [0.0], (model.target.mean - mean_energy(spread)) / n_steps
    for step in range(1, n_steps + 1):
        before = spreads[-1]
        spread = (1.0 + solve(before, change) @ bends).square() * before + 2.0 * model.volatility**2 / n_steps
        aim = mean_energy(spreads[0]) + step * change
        for _ in range(model.corrections):
            spread = (1.0 + solve(spread, aim - mean_energy(spread)) @ bends).square() * spread
        multipliers = solve(before, bends.sum(-1)) + solve(spread, bends.sum(-1))
        gains.append(gains[-1] + 0.5 * float(multipliers @ (mean_energy(spread) - mean_energy(before))))
        spreads.append(spread)
    variances = torch.stack(spreads)
    return GuidedLimit(variances, basis, 0.5 * variances @ bends.T, torch.tensor(gains, dtype=torch.float64))


def maximum_entropy_variances(energy: Energy, mean_energy: Tensor, length: int) -> Tensor:
    """Variances, (d,), of the Gaussian law of largest entropy with these mean energies, in the directions of the H_k.

    Its density is that of exp(−Σ_k θ_k Φ_k), so that the variances are 1 / Σ_k θ_k b_k: θ minimises a convex function,
    here by Newton's method from white noise.

    Args:
        energy: quadratic forms that commute, such as `Autocovariance`.
        mean_energy: what they are to be on average, (K,).
        length: points d of a path.

    Raises:
        ValueError: no Gaussian law has such mean energies.

    Example:
        >>> from mfmgdm_lib.energies import Autocovariance
        >>> variances = maximum_entropy_variances(Autocovariance(), torch.tensor([0.0, 4.0]), 8)
        >>> variances.numpy().round(6).tolist()
        [4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]
    """
    bends, _ = quadratic_forms(energy, length)
    wanted = mean_energy.double()

    def dual(theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        precision = torch.from_numpy(theta) @ bends
        if not (precision > 0.0).all():
            return math.inf, np.full(len(theta), math.nan), np.eye(len(theta))
        value = wanted @ torch.from_numpy(theta) - 0.5 * precision.log().sum()
        slope = wanted - 0.5 * bends @ (1.0 / precision)
        return float(value), slope.numpy(), (0.5 * (bends / precision.square()) @ bends.T).numpy()

    spread = bends.new_full((length,), 1.0)
    theta = torch.linalg.lstsq(bends.T, 1.0 / spread[:, None]).solution[:, 0].numpy()
    value, slope, curvature = dual(theta)
    for _ in range(100):
        move, part = np.linalg.lstsq(curvature, slope)[0], 1.0
        while (tried := dual(theta - part * move))[0] > value and part > 1e-12:
            part *= 0.5
        theta, (value, slope, curvature) = theta - part * move, tried
        if not math.isfinite(value):
            break
        if np.abs(slope).max() < 1e-12 * float(wanted.abs().max()):
            return 1.0 / (torch.from_numpy(theta) @ bends)
    raise ValueError(
        f"mean_energy is {mean_energy.tolist()}; expected values that some Gaussian law has. Use those of a process."
    )


def exact_target(process: AR, length: int) -> Target:
    """The mean of `Autocovariance` over paths of a process, without the error of an estimate.

    Example:
        >>> exact_target(AR([0.5]), 8).mean.tolist()
        [0.4375, 1.0]
    """
    covariances = process.autocovariance(1)
    mean = torch.tensor([covariances[1] * (length - 1) / length, covariances[0]], dtype=torch.float64)
    return Target(mean, torch.zeros_like(mean), Autocovariance().labels, source=f"{process!r}, exactly")


def laws_of_equal_energies(
    process: AR, *, length: int = 256, volatility: float = 4.0, n_steps: int = 400
) -> pd.DataFrame:
    """Compare a process with three laws that have its variance and its covariance at lag 1.

    Args:
        process: with mean 0.
        length: points d of a path.
        volatility: σ of the diffusion with noise.
        n_steps: of both diffusions.

    Returns:
        For the process, the law of largest entropy, and a diffusion's limit with and without noise: the correlation at
        lag 2, averaged over a path, and the divergence from the process, nats.

    Example:
        >>> laws = laws_of_equal_energies(AR([0.5]), length=32, n_steps=100)
        >>> bool(laws.loc["no noise", "lag 2"] < laws.loc["largest entropy", "lag 2"])
        True
    """
    energy, truth, target = Autocovariance(), gaussian_law(process, length), exact_target(process, length)
    limits = {
        name: guided_limit(
            MomentGuidedDiffusion(energy, target, volatility=sigma, corrections=2),
            WhiteNoise(),
            n_steps=n_steps,
            length=length,
        )
        for name, sigma in ((f"σ = {volatility:g}", volatility), ("no noise", 0.0))
    }
    basis = limits["no noise"].basis
    spreads = {"largest entropy": maximum_entropy_variances(energy, target.mean, length)}
    spreads |= {name: limit.variances[-1] for name, limit in limits.items()}
    covariances = {"process": truth.covariance_matrix}
    covariances |= {name: basis * spread @ basis.T for name, spread in spreads.items()}
    apart = {name: float(divergences(spread[None], basis, truth)[0]) for name, spread in spreads.items()}
    lags = {name: float(c.diagonal(2).mean() / c.diagonal().mean()) for name, c in covariances.items()}
    return pd.DataFrame({"lag 2": lags, "KL to process": {"process": 0.0} | apart})


def model_names(table: pd.DataFrame) -> list[str]:
    """Name the rows of `results/guided_gaussian.csv` or `guided_scattering.csv` by their models and settings.

    Args:
        table: columns `model`, `volatility` and `steps`; `paths`, where it is not the same for all, and `corrections`.

    Example:
        >>> table = pd.DataFrame({"model": ["MF-MGDM", "MGD"], "volatility": [math.nan, 2.0], "steps": [300, 100]})
        >>> model_names(table)
        ['MF–MGDM, 300 steps', 'MGD, σ = 2, 100 steps']
    """
    names = []
    for _, row in table.iterrows():
        name = str(row["model"]).replace("-", "–")
        if not math.isnan(row["volatility"]):
            name += f", σ = {row['volatility']:g}"
        name += f", {row['steps']:g} steps"
        if row.get("corrections", 1.0) > 1.0:
            name += f", {row['corrections']:g} corr."
        names.append(name)
    return names


def comparison(table: pd.DataFrame) -> pd.DataFrame:
    """Set rows of `results/guided_gaussian.csv` in a table for reading, by process and model.

    Returns:
        The mean mismatch relative to the target; the entropy gained by an ensemble's estimate, by the exact law of
        infinitely many paths, and the gain that is the largest possible; divergences from the law that has it and from
        the process, nats; and seconds of a core.

    Example:
        >>> import mfmgdm_lib as mm
        >>> shown = comparison(mm.companion.stored("guided_gaussian").dropna(subset=["steps"]))
        >>> shown.xs("MF–MGDM, 300 steps", level=1)["KL to largest"].tolist()
        ['0.0130', '0.1456']
    """
    columns = {
        "mismatch": ("mismatch", "{:.0e}"),
        "entropy, estimate": ("entropy_estimate", "{:.2f}"),
        "exact": ("entropy", "{:.2f}"),
        "largest": ("largest_entropy", "{:.2f}"),
        "KL to largest": ("kl_largest", "{:.4f}"),
        "KL to process": ("kl_process", "{:.4f}"),
        "seconds": ("seconds", "{:.1f}"),
    }
    shown = {title: [spelled.format(value) for value in table[name]] for title, (name, spelled) in columns.items()}
    return pd.DataFrame(
        shown, index=pd.MultiIndex.from_arrays([table["process"].str.replace("-", "−"), model_names(table)])
    )
