"""The frozen flow: a descent with a fixed mean path as a law of independent paths with a density."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._arrays import save_arrays
from mfmgdm_lib._checks import as_shape, check_finite, check_paths, check_positive_int, spelled_shape
from mfmgdm_lib._deprecated import renamed
from mfmgdm_lib._provenance import as_json, provenance
from mfmgdm_lib.descents.descent import Descent
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.energies.transforms import flat_energy
from mfmgdm_lib.errors import DivergedError
from mfmgdm_lib.flows.files import ABOUT, KIND, check_energy, flow_arrays, flow_parts, stored_energy
from mfmgdm_lib.flows.transform import FrozenState, FrozenTransform, apply_in_chunks
from mfmgdm_lib.flows.units import Units
from mfmgdm_lib.log_determinants import Backend, Determinants, choose_backend
from mfmgdm_lib.processes.base import Process, Seed, Size, generator
from mfmgdm_lib.specification import from_spec, register
from mfmgdm_lib.support import check_inside
from mfmgdm_lib.target import Target

__all__ = ["FrozenFlow"]

Shape = int | Sequence[int]
"""How many draws: a number, or a shape."""


@checked
@register
class FrozenFlow(Distribution):
    r"""MF–MGDM with the path of its mean mismatch fixed: a normalizing flow of independent paths.

    An ensemble descends once, and leaves behind its mean mismatches :math:`\bar r_t = \bar\Phi_t - \alpha`, K numbers
    for each of T steps. With these in place of its own mean a new path moves by

    .. math:: x_{t+1} = x_t - \gamma J_\Phi(x_t)^\top \bar r_t, \qquad
              A_t = I - \gamma \sum_k \bar r_{t,k} H_k(x_t),

    without regard to any other path, and the Jacobian is the block A_t alone. So paths are independent draws, and

    .. math:: \log q(x_T) = \log q_0(x_0) - \sum_{t<T} \log\det A_t.

    Of MGDM only the model is kept: a path has its own mismatch, and the Jacobian the term :math:`-\gamma J_\Phi^\top
    J_\Phi` besides.

    It is a `torch.distributions.Distribution` of paths with `event_shape` (d,), or (C, T), or (H, W): what is said
    below of paths (*, d) holds for all. On a support other than the real line an entry that a step would take out of it
    keeps its value, so a path may have several origins; log-densities count one of them and are lower bounds there:
    `log_prob` the one all of whose entries moved, `sample_and_log_prob` the one drawn.
    Energies with moduli, those of Section 5.1 with wavelets, bend without bound where a modulus is 0, and may have an
    origin on either side: one is counted there too.

    Args:
        energy: Φ.
        target: α, of the same K energies.
        step_size: s, dimensionless; the rate is γ = s / ‖α‖².
        mismatches: Φ̄_t − α, (T, K), float64; None for MGDM. Samples by `rsample` and `transform` can be differentiated
            by them.
        start: the law q_0; its support is that of the flow.
        length: points d of each path, or the shape of a path that is no series.
        n_steps: number of steps T; None for as many as there are mismatches.
        ensemble_size: paths of the ensemble that the mismatches are means over.
        loc: what is added to every entry of a path after the last step,
        scale: and by what it is multiplied before, where paths are wanted in the units of a series: its mean and
            standard deviation. Only on the real line.
        unit: those units in words, which files tell.
        redraw: whether `sample` leaves out starts whose paths stop being finite, and draws others: the law is that of
            the paths that stay finite, whose density is higher than `log_prob` by a constant. An energy of higher
            than second order may push a path that is wilder than all of the ensemble further and further.

    Raises:
        ValueError: mismatches of another shape, a target of other energies, neither mismatches nor n_steps, or a loc
            and a scale that are none.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, seed=(3, 12345))
        >>> x0 = mm.processes.WhiteNoise().sample(128, 1024, seed=(2, 12345))
        >>> flow = mm.MFMGDM(energy, target, step_size=10.0).freeze(x0, n_steps=200)
        >>> paths, log_q = flow.sample_and_log_prob(1000, seed=0)
        >>> bool((log_q - process.log_prob(paths)).mean() < 0.1)  # the divergence from the process, in nats for a path
        True
        >>> bool(abs(flow.log_prob(paths[:4]) - log_q[:4]).max() < 1e-8)
        True
    """

    has_rsample = True
    arg_constraints = {}  # noqa: RUF012 -- the name and the kind that torch.distributions expects

    def __init__(
        self,
        energy: Energy,
        target: Target,
        step_size: float,
        mismatches: Tensor | None,
        *,
        start: Process,
        length: Size,
        n_steps: int | None = None,
        ensemble_size: int = 1,
        loc: float | None = None,
        scale: float | None = None,
        unit: str | None = None,
        redraw: bool | None = None,
    ) -> None:
        self.length = energy.path_length(length, start)
        shape = as_shape("length", self.length)
        check_positive_int("length", shape[-1], minimum=energy.minimum_length)
        # All between the start and the end of a path is done with paths laid out flat, (N, d).
        self._model = Descent(flat_energy(energy, shape), target, step_size, ensemble_size=1, support=start.support)
        self.energy, self.target, self.step_size, self.start = energy, target, self._model.step_size, start
        self.ensemble_size = check_positive_int("ensemble_size", ensemble_size)
        if mismatches is not None:
            n_steps = len(mismatches) if n_steps is None else n_steps
            if mismatches.shape != (n_steps, energy.dim) or mismatches.dtype != torch.float64:
                raise ValueError(
                    f"mismatches has shape {tuple(mismatches.shape)} and dtype {mismatches.dtype}; expected"
                    f" {(n_steps, energy.dim)}, one for each step and energy, in torch.float64. Use model.freeze."
                )
            check_finite("mismatches", mismatches.detach())
        elif n_steps is None:
            raise ValueError("mismatches and n_steps are None; expected one of them. Use model.freeze.")
        self.mismatches = mismatches
        self.n_steps = check_positive_int("n_steps", n_steps, minimum=0)
        self.loc, self.scale, self.unit, self.redraw = loc, scale, unit, redraw
        self._units = Units.of(loc, scale, self._model.support)
        super().__init__(event_shape=torch.Size(shape), validate_args=False)

    def __repr__(self) -> str:
        return (
            f"FrozenFlow({self.energy!r}, {self.n_steps} steps of size {self.step_size:g} from {self.start!r},"
            f" {' × '.join(map(str, self.event_shape))} points{'' if self.unit is None else f', {self.unit}'})"
        )

    @property
    def rate(self) -> float:
        """γ: s / ‖α‖²."""
        return self._model.rate

    @property
    def support(self) -> constraints.Constraint:
        """Where paths lie: all vectors whose entries are in the support of the start."""
        return constraints.independent(self._model.support, len(self.event_shape))

    # --- forwards ----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, sample_shape: Shape = (), seed: Seed = None) -> Tensor:
        """Draw independent paths, with no graph.

        Args:
            sample_shape: how many, n or a shape; () for a single path (d,).
            seed: whatever `numpy.random.default_rng` takes; None draws one from torch's global generator, which
                `torch.manual_seed` governs.

        Returns:
            A float64 tensor (*sample_shape, d).
        """
        return self.rsample(sample_shape, seed)

    def rsample(self, sample_shape: Shape = (), seed: Seed = None) -> Tensor:
        """Draw as `sample` does, with a graph through the steps to `mismatches` where they require a gradient."""
        shape, starts, rng = self._draw(sample_shape, seed)
        paths = self.ends(starts)
        while len(paths) < len(starts):
            more = self.ends(self.start.sample(len(starts) - len(paths), self.length, rng))
            paths = torch.cat([paths, more])
        return paths.reshape(*shape, *self.event_shape)

    def ends(self, starts: Tensor) -> Tensor:
        """The paths that starts (N, d) are taken to; with `redraw` only those that stay finite, at least one.

        Raises:
            DivergedError: a path stopped being finite without `redraw`, or more than nine in ten did.
        """
        if not self.redraw:
            return self.transform(starts)
        paths = self._moved(starts, check=False)
        paths = paths[torch.isfinite(paths.flatten(1)).all(-1)]
        if len(starts) > 10 * len(paths):
            raise DivergedError(
                f"{len(starts) - len(paths)} of {len(starts)} paths stopped being finite; expected few. Use a flow of a"
                " larger ensemble, or of another start.",
                step=self.n_steps,
            )
        return paths

    def transform(self, x0: Tensor) -> Tensor:
        """Take paths of the start through all steps; differentiable by x0 and by `mismatches`.

        Args:
            x0: paths (*, d) inside the support; their dtype and device are kept.

        Returns:
            A tensor like x0.

        Raises:
            DivergedError: a path stopped being finite; the error names the step.
            StuckError: in MGDM, a step would take every entry of a path out of the support.
        """
        return self._moved(x0, check=True)

    def _moved(self, x0: Tensor, *, check: bool) -> Tensor:
        """The ends of paths, in the units of the flow."""
        paths = self._check_paths("x0", x0)
        graph = torch.is_grad_enabled() and (
            x0.requires_grad or (self.mismatches is not None and self.mismatches.requires_grad)
        )
        steps = self._transform()
        (moved,) = apply_in_chunks(lambda chunk: (steps.forward(chunk, graph=graph, check=check),), paths)
        return self._units.into(moved).reshape(x0.shape)

    @renamed({"determinants": Determinants}, jacobian="determinants.backend", on_fold="determinants.on_fold")
    def steps(
        self, x0: Tensor, *, determinants: str | Backend | Determinants = "auto", seed: Seed = None
    ) -> Iterator[FrozenState]:
        """Yield where paths stand at t = 0, 1, …, n_steps, with their log-density under the law q_t.

        Args:
            x0: paths (N, d) drawn from the start; their dtype and device are kept.
            determinants: a backend or a `Determinants`, as for `reverse_kl_trace`; every step has its own here.
            seed: for a stochastic backend, which needs one.

        Raises:
            NotInvertibleError: a step whose Jacobian is not positive definite; the error names it. With
                `Determinants(on_fold="record")` it is passed over: the log-density counts one origin of each path from
                there on, and is a lower bound.
            DivergedError: a path stopped being finite; the error names the step.

        Example:
            >>> import mfmgdm_lib as mm
            >>> process, energy = mm.processes.AR([0.5]), mm.energies.Autocovariance()
            >>> target = mm.estimate_target(energy, process, n_samples=1000, length=64, seed=1)
            >>> x0 = mm.processes.WhiteNoise().sample(128, 64, seed=2)
            >>> flow = mm.MFMGDM(energy, target, step_size=1.0).freeze(x0, n_steps=40)
            >>> fresh = flow.start.sample(128, 64, seed=3)
            >>> kl = [float((s.log_prob - process.log_prob(s.paths)).mean()) for s in flow.steps(fresh)]
            >>> len(kl), kl[-1] < kl[0]
            (41, True)
        """
        steps, paths = self._transform(determinants, seed), self._check_paths("x0", x0).detach()
        for state in steps.states(paths, self._start_log_prob(paths.double())):
            paths = self._units.into(state.paths).unflatten(-1, self.event_shape)
            yield state._replace(paths=paths, log_prob=state.log_prob - self._log_scale)

    @renamed(jacobian="determinants")
    def sample_and_log_prob(
        self, sample_shape: Shape = (), seed: Seed = None, *, determinants: str | Backend | Determinants = "auto"
    ) -> tuple[Tensor, Tensor]:
        """Draw as `sample` does, and add up the log-determinants on the way: no inverse is needed.

        Args:
            sample_shape: how many, n or a shape.
            seed: as for `sample`; the probes of a stochastic backend follow the starts.
            determinants: a backend or a `Determinants`, as for `reverse_kl_trace`; every step has its own here.

        Returns:
            Paths (*sample_shape, d), and their log-densities in nats (*sample_shape), both float64.

        Raises:
            NotInvertibleError: a step whose Jacobian is not positive definite; the error names it.
        """
        shape, starts, rng = self._draw(sample_shape, seed)
        steps = self._transform(determinants, rng)

        def ends(chunk: Tensor) -> tuple[Tensor, Tensor]:
            for state in steps.states(chunk, self._start_log_prob(chunk)):
                last = state
            return last.paths, last.log_prob

        paths, log_prob = apply_in_chunks(ends, starts.flatten(1))
        return self._units.into(paths).reshape(*shape, *self.event_shape), (log_prob - self._log_scale).reshape(shape)

    @renamed(jacobian="determinants")
    def entropy_estimate(
        self, n: int, seed: Seed = None, *, determinants: str | Backend | Determinants = "auto"
    ) -> tuple[float, float]:
        """Estimate the entropy from n ≥ 2 draws: nats for a path, and the standard error from their spread."""
        check_positive_int("n", n, minimum=2)
        _, log_prob = self.sample_and_log_prob(n, seed, determinants=determinants)
        return -float(log_prob.mean()), float(log_prob.std()) / math.sqrt(n)

    def entropy(self) -> Tensor:
        """Not known in closed form."""
        raise NotImplementedError("a frozen flow has no entropy in closed form. Use entropy_estimate(n, seed).")

    def truncate(self, n_steps: int) -> FrozenFlow:
        """The same flow, stopped after its first `n_steps` steps."""
        if check_positive_int("n_steps", n_steps, minimum=0) > self.n_steps:
            raise ValueError(
                f"n_steps is {n_steps}; expected at most the {self.n_steps} of the flow. Freeze the model for longer."
            )
        shorter = copy.copy(self)
        shorter.mismatches = None if self.mismatches is None else self.mismatches[:n_steps]
        shorter.n_steps = n_steps
        return shorter

    def _draw(self, sample_shape: Shape, seed: Seed) -> tuple[tuple[int, ...], Tensor, np.random.Generator]:
        """The shape wanted, as many paths of the start, and the generator to go on with."""
        shape = (sample_shape,) if isinstance(sample_shape, (int, np.integer)) else tuple(sample_shape)
        shape = tuple(check_positive_int("sample_shape", size) for size in shape)
        rng = generator(torch.randint(2**62, (2,)).tolist() if seed is None else seed)
        return shape, self.start.sample(math.prod(shape), self.length, rng), rng

    def _transform(self, determinants: str | Backend | Determinants = "auto", seed: Seed = None) -> FrozenTransform:
        """The steps, with their determinants as they are asked for."""
        wanted = Determinants.of(determinants)
        if wanted.every != 1 or wanted.step_error is not None:
            raise ValueError(
                f"determinants is {wanted}; expected every=1 and step_error=None, for a flow has the determinant of"
                " each step, with as many probes as `probes` says. Leave the two out."
            )
        return FrozenTransform(
            self._model,
            self.mismatches,
            self.n_steps,
            choose_backend(self._model, wanted, length=self.event_shape.numel()),
            may_fold=wanted.on_fold == "record",
            rng=None if seed is None else generator(seed),
        )

    # --- backwards ---------------------------------------------------------------------------------------------------

    def inverse(self, x: Tensor) -> Tensor:
        """Return the start of each path x (*, d): what `transform` takes there. The inverse of each step in turn.

        It is calculated in float64, and returned in the dtype of x. Distances that the flow has shrunk grow again, and
        round-off with them.

        Raises:
            ValueError: another length, or entries that are not finite or not in the support.
            NotInvertibleError: a step that leads there from nowhere that can be found, or with a Jacobian that is not
                positive definite; the error names it.
            DivergedError: an energy of x is not finite.
        """
        points = self._units.out_of(self._check_paths("x", x).detach().double())
        steps = self._transform()
        (starts,) = apply_in_chunks(lambda chunk: (steps.backward(chunk),), points)
        return starts.reshape(x.shape).to(x.dtype)

    @renamed(jacobian="determinants")
    def log_prob(self, x: Tensor, *, determinants: str | Backend | Determinants = "auto", seed: Seed = None) -> Tensor:
        """Log-density in nats of paths x (*, d): a float64 tensor (*,), with no graph.

        Args:
            x: paths in the units of the target. Outside the support the log-density is −∞.
            determinants: a backend or a `Determinants`, as for `reverse_kl_trace`; every step has its own here.
            seed: for a stochastic backend, which needs one.

        Raises:
            ValueError: another length, or entries that are not finite.
            NotInvertibleError: as for `inverse`.
            DivergedError: an energy of x is not finite.
        """
        return self.log_prob_and_error(x, determinants=determinants, seed=seed)[0]

    @renamed(jacobian="determinants")
    def log_prob_and_error(
        self, x: Tensor, *, determinants: str | Backend | Determinants = "auto", seed: Seed = None
    ) -> tuple[Tensor, Tensor]:
        """`log_prob` with its standard error from estimated determinants, (*,) each; 0 from an exact backend."""
        points = self._units.out_of(self._check_paths("x", x, inside=False).detach().double())
        steps = self._transform(determinants, seed)
        inside = self._model.support.contains(points).all(-1).nonzero()[:, 0]

        def density(chunk: Tensor) -> tuple[Tensor, Tensor]:
            origin, change, variance = steps.backward_with_determinants(chunk)
            return self._start_log_prob(origin) - change, variance.sqrt()

        log_prob = torch.full_like(points[:, 0], -torch.inf)
        error = torch.zeros_like(log_prob)
        if len(inside):
            log_prob[inside], error[inside] = apply_in_chunks(density, points, inside)
        batch = x.shape[: -len(self.event_shape)]
        return log_prob.reshape(batch) - self._log_scale, error.reshape(batch)

    @property
    def _log_scale(self) -> float:
        """Log-determinant of the change of units of a path."""
        return self.event_shape.numel() * self._units.log_scale

    def _start_log_prob(self, paths: Tensor) -> Tensor:
        """Log-density of the start at paths (N, d)."""
        return self.start.log_prob(paths.unflatten(-1, self.event_shape))

    # --- checks ------------------------------------------------------------------------------------------------------

    def _check_paths(self, name: str, x: Tensor, *, inside: bool = True) -> Tensor:
        """Paths (*, *event_shape) as (N, d), N ≥ 1, if they are of that shape, finite, and inside the support."""
        check_paths(name, x)
        if x.shape[-len(self.event_shape) :] != self.event_shape or x.numel() == 0:
            raise ValueError(
                f"{name} has shape {tuple(x.shape)}; expected (*, {spelled_shape(self.event_shape)}), at least one path"
                " of the flow's length. Cut the series into windows of that length, or freeze a model for paths of"
                " another."
            )
        check_finite(name, x.detach())
        if inside:
            mend = "Freeze a model with a wider support for such paths."
            check_inside(name, x, self._model.support, "the flow", mend)
        return x.reshape(-1, self.event_shape.numel())

    # --- files -------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, about: Mapping[str, Any] | None = None) -> Path:
        """Write the flow to one file; return its path, with the suffix .npz.

        An energy of a class that is not registered cannot be described there. It is left out with a warning, and
        `load` has to be given it.

        Args:
            path: where to.
            about: what is known of the flow, by name, as JSON can write it. The array `about` of the file has it as
                JSON, with the version, the command, the date and the threads that made it.

        Raises:
            TypeError: a start of a class that is not registered; see `mfmgdm_lib.register`.
        """
        known = as_json(provenance() | dict(about or {}))
        return save_arrays(path, KIND, {**flow_arrays(self, self.energy, self.length), ABOUT: np.array(known)})

    @classmethod
    def load(cls, path: str | os.PathLike[str], energy: Energy | None = None) -> FrozenFlow:
        """Read back what `save` wrote. Nothing in the file is executed: only registered classes are built.

        Args:
            path: where it is.
            energy: Φ, the energy of the flow; None for the one that the file describes.

        Raises:
            FileNotFoundError: no such file.
            NewerFormatError: a file of a later version.
            ValueError: not such a file, a damaged one, one of a flow with another energy, or one without a description
                of its energy, where that is not given.

        Example:
            >>> import tempfile
            >>> import mfmgdm_lib as mm
            >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
            >>> target = mm.estimate_target(energy, process, n_samples=1000, length=64, seed=1)
            >>> x0 = mm.processes.WhiteNoise().sample(128, 64, seed=2)
            >>> flow = mm.MFMGDM(energy, target, step_size=1.0).freeze(x0, n_steps=20)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     again = mm.FrozenFlow.load(flow.save(f"{folder}/flow"))
            >>> bool((again.sample(3, seed=0) == flow.sample(3, seed=0)).all())
            True
        """
        parts, arrays = flow_parts(path)
        energy = parts.get("energy") if energy is None else energy
        if energy is None:
            raise ValueError(
                f"{path} holds a flow of the energy {stored_energy(arrays)} without a description of it; expected that"
                " energy. Pass it: FrozenFlow.load(path, energy), and save the flow again to have it described."
            )
        check_energy(path, parts["target"], arrays, energy, parts["length"])
        return from_spec({**parts, "energy": energy}, arrays, kind=cls)
