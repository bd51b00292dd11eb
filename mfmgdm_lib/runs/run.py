"""A descent under way, which can be watched, stopped at any step and continued later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib.descents.descent import Descent, State
from mfmgdm_lib.errors import DescentError

__all__ = ["Run", "descent_states", "new_records"]

T = TypeVar("T")


class Run(Generic[T]):
    """A descent under way: where its paths are, and records of each step up to there.

    `checkpoint` returns all that a run needs to go on; given that by `restore`, another run with the same arguments
    ends with the same bits, on the same machine with as many threads: with others sums may be rounded differently.

    Args:
        states: yields the states from given paths on, which have a number of steps behind them; see `descent_states`.
        x0: starting paths.
        n_steps: number of steps, by which progress is counted.
        records: an array with a row for each step by name; see `new_records`.
        observe: what is to be recorded of a state, by name.
        summary: what the run comes to.
        value: the number that shows its progress.
        title: what a bar that shows its progress is called.
        progress: how many of `n_steps` lie behind a state; None for its own count.
        resumable: whether checkpoints hold anything; else a run begins again.
        throw: whether a descent that cannot go on is an error; else the steps end there.

    Attributes:
        paths: the present paths.
        step: how many of `n_steps` lie behind them.
        taken: rows of the records, less one, that are filled.
        records: those given, filled as the run goes on.
        stopped: the error that it ended with; None where there is none.
    """

    def __init__(
        self,
        states: Callable[[Tensor, int], Iterator[State]],
        x0: Tensor,
        n_steps: int,
        *,
        records: dict[str, np.ndarray],
        observe: Callable[[Any], Mapping[str, Tensor | float]],
        summary: Callable[[Run[T]], T],
        value: Callable[[Run[T]], float],
        title: str = "descent",
        progress: Callable[[Any], int] | None = None,
        resumable: bool = True,
        throw: bool = True,
    ) -> None:
        self.paths, self.n_steps, self.records, self.title = x0, n_steps, records, title
        self.step, self.taken = 0, 0
        self.stopped: DescentError | None = None
        self._states, self._observe, self._summary, self._value = states, observe, summary, value
        self._progress, self._resumable, self._throw = progress, resumable, throw

    def steps(self) -> Iterator[int]:
        """Go on to the end, and yield `step` from the present one on, when all about it has been recorded.

        Raises:
            DescentError: the descent cannot go on, and `throw` is true.
        """
        try:
            for state in self._states(self.paths, self.taken):
                self.paths, self.taken = state.paths, state.step
                for name, value in self._observe(state).items():
                    self.records[name][state.step] = value.cpu() if isinstance(value, Tensor) else value
                self.step = state.step if self._progress is None else self._progress(state)
                yield self.step
        except DescentError as error:
            self.stopped = error
            if self._throw:
                raise

    def written(self) -> dict[str, np.ndarray]:
        """The records up to the present step."""
        return {name: record[: self.taken + 1] for name, record in self.records.items()}

    def summary(self) -> T:
        """What the run comes to at the present step."""
        return self._summary(self)

    def value(self) -> float:
        """The number that shows the progress of the run."""
        return self._value(self)

    def checkpoint(self) -> dict[str, np.ndarray]:
        """All that `restore` needs, as arrays of numbers."""
        return {**self.written(), "paths": self.paths.cpu().numpy()} if self._resumable else {}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go back to where `checkpoint` was called, in this run or another one with the same arguments.

        Raises:
            ValueError: a checkpoint of a run with other arguments, as far as its shapes and names tell.
        """
        if not self._resumable:
            return
        rest = dict(arrays)
        paths = rest.pop("paths", np.empty(0))
        expected = {name: record.shape[1:] for name, record in self.records.items()}
        found = {name: array.shape[1:] for name, array in rest.items()}
        rows = {len(array) for array in rest.values()}
        same = found == expected and len(rows) == 1 and 1 <= min(rows) <= self.n_steps + 1
        if not same or paths.shape != self.paths.shape or torch.from_numpy(paths).dtype != self.paths.dtype:
            raise ValueError(
                f"the checkpoint has paths {paths.shape}, {max(rows, default=0) - 1} steps and {found}; expected paths"
                f" {tuple(self.paths.shape)}, at most {self.n_steps} steps and {expected}. Restore it into a run with"
                " the arguments of the one it was made by."
            )
        for name, record in self.records.items():
            record[: len(rest[name])] = rest[name]
        self.paths = torch.from_numpy(paths).to(self.paths)
        self.step = self.taken = min(rows) - 1


def new_records(shapes: Mapping[str, tuple[int, ...]], n_steps: int) -> dict[str, np.ndarray]:
    """Records of values with these shapes, with a row of NaN for each of t = 0 … n_steps.

    Made beforehand, for small arrays left behind by every step would keep the large ones' memory from being reused.
    """
    return {name: np.full((n_steps + 1, *shape), np.nan) for name, shape in shapes.items()}


def descent_states(
    model: Descent, n_steps: int, update: Callable[[State], Tensor] | None = None
) -> Callable[[Tensor, int], Iterator[State]]:
    """The states of a descent of `n_steps` steps, for a `Run`; `update` stands in for that of the model."""
    return lambda paths, step: model.steps(paths, n_steps - step, update, start=step, show_progress=False)
