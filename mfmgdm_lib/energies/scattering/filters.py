"""Banks of filters and their adjoints by real FFTs, with periodic or reflected boundaries."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

__all__ = ["Boundary", "Filters", "PeriodicBoundary", "ReflectedBoundary"]


class Boundary:
    """How a path of `length` points continues beyond its ends, and its spectrum.

    A spectrum has `views` rows of length // 2 + 1 frequencies each; a filter is a weight for every view and frequency.
    """

    views: int

    def __init__(self, length: int, dtype: torch.dtype, device: torch.device) -> None:
        self.length = length
        self.dtype = dtype
        self.device = device

    def spectrum(self, x: Tensor) -> Tensor:
        """Views (*, views, bins) of paths (*, time)."""
        raise NotImplementedError

    def signal(self, views: Tensor) -> Tensor:
        """The adjoint of `spectrum`, but for the factor of an inverse FFT: (*, time) from (*, views, bins)."""
        raise NotImplementedError

    def responses(self, filters: np.ndarray) -> np.ndarray:
        """Weights (C, 2, views, bins) of the real and imaginary parts of filters (C, grid) real in frequency."""
        raise NotImplementedError


class PeriodicBoundary(Boundary):
    """Periodic paths: circular convolution on the grid of the path itself."""

    views = 1

    def spectrum(self, x: Tensor) -> Tensor:
        """The half-spectrum of a real FFT, as the only view."""
        return torch.fft.rfft(x).unsqueeze(-2)

    def signal(self, views: Tensor) -> Tensor:
        """The inverse FFT of the only view."""
        return torch.fft.irfft(views.squeeze(-2), n=self.length)

    def responses(self, filters: np.ndarray) -> np.ndarray:
        """The parts of ψ̂ that are even and odd in frequency: a path's real and imaginary part come from those."""
        mirrored = np.roll(filters[:, ::-1], 1, axis=-1)
        parts = np.stack([0.5 * (filters + mirrored), -0.5j * (filters - mirrored)], axis=1)
        return parts[:, :, None, : self.length // 2 + 1]


class ReflectedBoundary(Boundary):
    r"""Paths reflected at their end, x₁ … x_d x_d … x₁, under filters on the grid of 2d points.

    No FFT here is longer than d. Put the even places of a path first, then the odd ones backwards, and let V be the
    spectrum of that. With :math:`Z_k = e^{i\pi k/d}\, \overline{V_k}` the 2d reflected points have the spectrum V + Z
    at k, and the complex conjugate of V − Z at d − k: the two views (Makhoul 1980, A fast cosine transform in one and
    two dimensions). What is filtered comes out in the same order, with complex conjugates in its second half.
    """

    views = 2

    def __init__(self, length: int, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__(length, dtype, device)
        places = torch.arange(length, device=device)
        self._order = torch.cat([places[::2], places[1::2].flip(0)])
        self._back = self._order.argsort()
        angle = torch.pi / length * torch.arange(length // 2 + 1, dtype=torch.float64)
        self._turn = torch.polar(torch.ones_like(angle), angle).to(device, dtype.to_complex())

    def arrange(self, x: Tensor) -> Tensor:
        """Put signals (*, time) into the order in which they are filtered."""
        return x[..., self._order]

    def restore(self, x: Tensor) -> Tensor:
        """Put signals (*, time) back into the order of time."""
        return x[..., self._back]

    def conjugate_(self, signals: Tensor) -> Tensor:
        """Undo the conjugates in the second half of filtered signals (*, 2, time), in place."""
        signals[..., 1, self.length // 2 :].neg_()
        return signals

    def spectrum(self, x: Tensor) -> Tensor:
        """V + Z and V − Z of arranged signals."""
        plain = torch.fft.rfft(x)
        turned = self._turn * plain.conj()
        return torch.stack([plain + turned, plain - turned], dim=-2)

    def signal(self, views: Tensor) -> Tensor:
        """The inverse FFT of both views, Z turned back."""
        low, high = views.unbind(-2)
        return torch.fft.irfft(low + high + self._turn * (low - high).conj(), n=self.length)

    def responses(self, filters: np.ndarray) -> np.ndarray:
        """Weights of the views: ψ̂ at ±k for the first, at ±(d − k) for the second; parts as for periodic paths."""
        k = np.arange(self.length // 2 + 1)
        above = np.stack([filters[:, k], filters[:, k - self.length]], axis=1)
        below = np.stack([filters[:, -k], filters[:, self.length - k]], axis=1)
        return 0.25 * np.stack([above + below, -1j * (above - below)], axis=1)


class Filters:
    """A bank of real filters (C, P, views, bins): P = 2 for the real and imaginary part of each, or P = 1.

    Views and high frequencies at which every filter of the bank is 0 are left out.

    Args:
        boundary: how paths continue, and what their spectrum is.
        responses: weights, of which `boundary.responses` makes some.
    """

    def __init__(self, boundary: Boundary, responses: np.ndarray) -> None:
        self.boundary = boundary
        _, _, views, bins = responses.nonzero()
        self._bins = int(bins.max()) + 1
        weights = torch.from_numpy(responses[..., : int(views.max()) + 1, : self._bins])
        weights = weights.to(boundary.device, boundary.dtype.to_complex())
        self._weights = weights.unbind(-2)
        self._adjoint = weights.conj().resolve_conj().unbind(-2)

    def __call__(self, spectrum: Tensor) -> Tensor:
        """Filter: from spectra (*, views, bins) to signals (*, C, P, time)."""
        views = spectrum[..., None, None, :, : self._bins].unbind(-2)
        total = views[0] * self._weights[0]
        for view, weight in zip(views[1:], self._weights[1:], strict=False):
            total += view * weight
        return torch.fft.irfft(total, n=self.boundary.length)

    def adjoint(self, signals: Tensor, out: Tensor | None = None) -> Tensor:
        """Adjoint of `__call__`: from signals (*, C, P, time) to views (*, views, bins), summed over the filters.

        Args:
            signals: as `__call__` returns them; `boundary.signal` takes the views back to paths.
            out: views to add the result to; None for zeros.
        """
        if out is None:
            out = self.no_views(signals.shape[:-3])
        for view, part in enumerate(self._weighted(signals)):
            out[..., view, : self._bins] += part.sum((-3, -2))
        return out

    def adjoint_each(self, signals: Tensor) -> Tensor:
        """As `adjoint`, but without the sum over filters: (*, C, views, bins); fewer signals than C go to the first."""
        out = self.no_views(signals.shape[:-2])
        for view, part in enumerate(self._weighted(signals)):
            out[..., view, : self._bins] = part.sum(-2)
        return out

    def no_views(self, shape: torch.Size) -> Tensor:
        """Zeros for signals of a shape (*): views (*, views, bins), to which adjoints can be added."""
        bins = self.boundary.length // 2 + 1
        dtype, device = self.boundary.dtype.to_complex(), self.boundary.device
        return torch.zeros((*shape, self.boundary.views, bins), dtype=dtype, device=device)

    def _weighted(self, signals: Tensor) -> Iterator[Tensor]:
        """The spectra of signals (*, c, P, time), weighted for each view."""
        spectra = torch.fft.rfft(signals)[..., : self._bins]
        *others, last = (weight[: signals.shape[-3]] for weight in self._adjoint)
        yield from (spectra * weight for weight in others)
        yield spectra.mul_(last)
