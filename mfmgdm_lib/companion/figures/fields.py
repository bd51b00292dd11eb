"""Figures of two-dimensional fields: pictures, divergences along a descent, and spectral densities."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.plotting.style import COLOURS, band, legend_below, styled, subplots

__all__ = ["field_divergences", "field_pictures", "field_spectra"]

_NAMES = {"mgdm": "MGDM", "mf": "MF–MGDM"}

_SHADES = ("#b3cde0", "#6497b1", "#03396c", "#000000")
"""Of curves of fields of more and more points."""


@checked
@styled
def field_pictures(rows: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Fields as pictures in shades of blue and red, on one scale.

    Args:
        rows: for each row, by its name, fields (H, W) by what is said above them.
    """
    columns = max(len(fields) for fields in rows.values())
    figure, axes = subplots(
        len(rows), columns, height=1.75 * len(rows) + 0.5, stack=False, narrow_height=1.15 * len(rows) + 0.7
    )
    largest = max(float(field.abs().max()) for fields in rows.values() for field in fields.values())
    grid = axes.reshape(len(rows), columns)
    for row, (name, fields) in zip(grid, rows.items(), strict=True):
        for axis, (title, field) in zip(row, fields.items(), strict=True):
            image = axis.imshow(field.numpy(), cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.set_title(title, fontsize=8)
        row[0].set_ylabel(name)
    for axis in grid[-1]:
        axis.set_xlabel(f"{field.shape[-1]} columns", fontsize=8)
    figure.colorbar(image, ax=list(axes), location="bottom", shrink=0.6, aspect=40, label="value of a point")
    return figure


@styled
def field_divergences(tables: Mapping[tuple[int, str], pd.DataFrame], least: float) -> Figure:
    """Divergence for each point along the descents of both models, for fields of several sizes.

    Args:
        tables: with the columns of `mfmgdm_lib.companion.summarize`, by the side of the field and the model.
        least: the smallest value that the transport reaches with infinitely many fields, nats for each point.
    """
    figure, axes = subplots(1, 2, height=3.2, sharey=True)
    sides = sorted({side for side, _ in tables})
    for axis, model in zip(axes, _NAMES, strict=True):
        for side, shade in zip(sides, _SHADES, strict=False):
            table = tables[side, model]
            value, error = (table[name] / side**2 for name in ("reverse_kl", "standard_error"))
            axis.plot(table.index, value, color=shade, lw=1.2, label=f"{side} × {side} points")
            band(axis, table.index, value, error, shade)
        line = axis.axhline(least, color=COLOURS["MGDM"], ls="--", lw=1.0, label=f"the filters' own: {least:.4f}")
        axis.set(title=_NAMES[model], xlabel="step", yscale="log", ylabel="nats per point")
    handles = [*axes[0].get_lines()[: len(sides)], line]
    legend_below(figure, handles)
    return figure


@checked
@styled
def field_spectra(spectra: Mapping[str, Tensor], remainders: pd.DataFrame) -> Figure:
    """Spectral densities along the diagonal, and what noise on the way leaves of the divergence.

    Args:
        spectra: densities (H, W) at the frequencies of `torch.fft.fft2`, by name: the true one first.
        remainders: with the columns `volatility` and `divergence`, nats for each point.
    """
    figure, (left, right) = subplots(1, 2, height=3.2)
    styles = zip(
        (COLOURS["true"], COLOURS["start"], COLOURS["MF–MGDM"], "#009e73"), ("-", ":", "--", "-."), strict=True
    )
    for (name, spectrum), (colour, line) in zip(spectra.items(), styles, strict=False):
        diagonal = spectrum.diagonal()[: len(spectrum) // 2 + 1].numpy()
        left.plot(np.linspace(0.0, math.pi, len(diagonal)), diagonal, color=colour, ls=line, label=name)
    left.set(
        yscale="log",
        xlabel="frequency along the diagonal, rad per point",
        ylabel="spectral density",
        title="Spectra",
    )
    right.plot(remainders["volatility"], remainders["divergence"], color=COLOURS["MF–MGDM"], marker="o", ms=4)
    right.set(yscale="log", xlabel="noise on the way, σ", ylabel="nats per point", title="What removes it")
    legend_below(figure, left.get_legend_handles_labels()[0])
    return figure
