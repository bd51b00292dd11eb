"""Full and read-only disks: a clear error, nothing half-written, and the same command goes on once there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fault_cases import Case

PAGE = 4096
"""Bytes in which a file system in memory gives out room."""

FULL = ("No space left on device", "File too large", "a disk with room for it")
"""What a command may say of a full disk: the system's words, or `sample`'s, which looks for room before it begins."""


@dataclass
class Disk:
    """A file system of its own in memory, where the system lets us mount one; else a folder.

    Attributes:
        folder: where it is.
        mounted: whether it is one.
    """

    folder: Path
    mounted: bool

    def limit(self, room: int) -> str:
        """Let no more than these bytes be written; return Python for the command to execute first."""
        if not self.mounted:  # a file that gets longer is an error then
            return f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))"
        free = shutil.disk_usage(self.folder).free
        (self.folder / "filler").write_bytes(bytes(free - room))
        return ""

    def free(self) -> None:
        (self.folder / "filler").unlink(missing_ok=True)

    def read_only(self) -> None:
        if self.mounted:
            subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)
        elif os.geteuid() == 0:
            pytest.skip("may not mount anything, and root writes into every folder")
        else:
            for folder in [self.folder, *(path for path in self.folder.rglob("*") if path.is_dir())]:
                folder.chmod(0o555)

    def writable(self) -> None:
        if self.mounted:
            subprocess.run(["mount", "-o", "remount,rw", self.folder], check=True)
        else:
            for folder in [self.folder, *(path for path in self.folder.rglob("*") if path.is_dir())]:
                folder.chmod(0o755)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    mounted = shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0
    one = Disk(folder, mounted)
    yield one
    one.writable()
    if mounted:
        subprocess.run(["umount", folder], check=True)


def assert_said(code: int, said: str, reasons: tuple[str, ...]) -> None:
    assert code == 2 and any(reason in said for reason in reasons) and "Traceback" not in said, f"{code}: {said}"


def test_full_disk_is_said_and_costs_nothing(
    quick_case: Case, disk: Disk, tally: Callable[[str], Any], points: Callable[[int, int], list[int]]
) -> None:
    counts, case = tally("full disk"), quick_case
    needed = sum(-(-len(content) // PAGE) for content in case.expected.values())
    for pages in points(needed, case.few):
        folder = disk.folder / str(pages)
        folder.mkdir()
        limited = case.start(folder, first=disk.limit((pages - 1) * PAGE))
        if (code := limited.wait()) != 0:
            assert_said(code, limited.said, FULL)
            assert not [*folder.rglob("*.partial")]
        disk.free()
        outcome, what = case.after(folder)
        counts.note(outcome, f"{case.work.arguments}, {pages - 1} pages: {what}")
        shutil.rmtree(folder)


def test_read_only_disk_is_said_and_costs_nothing(quick_case: Case, disk: Disk, tally: Callable[[str], Any]) -> None:
    counts, case = tally("read-only disk"), quick_case
    folder = disk.folder / "new"
    folder.mkdir()
    disk.read_only()
    refused = case.start(folder)
    assert_said(refused.wait(), refused.said, ("Read-only file system", "Permission denied"))
    disk.writable()
    assert not [*folder.iterdir()]
    counts.note(*case.after(folder))


def test_results_on_a_read_only_disk_are_found(
    cases: Callable[[str], Case], commands: Any, disk: Disk, tally: Callable[[str], Any]
) -> None:
    counts, case = tally("read-only disk"), cases("reproduce table1")
    folder = disk.folder / "store"
    folder.mkdir()
    assert case.start(folder).wait() == 0
    disk.read_only()
    again = case.start(folder)
    assert again.wait() == 0 and again.said.count("(found)") == 2, again.said
    listed = case.start(folder, "--list")
    assert listed.wait() == 0 and listed.said.count(" done ") == 2, listed.said
    store = ("--profile", "quick", "--cells", "ar01-acf-*", "--store", folder)
    more = case.start(folder, "--cells", "ar02-acf-mf")
    assert_said(more.wait(), more.said, (f"{folder} has no result of ar02-acf-mf, and may not be written to",))
    assert more.said.rstrip().endswith("and name with --store the copy: what is stored is found there."), more.said
    verified = commands.start("verify", "results", *store, folder=folder)
    assert verified.wait() == 0, verified.said
    counts.note("same bits" if case.outputs(folder) == case.expected else "lost")
