"""Output of commands: what it may hold, and runs that go on where it cannot be written, up to a signal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from mfmgdm_lib._provenance import made_by

__all__ = ["Commands", "one_line", "say", "shown", "stopped_by_signals"]


_UNSEEN = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)
"""What a terminal obeys and does not show: control characters but for ends of lines and tabs, marks of the direction of
writing; and bytes of names that are no text, which it cannot be given."""


def shown(text: str) -> str:
    r"""Return text in which characters that a terminal obeys are spelled out: names of files and columns may have any.

    Example:
        >>> print(shown("\x1b[31mred\u202e.csv"))
        \x1b[31mred\u202e.csv
    """
    return _UNSEEN.sub(lambda found: repr(found[0])[1:-1], text)


_TYPED = f"{__name__}.typed"
"""What click's context keeps the arguments by."""


def one_line(text: str) -> str:
    r"""Return text as `shown`, with ends of lines spelled out too: where a name is, a line is not to end.

    Example:
        >>> print(one_line("two\nlines.csv"))
        two\nlines.csv
    """
    return shown(text).replace("\n", "\\n")


class Commands(click.Group):
    """A group of commands whose errors, click's own among them, show what they are about; 1 where a line was lost.

    What they write says that they have made it.
    """

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> click.Context:
        """Read the options of the group."""
        typed = [*args]  # which parsing takes apart
        with _shown_errors():
            context = super().make_context(info_name, args, *more, **extra)
        context.meta[_TYPED] = typed
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        global _lost
        _lost = False
        with _shown_errors(), made_by(ctx.meta[_TYPED]):
            result = super().invoke(ctx)
        if _lost:
            ctx.exit(1)
        return result


@contextmanager
def _shown_errors() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        vars(error)["message"] = one_line(error.message)  # in place, which keeps the kind of the error and its usage
        raise


_lost = False
"""Whether a line could not be written though somebody reads."""


def say(*lines: str, err: bool = False) -> None:
    """Print lines, none of which ends where a name in it has a line's end.

    Where nobody reads any more, as after `| head`, or there is no room, nothing is printed from there on. A run goes
    on: what it writes are files.
    """
    global _lost
    try:
        click.echo("\n".join(map(one_line, lines)), err=err)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if err else sys.stdout).fileno())
        if not isinstance(error, BrokenPipeError) and not err:
            _lost = True
            said = f"Output cannot be written ({error.strerror}); expected room for it. The run goes on without."
            say(f"{said} Free some space, or write it elsewhere.", err=True)


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
