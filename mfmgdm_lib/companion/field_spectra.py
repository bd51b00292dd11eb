"""Spectral densities of Gaussian fields that linear filters move, and what of a divergence they cannot take away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from mfmgdm_lib._fields import Lag, cosines
from mfmgdm_lib.descents import GuidedState
from mfmgdm_lib.processes.gaussian_field import GaussianField

__all__ = [
    "divergence_per_point",
    "filtered",
    "guided_spectrum",
    "limit_of_filters",
    "many_fields",
]

_NEWTON_STEPS = 50


def divergence_per_point(spectrum: Tensor, law: GaussianField) -> float:
    r"""KL of the Gaussian field with a spectral density (H, W) from another one, nats for each point.

    Both covariances are diagonal in the Fourier basis, so it is the mean over frequencies of
    :math:`\frac12 (S/S_p - 1 - \log S/S_p)`.

    Example:
        >>> law = GaussianField.conditional_autoregression(0.2, (32, 32))
        >>> round(divergence_per_point(torch.ones(32, 32).double(), law), 4)
        0.0662
    """
    ratio = spectrum / law.spectrum
    return 0.5 * float((ratio - 1.0 - ratio.log()).mean())


def limit_of_filters(law: GaussianField, lags: Sequence[Lag]) -> Tensor:
    r"""The spectral density exp(Σ_k c_k cos ω·τ_k) with the autocovariances of a field at some lags, (H, W).

    The only one: Σ_k c_k are where the convex function mean_ω exp(Σ_k c_k cos ω·τ_k) − Σ_k c_k r(τ_k) is smallest,
    and Newton's method goes there.
    """
    waves = cosines(lags, law.spectrum.shape, half=False).flatten(1)
    wanted, weights = law.autocovariance(lags), torch.zeros(len(waves), dtype=torch.float64)
    for _ in range(_NEWTON_STEPS):
        spectrum = (weights @ waves).exp()
        missing = wanted - waves @ spectrum / len(spectrum)
        if missing.abs().max() < 1e-14:
            break
        weights = weights + torch.linalg.solve((waves * spectrum) @ waves.mT / len(spectrum), missing)
    return (weights @ waves).exp().reshape(law.spectrum.shape)


def many_fields(
    law: GaussianField, lags: Sequence[Lag], pace: float, n_steps: int, *, own_metric: bool = False
) -> Iterator[Tensor]:
    r"""Yield the spectral densities of an MF descent from white noise at t = 0, 1, … in the limit of many fields.

    A step multiplies x̂(ω) by λ(ω) = 1 − pace · Σ_k r̄_k cos ω·τ_k with r̄_k what the autocovariance of the fields is
    above that of the law; so pace = 2γ/d.

    Args:
        law: the field that is aimed at.
        lags: those of the energy.
        pace: the size of a step.
        n_steps: T.
        own_metric: whether the gradient is multiplied by the covariance of the fields, so that
            λ(ω) = 1 − pace · S(ω) Σ_k r̄_k cos ω·τ_k.
    """
    waves = cosines(lags, law.spectrum.shape, half=False)
    wanted, spectrum = law.autocovariance(lags), torch.full_like(law.spectrum, law.stddev**2)
    yield spectrum
    for _ in range(n_steps):
        mismatch = (waves * spectrum).mean((-2, -1)) - wanted
        pull = pace * torch.einsum("k,k...->...", mismatch, waves)
        spectrum = spectrum * (1.0 - (spectrum * pull if own_metric else pull)).square()
        yield spectrum


def filtered(spectrum: Tensor, lags: Sequence[Lag], weights: Iterable[Tensor]) -> Tensor:
    """The spectral density (H, W) after steps x ← x − Σ_k w_k ∇Φ_k(x), with weights w of each step, (K,)."""
    eigenvalues = 2.0 / spectrum.numel() * cosines(lags, tuple(spectrum.shape), half=False)
    for each in weights:
        spectrum = spectrum * (1.0 - torch.einsum("k,k...->...", each, eigenvalues)).square()
    return spectrum


def guided_spectrum(spectrum: Tensor, lags: Sequence[Lag], states: Iterable[GuidedState], volatility: float) -> Tensor:
    """The spectral density (H, W) after the steps of a moment guided diffusion, with weights as its fields had them."""
    time = 0.0
    for state in states:
        if state.weights is None:
            continue
        first, *corrections = state.weights.double()
        spectrum = filtered(spectrum, lags, [-first]) + 2.0 * volatility**2 * (state.time - time)
        spectrum, time = filtered(spectrum, lags, [-each for each in corrections]), state.time
    return spectrum
