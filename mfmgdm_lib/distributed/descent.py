"""A descent of the paths of one process by the mean mismatch of an ensemble over all processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mfmgdm_lib.descents.descent import Descent, Move, State
from mfmgdm_lib.distributed.shard import Shard
from mfmgdm_lib.errors import DivergedError, StuckError, renumbered
from mfmgdm_lib.log_determinants import StepDeterminant, choose_backend
from mfmgdm_lib.log_determinants.banded import banded_blocks
from mfmgdm_lib.log_determinants.dense import dense_blocks
from mfmgdm_lib.log_determinants.determinant_lemma import Blocks, apply_lemma
from mfmgdm_lib.models import MFMGDM, MGDM, Model

__all__ = ["ShardDeterminant", "ShardedDescent"]

_BLOCKS: dict[str, Callable[..., Blocks]] = {"banded": banded_blocks, "dense": dense_blocks}
"""What an exact backend has to say of each path, by its name; the lemma joins it, here across processes."""


@dataclass(frozen=True, kw_only=True)
class ShardDeterminant(StepDeterminant):
    """Determinant of a step of one ensemble over all processes, as the process sees it that has N of its paths.

    `blocks` are those of its own paths; `capacitance`, `non_positive` and `sign`, (1,), are of the whole ensemble.

    Attributes:
        n_paths: paths of the whole ensemble.
    """

    n_paths: int

    def _share(self, of_ensembles: Tensor) -> Tensor:
        return of_ensembles.expand(len(self.blocks)) / self.n_paths


class ShardedDescent(Descent):
    r"""A descent of which this process moves its own rows; the others move theirs, all by the mean of the ensemble.

    What an MF–MGDM step needs of the other paths is the mean mismatch, and what its determinant needs of them is the
    capacitance matrix (see `log_determinant`):

    .. math:: \bar r = \frac1N \sum_{\text{processes}} \sum_{n} \Phi(x^{(n)}) - \alpha, \qquad
              C = I_K - \frac{\gamma}{N} \sum_{\text{processes}} \sum_{n} J_n A_n^{-1} J_n^\top .

    So a step sends K numbers, and K² + 1 more where the determinant is wanted: the matrix, and how many eigenvalues of
    blocks are not above 0. On the half-line one more says whether any entry moved. In MGDM nothing is sent.

    All processes have to call the same methods in the same order: they wait for each other there.

    Args:
        model: what one process would run: `MGDM`, or `MFMGDM` with all paths in one ensemble.
        shard: this process's part.
        n_paths: paths N of the whole ensemble.

    Attributes:
        rows: which of them are this process's own.

    Raises:
        ValueError: ensembles of another size than 1 or N, or fewer paths than processes.
        TypeError: a model with rules of its own.

    Example:
        >>> import mfmgdm_lib as mm
        >>> from mfmgdm_lib.distributed import join
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, seed=1)
        >>> with join() as shard:
        ...     model = ShardedDescent(mm.MFMGDM(energy, target, step_size=10.0), shard, n_paths=8)
        ...     x0 = shard.draw(mm.initial_distribution(process), 8, 1024, seed=2)
        ...     losses = [float(state.loss[0]) for state in model.steps(x0, n_steps=50)]
        >>> losses[0] > losses[-1]
        True
    """

    def __init__(self, model: Descent, shard: Shard, n_paths: int) -> None:
        if type(model) not in (Descent, Model, MGDM, MFMGDM):
            raise TypeError(
                f"model is {model!r}; expected MGDM or MFMGDM, whose paths meet in their mean energy alone."
                " Use one of the two."
            )
        self.shard, self.n_paths, self.rows = shard, n_paths, shard.rows(n_paths)
        if model.ensemble_size not in (None, 1, n_paths):
            raise ValueError(
                f"the model has ensemble_size={model.ensemble_size} for {n_paths} paths; expected 1, or None for one"
                " ensemble of all. Use several runs for several ensembles: they have nothing to tell each other."
            )
        super().__init__(
            model.energy,
            model.target,
            model.step_size,
            ensemble_size=1 if model.ensemble_size == 1 else None,
            support=model.support,
            inner_steps=model.inner_steps,
        )

    def evaluate(self, paths: Tensor, step: int = 0) -> State:
        """Return the state of this process's own paths (rows, time), with the mismatch of the whole ensemble.

        Raises:
            DivergedError: an energy is not finite, here or elsewhere: then every process of the ensemble says so.
            LostProcessError: another process is gone.
        """
        if len(paths) != self.rows.stop - self.rows.start:
            raise ValueError(
                f"paths has shape {tuple(paths.shape)}; expected the {self.rows.stop - self.rows.start} rows from"
                f" {self.rows.start} on that are {self.shard!r} of {self.n_paths}. Take them with shard.rows(n_paths)."
            )
        with renumbered(range(self.n_paths)[self.rows]):
            try:
                own = super().evaluate(paths, step)
            except DivergedError:
                if self.ensemble_size is None:  # a NaN in the sum tells the others
                    self.shard.sum(torch.full((self.energy.dim,), torch.nan, device=paths.device))
                raise
        if self.ensemble_size == 1:
            return own
        mean = self.shard.sum(own.energies.double().sum(0)) / self.n_paths
        if not torch.isfinite(mean).all():
            raise DivergedError(
                f"a path of another process has an infinite or NaN energy at step {step} with step_size"
                f" {self.step_size:g}; expected finite energies all the way. Use a smaller step size.",
                step=step,
            )
        target = self.target.mean.to(mean)
        mismatch = mean - target
        loss = 0.5 * mismatch.square().sum() / target.square().sum()
        return replace(
            own,
            mismatch=mismatch.to(paths.dtype).expand_as(own.energies),
            loss=loss.to(paths.dtype).expand(len(paths)),
        )

    def move(self, state: State, force: Tensor | None = None) -> Move:
        """Return the first inner step of this process's own paths, and the entries that it moved (App. B).

        Raises:
            StuckError: every entry of the whole ensemble, or of a path in MGDM, would leave the support.
            LostProcessError: another process is gone.
        """
        try:
            with renumbered(range(self.n_paths)[self.rows]):
                move = super().move(state, force)
        except StuckError:
            if self.ensemble_size == 1:
                raise
            move = Move(state.paths, torch.zeros_like(state.paths, dtype=torch.bool))
        if self.ensemble_size is None and not self.support.whole_line:
            moving = move.moved is None or bool(move.moved.any())
            if self.shard.sum(torch.tensor([float(moving)])) == 0:
                raise StuckError(
                    f"step {state.step} would take every entry of all {self.n_paths} paths out of the support with"
                    f" step_size {self.step_size:g}; expected at least one that can move, for without it no step ever"
                    " will. Use a smaller step size.",
                    step=state.step,
                )
        return move

    def move_with_determinant(self, state: State, determinants: str = "auto") -> tuple[Move, StepDeterminant]:
        """Take a step from `state`, and its log-determinant along with it.

        Args:
            state: where this process's own paths stand.
            determinants: an exact backend: "banded", "dense", or "auto" where that is one of them.

        Returns:
            The move, and the determinant: `per_path` is that of this process's own paths, so the sum over all
            processes is log|det J| of the whole ensemble.

        Raises:
            ValueError: an estimated determinant, or several inner steps.
        """
        backend = self.exact_backend(determinants, length=state.paths.shape[-1])
        move = self.move(state)
        blocks = _BLOCKS[backend](self.energy, state.paths, self.rate * state.mismatch, move.moved)
        if self.ensemble_size == 1:
            return move, apply_lemma(blocks, self.rate, 1)
        entries = torch.cat([blocks.gram.sum(0).flatten(), blocks.non_positive.sum().double()[None]])
        total = self.shard.sum(entries)
        # The lemma takes the ensemble as one block, whose gram is the sum.
        whole = Blocks(total.new_zeros(1), total[-1:].long(), total[:-1].view(1, *blocks.gram.shape[1:]))
        joint = apply_lemma(whole, self.rate / self.n_paths, 1)
        return move, ShardDeterminant(
            blocks=blocks.log_abs,
            capacitance=joint.capacitance,
            non_positive=joint.non_positive,
            blocks_error=torch.zeros_like(blocks.log_abs),
            capacitance_error=joint.capacitance_error,
            n_paths=self.n_paths,
        )

    def exact_backend(self, determinants: str = "auto", *, length: int) -> str:
        """Return the name of the exact backend that `determinants` stands for, or say that it stands for none."""
        name = choose_backend(self, determinants, length=length).name
        if name not in _BLOCKS:
            raise ValueError(
                f"determinants is {determinants!r} for {self.energy!r} at length {length}, which is estimated by random"
                " probes; expected an exact one, since the others are not shared out over processes. Use 'dense' for"
                " short paths, or a single process with mm.reverse_kl_trace."
            )
        return name
