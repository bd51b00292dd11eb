"""The wavelet energies of fields: speed relative to autodiff and to FFTs alone, memory, and scaling, on one core."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import torch
from measure import best_of

from mfmgdm_lib.energies import Energy, FieldScatteringMean, RecordedEnergy, WaveletL1
from mfmgdm_lib.energies.scattering.wavelets import morlet_2d
from mfmgdm_lib.statistics import fitted_exponent

KINDS = {"wavelet L1": WaveletL1, "scattering mean": FieldScatteringMean}
best_of = partial(best_of, clock=time.process_time)  # ratios within a run, of one core, whoever else takes the time
torch.set_num_threads(1)
every_kind = pytest.mark.parametrize("name", KINDS)
dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


def inputs(energy: RecordedEnergy, n_fields: int, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    rng = np.random.default_rng(0)
    shapes = ((n_fields, *energy.shape), (n_fields, energy.dim), (n_fields, *energy.shape))
    return tuple(torch.from_numpy(rng.standard_normal(shape)).to(dtype) for shape in shapes)


class Plain(Energy):
    """Wavelet L1 as one would first write it, with derivatives by autodiff."""

    def __init__(self, energy: WaveletL1, dtype: torch.dtype) -> None:
        self.labels, self.shape = energy.labels, energy.shape
        self.filters = torch.tensor(morlet_2d(energy.shape, energy.J, energy.angles), dtype=dtype)

    @property
    def event_shape(self) -> tuple[int, int]:
        return self.shape

    def _evaluate(self, x: torch.Tensor) -> torch.Tensor:
        filtered = torch.fft.ifft2(torch.fft.fft2(x)[..., None, None, :, :] * self.filters)
        return filtered.abs().mean((-2, -1)).flatten(-2)


def fft_time(shape: tuple[int, int], pairs: int, dtype: torch.dtype) -> float:
    """Seconds for as many complex FFTs of a field as back, on the whole grid, some half a MB at a time."""
    at_once = max(1, 2**15 // (shape[0] * shape[1]))
    signals = torch.randn(at_once, *shape, dtype=dtype.to_complex())

    def transforms() -> None:
        for _ in range(pairs // at_once):
            torch.fft.fft2(signals)
            torch.fft.ifft2(signals)

    return best_of(transforms)


@dtypes
@pytest.mark.parametrize(("side", "wanted"), [(32, 0.2), (64, 0.5)])
def test_gradient_of_wavelet_l1(side: int, wanted: float, dtype: torch.dtype) -> None:
    """8 angles, 128 fields: against autodiff and FFTs alone, of which each filter takes one and one back."""
    energy = WaveletL1((side, side))
    x, weights, vectors = inputs(energy, 128, dtype)
    plain = Plain(energy, dtype)
    torch.testing.assert_close(plain(x[:4]), energy(x[:4]), rtol=1e-4, atol=1e-6)
    ffts = fft_time(energy.shape, 128 * (energy.dim + 1), dtype)
    ours = best_of(lambda: energy.gradient(x, weights))
    autodiff = 8 * best_of(lambda: plain.gradient(x[:16], weights[:16]))
    _, product = energy.linearize(x, weights)
    once = best_of(lambda: product(vectors))
    print(
        f"\n{side}², {dtype}: gradient {1e3 * ours:.0f} ms of one core (wanted: {1e3 * wanted:.0f} on two),"
        f" {ours / ffts:.1f} times its own FFTs of {1e3 * ffts:.0f} ms (wanted: 3), {autodiff / ours:.1f} times as fast"
        f" as autodiff; a product with the Hessian {1e3 * once:.0f} ms, {once / ffts:.1f} times"
    )


@every_kind
def test_rows_of_the_jacobian(name: str) -> None:
    """All rows of 4 fields, which a stochastic determinant takes for its capacitance matrix, against autodiff."""
    energy = KINDS[name]((32, 32))
    x = inputs(energy, 4, torch.float64)[0]
    ours, autodiff = best_of(lambda: energy.jacobian(x)), best_of(lambda: Energy.jacobian(energy, x), rounds=2)
    print(
        f"\n{name}: {energy.dim} rows of 4 fields {1e3 * ours:.0f} ms, {autodiff / ours:.0f} times as fast as autodiff"
    )


@every_kind
def test_growth_with_the_number_of_points(name: str) -> None:
    """Cost of a gradient for 32² … 256², J = 5, as a power of the number of points: at most 1.1 is wanted."""
    sides, times = [32, 64, 128, 256], []
    for side in sides:
        energy = KINDS[name]((side, side))
        x, weights, _ = inputs(energy, 4, torch.float64)
        times.append(best_of(lambda e=energy, x=x, w=weights: e.gradient(x, w)))
    exponent = fitted_exponent([side**2 for side in sides], times)
    spelled = ", ".join(f"{side}² {1e3 * seconds:.0f} ms" for side, seconds in zip(sides, times, strict=True))
    print(f"\n{name}: cost of 4 fields grows as d^{exponent:.2f} from 32² to 256²: {spelled}")


MEMORY_SCRIPT = """
import torch, mfmgdm_lib as mm
energy = mm.energies.{kind}(({side}, {side}))
x = torch.randn({n}, {side}, {side}, dtype=torch.float64)
energy.gradient(x[:1], torch.ones(energy.dim, dtype=torch.float64))
def peak():
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
before = peak()
energy.gradient(x, torch.randn({n}, energy.dim, dtype=torch.float64))
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@every_kind
def test_memory_of_a_gradient(name: str) -> None:
    """What a gradient of many fields takes beyond that of one, which chunks should keep at some MB and the force."""
    for side, n in ((32, 1024), (128, 64)):
        script = MEMORY_SCRIPT.format(kind=KINDS[name].__name__, side=side, n=n)
        output = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout
        print(f"\n{name}: {n} fields of {side}² take {int(output) * 1024 / 1e6:.0f} MB more than one")
