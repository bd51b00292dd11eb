"""The command `mfmgdm sample`, which draws paths from a saved flow into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mfmgdm_lib.cli.errors import reported_errors
from mfmgdm_lib.cli.options import DTYPES, STREAM_SUFFIXES, check_outputs, paths_options
from mfmgdm_lib.cli.output import say

if TYPE_CHECKING:
    from mfmgdm_lib.energies import Energy

__all__ = ["sample"]


@click.command("sample")
@click.argument("file", metavar="FLOW.npz", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@paths_options(1000, STREAM_SUFFIXES)
@click.option("--dtype", type=click.Choice(DTYPES), default=DTYPES[0], show_default=True, help="Format of numbers.")
@click.option(
    "--energy",
    "name",
    metavar="NAME",
    help="Energy, such as 'StylizedFacts(lags=20)'.  [default: that in the file]",
)
def sample(file: Path, n_paths: int, seed: int, out: Path, dtype: str, name: str | None, force: bool) -> None:
    """Draw independent paths from a frozen flow, in memory that does not grow with their number.

    FLOW.npz is what the `save` of a FrozenFlow left. It describes energies of the library; a class of your own needs
    Python. The file of paths says what made it, with the sha256 of FLOW.npz and the source of the series of the flow.
    """
    from mfmgdm_lib.flows import FrozenFlow
    from mfmgdm_lib.io.streaming import stream_paths

    with reported_errors():
        check_outputs([("--out", out, STREAM_SUFFIXES)], force, file, "flow")
        flow = FrozenFlow.load(file, _energy(file, name))
        written = stream_paths(flow, n_paths, out, seed, force=force, dtype=dtype, about=_about(file))
        say(f"Wrote {written}: {n_paths} paths of {flow}")


def _about(file: Path) -> dict[str, str]:
    """The checksum of the file of a flow, and what it says of the series that the flow is like."""
    from mfmgdm_lib._provenance import file_sha256
    from mfmgdm_lib.flows.files import flow_parts, stored_about

    told = stored_about(flow_parts(file)[1])
    names = [name for name in ("source", "url", "retrieved", "sha256") if name in told]
    return {"flow_sha256": file_sha256(file)} | {name: str(told[name]) for name in names}


def _energy(file: Path, name: str | None) -> Energy | None:
    """The energy of this name, or None for the one that the file describes; one of 2026 has its name alone."""
    from mfmgdm_lib.flows.files import flow_parts, stored_energy
    from mfmgdm_lib.specification import from_spec, parse

    source, spelled = "--energy", name
    if spelled is None:
        parts, arrays = flow_parts(file)
        if "energy" in parts:
            return None
        source, spelled = str(file), stored_energy(arrays)
    try:
        return from_spec(parse(spelled))
    except ValueError as error:
        raise ValueError(
            f"{source} has the energy {spelled}; expected one that its name is enough to make again ({error})."
            " Spell it out with --energy, or use FrozenFlow.load and stream_paths in Python."
        ) from error
