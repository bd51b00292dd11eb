"""Descents whose laws are known in closed form, as references for the estimates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_finite, check_paths, check_positive_int
from mfmgdm_lib._deprecated import renamed
from mfmgdm_lib.descents import Descent
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.processes import AR, Process, WhiteNoise

__all__ = [
    "EnsembleLaw",
    "LinearEnergy",
    "MeanFieldLimit",
    "gaussian_law",
    "linear_descent",
    "mean_field_limit",
]


def gaussian_law(process: AR | WhiteNoise, length: int) -> MultivariateNormal:
    """Return the joint law of `length` successive points of a Gaussian process, with its covariance written out.

    Example:
        >>> gaussian_law(AR([0.5]), 3).covariance_matrix[0].numpy().round(2).tolist()
        [1.0, 0.5, 0.25]
    """
    check_positive_int("length", length)
    if isinstance(process, WhiteNoise):
        column = np.zeros(length)
        column[0] = process.stddev**2
    elif isinstance(process, AR):
        column = process.autocovariance(length - 1)
    else:
        raise TypeError(f"process is {process!r}; expected a Gaussian one. Use an AR or a WhiteNoise.")
    mean = torch.full((length,), process.mean, dtype=torch.float64)
    return MultivariateNormal(mean, torch.from_numpy(scipy.linalg.toeplitz(column)))


def check_white(start: Process) -> WhiteNoise:
    if not isinstance(start, WhiteNoise):
        raise TypeError(f"start is {start!r}; expected WhiteNoise, so that every law is Gaussian. Start from one.")
    return start


# --- energies linear in the path: every ensemble is Gaussian --------------------------------------------------------


class LinearEnergy(Energy):
    """Φ(x) = Bx: a descent by it is an affine map, so every law along it stays Gaussian.

    Args:
        matrix: B, (K, time).

    Example:
        >>> mean = LinearEnergy(torch.full((1, 4), 0.25))
        >>> mean(torch.tensor([1.0, 2.0, 3.0, 6.0])).tolist()
        [3.0]
    """

    def __init__(self, matrix: Tensor) -> None:
        check_finite("matrix", check_paths("matrix", matrix))
        if matrix.ndim != 2:
            raise ValueError(f"matrix has shape {tuple(matrix.shape)}; expected (K, time). Use matrix[None] for K = 1.")
        self.matrix, self.length = matrix.double(), matrix.shape[-1]
        self.labels = tuple(f"row {k}" for k in range(1, len(matrix) + 1))

    def __repr__(self) -> str:
        return f"LinearEnergy({len(self.matrix)} rows of {self.matrix.shape[-1]})"

    def _evaluate(self, x: Tensor) -> Tensor:
        return x @ self.matrix.to(x).T


@checked
@dataclass(frozen=True)
class EnsembleLaw:
    """A Gaussian law of N exchangeable paths in R^d, which couples them through their mean path alone.

    Turn the ensemble so that its first direction is the mean path: that one, times √N, has the covariance `common`,
    the N − 1 others `own`, and all are independent.

    Attributes:
        mean: mean of each path, (d,).
        common: covariance of √N times the mean path, (d, d).
        own: covariance of the deviations, (d, d).
        members: paths in the ensemble, N.
    """

    mean: Tensor
    common: Tensor
    own: Tensor
    members: int

    @property
    def path(self) -> MultivariateNormal:
        """Marginal law of one path, on R^d."""
        return MultivariateNormal(self.mean, self.own + (self.common - self.own) / self.members)

    @property
    def joint(self) -> MultivariateNormal:
        """Law of the whole ensemble, its paths one after another, on R^(N·d): written out, so for small N·d."""
        average = torch.full((self.members, self.members), 1.0 / self.members, dtype=torch.float64)
        deviation = torch.eye(self.members, dtype=torch.float64) - average
        covariance = torch.kron(average, self.common) + torch.kron(deviation, self.own)
        return MultivariateNormal(self.mean.repeat(self.members), covariance)

    def path_kl(self, law: MultivariateNormal) -> float:
        """Divergence of the law of one path from `law` on R^d, nats."""
        return float(kl_divergence(self.path, law))

    def joint_kl(self, law: MultivariateNormal) -> float:
        """Divergence of the joint law from N independent draws of `law`, divided by N, nats."""
        mean, covariance = self.mean - law.mean, law.covariance_matrix
        centre = torch.zeros_like(mean)
        still = MultivariateNormal(centre, covariance)
        common = kl_divergence(MultivariateNormal(math.sqrt(self.members) * mean, self.common), still)
        own = kl_divergence(MultivariateNormal(centre, self.own), still)
        return float(common + (self.members - 1) * own) / self.members

    @property
    def total_correlation(self) -> float:
        """Divergence of the joint law from N independent paths of its own marginal law, divided by N, nats."""
        mixed, common, own = (
            float(torch.logdet(matrix)) for matrix in (self.path.covariance_matrix, self.common, self.own)
        )
        return 0.5 * (mixed - (common + (self.members - 1) * own) / self.members)


@checked
@renamed(initial="start")
def linear_descent(model: Descent, start: Process, *, n_steps: int, members: int) -> EnsembleLaw:
    r"""Return the law of an ensemble after `n_steps` steps of a descent by a linear energy.

    The step moves every path by −γBᵀ(Bx̄ − α), with x̄ the mean path: x̄ itself is mapped by I − γBᵀB and shifted, and
    the deviations from it stay as they are. MGDM is the case of one member.

    Args:
        model: a descent by a `LinearEnergy`; its own ensemble size is not looked at.
        start: the law q_0 of the starting paths.
        n_steps: number of steps t.
        members: paths in the ensemble, N.

    Example:
        >>> import mfmgdm_lib as mm
        >>> energy = LinearEnergy(torch.full((1, 4), 0.25))
        >>> target = mm.Target(torch.ones(1).double(), torch.zeros(1).double(), energy.labels, "by hand")
        >>> model = mm.MFMGDM(energy, target, step_size=2.0)
        >>> law = linear_descent(model, mm.processes.WhiteNoise(), n_steps=1, members=8)
        >>> law.mean.tolist(), round(law.total_correlation, 4)
        ([0.5, 0.5, 0.5, 0.5], 0.0374)
    """
    check_positive_int("n_steps", n_steps, minimum=0)
    check_positive_int("members", members)
    start = check_white(start)
    if not isinstance(model.energy, LinearEnergy):
        raise TypeError(
            f"model descends by {model.energy!r}; expected a LinearEnergy, whose laws stay Gaussian. Use one."
        )
    matrix = model.energy.matrix
    identity = torch.eye(matrix.shape[-1], dtype=torch.float64)
    step, shift = identity - model.rate * matrix.T @ matrix, model.rate * matrix.T @ model.target.mean
    mean, power = torch.full_like(shift, start.mean), identity
    for _ in range(n_steps):
        mean, power = step @ mean + shift, step @ power
    variance = start.stddev**2
    return EnsembleLaw(mean, variance * power @ power.T, variance * identity, members)


# --- quadratic energies: Gaussian in the limit of large ensembles ----------------------------------------------------


@checked
@dataclass(frozen=True)
class MeanFieldLimit:
    """A path of an ensemble of infinitely many, driven by quadratic energies: x_t = V diag(ρ_t) Vᵀ x_0.

    Attributes:
        scales: ρ_t, by how much each direction has been stretched, (T + 1, d).
        basis: V, the directions, one in each column, (d, d).
        mean_energy: E Φ(x_t), (T + 1, K).
        start: the law q_0 of the starting paths, with mean 0.
    """

    scales: Tensor
    basis: Tensor
    mean_energy: Tensor
    start: WhiteNoise

    def law(self, step: int) -> MultivariateNormal:
        """Law of a path after `step` steps, on R^d."""
        self._check_step(step)
        root = self.start.stddev * self.basis * self.scales[step]
        return MultivariateNormal(root.new_zeros(len(root)), root @ root.T)

    def _check_step(self, step: int) -> None:
        if check_positive_int("step", step, minimum=0) >= len(self.scales):
            raise ValueError(f"step is {step}; expected at most {len(self.scales) - 1}. Ask for a limit of more steps.")

    def paths(self, x0: Tensor, step: int) -> Tensor:
        """Where paths (N, d) that start at `x0` have come to after `step` steps, (N, d)."""
        self._check_step(step)
        if check_paths("x0", x0).shape[-1] != len(self.basis):
            raise ValueError(f"x0 has shape {tuple(x0.shape)}; expected (N, {len(self.basis)}). Use such paths.")
        return (x0 @ self.basis * self.scales[step]) @ self.basis.T

    def log_ratio(self, x0: Tensor, process: Process, step: int) -> Tensor:
        """Return log q_t(x_t) − log p(x_t) where the paths x0 (N, d) have come to after `step` steps, nats, (N,).

        Its mean estimates the divergence from the very paths that an ensemble starts from, so that the two differ by
        little more than what the size of the ensemble does.
        """
        self._check_step(step)
        stretch = self.scales[step].abs().log().sum()
        return self.start.log_prob(x0) - stretch - process.log_prob(self.paths(x0, step))

    def reverse_kl(self, law: MultivariateNormal) -> np.ndarray:
        """Divergence of each law from a `law` on R^d with mean 0, nats, (T + 1,): exact, O(d) for each step."""
        return divergences((self.start.stddev * self.scales).square(), self.basis, law)


@checked
@renamed(initial="start")
def mean_field_limit(model: Descent, start: Process, *, n_steps: int, length: int) -> MeanFieldLimit:
    r"""Follow the limit of MF–MGDM for ensembles of infinitely many paths, exactly (Section 4).

    For Φ_k(x) = ½ xᵀH_k x the mean energies are ½ tr(H_k Σ_t), no longer random, so a step is the linear map
    A_t = I − γ Σ_k (E Φ_k − α_k) H_k, and Σ_{t+1} = A_t Σ_t A_t. Matrices H_k that commute share their directions.

    Args:
        model: a descent by quadratic forms that commute, such as `Autocovariance`; its ensemble size is not looked at.
        start: the law q_0 of the starting paths, with mean 0.
        n_steps: number of steps T.
        length: points d of each path. O(d³) once, then O(d) for each step.

    Raises:
        ValueError: an energy that is not made of such forms, or a law q_0 whose mean is not 0.

    Example:
        >>> import mfmgdm_lib as mm
        >>> experiment = mm.companion.AR_ILLUSTRATION
        >>> limit = mean_field_limit(experiment.model(), experiment.start, n_steps=157, length=1024)
        >>> truth = gaussian_law(experiment.process, 1024)
        >>> round(float(limit.reverse_kl(truth)[157]), 4)
        0.0225
    """
    check_positive_int("n_steps", n_steps, minimum=0)
    start = check_white(start)
    if start.mean != 0.0:
        raise ValueError(f"start is {start!r}; expected a law with mean 0. Centre the process first.")
    bends, basis = quadratic_forms(model.energy, length)
    scale, scales, means = basis.new_ones(length), [], []
    for _ in range(n_steps + 1):
        scales.append(scale)
        means.append(0.5 * bends @ (start.stddev * scale).square())
        scale = (1.0 - model.rate * (means[-1] - model.target.mean) @ bends) * scale
    return MeanFieldLimit(torch.stack(scales), basis, torch.stack(means), start)


def divergences(variances: Tensor, basis: Tensor, law: MultivariateNormal) -> np.ndarray:
    """Divergence from a law with mean 0 of those with such variances (T + 1, d) along a basis, nats, (T + 1,)."""
    root = torch.linalg.solve_triangular(law.scale_tril, basis, upper=False)
    spread = variances @ root.square().sum(0)
    log_det = 2.0 * law.scale_tril.diagonal().log().sum() - variances.log().sum(-1)
    return (0.5 * (spread - variances.shape[-1] + log_det)).numpy()


def quadratic_forms(energy: Energy, length: int) -> tuple[Tensor, Tensor]:
    """Eigenvalues (K, d) and shared eigenvectors (d, d) of the H_k of an energy that is Φ_k(x) = ½ xᵀH_k x."""
    check_positive_int("length", length)
    hessians = torch.func.jacrev(torch.func.jacrev(energy))(torch.zeros(length, dtype=torch.float64))
    weights = torch.linspace(
        1.0, math.sqrt(2.0), len(hessians), dtype=torch.float64
    )  # of a combination that is generic
    _, basis = torch.linalg.eigh(torch.einsum("k,kij->ij", weights, hessians))
    turned = basis.T @ hessians @ basis
    bends = turned.diagonal(dim1=-2, dim2=-1)
    probe = torch.linspace(-1.0, 2.0, length, dtype=torch.float64)
    quadratic = torch.allclose(0.5 * hessians @ probe @ probe, energy(probe), rtol=1e-10, atol=1e-10)
    shared = torch.allclose(turned, torch.diag_embed(bends), rtol=0, atol=1e-10 * float(bends.abs().max()))
    if not (quadratic and shared):
        raise ValueError(
            f"model moves paths by {energy!r}; expected quadratic forms whose matrices commute. Use Autocovariance."
        )
    return bends, basis
