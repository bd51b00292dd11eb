"""The scattering energies: speed relative to autodiff and to FFTs alone, memory, and scaling."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from measure import best_of

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Energy, ScatteringCovariance, ScatteringMean, ScatteringSpectra
from mfmgdm_lib.energies.scattering.wavelets import battle_lemarie, morlet
from mfmgdm_lib.statistics import fitted_exponent

# The kind; seconds wanted for a gradient with one Hessian-vector product of 128 paths of 1024 points in float32; and
# the real FFTs that a path takes from its first point to the last value, which every derivative takes once more.
ENERGIES = {
    "ii, mean": (ScatteringMean, 0.15, 1 + 8 + 4 + 48),
    "iii, covariance": (ScatteringCovariance, 0.3, 1 + 8 + 8 + 48),
    "iv, spectra": (ScatteringSpectra, 0.5, 1 + 15 + 7 + 49),
}
every_energy = pytest.mark.parametrize("name", ENERGIES)


def inputs(energy: Energy, n_paths: int = 128, length: int = 1024) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    shapes = ((n_paths, length), (n_paths, energy.dim), (n_paths, length))
    return tuple(torch.from_numpy(rng.standard_normal(shape)).float() for shape in shapes)


def gradient_and_product(energy: Energy, x: torch.Tensor, weights: torch.Tensor, vectors: torch.Tensor) -> None:
    _, product = energy.linearize(x, weights)
    product(vectors)


class Plain(Energy):
    """An energy as one would first write it, with complex FFTs and derivatives by autodiff."""

    def __init__(self, energy: Energy) -> None:
        self.labels, self.length, self.kind = energy.labels, energy.length, type(energy)
        octaves = energy.J
        if self.kind is ScatteringSpectra:
            bank = battle_lemarie(2 * energy.length, octaves)
            self.filters = torch.tensor(np.concatenate([bank.band_passes, bank.low_pass[None]]), dtype=torch.complex64)
        else:
            self.filters = torch.tensor(morlet(energy.length, octaves).band_passes[:6], dtype=torch.complex64)

    def _evaluate(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind is ScatteringSpectra:
            return self.spectra(x)
        first = self.filtered(x, self.filters[:4])
        if self.kind is ScatteringMean:
            first = first.abs()
            second = self.filtered(first, self.filters).abs()
            return torch.cat([first.mean(-1), second.mean(-1).flatten(-2)], -1)
        turned = torch.exp(torch.tensor([[0.0], [-1j * np.pi / 3]], dtype=torch.complex64))
        first = (first.unsqueeze(-2) * turned).real.relu().flatten(-3, -2)
        second = self.filtered(first, self.filters).real.relu().flatten(-3, -2)
        signals = torch.cat([first, second], -2)
        signals = signals - signals.mean(-1, keepdim=True)
        row, column = torch.triu_indices(56, 56)
        return (signals @ signals.mT)[..., row, column] / (x.shape[-1] - 1)

    def filtered(self, x: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
        return torch.fft.ifft(torch.fft.fft(x).unsqueeze(-2) * filters)

    def spectra(self, x: torch.Tensor) -> torch.Tensor:
        def through(signals: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
            reflected = torch.cat([signals, signals.flip(-1)], -1)
            return self.filtered(reflected, filters)[..., : x.shape[-1]]

        first = through(x, self.filters)
        octaves = len(self.filters) - 1
        values = [first[..., :octaves, :].abs().mean(-1), first[..., octaves:, :].real.mean(-1)]
        for k in range(octaves + 1):
            signals = first[..., k : k + 1, :]
            if k > 0:
                second = through(first[..., :k, :].abs(), self.filters[k : k + 1]).squeeze(-2)
                signals = torch.cat([signals, second], -2)
            row, column = torch.tril_indices(k + 1, k + 1)
            averages = (signals @ signals.mH / x.shape[-1])[..., row, column]
            real = (row == column) | torch.tensor(k == octaves)
            values.append(torch.where(real, averages.real, averages.abs()))
        return torch.cat(values, -1)


def straightforward(energy: Energy, x: torch.Tensor, weights: torch.Tensor, vectors: torch.Tensor) -> None:
    """The same by automatic differentiation, in chunks of 16 paths, the fastest of some sizes."""
    for chunk in zip(x.split(16), weights.split(16), vectors.split(16), strict=True):
        gradient_and_product(energy, *chunk)


def fft_time(n_real: int) -> float:
    """Seconds for `n_real` real FFTs there and as many back, twice, of 128 paths of 1024 points; 8 paths at a time."""
    signals = torch.randn(8, n_real, 1024)
    spectra = torch.fft.rfft(signals)

    def transforms() -> None:
        for _ in range(2):
            torch.fft.rfft(signals)
            torch.fft.irfft(spectra, n=1024)

    return 16 * best_of(transforms, rounds=20)


@every_energy
def test_gradient_step(benchmark, name):
    """Energies, loss and update of 128 paths in float32; for ii under 60 ms is wanted."""
    energy = ENERGIES[name][0](1024)
    target = mm.estimate_target(energy, mm.processes.AR([0.1]), n_samples=256, seed=1)
    model, x = mm.MFMGDM(energy, target, 5.0), inputs(energy)[0]
    benchmark.pedantic(lambda: model.update(model.evaluate(x)), rounds=20, warmup_rounds=2)


@every_energy
def test_gradient_and_product(benchmark, name):
    """Gradient and one Hessian-vector product of 128 paths, with the ratios that a machine's speed does not change."""
    kind, wanted, n_real = ENERGIES[name]
    energy = kind(1024)
    given = inputs(energy)
    benchmark.pedantic(gradient_and_product, args=(energy, *given), rounds=20, warmup_rounds=2)
    plain = Plain(energy)
    torch.testing.assert_close(plain(given[0]), energy(given[0]), rtol=1e-3, atol=1e-5)
    ours = best_of(lambda: gradient_and_product(energy, *given), rounds=10)
    autodiff = best_of(lambda: straightforward(plain, *given))
    # A forward and a backward pass for the gradient, and two more for the product: half of the FFTs go each way.
    ffts = fft_time(n_real)
    print(
        f"\n{name}: gradient and product {1e3 * ours:.0f} ms (wanted: {1e3 * wanted:.0f}), {autodiff / ours:.1f} times"
        f" as fast as autodiff (wanted: 2.5), {ours / ffts:.1f} times its own FFTs of {1e3 * ffts:.0f} ms (wanted: 4)"
    )


@every_energy
def test_rows_of_the_jacobian(name):
    """All rows of 4 paths, which a stochastic determinant takes for its capacitance matrix, against autodiff."""
    energy = ENERGIES[name][0](1024) if "iii" not in name else mm.companion.projected_covariance()
    x = inputs(energy, 4)[0]
    ours, autodiff = best_of(lambda: energy.jacobian(x)), best_of(lambda: Energy.jacobian(energy, x), rounds=2)
    ratio = autodiff / ours
    print(f"\n{name}: {energy.dim} rows of 4 paths {1e3 * ours:.0f} ms, {ratio:.0f} times as fast as autodiff")


@every_energy
def test_growth_with_length(name):
    """Cost of a gradient and a product for d = 2^8 … 2^14, as a power of d log d: the exponent should be near 1."""
    lengths = [2**k for k in range(8, 15)]
    times = []
    for length in lengths:
        energy = ENERGIES[name][0](length)
        given = inputs(energy, 16, length)
        times.append(best_of(lambda e=energy, g=given: gradient_and_product(e, *g)))
    exponent = fitted_exponent([d * np.log2(d) for d in lengths], times)
    print(f"\n{name}: cost grows as (d log d)^{exponent:.2f} from d = 2^8 to 2^14, 16 paths")


MEMORY_SCRIPT = """
import torch, mfmgdm_lib as mm
energy = mm.energies.{kind}(1024)
x = torch.randn(1024, 1024)
_, product = energy.linearize(x, torch.randn(1024, energy.dim))
product(x)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@every_energy
def test_peak_memory(name):
    """Peak memory of a process that takes a gradient and a product of 1024 paths: under 4 GB is wanted."""
    script = MEMORY_SCRIPT.format(kind=ENERGIES[name][0].__name__)
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout
    print(f"\n{name}: peak memory for 1024 paths {int(output) * 1024 / 1e9:.2f} GB")
