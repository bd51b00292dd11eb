"""Output of long runs, which neither a closed pipe nor a signal leaves without a word or a checkpoint."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

__all__ = ["say", "stopped_by_signals"]


def say(text: str, *, err: bool = False) -> None:
    """Print a line; where nobody reads any more, as after `| head`, print nothing from there on."""
    try:
        click.echo(text, err=err)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if err else sys.stdout).fileno())


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP stop a run between two steps; exit with 128 and the number of the signal."""
    from mfmgdm_lib.runs.interruption import StoppedError, stop_signals

    try:
        with stop_signals():
            yield
    except StoppedError as error:
        say(str(error), err=True)
        raise SystemExit(error.exit_code) from None
