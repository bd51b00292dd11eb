"""First and second derivatives of the nonlinearities against automatic differentiation, and at their kinks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import grad, vjp

from mfmgdm_lib.energies.scattering.nonlinearities import Identity, Modulus, Nonlinearity, Rectifier

KINDS: dict[str, tuple[type[Nonlinearity], int]] = {
    "identity": (Identity, 1),
    "modulus": (Modulus, 2),
    "rectifier": (Rectifier, 1),
}
kinds = pytest.mark.parametrize(("kind", "parts"), KINDS.values(), ids=list(KINDS))


@kinds
def test_pullback_pushforward_and_its_change_are_the_derivatives(
    kind: type[Nonlinearity], parts: int, noise: Callable[..., Tensor]
) -> None:
    y, dy = noise(3, parts, 50), noise(3, parts, 50, seed=1)
    a, da = noise(3, 50, seed=2), noise(3, 50, seed=3)
    here = kind(y)
    exact = {"rtol": 0, "atol": 1e-12}
    _, pull_back = vjp(lambda y: kind(y).value, y)
    torch.testing.assert_close(here.pullback(here.scale(a)), pull_back(a)[0], **exact)
    torch.testing.assert_close((here.pushforward(dy) * a).sum(), (dy * here.pullback(here.scale(a))).sum(), **exact)

    def gradient(y: Tensor, a: Tensor) -> Tensor:
        return grad(lambda y: (kind(y).value * a).sum())(y)

    _, second_back = vjp(gradient, y, a)
    # What the gradient changes by along (dy, da), tested against any direction: the adjoint of the transpose.
    other = noise(3, parts, 50, seed=4)
    along_y, along_a = second_back(other)
    expected = (along_y * dy).sum() + (along_a * da).sum()
    torch.testing.assert_close(
        (here.pullback_change(here.scale(a), da, dy.clone()) * other).sum(), expected, rtol=0, atol=1e-10
    )
    torch.testing.assert_close(
        here.pullback_change(here.scale(a), None, dy.clone()),
        here.pullback_change(here.scale(a), torch.zeros_like(a), dy.clone()),
        **exact,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-12, 1e-3])
def test_modulus_and_its_derivatives_are_finite_however_small_it_is(dtype: torch.dtype, size: float) -> None:
    y = size * torch.tensor([[3.0, -1.0, 0.0], [4.0, 0.0, 0.0]], dtype=dtype)
    dy, a = torch.ones_like(y), torch.ones(3, dtype=dtype)
    here = Modulus(y)
    torch.testing.assert_close(here.value, size * torch.tensor([5.0, 1.0, 0.0], dtype=dtype), rtol=1e-6, atol=1e-12)
    for result in (
        here.pullback(here.scale(a)),
        here.pushforward(dy),
        here.pullback_change(here.scale(a), a, dy.clone()),
    ):
        assert torch.isfinite(result).all()
    leaf = y.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(Modulus(leaf).value.sum(), leaf, create_graph=True)
    (curved,) = torch.autograd.grad((gradient * dy).sum(), leaf)
    assert torch.isfinite(gradient).all() and torch.isfinite(curved).all()
    if size == 0.0:
        assert not here.pullback(here.scale(a)).any() and not gradient.any() and not curved.any()


def test_rectifier_has_no_slope_at_zero() -> None:
    here = Rectifier(torch.tensor([[-1.0, 0.0, 2.0]]))
    assert here.value.tolist() == [0.0, 0.0, 2.0]
    assert here.pullback(here.scale(torch.ones(3))).tolist() == [[0.0, 0.0, 1.0]]
