"""The part of `mfmgdm generate` that reads a picture and writes a file of fields like it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mfmgdm_lib.cli.options import (
    CHANNELS,
    FIELD_SUFFIXES,
    FIGURE_SUFFIXES,
    IMAGE_SUFFIXES,
    Outputs,
    check_memory,
    check_outputs,
    option_group,
)
from mfmgdm_lib.cli.output import say
from mfmgdm_lib.cli.reading import stop_if_strict

__all__ = ["generate_like_image", "image_options", "is_image", "refuse_image_options"]

Command = Callable[..., Any]

_FOR_IMAGES = ("grey", "channel", "shape", "hold_out", "tiles")
_FOR_BOTH = ("source", "n_paths", "seed", "out", "force", "plot", "strict")


def _shape(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    if not re.fullmatch(r"\d+(x\d+)?", value):
        raise click.BadParameter(f"{value!r} is no shape; expected height and width, as 128x128.")
    sides = [int(side) for side in value.split("x")]
    return sides[0], sides[-1]


def image_options(command: Command) -> Command:
    """Add the options for a picture in place of a series."""
    return option_group(
        click.option("--grey", is_flag=True, help="Of a picture with colours take the luminance."),
        click.option("--channel", type=click.Choice(CHANNELS[1:]), help="Of a picture with colours take this one."),
        click.option(
            "--shape",
            default="128x128",
            show_default=True,
            metavar="HxW",
            callback=_shape,
            help="Height and width of a field, and of the patches that the picture is cut into.",
        ),
        click.option(
            "--hold-out", is_flag=True, help="Keep every second patch of a picture for the tests of the fields."
        ),
        click.option(
            "--tiles",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="File for the fields side by side, as a grey picture: .png.",
        ),
    )(command)


def is_image(source: Path | str) -> bool:
    """Whether a source is the file of a picture, by its suffix."""
    return isinstance(source, Path) and source.suffix.lower() in IMAGE_SUFFIXES


def refuse_image_options(source: Path | str) -> None:
    """Refuse options for pictures where a series is read."""
    for name, option in _given():
        if name in _FOR_IMAGES:
            kinds = ", ".join(IMAGE_SUFFIXES)
            raise ValueError(f"{option} is given for {source}; expected it for a picture ({kinds}). Leave it out.")


def _given() -> list[tuple[str, str]]:
    """Names and options that were given on the command line."""
    context = click.get_current_context()
    params = [(option.name or "", option.opts[0]) for option in context.command.params]
    return [one for one in params if context.get_parameter_source(one[0]) is not ParameterSource.DEFAULT]


def generate_like_image(
    source: Path,
    *,
    n_paths: int,
    seed: int,
    out: Path,
    force: bool,
    plot: Path | None,
    strict: bool,
    grey: bool,
    channel: str | None,
    shape: tuple[int, int],
    hold_out: bool,
    tiles: Path | None,
) -> None:
    """Read a picture, generate fields like it, write them, and say how they compare."""
    from mfmgdm_lib.data import read_image
    from mfmgdm_lib.field_generation import generate_fields
    from mfmgdm_lib.io.fields import field_files, field_provenance, field_report_text, save_fields, save_tiles

    outputs: Outputs = [
        ("--out", out, FIELD_SUFFIXES),
        ("--plot", plot, FIGURE_SUFFIXES),
        ("--tiles", tiles, (".png",)),
    ]
    for name, option in _given():
        if name not in (*_FOR_IMAGES, *_FOR_BOTH):
            raise ValueError(f"{option} is given for {source}; expected it for a series. Leave it out.")
    check_memory(paths=n_paths, shape=shape[0] * shape[1])
    check_outputs(outputs, force, source, what="picture")
    field_files(out, force=force)
    if grey and channel is not None:
        raise ValueError(f"--grey is given with --channel {channel}; expected one of the two. Leave one out.")
    image = read_image(source, "grey" if grey else channel)
    height, width = image.values.shape
    say(f"{image.source}: {height} × {width} pixels, {image.channel}")
    made = generate_fields(image, n_paths, shape, seed, hold_out=hold_out)
    if strict and made.notes:
        say(*field_report_text(made).split("\n"))
    stop_if_strict(strict, made.notes)
    say(f"Wrote {save_fields(made, out, force=force)}")
    if tiles is not None:
        say(f"Wrote {save_tiles(made, tiles, force=force)}")
    if plot is not None:
        from mfmgdm_lib.io.files import save_figure
        from mfmgdm_lib.plotting import field_report

        about = field_provenance(made) | {"kind": "report"}
        say(f"Wrote {save_figure(field_report(made), plot, about=about, force=force)}")
    say("", *field_report_text(made).split("\n"))
