"""Descriptions of the single values of a scattering energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Coefficient"]


@dataclass(frozen=True)
class Coefficient:
    """One value of a scattering energy: an average of one signal, or of the product of two.

    A signal is a path after one wavelet, or after two with a nonlinearity between them.

    Attributes:
        label: a name that is unique within the energy.
        scales: for each signal, the indices of the wavelets it went through; the highest frequency has index 0.
        phases: for each signal, the phase of its first wavelet, where that is chosen; else empty.
        part: "modulus" where the average is complex and its modulus is the value, "real" elsewhere.
    """

    label: str
    scales: tuple[tuple[int, ...], ...]
    phases: tuple[str, ...] = ()
    part: Literal["real", "modulus"] = "real"

    @property
    def order(self) -> int:
        """The most wavelets that a signal went through: 1 or 2."""
        return max(len(through) for through in self.scales)
