"""The change from standard deviations to the units of a series, after the last step of a flow."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

from mfmgdm_lib._checks import check_number, check_positive
from mfmgdm_lib.support import Support

__all__ = ["Units"]


class Units(NamedTuple):
    """What the entries of a path are multiplied by, and what is added then."""

    loc: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, loc: float | None, scale: float | None, support: Support) -> Units:
        """Return the units with 0 and 1 for None.

        Raises:
            TypeError, ValueError: a loc that is no finite number, a scale that is not above 0, or either on a support
                with ends, which they would move.
        """
        found = cls(
            0.0 if loc is None else check_number("loc", loc), 1.0 if scale is None else check_positive("scale", scale)
        )
        if found != cls() and not support.whole_line:
            raise ValueError(
                f"loc is {loc} and scale {scale} for paths on {support}; expected neither but on the real line. Leave"
                " them out, and change the units of the paths."
            )
        return found

    @property
    def log_scale(self) -> float:
        """Log-determinant of the change, for each entry of a path."""
        return math.log(self.scale)

    def into(self, paths: Tensor) -> Tensor:
        """Return paths in these units."""
        return paths if self == Units() else self.loc + self.scale * paths

    def out_of(self, paths: Tensor) -> Tensor:
        """Return paths of these units in standard deviations."""
        return paths if self == Units() else (paths - self.loc) / self.scale
