"""Log-determinants of any energy estimated from Hessian-vector products with random probes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from numpy.random import Generator
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_positive, check_positive_int
from mfmgdm_lib._conjugate_gradients import TINY
from mfmgdm_lib.descents.descent import Descent, Move, State
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.log_determinants.capacitance import Capacitance, Product, dot, estimate_capacitance, restricted
from mfmgdm_lib.log_determinants.determinant_lemma import StepDeterminant

__all__ = ["Stochastic", "moving", "require_generator"]


@checked
@dataclass(frozen=True)
class Stochastic:
    r"""Log-determinants from Hessian-vector products, for energies of any kind.

    **Blocks.** With B = γ Σ_k r̄_k H_k(x) and a probe v drawn evenly from the sphere of radius √d, one product gives

    .. math:: \log\det(I - B) = -\operatorname{tr} B - \tfrac12 \operatorname{tr} B^2 - \dots
              \approx -v^\top B v - \tfrac12 \|Bv\|^2

    (Hutchinson 1989). The variance of such an estimate is 2d²/(d + 2) times that of the logarithms of the eigenvalues;
    2d times the one that the probe itself sees is right on average, so a single probe knows its own error. Where the
    spectral radius of B says that the series leaves out too much, further products make it a Lanczos quadrature (Ubaru,
    Chen and Saad 2017).

    **Capacitance.** It takes all K rows of J_Φ, so it is calculated from a random few of the paths, and its logarithm
    comes with the error of that choice, itself a rough one where the draws are few. Where ensembles are many, those
    left out get the average of those drawn. Where a few members say too little, all are taken.

    Args:
        probes: probes for each path and step.
        coupling_paths: paths that capacitances are calculated from, at least 4; None takes as many as cost about one
            gradient of all paths, N / K.
        tolerance: largest error, in nats for each path and step, that cutting a series short may add.
        max_products: Hessian-vector products for each probe at most; what has not settled by then goes into the error.
    """

    probes: int = 1
    coupling_paths: int | None = None
    tolerance: float = 1e-4
    max_products: int = 40

    name = "stochastic"

    def __post_init__(self) -> None:
        check_positive_int("probes", self.probes)
        check_positive_int("max_products", self.max_products)
        check_positive("tolerance", self.tolerance)
        if self.coupling_paths is not None:
            check_positive_int("coupling_paths", self.coupling_paths, minimum=4)

    def with_probes(self, probes: int) -> Stochastic:
        """The same settings with another number of probes."""
        return replace(self, probes=probes)

    def step(self, model: Descent, state: State, rng: Generator | None) -> tuple[Move, StepDeterminant]:
        """Take one step from `state`, and estimate its determinant along with it."""
        rng = require_generator(rng)
        driving, weights = model.driving, model.weights(state)
        force, product = model.derivatives(state).linearize(weights)
        move = model.move(state, force)
        mask = moving(state.paths, move.moved)
        blocks, error, folds = self._blocks(driving, state.paths, weights, product, mask, rng)
        members = model.members(len(blocks))
        joint = self.capacitance(model, state, mask, rng)
        return move, StepDeterminant(
            blocks,
            joint.log_abs,
            folds.unflatten(0, (-1, members)).sum(1) + joint.folds,
            error,
            joint.error,
            math.hypot(float(error.norm()) / len(blocks), joint.mean_error / members),
        )

    def capacitance(self, model: Descent, state: State, mask: Tensor, rng: Generator) -> Capacitance:
        """Estimate the capacitance of every ensemble alone; `mask` is 1 for each entry that moves, else 0, (N, d)."""
        wanted = self.coupling_paths or max(4, len(state.paths) // model.energy.dim)
        return estimate_capacitance(model, state, mask, rng, wanted, self.tolerance)

    def uncoupled(
        self, energy: Energy, paths: Tensor, weights: Tensor, moved: Tensor | None = None, rng: Generator | None = None
    ) -> StepDeterminant:
        """Estimate the determinant of each path's own block I − Σ_k w_k H_k, with nothing that couples paths."""
        rng = require_generator(rng)
        product, mask = energy.linearize(paths, weights)[1], moving(paths, moved)
        blocks, error, folds = self._blocks(energy, paths, weights, product, mask, rng)
        zero = torch.zeros_like(blocks)
        return StepDeterminant(blocks, zero, folds, error, zero, float(error.norm()) / len(blocks))

    def _blocks(
        self, energy: Energy, paths: Tensor, weights: Tensor, product: Product, mask: Tensor, rng: Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """log|det A_n| of each path, its standard error and the number of eigenvalues ≤ 0 found, (N,) each."""

        def product_of(places: Tensor) -> Product:
            return restricted(energy.linearize(paths[places], weights[places])[1], mask[places])

        probed = [self._probe(restricted(product, mask), product_of, mask, rng) for _ in range(self.probes)]
        error = torch.stack([probe.error for probe in probed]).square().sum(0).sqrt() / self.probes
        folds = torch.stack([probe.folds for probe in probed]).amax(0)
        return torch.stack([probe.log_abs for probe in probed]).mean(0), error, folds

    def _probe(self, product: Product, product_of: Callable[[Tensor], Product], mask: Tensor, rng: Generator) -> _Probe:
        """Send one probe through I − B of every path, with as many Lanczos steps as the tolerance takes.

        Args:
            product: the product with B of every path.
            product_of: the same for the paths at given places. Most need a step or two, a few need dozens.
            mask: 1 for each entry that moves, else 0, (N, d).
            rng: draws the probes.
        """
        start = torch.from_numpy(rng.standard_normal(tuple(mask.shape))).to(mask) * mask
        lanczos = _Lanczos(start, mask.sum(-1, dtype=torch.float64))
        active = torch.arange(len(mask), device=mask.device)
        found = lanczos.advance(product)
        while (unsettled := found.truncation[active] > self.tolerance).any() and lanczos.steps < self.max_products:
            if 2 * int(unsettled.sum()) <= len(active):
                active, product = active[unsettled], product_of(active[unsettled])
                lanczos.keep(unsettled)
            before, probe = found.log_abs[active], lanczos.advance(product)
            if lanczos.steps == self.max_products:
                change = (probe.log_abs - before).abs() * (probe.truncation > self.tolerance)
                probe = probe._replace(error=torch.hypot(probe.error, change))
            for whole, part in zip(found, probe, strict=True):
                whole[active] = part
        return found


class _Lanczos:
    """The Lanczos process of B for n paths at once, each from a probe of its own, with full orthogonalisation."""

    def __init__(self, start: Tensor, size: Tensor) -> None:
        self._basis = [start / start.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(start.dtype).tiny)]
        self._diagonal: list[Tensor] = []
        self._off_diagonal: list[Tensor] = []
        self._size = size

    @property
    def steps(self) -> int:
        """Products made for each path so far."""
        return len(self._diagonal)

    def keep(self, chosen: Tensor) -> None:
        """Go on with the paths `chosen`, (n,) of bool, only."""
        for vectors in (self._basis, self._diagonal, self._off_diagonal):
            vectors[:] = [vector[chosen] for vector in vectors]
        self._size = self._size[chosen]

    def advance(self, product: Product) -> _Probe:
        """Make one more product, and read what the probes know by now."""
        image = product(self._basis[-1])
        self._diagonal.append(dot(image, self._basis[-1]))
        for vector in reversed(self._basis):  # against all of them, because round-off brings the early ones back
            image = image - dot(image, vector)[:, None].to(image) * vector
        self._off_diagonal.append(dot(image, image).sqrt())
        probe = _quadrature(torch.stack(self._diagonal, -1), torch.stack(self._off_diagonal, -1), self._size)
        # Where the probe's space is used up what is left is round-off: zero from here on, which adds nothing.
        left = self._off_diagonal[-1] > 1e-10 * probe.radius.clamp(min=TINY)
        self._off_diagonal[-1] = self._off_diagonal[-1] * left
        self._basis.append(image * (left / self._off_diagonal[-1].clamp(min=TINY))[:, None].to(image))
        return probe


def require_generator(rng: Generator | None) -> Generator:
    """Return `rng`, or say that a seed is missing."""
    if rng is None:
        raise ValueError(
            "seed is None with the stochastic backend; expected a seed, so that the estimate can be had again."
            " Pass seed=0 or any other."
        )
    return rng


def moving(paths: Tensor, moved: Tensor | None) -> Tensor:
    """1 for each entry that moves, else 0."""
    return torch.ones_like(paths) if moved is None else moved.to(paths)


class _Probe(NamedTuple):
    """What one probe found of log|det(I − B)| of each path, all (N,)."""

    log_abs: Tensor
    error: Tensor
    radius: Tensor
    """Spectral radius of B, from above while only the Frobenius norm is known."""
    folds: Tensor
    """Eigenvalues of I − B at or below 0 that the probe has found."""
    truncation: Tensor
    """Bound of the error of truncating the series, nats."""


def _quadrature(diagonal: Tensor, off_diagonal: Tensor, size: Tensor) -> _Probe:
    """Read Lanczos coefficients (N, k) of B for paths of `size` moving entries, (N,).

    With k = 1 the second moment α² + β² is known too, so the series goes to second order. With k > 1 it is the Gauss
    quadrature of k nodes, exact for the first 2k − 1 powers of B.
    """
    k = diagonal.shape[-1]
    square = diagonal[:, 0].square() + off_diagonal[:, 0].square()  # ‖Bv‖² of a unit probe: tr B² / d on average
    if k == 1:
        mean = -diagonal[:, 0] - 0.5 * square
        variance = off_diagonal[:, 0].square()
        radius, folds, order = (size * square).sqrt(), torch.zeros_like(size, dtype=torch.int64), 3
    else:
        beside = off_diagonal[:, :-1]
        tridiagonal = torch.diag_embed(diagonal) + torch.diag_embed(beside, 1) + torch.diag_embed(beside, -1)
        nodes, vectors = torch.linalg.eigh(tridiagonal)
        weights, logs = vectors[:, 0].square(), (1.0 - nodes).abs().clamp(min=TINY).log()
        mean = (weights * logs).sum(-1)
        variance = (weights * (logs - mean[:, None]).square()).sum(-1)
        # Nodes lie inside the spectrum and reach its ends quickly; a tenth allows for what they still lack.
        radius = torch.minimum(1.1 * nodes.abs().amax(-1), (size * square).sqrt())
        folds, order = ((nodes >= 1.0) & (weights > 1e-20)).sum(-1), 2 * k
    truncation = size * square * radius ** (order - 2) / (order * (1.0 - radius).clamp(min=0.0))
    truncation = torch.where(radius > 0, truncation, torch.zeros_like(truncation))
    error = (2.0 * size * variance).sqrt()
    return _Probe(size * mean, error, radius, folds, truncation)
