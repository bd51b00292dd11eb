"""Make, test and store fields like the photograph of gravel, by both models.

`python tools/textures.py [FOLDER]` computes mgdm-128, mf-128, mgdm-256, mf-256, mgdm-entropy and mf-entropy, each into
a file of FOLDER (_build/textures), leaving out those that are there: begin again where it was stopped. Then it writes

- results/texture_fields.npz, some of the fields as 8 bits of grey;
- results/texture_statistics.csv, means of statistics over patches and over fields;
- results/texture_spreads.csv, how much single patches and fields differ in the moments of their values;
- results/texture_tests.csv, two-sample tests of patches that were kept out against fields, and against the patches that
  the target is from;
- results/texture_entropy.csv, the change of entropy along descents of fields of 32².

Of a field of 256² a piece of 128² stands in the tables, of one size with the patches.

Some minutes on one core. With --assemble the tables are written of what is there.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mfmgdm_lib._arrays import save_arrays
from mfmgdm_lib.companion import results_folder, store
from mfmgdm_lib.companion.texture_study import (
    KIND,
    TEXTURE_MODELS,
    entropy_curve,
    gravel_patches,
    gravel_units,
    texture_fields,
)
from mfmgdm_lib.field_generation import group_tests
from mfmgdm_lib.field_statistics import describe_fields
from mfmgdm_lib.io.fields import grey_levels

KEPT = {128: 3, 256: 1}
"""Fields that are stored as pictures, by side."""


def compute(part: str, folder: Path) -> None:
    """Compute one part, unless it is there."""
    file = folder / f"{part}.npz"
    if file.exists():
        return
    began = time.perf_counter()
    model, what = part.split("-")
    if what == "entropy":
        curve = entropy_curve(model)
        arrays = {str(name): curve[name].to_numpy() for name in curve} | {"step": curve.index.to_numpy()}
    else:
        fields, steps = texture_fields(model, int(what))
        arrays = {"fields": fields.numpy(), "loss": steps["loss"].to_numpy(), "time": steps["time"].to_numpy()}
    save_arrays(file, part, arrays)
    print(f"{part}: {time.perf_counter() - began:.0f} s", flush=True)


def assemble(folder: Path) -> None:
    """Write the tables and the pictures of all parts."""
    mean, stddev = gravel_units()
    training, held_out = gravel_patches()
    pictures, tests, statistics = {}, {}, {"training": training, "held out": held_out}
    tests["training, 128"] = group_tests(held_out, training)
    for side in KEPT:
        for model in TEXTURE_MODELS:
            if not (folder / f"{model}-{side}.npz").exists():
                continue  # while the others are computed
            with np.load(folder / f"{model}-{side}.npz") as arrays:
                fields, losses = torch.from_numpy(arrays["fields"]).double(), arrays["loss"]
            print(f"{model}-{side}: {len(losses) - 1} steps, relative loss {losses[-1]:.1e}")
            pictures[f"{model}-{side}"] = grey_levels(mean + stddev * fields[: KEPT[side]], 255.0)
            part = fields[:, :128, :128]  # of one size with the patches, and no more periodic than these if cut out
            tests[f"{model}, {side}"] = group_tests(held_out, part)
            statistics[f"{model} {side}"] = part
    save_arrays(results_folder() / "texture_fields.npz", KIND, pictures)
    origin = "python tools/textures.py, of the photograph of gravel (scikit-image, CC0)"
    table = pd.concat(tests, names=["fields", "group"])
    store("texture_tests", table.to_csv(float_format="%.5g"), ["two-sample tests against patches kept out", origin])
    table = pd.DataFrame({name: means(x) for name, x in statistics.items()})
    table.index.name = "statistic"
    store("texture_statistics", table.to_csv(float_format="%.5g"), ["means over patches and fields", origin])
    table = pd.DataFrame({name: spreads(statistics[name]) for name in statistics if name != "training"})
    table.index.name = "statistic"
    store("texture_spreads", table.to_csv(float_format="%.5g"), ["standard deviations between fields", origin])
    if not all((folder / f"{model}-entropy.npz").exists() for model in TEXTURE_MODELS):
        return
    curves = {model: curve(folder / f"{model}-entropy.npz") for model in TEXTURE_MODELS}
    table = pd.concat(curves, names=["model", "step"])
    store("texture_entropy", table.to_csv(float_format="%.6g"), ["change of entropy, nats per point", origin])


def means(fields: torch.Tensor) -> dict[str, float]:
    """Mean of each statistic."""
    return {name: float(values.mean()) for name, values in describe_fields(fields).items()}


def spreads(fields: torch.Tensor) -> dict[str, float]:
    """Standard deviation of each moment between fields."""
    names = ("mean", "standard deviation", "skewness", "kurtosis")
    found = describe_fields(fields, ("values",))
    return {name: float(found[name].std()) for name in names}


def curve(file: Path) -> pd.DataFrame:
    """The table of a part about entropy."""
    with np.load(file) as arrays:
        names = ("loss", "blocks", "capacitance", "change", "error", "folded")
        return pd.DataFrame({name: arrays[name] for name in names}, index=pd.Index(arrays["step"], name="step"))


def main() -> None:
    """Compute what is missing, and write all tables."""
    folder = Path(next((word for word in sys.argv[1:] if word != "--assemble"), "_build/textures"))
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for what in () if "--assemble" in sys.argv else ("128", "entropy", "256"):
        for model in TEXTURE_MODELS:
            compute(f"{model}-{what}", folder)
    assemble(folder)


if __name__ == "__main__":
    main()
