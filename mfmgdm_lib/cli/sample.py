"""The command `mfmgdm sample`, which draws paths from a saved flow into a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mfmgdm_lib.cli.errors import reported_errors
from mfmgdm_lib.cli.options import DTYPES, STREAM_SUFFIXES

if TYPE_CHECKING:
    from mfmgdm_lib.energies import Energy

__all__ = ["sample"]


def _scattering(kind: str, length: str, octaves: str, first: str, second: str) -> Energy:
    from mfmgdm_lib.energies import ScatteringCovariance, ScatteringMean

    energy = ScatteringMean if kind == "Mean" else ScatteringCovariance
    return energy(int(length), J=int(octaves), wavelets=(int(first), int(second)))


def _spectra(length: str, scale: str | None, octaves: str, wavelet: str) -> Energy:
    from mfmgdm_lib.energies import ScatteringSpectra

    numbers = None if scale is None else [float(number) for number in scale.split(", ")]
    return ScatteringSpectra(int(length), scale=numbers, J=int(octaves), wavelet=wavelet)


def _by_lags(lags: str | None = None) -> Energy:
    from mfmgdm_lib.energies import Autocovariance, StylizedFacts

    return Autocovariance() if lags is None else StylizedFacts(int(lags))


_SPELLINGS: dict[str, Callable[..., Energy]] = {
    r"Autocovariance\(\)": _by_lags,
    r"StylizedFacts\(lags=(\d{1,4})\)": _by_lags,
    r"Scattering(Mean|Covariance)\((\d{1,7}), J=(\d{1,2}), wavelets=\((\d{1,2}), (\d{1,2})\)\)": _scattering,
    r"ScatteringSpectra\((\d{1,7})(?:, scale=\((.{1,999})\))?, J=(\d{1,2}), wavelet='(.{1,99})'\)": _spectra,
}
"""How the energies that a command can make again call themselves: nothing that a file holds is executed."""

_KNOWN = (
    "Autocovariance(), StylizedFacts(lags=20), ScatteringMean(1024, J=8, wavelets=(4, 6)), the same of"
    " ScatteringCovariance, or ScatteringSpectra(1024, J=7, wavelet='battle-lemarie')"
)


@click.command("sample")
@click.argument("file", metavar="FLOW.npz", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--paths", "n_paths", type=click.IntRange(min=1), default=1000, show_default=True, help="How many paths.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The same seed, the same paths.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help=f"File for the paths: {', '.join(STREAM_SUFFIXES)}.",
)
@click.option("--dtype", type=click.Choice(DTYPES), default=DTYPES[0], show_default=True, help="Format of numbers.")
@click.option("--energy", "name", metavar="NAME", help="Energy of the flow.  [default: the one that the file names]")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def sample(file: Path, n_paths: int, seed: int, out: Path, dtype: str, name: str | None, force: bool) -> None:
    """Draw independent paths from a frozen flow, in memory that does not grow with their number.

    FLOW.npz is what the `save` of a FrozenFlow left. It does not hold the energy itself: those of the library are made
    again from their names, others need Python.
    """
    from mfmgdm_lib.flows import FrozenFlow
    from mfmgdm_lib.io.files import check_output
    from mfmgdm_lib.io.streaming import stream_paths

    with reported_errors():
        check_output(out, STREAM_SUFFIXES, force)
        if out.exists() and out.samefile(file):
            raise ValueError(f"--out is {out}, the flow itself; expected another file. Name another one.")
        flow = FrozenFlow.load(file, _energy(file, name))
        written = stream_paths(flow, n_paths, out, seed, force=force, dtype=dtype)
        click.echo(f"Wrote {written}: {n_paths} paths of {flow}")


def _energy(file: Path, name: str | None) -> Energy:
    """The energy of this name, or of the one in the file."""
    from mfmgdm_lib._arrays import load_arrays
    from mfmgdm_lib.flows.files import KIND, NAMES

    source, spelled = "--energy", name
    if spelled is None:
        source, spelled = str(file), str(load_arrays(file, KIND, NAMES)["energy"])
        if "scale=" in spelled:
            raise ValueError(
                f"{file} has the energy {spelled}, whose scale is rounded there; expected all digits. Spell it out with"
                " --energy, or use FrozenFlow.load and stream_paths in Python."
            )
    for spelling, build in _SPELLINGS.items():
        if match := re.fullmatch(spelling, spelled, re.ASCII):
            return build(*match.groups())
    raise ValueError(
        f"{source} has the energy {spelled}; expected one that its name is enough to make again: {_KNOWN}, or with"
        " other numbers. Use FrozenFlow.load and stream_paths in Python."
    )
