"""Lanczos: functions of matrices times vectors, against dense algebra."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mfmgdm_lib._lanczos import lanczos


def test_exponential_times_a_vector_is_that_of_the_matrix(noise: Callable[..., Tensor]) -> None:
    roots, start = noise(3, 12, 12), noise(3, 12, seed=1)
    matrices = roots @ roots.mT / 12
    # One whose space is exhausted after two products, and one without any vector.
    matrices[1] = torch.diag(torch.tensor([1.0, 3.0]).double().repeat(6))
    start[2] = 0.0
    values, vectors = lanczos(lambda v: (matrices @ v[..., None])[..., 0], start, lambda *_: True)
    found = vectors @ (torch.exp(-values)[..., None] * (vectors.mT @ start[..., None]))
    expected = torch.linalg.matrix_exp(-matrices) @ start[..., None]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_few_products_do_and_the_next_component_says_how_well(noise: Callable[..., Tensor]) -> None:
    matrix = torch.diag(torch.linspace(0.0, 1.0, 200, dtype=torch.float64))
    start, counts = noise(1, 200), []

    def left(values: Tensor, first: Tensor, last: Tensor) -> bool:
        counts.append(values.shape[-1])
        return float((first * last * torch.exp(-values)).sum().abs()) > 1e-10

    values, vectors = lanczos(lambda v: v @ matrix, start, left)
    found = (vectors @ (torch.exp(-values)[..., None] * (vectors.mT @ start[..., None])))[0, :, 0]
    # A polynomial of degree 10 is as near to e^{-x} on [0, 1] as 10⁻¹⁴.
    assert counts == list(range(1, len(counts) + 1)) and len(counts) < 12
    assert float((found - torch.exp(-matrix.diagonal()) * start[0]).norm()) < 1e-9 * float(start.norm())
