"""Energy iv of Section 5.1: scattering spectra, the correlations of wavelet coefficients and their envelopes."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._arrays import load_arrays, save_arrays
from mfmgdm_lib._checks import as_windows, check_member, check_positive_int
from mfmgdm_lib.energies.recorded import Record, RecordedEnergy, chunks
from mfmgdm_lib.energies.scattering.coefficients import Coefficient
from mfmgdm_lib.energies.scattering.filters import Filters, ReflectedBoundary
from mfmgdm_lib.energies.scattering.nonlinearities import Modulus
from mfmgdm_lib.energies.scattering.products import Products
from mfmgdm_lib.energies.scattering.wavelets import FilterBank, battle_lemarie, check_length, check_octaves, morlet
from mfmgdm_lib.processes.base import Process, Seed, draw_in_chunks
from mfmgdm_lib.specification import register

__all__ = ["ScatteringSpectra"]

WAVELETS = ("battle-lemarie", "morlet")


def filter_bank(wavelet: str, length: int, octaves: int) -> FilterBank:
    """`octaves` band-pass filters and the low-pass filter below them, on the grid of a reflected path, 2 · length."""
    if wavelet == "morlet":
        return morlet(2 * length, octaves - 1)  # which has one filter more than octaves
    return battle_lemarie(2 * length, octaves)


class Banks(NamedTuple):
    """The filters W_0 … W_J, ready for paths of one dtype on one device; W_J is the low-pass filter, which is real."""

    boundary: ReflectedBoundary
    band_passes: Filters
    """W_0 … W_{J−1} over their scales: the first layer."""
    low_pass: Filters
    """W_J over its scale."""
    each: tuple[Filters, ...]
    """W_0 … W_J one by one, as they are: the second layer."""
    scale: tuple[float, ...]
    """σ_0 … σ_J."""


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # cached tensors have to serve autograd too
def _banks(
    wavelet: str, length: int, octaves: int, scale: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> Banks:
    boundary, bank = ReflectedBoundary(length, dtype, device), filter_bank(wavelet, length, octaves)
    responses = boundary.responses(np.concatenate([bank.band_passes, bank.low_pass[None]]))
    scaled = responses / np.array(scale)[:, None, None, None]
    each = [Filters(boundary, responses[j : j + 1]) for j in range(octaves)]
    each.append(Filters(boundary, responses[octaves:, :1]))
    return Banks(
        boundary, Filters(boundary, scaled[:octaves]), Filters(boundary, scaled[octaves:, :1]), tuple(each), scale
    )


@checked
@register
class ScatteringSpectra(RecordedEnergy):
    r"""Energy iv: scattering spectra (Morel et al. 2023; paper Section 5.1).

    A path is reflected at its end, goes through J band-pass filters W_0 … W_{J−1} and a low-pass filter W_J, and
    is divided by σ_j; of its 2d points the first d count. The values are

    .. math:: \langle |W_j x| \rangle, \; \langle W_J x \rangle, \quad \langle |W_j x|^2 \rangle, \quad
              \bigl|\langle W_k x \; \overline{W_k |W_j x|} \rangle\bigr|, \quad
              \bigl|\langle W_k |W_j x| \; \overline{W_k |W_{j'} x|} \rangle\bigr|, \qquad j' \le j < k,

    and those averages that are real, with their signs. With J = 7 these are K = 8 + 8 + 28 + 84 = 128.

    Args:
        length: points d of a path, a power of two of at least 256.
        scale: σ_0 … σ_J, of which `fit_scale` makes those of a process; None for 1.
        J: octaves of band-pass filters; log₂ d at most.
        wavelet: "battle-lemarie", as in the paper, or "morlet", kymatio's filters.

    Raises:
        TypeError, ValueError: a length or J that do not fit together, an unknown wavelet, or a scale that is not J + 1
            finite numbers above 0.

    Example:
        >>> energy = ScatteringSpectra(1024)
        >>> energy.dim, energy.labels[0], energy.labels[-1]
        (128, '⟨|W0 x|⟩', '⟨|W7|W6 x||²⟩')
    """

    length: int

    def __init__(
        self, length: int, *, scale: Sequence[float] | None = None, J: int = 7, wavelet: str = "battle-lemarie"
    ) -> None:
        self.length = self.minimum_length = check_length(length)
        self.J = check_octaves(J, length, minimum=2)
        self.wavelet = check_member("wavelet", wavelet, WAVELETS)
        self.scale = _check_scale(scale, self.J)
        self.coefficients = tuple(_name_coefficients(self.J))
        self.labels = tuple(coefficient.label for coefficient in self.coefficients)

    def __repr__(self) -> str:
        scale = "" if self.scale == (1.0,) * (self.J + 1) else f", scale=({', '.join(f'{s:.4g}' for s in self.scale)})"
        return f"ScatteringSpectra({self.length}{scale}, J={self.J}, wavelet={self.wavelet!r})"

    def fit_scale(self, process: Process, *, n_samples: int = 10_000, seed: Seed) -> ScatteringSpectra:
        r"""Return this energy with the σ_j of a process, :math:`\sigma_j^2 = \mathbb E \langle |W_j x|^2 \rangle`.

        Args:
            process: the law of the paths.
            n_samples: paths to average over.
            seed: whatever `numpy.random.default_rng` takes; the paper's is that of the target, (3, 12345).

        Example:
            >>> import mfmgdm_lib as mm
            >>> energy = ScatteringSpectra(256).fit_scale(mm.processes.WhiteNoise(), n_samples=100, seed=1)
            >>> [round(s, 2) for s in energy.scale]
            [0.52, 0.37, 0.26, 0.18, 0.13, 0.09, 0.06, 0.1]
        """
        check_positive_int("n_samples", n_samples)
        drawn = draw_in_chunks(process, n_samples, self.length, seed, description="scale")
        return self._with_scale(torch.cat([self.powers(paths) for paths in drawn]))

    def fit_scale_to_data(self, series: Any) -> ScatteringSpectra:
        """Return this energy with the σ_j of one series (length,), cut into windows as long as a path.

        Windows cover the series evenly, and overlap where its length is no multiple of theirs.
        """
        return self._with_scale(self.powers(as_windows("series", series, self.length)))

    def powers(self, x: Tensor) -> Tensor:
        """Return ⟨|W_j x|²⟩ before any scaling, (*, J + 1) for paths (*, time)."""
        self._check(x)
        banks = _banks(self.wavelet, self.length, self.J, (1.0,) * (self.J + 1), x.dtype, x.device)
        powers = []
        for paths in chunks(x, self._chunk_size(x)):
            band_passed, low = _first_layer(banks, paths)
            powers.append(torch.cat([band_passed.square().sum(-2).mean(-1), low.square().flatten(2).mean(-1)], dim=1))
        return torch.cat(powers).reshape(*x.shape[:-1], self.J + 1)

    def _with_scale(self, powers: Tensor) -> ScatteringSpectra:
        scale = powers.double().mean(0).sqrt().tolist()
        return ScatteringSpectra(self.length, scale=scale, J=self.J, wavelet=self.wavelet)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Keep the scale, and what it was fitted for, in a .npz file (no pickle); return the file's path."""
        numbers = {"length": self.length, "J": self.J, "wavelet": self.wavelet, "scale": self.scale}
        return save_arrays(path, "scattering spectra", {name: np.array(value) for name, value in numbers.items()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ScatteringSpectra:
        """Make the energy that was saved.

        Raises:
            FileNotFoundError: no such file.
            ValueError: a file that holds something else.
        """
        kept = load_arrays(path, "scattering spectra", ("length", "J", "wavelet", "scale"))
        return cls(int(kept["length"]), scale=kept["scale"].tolist(), J=int(kept["J"]), wavelet=str(kept["wavelet"]))

    @property
    def _signals(self) -> int:
        return 2 * (self.J + 1)

    @property
    def _kept_signals(self) -> int:
        return (self.J + 1) * (self.J + 4)  # at scale k there are 2 + 2k, and envelopes with what they are moduli of

    def _record(self, x: Tensor) -> _Spectra:
        return _Spectra(_banks(self.wavelet, self.length, self.J, self.scale, x.dtype, x.device), x)


def _name_coefficients(octaves: int) -> Iterator[Coefficient]:
    for j in range(octaves):
        yield Coefficient(f"⟨|W{j} x|⟩", ((j,),))
    yield Coefficient(f"⟨W{octaves} x⟩", ((octaves,),))
    for k in range(octaves + 1):
        signals = [(f"W{k} x", (k,)), *((f"W{k}|W{j} x|", (j, k)) for j in range(k))]
        for a, b in zip(*np.tril_indices(len(signals)), strict=True):
            (one, through), (other, beside) = signals[a], signals[b]
            if a == b:
                yield Coefficient(f"⟨|{one}|²⟩", (through, through))
            elif k == octaves:
                yield Coefficient(f"⟨{one}, {other}⟩", (through, beside))
            else:
                yield Coefficient(f"|⟨{one}, {other}⟩|", (through, beside), part="modulus")


def _first_layer(banks: Banks, x: Tensor) -> tuple[Tensor, Tensor]:
    """W_0 x … W_{J−1} x, (n, J, 2, time), and W_J x, (n, 1, 1, time), of paths (n, time)."""
    spectrum = banks.boundary.spectrum(banks.boundary.arrange(x))
    return banks.band_passes(spectrum), banks.low_pass(spectrum)


class _Spectra(Record):
    """Paths (n, time), their envelopes |W_j x|, and both filtered by W_k, scale by scale."""

    def __init__(self, banks: Banks, x: Tensor) -> None:
        self.banks = banks
        path, low = _first_layer(banks, x)
        self.envelopes = Modulus(path)
        self.low = low
        self.products = [Products(signals) for signals in self._scale_by_scale(path, low, self.envelopes.value)]

    def _scale_by_scale(self, path: Tensor, low: Tensor, envelopes: Tensor) -> Iterator[Tensor]:
        """For k = 0 … J the signals W_k x, W_k|W_0 x|, … W_k|W_{k−1} x|: (n, 1 + k, parts, time)."""
        boundary, octaves = self.banks.boundary, path.shape[1]
        spectra = boundary.spectrum(envelopes)
        yield boundary.conjugate_(path[:, :1].clone())
        for k, filters in enumerate(self.banks.each[1:], start=1):
            first = path[:, k : k + 1] if k < octaves else low
            signals = torch.cat([first, filters(spectra[:, :k]).squeeze(2)], dim=1)
            yield boundary.conjugate_(signals) if k < octaves else signals

    def _adjoint_to_layers(self, on_signals: Iterable[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The adjoint of `_scale_by_scale`: gradients in the filtered path, its low frequencies and its envelopes."""
        boundary, octaves = self.banks.boundary, self.envelopes.value.shape[1]
        views = self.banks.band_passes.no_views(self.envelopes.value.shape[:2])
        on_path = torch.empty_like(self.envelopes.y)
        for k, on in enumerate(on_signals):
            if k < octaves:
                on_path[:, k] = boundary.conjugate_(on)[:, 0]
            else:
                on_low = on[:, :1]
            if k > 0:
                self.banks.each[k].adjoint(on[:, 1:].unsqueeze(2), out=views[:, :k])
        return on_path, on_low, boundary.signal(views)

    def _adjoint_to_paths(self, on_path: Tensor, on_low: Tensor) -> Tensor:
        """The adjoint of `_first_layer`: from gradients in both layers to paths (n, time)."""
        boundary = self.banks.boundary
        views = self.banks.low_pass.adjoint(on_low, out=self.banks.band_passes.adjoint(on_path))
        return boundary.restore(boundary.signal(views))

    @property
    def values(self) -> Tensor:
        parts = [self.envelopes.value.mean(-1), self.low.flatten(1).mean(-1, keepdim=True)]
        return torch.cat([*parts, *(products.values for products in self.products)], dim=1)

    def linearize(self, weights: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The force for weights (n, K), and the product with the Hessian."""
        octaves, length = self.envelopes.value.shape[1:]
        sizes = [octaves, 1, *(len(products.row) for products in self.products)]
        on_mean, on_low_mean, *on_products = weights.split(sizes, dim=1)
        pairs = list(zip(self.products, on_products, strict=True))

        on_path, on_low, on_envelopes = self._adjoint_to_layers(products.gradient(w) for products, w in pairs)
        on_envelopes = on_envelopes + on_mean.unsqueeze(-1) / length
        on_low = on_low + on_low_mean[..., None, None] / length
        scaled = self.envelopes.scale(on_envelopes)
        force = self._adjoint_to_paths(on_path.add_(self.envelopes.pullback(scaled)), on_low)

        def times(vectors: Tensor) -> Tensor:
            d_path, d_low = _first_layer(self.banks, vectors)
            d_signals = self._scale_by_scale(d_path, d_low, self.envelopes.pushforward(d_path))
            changes = (
                products.gradient_change(w, moved) for (products, w), moved in zip(pairs, d_signals, strict=True)
            )
            d_on_path, d_on_low, d_on_envelopes = self._adjoint_to_layers(changes)
            return self._adjoint_to_paths(
                d_on_path.add_(self.envelopes.pullback_change(scaled, d_on_envelopes, d_path)), d_on_low
            )

        return force, times

    def pushforward(self, vectors: Tensor) -> Tensor:
        """The product J_Φ v, (n, K), for vectors (n, time)."""
        d_path, d_low = _first_layer(self.banks, vectors)
        d_envelopes = self.envelopes.pushforward(d_path)
        parts = [d_envelopes.mean(-1), d_low.flatten(1).mean(-1, keepdim=True)]
        pairs = zip(self.products, self._scale_by_scale(d_path, d_low, d_envelopes), strict=True)
        return torch.cat([*parts, *(products.pushforward(moved) for products, moved in pairs)], dim=1)

    def rows(self) -> Tensor:
        """J_Φ, (n, K, time), from the adjoint of each energy's own signals only."""
        boundary = self.banks.boundary
        even = self.low.new_full((), 1 / boundary.length)
        means = boundary.signal(
            self.banks.band_passes.adjoint_each(self.envelopes.pullback(self.envelopes.scale(even)))
        )
        low = boundary.signal(self.banks.low_pass.adjoint_each(even.expand_as(self.low)))
        products = [self._product_rows(k, products) for k, products in enumerate(self.products)]
        return boundary.restore(torch.cat([means, low, *products], dim=1))

    def _product_rows(self, k: int, products: Products) -> Tensor:
        """Rows of the averages of products at scale k, (n, c(c + 1)/2, time), arranged.

        With p for the phase of ⟨y_a ȳ_b⟩ the gradient is p y_b in y_a and p̄ y_a in y_b: two terms for each row.
        """
        boundary, envelopes = self.banks.boundary, self.envelopes
        terms = self._filtered_back(k, products)  # (n, a, b, time): the gradient in y_a of its product with y_b
        back = terms[:, :1] / self.banks.scale[k]
        if k > 0:
            some = Modulus(envelopes.y[:, :k])
            on = some.pullback(some.scale(terms[:, 1:].movedim(2, 0)))
            through_envelopes = boundary.signal(self.banks.band_passes.adjoint_each(on)).movedim(0, 2)
            back = torch.cat([back, through_envelopes], dim=1)
        return back[:, products.row, products.column] + back[:, products.column, products.row]

    def _filtered_back(self, k: int, products: Products) -> Tensor:
        """W_kᵀ(p_ab y_b) of all signals at scale k, (n, c, c, time)."""
        boundary, filters = self.banks.boundary, self.banks.each[k]

        def back(signals: Tensor) -> Tensor:
            return boundary.signal(filters.adjoint(signals.unsqueeze(2)))

        signals = products.signals.unflatten(1, (products.count, products.parts)) / products.length
        if products.parts == 1:
            return back(signals).unsqueeze(1).expand(-1, products.count, -1, -1)
        real, imaginary = signals.unbind(2)
        turned = back(boundary.conjugate_(torch.stack([-imaginary, real], dim=2)))
        plain = back(boundary.conjugate_(signals))
        phases = products.phases
        return phases[:, :, 0, :, None] * plain[:, None] + phases[:, :, 1, :, None] * turned[:, None]


def _check_scale(scale: Sequence[float] | None, octaves: int) -> tuple[float, ...]:
    if scale is None:
        return (1.0,) * (octaves + 1)
    values = tuple(float(value) for value in scale)
    if len(values) != octaves + 1:
        raise ValueError(
            f"scale has {len(values)} entries; expected {octaves + 1}, one for each of W0 … W{octaves}."
            " Fit it again with the same J."
        )
    if not all(0.0 < value < math.inf for value in values):
        raise ValueError(
            f"scale is {values}; expected finite numbers above 0, for every filtered path is divided by one."
            " Fit it to paths that move at every scale."
        )
    return values
