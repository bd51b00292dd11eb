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

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._arrays import load_arrays, save_arrays
from mfmgdm_lib._checks import check_positive_int
from mfmgdm_lib._threads import threads_so_far
from mfmgdm_lib.descents.descent import Descent
from mfmgdm_lib.distributed.shard import Shard
from mfmgdm_lib.errors import NewerFormatError
from mfmgdm_lib.log_determinants import Determinants
from mfmgdm_lib.log_determinants.stepping import DeterminantSteps
from mfmgdm_lib.runs.interruption import check_stop
from mfmgdm_lib.runs.run import Run, descent_states, new_records

__all__ = ["Checkpoints", "follow", "shared_run"]

_CHECKPOINT = "checkpoint of a shard"

_LONGER = 10
"""How many times as many steps may lie before the next checkpoint as lay before the last: the first are guesses."""


@checked
def shared_run(model: Descent, x0: Tensor, n_steps: int, *, determinants: bool = False) -> Run[pd.DataFrame]:
    """Begin a descent over all processes, which can be stopped at any step and continued later.

    Its `summary`, which all processes have to ask for together, is a table of means over the paths of them all, with a
    row for each t up to the present one: `loss`, each energy by its label, and with determinants `log_determinant`
    (log|det| per path of all steps before t, nats: what log q_0 − log q_t is on average) and `folded` (share of
    ensembles whose step from t folds space; `log_determinant` counts one origin from there).

    Args:
        model: the descent, as `Shard.share` returns it.
        x0: starting paths of this process's own rows, (rows, time).
        n_steps: number of steps T.
        determinants: whether each step's log-determinant is wanted.

    Raises:
        ValueError: determinants that could only be estimated.

    Example:
        >>> import mfmgdm_lib as mm
        >>> from mfmgdm_lib.distributed import join
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, seed=1)
        >>> with join() as shard:
        ...     model = shard.share(mm.MFMGDM(energy, target, step_size=10.0), n_paths=8)
        ...     run = shared_run(model, shard.draw(mm.initial_distribution(process), 8, 64, seed=2), n_steps=20)
        ...     last = list(run.steps())[-1]
        ...     table = run.summary()
        >>> last, list(table.columns)
        (20, ['loss', 'lag 1', 'lag 0'])
    """
    check_positive_int("n_steps", n_steps, minimum=0)
    records, update = new_records({"loss": (), "energies": (model.energy.dim,)}, n_steps), None
    columns = ["loss", *model.energy.labels]
    if determinants:
        recorded, length = Determinants(on_fold="record"), math.prod(x0.shape[1:])
        steps = DeterminantSteps(model, recorded, n_steps=n_steps, n_paths=None, length=length)
        records, update = {**records, **steps.records}, steps.update
        columns += ["log_determinant", "folded"]

    def table(run: Run[pd.DataFrame]) -> pd.DataFrame:
        written, own = run.written(), len(run.paths)
        means = [written["loss"], written["energies"]]
        if determinants:
            means += [written["mean_log_determinant"], written["folded"]]
        sums = model.communicator.sum(torch.from_numpy(own * np.column_stack(means)))
        found = pd.DataFrame(sums.numpy() / model.communicator.size(own), columns=columns).rename_axis("step")
        if determinants:
            found["log_determinant"] = found["log_determinant"].shift(fill_value=0.0).cumsum()
        return found

    return Run(
        descent_states(model, n_steps, update),
        x0,
        n_steps,
        records=records,
        observe=lambda state: {"loss": state.loss.double().mean(), "energies": state.energies.double().mean(0)},
        summary=table,
        value=lambda run: float(run.records["loss"][run.step]),
    )


@checked
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
        threads: the numbers of threads that this process has had for the run, in order.
        settings: those of the run, as JSON writes them, with the number of `processes`.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        shard: Shard,
        settings: Mapping[str, Any],
        *,
        report: Callable[[str], None] = print,
    ) -> None:
        self.folder, self.shard, self._report = Path(folder), shard, report
        self.step: int | None = None
        self.threads = threads_so_far([], report)
        self.settings: dict[str, Any] = json.loads(json.dumps({**settings, "processes": shard.count}))
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
            path for path in self.folder.glob("checkpoint-*-of-*-?.npz") if f"-of-{self.shard.count}-" not in path.name
        ]
        if others and not force:
            count = others[0].name.split("-")[3]
            raise self._refusal(others[0], f"processes={count}", f"processes={self.shard.count}")
        held = {}
        for slot, path in enumerate(self._paths):
            arrays = self._read(path, force)
            if arrays is not None:
                held[int(arrays.pop("step"))] = slot, arrays
        everyone = self.shard.gather([*held, *[-1] * (2 - len(held))])
        for path in others:
            path.unlink(missing_ok=True)
        common = set.intersection(*map(set, everyone)) - {-1}
        if not common:
            if any(max(steps) >= 0 for steps in everyone) and self.shard.rank == 0:
                self._report("The processes have no checkpoint in common: starting from step 0.")
            return None
        self.step = int(max(common))
        slot, arrays = held[self.step]
        before = arrays.pop("threads", np.empty(0, dtype=int))  # which earlier versions did not write
        self.threads = threads_so_far(before.tolist(), self._report)
        self._next = 1 - slot
        return arrays

    def _read(self, path: Path, force: bool) -> dict[str, np.ndarray] | None:
        try:
            there, arrays = _settings_and_arrays(path)
        except FileNotFoundError:
            return None
        except NewerFormatError:
            raise
        except ValueError as error:
            aside = path.with_name(f"{path.name}.damaged")
            path.replace(aside)
            self._report(f"A damaged checkpoint counts as missing, and was set aside as {aside.name}: {error}")
            return None
        names = [name for name in sorted({*there, *self.settings}) if there.get(name) != self.settings.get(name)]
        if not names:
            return arrays
        if not force:
            raise self._refusal(
                path, *(", ".join(f"{n}={of.get(n)!r}" for n in names) for of in (there, self.settings))
            )
        path.unlink()
        return None

    def _refusal(self, path: Path, found: str, expected: str) -> ValueError:
        return ValueError(
            f"{path} is of a run with {found}; expected {expected}. Go on with the settings of that run, name another"
            " folder, or replace it with force=True."
        )

    @property
    def unfinished(self) -> bool:
        """Whether this process has a checkpoint of a run with these settings; it is deleted when all is written."""
        return any(map(self._matches, self._paths))

    def _matches(self, path: Path) -> bool:
        try:
            return _settings_and_arrays(path)[0] == self.settings
        except (OSError, ValueError):
            return False

    def save(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write this process's part, and wait until all have theirs; all have to call this together.

        Raises:
            OSError: the disk is full, or the folder cannot be written to. The checkpoint before is still there.
            LostProcessError: another process is gone.
        """
        about = {
            "step": np.array(check_positive_int("step", step, minimum=0)),
            "settings": np.array(json.dumps(self.settings)),
            "threads": np.array(self.threads),
        }
        save_arrays(
            self._paths[self._next],
            _CHECKPOINT,
            {name: np.asarray(value) for name, value in {**arrays, **about}.items()},
        )
        self._next = 1 - self._next
        self.shard.gather([0.0])
        self.step = step

    def clear(self) -> None:
        """Drop the checkpoints once all processes are here, whatever they have written by then."""
        self.shard.gather([0.0])
        for path in self._paths:
            for written in self.folder.glob(f"{path.name}*"):  # with what a death in the middle of writing has left
                written.unlink()


def _settings_and_arrays(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a checkpoint says of its run, and its arrays with the `step`.

    Raises:
        OSError, ValueError: as `load_arrays`.
    """
    arrays = load_arrays(path, _CHECKPOINT, ["step", "settings"])
    try:
        step, settings = int(arrays["step"]), dict(json.loads(str(arrays.pop("settings"))))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path} does not say its step and settings ({error}); expected both. Run it again."
        ) from error
    if step < 0:
        raise ValueError(f"{path} is at step {step}; expected 0 or more. Run it again.")
    return settings, arrays


@checked
def follow(run: Run[Any], checkpoints: Checkpoints, *, every: float = 30.0) -> Iterator[int]:
    """Take a run to its end with checkpoints on the way, and yield each t.

    All processes have to write at the same step, and their clocks do not agree: so it is at a checkpoint that they
    settle at which step the next one is, by the slowest of them.

    Args:
        run: the descent.
        checkpoints: where they are kept.
        every: seconds between two checkpoints; 0 for one at every step.

    Raises:
        StoppedError: this process was asked to stop. Alone it has written a checkpoint before.
    """
    stretch, last, began = 1, run.step, time.monotonic()
    alone = checkpoints.shard.count == 1  # several would have to agree on a step, and have their last checkpoints

    def keep() -> None:
        if alone:
            checkpoints.save(run.step, run.checkpoint())

    for step in run.steps():
        yield step
        if step < run.n_steps:
            check_stop("The last checkpoint is kept.", keep)
        if step == last + stretch and step < run.n_steps:
            (slowest,) = max(checkpoints.shard.gather([(time.monotonic() - began) / stretch]))
            checkpoints.save(step, run.checkpoint())
            stretch = max(1, min(math.floor(every / max(slowest, 1e-9)), _LONGER * stretch))
            last, began = step, time.monotonic()
