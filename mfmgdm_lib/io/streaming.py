"""Paths of a frozen flow drawn and written in batches, in constant memory."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._arrays import spell_bytes
from mfmgdm_lib._checks import check_member, check_positive_int
from mfmgdm_lib._progress import counter
from mfmgdm_lib._provenance import provenance
from mfmgdm_lib.errors import renumbered
from mfmgdm_lib.flows import FrozenFlow
from mfmgdm_lib.io.files import check_output, replacing
from mfmgdm_lib.processes.base import Seed, generator

__all__ = ["DTYPES", "STREAM_SUFFIXES", "stream_paths"]

KIND = "paths of a frozen flow"
"""What a file says that it holds."""

DTYPES = ("float64", "float32")
"""Number formats of a file."""

_BATCH_POINTS = 2**20
"""Points (paths × time) between two writes: 8 MB, which the layouts of both formats are efficient for."""

_BLOCK_POINTS = 2**22
"""Points of a start that cannot be drawn path by path, drawn at once; the paths depend on it."""

Write = Callable[[np.ndarray], object]
"""What takes the next paths, (n, length)."""


@checked
def stream_paths(
    flow: FrozenFlow,
    n_paths: int,
    path: str | os.PathLike[str],
    seed: Seed,
    *,
    force: bool = False,
    batch: int | None = None,
    dtype: str = "float64",
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Draw independent paths and write them to a file as they come, in memory that does not grow with their number.

    They are the paths of `flow.sample(n_paths, seed)`, whatever the batch: to the last bit where start and energy treat
    each path by itself, as `WhiteNoise` with `Autocovariance` or `StylizedFacts` do, else to round-off, for sums over
    more rows may be taken in another order. A start that says it is not drawn path by path (`TruncatedGaussian`, `CIR`)
    is drawn for 2²² points at once, 4096 paths of 1024: these first ones are those of `sample`, and later ones are
    others, whatever the batch.

    - `.parquet`: a row for each path, with one column "path" of lists of fixed length, and a group of rows for each
      batch. The columns of `save_paths`, one for each path, would have to be there all at once. Read it with
      `np.stack(pandas.read_parquet(file)["path"])`, or in pieces with `pyarrow.parquet.ParquetFile(file).iter_batches`.
    - `.npz`: `paths` (n_paths, length), uncompressed, as `numpy.load` reads it without pickle. In place of the
      library's own checksum there is that of the zip format, which is compared whenever an array is read.

    Both have `kind`, the `flow` in words, the `seed`, the `version` of the library, the `command` where one made them,
    the `date` in UTC (that of SOURCE_DATE_EPOCH where the environment has it) and the `threads` beside them: in Parquet
    as pandas' `attrs`, and in .npz as arrays. Of a flow in the units of a series there is the `unit`, too.

    Args:
        flow: what to draw from.
        n_paths: how many.
        path: where to; the suffix names the format. The file is there when it is whole, and not before.
        seed: whatever `numpy.random.default_rng` takes.
        force: whether to replace a file that is there.
        batch: paths in memory at once; None for about a million points.
        dtype: "float64", or "float32" for half the size.
        about: what else is known of the paths, by name.

    Returns:
        Where the file is.

    Raises:
        ValueError: another suffix or dtype, or a number that is not positive.
        FileExistsError: a file that is there, without `force`.
        OSError: no folder to write into, or no room; nothing is left, and a file that was there still is.
        DivergedError: a path stopped being finite; the error names it among all.

    Example:
        >>> import tempfile
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, length=64, seed=1)
        >>> x0 = mm.processes.WhiteNoise().sample(128, 64, seed=2)
        >>> flow = mm.MFMGDM(energy, target, step_size=1.0).freeze(x0, n_steps=20)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with np.load(stream_paths(flow, 1000, f"{folder}/paths.npz", seed=0, batch=300)) as arrays:
        ...         bool((arrays["paths"] == flow.sample(1000, seed=0).numpy()).all())
        True
    """
    n_paths, batch = check_positive_int("n_paths", n_paths), _batch_size(flow, batch)
    check_member("dtype", dtype, DTYPES)
    target, rng = check_output(path, STREAM_SUFFIXES, force), generator(seed)
    _check_room(target, n_paths * flow.event_shape.numel() * np.dtype(dtype).itemsize)
    known = {
        "kind": KIND,
        "flow": repr(flow),
        "seed": repr(seed),
        **provenance(),
        **({} if flow.unit is None else {"unit": flow.unit}),
        **(about or {}),
    }
    with (
        replacing(target, force=force) as file,
        _WRITERS[target.suffix](file, (n_paths, *flow.event_shape), np.dtype(dtype), known) as write,
        counter(total=n_paths, description="paths") as bar,
    ):
        for paths in _batches(flow, n_paths, batch, rng):
            write(np.ascontiguousarray(paths.numpy(), dtype))
            bar.update(len(paths))
    return target


def _check_room(target: Path, needed: int) -> None:
    """Refuse a file that the disk has no room for: the numbers of paths are as good as random, and cannot be packed."""
    if needed > (free := shutil.disk_usage(target.resolve().parent).free):
        raise OSError(
            errno.ENOSPC,
            f"{target} would have {spell_bytes(needed)}, and {spell_bytes(free)} are free; expected a disk with room"
            " for it. Free some space, name another folder, or ask for fewer paths.",
        )


def _batch_size(flow: FrozenFlow, batch: int | None) -> int:
    return max(1, _BATCH_POINTS // flow.event_shape.numel()) if batch is None else check_positive_int("batch", batch)


def _batches(flow: FrozenFlow, n_paths: int, batch: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Paths (n, length), n of at most `batch`, until there are n_paths."""
    done = 0
    while done < n_paths:  # once, but for a flow that leaves out some starts
        for starts in _starts(flow, n_paths - done, batch, rng):
            with renumbered(range(done, done + len(starts))), torch.no_grad():
                paths = flow.ends(starts)
            yield paths
            done += len(paths)


def _starts(flow: FrozenFlow, n_paths: int, batch: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """The starts of all paths in order, in pieces that depend on `batch`, with values that do not."""
    size = batch if flow.start.draws_path_by_path else max(1, _BLOCK_POINTS // flow.event_shape.numel())
    for first in range(0, n_paths, size):
        yield from flow.start.sample(min(size, n_paths - first), flow.length, rng).split(batch)


# --- formats ---------------------------------------------------------------------------------------------------------


@contextmanager
def _parquet(
    file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[np.floating], about: Mapping[str, Any]
) -> Iterator[Write]:
    """A row of one list for each path, laid out flat, and a group of rows for each write."""
    lists = pa.list_(pa.field("element", pa.from_numpy_dtype(dtype), nullable=False), math.prod(shape[1:]))
    # Where pandas keeps `attrs`, those of `save_paths` among them.
    schema = pa.schema([pa.field("path", lists, nullable=False)], metadata={"PANDAS_ATTRS": json.dumps(about)})
    # Paths have no values that come again, which a dictionary would be for. What the writer keeps about each group is
    # small, but between large blocks that come and go it would hold on to them: the memory that the C library keeps for
    # a thread of its own is apart from theirs.
    with pq.ParquetWriter(file, schema, use_dictionary=False) as writer, ThreadPoolExecutor(1) as scribe:

        def write(rows: np.ndarray) -> None:
            column = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), type=lists)
            table = pa.table([column], schema=schema)
            scribe.submit(writer.write_table, table, row_group_size=len(rows)).result()

        yield write


@contextmanager
def _npz(
    file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[np.floating], about: Mapping[str, Any]
) -> Iterator[Write]:
    """What `numpy.savez` would write, with the paths appended to the last array, whose header is there beforehand."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, text in about.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
                np.save(member, np.array(text), allow_pickle=False)
        with archive.open(zipfile.ZipInfo("paths.npy"), "w", force_zip64=True) as member:  # it may have 4 GB and more
            header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, header)  # type: ignore[no-untyped-call]
            yield lambda rows: member.write(rows.data)


_Writer = Callable[[BinaryIO, tuple[int, ...], np.dtype[np.floating], Mapping[str, Any]], AbstractContextManager[Write]]

_WRITERS: dict[str, _Writer] = {".parquet": _parquet, ".npz": _npz}

STREAM_SUFFIXES = tuple(_WRITERS)
"""Formats that paths can be streamed into."""
