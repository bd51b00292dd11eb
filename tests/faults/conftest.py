"""Fixtures of the fault suite: commands to kill, counts of how that ended, small disks; `make faults` runs it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fault_cases import LONG, WORKS, Case

OUTCOMES = ("tried", "same bits", "clear error", "lost")
"""What is counted: faults; how often the same command then ended with the bits of an undisturbed run, or said what is
in the way without harm to what was there; and all else."""

MANY = int(os.environ.get("FAULTS_MANY", "50"))
"""How many faults of a kind a long run tries on each command."""

SLOW = ("generate picture", "forecast")
"""Commands that a short run disturbs once."""

PATIENCE = 60.0
"""Seconds after which something that should have happened has not."""


@dataclass
class Running:
    """A command under way, in a session of its own."""

    process: int
    log: Path
    ask: Callable[[object], object]

    def wait(self, seconds: float = PATIENCE) -> int:
        """Return the exit code, below 0 for a signal."""
        deadline = time.monotonic() + seconds
        while (code := self.ask({"ended": self.process})) is None:
            if time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"{self.process} still runs after {seconds} s: {self.said}")
            time.sleep(0.002)
        return int(str(code))

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, unless the command has ended by itself."""
        os.kill(self.process, number)  # who is not waited for keeps its number

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def changes(self) -> int:
        """How often it has changed files of its folder."""
        return int(Path(f"{self.log}.changes").read_text())


@dataclass
class Server:
    """The other end of server.py."""

    folder: Path
    environment: dict[str, str]
    count: int = 0
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        script = Path(__file__).with_name("server.py")
        self.process = subprocess.Popen(
            [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environment
        )

    def ask(self, request: object) -> object:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def start(self, *arguments: object, folder: Path, before: str = "", kill_at: int | None = None) -> Running:
        """Begin `mfmgdm` with these arguments; see server.py for the others."""
        self.count += 1
        log = self.folder / f"{self.count}.log"
        log.touch()  # a signal may come before the process has opened it
        request = {"arguments": [*map(str, arguments)], "folder": str(folder), "log": str(log)}
        return Running(int(str(self.ask({**request, "before": before, "kill_at": kill_at}))), log, self.ask)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Of every command: one thread, no bar of progress, which would be drawn into a log, and one date in all files."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "SOURCE_DATE_EPOCH": "1700000000"}


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Server]:
    """Starts commands of the library within milliseconds."""
    server = Server(tmp_path_factory.mktemp("logs"), environment)
    yield server
    server.process.stdin.close()  # type: ignore[union-attr]
    server.process.stdout.close()  # type: ignore[union-attr]
    server.process.wait(PATIENCE)


@pytest.fixture(scope="session")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 600 prices."""
    path = tmp_path_factory.mktemp("series") / "prices.csv"
    steps = 0.01 * np.random.default_rng(0).standard_normal(600)
    dates = pd.date_range("2015-01-02", periods=600, freq="B", name="date")
    pd.Series(100 * np.exp(np.cumsum(steps)), dates, name="Close").round(4).to_csv(path)
    return path


@pytest.fixture(scope="session")
def flow(commands: Server, prices: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a frozen flow."""
    folder = tmp_path_factory.mktemp("flow")
    options = ("--paths", 20, "--length", 64, "--start", "noise", "--energy", "StylizedFacts(lags=3)")
    outputs = ("--out", folder / "paths.npz", "--flow", folder / "flow.npz")
    written = commands.start("generate", prices, *options, *outputs, folder=folder)
    assert written.wait() == 0, written.said
    return folder / "flow.npz"


@pytest.fixture(scope="session")
def cases(
    commands: Server, prices: Path, flow: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Case]:
    """One of `WORKS` by name, with what it leaves when nothing disturbs it."""
    files = {"SERIES": prices, "FLOW": flow}
    return cache(lambda name: Case(WORKS[name], files, commands, tmp_path_factory.mktemp("faults")))


@pytest.fixture(params=[name for name in WORKS if name != "reproduce longer"])
def case(request: pytest.FixtureRequest, cases: Callable[[str], Case]) -> Case:
    """Each of them, but for the one that others wait for."""
    return cases(request.param)


@pytest.fixture(params=[name for name in WORKS if name != "reproduce longer" and (LONG or name not in SLOW)])
def quick_case(request: pytest.FixtureRequest, cases: Callable[[str], Case]) -> Case:
    """The same without those that are slow, in a short run."""
    return cases(request.param)


# --- counts ------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """Counts of one kind of fault."""

    counts: dict[str, int]
    losses: list[str] = field(default_factory=list)

    def note(self, outcome: str, what: object = "") -> None:
        """Count a fault, and how it ended: one of `OUTCOMES`."""
        assert outcome in OUTCOMES[1:]
        for name in ("tried", outcome):
            self.counts[name] = self.counts.get(name, 0) + 1
        if outcome == "lost":
            self.losses.append(str(what))


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Tally]]:
    """Counts of a kind of fault, for the table at the end; what is lost is an error at the end of the test."""
    kept: list[Tally] = []

    def begin(kind: str) -> Tally:
        counts: dict[str, int] = {}  # which is sent to other processes as it is
        request.node.user_properties.append((f"faults: {kind}", counts))
        kept.append(Tally(counts))
        return kept[-1]

    yield begin
    lost = [loss for one in kept for loss in one.losses]
    assert not lost, "\n".join(lost)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many faults of each kind were tried, and how they ended."""
    totals: dict[str, Counter[str]] = {}
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    for report in reports:
        if getattr(report, "when", None) == "call":
            for name, counts in report.user_properties:
                if name.startswith("faults: "):
                    totals.setdefault(name.removeprefix("faults: "), Counter()).update(counts)
    if not totals:
        return
    width = max(map(len, totals))
    terminalreporter.section("faults")
    terminalreporter.write_line(f"{'':{width}}  " + "  ".join(f"{outcome:>11}" for outcome in OUTCOMES))
    totals["all"] = sum(totals.values(), Counter())
    for kind, counts in totals.items():
        terminalreporter.write_line(f"{kind:{width}}  " + "  ".join(f"{counts[name]:11}" for name in OUTCOMES))


@pytest.fixture
def points(request: pytest.FixtureRequest) -> Callable[[int, int], list[int]]:
    """Some of the numbers 1 to n: a few, in a long run `MANY` or all; others for each test, and the same each time."""

    def choose(n: int, few: int) -> list[int]:
        return sorted(random.Random(request.node.name).sample(range(1, n + 1), min(n, max(few, MANY) if LONG else few)))

    return choose
