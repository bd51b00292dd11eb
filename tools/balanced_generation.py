"""Count the rows of `generate`'s report that are off for six series where its flow stops by the balanced rule."""

from __future__ import annotations

from itertools import islice

import pandas as pd
from report_rows import all_series, row

import mfmgdm_lib as mm

RUNS = {"argjr-skewt, leverage and sums, the default": (0, 1, 2), "noise": (0,)}
"""Designs of `report_rows` and their seeds: the default's start and energy, and the paper's."""

INDEX = ["series", "design", "seed"]


def main() -> None:
    """Run each design on the series of `arch.data`, and store the rows beside those of the whole duration."""
    found = {}
    for name, series in islice(all_series(), 6):
        for design, seeds in RUNS.items():
            for seed in seeds:
                found[name, design, seed] = row(series, design, seed, stop="balanced")
                print(name, design, seed, found[name, design, seed], flush=True)
    balanced = pd.DataFrame.from_dict(found, orient="index").rename_axis(INDEX)
    whole = mm.companion.stored("report_rows").set_index(INDEX).loc[balanced.index]
    table = pd.concat({"duration": whole, "balanced": balanced}, names=["stop"])
    print(table.groupby(["design", "stop"])[["off", "below 5 %", "steps"]].sum())
    origin = [
        "Rows of the report that are off, by where the flow of `mm.generate` stops, 128 paths; columns as in"
        " report_rows.csv.",
        "stop: duration for the whole of it, the rows of report_rows.csv; balanced for the part of it up to the last"
        " step that gains more than its price.",
        "Made by: python tools/balanced_generation.py",
    ]
    mm.companion.store("balanced_generation", table.to_csv(), origin)


if __name__ == "__main__":
    main()
