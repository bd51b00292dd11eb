"""Progress bars: only on a terminal, only for slow work."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib._progress import progress
from mfmgdm_lib.energies import Autocovariance
from mfmgdm_lib.processes import AR


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def seen_on(screen: io.StringIO, work: Callable[[], object], seconds_per_look: float = 1.0) -> str:
    """Return what `work` writes to `screen` as stderr, by a clock that moves on whenever tqdm looks at it."""
    ticks = iter(range(1_000_000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", screen)
        patch.setattr("tqdm.std.time", lambda: seconds_per_look * next(ticks))
        work()
    return screen.getvalue()


def count() -> None:
    assert list(progress(range(50), total=50, description="count")) == list(range(50))


@pytest.fixture
def descend(noise: Callable[..., Tensor]) -> Callable[[], None]:
    def work() -> None:
        energy = Autocovariance()
        target = mm.estimate_target(energy, AR([0.1]), n_samples=10_000, length=8, seed=0)
        mm.MFMGDM(energy, target, step_size=0.1).sample(noise(2, 8), 30)

    return work


def test_bar_is_silent_where_stderr_is_no_terminal() -> None:
    assert seen_on(io.StringIO(), count) == ""


def test_bar_shows_on_a_terminal_and_is_wiped_off_when_done() -> None:
    frames = seen_on(Terminal(), count).split("\r")
    assert any("count" in frame and "/50" in frame for frame in frames)
    assert frames[-2].strip() == "" and frames[-1] == ""


def test_bar_is_not_shown_for_what_is_done_at_once() -> None:
    assert "count" not in seen_on(Terminal(), count, seconds_per_look=0.01)


def test_targets_and_descents_show_a_bar_on_a_terminal(descend: Callable[[], None]) -> None:
    screen = seen_on(Terminal(), descend)
    assert "target:" in screen and "MFMGDM:" in screen


def test_library_prints_nothing_where_there_is_no_terminal(
    descend: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert seen_on(io.StringIO(), descend) == ""
    assert capsys.readouterr() == ("", "")
