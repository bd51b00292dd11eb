"""Groups of command-line options, and library errors turned into messages of a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

__all__ = ["Command", "errors_said", "sentence", "with_options"]

Command = Callable[..., Any]

_AS_OPTIONS = {
    'Use kind="difference"': "Use --returns difference",
    "Name it as value_column": "Name it with --column",
    "replace it with force=True": "replace it with --force",
    'fetch(..., refresh="accept")': "--refresh --accept",
}
"""How the mends that the library names in Python are spelled in a shell."""


def with_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order in which they are to be listed."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


class _BadInputError(click.ClickException):
    """Something that the caller can mend."""

    exit_code = 2


@contextmanager
def errors_said() -> Iterator[None]:
    """Say an expected error in a sentence, and exit with 2."""
    try:
        yield
    except (MemoryError, OSError, ValueError, RuntimeError) as error:
        raise _BadInputError(sentence(error)) from error


def sentence(error: Exception) -> str:
    """Say an error in the words of a shell."""
    said = str(error)
    if isinstance(error, OSError) and error.strerror:
        # The system's own words do not say which file they are about.
        said = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        said += "; expected what fits into memory. Ask for fewer or shorter paths."
    for python, shell in _AS_OPTIONS.items():
        said = said.replace(python, shell)
    return said
