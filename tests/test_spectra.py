"""Energy iv: reference values, the definition written out, its scale, symmetries, and files."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Energy, ScatteringSpectra
from mfmgdm_lib.energies.scattering import spectra

REFERENCE = np.load(Path(__file__).parent / "fixtures" / "energies_T1024.npz")
X = torch.from_numpy(REFERENCE["x"])
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
wavelets = pytest.mark.parametrize("wavelet", spectra.WAVELETS)


def made_of(reference_label: str) -> tuple[tuple[tuple[int, ...], ...], bool, str]:
    """Scales of the signals, whether the value is a mean modulus or square, and the part, from a reference label."""
    kind, left, right, second, part = (piece.rpartition("=")[2] for piece in reference_label.split("|"))
    part = {"real": "real", "abs": "modulus"}[part]
    match kind:
        case "spars" | "mean":
            return ((int(left),),), kind == "spars", part
        case "variance":
            return ((int(left),), (int(left),)), True, part
        case "skewness":
            return ((int(right), int(second)), (int(second),)), False, part
    return ((int(left), int(second)), (int(right), int(second))), left == right, part


@dtypes
def test_all_values_are_those_of_the_reference(dtype: torch.dtype) -> None:
    energy = ScatteringSpectra(1024, scale=np.sqrt(REFERENCE["spectra_sigma2"].astype(np.float64)))
    places = {(made.scales, made.label.startswith("⟨|"), made.part): k for k, made in enumerate(energy.coefficients)}
    order = [places[made_of(label)] for label in REFERENCE["spectra_labels"]]
    assert sorted(order) == list(range(128))
    values, expected = energy(X.to(dtype)).double().numpy()[:, order], REFERENCE["scattering_spectra"]
    # Averages of products cancel; their round-off is relative to the two signals' sizes, all of order 1 here.
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    if dtype == torch.float64:
        np.testing.assert_allclose(values, expected, rtol=1e-5)


def written_out(x: Tensor, wavelet: str, octaves: int, scale: np.ndarray) -> Tensor:
    """The definition, with complex filters on 2d points: values in the order of the energy, for one path (time,)."""
    length = len(x)
    bank = spectra.filter_bank(wavelet, length, octaves)
    filters = torch.from_numpy(np.concatenate([bank.band_passes, bank.low_pass[None]]))

    def through(j: int, signal: Tensor) -> Tensor:
        return torch.fft.ifft(torch.fft.fft(torch.cat([signal, signal.flip(-1)])) * filters[j])[:length]

    first = [through(j, x) / scale[j] for j in range(octaves + 1)]
    values = [first[j].abs().mean() for j in range(octaves)] + [first[octaves].mean().real]
    for k in range(octaves + 1):
        signals = [first[k], *(through(k, first[j].abs()) for j in range(k))]
        for a, left in enumerate(signals):
            for b, right in enumerate(signals[: a + 1]):
                average = (left * right.conj()).mean()
                values.append(average.real if a == b or k == octaves else average.abs())
    return torch.stack(values)


@wavelets
@pytest.mark.parametrize("octaves", [2, 5, 8])
def test_values_are_the_definition_written_out(wavelet: str, octaves: int, noise: Callable[..., Tensor]) -> None:
    scale = np.linspace(1.2, 0.4, octaves + 1)
    energy, x = ScatteringSpectra(256, scale=scale, J=octaves, wavelet=wavelet), noise(3, 256) + 0.3
    expected = torch.stack([written_out(path, wavelet, octaves, scale) for path in x])
    torch.testing.assert_close(energy(x), expected, rtol=0, atol=1e-13)
    assert energy.dim == expected.shape[1]


@wavelets
def test_derivatives_of_the_length_of_the_paper_are_those_of_automatic_differentiation(
    wavelet: str, noise: Callable[..., Tensor]
) -> None:
    energy = ScatteringSpectra(1024, wavelet=wavelet, scale=np.linspace(1.2, 0.4, 8))
    x, vectors, weights = noise(2, 1024), noise(2, 1024, seed=2), noise(2, 128, seed=1)
    force, product = energy.linearize(x, weights)
    expected, expected_product = Energy.linearize(energy, x, weights)
    pairs = [(force, expected), (product(vectors), expected_product(vectors))]
    pairs.append((energy.jacobian(x), Energy.jacobian(energy, x)))
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13 * float(theirs.abs().max()) * 1024**0.5)


def test_fitted_scale_is_that_of_the_reference() -> None:
    energy = ScatteringSpectra(1024).fit_scale(mm.processes.AR([0.1]), seed=(3, 12345))
    np.testing.assert_allclose(np.square(energy.scale), REFERENCE["spectra_sigma2"], rtol=1e-6)


def test_scaled_paths_have_a_mean_square_of_one_at_every_scale(noise: Callable[..., Tensor]) -> None:
    process = mm.processes.AR([0.6])
    energy = ScatteringSpectra(256).fit_scale(process, n_samples=700, seed=5)
    paths = process.sample(700, 256, seed=5)  # in one go: the scale is fitted in chunks
    squares = [k for k, made in enumerate(energy.coefficients) if made.scales in {((j,), (j,)) for j in range(8)}]
    torch.testing.assert_close(energy(paths).mean(0)[squares], torch.ones(8).double(), rtol=0, atol=1e-12)
    assert energy.powers(paths.reshape(7, 100, 256)).shape == (7, 100, 8)


def test_scale_of_a_series_is_that_of_its_windows(noise: Callable[..., Tensor]) -> None:
    series = noise(600)
    energy = ScatteringSpectra(256).fit_scale_to_data(series)
    windows = torch.stack([series[:256], series[172:428], series[344:]])
    expected = ScatteringSpectra(256).powers(windows).mean(0).sqrt()
    torch.testing.assert_close(torch.tensor(energy.scale, dtype=torch.float64), expected, rtol=1e-12, atol=0)


@wavelets
def test_energy_scales_by_order_and_its_band_passes_ignore_the_level(
    wavelet: str, noise: Callable[..., Tensor]
) -> None:
    energy, x = ScatteringSpectra(256, wavelet=wavelet), noise(3, 256)
    power = torch.tensor([len(made.scales) for made in energy.coefficients])  # products go with the square
    assert torch.equal(energy(2 * x), energy(x) * 2.0**power)
    # Only the path's own low frequencies know its level: W7 x, alone and with the envelopes'.
    knows = torch.tensor([(7,) in made.scales for made in energy.coefficients])
    raised = energy(x + 5)
    torch.testing.assert_close(raised[:, ~knows], energy(x)[:, ~knows], rtol=0, atol=1e-12)
    assert ((raised - energy(x))[:, knows].abs() > 0.1).all()


def test_energy_does_not_see_the_direction_of_time(noise: Callable[..., Tensor]) -> None:
    energy, x = ScatteringSpectra(256), noise(256).cumsum(-1).square() / 100
    torch.testing.assert_close(energy(x.flip(-1)), energy(x), rtol=1e-11, atol=1e-12)


@dtypes
@pytest.mark.parametrize("level", [0.0, 3.7], ids=["zero", "constant"])
def test_derivatives_are_finite_where_all_moduli_vanish(
    dtype: torch.dtype, level: float, noise: Callable[..., Tensor]
) -> None:
    energy, x = ScatteringSpectra(256), torch.full((2, 256), level, dtype=dtype)
    weights, vectors = noise(2, energy.dim).to(dtype), noise(2, 256, seed=1).to(dtype)
    force, product = energy.linearize(x, weights)
    for result in (energy(x), energy.gradient(x, weights), force, product(vectors), energy.jacobian(x)):
        assert torch.isfinite(result).all()


def test_each_value_says_what_it_is_made_of() -> None:
    energy = ScatteringSpectra(1024)
    orders = [made.order for made in energy.coefficients]
    assert (orders.count(1), orders.count(2)) == (16, 112)
    parts = [made.part for made in energy.coefficients]
    assert (parts.count("real"), parts.count("modulus")) == (72, 56)
    made = energy.coefficients[energy.labels.index("|⟨W4|W2 x|, W4|W1 x|⟩|")]
    assert made.scales == ((2, 4), (1, 4)) and made.part == "modulus"


def test_saved_energy_is_the_same_one(tmp_path: Path, noise: Callable[..., Tensor]) -> None:
    energy = ScatteringSpectra(256, J=5, wavelet="morlet").fit_scale_to_data(noise(1000))
    path = energy.save(tmp_path / "spectra")
    assert path == tmp_path / "spectra.npz" and [*tmp_path.iterdir()] == [path]
    again = ScatteringSpectra.load(path)
    assert (again.length, again.J, again.wavelet, again.scale) == (256, 5, "morlet", energy.scale)
    assert torch.equal(again(noise(2, 256)), energy(noise(2, 256)))


def test_target_of_a_series_is_averaged_over_windows_that_cover_it(noise: Callable[..., Tensor]) -> None:
    energy, series = ScatteringSpectra(256), noise(700)
    target = mm.target_from_data(energy, series)
    starts = [0, 222, 444]
    windows = energy(torch.stack([series[start : start + 256] for start in starts]))
    torch.testing.assert_close(target.mean, windows.mean(0), rtol=0, atol=1e-14)
    torch.testing.assert_close(target.standard_error, windows.std(0) / 3**0.5, rtol=0, atol=1e-14)
    assert target.source == "3 windows of 256 points of one series"
    alone = mm.target_from_data(energy, series[:256])
    torch.testing.assert_close(alone.mean, windows[0], rtol=0, atol=1e-14)
    assert alone.standard_error.isnan().all()
    assert all(after - before <= 256 for before, after in pairwise(starts))
