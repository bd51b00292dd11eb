"""Conditional flows fitted to a series, with the energy and the time chosen by cross-validation on the fitted days."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations_with_replacement, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._checks import as_series
from mfmgdm_lib._lazy import pandas as pd
from mfmgdm_lib._progress import progress
from mfmgdm_lib._threads import one_thread
from mfmgdm_lib.energies import ConditionalEnergy, GivenPast
from mfmgdm_lib.energies.given_past import FUNCTIONS, size
from mfmgdm_lib.flows.conditional import MOST_BEND, ConditionalFlow, bends
from mfmgdm_lib.processes import VolatilityModel, fit_volatility

__all__ = ["CANDIDATES", "fit_conditional_flow"]

CANDIDATES = (GivenPast(), GivenPast(shape=True))
"""The energies that are chosen from, unless one is given."""

_TIMES = (0.0, 0.25, 0.5, 1.0, 2.0)
"""The times that are chosen from: at t a mean mismatch is e^{−t} of what it was. At 0 there is no flow."""

_STEP = 0.1
"""The longest step."""

_FOLDS = 10
"""Stretches of the fitted days, each of which is left out once."""

_SHORTEST = 500
"""Points below which a tenth of a series cannot judge a flow."""

_NODES = 64
"""Draws of the base's law: Gauss–Hermite nodes in units of normal scores, in place of random ones."""

_FARTHEST_NODE = 8.0
"""Normal score beyond which nodes, which have no weight in float64, are left out."""


def fit_conditional_flow(
    series: Any, base: str | VolatilityModel = "argarch-t", energy: ConditionalEnergy | None = None
) -> ConditionalFlow:
    r"""Fit a base model, and the conditional mean-field flow of its innovations.

    The ensemble are all fitted days, each with the past that it had and with `_NODES` draws of the base model's law,
    so that means over the law are exact and nothing is random. It moves, with the pasts held fixed, until its mean
    energies are those of the innovations that were seen:

    .. math:: \dot w = -G^{-1} (\bar\Phi - \alpha), \qquad G = \overline{J J^\top},

    where G makes all mismatches decay alike, like :math:`e^{-t}`. The way to the end fits the noise of α, too. So each
    of ten stretches of the days is left out in turn, and the energy and the time are taken that raise the mean
    log-density of days left out most; of the times of that energy the earliest within one standard error of the best
    (Breiman et al., 1984), which is 0, the base model itself, where there is nothing to be gained.

    Args:
        series: one series (T,) of at least 500 returns, oldest first.
        base: one of `processes.volatility_fit.MODELS`, which is fitted to the series, or a model that has been.
        energy: what the flow is to see; None for one of `CANDIDATES`, chosen as the time is.

    Returns:
        The flow, whose `choice` has a row for each energy and time: `gain`, the mean log-density of days left out above
        that of the base model, nats a day, its `standard_error` over the stretches, and `chosen`.

    Raises:
        TypeError, ValueError: a series that is too short, or constant, or a base or an energy that is none.

    Example:
        >>> import mfmgdm_lib as mm
        >>> law = mm.processes.ARGARCH(0.0, 0.05, 0.02, 0.85, asymmetry=0.2)
        >>> series = law.sample(1, 8000, seed=0)[0]
        >>> flow = mm.fit_conditional_flow(series[:2000], "garch-n", mm.energies.GivenPast((1, 5)))
        >>> gain = (flow.log_densities(series) - flow.base.log_densities(series))[2000:].mean()
        >>> bool(gain > 0.001)  # nats a day: the flow has seen that falls make wild days
        True
    """
    values = as_series("series", series, minimum_length=_SHORTEST).double().cpu()
    if isinstance(base, str):
        base = fit_volatility(values, base)
    elif not isinstance(base, VolatilityModel):
        raise TypeError(f"base is {base!r}; expected the name of a model, or a VolatilityModel. Use 'argarch-t'.")
    if not (energy is None or isinstance(energy, ConditionalEnergy)):
        raise TypeError(
            f"energy is {energy!r}; expected a ConditionalEnergy, of an innovation given its past. Use"
            " mm.energies.GivenPast()."
        )
    innovations, _ = base.innovations(values)
    candidates = CANDIDATES if energy is None else (energy,)
    with one_thread():
        gains = [_held_out_gains(base, candidate, innovations) for candidate in candidates]
        best, time = _chosen(gains)
        energy = candidates[best]
        days = slice(energy.memory, None)  # those whose past is whole
        weights = _weights(base, energy, energy.along(innovations)[days], innovations[days])
        flow = ConditionalFlow(base, energy, weights[_TIMES.index(time)])
    flow.choice = _table(candidates, gains, best, time)
    return flow


def _chosen(gains: Sequence[np.ndarray]) -> tuple[int, float]:
    """The energy and the time, from the gains (times, folds) of each energy."""
    means = np.stack([gain.mean(-1) for gain in gains])
    best, latest = divmod(int(means.argmax()), means.shape[1])
    error = gains[best][latest].std(ddof=1) / math.sqrt(_FOLDS)
    return best, _TIMES[int((means[best] >= means[best, latest] - error).argmax())]


def _table(
    candidates: Sequence[ConditionalEnergy], gains: Sequence[np.ndarray], best: int, time: float
) -> pd.DataFrame:
    rows = {
        (repr(energy), at): {
            "gain": gain[row].mean(),
            "standard_error": gain[row].std(ddof=1) / math.sqrt(_FOLDS),
            "chosen": energy is candidates[best] and at == time,
        }
        for energy, gain in zip(candidates, gains, strict=True)
        for row, at in enumerate(_TIMES)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["energy", "time"])


def _held_out_gains(base: VolatilityModel, energy: ConditionalEnergy, innovations: Tensor) -> np.ndarray:
    """Mean log-density, above the base's, of each stretch left out, at each time: (times, folds), nats a day."""
    features, log_base = energy.along(innovations), base.law.log_density(innovations)
    days = torch.arange(energy.memory, len(innovations))
    gains = np.empty((len(_TIMES), _FOLDS))
    parts = progress(days.tensor_split(_FOLDS), total=_FOLDS, description="stretches left out")
    for fold, left_out in enumerate(parts):
        fitted = days[(days < left_out[0]) | (days > left_out[-1])]
        for row, weights in enumerate(_weights(base, energy, features[fitted], innovations[fitted])):
            flow = ConditionalFlow(base, energy, weights)
            draws, log_slope = flow.origins(innovations[left_out], features[left_out])
            gains[row, fold] = (base.law.log_density(draws) - log_slope - log_base[left_out]).mean()
    return gains


def _weights(base: VolatilityModel, energy: ConditionalEnergy, features: Tensor, innovations: Tensor) -> list[Tensor]:
    """The weights of all steps up to each time, from days with these features (P, K) and innovations (P,)."""
    sizes, places = size(innovations), _places(energy)
    values = torch.stack([FUNCTIONS[name].value(innovations, sizes) for name in places], -1)
    target = (values[:, _columns(places)] * features).mean(0)
    nodes, shares = _base_nodes(base)
    paths = nodes.expand(len(features), -1)
    weights, found, limits = [], [], bends(energy)
    for begin, end in pairwise((0.0, *_TIMES)):
        while end - begin > 1e-12:
            direction, slopes = _direction(places, features, paths, shares, target)
            # Shorter where that is needed for a step that is one-to-one for every past.
            length = min(_STEP, end - begin, MOST_BEND / float(direction.abs() @ limits))
            weights.append(length * direction)
            moves = zip(places.values(), slopes, strict=True)
            paths = paths + sum((features[:, own] @ weights[-1][own])[:, None] * slope for own, slope in moves)
            begin += length
        found.append(torch.stack(weights) if weights else torch.zeros(0, energy.dim, dtype=torch.float64))
    return found


def _places(energy: ConditionalEnergy) -> dict[str, Tensor]:
    """The functions of an energy, each with the numbers of its energies."""
    names = np.array(energy.functions)
    return {name: torch.from_numpy(np.flatnonzero(names == name)) for name in dict.fromkeys(energy.functions)}


def _columns(places: dict[str, Tensor]) -> Tensor:
    """For each energy the number of its function among all: (K,)."""
    numbers = [torch.full_like(own, number) for number, own in enumerate(places.values())]
    return torch.cat(numbers)[torch.cat(list(places.values())).argsort()]


def _direction(
    places: dict[str, Tensor], features: Tensor, paths: Tensor, shares: Tensor, target: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """−G⁻¹ times the mean mismatch of paths (P, nodes) on days with these features, (K,), and the slopes of each g."""
    sizes, functions = size(paths), [FUNCTIONS[name] for name in places]
    means = torch.stack([function.value(paths, sizes) @ shares for function in functions], -1)  # (P, A)
    mismatch = (means[:, _columns(places)] * features).mean(0) - target
    slopes = [function.slope(paths, sizes).expand(paths.shape) for function in functions]
    gram = torch.empty(len(target), len(target), dtype=torch.float64)
    pairs = zip(slopes, places.values(), strict=True)
    for (slope, rows), (other, columns) in combinations_with_replacement(pairs, 2):
        products = (slope * other) @ shares
        block = features[:, rows].T @ (products[:, None] * features[:, columns]) / len(features)
        gram[rows[:, None], columns], gram[columns[:, None], rows] = block, block.T
    return -torch.linalg.pinv(gram, hermitian=True, rtol=1e-10) @ mismatch, slopes


def _base_nodes(base: VolatilityModel) -> tuple[Tensor, Tensor]:
    """Draws of the base's law, and their shares, which add up to 1."""
    scores, shares = np.polynomial.hermite_e.hermegauss(_NODES)
    inside = np.abs(scores) < _FARTHEST_NODE
    found = torch.from_numpy(shares[inside] / shares[inside].sum())
    return base.law.from_scores(torch.from_numpy(scores[inside])), found
