"""The bell: the command `mfmgdm`, which asks the library and says what it answers."""

from __future__ import annotations

import click

from mfmgdm_lib.cli.descending import descend
from mfmgdm_lib.cli.fetching import data_group
from mfmgdm_lib.cli.generating import generate
from mfmgdm_lib.cli.reproducing import reproduce, verify
from mfmgdm_lib.cli.sampling import sample

__all__ = ["main"]


@click.group()
@click.version_option(package_name="mfmgdm-lib")
def main() -> None:
    """Make time series like yours, or reproduce the numbers of "Mean-Field Microcanonical Gradient Descent"."""


for command in (generate, data_group, descend, sample, reproduce, verify):
    main.add_command(command)
