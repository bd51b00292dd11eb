"""Flipped bits in files of every kind that the library reads back: never other numbers, and never a traceback."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import flipped
from fault_cases import Case

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Projection, ScatteringSpectra


def flip(path: Path, draw: random.Random) -> str:
    """Turn a bit around, and return where."""
    content = path.read_bytes()
    bit = draw.randrange(8 * len(content))
    path.write_bytes(flipped(content, bit))
    return f"bit {bit} of {path.name}"


def test_damaged_results_and_cached_series_are_made_again(
    cases: Callable[[str], Case], tally: Callable[[str], Any], points: Callable[[int, int], list[int]]
) -> None:
    draw = random.Random(1)
    for kind, name in (("flip in a result", "reproduce table1"), ("flip in a cached series", "data fetch")):
        counts, case = tally(kind), cases(name)
        for _ in points(1000, 3):
            folder = case.new()
            assert case.start(folder).wait() == 0
            where = flip(draw.choice(sorted(folder.glob("*.csv"))), draw)
            again = case.start(folder)
            assert again.wait() == 0 and "Traceback" not in again.said, f"{where}: {again.said}"
            assert "Set aside a damaged file" in again.said and len([*folder.glob("*.damaged")]) == 1, again.said
            counts.note("same bits" if case.outputs(folder) == case.expected else "lost", where)


@pytest.mark.parametrize("name", ["reproduce table1", "descend"])
def test_runs_do_without_a_damaged_checkpoint(
    cases: Callable[[str], Case], name: str, tally: Callable[[str], Any], points: Callable[[int, int], list[int]]
) -> None:
    counts, case, draw = tally(f"flip in a checkpoint of {name.split()[0]}"), cases(name), random.Random(2)
    for _ in points(1000, 3):
        folder = case.new()
        kept: list[Path] = []
        while not kept:
            killed = case.start(folder, kill_at=draw.randrange(case.changes // 3, case.changes - 8))
            killed.wait()
            kept = [*folder.glob("checkpoint-*.npz"), *folder.glob(".work/*.npz")]
        where = flip(draw.choice(kept), draw)
        again = case.start(folder)
        assert again.wait() == 0 and "Traceback" not in again.said, f"{where}: {again.said}"
        counts.note("same bits" if case.outputs(folder) == case.expected else "lost", where)


def test_damaged_flow_is_refused_by_the_command(
    cases: Callable[[str], Case],
    commands: Any,
    flow: Path,
    tmp_path: Path,
    tally: Callable[[str], Any],
    points: Callable[[int, int], list[int]],
) -> None:
    counts, draw, damaged = tally("flip in a flow, mfmgdm sample"), random.Random(3), tmp_path / "flow.npz"
    out = tmp_path / "out"
    out.mkdir()

    def sample(path: Path) -> tuple[int, str, bytes]:
        made = commands.start("sample", path, "--paths", 4, "--out", out / "a.npz", "--force", folder=out)
        code = made.wait()
        with np.load(out / "a.npz") as arrays:  # beside them there is the checksum of the flow
            return code, made.said, arrays["paths"].tobytes()

    whole = sample(flow)[2]
    for _ in points(1000, 3):
        damaged.write_bytes(flow.read_bytes())
        where = flip(damaged, draw)
        code, said, paths = sample(damaged)
        refused = code == 2 and str(damaged) in said and "Traceback" not in said
        outcome = "lost" if paths != whole else "same bits" if code == 0 else "clear error" if refused else "lost"
        counts.note(outcome, f"{where}: {said}")


def _projection() -> tuple[Any, Callable[[Path], Any]]:
    energy = mm.energies.StylizedFacts(lags=3)
    made = Projection.fit(energy, mm.processes.WhiteNoise(), n_samples=50, length=256, seed=0, n_components=2)
    return made, lambda path: Projection.load(path, energy)


def _spectra() -> tuple[Any, Callable[[Path], Any]]:
    made = ScatteringSpectra(256).fit_scale(mm.processes.WhiteNoise(), n_samples=20, seed=0)
    return made, ScatteringSpectra.load


@pytest.mark.parametrize("make", [_projection, _spectra])
def test_damaged_energy_is_refused(
    make: Callable[[], tuple[Any, Callable[[Path], Any]]],
    tmp_path: Path,
    tally: Callable[[str], Any],
    points: Callable[[int, int], list[int]],
) -> None:
    (made, load), draw, path = make(), random.Random(4), tmp_path / "energy.npz"
    counts = tally("flip in an energy")
    made.save(path)
    whole, x = path.read_bytes(), mm.processes.WhiteNoise().sample(2, 256, seed=0)
    for _ in points(1000, 40):
        path.write_bytes(whole)
        where = flip(path, draw)
        try:
            same = np.array_equal(load(path)(x), made(x))
        except ValueError as error:
            counts.note("clear error" if str(path) in str(error) else "lost", f"{where}: {error}")
        else:
            counts.note("same bits" if same else "lost", where)
