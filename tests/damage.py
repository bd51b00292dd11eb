"""Files of the library with single bits flipped, and what reading each of them comes to, counted."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from PIL import Image

import mfmgdm_lib as mm
from mfmgdm_lib._arrays import load_arrays
from mfmgdm_lib.data import cache
from mfmgdm_lib.distributed import Checkpoints, Shard
from mfmgdm_lib.runs.store import Progress, ResultStore

SAME, ASIDE, CLEAR = "the same content", "set aside", "a ValueError with the name of the file"

OTHER = "other content"
"""What reading a damaged file of a format without checksums may come to as well."""

GOOD = {SAME, ASIDE, CLEAR}
"""What reading a damaged file with a checksum may come to."""


@dataclass(frozen=True)
class Case:
    """A file, and how it is read: to something that can be compared, or None where it counts as missing."""

    path: Path
    read: Callable[[], Any]


@dataclass(frozen=True)
class Throw:
    """A specification of a run."""

    sides: int = 6
    key = "throw"


def _store(folder: Path) -> ResultStore:
    return ResultStore(folder, report=lambda text: None)


def _plain(arrays: Any) -> Any:
    return {name: array.tobytes() for name, array in arrays.items()}


def checkpoint(folder: Path) -> Case:
    """A checkpoint of a run, as `mfmgdm reproduce` keeps it."""
    store, spec = _store(folder), Throw()
    store.save_checkpoint(spec, {"paths": np.arange(64.0), "loss": np.ones(9)}, Progress("interrupted", 8, 2.5, 0.25))

    def read() -> Any:
        kept = store.load_checkpoint(spec)
        return None if kept is None else (_plain(kept[0]), kept[1])

    return Case(store.checkpoint_path(spec), read)


def shard_checkpoint(folder: Path) -> Case:
    """A checkpoint of one process of a descent, as `mfmgdm descend` keeps it."""
    held = Checkpoints(folder, Shard(), {"seed": 1}, report=lambda text: None)
    held.save(3, {"paths": np.arange(64.0)})

    def read() -> Any:
        kept = Checkpoints(folder, Shard(), {"seed": 1}, report=lambda text: None).load()
        return None if kept is None else _plain(kept)

    return Case(next(folder.glob("checkpoint-*.npz")), read)


def result(folder: Path) -> Case:
    """A result in a store."""
    store, spec = _store(folder), Throw()
    path = store.save(spec, pd.DataFrame({"loss": [0.5, 0.25]}).rename_axis("step"), {"wall_time": 1.5})

    def read() -> Any:
        kept = store.load(spec)
        return None if kept is None else (kept.table.to_csv(), kept.provenance)

    return Case(path, read)


def table(folder: Path) -> Case:
    """A table with a name of its own in a store."""
    store = _store(folder)
    return Case(store.save_table("gains", "start,gain\nnoise,0.5\n", {}), lambda: store.table("gains").to_csv())


def cached(folder: Path) -> Case:
    """A downloaded series in the cache."""
    dates = pd.date_range("2024-01-01", periods=4)
    series = pd.Series([1.0, 2.0, 3.5, 3.0], dates, name="DGS10")
    series.attrs = {"retrieved": "2024-02-01T00:00:00+00:00", "unit": "percent"}
    query = cache.Query("fred", "DGS10", None, None)
    here = mock.patch.dict(os.environ, MFMGDM_CACHE_DIR=str(folder))
    with here:
        cache.save(query, series)
        path = query.path

    def read() -> Any:
        with here:
            kept = cache.load(query)
        return None if kept is None else (kept.to_csv(), kept.attrs)

    return Case(path, read)


def flow(folder: Path) -> Case:
    """A frozen flow."""
    energy, length = mm.energies.Autocovariance(), 32
    target = mm.estimate_target(energy, mm.processes.AR([0.5]), n_samples=100, length=length, seed=1)
    x0 = mm.processes.WhiteNoise().sample(8, length, seed=2)
    path = mm.MFMGDM(energy, target, step_size=0.5).freeze(x0, n_steps=4).save(folder / "flow.npz")
    return Case(path, lambda: mm.FrozenFlow.load(path).sample(2, seed=3).numpy().tobytes())


def paths(folder: Path) -> Case:
    """Generated paths."""
    made = mm.generate(mm.processes.AR([0.5]).sample(1, 400, seed=0)[0], n_paths=2, length=64, start="noise")
    path = mm.io.save_paths(made, folder / "paths.npz")
    return Case(path, lambda: _plain(load_arrays(path, "generated paths", ["paths"])))


def _series_file(path: Path) -> Case:
    """A file with 40 prices, as `mfmgdm generate` reads it."""
    dates = pd.date_range("2024-01-01", periods=40, name="date")
    frame = pd.DataFrame({"close": 100.0 + np.arange(40) / 8}, dates)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".xlsx":
        frame.reset_index().to_excel(path, index=False)
    else:
        frame.to_csv(path)
    return Case(path, lambda: mm.data.read_series(path).to_csv())


def _picture(path: Path) -> Case:
    """A picture of 16 × 16 pixels, as `mfmgdm generate` reads it."""
    levels = np.random.default_rng(0).integers(0, 256, (16, 16)).astype(np.uint8)
    Image.fromarray(levels).save(path)
    return Case(path, lambda: mm.data.read_image(path).values.numpy().tobytes())


INPUTS: dict[str, Callable[[Path], Case]] = {
    **{name: lambda folder, name=name: _series_file(folder / name) for name in ("a.csv.gz", "a.xlsx", "a.parquet")},
    **{name: lambda folder, name=name: _picture(folder / name) for name in ("a.png", "a.jpg", "a.tif")},
}
"""Files of others, by their names."""

UNCHECKED = ("a.parquet", "a.jpg", "a.tif")
"""Those whose format has no checksum, or whose writers leave it out: a flip may be a file of other numbers."""

CASES: dict[str, Callable[[Path], Case]] = {
    "checkpoint": checkpoint,
    "shard checkpoint": shard_checkpoint,
    "result": result,
    "table": table,
    "cached": cached,
    "flow": flow,
    "paths": paths,
}


def directory_bits(path: Path) -> range:
    """The bits of the directory at the end of a zip file, where its reader raises many kinds of errors."""
    content = path.read_bytes()
    return range(8 * content.index(b"PK\x01\x02"), 8 * len(content))


def sampled_bits(path: Path, n: int, seed: int = 0) -> list[int]:
    """So many bits of a file, or all of a smaller one."""
    size = 8 * path.stat().st_size
    return sorted(np.random.default_rng(seed).choice(size, min(n, size), replace=False).tolist())


def flipped(content: bytes, bit: int) -> bytes:
    """The content with one bit turned around."""
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def flipped_outcomes(case: Case, bits: Iterable[int]) -> Counter[str]:
    """Flip each bit by itself, read the file, and count what that comes to; the file is then whole again.

    Returns:
        Counts by outcome, those of `GOOD`, `OTHER`, "missing" without a file set aside, or an error's name.
    """
    whole, expected = case.path.read_bytes(), case.read()
    found: Counter[str] = Counter()
    for bit in bits:
        found[outcome(case, flipped(whole, bit), expected)] += 1
        case.path.write_bytes(whole)
    return found


def outcome(case: Case, content: bytes, expected: Any) -> str:
    """What reading the file with this content comes to."""
    case.path.write_bytes(content)
    aside = case.path.with_name(f"{case.path.name}.damaged")
    try:
        kept = case.read()
    except ValueError as error:
        return CLEAR if case.path.name in str(error) else f"{type(error).__name__}: {error}"
    except Exception as error:
        return type(error).__name__
    if kept is None:
        kept_as_it_was = aside.is_file() and aside.read_bytes() == content
        aside.unlink(missing_ok=True)
        return ASIDE if kept_as_it_was else "missing"
    return SAME if kept == expected else OTHER


def main() -> None:
    """Print the counts of each case: the directories of zip files bit by bit, and 4000 bits of the whole file."""
    logging.disable()
    cases = CASES | INPUTS
    wanted = sys.argv[1:] or cases
    for name in wanted:
        with tempfile.TemporaryDirectory() as folder:
            case = cases[name](Path(folder))
            parts = {"directory": directory_bits(case.path)} if case.path.suffix == ".npz" else {}
            for part, bits in {**parts, "sample": sampled_bits(case.path, 4000)}.items():
                print(f"{name}, {part}: {dict(flipped_outcomes(case, bits))}", flush=True)


if __name__ == "__main__":
    main()
