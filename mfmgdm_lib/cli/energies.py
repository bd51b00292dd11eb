"""Energies by their names on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from mfmgdm_lib.energies import Energy

__all__ = ["ENERGY_NAMES", "energy_of"]

ENERGY_NAMES = ("StylizedFacts", "Autocovariance", "ScatteringMean", "ScatteringCovariance", "ScatteringSpectra")
"""Energies whose name is enough: of scattering those for paths of the length that is wanted."""


def energy_of(name: str, length: int, *series: pd.Series) -> Energy:
    """Return an energy by its name or by the call that builds it, for paths of some length like one series.

    `ScatteringSpectra` has the scale of the standardised series (Section 5.1).

    Raises:
        ValueError: another name, several series, or an energy that paths of this length do not fit.
    """
    from mfmgdm_lib import energies
    from mfmgdm_lib.data import standardize
    from mfmgdm_lib.specification import from_spec, parse

    if len(series) > 1:
        raise ValueError(
            f"--energy is {name!r} with {len(series)} columns; expected one column, for several have an energy of their"
            " own. Leave --energy out, or use mm.generate(table, energy=...) in Python."
        )
    if name not in ENERGY_NAMES:
        if "(" not in name:
            raise ValueError(
                f"--energy is {name!r}; expected one of {', '.join(ENERGY_NAMES)}, or a call of one, as"
                " 'StylizedFacts(lags=5)'. Choose one of them."
            )
        return from_spec(parse(name), kind=energies.Energy)
    if not name.startswith("Scattering"):
        return getattr(energies, name)()
    try:
        energy = getattr(energies, name)(length)
    except ValueError as error:
        raise ValueError(
            f"--length is {length} with --energy {name}; expected a power of two of at least 256. Use --length 1024."
        ) from error
    return energy.fit_scale_to_data(standardize(series[0])) if name == "ScatteringSpectra" else energy
