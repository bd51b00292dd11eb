"""Generated fields as arrays and as a picture of tiles, and their report as text."""

from __future__ import annotations

import io
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, PngImagePlugin

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._arrays import named_errors, replace_file, save_arrays
from mfmgdm_lib._provenance import as_json, provenance
from mfmgdm_lib.field_generation import FieldGeneration
from mfmgdm_lib.io.files import check_output

__all__ = [
    "FIELD_SUFFIXES",
    "field_files",
    "field_provenance",
    "field_report_text",
    "grey_levels",
    "save_fields",
    "save_tiles",
]

KIND = "generated fields"
"""What an .npz file says that it holds."""

FIELD_SUFFIXES = (".npz", ".npy")
"""Formats of fields."""


@checked
def save_fields(generation: FieldGeneration, path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write generated fields to a file, whole or not at all.

    - `.npz`: arrays that `numpy.load` reads without pickle: `fields` (n, H, W) float64; the `report` with
      `report_rows` and `report_columns`, the `tests` with `tests_rows` and `tests_columns`; and what is known of them,
      as `field_provenance` has it.
    - `.npy`: the array of `fields` alone, for the format has room for nothing else; what is known of them is in a file
      of its own beside it, as JSON, whose name has `.json` added: `fields.npy.json`.

    Args:
        generation: what `generate_fields` returned.
        path: where to.
        force: whether to replace a file that is there.

    Raises:
        ValueError: another suffix.
        FileExistsError: a file that is there, without `force`.
        OSError: no folder to write into, or no room; a file that was there still is.

    Example:
        >>> import mfmgdm_lib as mm, pathlib, tempfile
        >>> made = mm.generate_fields(mm.companion.texture(), 2, 32, energy=mm.energies.FieldMoments())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.load(save_fields(made, pathlib.Path(folder, "fields.npy"))).shape
        (2, 32, 32)
    """
    target, *beside = field_files(path, force=force)
    fields = generation.fields.numpy()
    with named_errors(target):
        if target.suffix == ".npz":
            save_arrays(target, KIND, {"fields": fields, **_described(generation)})
            return target
        about = json.dumps(field_provenance(generation), ensure_ascii=False, indent=1) + "\n"
        whole = io.BytesIO()
        np.save(whole, fields, allow_pickle=False)
        replace_file(beside[0], about.encode("utf-8", "backslashreplace"))
        replace_file(target, whole.getbuffer())
    return target


def field_files(path: str | os.PathLike[str], *, force: bool = False) -> list[Path]:
    """Return the files that `save_fields` writes, once it is clear that they can be: one, of .npy two.

    Raises:
        ValueError, OSError: as `save_fields`.

    Example:
        >>> [file.name for file in field_files("fields.npy")]
        ['fields.npy', 'fields.npy.json']
    """
    target = check_output(path, FIELD_SUFFIXES, force)
    beside = [target.with_name(f"{target.name}.json")] if target.suffix == ".npy" else []
    return [target, *(check_output(file, (".json",), force) for file in beside)]


def _described(generation: FieldGeneration) -> dict[str, np.ndarray]:
    """The report, the tests and the provenance as arrays."""
    arrays = {}
    for name, table in (("report", generation.report), ("tests", generation.tests)):
        arrays[name] = table.to_numpy(dtype=np.float64)
        arrays[f"{name}_rows"] = np.array(table.index, dtype=str)
        arrays[f"{name}_columns"] = np.array(table.columns, dtype=str)
    about = {name: value for name, value in field_provenance(generation).items() if name != "kind"}
    return arrays | {name: np.array(value, dtype=str if name == "notes" else None) for name, value in about.items()}


def field_provenance(generation: FieldGeneration) -> dict[str, Any]:
    """Return what is known of fields, as JSON can write it: what made them, and of what."""
    image = generation.image
    return {
        "kind": KIND,
        **provenance(),
        "seed": repr(generation.seed),
        **({} if image is None else {"source": image.source, "sha256": image.sha256, "channel": image.channel}),
        "energy": repr(generation.energy),
        "target": generation.target.source,
        "held_out": len(generation.held_out),
        "mean": generation.mean,
        "stddev": generation.stddev,
        "start": "white noise",
        "steps": generation.steps,
        "loss": generation.loss,
        "notes": list(generation.notes),
    }


@checked
def field_report_text(generation: FieldGeneration) -> str:
    """Return the report and the tests as tables for a terminal, with what their columns are, and a line for each note.

    Example:
        >>> import mfmgdm_lib as mm
        >>> made = mm.generate_fields(mm.companion.texture(), 2, 32, energy=mm.energies.FieldMoments())
        >>> print(field_report_text(made).splitlines()[0].split())
        ['patches', 'fields', 'low', 'high', 'in', 'energy']
    """
    n, height, width = generation.fields.shape
    held_out = len(generation.held_out)
    against = f"{held_out} patches that were kept out" if held_out else "the patches that the fields were made from"
    report = generation.report.assign(**{"in energy": generation.report["in energy"].map({True: "yes", False: ""})})
    return "\n".join(
        [
            report.to_string(float_format="{:.3g}".format),
            "",
            "low to high: nine fields in ten; in energy: what the fields were made to have",
            "",
            f"Are the fields told from {against}, by what the energy does not have?",
            generation.tests.to_string(float_format="{:.3g}".format),
            "distance: 0 for one law to 1; limit: what chance exceeds one time in twenty",
            "",
            f"{n} fields of {height} × {width}, {generation.steps} steps from white noise to a relative loss of"
            f" {generation.loss:.1e}",
            *(f"Note: {note}" for note in generation.notes),
        ]
    )


def grey_levels(fields: torch.Tensor, white: float | None) -> np.ndarray:
    """Return fields as 8 bits of grey: 0 to `white`, cut off there; or where it is None their own range.

    Example:
        >>> grey_levels(torch.tensor([[-5.0, 0.0], [127.6, 300.0]]), white=255.0).tolist()
        [[0, 0], [128, 255]]
    """
    values = fields.double().numpy()
    low, high = (0.0, white) if white is not None else (float(values.min()), float(values.max()))
    scaled = (values - low) / max(high - low, np.finfo(float).tiny)
    return np.asarray((255.0 * scaled.clip(0.0, 1.0)).round().astype(np.uint8))


@checked
def save_tiles(generation: FieldGeneration, path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write generated fields side by side into a grey .png picture, pixel by pixel.

    Grey levels are those of the picture that the fields are like, cut off at black and white. Its "Description" has
    what `field_provenance` knows, as JSON. Other arguments, result and errors are those of `save_fields`.
    """
    target = check_output(path, (".png",), force)
    levels = grey_levels(generation.fields, None if generation.image is None else generation.image.white)
    n, height, width = levels.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    gap = 4
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), 255, dtype=np.uint8)
    for at, tile in enumerate(levels):
        top, left = (at // columns) * (height + gap), (at % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    drawn = io.BytesIO()
    told = PngImagePlugin.PngInfo()
    told.add_text("Description", as_json(field_provenance(generation)))
    Image.fromarray(sheet).save(drawn, format="PNG", optimize=True, pnginfo=told)
    with named_errors(target):
        replace_file(target, drawn.getbuffer())
    return target
