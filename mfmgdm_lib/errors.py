"""Errors of descents that stop before their last step, of files of a later version, and what errors say."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

__all__ = [
    "DescentError",
    "DivergedError",
    "Message",
    "NewerFormatError",
    "NotInvertibleError",
    "StuckError",
    "concerned",
    "renumbered",
]


class Message(str):
    """What an error says, with a mend that is spelled differently in Python and on the command line.

    Args:
        said: the value and what was expected.
        mend: the mend in Python; it ends the message.
        option: the mend on the command line.

    Attributes:
        in_shell: the message with that mend.

    Example:
        >>> error = ValueError(Message("x is there already.", "Pass force=True.", option="Use --force."))
        >>> str(error), error.args[0].in_shell
        ('x is there already. Pass force=True.', 'x is there already. Use --force.')
    """

    in_shell: str

    def __new__(cls, said: str, mend: str = "", *, option: str = "") -> Message:
        """Join the parts."""
        message = super().__new__(cls, f"{said} {mend}".rstrip())
        message.in_shell = f"{said} {option}".rstrip()
        return message


class DescentError(ValueError):
    """A descent that had to stop before its last step.

    Args:
        message: what happened; "{path}" in it is the path concerned.

    Attributes:
        step: index t of the step at which it stopped; the paths x_0 … x_{t} were still computed.
        particle: index of the first path concerned, or None where the whole ensemble is.
        outcome: the same in a word or two, as a trace says it.
    """

    outcome = "stopped"

    def __init__(self, message: str, *, step: int, particle: int | None = None) -> None:
        super().__init__(message)
        self.step = step
        self.particle = particle

    def __str__(self) -> str:
        """The message, with the path by its present number."""
        message: str = self.args[0]
        return message if self.particle is None else message.format(path=f"path {self.particle}")


def concerned(first: int, members: int) -> tuple[str, int | None]:
    """How the message of a `DescentError` names an ensemble of paths from `first` on, and the `particle` of it."""
    if not (isinstance(first, int) and isinstance(members, int)):
        raise TypeError(f"first is {first!r} and members {members!r}; expected whole numbers. Use ints.")
    if members == 1:
        return "{path}", first
    return f"the ensemble of paths {first} to {first + members - 1}", None


@contextmanager
def renumbered(places: Sequence[int]) -> Iterator[None]:
    """Let an error about one of some paths give its place among all of them: their numbers are `places`.

    Example:
        >>> with renumbered(range(10, 20)):
        ...     raise DivergedError("{path} is not finite.", step=3, particle=2)
        Traceback (most recent call last):
        mfmgdm_lib.errors.DivergedError: path 12 is not finite.
    """
    try:
        yield
    except DescentError as error:
        if error.particle is not None:
            error.particle = int(places[error.particle])
        raise


class DivergedError(DescentError):
    """An energy stopped being finite: the step size is too large for these paths."""

    outcome = "diverged"


class NotInvertibleError(DescentError):
    """The Jacobian of a step has an eigenvalue that is not positive: the change of variables breaks down there."""

    outcome = "not invertible"


class StuckError(DescentError):
    """A step would take every entry of an ensemble out of the support, so that none of them can ever move again."""

    outcome = "stuck"


class NewerFormatError(ValueError):
    """A file that a newer version of the library wrote; it is left as it is."""

    def __init__(self, path: str | os.PathLike[str], found: int, known: int) -> None:
        super().__init__(
            f"{os.fspath(path)} has format {found}; expected at most {known}, the one of this version."
            " Use a newer mfmgdm_lib, or another file or folder."
        )
