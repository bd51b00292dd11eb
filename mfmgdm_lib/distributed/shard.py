"""The paths of one process of a group, and sums over the group."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_positive, check_positive_int
from mfmgdm_lib.descents import Communicator, Descent
from mfmgdm_lib.processes.base import Process, Seed, draw_in_chunks
from mfmgdm_lib.runs.interruption import end_without_parent

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

__all__ = ["LostProcessError", "Shard", "SharedEnsemble", "join"]


class LostProcessError(RuntimeError):
    """Another process of the group has died or no longer answers, so that the sums of the ensemble are out of reach."""


@checked
class Shard:
    """The part of one process in a group of them: which paths are its own, and sums over all.

    Without arguments it is alone: every path is its own, and nothing is sent.

    Args:
        rank: number of this process, from 0.
        count: number of processes P.
        device: where sums are taken: a CPU with the group's backend gloo, a GPU of this process's own with NCCL.
        group: processes to sum over; None for all that `torch.distributed` knows of.

    Attributes:
        sent: bytes that this process has handed in so far to be summed, 8 for each number. How many go over a wire is
            up to the backend: about twice as many, whatever P is.

    Example:
        >>> shard = Shard()
        >>> shard.rows(5), shard.sum(torch.ones(2)), shard.sent
        (slice(0, 5, None), tensor([1., 1.], dtype=torch.float64), 0)
    """

    def __init__(
        self, rank: int = 0, count: int = 1, *, device: str = "cpu", group: ProcessGroup | None = None
    ) -> None:
        self.rank, self.count = check_positive_int("rank", rank, minimum=0), check_positive_int("count", count)
        if rank >= count:
            raise ValueError(f"rank is {rank} of {count} processes; expected a lower number. Count them from 0.")
        self.device, self._group, self.sent = device, group, 0

    def __repr__(self) -> str:
        return f"Shard({self.rank} of {self.count})"

    def rows(self, n_paths: int) -> slice:
        """Which of `n_paths` paths are this process's own; no process has more than one more than another.

        Raises:
            ValueError: fewer paths than processes.
        """
        if check_positive_int("n_paths", n_paths) < self.count:
            raise ValueError(
                f"n_paths is {n_paths} with {self.count} processes; expected a path for each of them at least."
                " Use fewer processes, or more paths."
            )
        return slice(n_paths * self.rank // self.count, n_paths * (self.rank + 1) // self.count)

    def draw(self, process: Process, n_paths: int, length: int, seed: Seed) -> Tensor:
        """Draw the paths that one process would draw, and keep this one's own: a float64 tensor (rows, length).

        Every process goes through the whole draw, or as much of it as comes before its rows, a few paths at a time.
        Where a process cannot be drawn path by path, all (n_paths, length) points are in memory for a moment.
        """
        rows, start, kept = self.rows(n_paths), 0, []
        for chunk in draw_in_chunks(process, n_paths, length, seed, description="start"):
            kept.append(chunk[max(rows.start - start, 0) : max(rows.stop - start, 0)])
            start += len(chunk)
            if start >= rows.stop:
                break
        return torch.cat(kept)

    def share(self, model: Descent, n_paths: int) -> Descent:
        """The descent of this process's own rows of an ensemble of `n_paths`; see `Descent.shared`.

        Example:
            >>> import mfmgdm_lib as mm
            >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
            >>> target = mm.estimate_target(energy, process, n_samples=1000, seed=1)
            >>> with join() as shard:
            ...     model = shard.share(mm.MFMGDM(energy, target, step_size=10.0), n_paths=8)
            ...     x0 = shard.draw(mm.initial_distribution(process), 8, 1024, seed=2)
            ...     losses = [float(state.loss[0]) for state in model.steps(x0, n_steps=50)]
            >>> losses[0] > losses[-1]
            True
        """
        return model.shared(SharedEnsemble(self, n_paths), n_paths)

    def sum(self, values: Tensor) -> Tensor:
        """Sum a tensor over all processes: float64, with the same bits in every process.

        Raises:
            LostProcessError: another process has died, or does not answer within the time allowed.
        """
        total = values.detach().to(self.device, torch.float64, copy=True)
        if self.count > 1:
            try:
                dist.all_reduce(total, group=self._group)
            except RuntimeError as error:
                raise LostProcessError(
                    f"process {self.rank} of {self.count} has lost another one ({_gist(error)}); expected all to"
                    " answer in time. Look at what that one said, and at its machine."
                ) from error
            self.sent += total.nbytes
        return total.to(values.device)

    def gather(self, numbers: Sequence[float]) -> list[list[float]]:
        """A few numbers of every process, in the order of their ranks; all processes have waited for each other then.

        Raises:
            LostProcessError: as in `sum`.
        """
        if getattr(numbers, "ndim", 1) != 1:
            raise ValueError(f"numbers is a {type(numbers).__name__}; expected a sequence of numbers. Use a list.")
        table = torch.zeros(self.count, len(numbers), dtype=torch.float64)
        table[self.rank] = torch.tensor(numbers, dtype=torch.float64)
        gathered: list[list[float]] = self.sum(table).tolist()
        return gathered


@checked
class SharedEnsemble(Communicator):
    """The communicator of an ensemble whose paths are shared out over processes.

    Args:
        shard: this process's part.
        n_paths: paths of the whole ensemble.

    Attributes:
        rows: which of them are this process's own.
    """

    def __init__(self, shard: Shard, n_paths: int) -> None:
        self.shard, self.n_paths, self.rows = shard, n_paths, shard.rows(n_paths)
        self.count, self.first = shard.count, self.rows.start

    def size(self, members: int) -> int:
        """Paths of the ensemble, of which this process has `members`."""
        return self.n_paths

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the ensemble: of this process's own (1, members, K), to (1, 1, K), with a sum in float64.

        Raises:
            ValueError: not as many paths as this process has.
            LostProcessError: another process is gone.
        """
        if values.ndim != 3:
            raise ValueError(f"values has shape {tuple(values.shape)}; expected (1, members, K). Use values[None].")
        if values.shape[1] != (own := self.rows.stop - self.first):
            raise ValueError(
                f"there are {values.shape[1]} paths; expected the {own} rows from {self.first} on that are"
                f" {self.shard!r} of {self.n_paths}. Take them with shard.rows(n_paths)."
            )
        return (self.shard.sum(values.double().sum(1, keepdim=True)) / self.n_paths).to(values.dtype)

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all processes; see `Shard.sum`."""
        return self.shard.sum(values)


def _gist(error: Exception) -> str:
    """What is wrong, without the line of torch's source before it and the advice after it."""
    first = str(error).strip().partition("\n")[0]
    return re.sub(r"^\[\S+:\d+\] ", "", first).partition(". ")[0].rstrip(".")


@contextmanager
def join(device: str = "cpu", *, timeout: float = 300.0) -> Iterator[Shard]:
    """Join the processes that `torchrun` has started; without it, be alone.

    What `torchrun` leaves in the environment (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT) says who is who.
    Where a machine has several networks, GLOO_SOCKET_IFNAME or NCCL_SOCKET_IFNAME names the one to use.

    Args:
        device: "cpu", where processes talk through gloo, or "cuda", where each has a GPU of its own and they talk
            through NCCL.
        timeout: seconds that one process waits for another before it gives up.

    Raises:
        LostProcessError: the others are not there in time.
        ValueError: a device that this machine does not have.

    Example:
        >>> with join() as shard:
        ...     shard
        Shard(0 of 1)
    """
    check_positive("timeout", timeout)
    rank, count = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device == "cuda" else device
    _check_device(device)
    if count == 1:
        yield Shard(device=device)
        return
    end_without_parent()  # torchrun, which may be killed
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(device)
        os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")  # else NCCL aborts where gloo raises an error
    try:
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(seconds=timeout))
    except (RuntimeError, ValueError) as error:
        raise LostProcessError(
            f"process {rank} of {count} could not join the others ({_gist(error)}); expected all of them within"
            f" {timeout:g} s. Start them with torchrun, at the same address on every machine."
        ) from error
    yield Shard(rank, count, device=device)
    dist.destroy_process_group()  # not after an error: it might wait for those who are gone


def _check_device(device: str) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device is {device!r}; expected one that this machine has for each of its processes, such as cpu."
            f" ({_gist(error)}) Use another one, or fewer processes."
        ) from error
