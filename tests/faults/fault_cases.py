"""Commands that write, small enough to be run many times, and how a folder fares in which one met a fault."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mfmgdm_lib._arrays import load_arrays

LONG = os.environ.get("FAULTS") == "long"
"""Whether many random points are tried."""

T = TypeVar("T")


def long_only(*values: T) -> tuple[T, ...]:
    """Values of a parameter that only a long run has."""
    return values if LONG else ()


DAY = 24 * 3600.0

CHECKPOINTS = """
import functools
from mfmgdm_lib.runs import executors
executors.run_cells = functools.partial(executors.run_cells, checkpoint_seconds=0)
"""
"""Has a checkpoint written at every step."""

COMMAND = """
from mfmgdm_lib import _provenance
_provenance.this_command = lambda: "mfmgdm ..."
"""
"""Has files say no more of the command, which has the name of its folder, and `--force` the second time."""

PUBLISHER = """
import os
from mfmgdm_lib.data import sources
os.environ.pop("MFMGDM_DATA_DIR", None)
os.environ["MFMGDM_CACHE_DIR"] = "FOLDER"
sources.get = lambda url: b"observation_date,DGS10\\n" + b"".join(b"2024-01-%02d,3.95\\n" % day for day in range(1, 29))
"""
"""Answers in place of FRED."""


@dataclass(frozen=True)
class Work:
    """A command that writes into FOLDER; SERIES and FLOW stand for files that it reads.

    Attributes:
        arguments: of `mfmgdm`.
        outputs: patterns of the files that it is for.
        goes_on: whether the same command goes on with what is there; else it is refused without --force.
        before: Python to execute first.
        sweeps: whether it deletes at once what a killed one has left half-written; others do after a day.
    """

    arguments: str
    outputs: tuple[str, ...]
    goes_on: bool
    before: str = ""
    sweeps: bool = False


GRAVEL = Path(__file__).resolve().parents[2] / "mfmgdm_lib" / "companion" / "textures" / "gravel.png"

STORE = "--store FOLDER"
DESCENT = "--paths 8 --length 64 --step-size 1 --steps 40 --checkpoint-every 0 --out FOLDER"
WORKS = {
    "reproduce table1": Work(
        f"reproduce table1 --profile quick --cells ar01-acf-* {STORE}", ("*.csv",), True, CHECKPOINTS
    ),
    "reproduce longer": Work(
        f"reproduce table1 --profile quick --cells cir-trunc-acf-* {STORE}", ("*.csv",), True, CHECKPOINTS
    ),
    "descend": Work(f"descend --process ar01 {DESCENT}", ("paths-0-of-1.npz", "trace.csv"), True, sweeps=True),
    "generate": Work(
        "generate SERIES --paths 5 --length 64 --start noise --energy StylizedFacts(lags=3) --out FOLDER/paths.parquet"
        " --risk FOLDER/risk.csv --flow FOLDER/flow.npz",
        ("paths.parquet", "risk.csv", "flow.npz"),
        False,
    ),
    "generate picture": Work(
        f"generate {GRAVEL} --paths 1 --shape 32x32 --out FOLDER/fields.npz --tiles FOLDER/fields.png",
        ("fields.npz", "fields.png"),
        False,
    ),
    "forecast": Work(
        "forecast SERIES --base garch-n --horizon 3 --paths 20 --out FOLDER/forecast.csv --paths-out FOLDER/paths.npz",
        ("forecast.csv", "paths.npz"),
        False,
    ),
    "sample parquet": Work("sample FLOW --paths 20000 --out FOLDER/paths.parquet", ("paths.parquet",), False),
    "sample npz": Work("sample FLOW --paths 20000 --out FOLDER/paths.npz", ("paths.npz",), False),
    "data fetch": Work("data fetch fred DGS10", ("*.csv",), True, PUBLISHER),
}


class Case:
    """A command and its undisturbed output, against which others are compared."""

    def __init__(self, work: Work, files: dict[str, Path], commands: Any, folder: Path) -> None:
        self.work, self.files, self.commands, self.folder = work, files, commands, folder
        self.count = 0
        began, whole = time.monotonic(), self.new()
        alone = self.start(whole)
        assert alone.wait() == 0, alone.said
        self.seconds, self.changes = time.monotonic() - began, alone.changes
        self.expected, self.left = self.outputs(whole), self.names(whole)
        assert self.expected

    @property
    def few(self) -> int:
        """How many faults are tried in a short run."""
        return max(1, min(4, round(2 / self.seconds)))

    def new(self) -> Path:
        self.count += 1
        folder = self.folder / str(self.count)
        folder.mkdir()
        return folder

    def words(self, folder: Path) -> list[str]:
        """The arguments of the command in this folder."""
        text = self.work.arguments
        for word, path in {**self.files, "FOLDER": folder}.items():
            text = text.replace(word, str(path))
        return text.split()

    def start(self, folder: Path, *more: str, first: str = "", **how: Any) -> Any:
        before = COMMAND + self.work.before.replace("FOLDER", str(folder)) + first
        return self.commands.start(*self.words(folder), *more, folder=folder, before=before, **how)

    def outputs(self, folder: Path) -> dict[str, bytes]:
        """What is there, without the lines that say when and for how long a result was computed."""
        found = sorted({path for pattern in self.work.outputs for path in folder.glob(pattern)})
        dated = self.work.goes_on
        return {
            path.name: b"".join(
                line for line in path.read_bytes().splitlines(True) if not (dated and line.startswith(b"#"))
            )
            for path in found
        }

    @staticmethod
    def names(folder: Path) -> set[str]:
        return {str(path.relative_to(folder)) for path in folder.rglob("*")}

    def after(self, folder: Path) -> tuple[str, str]:
        """How a folder in which the command was killed fares: the outcome, and what was wrong."""
        there = self.outputs(folder)
        for name, content in there.items():
            if content != self.expected.get(name):
                return "lost", f"{name} is not whole"
        for path in [*folder.glob("checkpoint-*.npz"), *folder.glob(".work/*.npz")]:
            load_arrays(path, "checkpoint of a run" if path.parent.name == ".work" else "checkpoint of a shard")
        for path in [] if self.work.sweeps else folder.rglob("*.partial"):
            os.utime(path, (time.time() - 2 * DAY,) * 2)
        again, outcome = self.start(folder), "same bits"
        if (code := again.wait()) == 2 and "is there already" in again.said:
            if (self.work.goes_on and there != self.expected) or self.outputs(folder) != there:
                return "lost", f"refused with {sorted(there)}: {again.said}"
            again, outcome = self.start(folder, "--force"), "clear error"
            code = again.wait()
        if code != 0 or "Traceback" in again.said:
            return "lost", f"exit code {code}: {again.said}"
        if (found := self.outputs(folder)) != self.expected:
            differ = [name for name in {*found, *self.expected} if found.get(name) != self.expected.get(name)]
            return "lost", f"other bits in {differ}"
        if (names := self.names(folder)) != self.left:
            return "lost", f"left behind: {names ^ self.left}"
        return outcome, ""
