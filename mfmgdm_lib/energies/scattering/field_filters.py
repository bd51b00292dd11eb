"""Banks of two-dimensional filters of periodic fields and their adjoints, by FFTs of the frequencies they let through."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["FieldFilters"]


class FieldFilters:
    """A bank of C complex filters that are real in frequency, for fields laid out flat, (*, H · W).

    A filter is 0 outside of a window of (h, w) frequencies. FFTs along the first axis are taken of the w columns of
    frequencies in it alone. Each window is moved to frequency 0, which turns the phase of a filtered signal from
    point to point and leaves its modulus as it is.

    Args:
        filters: ψ̂, (C, H, W), on the grid of `numpy.fft.fft2`.
        dtype: real dtype of the fields.
        device: where they are.
    """

    def __init__(self, filters: np.ndarray, dtype: torch.dtype, device: torch.device) -> None:
        count, *shape = filters.shape
        self.shape, self._complex = tuple(shape), dtype.to_complex()
        present = filters != 0
        rows, columns = _windows(present.any(2)), _windows(present.any(1))
        self._window = rows.shape[1], columns.shape[1]
        index = rows[:, :, None] * self.shape[1] + columns[:, None, :]
        weights = np.take_along_axis(filters.reshape(count, -1), index.reshape(count, -1), 1).reshape(index.shape)
        self._whole = self._window == self.shape
        self._index = torch.from_numpy(index.reshape(-1)).to(device)
        self._weights = torch.tensor(filters if self._whole else weights, dtype=dtype, device=device)

    def spectrum(self, x: Tensor) -> Tensor:
        """The spectra of fields, (*, H · W) complex."""
        return torch.fft.fft2(x.unflatten(-1, self.shape)).flatten(-2)

    def signal(self, spectra: Tensor) -> Tensor:
        """The adjoint of `spectrum`, but for the factor of an inverse FFT: fields (*, H · W)."""
        return torch.fft.ifft2(spectra.unflatten(-1, self.shape)).real.flatten(-2)

    def __call__(self, spectra: Tensor) -> Tensor:
        """Filter: from spectra (*, H · W) to real and imaginary parts (*, C, 2, H · W) of the moved signals."""
        if self._whole:
            seen = spectra.unflatten(-1, self.shape).unsqueeze(-3)
        else:
            seen = spectra[..., self._index].unflatten(-1, self._weights.shape)
        columns = torch.fft.ifft(seen * self._weights, n=self.shape[0], dim=-2)
        signals = torch.fft.ifft(columns, n=self.shape[1], dim=-1)
        return torch.view_as_real(signals.flatten(-2)).movedim(-1, -2)

    def adjoint(self, signals: Tensor, out: Tensor | None = None) -> Tensor:
        """Adjoint of `__call__`: from parts (*, C, 2, H · W) to spectra (*, H · W), summed over the filters.

        Args:
            signals: as `__call__` returns them; `signal` takes the spectra back to fields.
            out: spectra to add the result to; None for zeros.
        """
        if out is None:
            out = self.no_spectra(signals.shape[:-3])
        seen = self._seen(signals)
        if self._whole:
            out += seen.sum(-3).flatten(-2)
        else:
            out.index_add_(-1, self._index, seen.flatten(-3))
        return out

    def adjoint_each(self, signals: Tensor) -> Tensor:
        """As `adjoint`, but without the sum over filters: (*, C, H · W)."""
        seen = self._seen(signals)
        out = self.no_spectra(signals.shape[:-2])
        if self._whole:
            return out.copy_(seen.flatten(-2))
        index = self._index.unflatten(0, (len(self._weights), -1)).expand(*out.shape[:-1], -1)
        return out.scatter_(-1, index, seen.flatten(-2))

    def no_spectra(self, shape: torch.Size) -> Tensor:
        """Zeros for signals of a shape (*): spectra (*, H · W), to which adjoints can be added."""
        points = self.shape[0] * self.shape[1]
        return torch.zeros((*shape, points), dtype=self._complex, device=self._weights.device)

    def _seen(self, signals: Tensor) -> Tensor:
        """The weighted frequencies in each window, (*, C, h, w), of signals (*, C, 2, H · W)."""
        parts = signals.movedim(-2, -1).contiguous()
        waves = torch.view_as_complex(parts).unflatten(-1, self.shape)
        columns = torch.fft.fft(waves, dim=-1)[..., : self._window[1]]
        return torch.fft.fft(columns, dim=-2)[..., : self._window[0], :] * self._weights


def _windows(present: np.ndarray) -> np.ndarray:
    """The shortest runs of frequencies, all of one length, that hold what is present, (C, size) on a circle: (C, n)."""
    size = present.shape[1]
    starts, lengths = np.zeros(len(present), dtype=int), np.ones(len(present), dtype=int)
    for row, mask in enumerate(present):
        places = mask.nonzero()[0]
        gaps = np.diff(places, append=places[0] + size)
        widest = gaps.argmax()  # the run begins after the widest gap
        starts[row], lengths[row] = places[(widest + 1) % len(places)], size - gaps[widest] + 1
    return (starts[:, None] + np.arange(lengths.max())) % size
