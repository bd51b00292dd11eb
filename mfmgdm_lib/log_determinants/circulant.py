"""Exact log-determinants of circulant blocks by the fast Fourier transform, in O(d log d) for each path."""

from __future__ import annotations

import torch
from torch import Tensor

from mfmgdm_lib._fields import CHUNK_POINTS, half_weights, power
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.energies.transforms import FlatEnergy
from mfmgdm_lib.log_determinants.determinant_lemma import Blocks

__all__ = ["circulant_blocks", "half_spectra"]


def circulant_blocks(
    energy: Energy, x: Tensor, weights: Tensor, moved: Tensor | None = None, *, coupled: bool = True
) -> Blocks:
    r"""Return the blocks that `dense_blocks` returns, for quadratic forms ½ xᵀH_k x with circulant H_k.

    The Fourier basis diagonalises all H_k. With their eigenvalues h_k(ω) a block A = I − Σ_k w_k H_k is a linear filter
    with the values λ(ω) = 1 − Σ_k w_k h_k(ω), and the rows of J are H_k x, so

    .. math:: \log |\det A| = \sum_\omega \log |\lambda(\omega)|, \qquad
              (J A^{-1} J^\top)_{kl} = \frac1d \sum_\omega \frac{h_k(\omega) h_l(\omega) |\hat x(\omega)|^2}
              {\lambda(\omega)} .

    In an ensemble the weights are the same for all paths, and so is the filter. With autocovariances
    h_k = (2/d) cos ω·τ_k.

    Args:
        energy: Φ, `circulant`, of paths that are laid out flat.
        x: paths, (N, d).
        weights: w, (N, K).
        moved: None; where some entries stay the blocks are not circulant.
        coupled: whether J A⁻¹ Jᵀ is wanted.
    """
    if moved is not None:
        raise ValueError(
            "some entries stay where they are; expected a support in which all can move. Use determinants='dense' or"
            " 'stochastic'."
        )
    spectra, counts = (part.to(x.device) for part in half_spectra(energy))
    weights = weights.double()
    common = bool((weights == weights[:1]).all())
    filters = 1.0 - (weights[:1] if common else weights) @ spectra
    log_abs, non_positive = filters.abs().log() @ counts, ((filters <= 0) * counts).sum(-1).long()
    if not coupled:
        gram = weights.new_zeros((len(x), 0, 0))
    else:
        gram = _grams(x.double(), spectra, counts / x.shape[-1], filters, energy)
    return Blocks(log_abs.expand(len(x)).clone(), non_positive.expand(len(x)).clone(), gram)


def half_spectra(energy: Energy) -> tuple[Tensor, Tensor]:
    """Eigenvalues of the Hessians of a flat energy at half of the frequencies, (K, F), and how many each stands for."""
    shape = _layout(energy)
    spectra = energy.hessian_spectra(shape)
    return spectra.flatten(1), half_weights(shape[-1]).expand(spectra.shape[1:]).flatten()


def _layout(energy: Energy) -> tuple[int, ...]:
    """The shape of the paths that come flat."""
    if not isinstance(energy, FlatEnergy):
        raise TypeError(f"{energy!r} is no energy of fields that are laid out flat. Use flat_energy(energy, shape).")
    return energy.shape


def _grams(x: Tensor, spectra: Tensor, counts: Tensor, filters: Tensor, energy: Energy) -> Tensor:
    """J A⁻¹ Jᵀ of each path, (N, K, K); each pair of energies is calculated once."""
    rows, columns = torch.triu_indices(len(spectra), len(spectra))
    products = spectra[rows] * spectra[columns] * counts
    if len(filters) == 1:
        products = products / filters
    shape, size = _layout(energy), max(1, CHUNK_POINTS // x.shape[-1])
    axes, found = tuple(range(-len(shape), 0)), []
    for part, own in zip(x.split(size), filters.expand(len(x), -1).split(size), strict=True):
        spectrum = power(part.unflatten(-1, shape), axes).flatten(1)
        found.append((spectrum if len(filters) == 1 else spectrum / own) @ products.mT)
    upper = torch.cat(found)
    gram = upper.new_empty((len(x), len(spectra), len(spectra)))
    gram[:, rows, columns] = upper
    gram[:, columns, rows] = upper
    return gram
