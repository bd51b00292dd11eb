"""Moment guided diffusion: paths led from noise to their target moments with as much entropy as these allow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_finite, check_number, check_paths, check_positive_int, first_true, spelled_shape
from mfmgdm_lib._progress import progress
from mfmgdm_lib.descents.descent import State
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.errors import DivergedError
from mfmgdm_lib.processes.base import Seed, generator
from mfmgdm_lib.target import Target

__all__ = ["GuidedState", "MomentGuidedDiffusion", "interpolated_moments"]

_CHUNK = 64
"""Paths whose Jacobians and Hessians are in memory at once."""

_RIDGE = 1e-7
"""Added to the diagonal of a Gram matrix whose diagonal is scaled to 1, as in the paper's Appendix D."""


@dataclass(frozen=True)
class GuidedState(State):
    """Where N paths stand after some time.

    Attributes:
        time: between 0, noise, and 1, the target.
        multipliers: θ, (K,) float64: the score of the paths' law is nearest to −Σ_k θ_k ∇Φ_k. None where no entropy is
            wanted.
        entropy_gain: estimate of how much entropy a path has more than at the start, nats; NaN where none is wanted.
        weights: what the gradients of the energies were multiplied by in the step that led here: before the noise, and
            in each correction after it, (1 + corrections, K) float64; None at the start.
    """

    time: float = 0.0
    multipliers: Tensor | None = None
    entropy_gain: float = math.nan
    weights: Tensor | None = None


@checked
class MomentGuidedDiffusion:
    r"""Moment guided diffusion (Lempereur, Cuvelle-Magar, Coeurdoux, Mallat, Vanden-Eijnden, arXiv 2602.17211, 2026).

    A stochastic differential equation on 0 ≤ t ≤ 1 whose drift is a combination of the energies' gradients, with
    weights that are the same for all paths and keep the mean energy on a path m_t from that of noise to the target α:

    .. math:: dX = \sum_k (\eta_k - \sigma^2 \theta_k) \nabla \Phi_k(X)\, dt + \sqrt 2\, \sigma\, dW, \qquad
              G\, \eta = \dot m_t, \quad G\, \theta = \mathbb E[\Delta \Phi(X)], \quad
              G = \mathbb E[J_\Phi J_\Phi^\top].

    Means are over the ensemble. A step of length h is theirs too: x + h ηᵀ∇Φ and the noise first, then a correction
    along the gradients, there, that takes the mean energy to :math:`m_{t+h}` up to second order in hσ². It puts −σ²θ
    into effect without a Laplacian, and errors do not add up. More corrections are Newton's method for the same end.
    The larger σ is, the nearer a law comes to that of largest entropy with these moments; its relaxation takes a time
    of order 1/σ², and steps have to be much shorter than that.

    From the Fokker–Planck equation the entropy H of the law changes by
    :math:`\dot H = (\eta - \sigma^2 \theta) \cdot \mathbb E[\Delta \Phi] + \sigma^2 I`, with the Fisher information I.
    −θᵀ∇Φ is the projection of the score on the gradients, so :math:`I \ge \theta \cdot \mathbb E[\Delta \Phi]`, and

    .. math:: H(X_1) \ge H(X_0) + \int_0^1 \theta_t \cdot \dot m_t \, dt,

    with equality where every law on the way is of largest entropy, and where σ = 0. `entropy_gain` is this integral by
    the trapezoidal rule. The equation and the step were taken from public descriptions of the paper; the bound is
    derived here, and the paper's own estimator may be written otherwise.

    The law of largest entropy need not exist: the products of squares of `StylizedFacts`, above those of noise,
    have multipliers below 0, and a density that grows without bound. A large σ then sends a few paths away.

    Args:
        energy: Φ, of paths on the whole real line.
        target: α, of the same K energies.
        volatility: σ, at least 0, in the units of a path; 0 moves paths by the gradients alone.
        corrections: how often each step corrects the mean energy; once in the paper.

    Raises:
        ValueError: a volatility below 0, or a target of other energies.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.5]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, length=64, seed=1)
        >>> x0 = mm.initial_distribution(process).sample(256, 64, seed=2)
        >>> *_, last = mm.MomentGuidedDiffusion(energy, target, volatility=2.0).steps(x0, 100, seed=3)
        >>> float(last.loss[0]) < 1e-5, -10.0 < last.entropy_gain < -8.0  # 63/2 log(1 − 0.5²) = −9.06 in the limit
        (True, True)
    """

    def __init__(self, energy: Energy, target: Target, *, volatility: float = 1.0, corrections: int = 1) -> None:
        if target.labels != energy.labels:
            raise ValueError(
                f"target has the energies {target.labels}; expected those of {energy!r}: {energy.labels}."
                " Estimate the target with the same energy."
            )
        if check_number("volatility", volatility) < 0.0:
            raise ValueError(f"volatility is {volatility!r}; expected at least 0. Use 0.0 for no noise.")
        self.energy, self.target, self.volatility = energy, target, float(volatility)
        self.corrections = check_positive_int("corrections", corrections)

    def __repr__(self) -> str:
        return f"MomentGuidedDiffusion({self.energy!r}, volatility={self.volatility:g})"

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """Shape of a path, that of the energy."""
        return self.energy.event_shape

    def sample(self, x0: Tensor, n_steps: int, *, seed: Seed, moments: Tensor | None = None) -> Tensor:
        """Return the paths to which x0 (N, time) has come at time 1: a tensor like x0.

        Raises:
            DivergedError: the mean energy did not follow its path; the error names the step.
        """
        for state in self.steps(x0, n_steps, seed=seed, moments=moments, entropy=False):
            last = state
        return last.paths

    def steps(
        self, x0: Tensor, n_steps: int, *, seed: Seed, moments: Tensor | None = None, entropy: bool = True
    ) -> Iterator[GuidedState]:
        """Yield the states after 0, 1, …, n_steps steps of length 1/n_steps.

        Args:
            x0: starting paths (N, time), all in one ensemble; their dtype and device are kept.
            n_steps: number of steps, at least 1.
            seed: whatever `numpy.random.default_rng` takes.
            moments: m_t, (n_steps + 1, K), of which only the first need not be reached; None for the straight line from
                the mean energy of x0 to the target. See `interpolated_moments`.
            entropy: whether the change of entropy is estimated, which takes Laplacians: exact ones of energies with
                banded Hessians, else one random probe for each path (Hutchinson, 1989).

        Raises:
            DivergedError: the mean energy did not follow its path; the error names the step.
            ValueError: moments of another shape.
        """
        check_positive_int("n_steps", n_steps)
        check_finite("x0", check_paths("x0", x0, minimum_length=self.energy.minimum_length))
        if x0.ndim != 1 + self.energy.event_ndim or len(x0) < 2:
            expected = f"(paths, {spelled_shape(self.event_shape)}) with at least two paths"
            raise ValueError(f"x0 has shape {tuple(x0.shape)}; expected {expected}. Draw more paths.")
        rng = generator(seed)
        state = self._state(0, n_steps, x0)
        wanted = self._moments(state, n_steps, moments)
        gram, state = self._measured(state, None, rng, entropy)
        yield state
        for step in progress(range(1, n_steps + 1), total=n_steps, description=type(self).__name__):
            paths, weights = self._move(state, gram, wanted, rng)
            moved = self._state(step, n_steps, paths, weights)
            gram, state = self._measured(moved, state, rng, entropy)
            yield state

    def _moments(self, state: GuidedState, n_steps: int, moments: Tensor | None) -> Tensor:
        """The path m_t, (n_steps + 1, K) float64."""
        if moments is None:
            begin, end = state.energies.double().mean(0), self.target.mean.to(state.energies.device)
            return begin + torch.linspace(0.0, 1.0, n_steps + 1, dtype=torch.float64)[:, None].to(begin) * (end - begin)
        if moments.shape != (n_steps + 1, self.energy.dim):
            raise ValueError(
                f"moments has shape {tuple(moments.shape)}; expected {(n_steps + 1, self.energy.dim)}, a row before"
                " each step and one at the end. Use interpolated_moments with the same number of steps."
            )
        return check_finite("moments", moments).double().to(state.energies.device)

    def _state(self, step: int, n_steps: int, paths: Tensor, weights: Tensor | None = None) -> GuidedState:
        energies = self._energies(paths, step)
        mismatch = (energies.double().mean(0) - self.target.mean.to(energies.device)).expand(len(paths), -1)
        loss = 0.5 * mismatch.square().sum(-1) / float(self.target.mean.square().sum())
        return GuidedState(
            step, paths, energies, mismatch.to(paths), loss.to(paths), time=step / n_steps, weights=weights
        )

    def _energies(self, paths: Tensor, step: int) -> Tensor:
        finite = torch.isfinite(paths).flatten(1).all(-1)
        if finite.all():
            energies = self.energy.evaluate(paths)[0]
            finite = torch.isfinite(energies).all(-1)
        broken = first_true(~finite)
        if broken is not None:
            raise DivergedError(
                f"{{path}} has an infinite or NaN energy at step {step} with volatility {self.volatility:g};"
                " expected finite energies all the way. Use more steps, more paths or a lower volatility.",
                step=step,
                particle=broken,
            )
        return energies

    def _measured(
        self, state: GuidedState, before: GuidedState | None, rng: np.random.Generator, entropy: bool
    ) -> tuple[Tensor, GuidedState]:
        """G at a state, and the state with its multipliers and the entropy gained since the start."""
        gram = mean_gram(self.energy, state.paths)
        if not entropy:
            return gram, state
        multipliers, gain = _solve(gram, mean_laplacian(self.energy, state.paths, rng)), 0.0
        if before is not None and before.multipliers is not None:
            change = state.energies.double().mean(0) - before.energies.double().mean(0)
            gain = before.entropy_gain + 0.5 * float((before.multipliers + multipliers) @ change)
        return gram, GuidedState(**{**vars(state), "multipliers": multipliers, "entropy_gain": gain})

    def _move(
        self, state: GuidedState, gram: Tensor, wanted: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """One step: the paths after it, and the weights of its moves."""
        x, n_steps, step = state.paths, len(wanted) - 1, state.step + 1
        weights, aim = [_solve(gram, wanted[step] - wanted[step - 1])], wanted[step]
        noise = torch.from_numpy(rng.standard_normal(x.shape)).to(x)
        x = x + self._force(x, weights[0]) + math.sqrt(2.0 / n_steps) * self.volatility * noise
        for _ in range(self.corrections):
            miss = aim - self._energies(x, step).double().mean(0)
            weights.append(_solve(mean_gram(self.energy, x), miss))
            x = x + self._force(x, weights[-1])
        return x, torch.stack(weights)

    def _force(self, x: Tensor, weights: Tensor) -> Tensor:
        return self.energy.gradient(x, weights.to(x).expand(len(x), -1))


@checked
def interpolated_moments(energy: Energy, x0: Tensor, data: Tensor, n_steps: int) -> Tensor:
    r"""Mean energies of mixtures of noise and data, a path that `MomentGuidedDiffusion` may follow.

    .. math:: m_t = \mathbb E\, \Phi\bigl(\cos(\tfrac{\pi t}{2}) X_0 + \sin(\tfrac{\pi t}{2}) X_1\bigr)

    A variance that both have stays what it is (Lempereur et al., 2026).

    Args:
        energy: Φ.
        x0: noise, (N, time).
        data: as many observed paths, independent of x0: (N, time), of the same dtype and device.
        n_steps: number of steps.

    Returns:
        m at t = 0, 1/n_steps, …, 1: (n_steps + 1, K) float64.

    Example:
        >>> from mfmgdm_lib.energies import Autocovariance
        >>> x0, data = torch.tensor([[1.0, -1.0], [1.0, 1.0]]), torch.tensor([[1.0, 1.0], [1.0, 1.0]])
        >>> interpolated_moments(Autocovariance(), x0, data, 2)[:, 0].numpy().round(3).tolist()
        [0.0, 0.5, 0.5]
    """
    if data.shape != x0.shape:
        raise ValueError(
            f"data has shape {tuple(data.shape)}; expected that of x0, {tuple(x0.shape)}. Draw as many of each."
        )
    angles = [0.5 * math.pi * step / n_steps for step in range(check_positive_int("n_steps", n_steps) + 1)]
    return torch.stack([energy(math.cos(a) * x0 + math.sin(a) * data).double().mean(0) for a in angles])


def mean_gram(energy: Energy, x: Tensor) -> Tensor:
    """The mean over paths x (N, time) of J_Φ J_Φᵀ: (K, K) float64."""
    total = torch.zeros((energy.dim, energy.dim), dtype=torch.float64, device=x.device)
    for part in x.split(_CHUNK):
        rows = energy.jacobian(part).flatten(2)
        total += (rows @ rows.mT).double().sum(0)
    return total / len(x)


def mean_laplacian(energy: Energy, x: Tensor, rng: np.random.Generator) -> Tensor:
    """The mean over paths of ΔΦ, (K,) float64: exact where Hessians are banded or circulant, else estimated."""
    if energy.bandwidth is not None or energy.circulant:
        return energy.laplacian(x).double().mean(0)
    return torch.stack([_probed_laplacians(energy, part, rng) for part in x.split(_CHUNK)]).sum(0) / len(x)


def _probed_laplacians(energy: Energy, x: Tensor, rng: np.random.Generator) -> Tensor:
    """Σ_n vᵀH_k v with random signs v, (K,) float64: linear in weights of the energies, so one derivative gives all."""
    signs = torch.from_numpy(rng.integers(0, 2, x.shape) * 2 - 1).to(x)
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        weights = torch.zeros(energy.dim, dtype=x.dtype, device=x.device, requires_grad=True)
        (force,) = torch.autograd.grad((energy(leaf) * weights).sum(), leaf, create_graph=True)
        (curved,) = torch.autograd.grad(force, leaf, signs, create_graph=True, materialize_grads=True)
        trace = (curved * signs).sum()
    return torch.autograd.grad(trace, weights, materialize_grads=True)[0].double()


def _solve(gram: Tensor, values: Tensor) -> Tensor:
    """G⁻¹ values, with energies scaled to gradients of mean square 1 and a ridge that keeps it finite."""
    scale = gram.diagonal().clamp(min=torch.finfo(torch.float64).tiny).sqrt()
    scaled = gram / (scale[:, None] * scale) + _RIDGE * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    return torch.linalg.solve(scaled, values / scale) / scale
