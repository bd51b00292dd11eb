"""Errors of the library reported in the terms of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from mfmgdm_lib.cli.output import say
from mfmgdm_lib.errors import Message

__all__ = ["reported_errors", "shell_message"]


_INTERRUPTED = 130
"""What a shell expects of a command that SIGINT has ended: 128 and its number."""


class _BadInputError(click.ClickException):
    """An error that the caller can correct."""

    exit_code = 2


@contextmanager
def reported_errors() -> Iterator[None]:
    """Report an expected error without a traceback, and exit with 2, or with 130 at Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        say("Aborted!", err=True)
        raise SystemExit(_INTERRUPTED) from None
    except (ImportError, MemoryError, OSError, ValueError, RuntimeError) as error:
        raise _BadInputError(shell_message(error)) from error


def shell_message(error: Exception) -> str:
    """Return the text of an error with command-line options in place of Python arguments, where it has both."""
    message = error.args[0].in_shell if error.args and isinstance(error.args[0], Message) else str(error)
    if isinstance(error, OSError) and error.strerror:
        # The system's message does not name the file.
        said = error.strerror.in_shell if isinstance(error.strerror, Message) else error.strerror
        message = said if error.filename is None else f"{error.filename}: {said}"
    if isinstance(error, MemoryError):
        message += "; expected what fits into memory. Ask for fewer or shorter paths."
    return message
