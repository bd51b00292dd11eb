"""Closed forms of tridiagonal Toeplitz blocks against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mfmgdm_lib.energies import Autocovariance, StylizedFacts
from mfmgdm_lib.log_determinants.banded import banded_blocks
from mfmgdm_lib.log_determinants.dense import dense_blocks
from mfmgdm_lib.log_determinants.toeplitz import toeplitz_blocks

LENGTH = 70


def paths_and_weights(beside: float, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Three paths, and weights that make A = (1 − share) (I + beside · T)."""
    paths = torch.from_numpy(np.random.default_rng(0).standard_normal((3, LENGTH)))
    weights = torch.tensor([-LENGTH * beside * (1 - share), LENGTH * share / 2], dtype=torch.float64)
    return paths, weights.expand(3, 2)


@pytest.mark.parametrize("share", [0.5, -0.7, 0.0])
@pytest.mark.parametrize("beside", [0.0, 1e-6, -1e-2, 0.3, -0.3, 0.49, 0.6, -0.9])
def test_blocks_are_those_of_dense_algebra(beside, share):
    """Both signs, and both sides of |a| = 2|b|, beyond which a factorisation takes over; 1e-12 is 4500 round-offs."""
    paths, weights = paths_and_weights(beside, share)
    found, expected = (blocks(Autocovariance(), paths, weights) for blocks in (banded_blocks, dense_blocks))
    torch.testing.assert_close(found.log_abs, expected.log_abs, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.gram, expected.gram, rtol=1e-12, atol=1e-12 * float(expected.gram.abs().max()))
    assert (found.non_positive == expected.non_positive).all()


def test_closed_form_is_taken_where_it_is_short():
    """And nowhere else: not near singular blocks, nor for Hessians that depend on the path."""
    for beside, short in ((0.0, True), (0.3, True), (-0.3, True), (0.49, False), (0.6, False)):
        assert (toeplitz_blocks(Autocovariance(), *paths_and_weights(beside, 0.1)) is not None) == short
    paths = paths_and_weights(0.1, 0.1)[0]
    assert toeplitz_blocks(StylizedFacts(lags=1), paths, torch.zeros(3, 3, dtype=torch.float64)) is None
