"""The logarithm of the Bessel function against mpmath, and the kernel of the square-root diffusion made from it."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch

from mfmgdm_lib.processes._bessel import _FAR, _debye_polynomials, _expansion, _power_series, log_hyp0f1e, log_kernel

ORDERS = [-0.999, -0.9, -0.5, 0.0, 1e-9, 0.5, 1.0, 1.0 + 1e-15, 3.7, 20.5, 39.9, 40.1, 350.0, 1e3, 1e4]
ARGUMENTS = [1e-300, 1e-12, 1e-3, 0.5, 1.0, 10.0, 39.9, 40.1, 100.0, 1e3, 1e4, 1e5, 1e6]

# Terms of at most 40 are added below `_FAR`, each good to a few units in its last place, 40 · 2⁻⁵³ = 4e-15. Beyond it
# the largest terms, −order · log((root + order) / 2) and one of at most `order`, cannot cancel: relative error.
ROUND_OFF = 1e-13


def reference(order: float, z: float) -> float:
    with mpmath.workdps(40):
        log_bessel = saddle(order, z) if order >= 1e4 else mpmath.log(mpmath.besseli(order, z, maxterms=10**6))
        return float(log_bessel - z - order * mpmath.log(mpmath.mpf(z) / 2))


def saddle(order: float, z: float) -> mpmath.mpf:
    """Logarithm of I for a whole order, for which mpmath would sum a power series for minutes.

    The path of the integral DLMF 10.32.3 is moved through its saddle point, where nothing cancels; the trapezium rule
    on a whole period is then off by a relative exp(−points² / (2 · root)) = e⁻¹²⁸ and less.
    """
    assert order == int(order)
    root = mpmath.hypot(order, z)
    points = int(16 * mpmath.sqrt(root))
    total = mpmath.mpf(1) / 2
    for j in range(1, points // 2):
        angle = 2 * mpmath.pi * j / points
        damping = root * (mpmath.cos(angle) - 1)
        if damping < -100:
            break
        total += mpmath.exp(damping) * mpmath.cos(order * (mpmath.sin(angle) - angle))
    return root - order * mpmath.asinh(order / mpmath.mpf(z)) + mpmath.log(2 * total / points)


def close(value: float, expected: float) -> bool:
    return abs(value - expected) <= ROUND_OFF * max(1.0, abs(expected))


@pytest.mark.parametrize("order", ORDERS)
def test_logarithm_is_that_of_mpmath(order: float) -> None:
    shape = order + 1.0
    values = log_hyp0f1e(shape, torch.tensor(ARGUMENTS, dtype=torch.float64)).tolist()
    expected = [reference(shape - 1.0, z) for z in ARGUMENTS]
    assert [z for z, ours, theirs in zip(ARGUMENTS, values, expected, strict=True) if not close(ours, theirs)] == []


@pytest.mark.parametrize("z", [0.5, 40.0, 1e3])
def test_both_references_agree(z: float) -> None:
    with mpmath.workdps(40):
        assert mpmath.almosteq(saddle(1000.0, z), mpmath.log(mpmath.besseli(1000, z)), rel_eps=1e-30)


@pytest.mark.parametrize("shape", [1e-300, 1e-12, 1e-3, 0.5, 1.0, 2.0, 41.5, 1e6])
def test_logarithm_at_zero_is_minus_that_of_the_gamma_function(shape: float) -> None:
    (value,) = log_hyp0f1e(shape, torch.zeros(1, dtype=torch.float64)).tolist()
    assert close(value, -math.lgamma(shape))


@pytest.mark.parametrize("shape", [1e-12, 1e-6])
@pytest.mark.parametrize("z", [1e-8, 1e-3, 1.0, 30.0])
def test_orders_next_to_minus_one_keep_their_digits(shape: float, z: float) -> None:
    # The order itself would round shape = 1e-12 to four digits.
    with mpmath.workdps(40):
        expected = mpmath.log(mpmath.hyp0f1(shape, mpmath.mpf(z) ** 2 / 4)) - mpmath.loggamma(shape) - z
    assert close(float(log_hyp0f1e(shape, torch.tensor([z], dtype=torch.float64))), float(expected))


@pytest.mark.parametrize("order", [-0.9, 0.0, 3.7])
def test_series_and_expansion_agree_where_one_takes_over_from_the_other(order: float) -> None:
    z = torch.tensor([_FAR], dtype=torch.float64)
    torch.testing.assert_close(_power_series(order + 1.0, z), _expansion(order, z), rtol=0, atol=ROUND_OFF)


def test_polynomials_of_the_expansion_are_the_tabulated_ones() -> None:
    tabulated = [  # DLMF 10.41.10
        [3 / 24, -5 / 24],
        [81 / 1152, -462 / 1152, 385 / 1152],
        [30375 / 414720, -369603 / 414720, 765765 / 414720, -425425 / 414720],
    ]
    for ours, theirs in zip(_debye_polynomials(), tabulated, strict=False):
        assert ours == pytest.approx(theirs, rel=1e-14)


@pytest.mark.parametrize("shape", [0.1, 0.5, 1.0, 2.0, 2.7, 38.6, 500.0])
def test_derivatives_of_the_kernel_are_those_of_its_values(shape: float) -> None:
    u, v = (torch.tensor(values, dtype=torch.float64) for values in ([0.3, 2.0, 30.0, 400.0], [0.7, 50.0, 20.0, 410.0]))
    arguments = u.requires_grad_(), v.requires_grad_()
    assert torch.autograd.gradcheck(lambda u, v: log_kernel(u, v, shape), arguments)
    assert torch.autograd.gradgradcheck(lambda u, v: log_kernel(u, v, shape), arguments)


@pytest.mark.parametrize("shape", [1e-3, 0.5, 1.0, 2.0, 38.6, 500.0])
def test_kernel_has_its_limits_at_zero(shape: float) -> None:
    u = torch.tensor([0.0, 3.0, 0.0], dtype=torch.float64, requires_grad=True)
    v = torch.tensor([2.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    values = log_kernel(u, v, shape)
    values.sum().backward()
    expected = -torch.tensor([2.0, 3.0, 0.0]).double() - math.lgamma(shape)
    torch.testing.assert_close(values.detach(), expected, rtol=ROUND_OFF, atol=ROUND_OFF)
    # By the power series 1 + uv / shape + …; the logarithms whose difference is taken are of the size of log Γ(shape).
    tolerance = 1e-15 * max(1.0, abs(math.lgamma(shape))) * 4.0 / shape
    torch.testing.assert_close(u.grad, v.detach() / shape - 1.0, rtol=0, atol=tolerance)
    torch.testing.assert_close(v.grad, u.detach() / shape - 1.0, rtol=0, atol=tolerance)


def test_kernel_of_large_arguments_does_not_lose_their_difference() -> None:
    u, v = torch.tensor([1e12], dtype=torch.float64), torch.tensor([1e12 + 1e6], dtype=torch.float64)
    with mpmath.workdps(40):
        a, b = mpmath.mpf(1e12), mpmath.mpf(1e12 + 1e6)
        z = 2 * mpmath.sqrt(a * b)
        expected = mpmath.log(mpmath.besseli(0.5, z)) - mpmath.log(z / 2) / 2 - a - b
    # (√u − √v)² = 1/4 from roots of 10⁶, each rounded to 10⁻¹⁰: 2 · ½ · 10⁻¹⁰ and no more, of terms of 10¹².
    assert float(log_kernel(u, v, 1.5)) == pytest.approx(float(expected), abs=3e-10)
