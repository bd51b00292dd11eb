"""The Ising model on a torus: exact partition function, entropy and energy, and a cluster sampler."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import as_shape, check_paths, check_positive, check_positive_int
from mfmgdm_lib.processes.base import Process, Seed, Size, generator
from mfmgdm_lib.specification import register

__all__ = ["CRITICAL_TEMPERATURE", "Ising"]

CRITICAL_TEMPERATURE = 2.0 / math.log(1.0 + math.sqrt(2.0))
"""Temperature below which an infinite lattice is magnetised, 2.269 (Onsager, 1944)."""

_COLDEST = 0.05
"""Lowest temperature: below it the chance that one spin differs is under 10⁻⁶⁹ and hyperbolic functions overflow."""

_CHUNK_POINTS = 2**21
"""Spins whose clusters are looked for at once."""


@checked
@register
class Ising(Process):
    r"""The Ising model: spins ±1 on a square lattice with periodic borders, each bound to its four neighbours.

    .. math:: P(x) = \frac1Z \exp\Bigl(\beta \sum_r x_r (x_{\text{right of } r} + x_{\text{below } r})\Bigr),
              \qquad \beta = 1/T

    The sum is minus the energy U. P is a mass over 2^(HW) lattices, not a density: `log_prob` is its logarithm, and −∞
    for values other than −1 and 1. A divergence of a density from it is infinite or has no meaning; entropies of the
    signs can be compared with its own, and `log_prob` can be averaged over them.

    Lattices are drawn from fair spins by the cluster updates of Swendsen and Wang (1987): two equal neighbours are
    tied with probability 1 − exp(−2β), and each cluster of ties gets a fair sign. Near the critical temperature such
    a sweep forgets a lattice of 256² in about ten, where the paper's single flips (Metropolis et al., 1953; 1024
    sweeps from fair spins) take more than there are of them.

    Args:
        temperature: T, in units of the coupling, at least 0.05. The critical one is 2.269.
        sweeps: cluster updates of each lattice.

    Raises:
        ValueError: arguments out of range.

    Example:
        >>> ising = Ising(4.0)
        >>> fields = ising.sample(8, (32, 32), seed=0)
        >>> fields.shape, sorted(set(fields.flatten().tolist()))
        (torch.Size([8, 32, 32]), [-1.0, 1.0])
        >>> round(ising.entropy((32, 32)) / 32**2, 4)  # nats per spin, of at most log 2 = 0.6931
        0.6198
    """

    event_shape: tuple[int | None, ...] = (None, None)
    draws_path_by_path = False
    mean, stddev = 0.0, 1.0

    def __init__(self, temperature: float, sweeps: int = 100) -> None:
        self.temperature = check_positive("temperature", temperature)
        if self.temperature < _COLDEST:
            raise ValueError(
                f"temperature is {temperature!r}; expected at least {_COLDEST:g}. Below it all spins agree: use a"
                " constant field of a random sign."
            )
        self.sweeps = check_positive_int("sweeps", sweeps)

    def __repr__(self) -> str:
        return f"Ising({self.temperature:g})" if self.sweeps == 100 else f"Ising({self.temperature:g}, {self.sweeps})"

    # --- exact values ------------------------------------------------------------------------------------------------

    def log_partition(self, shape: Sequence[int]) -> float:
        """Logarithm of Z of a torus (H, W), exact for every size (Kaufman, 1949)."""
        return float(_log_partition(self._coupling(), *_lattice(shape)))

    def mean_energy(self, shape: Sequence[int]) -> float:
        """Mean of U over a torus (H, W): −d log Z / dβ."""
        coupling = self._coupling().requires_grad_()
        (slope,) = torch.autograd.grad(_log_partition(coupling, *_lattice(shape)), coupling)
        return -float(slope)

    def entropy(self, shape: Sequence[int]) -> float:
        """Entropy of a torus (H, W), nats: log Z + β times the mean of U."""
        return self.log_partition(shape) + self.mean_energy(shape) / self.temperature

    def _coupling(self) -> Tensor:
        return torch.tensor(1.0 / self.temperature, dtype=torch.float64)

    # --- fields ------------------------------------------------------------------------------------------------------

    @staticmethod
    def energy(x: Tensor) -> Tensor:
        """U, minus the sum of x_r (x_right + x_below): a tensor (*,) for fields (*, H, W)."""
        if x.ndim < 2:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (*, H, W). Use fields.")
        return -(x * (x.roll(-1, -1) + x.roll(-1, -2))).sum((-2, -1))

    def log_prob(self, x: Tensor) -> Tensor:
        """Logarithm of the probability of fields x (*, H, W), nats: a tensor (*,); −∞ where a value is not ±1."""
        shape = _lattice(check_paths("x", x).shape[-2:])
        log_mass = -self.energy(x) / self.temperature - self.log_partition(shape)
        return log_mass.where((x.abs() == 1.0).flatten(-2).all(-1), -torch.inf)

    def sample(self, n: int, length: Size, seed: Seed) -> Tensor:
        """Draw `n` independent fields.

        Args:
            n: number of fields.
            length: the shape of a field, (H, W).
            seed: whatever `numpy.random.default_rng` takes.

        Returns:
            A float64 tensor (n, H, W) of −1 and 1.
        """
        n, shape, rng = check_positive_int("n", n), _lattice(length), generator(seed)
        fields, size = np.empty((n, *shape), dtype=np.int8), max(1, _CHUNK_POINTS // math.prod(shape))
        for first in range(0, n, size):
            chunk = fields[first : first + size]
            chunk[:] = 2 * rng.integers(0, 2, chunk.shape, dtype=np.int8) - 1
            ties = _neighbours(chunk.shape)
            for _ in range(self.sweeps):
                _sweep(chunk, ties, self.temperature, rng)
        return torch.from_numpy(fields).double()


def _lattice(shape: Size) -> tuple[int, int]:
    sizes = as_shape("length", shape if isinstance(shape, int) else tuple(shape))
    if len(sizes) != 2 or min(sizes) < 2:
        raise ValueError(
            f"length is {shape!r}; expected the shape of a field, (height, width), of at least 2 each."
            " Pass it as a tuple, such as (32, 32)."
        )
    return sizes[0], sizes[1]


def _neighbours(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Places of the right and of the lower neighbour of each spin of fields (n, H, W), laid out flat."""
    places = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    return np.roll(places, -1, 2).ravel(), np.roll(places, -1, 1).ravel()


def _sweep(
    fields: np.ndarray, ties: tuple[np.ndarray, np.ndarray], temperature: float, rng: np.random.Generator
) -> None:
    """Update fields (n, H, W) of int8 once, in place (Swendsen and Wang, 1987)."""
    spins, free = fields.reshape(-1), np.float32(math.exp(-2.0 / temperature))
    starts, ends = [], []
    for neighbours in ties:
        equal = np.flatnonzero(spins == spins[neighbours])
        tied = equal[rng.random(len(equal), dtype=np.float32) >= free]
        starts.append(tied.astype(np.int32))
        ends.append(neighbours[tied])
    start, end = np.concatenate(starts), np.concatenate(ends)
    graph = scipy.sparse.coo_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(len(spins), len(spins)))
    n_clusters, cluster = scipy.sparse.csgraph.connected_components(graph, directed=False)
    spins[:] = (2 * rng.integers(0, 2, n_clusters, dtype=np.int8) - 1)[cluster]


def _log_partition(coupling: Tensor, height: int, width: int) -> Tensor:
    r"""Kaufman's partition function of the torus, differentiable by the coupling β.

    .. math:: Z = \tfrac12 (2 \sinh 2\beta)^{HW/2} \Bigl[\prod_r 2\cosh\tfrac{H\gamma_{2r+1}}2
        + \prod_r 2\sinh\tfrac{H\gamma_{2r+1}}2 + \prod_r 2\cosh\tfrac{H\gamma_{2r}}2
        + \prod_r 2\sinh\tfrac{H\gamma_{2r}}2\Bigr], \quad r = 0, \dots, W - 1,

    with cosh γ_l = cosh 2β coth 2β − cos(πl/W) and γ_0 = 2β + log tanh β, which is negative above the critical
    temperature, where the last product is subtracted.
    """
    sinh = torch.sinh(2.0 * coupling)
    angles = math.pi * torch.arange(2 * width, dtype=torch.float64) / width
    # cosh γ − 1 without cancellation, which is near 0 for the longest waves at the critical temperature
    excess = (sinh - 1.0).square() / sinh + 2.0 * torch.sin(0.5 * angles[1:]).square()
    lowest = 2.0 * coupling + torch.tanh(coupling).log()
    if lowest == 0:  # exactly critical: the last product is 0, and its slope is that next to it
        lowest = lowest + torch.finfo(torch.float64).tiny
    gamma = torch.cat([lowest[None], 2.0 * torch.asinh((0.5 * excess).sqrt())])
    half = 0.5 * height * gamma.abs()
    cosh, sinh_half = half + torch.log1p(torch.exp(-2.0 * half)), half + torch.log(-torch.expm1(-2.0 * half))
    logs = torch.stack([cosh[1::2].sum(), sinh_half[1::2].sum(), cosh[::2].sum(), sinh_half[::2].sum()])
    signs = torch.tensor([1.0, 1.0, 1.0, 1.0 if lowest > 0 else -1.0], dtype=torch.float64)
    largest = logs.max().detach()
    total = (signs * (logs - largest).exp()).sum().log() + largest
    return 0.5 * height * width * (2.0 * sinh).log() + total - math.log(2.0)
