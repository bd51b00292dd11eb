"""Errors of descents that stop before their last step, and of files of a later version."""

from __future__ import annotations

import os

__all__ = ["DescentError", "DivergedError", "NewerFormatError", "NotInvertibleError", "StuckError"]


class DescentError(ValueError):
    """A descent that had to stop before its last step.

    Attributes:
        step: index t of the step at which it stopped; the paths x_0 … x_{t} were still computed.
        particle: index of the first path concerned, or None where the whole ensemble is.
    """

    def __init__(self, message: str, *, step: int, particle: int | None = None) -> None:
        super().__init__(message)
        self.step = step
        self.particle = particle


class DivergedError(DescentError):
    """An energy stopped being finite: the step size is too large for these paths."""


class NotInvertibleError(DescentError):
    """The Jacobian of a step has an eigenvalue that is not positive: the change of variables breaks down there."""


class StuckError(DescentError):
    """A step would take every entry of an ensemble out of the support, so that none of them can ever move again."""


class NewerFormatError(ValueError):
    """A file that a newer version of the library wrote; it is left as it is."""

    def __init__(self, path: str | os.PathLike[str], found: int, known: int) -> None:
        super().__init__(
            f"{os.fspath(path)} has format {found}; expected at most {known}, the one of this version."
            " Use a newer mfmgdm_lib, or another file or folder."
        )
