"""Requests to stop a run between two steps, by a signal or because the process that started it is gone."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["GRACE_SECONDS", "WORKER_SECONDS", "StoppedError", "check_stop", "end_without_parent", "stop_signals"]

GRACE_SECONDS = 4.0
"""How long a process that is to stop has for the present step and a checkpoint, before it ends without them."""

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

WORKER_SECONDS = 3.0
"""The same for a process that runs cells for another one, which waits for it."""

_POLL_SECONDS = 0.25

_requested: int | None = None
"""The exit code to end with, once this process has been asked to stop."""


class StoppedError(Exception):
    """A run that was stopped on request, between two steps.

    Attributes:
        exit_code: what a command ends with, 128 and the number of the signal.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message, exit_code)
        self.exit_code = exit_code

    def __str__(self) -> str:
        """The message alone."""
        return str(self.args[0])


def check_stop(kept: str = "", keep: Callable[[], None] | None = None) -> None:
    """Raise an error if this process has been asked to stop.

    Args:
        kept: what is kept of the work, a sentence.
        keep: called before, to write it.

    Raises:
        StoppedError: it has been.
    """
    if _requested is None:
        return
    if keep is not None:
        keep()
    raise StoppedError(f"Stopped on request. {kept}".rstrip() + " Give the same command again to go on.", _requested)


@contextmanager
def stop_signals() -> Iterator[None]:
    """Take SIGINT, SIGTERM and SIGHUP for requests to stop, which `check_stop` raises between two steps.

    A process that is still there `GRACE_SECONDS` after the first signal, or at a second one, ends at once; what it
    writes is written in a way that leaves whole files. Only the main thread can receive signals: in others nothing
    changes.
    """
    global _requested
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _on_signal) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _requested = None


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _requested is not None:
        _end_now()
    _request_stop(128 + number)
    threading.Thread(target=_end_after, args=(GRACE_SECONDS,), daemon=True).start()


def _request_stop(code: int) -> None:
    global _requested
    _requested = code


def _end_after(seconds: float) -> None:
    time.sleep(seconds)
    if _requested is not None:
        _end_now()


def _end_now() -> None:
    """End without cleaning up, which could wait for a step that takes minutes."""
    os._exit(1 if _requested is None else _requested)


def end_without_parent(wait: Callable[[], object] | None = None) -> None:
    """Ask this process to stop as soon as the one that started it is gone.

    Args:
        wait: returns when it is; None looks four times a second who the parent is.
    """
    parent = os.getppid()

    def wait_for_orphan() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)

    def watch() -> None:
        (wait or wait_for_orphan)()
        _request_stop(1)
        _end_after(WORKER_SECONDS)

    threading.Thread(target=watch, daemon=True).start()
