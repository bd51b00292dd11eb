"""Wavelet energies of fields: kymatio's filters, direct convolutions, derivatives, symmetries, kinks and refusals."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from mfmgdm_lib.energies import Energy, FieldScatteringMean, RecordedEnergy, WaveletL1, base
from mfmgdm_lib.energies.scattering import fields
from mfmgdm_lib.energies.scattering.field_filters import FieldFilters
from mfmgdm_lib.energies.scattering.fields import make_banks
from mfmgdm_lib.energies.scattering.wavelets import morlet_2d

KINDS = {"one layer": WaveletL1, "two layers": FieldScatteringMean}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


def kymatio_wavelets(shape: tuple[int, int], octaves: int, angles: int) -> list[np.ndarray]:
    """Kymatio's wavelets in space, complex64 (H, W), in the order and with the numbers of its filter bank."""
    from kymatio.scattering2d.filter_bank import morlet_2d as wavelet

    return [
        wavelet(
            *shape, 0.8 * 2**j, (int(angles - angles / 2 - 1) - place) * np.pi / angles, 0.75 * np.pi / 2**j, 4 / angles
        )
        for j in range(octaves)
        for place in range(angles)
    ]


@pytest.mark.parametrize(
    ("shape", "octaves", "angles"), [((32, 32), 5, 2), ((16, 32), 4, 8), ((9, 20), 3, 3), ((8, 8), 3, 1)]
)
def test_filters_are_those_of_kymatio(shape: tuple[int, int], octaves: int, angles: int) -> None:
    ours = morlet_2d(shape, octaves, angles).reshape(-1, *shape)
    for filter_, wavelet in zip(ours, kymatio_wavelets(shape, octaves, angles), strict=True):
        theirs = np.fft.fft2(wavelet).real
        # Theirs are sums of up to 25 terms in single precision, and ours are cut at 2⁻²⁴ of the peak.
        np.testing.assert_allclose(filter_, theirs, rtol=0, atol=2.0**-22 * np.abs(theirs).max())


def test_filters_are_those_of_the_bank_of_kymatio_itself() -> None:
    from kymatio.scattering2d.filter_bank import filter_bank

    theirs = np.stack([made["levels"][0] for made in filter_bank(8, 8, 2, 4)["psi"]])
    np.testing.assert_allclose(morlet_2d((8, 8), 2, 4).reshape(-1, 8, 8), theirs, rtol=0, atol=2.0**-22)


def test_filters_are_made_once_and_cannot_be_changed() -> None:
    assert morlet_2d((8, 8), 2, 2) is morlet_2d((8, 8), 2, 2)
    with pytest.raises(ValueError, match="read-only"):
        morlet_2d((8, 8), 2, 2)[0, 0, 0, 0] = 1.0


def convolved(x: np.ndarray, wavelet: np.ndarray) -> np.ndarray:
    """Σ_v x(v) ψ(u − v) on a torus, as a sum over all points."""
    total = np.zeros(x.shape, dtype=complex)
    for place in np.ndindex(*x.shape):
        total += x[place] * np.roll(wavelet.astype(complex), place, axis=(0, 1))
    return total


@dtypes
def test_values_are_means_of_moduli_of_direct_convolutions_with_kymatios_wavelets(
    dtype: torch.dtype, noise: Callable[..., Tensor]
) -> None:
    shape, x = (24, 16), noise(24, 16)
    wavelets = kymatio_wavelets(shape, 2, 2)
    first = [np.abs(convolved(x.numpy(), wavelet)) for wavelet in wavelets]
    second = [np.abs(convolved(first[a], wavelets[b])) for a in (0, 1) for b in (2, 3)]
    energy = FieldScatteringMean(shape, J=2, angles=2)
    assert energy.labels[4:] == tuple(f"⟨|W1∠{b}|W0∠{a} x||⟩" for a in (0, 1) for b in (0, 1))
    values = energy(x.to(dtype)).double().numpy()
    # Kymatio's single precision, 10⁻⁷ of each filter's peak at each frequency, and ours where it is asked for.
    np.testing.assert_allclose(values, [signal.mean() for signal in first + second], rtol=2e-6)
    np.testing.assert_allclose(WaveletL1(shape, J=2, angles=2)(x), values[:4], rtol=2e-6)


def by_whole_ffts(x: Tensor, energy: RecordedEnergy) -> Tensor:
    """The values with every filter on the whole grid."""
    bank = torch.from_numpy(morlet_2d(energy.shape, energy.J, energy.angles).copy())
    first = torch.fft.ifft2(torch.fft.fft2(x)[..., None, None, :, :] * bank).abs()
    values = first.mean((-2, -1)).flatten(-2)
    if isinstance(energy, WaveletL1):
        return values
    parts = [values]
    for j in range(energy.J - 1):
        spectrum = torch.fft.fft2(first[..., j, :, :, :])[..., None, None, :, :]
        parts.append(torch.fft.ifft2(spectrum * bank[j + 1 :]).abs().mean((-2, -1)).flatten(-3))
    return torch.cat(parts, -1)


# The slower octaves of these are taken through windows, of columns that lie apart; both are no square.
CASES = {
    "one layer": WaveletL1((32, 40), J=4, angles=5),
    "two layers": FieldScatteringMean((40, 32), J=4, angles=3),
}
cases = pytest.mark.parametrize("energy", CASES.values(), ids=list(CASES))


def windows(energy: RecordedEnergy) -> list[bool]:
    banks = make_banks(energy.shape, energy.J, energy.angles, torch.float64, torch.device("cpu"))
    return [bank._index is not None for octave in banks for bank in octave]


@cases
def test_ffts_of_a_window_of_frequencies_give_what_whole_ones_do(
    energy: RecordedEnergy, noise: Callable[..., Tensor]
) -> None:
    assert any(windows(energy)) and not all(windows(energy))
    x = noise(2, 3, *energy.shape)
    torch.testing.assert_close(energy(x), by_whole_ffts(x, energy), rtol=1e-13, atol=0)


@cases
def test_derivatives_are_those_of_automatic_differentiation(
    energy: RecordedEnergy, noise: Callable[..., Tensor]
) -> None:
    x, vectors, weights = noise(2, *energy.shape), noise(2, *energy.shape, seed=1), noise(2, energy.dim, seed=2)
    force, product = energy.linearize(x, weights)
    expected, expected_product = Energy.linearize(energy, x, weights)
    push, pull = energy.jacobian_products(x)
    rows, expected_rows = energy.jacobian(x), Energy.jacobian(energy, x)
    # Round-off of an FFT of some 10³ points, 10⁻¹⁵ of the largest of what it takes in; a modulus near 0, of some 10⁻³
    # of the others here, divides it.
    close = partial(torch.testing.assert_close, rtol=0, atol=1e-12)
    for ours in (force, energy.gradient(x, weights), pull(weights)):
        close(ours, expected)
    close(product(vectors), expected_product(vectors))
    close(rows, expected_rows)
    close(push(vectors), torch.einsum("nkhw,nhw->nk", expected_rows, vectors))


@cases
def test_derivatives_are_the_limits_of_differences(energy: RecordedEnergy, noise: Callable[..., Tensor]) -> None:
    x, vector, weights = noise(*energy.shape), noise(*energy.shape, seed=1), noise(energy.dim, seed=2)
    step = 1e-5
    force, product = energy.linearize(x, weights)
    change = (energy(x + step * vector) - energy(x - step * vector)) @ weights / (2 * step)
    bend = (energy.gradient(x + step * vector, weights) - energy.gradient(x - step * vector, weights)) / (2 * step)
    # Differences are off by step² times third derivatives, which grow as 1 / |y|² at the smallest modulus, and by
    # round-off over the step.
    assert float((force * vector).sum()) == pytest.approx(float(change), rel=1e-6)
    torch.testing.assert_close(product(vector), bend, rtol=0, atol=1e-5 * float(bend.abs().max()))


@cases
def test_banks_and_chunks_change_nothing(
    energy: RecordedEnergy, noise: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, weights, vectors = noise(5, *energy.shape), noise(5, energy.dim, seed=1), noise(5, *energy.shape, seed=2)

    def everything() -> list[Tensor]:
        force, product = energy.linearize(x, weights)
        return [energy(x), energy.gradient(x, weights), force, product(vectors), energy.jacobian(x)]

    whole = everything()
    points = energy.shape[0] * energy.shape[1]
    monkeypatch.setattr(base, "_CACHE_BYTES", {"cpu": 2 * points * 8 * energy._signals})
    monkeypatch.setattr(fields, "_BANK_BYTES", 2 * points * 16)
    make_banks.cache_clear()
    try:
        assert energy._chunk_size(x) == 2 and len(windows(energy)) == energy.J * -(-energy.angles // 2)
        for at_once, in_parts in zip(whole, everything(), strict=True):
            torch.testing.assert_close(in_parts, at_once, rtol=1e-12, atol=1e-13)
    finally:
        make_banks.cache_clear()


@kinds
def test_energy_does_not_change_with_a_shift_or_the_level_and_doubles_with_the_field(
    kind: type[RecordedEnergy], noise: Callable[..., Tensor]
) -> None:
    energy, x = kind((32, 16), J=4, angles=3), noise(3, 32, 16)
    torch.testing.assert_close(energy(x.roll((5, -3), (-2, -1))), energy(x), rtol=0, atol=1e-13)
    torch.testing.assert_close(energy(x + 5), energy(x), rtol=0, atol=1e-12)
    assert torch.equal(energy(2 * x), 2 * energy(x))


def test_turning_a_field_turns_the_angles(noise: Callable[..., Tensor]) -> None:
    energy, x = WaveletL1((32, 32), J=2, angles=8), noise(32, 32)
    values, turned = (energy(field).reshape(2, 8) for field in (x, x.rot90()))
    # Half of the angles make a right angle; filters are cut at 2⁻²⁴ of their peak.
    torch.testing.assert_close(turned, values.roll(4, -1), rtol=1e-6, atol=0)
    assert (turned / values - 1).abs().max() > 0.01


@kinds
@dtypes
@pytest.mark.parametrize("level", [0.0, 3.7], ids=["zero", "constant"])
def test_derivatives_are_finite_where_all_moduli_vanish(
    kind: type[RecordedEnergy], dtype: torch.dtype, level: float, noise: Callable[..., Tensor]
) -> None:
    energy = kind((16, 16), J=4, angles=2)
    x = torch.full((2, 16, 16), level, dtype=dtype)
    weights, vectors = noise(2, energy.dim).to(dtype), noise(2, 16, 16, seed=1).to(dtype)
    force, product = energy.linearize(x, weights)
    for result in (energy(x), energy.gradient(x, weights), force, product(vectors), energy.jacobian(x)):
        assert torch.isfinite(result).all()
    assert energy(x).abs().max() < 1e-5 * (1 + level)
    if level == 0.0:
        assert not force.any() and not product(vectors).any()


def test_float32_is_float64_to_its_round_off(noise: Callable[..., Tensor]) -> None:
    for energy in CASES.values():
        x, weights = noise(2, *energy.shape), noise(2, energy.dim, seed=1)
        exact = energy.gradient(x, weights)
        single = energy.gradient(x.float(), weights.float())
        assert single.dtype == torch.float32
        # Phases of moduli at 10⁻³ of the others have 10³ times the round-off of an FFT.
        torch.testing.assert_close(single.double(), exact, rtol=0, atol=1e-4 * float(exact.abs().max()))


def test_numbers_of_values_are_those_of_the_later_version_of_the_paper() -> None:
    assert WaveletL1((32, 32)).dim == 40 and WaveletL1((256, 256), J=7).dim == 56
    assert FieldScatteringMean((32, 32)).dim == 10 + 40 and FieldScatteringMean((256, 256), J=7).dim == 14 + 84


def test_making_an_energy_makes_no_filters_and_using_it_makes_them_once(noise: Callable[..., Tensor]) -> None:
    make_banks.cache_clear()
    energy = WaveletL1((16, 8), J=3, angles=2)
    assert make_banks.cache_info().currsize == 0
    energy(noise(16, 8))
    energy(noise(2, 16, 8))
    energy(noise(16, 8).float())
    assert make_banks.cache_info().misses == 2  # one for each dtype


def test_filters_that_were_made_in_inference_mode_serve_autograd_too(noise: Callable[..., Tensor]) -> None:
    make_banks.cache_clear()
    energy, x = WaveletL1((8, 8), J=2, angles=2), noise(2, 8, 8)
    with torch.inference_mode():
        energy(x)
    assert torch.isfinite(Energy.gradient(energy, x, noise(2, 4))).all()


def test_a_window_of_frequencies_reaches_round_the_origin() -> None:
    filters = np.zeros((2, 8, 8))
    filters[0, [7, 0, 1], [0, 1, 7]] = filters[1, 3, 3] = 1.0
    bank = FieldFilters(filters, torch.float64, torch.device("cpu"))
    assert bank._weights.shape == (2, 3, 3)  # frequencies −1, 0 and 1, and for the other as many
    spectrum = torch.ones(1, 64, dtype=torch.complex128)
    whole = torch.fft.ifft2(torch.from_numpy(filters)).flatten(-2)
    torch.testing.assert_close(bank(spectrum)[0].abs(), whole.abs(), rtol=0, atol=1e-16)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: WaveletL1((8, 32)), ValueError, r"J is 5; expected at most 3, .* into the 8 points.*larger fields"),
        (lambda: WaveletL1((32, 32), J=0), ValueError, r"J is 0; expected a whole number of at least 1"),
        (lambda: WaveletL1((32, 32), angles=2.0), TypeError, r"angles is 2.0 .*expected a whole number"),
        (lambda: WaveletL1(32), TypeError, r"shape is 32; expected two whole numbers, height and width.*\(32, 32\)"),
        (lambda: FieldScatteringMean((3, 32, 32)), TypeError, r"shape is \(3, 32, 32\); expected two whole numbers"),
        (lambda: FieldScatteringMean((32, "32")), TypeError, r"shape\[1\] is '32' \(str\)"),
        (
            lambda: WaveletL1((32, 32))(torch.zeros(32, 32, 3)),
            ValueError,
            r"x has shape \(32, 32, 3\); expected \(\*, 32, 32\), the paths of WaveletL1.*an energy made for theirs",
        ),
        (lambda: WaveletL1((32, 32))(torch.zeros(32)), ValueError, r"x has shape \(32,\); expected \(\*, 32, 32\)"),
        (
            lambda: WaveletL1((32, 32))(torch.full((32, 32), torch.nan)),
            ValueError,
            r"x has 1024 entries that are NaN or infinite, the first at index \(0, 0\)",
        ),
        (lambda: WaveletL1((32, 32))(torch.zeros(32, 32, dtype=torch.uint8)), TypeError, r"expected a real floating"),
    ],
    ids=["small field", "J", "angles", "side", "colour", "text", "channels last", "series", "NaN", "bytes"],
)
def test_what_does_not_fit_is_refused(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
