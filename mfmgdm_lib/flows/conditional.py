"""The conditional flow: the law of tomorrow's value given the past, as a frozen mean-field flow of innovations."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._arrays import load_arrays, save_arrays
from mfmgdm_lib._checks import check_finite, check_paths, check_positive_int
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib.energies import ConditionalEnergy
from mfmgdm_lib.energies.given_past import FUNCTIONS, Function, size
from mfmgdm_lib.processes import ConditionalLaw, VolatilityModel
from mfmgdm_lib.processes.base import Seed, generator
from mfmgdm_lib.processes.conditional import check_levels
from mfmgdm_lib.specification import from_spec, register, spec

__all__ = ["MOST_BEND", "ConditionalFlow", "bends"]

MOST_BEND = 0.25
"""The largest slope of a step's displacement, for every past: below 1 the step is one-to-one."""

_KIND = "conditional flow"
_NUMBERS = 2**19
"""Numbers of the past that are in memory at once."""


@checked
@register
class ConditionalFlow(ConditionalLaw):
    r"""A base model whose innovations are moved by a frozen mean-field flow, each given those before it.

    A base model of the family of `arch` makes a series of innovations, :math:`x_t = \mu_t + \sigma_t \varepsilon_t`,
    where :math:`\mu_t` and :math:`\sigma_t` depend on the past alone. Under the base model the innovations are
    independent. Here each is made from an independent draw :math:`z` of the base model's law by steps

    .. math:: z \leftarrow z + \sum_k w_{s,k} \, \partial_\varepsilon \Phi_k(z \mid \varepsilon_{t-1}, \dots), \qquad
              s = 1, \dots, S,

    MF–MGDM's moves with the path of the mean mismatch kept, by ε_t alone: the innovations before it are held fixed, as
    entries are that must not move (paper, Appendix B). Each day is then a step of a triangular map, so that

    .. math:: \log q(x_t \mid x_1, \dots, x_{t-1}) = \log q_0(z) - \log \sigma_t
              - \sum_s \log\Bigl(1 + \sum_k w_{s,k} \, \partial^2_\varepsilon \Phi_k\Bigr)

    is exact, densities of all horizons agree with each other, and paths are drawn day after day. The steps are so short
    that the sum in the logarithm is at most 1/4 in size for every innovation and every past, by the bounds of the
    energies: each step is one-to-one by proof, not only where it was looked at.

    Args:
        base: the model whose innovations are moved.
        energy: Φ.
        weights: w, (S, K) float64, a row for each step; S = 0 leaves the base model as it is.

    Raises:
        ValueError: weights of another shape, not finite, or so large that a step may not be one-to-one.

    Example:
        >>> import mfmgdm_lib as mm
        >>> base = mm.processes.VolatilityModel("garch", 0.1, 0.1, 0.8, start=1.0)
        >>> energy = mm.energies.GivenPast((1,))
        >>> flow = ConditionalFlow(base, energy, torch.tensor([[0.0, 0.02, -0.01]], dtype=torch.float64))
        >>> paths, log_q = flow.sample_and_log_prob(5, 20, given=[0.5, -1.0, 2.0], seed=0)
        >>> bool((flow.log_prob(paths, given=[0.5, -1.0, 2.0]) - log_q).abs().max() < 1e-10)
        True
    """

    def __init__(self, base: VolatilityModel, energy: ConditionalEnergy, weights: Tensor) -> None:
        if weights.ndim != 2 or weights.shape[1] != energy.dim or weights.dtype != torch.float64:
            raise ValueError(
                f"weights has shape {tuple(weights.shape)} and dtype {weights.dtype}; expected (steps, {energy.dim}), a"
                " number for each step and energy, in torch.float64. Use fit_conditional_flow."
            )
        check_finite("weights", weights)
        if len(weights) and (bend := float((weights.abs() @ bends(energy)).max())) > MOST_BEND * (1.0 + 1e-9):
            raise ValueError(
                f"weights let a step bend by {bend:.3g}; expected at most {MOST_BEND}, for a step that is one-to-one"
                " for every past. Use more and shorter steps, as fit_conditional_flow does."
            )
        self.base, self.energy, self.weights = base, energy, weights
        self.minimum_past = base.minimum_past
        self.choice: pd.DataFrame | None = None
        """How `fit_conditional_flow` has chosen the energy and the time; None for a flow that was read from a file."""
        self._functions = [FUNCTIONS[name] for name in dict.fromkeys(energy.functions)]
        self._coefficients = _spread(energy, weights)

    def __repr__(self) -> str:
        return f"ConditionalFlow({self.base!r}, {self.energy!r}, {len(self.weights)} steps)"

    # --- innovations -------------------------------------------------------------------------------------------------

    def ends(self, z: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Where draws (*,) of the base's law are taken to, given features (*, K), and the log of the derivative."""
        log_slope = torch.zeros_like(z)
        for step in self._by_step(features, z):
            move, bend = _displacement(z, step, self._functions)
            log_slope += bend.log1p()
            z = z + move
        return z, log_slope

    def origins(self, innovations: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """What `ends` takes to innovations (*,), and the log of its derivative there."""
        z, log_slope = innovations, torch.zeros_like(innovations)
        for step in reversed(self._by_step(features, innovations)):
            z = _origin(z, step, self._functions)
            log_slope += _displacement(z, step, self._functions)[1].log1p()
        return z, log_slope

    def _by_step(self, features: Tensor, draws: Tensor) -> list[tuple[Tensor, ...]]:
        """For each step the sums of w f over the energies of each function: tensors (*,), as the draws moved."""
        if features.shape != (*draws.shape, self.energy.dim):
            raise ValueError(
                f"features has shape {tuple(features.shape)}; expected {(*draws.shape, self.energy.dim)}, the energies"
                f" of {self.energy!r} given the past of each draw. Use what `features` of the energy returns."
            )
        count, parts = len(self.weights), len(self._functions)
        found = self._coefficients @ features.reshape(-1, self.energy.dim).T
        return [step.unbind(0) for step in found.reshape(count, parts, *features.shape[:-1]).unbind(0)]

    def _draws(self, innovations: Tensor) -> tuple[Tensor, Tensor]:
        """The draws behind series of innovations (N, T), and the logs of the derivatives."""
        size = max(1, _NUMBERS // (innovations.shape[-1] * self.energy.memory))
        parts = [self.origins(part, self.energy.along(part)) for part in innovations.split(size)]
        draws, logs = zip(*parts, strict=True)
        return torch.cat(draws), torch.cat(logs)

    # --- the law -----------------------------------------------------------------------------------------------------

    def log_densities(self, x: Tensor) -> Tensor:
        """Log-density of each point of series given those before.

        Args:
            x: series (*, T) in the units of the base model, float32 or float64.

        Returns:
            A tensor (*, T) like `x`, in nats, without a gradient. Before a series innovations count as 0.
        """
        innovations, scales = self._filtered(x)
        draws, log_slope = self._draws(innovations)
        return (self.base.law.log_density(draws) - log_slope - scales.log()).reshape(x.shape).to(x)

    def probabilities(self, x: Tensor) -> Tensor:
        """Probability of a value below each point, given those before: (*, T) for series (*, T)."""
        draws, _ = self._draws(self._filtered(x)[0])
        return self.base.law.probabilities(draws).reshape(x.shape).to(x)

    def quantiles(self, levels: Sequence[float] | Tensor, x: Tensor) -> Tensor:
        """Quantiles of each point given those before, which do not depend on the point itself.

        Args:
            levels: probabilities (L,) between 0 and 1.
            x: series (*, T).

        Returns:
            A tensor (*, T, L) like `x`.
        """
        innovations, scales = self._filtered(x)
        if not len(levels := check_levels(levels)):
            raise ValueError("levels has no numbers; expected at least one between 0 and 1. Use such as [0.01, 0.99].")
        draws = self.base.law.quantiles(levels)
        features = self.energy.along(innovations)[..., None, :]
        moved = torch.stack(
            [self.ends(draw.expand(features.shape[:-1]), features)[0].squeeze(-1) for draw in draws], -1
        )
        means = x.double().reshape(innovations.shape) - scales * innovations
        return (means[..., None] + scales[..., None] * moved).reshape(*x.shape, len(draws)).to(x)

    def _filtered(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Innovations and scales of series (*, T), both (N, T) float64."""
        check_finite("x", check_paths("x", x))
        return self.base.innovations(x.detach().double().reshape(-1, x.shape[-1]))

    def log_prob(self, x: Tensor, *, given: Any) -> Tensor:
        """Log-density of paths that go on from a series, exact.

        Args:
            x: paths (*, h), float32 or float64.
            given: the one series (T,) that they go on from, of at least `minimum_past` points.

        Returns:
            A tensor (*,) in nats, of the dtype and on the device of `x`, without a gradient.
        """
        check_finite("x", check_paths("x", x))
        before = self._last(given)
        innovations, scales = self.base.innovations(x.detach().double().reshape(-1, x.shape[-1]), given=given)
        draws, log_slope = self._draws(torch.cat([before.expand(len(innovations), -1), innovations], -1))
        after = self.base.law.log_density(draws) - log_slope
        return (after[:, len(before) :] - scales.log()).sum(-1).reshape(x.shape[:-1]).to(x)

    def sample(self, n: int, horizon: int, *, given: Any, seed: Seed) -> Tensor:
        """Draw independent paths that go on from a series, day after day.

        Args:
            n: number of paths.
            horizon: points of each.
            given: the one series (T,) that they go on from, of at least `minimum_past` points.
            seed: whatever `numpy.random.default_rng` takes.

        Returns:
            A float64 tensor (n, horizon) in the units of the series.
        """
        return self.sample_and_log_prob(n, horizon, given=given, seed=seed)[0]

    def sample_and_log_prob(self, n: int, horizon: int, *, given: Any, seed: Seed) -> tuple[Tensor, Tensor]:
        """Draw as `sample` does, with the log-density of each path, (n,) in nats: no inverse is needed."""
        shape = check_positive_int("n", n), check_positive_int("horizon", horizon)
        draws = torch.from_numpy(self.base.law.draw(generator(seed), shape))
        memory, before = self.energy.memory, self._last(given)
        # The days of all paths side by side, the last ones of the past first.
        days, log_slope = before.new_empty(memory + horizon, n), torch.zeros(n, dtype=torch.float64)
        days[:memory] = before[:, None]
        for day, draw in enumerate(draws.T.contiguous()):
            days[memory + day], logs = self.ends(draw, self.energy.features(days[day : memory + day].T))
            log_slope += logs
        innovations = days[memory:].T.contiguous()
        paths = self.base.paths(innovations, given=given)
        _, scales = self.base.innovations(paths, given=given)
        return paths, (self.base.law.log_density(draws) - scales.log()).sum(-1) - log_slope

    def _last(self, given: Any) -> Tensor:
        """The last innovations of a series that the energy looks back at, (memory,); before it they count as 0."""
        innovations, _ = self.base.innovations(self._past(given))
        return torch.nn.functional.pad(innovations, (self.energy.memory, 0))[-self.energy.memory :]

    # --- files -------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the flow to one file; return its path, with the suffix .npz.

        Raises:
            TypeError: an energy of a class that is not registered; see `mfmgdm_lib.register`.
        """
        arrays: dict[str, np.ndarray] = {}
        description = json.dumps(spec(self, arrays))
        return save_arrays(path, _KIND, {**arrays, "spec": np.array(description)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ConditionalFlow:
        """Read back what `save` wrote. Nothing in the file is executed: only registered classes are built.

        Raises:
            FileNotFoundError: no such file.
            NewerFormatError: a file of a later version.
            ValueError: not such a file, or a damaged one.
        """
        arrays = load_arrays(path, _KIND, ("spec",))
        try:
            return from_spec(json.loads(str(arrays["spec"])), arrays, kind=cls)
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise ValueError(f"{path} does not describe a conditional flow: {error}") from error


def bends(energy: ConditionalEnergy) -> Tensor:
    """The largest size of each energy's second derivative by the innovation, over all pasts: (K,)."""
    most = [bound * FUNCTIONS[name].most for bound, name in zip(energy.bounds, energy.functions, strict=True)]
    return torch.tensor(most, dtype=torch.float64)


def _spread(energy: ConditionalEnergy, weights: Tensor) -> Tensor:
    """The weights (S, K) as (S A, K): a row for each step and function, with those of the function's energies."""
    rows = [[name == other for other in energy.functions] for name in dict.fromkeys(energy.functions)]
    return (weights[:, None, :] * torch.tensor(rows)).reshape(-1, energy.dim)


def _displacement(z: Tensor, step: Sequence[Tensor], functions: Sequence[Function]) -> tuple[Tensor, Tensor]:
    """Σ_a c_a g′_a(z), the move of a step, and Σ_a c_a g″_a(z), its derivative."""
    sizes, move, bend = size(z), torch.zeros_like(z), torch.zeros_like(z)
    for coefficient, function in zip(step, functions, strict=True):
        move.addcmul_(coefficient, function.slope(z, sizes))
        bend.addcmul_(coefficient, function.bend(z, sizes))
    return move, bend


def _origin(ends: Tensor, step: Sequence[Tensor], functions: Sequence[Function]) -> Tensor:
    """The z with z + Σ_a c_a g′_a(z) = ends, by Newton's method.

    The slope of the left side is within 1/4 of 1, so an iteration leaves at most 2/3 of the error, and soon its square.
    """
    z, enough = ends, 8.0 * torch.finfo(ends.dtype).eps * (1.0 + ends.abs())
    for _ in range(100):
        move, bend = _displacement(z, step, functions)
        change = (z - ends + move) / (1.0 + bend)
        z = z - change
        if (change.abs() <= enough).all():
            break
    return z
