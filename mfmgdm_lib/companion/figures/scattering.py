"""Figures of wavelet filters, scalograms and the values of scattering energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.plotting.style import COLOURS, legend_below, styled, subplots, with_powers
from mfmgdm_lib.plotting.widths import is_narrow

__all__ = ["energy_costs", "filter_banks", "principal_components", "scalograms", "separations"]


@checked
@styled
def filter_banks(banks: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]]) -> Figure:
    """Responses of filters against frequency, on a logarithmic axis.

    Args:
        banks: by title: frequencies in cycles per sample (G,), band-pass filters (J, G), and a low-pass filter (G,) or
            None where it is not used.
    """
    figure, axes = subplots(len(banks), 1, height=2.1 * len(banks) + 0.4, sharex=True, sharey=True)
    for axis, (title, (frequencies, band_passes, low_pass)) in zip(axes, banks.items(), strict=True):
        colours = plt.colormaps["viridis"](np.linspace(0.0, 0.85, len(band_passes)))
        for j, (response, colour) in enumerate(zip(band_passes, colours, strict=True)):
            axis.plot(frequencies[1:], response[1:], color=colour)
            at = response.argmax()
            axis.annotate(f"{j}", (frequencies[at], response[at]), (0, 2), textcoords="offset points", ha="center")
        if low_pass is not None:
            low = (frequencies > 0) & (frequencies < 0.5)
            axis.plot(frequencies[low], low_pass[low], "--", color=COLOURS["start"])
            axis.annotate(
                "low-\npass", (0.01, 0.86), xycoords=("axes fraction", "data"), fontsize=8, color="0.35", va="top"
            )
        axis.axvspan(0.5, 1.0, color="0.92", lw=0)
        axis.set(title=title, ylabel="response", ylim=(-0.05, 1.18))
    axes[0].annotate("negative frequencies", (0.72, 1.1), rotation=90, ha="center", va="top", fontsize=8, color="0.35")
    axes[-1].set(xscale="log", xlim=(2e-3, 0.95), xlabel="frequency, cycles per sample")
    return figure


@checked
@styled
def scalograms(columns: Mapping[str, tuple[Tensor, Tensor]], centres: Sequence[float]) -> Figure:
    """Paths, and below each the moduli of its filtered copies relative to their means, one row for each scale.

    Args:
        columns: by title: a path (time,), and moduli (J, time), highest frequency first.
        centres: frequency of each filter, cycles per sample, (J,).
    """
    figure, axes = subplots(2, len(columns), height=3.9, sharex="col", height_ratios=[1, 1.7])
    grid = axes.reshape(2, -1)
    for k, (title, (path, moduli)) in enumerate(columns.items()):
        above, below = grid[:, k]
        above.plot(path.numpy(), color=COLOURS["true"], lw=0.5)
        above.set(title=title, ylim=(-7, 7), xlim=(0, len(path)))
        relative = (moduli / moduli.mean(-1, keepdim=True)).numpy()
        image = below.imshow(relative, aspect="auto", vmin=0, vmax=3, cmap="magma_r", interpolation="nearest")
        below.set(xlabel="time, samples", yticks=range(len(centres)))
        below.set_yticklabels([f"{j}: {1 / centre:.0f}" for j, centre in enumerate(centres)] if k == 0 else [])
    grid[0, 0].set_ylabel("standard deviations")
    grid[1, 0].set_ylabel("wavelet: its period in samples")
    figure.colorbar(image, cax=grid[1, -1].inset_axes((1.04, 0.0, 0.04, 1.0)), label="modulus / its mean")
    return figure


@checked
@styled
def separations(energies: Mapping[str, pd.DataFrame], *, noise: float = 2.0) -> Figure:
    """How far laws are from white noise in each value of some energies; white where no farther than the noise.

    Args:
        energies: by title, tables with the columns `law`, `group`, `value` (its place in the energy), `shift` and
            `standard_error`, both in standard deviations of a single path of white noise. Values are drawn group by
            group.
        noise: standard errors up to which a shift counts as none.
    """
    laws = list(dict.fromkeys(next(iter(energies.values()))["law"]))
    figure, axes = subplots(len(energies), 1, height=(0.72 + 0.21 * len(laws)) * len(energies) + 0.75)
    norm = SymLogNorm(linthresh=1.0, vmin=-100.0, vmax=100.0)
    for axis, (title, table) in zip(axes, energies.items(), strict=True):
        groups = list(dict.fromkeys(table["group"]))
        seen = table["shift"].where(table["shift"].abs() > noise * table["standard_error"])
        ranked = table.assign(shift=seen, group=table["group"].map(groups.index))
        rows = ranked.pivot(index="law", columns=["group", "value"], values="shift").sort_index(axis=1).loc[laws]
        image = axis.imshow(rows.to_numpy(), aspect="auto", norm=norm, cmap="RdBu_r", interpolation="nearest")
        axis.set(title=title, ylabel="law", yticks=range(len(laws)))
        axis.set_yticklabels([with_powers(law) for law in laws], fontsize=8)
        axis.hlines(np.arange(0.5, len(laws) - 1), -0.5, rows.shape[1] - 0.5, color="0.8", lw=0.6)
        sizes = rows.columns.get_level_values("group").value_counts().sort_index().to_numpy()
        ends = np.cumsum(sizes)
        axis.vlines(ends[:-1] - 0.5, -0.5, len(laws) - 0.5, color="black", lw=0.9)
        # On a narrow screen every other label stands below its neighbours, which would overlap.
        lowered = ["\n\n" if is_narrow() and k % 2 else "" for k in range(len(groups))]
        names = [f"{low}{name}\n({n})" for low, name, n in zip(lowered, groups, sizes, strict=True)]
        axis.set_xticks(ends - (sizes + 1) / 2, names)
        axis.tick_params(axis="x", length=0, labelsize=8)
    axes[-1].set_xlabel("layers of the signals behind a value, and how many values")
    ticks = [-100, -10, 0, 10, 100]
    bar = figure.colorbar(image, ax=list(axes), location="bottom", ticks=ticks, shrink=0.9, aspect=40, pad=0.02)
    bar.set_label("shift from white noise, in standard deviations of one path")
    bar.ax.set_xticklabels([f"{tick:+d}".replace("-", "−") if tick else "0" for tick in ticks])
    return figure


@checked
@styled
def principal_components(variances: Tensor, shares: Mapping[str, Tensor]) -> Figure:
    """Variances of principal components, largest first, and what the ones that are kept are made of.

    Args:
        variances: of all components, (K,).
        shares: by the name of a group of values, its part of each component that is kept, (m,); together 1.
    """
    figure, axes = subplots(1, 2, height=2.7, width_ratios=[1.0, 1.5])
    kept = len(next(iter(shares.values())))
    share = (variances / variances.sum()).numpy()[:200]
    place = np.arange(1, len(share) + 1)
    axes[0].loglog(place[:kept], share[:kept], ".", color=COLOURS["MF–MGDM"], label="kept")
    axes[0].loglog(place[kept:], share[kept:], ".", color=COLOURS["start"], markersize=3, label="left out")
    axes[0].set(xlabel="component", ylabel="share of the variance")
    axes[0].legend(loc="lower left", handletextpad=0.2)
    below = np.zeros(kept)
    colours = plt.colormaps["viridis"](np.linspace(0.1, 0.9, len(shares)))
    for (name, part), colour in zip(shares.items(), colours, strict=True):
        axes[1].bar(place[:kept], part.numpy(), bottom=below, width=0.9, color=colour, label=name)
        below += part.numpy()
    axes[1].set(xlabel="component", ylabel="share of its square", xticks=[1, 5, 10, 15, 20], xlim=(0.4, kept + 0.6))
    handles, _ = axes[1].get_legend_handles_labels()
    legend_below(figure, handles, "layers of the two signals")
    return figure


@checked
@styled
def energy_costs(costs: pd.DataFrame) -> Figure:
    """Time for 128 paths by energy and task, on a logarithmic axis.

    Args:
        costs: columns `energy`, `task` and `milliseconds`.
    """
    tasks, energies = list(dict.fromkeys(costs["task"])), list(dict.fromkeys(costs["energy"]))
    table = costs.pivot(index="energy", columns="task", values="milliseconds").loc[energies, tasks]
    figure, (axis,) = subplots(1, 1, height=0.6 * len(energies) + 1.1, narrow_height=0.7 * len(energies) + 1.4)
    colours = plt.colormaps["viridis"](np.linspace(0.15, 0.85, len(tasks)))
    height = 0.8 / len(tasks)
    for k, (task, colour) in enumerate(zip(tasks, colours, strict=True)):
        at = np.arange(len(energies)) + (k - (len(tasks) - 1) / 2) * height
        axis.barh(at, table[task], height=height, color=colour, label=task)
        for place, value in zip(at, table[task], strict=True):
            axis.annotate(f"{value:.3g}", (value, place), (3, 0), textcoords="offset points", va="center", fontsize=8)
    axis.set(xscale="log", xlabel="milliseconds for 128 paths", ylabel="energy, values", yticks=range(len(energies)))
    axis.set_yticklabels(energies)
    axis.invert_yaxis()
    legend_below(figure, axis.get_legend_handles_labels()[0])
    return figure
