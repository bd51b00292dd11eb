"""Figures of the Ising model: fields of spins, entropies along a descent, and histograms of what was not matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.plotting.style import COLOURS, band, legend_below, styled, subplots

__all__ = ["ising_entropy", "ising_fields", "ising_spins"]

_LINES: dict[str, Any] = {"wavelet": "-", "scattering": "--"}
_SPINS = {"−1": "#26323a", "1": "#f2efe6"}
_ENERGIES = {"wavelet": "wavelet L1", "scattering": "scattering mean"}


@checked
@styled
def ising_fields(fields: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """Fields of spins, a row for each law, or a column where there is one of each.

    Args:
        fields: some (H, W) of ±1 by the name of their law, as many for each.
    """
    laws, each = len(fields), len(next(iter(fields.values())))
    if each == 1:
        figure, axes = subplots(1, laws, height=2.6, narrow_height=3.3 * laws)
    else:
        figure, axes = subplots(laws, each, height=2.2 * laws, stack=False, narrow_height=1.25 * laws)
    for row, (name, shown) in zip(axes.reshape(laws, each), fields.items(), strict=True):
        for axis, field in zip(row, shown, strict=True):
            axis.imshow(field, cmap=ListedColormap([*_SPINS.values()]), vmin=-1, vmax=1, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(True)
        row[0].set_ylabel(name, color=COLOURS.get(name, COLOURS["true"]))
    figure.supxlabel("sites of a lattice")
    # Patches, for a dark page shows negatives of figures: no word for a colour would be right on both.
    legend_below(figure, [Patch(facecolor=colour, edgecolor="0.5", label=name) for name, colour in _SPINS.items()])
    return figure


@checked
@styled
def ising_entropy(curves: Mapping[tuple[str, str], tuple[pd.Series, pd.Series]]) -> Figure:
    """The entropy of the fields' law along the gradient steps, a panel for each energy.

    Args:
        curves: the entropy by the step, nats per point, and its standard error, by the energy and the model.
    """
    energies = list(dict.fromkeys(energy for energy, _ in curves))
    figure, axes = subplots(1, len(energies), height=3.0, sharey=True)
    for axis, energy in zip(axes, energies, strict=True):
        for (of, model), (entropy, error) in curves.items():
            if of == energy:
                axis.plot(entropy.index, entropy, color=COLOURS[model])
                band(axis, entropy.index, entropy, 2.0 * error, COLOURS[model])
        axis.set(xscale="symlog", xlabel="step t", title=_ENERGIES[energy])
        axis.set_xticks([0, 1, 10, 100], ["0", "1", "10", "100"])
        axis.minorticks_off()
    axes[0].set_ylabel("entropy, nats per point")
    models = list(dict.fromkeys(model for _, model in curves))
    legend_below(figure, [Line2D([], [], color=COLOURS[model], label=model) for model in models])
    return figure


@checked
@styled
def ising_spins(spins: Mapping[str, Mapping[str, pd.Series]]) -> Figure:
    """Histograms of U per spin and of the magnetisation, and the two-point function.

    Args:
        spins: what `describe_spins` says of each law, by its name: "true", or an energy and a model with a comma
            between.
    """
    figure, axes = subplots(1, 3, height=2.8)
    for axis, name, label in ((axes[0], "energy", "U per spin"), (axes[1], "magnetisation", "magnetisation")):
        values = pd.concat([described[name] for described in spins.values()])
        edges = np.linspace(values.min(), values.max(), 17)
        for law, described in spins.items():
            counts = np.histogram(described[name], edges)[0] / len(described[name])
            axis.stairs(counts, edges, **_style(law), fill=law == "true", alpha=0.25 if law == "true" else 1.0)
        axis.set(xlabel=label)
    axes[0].set_ylabel("share of fields")
    for law, described in spins.items():
        curve, error = described["two-point"], described["two-point error"]
        axes[2].plot(curve.index, curve, **_style(law))
        band(axes[2], curve.index, curve, 2.0 * error, _style(law)["color"])
    axes[2].axhline(0.0, color="0.7", lw=0.8, zorder=0)
    axes[2].set(xlabel="distance, sites", ylabel="two-point function")
    legend_below(figure, [Line2D([], [], **_style(law), label=_label(law)) for law in spins])
    return figure


def _style(law: str) -> dict[str, Any]:
    energy, _, model = law.rpartition(", ")
    return {"color": COLOURS.get(model, COLOURS["true"]), "ls": _LINES.get(energy, "-")}


def _label(law: str) -> str:
    energy, _, model = law.rpartition(", ")
    return f"{model}, {_ENERGIES[energy]}" if energy else law
