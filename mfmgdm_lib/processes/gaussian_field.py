"""Stationary Gaussian fields on a periodic grid, drawn and weighed exactly by the fast Fourier transform."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import as_shape, check_finite, check_number, check_paths, check_positive, check_positive_int
from mfmgdm_lib._fields import check_lags, check_lags_fit, cosines, frequencies, half_weights, power
from mfmgdm_lib.processes.base import Process, Seed, Size, generator
from mfmgdm_lib.specification import register

__all__ = ["GaussianField"]

_ASYMMETRY = 1e-9
"""Largest difference of S(ω) and S(−ω), relative to the largest value, that is taken for round-off."""


@checked
@register
class GaussianField(Process):
    r"""A stationary Gaussian field on a periodic grid of H × W points, given by its spectral density.

    The covariance of x(r) and x(r + τ) does not depend on r, so the covariance matrix is block-circulant: the Fourier
    basis diagonalises it, and its eigenvalues are the spectral density S at the Fourier frequencies. With
    :math:`\hat x = \sum_r x(r) e^{-i \omega \cdot r}` and d = H · W,

    .. math:: -\log p(x) = \frac12 \sum_\omega \Bigl[\frac{|\hat x(\omega)|^2}{d\, S(\omega)} + \log S(\omega)\Bigr]
              + \frac d2 \log 2\pi

    and a draw is white noise whose transform is multiplied by √S. Both take O(d log d)
    (Rue and Held, *Gaussian Markov Random Fields*, 2005, Section 2.6).

    Args:
        spectrum: S at the frequencies of `torch.fft.fft2`, (H, W), above 0 and with S(−ω) = S(ω); its mean is the
            marginal variance.
        mean: marginal mean, in the units of the field.

    Raises:
        ValueError: a spectrum of another shape, not finite, not above 0, or not even.

    Example:
        >>> field = GaussianField.conditional_autoregression(0.2, (32, 32))
        >>> x = field.sample(5, (32, 32), seed=(2, 12345))
        >>> x.shape, field.log_prob(x).shape
        (torch.Size([5, 32, 32]), torch.Size([5]))
        >>> field.autocovariance([(0, 0), (0, 1), (1, 1)]).numpy().round(3).tolist()
        [1.0, 0.266, 0.126]
    """

    def __init__(self, spectrum: Any, mean: float = 0.0) -> None:
        self.spectrum = _checked_spectrum(spectrum)
        self.event_shape = tuple(self.spectrum.shape)
        self._mean = check_number("mean", mean)
        width = self.spectrum.shape[1]
        self._half = self.spectrum[:, : width // 2 + 1].contiguous()
        self._weights = half_weights(width)

    @classmethod
    def from_density(
        cls, density: Callable[[Tensor, Tensor], Tensor], shape: Sequence[int], mean: float = 0.0
    ) -> GaussianField:
        """Return the field with a spectral density that is given as a function.

        Args:
            density: S of ω₁, along the columns of the field, and ω₂, along its rows, both in radians per point, as
                float64 tensors (H, 1) and (1, W): a tensor (H, W).
            shape: (H, W).
            mean: marginal mean.

        Example:
            >>> smooth = GaussianField.from_density(lambda down, right: torch.exp(down.cos() + right.cos()), (8, 8))
            >>> round(smooth.stddev, 3)
            1.266
        """
        height, width = _pair(shape)
        return cls(torch.as_tensor(density(*frequencies((height, width)))).expand(height, width), mean)

    @classmethod
    def conditional_autoregression(
        cls,
        rho: float | Sequence[float],
        shape: Sequence[int],
        neighbours: Sequence[Sequence[int]] = ((0, 1), (1, 0)),
        *,
        stddev: float = 1.0,
        mean: float = 0.0,
    ) -> GaussianField:
        r"""Return a conditional autoregression (Besag, 1974): a point given all others depends on its neighbours alone.

        .. math:: \mathbb E[x(r) \mid \text{all others}] = \sum_\tau \rho_\tau\, (x(r + \tau) + x(r - \tau)), \qquad
                  S(\omega) \propto \frac1{1 - 2 \sum_\tau \rho_\tau \cos \omega \cdot \tau}

        for a mean of 0.

        Args:
            rho: ρ, one for all neighbours or one for each.
            shape: (H, W).
            neighbours: lags τ, each standing for −τ, too: here the neighbours at the right and below.
            stddev: marginal standard deviation, in the units of the field.
            mean: marginal mean.

        Raises:
            ValueError: ρ so large that the density is not above 0 everywhere, neighbours that are no lags, that are
                there twice, or of half of the shape or more.
        """
        size, lags = _pair(shape), check_lags("neighbours", neighbours)
        check_lags_fit("neighbours", lags, size)
        if (0, 0) in lags:
            raise ValueError(f"neighbours has (0, 0); expected other points. Leave it out of {lags}.")
        spectrum = 1.0 / (1.0 - _pull(rho, cosines(lags, size, half=False)))
        return cls(check_positive("stddev", stddev) ** 2 * spectrum / spectrum.mean(), mean)

    def __repr__(self) -> str:
        height, width = self.event_shape
        return f"GaussianField({height} × {width}, mean={self.mean:g}, stddev={self.stddev:g})"

    @property
    def mean(self) -> float:
        """Marginal mean, in the units of the field."""
        return self._mean

    @property
    def stddev(self) -> float:
        """Marginal standard deviation, in the units of the field."""
        return math.sqrt(float(self.spectrum.mean()))

    def autocovariance(self, lags: Sequence[Sequence[int]]) -> Tensor:
        """Covariances of x(r) and x(r + τ), exact, for lags τ: a float64 tensor (K,)."""
        waves = cosines(check_lags("lags", lags), self.spectrum.shape)
        return (waves * self._half * self._weights).sum((-2, -1)) / self.spectrum.numel()

    def entropy(self) -> float:
        """Differential entropy, in nats, of a field."""
        return 0.5 * float(self.spectrum.log().sum()) + 0.5 * self.spectrum.numel() * math.log(2.0 * math.pi * math.e)

    def sample(self, n: int, length: Size, seed: Seed) -> Tensor:
        """Draw `n` independent fields.

        Args:
            n: number of fields.
            length: (H, W), the shape of the spectrum.
            seed: whatever `numpy.random.default_rng` takes.

        Returns:
            A float64 tensor (n, H, W).

        Raises:
            ValueError: another shape.
        """
        n, shape = check_positive_int("n", n), as_shape("length", length)
        if shape != self.event_shape:
            raise ValueError(
                f"length is {length!r}; expected {self.event_shape}, the shape of the spectrum. Pass that, or make a"
                " GaussianField for the other shape."
            )
        noise = torch.from_numpy(generator(seed).standard_normal((n, *shape)))
        return self._mean + torch.fft.irfft2(torch.fft.rfft2(noise) * self._half.sqrt(), s=shape)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log-density, in nats, of fields (*, H, W): a tensor (*,) of their dtype and on their device.

        Raises:
            ValueError: fields of another shape.
        """
        check_paths("x", x)
        if tuple(x.shape[-2:]) != self.event_shape:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (*, {', '.join(map(str, self.event_shape))}), the shape of the"
                " spectrum. Use fields of that shape, or a GaussianField for theirs."
            )
        points = self.spectrum.numel()
        inverse = (self._weights / (points * self._half)).to(x).flatten()
        squares = power(x - self._mean if self._mean else x).flatten(-2) @ inverse
        return -0.5 * squares - 0.5 * (float(self.spectrum.log().sum()) + points * math.log(2.0 * math.pi))


def _pair(shape: Sequence[int]) -> tuple[int, int]:
    sizes = as_shape("shape", shape)
    if len(sizes) != 2:
        raise ValueError(f"shape is {shape!r}; expected (H, W). Use such as (32, 32).")
    return sizes


def _checked_spectrum(spectrum: Any) -> Tensor:
    try:
        given = spectrum.detach() if isinstance(spectrum, Tensor) else spectrum
        values = torch.as_tensor(np.asarray(given, dtype=np.float64)).clone()
    except (TypeError, ValueError) as error:
        raise ValueError(f"spectrum is no array of real numbers ({error}). Use a tensor (H, W).") from error
    if values.ndim != 2 or values.numel() == 0:
        raise ValueError(
            f"spectrum has shape {tuple(values.shape)}; expected (H, W), one value for each frequency of"
            " torch.fft.fft2. Use GaussianField.from_density for a function."
        )
    check_finite("spectrum", values)
    if not (values > 0).all():
        first = tuple((values <= 0).nonzero()[0].tolist())
        raise ValueError(
            f"spectrum is {float(values[first]):g} at index {first}; expected values above 0, the variances of Fourier"
            " modes. Use a density that vanishes nowhere."
        )
    mirrored = values.flip((0, 1)).roll((1, 1), (0, 1))
    apart = (values - mirrored).abs()
    if apart.max() > _ASYMMETRY * values.max():
        first = tuple(np.unravel_index(int(apart.argmax()), apart.shape))
        there = tuple(-int(place) % size for place, size in zip(first, values.shape, strict=True))
        raise ValueError(
            f"spectrum is {float(values[first]):g} at index {tuple(map(int, first))} and {float(mirrored[first]):g} at"
            f" {there}, the frequency with the other sign; expected the same, as fields are real. Use an even density."
        )
    return 0.5 * (values + mirrored)


def _pull(rho: float | Sequence[float], waves: Tensor) -> Tensor:
    """2 Σ_τ ρ_τ cos ω·τ, (H, W), if it is below 1 everywhere."""
    if isinstance(rho, (int, float)):
        total = 2.0 * waves.sum(0)
        value, low, high = check_number("rho", rho), float(1.0 / total.min()), float(1.0 / total.max())
        if not low < value < high:
            raise ValueError(
                f"rho is {value:g}; expected it between {low:.4g} and {high:.4g}, so that the spectral density is above"
                " 0 at every frequency. Use a smaller one."
            )
        return value * total
    values = torch.as_tensor(np.asarray(rho, dtype=np.float64))
    if values.shape != waves.shape[:1]:
        raise ValueError(
            f"rho has {values.numel()} values; expected {len(waves)}, one for each neighbour. Use one number for all."
        )
    pull = 2.0 * torch.einsum("k,k...->...", check_finite("rho", values), waves)
    if pull.max() >= 1.0:
        raise ValueError(
            f"rho is {values.tolist()}; expected 2 Σ ρ cos ω·τ below 1 at every frequency, and it comes to"
            f" {float(pull.max()):.4g}. Use smaller values: a sum of |ρ| below 1/2 is always small enough."
        )
    return pull
