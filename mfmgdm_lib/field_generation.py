"""Fields like one picture of a texture, in one call, with a report that compares them with patches of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import as_shape, check_positive_int
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib._threads import one_thread
from mfmgdm_lib.data import GreyImage, cut_patches
from mfmgdm_lib.descents.gradient_flow import FlowState, GradientFlow
from mfmgdm_lib.energies import Concatenate, Energy, FieldAutocovariance, FieldMoments, WaveletL1
from mfmgdm_lib.errors import DivergedError, Message
from mfmgdm_lib.field_statistics import FEATURE_GROUPS, describe_fields
from mfmgdm_lib.processes import Independent, WhiteNoise
from mfmgdm_lib.processes.base import Seed
from mfmgdm_lib.target import Target
from mfmgdm_lib.two_sample import TwoSampleTest, two_sample_test

__all__ = ["FieldGeneration", "checkerboard", "field_target", "generate_fields", "group_tests", "texture_energy"]

_ENSEMBLE = 32
"""Fields that move together at least. What a coupling costs is shared by all points of all fields, of which one alone
has more than an ensemble of series."""

_GRAM_FIELDS = 8
"""Fields for the Gram matrix, for which all would take most of the time."""

_FEWEST_PATCHES = 4
"""Patches without which the target has no standard error that could be trusted."""

_FAR = 0.2
"""Error of a step relative to the way that is left to the target, as in `generate`."""

_MOST_STEPS = 500

_DURATION = 1e4
"""Step size times number of steps that the flow stands for, for each point of a field: forces are 1 / (H W)."""

_LAGS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (0, 4), (4, 0))

_IN_ENERGY = {
    *("mean", "standard deviation", "skewness", "kurtosis"),
    *(f"{distance} {way}: correlation" for distance in (1, 2, 4) for way in ("across", "down")),
}
"""Statistics of the report that the energy of `texture_energy` has, as far as edges do not matter."""


@dataclass(frozen=True)
class FieldGeneration:
    """Fields like a picture, and how they compare with it.

    Attributes:
        fields: (n_fields, H, W), float64, in the units of the picture; on a torus, so that they can be laid side by
            side.
        patches: those of the picture that the target is the mean energy of, (n, H, W).
        held_out: those that were kept out of the target, (m, H, W); m is 0 where none were.
        report: a row for each statistic of `describe_fields`: `patches`, the mean over all patches; `fields`, the mean
            over the fields; `low` and `high`, between which nine in ten of the fields that moved together are;
            `in energy`, whether the energy has it.
        tests: a row for each group of statistics, and one for all but those `in energy`: `distance`, `p_value`,
            `chance` and `limit` of `two_sample_test`, of patches, those held out if there are any, against fields.
        notes: reasons to doubt the result, in sentences; empty where none was found.
        loss: L of the mean energy at the end, relative to the target.
        steps: steps that the flow took.
        energy: Φ, of fields standardised by `mean` and `stddev`.
        target: α.
        mean: of the picture's values.
        stddev: the same.
        seed: what the fields were drawn with.
        image: what the picture was read from, where it was; else None.
    """

    fields: Tensor
    patches: Tensor
    held_out: Tensor
    report: pd.DataFrame
    tests: pd.DataFrame
    notes: tuple[str, ...]
    loss: float
    steps: int
    energy: Energy
    target: Target
    mean: float
    stddev: float
    seed: Seed = None
    image: GreyImage | None = None


@checked
def generate_fields(
    image: Any,
    n_fields: int = 16,
    shape: int | tuple[int, int] = (128, 128),
    seed: Seed = 0,
    *,
    energy: Energy | None = None,
    hold_out: bool = False,
) -> FieldGeneration:
    """Generate fields like one picture of a texture: MF–MGDM in one call, as `generate` does for a series.

    The picture is standardised and cut into patches as large as the fields. Their mean energy is the target, and an
    ensemble of at least 32 fields of white noise moves to where its mean energy is the target, along the flow that the
    paper's descent approximates. The textures of the paper's later versions have another energy and pictures of their
    own, which cannot come with a library.

    Energies take fields as periodic, and patches are not: a jump from one edge to the opposite one counts as texture.
    Patches are used as they are all the same, for that is the smallest of the errors: against the wavelet moduli of the
    photograph of gravel as a whole, those of patches of 128² are off by 1.5 % at the finest octave and 3.4 % at the
    coarsest; of the patches' periodic parts (Moisan 2011) by 1.3 and 3.1 %, but by more in between, 1.8 % against
    0.5 %; and under a Hann window by up to 20 %.

    Args:
        image: a picture that looks the same everywhere: a `GreyImage`, as `mm.data.read_image` returns it, an array or
            a tensor (height, width).
        n_fields: fields wanted.
        shape: of a field, (H, W), with sides that are powers of 2 for speed; a number for a square.
        seed: whatever `numpy.random.default_rng` takes.
        energy: Φ, of standardised fields; None for `texture_energy(shape)`.
        hold_out: whether to keep every second patch, in the pattern of a checkerboard, out of the target: then the
            tests compare the fields with patches that they were not made from.

    Returns:
        Fields in the units of the picture, a report, tests and notes; see `FieldGeneration`.

    Raises:
        ValueError: a picture that is constant, not finite, or too small for 4 patches, or 8 with `hold_out`; fields of
            fewer than 32 points either way without an energy; settings out of range.
        DivergedError: an energy whose flow cannot be followed.

    Example:
        >>> import mfmgdm_lib as mm
        >>> gravel, energy = mm.companion.texture("gravel"), mm.energies.FieldMoments()
        >>> made = generate_fields(gravel, n_fields=2, shape=32, energy=energy, hold_out=True)
        >>> made.fields.shape, len(made.patches), bool(made.loss < 1e-3)
        (torch.Size([2, 32, 32]), 128, True)
    """
    n_fields = check_positive_int("n_fields", n_fields)
    height, width = as_shape("shape", (shape, shape) if isinstance(shape, int) else shape)
    all_patches = cut_patches(image, (height, width))
    values = image.values if isinstance(image, GreyImage) else torch.as_tensor(image, dtype=torch.float64)
    mean, stddev = float(values.mean()), float(values.std(correction=0))
    _check_patches(all_patches, values.shape, hold_out)
    energy = texture_energy((height, width)) if energy is None else energy
    kept, held_out = checkerboard(all_patches, values.shape[1] // width) if hold_out else (all_patches, all_patches[:0])
    with one_thread():
        target = field_target(energy, (kept - mean) / stddev)
    law = Independent(WhiteNoise(), (height, width))
    x0 = law.sample(max(n_fields, _ENSEMBLE), (height, width), seed)
    flow = GradientFlow(energy, target, relative_tolerance=_FAR, gram_paths=_GRAM_FIELDS)
    last = _flown(flow, x0, _DURATION * height * width)
    ensemble = mean + stddev * last.paths
    known = _IN_ENERGY if isinstance(energy, Concatenate) else set()
    report = _field_report(all_patches, ensemble, n_fields, known)
    return FieldGeneration(
        fields=ensemble[:n_fields],
        patches=kept,
        held_out=held_out,
        report=report,
        tests=group_tests(held_out if hold_out else kept, ensemble, known),
        notes=(
            *_target_warning(last.mismatch[0], target),
            *_report_warnings(report),
            *_range_warning(ensemble[:n_fields], image),
        ),
        loss=float(last.loss.mean()),
        steps=last.step,
        energy=energy,
        target=target,
        mean=mean,
        stddev=stddev,
        seed=seed,
        image=image if isinstance(image, GreyImage) else None,
    )


def texture_energy(shape: tuple[int, int], *, octaves: int | None = None, angles: int = 8) -> Energy:
    """Return the energy of `generate_fields`: sizes of wavelet coefficients, correlations of neighbours, four moments.

    That is `WaveletL1`, `FieldAutocovariance` at 8 lags of up to 4 pixels, and `FieldMoments` of the powers 1 to 4.

    Args:
        shape: of a field, (H, W), at least 32 points either way.
        octaves: J of the wavelets; None for 5, or as many as leave the slowest wavelet twice in a field.
        angles: L of the wavelets.

    Example:
        >>> texture_energy((64, 64)).dim
        52
    """
    if min(shape) < 32:
        said = f"shape is {shape}; expected at least 32 points either way, so that the wavelets fit."
        raise ValueError(Message(said, "Use (32, 32), or an energy.", option="Use such as --shape 32x32."))
    octaves = min(5, int(math.log2(min(shape))) - 1) if octaves is None else octaves
    return Concatenate(WaveletL1(shape, J=octaves, angles=angles), FieldAutocovariance(_LAGS), FieldMoments())


def field_target(energy: Energy, patches: Tensor) -> Target:
    """Return the mean energy of patches (n, H, W), with the standard error of a mean of independent ones.

    Example:
        >>> patches = torch.arange(8.0, dtype=torch.float64).reshape(2, 2, 2)
        >>> field_target(FieldMoments((1,)), patches)
        Target(1 energies from 2 patches of 2 × 2)
    """
    energies = energy(patches)
    return Target(
        mean=energies.mean(0),
        standard_error=energies.std(0) / math.sqrt(len(patches)),
        labels=energy.labels,
        source=f"{len(patches)} patches of {patches.shape[-2]} × {patches.shape[-1]}",
    )


def checkerboard(patches: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    """Divide the patches of a grid, row by row in so many columns, into those on white and those on black squares.

    Example:
        >>> white, black = checkerboard(torch.arange(6).reshape(6, 1, 1), columns=3)
        >>> white.flatten().tolist(), black.flatten().tolist()
        ([0, 2, 4], [1, 3, 5])
    """
    at = torch.arange(len(patches))
    black = (at // columns + at % columns) % 2 == 1
    return patches[~black], patches[black]


def _check_patches(patches: Tensor, size: tuple[int, ...], hold_out: bool) -> None:
    """Refuse a picture that has too few patches."""
    needed = 2 * _FEWEST_PATCHES if hold_out else _FEWEST_PATCHES
    if len(patches) >= needed:
        return
    (rows, columns), (height, width) = size, patches.shape[-2:]
    said = (
        f"image has {rows} × {columns} pixels, which are {len(patches)} patches of {height} × {width}; expected at"
        f" least {needed}, for the spread of their energies is the error of the target."
    )
    mend = " or no hold_out." if hold_out else " or a larger picture."
    option = " or leave --hold-out out." if hold_out else " or a larger picture."
    raise ValueError(Message(said, f"Use a smaller shape,{mend}", option=f"Use a smaller --shape,{option}"))


def _flown(flow: GradientFlow, x0: Tensor, duration: float) -> FlowState:
    """The state at the end, or an error with what can be changed here."""
    step = 0
    try:
        for state in flow.steps(x0, duration, max_steps=_MOST_STEPS):
            step = state.step
    except DivergedError as error:
        raise DivergedError(
            f"the flow from white noise came no further after step {step}; expected to get to the patches' energy."
            " Use a picture that looks the same everywhere, other sizes, or an energy without high powers.",
            step=step,
        ) from error
    return state


def _field_report(patches: Tensor, ensemble: Tensor, n_fields: int, known: set[str]) -> pd.DataFrame:
    of_patches, of_fields = describe_fields(patches), describe_fields(ensemble)
    rows = {}
    for name, values in of_fields.items():
        low, high = np.quantile(values.numpy(), [0.05, 0.95])
        rows[name] = [float(of_patches[name].mean()), float(values[:n_fields].mean()), low, high, name in known]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["patches", "fields", "low", "high", "in energy"])


def group_tests(
    patches: Tensor, fields: Tensor, known: set[str] | frozenset[str] = frozenset(_IN_ENERGY), seed: Seed = 0
) -> pd.DataFrame:
    """Test whether patches and fields are from one law, on each group of statistics and on all not `known`.

    Args:
        patches: of a picture, (n, H, W), at least 3.
        fields: of the same shape, (m, H, W).
        known: names of statistics that are left out, since an energy has them; those of `texture_energy`.
        seed: of the divisions at random of `two_sample_test`.

    Returns:
        A row for each of `FEATURE_GROUPS`, and "all", with the columns `distance`, `p_value`, `chance`, `limit`.

    Example:
        >>> noise = torch.randn(8, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> list(group_tests(noise[:4], noise[4:]).index)
        ['values', 'differences', 'local patterns', 'pairs of quarters', 'all']
    """
    samples = [
        {group: _without(describe_fields(x, (group,)), known) for group in FEATURE_GROUPS} for x in (patches, fields)
    ]
    first, second = ({**groups, "all": _merged(groups)} for groups in samples)
    rows = {group: two_sample_test(first[group], second[group], seed=seed) for group in first}
    return pd.DataFrame({group: _numbers(test) for group, test in rows.items()}).T


def _without(found: dict[str, Tensor], known: set[str] | frozenset[str]) -> dict[str, Tensor]:
    return {name: values for name, values in found.items() if name not in known}


def _merged(groups: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: values for found in groups.values() for name, values in found.items()}


def _numbers(test: TwoSampleTest) -> dict[str, float]:
    return {name: getattr(test, name) for name in ("distance", "p_value", "chance", "limit")}


def _target_warning(mismatch: Tensor, target: Target) -> list[str]:
    away = (mismatch.double().abs() / target.standard_error).nan_to_num(0.0)
    if float(away.max()) <= 1.0:
        return []
    return [
        f"The flow ended {float(away.max()):.1f} standard errors of the patches from the target, in"
        f" {target.labels[int(away.argmax())]}."
    ]


def _report_warnings(report: pd.DataFrame) -> list[str]:
    """Count the rows whose patches are outside low … high, and name the three that are furthest outside."""
    width = (report["high"] - report["low"]).clip(lower=np.finfo(float).tiny)
    below, above = report["low"] - report["patches"], report["patches"] - report["high"]
    outside = below.where(below > above, above) / width
    worst = outside[outside > 0].sort_values(ascending=False)
    if worst.empty:
        return []
    rows = [
        f"{row.Index} ({row.patches:.2g}; {row.low:.2g} to {row.high:.2g})"
        for row in report.loc[worst.index[:3]].itertuples()
    ]
    return [
        f"Patches are outside low to high of the fields in {len(worst)} of {len(report)} statistics, furthest in"
        f" {', '.join(rows)}."
    ]


def _range_warning(fields: Tensor, image: Any) -> list[str]:
    """Whether fields have values that no picture of the same kind could have."""
    white = image.white if isinstance(image, GreyImage) else None
    if white is None or (share := float(((fields < 0) | (fields > white)).double().mean())) < 1e-4:
        return []
    return [f"{100 * share:.2g} % of the values of the fields are below black or above white."]
