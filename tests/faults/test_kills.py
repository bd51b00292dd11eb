"""Kills of every writing command: no half-written output, and the same command again ends with the same bits."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from typing import Any

from fault_cases import Case


def test_command_that_is_killed_before_any_change_of_a_file(
    quick_case: Case, tally: Callable[[str], Any], points: Callable[[int, int], list[int]]
) -> None:
    counts, case = tally("kill -9 before a change of a file"), quick_case
    for point in points(case.changes, case.few):
        folder = case.new()
        killed = case.start(folder, kill_at=point)
        assert killed.wait() == -signal.SIGKILL
        outcome, what = case.after(folder)
        counts.note(outcome, f"{case.work.arguments}, change {point}: {what}")


def test_command_that_is_killed_at_any_moment(
    case: Case, tally: Callable[[str], Any], points: Callable[[int, int], list[int]]
) -> None:
    counts = tally("kill -9 at a random moment")
    draw = random.Random(case.work.arguments)
    for _ in points(1000, (case.few + 1) // 2):
        folder = case.new()
        killed = case.start(folder)
        time.sleep(draw.uniform(0, case.seconds))
        killed.kill()
        assert killed.wait() in (-signal.SIGKILL, 0)
        outcome, what = case.after(folder)
        counts.note(outcome, f"{case.work.arguments}: {what}")
