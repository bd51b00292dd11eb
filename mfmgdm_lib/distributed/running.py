"""A resumable run of one ensemble over several processes, with checkpoints."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mfmgdm_lib._arrays import load_arrays, save_arrays
from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib.descents.descent import State
from mfmgdm_lib.distributed.descent import ShardedDescent
from mfmgdm_lib.distributed.shard import Shard
from mfmgdm_lib.errors import NewerFormatError

__all__ = ["Checkpoints", "ShardedRun", "follow"]

_CHECKPOINT = "checkpoint of a shard"

_LONGER = 10
"""How many times as many steps may lie before the next checkpoint as lay before the last: the first are guesses."""


class ShardedRun:
    """A descent over all processes in the making: it can be put down at any step, and taken up again later.

    Args:
        model: the descent.
        x0: starting paths of this process's own rows, (rows, time).
        n_steps: number of steps T.
        determinants: whether each step's log-determinant is wanted.

    Attributes:
        paths: x_t of this process's own rows.
        step: t.

    Example:
        >>> import mfmgdm_lib as mm
        >>> from mfmgdm_lib.distributed import join
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, seed=1)
        >>> with join() as shard:
        ...     model = ShardedDescent(mm.MFMGDM(energy, target, step_size=10.0), shard, n_paths=8)
        ...     run = ShardedRun(model, shard.draw(mm.initial_distribution(process), 8, 64, seed=2), n_steps=20)
        ...     last = list(run.steps())[-1]
        ...     table = run.table()
        >>> last, list(table.columns)
        (20, ['loss', 'lag 1', 'lag 0'])
    """

    def __init__(self, model: ShardedDescent, x0: Tensor, n_steps: int, *, determinants: bool = False) -> None:
        self.model, self.paths, self.step = model, x0, 0
        self.n_steps = check_positive_int("n_steps", n_steps, minimum=0)
        self._names = ["loss", *model.energy.labels] + ["log_determinant", "folded"] * determinants
        # Sums over this process's own paths: a row for each t. Only `table` needs those of the others.
        self._sums = np.zeros((n_steps + 1, len(self._names)))
        self._determinants = determinants
        if determinants:
            model.exact_backend(length=x0.shape[-1])

    def steps(self) -> Iterator[int]:
        """Go on to the last step, and yield each t from the present one on.

        Raises:
            DescentError: one of those that the descent names.
            LostProcessError: another process is gone.
        """
        left, update = self.n_steps - self.step, self._update if self._determinants else None
        for state in self.model.steps(self.paths, left, update, start=self.step, show_progress=False):
            self.step, self.paths = state.step, state.paths
            sums = torch.cat([state.loss.double().sum()[None], state.energies.double().sum(0)])
            self._sums[state.step, : len(sums)] = sums.cpu()
            yield state.step

    def _update(self, state: State) -> Tensor:
        move, determinant = self.model.move_with_determinant(state)
        folded = float((determinant.non_positive > 0).double().mean()) * len(state.paths)
        self._sums[state.step, -2:] = float(determinant.per_path.sum()), folded
        return move.paths

    def checkpoint(self) -> dict[str, np.ndarray]:
        """All that `restore` needs, as arrays of numbers."""
        return {"paths": self.paths.cpu().numpy(), "sums": self._sums[: self.step + 1]}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go back to where `checkpoint` was called, in this run or another one with the same arguments.

        Raises:
            ValueError: a checkpoint of a run with other arguments, as far as its shapes tell.
        """
        paths, sums = arrays["paths"], arrays["sums"]
        if (
            paths.shape != self.paths.shape
            or sums.shape[1] != len(self._names)
            or not 0 < len(sums) <= self.n_steps + 1
        ):
            raise ValueError(
                f"the checkpoint has paths {paths.shape} and sums {sums.shape}; expected {tuple(self.paths.shape)} and"
                f" at most {self._sums.shape}. Restore it into a run with the arguments of the one it was made by."
            )
        self.paths, self.step = torch.from_numpy(paths).to(self.paths), len(sums) - 1
        self._sums[: len(sums)] = sums

    def table(self) -> pd.DataFrame:
        """Means over the paths of all processes, which have to call this together.

        Returns:
            A row for each t up to the present one: `loss`, each energy by its label, and with determinants
            `log_determinant` (log|det| per path of all steps before t, nats: what log q_0 − log q_t is on average) and
            `folded` (share of ensembles whose step from t folds space; `log_determinant` counts one origin from there).
        """
        sums = self.model.shard.sum(torch.from_numpy(self._sums[: self.step + 1]))
        table = pd.DataFrame(sums.numpy() / self.model.n_paths, columns=self._names).rename_axis("step")
        if self._determinants:
            table["log_determinant"] = table["log_determinant"].shift(fill_value=0.0).cumsum()
        return table


class Checkpoints:
    """The last two checkpoints of every process, of which one step is always whole: all processes have it.

    A process keeps its own in `checkpoint-RANK-of-COUNT-a.npz` and `…-b.npz`, and writes over the older one. The folder
    is one that all processes see, or one for each machine.

    Args:
        folder: where; it has to be there.
        shard: this process's part.
        settings: what makes a run what it is, as numbers and text: a checkpoint of others is refused.
        report: what to do with a sentence for the user.

    Attributes:
        step: that of the last checkpoint that all processes have; None where there is none.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        shard: Shard,
        settings: Mapping[str, Any],
        *,
        report: Callable[[str], None] = print,
    ) -> None:
        self.folder, self._shard, self._report = Path(folder), shard, report
        self.step: int | None = None
        self._settings: dict[str, Any] = json.loads(json.dumps({**settings, "processes": shard.count}))
        self._paths = [self.folder / f"checkpoint-{shard.rank}-of-{shard.count}-{slot}.npz" for slot in "ab"]
        self._next = 0

    def load(self, *, force: bool = False) -> dict[str, np.ndarray] | None:
        """Return the arrays of the newest step that all processes have, or None; all have to call this together.

        Args:
            force: whether checkpoints of other settings are dropped, where they would be refused.

        Raises:
            ValueError: a checkpoint of other settings, or of another number of processes.
            NewerFormatError: a file that a newer version of the library wrote.
        """
        others = [
            path for path in self.folder.glob("checkpoint-*-of-*-?.npz") if f"-of-{self._shard.count}-" not in path.name
        ]
        if others and not force:
            count = others[0].name.split("-")[3]
            raise self._refusal(others[0], f"processes={count}", f"processes={self._shard.count}")
        held = {}
        for slot, path in enumerate(self._paths):
            arrays = self._read(path, force)
            if arrays is not None:
                held[int(arrays.pop("step"))] = slot, arrays
        everyone = self._shard.gather([*held, *[-1] * (2 - len(held))])
        for path in others:
            path.unlink(missing_ok=True)
        common = set.intersection(*map(set, everyone)) - {-1}
        if not common:
            if any(max(steps) >= 0 for steps in everyone) and self._shard.rank == 0:
                self._report("The processes have no checkpoint in common: starting from step 0.")
            return None
        self.step = int(max(common))
        slot, arrays = held[self.step]
        self._next = 1 - slot
        return arrays

    def _read(self, path: Path, force: bool) -> dict[str, np.ndarray] | None:
        try:
            arrays = load_arrays(path, _CHECKPOINT, ["step", "settings"])
        except FileNotFoundError:
            return None
        except NewerFormatError:
            raise
        except ValueError as error:
            self._report(f"A damaged checkpoint counts as missing: {error}")
            return None
        there = json.loads(str(arrays.pop("settings")))
        names = [name for name in sorted({*there, *self._settings}) if there.get(name) != self._settings.get(name)]
        if not names:
            return arrays
        if not force:
            raise self._refusal(
                path, *(", ".join(f"{n}={of.get(n)!r}" for n in names) for of in (there, self._settings))
            )
        path.unlink()
        return None

    def _refusal(self, path: Path, found: str, expected: str) -> ValueError:
        return ValueError(
            f"{path} is of a run with {found}; expected {expected}. Go on with the settings of that run, name another"
            " folder, or replace it with force=True."
        )

    def save(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write this process's part, and wait until all have theirs; all have to call this together.

        Raises:
            OSError: the disk is full, or the folder cannot be written to. The checkpoint before is still there.
            LostProcessError: another process is gone.
        """
        about = {"step": np.array(step), "settings": np.array(json.dumps(self._settings))}
        save_arrays(self._paths[self._next], _CHECKPOINT, {**arrays, **about})
        self._next = 1 - self._next
        self._shard.gather([0.0])
        self.step = step

    def clear(self) -> None:
        """Drop the checkpoints once all processes are here, whatever they have written by then."""
        self._shard.gather([0.0])
        for path in self._paths:
            for written in self.folder.glob(f"{path.name}*"):  # with what a death in the middle of writing has left
                written.unlink()


def follow(run: ShardedRun, checkpoints: Checkpoints, *, every: float = 30.0) -> Iterator[int]:
    """Take a run to its end with checkpoints on the way, and yield each t.

    All processes have to write at the same step, and their clocks do not agree: so it is at a checkpoint that they
    settle at which step the next one is, by the slowest of them.

    Args:
        run: the descent.
        checkpoints: where it is put down.
        every: seconds between two checkpoints; 0 for one at every step.
    """
    stretch, last, began = 1, run.step, time.monotonic()
    for step in run.steps():
        yield step
        if step == last + stretch and step < run.n_steps:
            (slowest,) = max(run.model.shard.gather([(time.monotonic() - began) / stretch]))
            checkpoints.save(step, run.checkpoint())
            stretch = max(1, min(math.floor(every / max(slowest, 1e-9)), _LONGER * stretch))
            last, began = step, time.monotonic()
