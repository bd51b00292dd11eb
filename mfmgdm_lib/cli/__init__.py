"""The command `mfmgdm` and its subcommands."""

from __future__ import annotations

import click

from mfmgdm_lib.cli import data, descend, forecast, generate, reproduce, sample, verify
from mfmgdm_lib.cli.output import Commands

__all__ = ["main"]


@click.group(cls=Commands)
@click.version_option(package_name="mfmgdm-lib")
def main() -> None:
    """Make time series like yours, or reproduce the numbers of "Mean-Field Microcanonical Gradient Descent"."""


for command in (
    generate.generate,
    forecast.forecast,
    data.data_group,
    descend.descend,
    sample.sample,
    reproduce.reproduce,
    verify.verify,
):
    main.add_command(command)
