"""A figure and a table of how time and memory of energies grow with the length and the number of paths."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.plotting.style import legend_below, styled, subplots
from mfmgdm_lib.statistics import fitted_exponent

__all__ = ["energy_growth", "energy_growth_exponents"]

_COLOURS = ("#0072b2", "#d55e00", "#228833", "#aa3377", "#ccbb44")


def energy_growth_exponents(costs: pd.DataFrame, *, largest: int = 4) -> pd.DataFrame:
    """Fit powers of d and of N to times and memory, by least squares on logarithmic axes.

    Args:
        costs: of `results/energy_growth.csv`: columns `energy`, `d`, `N`, `seconds`, `fft_seconds`, `peak_bytes` and
            `bytes_before`; rows without a time are left out.
        largest: sizes, the largest of each energy, that are fitted, with the other size the smallest there is.

    Returns:
        A row for each energy: the exponents of `seconds`, of `memory` beyond what was there before and of the real FFT,
        in d and in N; and how many times as long as the FFT the largest array took. NaN where there are fewer than two
        sizes.

    Example:
        >>> rows = [(d, n, 1e-6 * d * n, 1e-8 * d * n, 1e6 + 16 * d * n, 1e6) for d in (256, 512) for n in (128, 256)]
        >>> names = ["d", "N", "seconds", "fft_seconds", "peak_bytes", "bytes_before"]
        >>> found = energy_growth_exponents(pd.DataFrame(rows, columns=names).assign(energy="i"))
        >>> round(float(found.loc["i", "seconds, d"]), 2)
        1.0
    """
    measured, rows = costs.dropna(subset=["seconds"]), {}
    measured = measured.assign(memory=(measured["peak_bytes"] - measured["bytes_before"]).clip(lower=1.0))
    for energy, own in measured.groupby("energy", sort=False):
        found = {}
        for axis, other in (("d", "N"), ("N", "d")):
            line = own[own[other] == own[other].min()].sort_values(axis).tail(largest)
            for column, name in (("seconds", "seconds"), ("memory", "memory"), ("fft_seconds", "FFT")):
                enough = len(line) > 1
                exponent = fitted_exponent(list(line[axis]), list(line[column])) if enough else float("nan")
                found[f"{name}, {axis}"] = exponent
        last = own.loc[(own["d"] * own["N"]).idxmax()]
        rows[energy] = {**found, "times the FFT": float(last["seconds"] / last["fft_seconds"])}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("energy")


@checked
@styled
def energy_growth(costs: pd.DataFrame) -> Figure:
    """Time and memory of values and gradient by d and by N, the other size the smallest, beside a real FFT.

    Args:
        costs: as for `energy_growth_exponents`, with `array_bytes`.
    """
    measured = costs.dropna(subset=["seconds"])
    figure, axes = subplots(2, 2, height=5.0)
    for place, (axis, other) in enumerate((("d", "N"), ("N", "d"))):
        line = measured[measured[other] == measured[other].min()].sort_values(axis)
        time, memory = axes[place], axes[2 + place]
        for colour, (energy, own) in zip(_COLOURS, line.groupby("energy", sort=False), strict=False):
            time.plot(own[axis], own["seconds"], "o-", ms=3, color=colour, label=energy)
            memory.plot(own[axis], own["peak_bytes"] / 2**20, "o-", ms=3, color=colour)
        least = line.groupby(axis)[["fft_seconds", "array_bytes"]].min()
        time.plot(least.index, least["fft_seconds"], "--", color="0.4", label="real FFT, and the paths themselves")
        memory.plot(least.index, least["array_bytes"] / 2**20, "--", color="0.4")
        what = {"d": "points d", "N": "paths N"}[axis]
        fixed = f"{other} = {line[other].min()}"
        time.set(title=f"time, {fixed}", xlabel=what, ylabel="seconds")
        memory.set(title=f"memory, {fixed}", xlabel=what, ylabel="MiB")
    for panel in axes:
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
    legend_below(figure, axes[0].get_legend_handles_labels()[0])
    return figure
