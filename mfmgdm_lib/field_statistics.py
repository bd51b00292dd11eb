"""Statistics of fields that do not wrap around: values, correlations, differences at a distance, local patterns."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mfmgdm_lib._checks import check_finite

__all__ = [
    "DISTANCES",
    "FEATURE_GROUPS",
    "describe_fields",
    "difference_statistics",
    "local_patterns",
    "pair_patterns",
    "value_statistics",
]

DISTANCES = (1, 2, 4, 8, 16)
"""Distances in pixels at which fields are compared, across and down."""

_SHARES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)

_RING = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
"""The neighbours of a pixel, one after the other around it."""


def value_statistics(fields: Tensor) -> dict[str, Tensor]:
    """Mean, standard deviation, skewness, kurtosis and quantiles of the values of each field.

    Args:
        fields: (N, H, W), float64.

    Returns:
        (N,) each, by name.

    Example:
        >>> found = value_statistics(torch.tensor([[[0.0, 0.0], [2.0, 2.0]]], dtype=torch.float64))
        >>> [float(found[name][0]) for name in ("mean", "standard deviation", "skewness", "kurtosis")]
        [1.0, 1.0, 0.0, 1.0]
    """
    flat = _check_fields(fields).flatten(1)
    mean = flat.mean(1)
    centred = flat - mean[:, None]
    stddev = centred.square().mean(1).sqrt()
    scaled = centred / stddev[:, None].clamp(min=torch.finfo(flat.dtype).tiny)
    found = {
        "mean": mean,
        "standard deviation": stddev,
        "skewness": scaled.pow(3).mean(1),
        "kurtosis": scaled.pow(4).mean(1),
    }
    quantiles = flat.quantile(torch.tensor(_SHARES, dtype=flat.dtype), dim=1)
    return found | {f"{100 * share:g} % quantile": row for share, row in zip(_SHARES, quantiles, strict=True)}


def difference_statistics(fields: Tensor) -> dict[str, Tensor]:
    """Differences of values at some distances, of each field standardised by itself: size, kurtosis and skewness.

    For each of `DISTANCES` that fits twice, across and down: the correlation of the two values; the mean size of the
    difference Δ, a structure function of order 1 (Kolmogorov 1941 has order 2); its kurtosis, 3 of Gaussian fields; and
    its skewness, which is 0 of every field that looks the same when turned by 180°.

    Args:
        fields: (N, H, W), float64, that are not constant.

    Returns:
        (N,) each, by name, in the order of distances.

    Example:
        >>> stripes = torch.tensor([1.0, 1.0, -1.0, -1.0] * 4, dtype=torch.float64).expand(1, 16, 16)
        >>> found = difference_statistics(stripes)
        >>> [round(float(found[f"{d} across: correlation"][0]), 3) for d in (1, 2, 4)]
        [0.067, -1.0, 1.0]
    """
    x = _check_fields(fields)
    x = x - x.mean((-2, -1), keepdim=True)
    x = x / x.square().mean((-2, -1), keepdim=True).sqrt()
    found = {}
    for distance in DISTANCES:
        for way, axis in (("across", -1), ("down", -2)):
            if 2 * distance > x.shape[axis]:
                continue
            count = x.shape[axis] - distance
            first, second = x.narrow(axis, 0, count), x.narrow(axis, distance, count)
            steps = second - first
            square = steps.square().mean((-2, -1)).clamp(min=torch.finfo(x.dtype).tiny)
            name = f"{distance} {way}"
            found[f"{name}: correlation"] = (first * second).mean((-2, -1))
            found[f"{name}: size"] = steps.abs().mean((-2, -1))
            found[f"{name}: kurtosis"] = steps.pow(4).mean((-2, -1)) / square.square()
            found[f"{name}: skewness"] = steps.pow(3).mean((-2, -1)) / square.pow(1.5)
    return found


def local_patterns(fields: Tensor) -> dict[str, Tensor]:
    """Shares of the local binary patterns of each field (Ojala, Pietikäinen and Mäenpää 2002), at radius 1.

    A pixel's pattern says which of its eight neighbours are at least as large as it. Those that change at most twice
    around the pixel are counted by the number of such neighbours, 0 to 8, all others together: an edge has 3 to 5, a
    spot 0 or 8, noise mostly others. Shares do not change with the brightness or the contrast of a field.

    Args:
        fields: (N, H, W) with at least 3 pixels either way.

    Returns:
        (N,) each, by name; they add up to 1.

    Example:
        >>> ramp = torch.arange(5.0, dtype=torch.float64).expand(1, 5, 5)
        >>> {name: float(share[0]) for name, share in local_patterns(ramp).items() if share > 0}
        {'pattern 5': 1.0}
    """
    x = _check_fields(fields)
    height, width = x.shape[-2:]
    if min(height, width) < 3:
        raise ValueError(f"fields have {height} × {width} pixels; expected at least 3 × 3. Use larger ones.")
    centre = x[:, 1:-1, 1:-1]
    ring = torch.stack([x[:, 1 + i : height - 1 + i, 1 + j : width - 1 + j] >= centre for i, j in _RING])
    changes = (ring != ring.roll(1, 0)).sum(0)
    kinds = ring.sum(0).where(changes <= 2, len(_RING) + 1)
    shares = [(kinds == kind).double().mean((-2, -1)) for kind in range(len(_RING) + 2)]
    names = [f"pattern {kind}" for kind in range(len(_RING) + 1)] + ["other patterns"]
    return dict(zip(names, shares, strict=True))


def pair_patterns(fields: Tensor) -> dict[str, Tensor]:
    """How quarters of the values of each field meet at some distances: a grey-level co-occurrence (Haralick 1973).

    A field's values are replaced by the quarter that they are in, by size, so that no change of grey levels matters.
    For each of `DISTANCES` that fits twice, across and down: the share of pairs of which both are in the darkest
    quarter, both in the brightest, and one in each.

    Args:
        fields: (N, H, W).

    Returns:
        (N,) each, by name; 1/16, 1/16 and 1/8 where values are independent.

    Example:
        >>> columns = torch.tensor([0.0, 1.0, 3.0, 2.0], dtype=torch.float64).repeat_interleave(4)
        >>> float(pair_patterns(columns.expand(1, 16, 16))["8 across: opposite"][0])
        0.5
    """
    x = _check_fields(fields)
    low, high = x.flatten(1).quantile(torch.tensor([0.25, 0.75], dtype=x.dtype), dim=1)
    dark, bright = (x <= low[:, None, None]).double(), (x >= high[:, None, None]).double()
    found = {}
    for distance in DISTANCES:
        for way, axis in (("across", -1), ("down", -2)):
            if 2 * distance > x.shape[axis]:
                continue
            count = x.shape[axis] - distance
            darks, brights = ((y.narrow(axis, 0, count), y.narrow(axis, distance, count)) for y in (dark, bright))
            name = f"{distance} {way}"
            found[f"{name}: both dark"] = (darks[0] * darks[1]).mean((-2, -1))
            found[f"{name}: both bright"] = (brights[0] * brights[1]).mean((-2, -1))
            found[f"{name}: opposite"] = (darks[0] * brights[1] + brights[0] * darks[1]).mean((-2, -1))
    return found


FEATURE_GROUPS = {
    "values": value_statistics,
    "differences": difference_statistics,
    "local patterns": local_patterns,
    "pairs of quarters": pair_patterns,
}
"""Functions that return groups of statistics of fields, by the name of the group."""


def describe_fields(fields: Tensor, groups: tuple[str, ...] = tuple(FEATURE_GROUPS)) -> dict[str, Tensor]:
    """Return the statistics of some groups of each field, by name.

    Args:
        fields: (N, H, W), float64. Nothing wraps around, so that patches of a picture and periodic fields can be
            compared.
        groups: names of `FEATURE_GROUPS`.

    Raises:
        ValueError: fields of another shape, that are not finite, or another group.

    Example:
        >>> noise = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> len(describe_fields(noise)), len(describe_fields(noise, ("local patterns",)))
        (77, 10)
    """
    if unknown := [group for group in groups if group not in FEATURE_GROUPS]:
        raise ValueError(f"groups has {unknown[0]!r}; expected some of {', '.join(FEATURE_GROUPS)}. Choose among them.")
    return {name: values for group in groups for name, values in FEATURE_GROUPS[group](fields).items()}


def _check_fields(fields: Tensor) -> Tensor:
    """Return fields as float64 if they are (N, H, W), finite, and not empty."""
    if not isinstance(fields, Tensor) or fields.ndim != 3 or math.prod(fields.shape) == 0:
        shape = tuple(getattr(fields, "shape", ()))
        raise ValueError(f"fields have shape {shape}; expected a tensor (N, height, width). Use fields[None] for one.")
    return check_finite("fields", fields.double())
