"""Two runs at once on one folder, and several threads on one path."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from fault_cases import Case

from mfmgdm_lib._arrays import load_arrays, save_arrays


def test_two_runs_share_a_store_and_none_computes_what_another_has(
    cases: Callable[[str], Case], tally: Callable[[str], Any], points: Callable[[int, int], list[int]]
) -> None:
    counts, case, draw = tally("two runs on one store"), cases("reproduce table1"), random.Random(5)
    for _ in points(1000, 3):
        folder = case.new()
        first = case.start(folder)
        time.sleep(draw.uniform(0, case.seconds / 2))
        second = case.start(folder)
        codes = first.wait(), second.wait()
        computed = (first.said + second.said).count("(computed)")
        same = codes == (0, 0) and computed == 2 and case.outputs(folder) == case.expected
        whole = same and case.names(folder) == case.left
        counts.note("same bits" if whole else "lost", f"{codes}, {computed} computed: {first.said}{second.said}")


def test_who_waits_for_a_run_that_is_killed_goes_on_with_it(
    cases: Callable[[str], Case], tally: Callable[[str], Any], points: Callable[[int, int], list[int]]
) -> None:
    counts, case, draw = tally("one of two on a store killed"), cases("reproduce table1"), random.Random(6)
    for _ in points(1000, 3):
        folder = case.new()
        runs = [case.start(folder), case.start(folder)]
        time.sleep(draw.uniform(0, case.seconds))
        runs[0].kill()
        assert runs[0].wait() in (-signal.SIGKILL, 0)
        code = runs[1].wait()
        same = code == 0 and case.outputs(folder) == case.expected
        counts.note("same bits" if same else "lost", f"{code}: {runs[1].said}")


def test_two_descents_do_not_mix_in_one_folder(
    cases: Callable[[str], Case], tally: Callable[[str], Any], points: Callable[[int, int], list[int]]
) -> None:
    counts, case, draw = tally("two descents in one folder"), cases("descend"), random.Random(7)
    other = case.new()
    assert case.start(other, "--seed", "7").wait() == 0
    expected = {0: case.expected, 1: case.outputs(other)}
    for _ in points(1000, 4):
        folder = case.new()
        first = case.start(folder)
        time.sleep(draw.uniform(0, 1.2 * case.seconds))
        second = case.start(folder, "--seed", "7")
        codes = [first.wait(), second.wait()]
        refusal = (first, second)[codes.index(2)].said if 2 in codes else ""
        clear = "another run is at work in" in refusal or "is there already" in refusal
        whole = sorted(codes) == [0, 2] and clear and case.outputs(folder) == expected[codes.index(0)]
        counts.note("clear error" if whole else "lost", f"{codes}: {first.said}{second.said}")


def test_descent_of_another_seed_does_not_go_on_from_a_killed_one(
    cases: Callable[[str], Case], tally: Callable[[str], Any], points: Callable[[int, int], list[int]]
) -> None:
    counts, case = tally("another descent in a killed one's folder"), cases("descend")
    for point in points(case.changes, 4):
        folder = case.new()
        case.start(folder, kill_at=point).wait()
        there = case.outputs(folder), {path.name: path.read_bytes() for path in folder.glob("checkpoint-*.npz")}
        second = case.start(folder, "--seed", "7")
        if (code := second.wait()) == 2:
            now = case.outputs(folder), {path.name: path.read_bytes() for path in folder.glob("checkpoint-*.npz")}
            clear = "is there already" in second.said or "is of a run with initial_seed=" in second.said
            outcome = case.after(folder) if clear and now == there else ("lost", "changed what was there")
            counts.note("clear error" if outcome[0] != "lost" else "lost", f"change {point}: {outcome[1]}")
        else:
            assert code == 0 and not any(there), f"change {point}: {second.said}"
            counts.note("same bits")  # nothing was there yet


def test_threads_that_write_one_path_lose_nothing(tmp_path: Path, tally: Callable[[str], Any]) -> None:
    counts, path = tally("200 writes of one path by each of 3 threads"), tmp_path / "one.npz"

    def write(thread: int) -> int:
        for k in range(200):
            save_arrays(path, "thing", {"a": np.full(100, 200 * thread + k)})
            values = load_arrays(path, "thing")["a"]
            assert (values == values[0]).all()
        return thread

    with ThreadPoolExecutor(3) as threads:
        assert [*threads.map(write, range(3))] == [0, 1, 2]
    assert int(load_arrays(path, "thing")["a"][0]) % 200 == 199 and [*tmp_path.iterdir()] == [path]
    counts.note("same bits")
