"""Banks of two-dimensional filters of periodic fields and their adjoints, by complex FFTs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["FieldFilters", "field_signal", "field_spectrum"]


def field_spectrum(x: Tensor, shape: tuple[int, int]) -> Tensor:
    """The spectra of fields laid out flat, (*, H · W) complex, of reals (*, H · W)."""
    return torch.fft.fft2(x.unflatten(-1, shape)).flatten(-2)


def field_signal(spectra: Tensor, shape: tuple[int, int]) -> Tensor:
    """The adjoint of `field_spectrum`, but for the factor of an inverse FFT: reals (*, H · W)."""
    return torch.fft.ifft2(spectra.unflatten(-1, shape)).real.flatten(-2)


class FieldFilters:
    """A bank of C complex filters that are real in frequency, for fields laid out flat, (*, H · W).

    Where all of them let only a narrow window of h × w frequencies through, w ≤ W / 2, FFTs along the first axis are
    taken of w columns instead of W. Each filter's window is moved to frequency 0, which turns the phase of a filtered
    signal from point to point and leaves its modulus as it is; the grid of points stays the whole one.

    Args:
        filters: ψ̂, (C, H, W), on the grid of `numpy.fft.fft2`.
        dtype: real dtype of the fields.
        device: where they are.
    """

    def __init__(self, filters: np.ndarray, dtype: torch.dtype, device: torch.device) -> None:
        count, *shape = filters.shape
        self.count, self.shape = count, (shape[0], shape[1])
        self._dtype = dtype.to_complex()
        present = filters != 0
        rows, columns = _windows(present.any(2)), _windows(present.any(1))
        self._index: Tensor | None = None
        weights = filters
        if columns.shape[1] <= shape[1] // 2:
            # Columns first: the FFTs along them, which are as long as the field is high, come first.
            index = (rows[:, None, :] * shape[1] + columns[:, :, None]).reshape(count, -1)
            weights = np.take_along_axis(filters.reshape(count, -1), index, 1).reshape(count, columns.shape[1], -1)
            self._index = torch.from_numpy(index.reshape(-1)).to(device)
        self._weights = torch.tensor(weights, dtype=self._dtype, device=device)  # a product with reals takes longer

    def __call__(self, spectra: Tensor) -> Tensor:
        """Filter: from spectra (*, H · W) to complex signals (*, C, H · W), each turned in phase where moved."""
        height, width = self.shape
        if self._index is None:
            seen = spectra.unflatten(-1, self.shape).unsqueeze(-3)
            return torch.fft.ifft2(seen * self._weights).flatten(-2)
        seen = spectra[..., self._index].unflatten(-1, self._weights.shape)
        columns = torch.fft.ifft(seen * self._weights, n=height)
        return torch.fft.ifft(columns.mT, n=width).flatten(-2)

    def adjoint(self, signals: Tensor, out: Tensor) -> None:
        """Add the adjoint of `__call__`, from signals (*, C, H · W), summed over the filters, to spectra (*, H · W)."""
        seen = self._seen(signals)
        if self._index is None:
            out += seen.sum(-3).flatten(-2)
        else:
            out.index_add_(-1, self._index, seen.flatten(-3))

    def adjoint_each(self, signals: Tensor) -> Tensor:
        """The adjoint without the sum over filters: spectra (*, C, H · W)."""
        seen = self._seen(signals).flatten(-2)
        if self._index is None:
            return seen
        out = torch.zeros(signals.shape, dtype=self._dtype, device=signals.device)
        index = self._index.unflatten(0, (self.count, -1))
        return out.scatter_(-1, index.expand(seen.shape), seen)

    def _seen(self, signals: Tensor) -> Tensor:
        """Weighted frequencies of signals (*, C, H · W): all, (*, C, H, W), or those of the window, (*, C, w, h)."""
        waves = signals.unflatten(-1, self.shape)
        if self._index is None:
            return torch.fft.fft2(waves).mul_(self._weights)
        _, width, height = self._weights.shape
        columns = torch.fft.fft(waves)[..., :width].mT
        return torch.fft.fft(columns)[..., :height] * self._weights


def _windows(present: np.ndarray) -> np.ndarray:
    """The shortest runs on a circle, all of one length n, that hold what is present, (C, size): their places (C, n)."""
    size = present.shape[1]
    starts, lengths = [], []
    for mask in present:
        places = mask.nonzero()[0]
        gaps = np.diff(places, append=places[0] + size)
        widest = int(gaps.argmax())  # a run begins after the widest gap
        starts.append(places[(widest + 1) % len(places)])
        lengths.append(size - gaps[widest] + 1)
    return (np.array(starts)[:, None] + np.arange(max(lengths))) % size
