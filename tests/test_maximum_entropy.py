"""Maximum-entropy laws: density, moments and draws, and the choice of a start for a process."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.stats
import torch

from mfmgdm_lib.processes import (
    AR,
    CIR,
    GARCH,
    Exponential,
    Process,
    TruncatedGaussian,
    WhiteNoise,
    initial_distribution,
)
from mfmgdm_lib.support import Interval

ROUND_OFF = 1e-12  # of sums of some ten numbers of order 1 to 100 in float64
TRUNCATED = [  # from hardly cut off to nearly exponential, on both sides of each change of method
    TruncatedGaussian(5.0, 0.05),
    TruncatedGaussian(2.0, 1.0),
    TruncatedGaussian(0.0, 1.5),
    TruncatedGaussian(-1.28, 1.0),
    TruncatedGaussian(-1.29, 1.0),
    TruncatedGaussian(-2.99, 1.0),
    TruncatedGaussian(-3.01, 1.0),
    TruncatedGaussian(-80.0, 2.0),
    TruncatedGaussian(-1e6, 1e3),
]
STARTS = [WhiteNoise(1.0, 3.0), Exponential(0.4), *TRUNCATED]


@pytest.mark.parametrize("law", STARTS, ids=repr)
def test_entropy_is_minus_the_mean_log_prob(law: WhiteNoise | Exponential | TruncatedGaussian) -> None:
    n, length = 2000, 50
    log_prob = law.log_prob(law.sample(n, length, seed=1))
    # Paths are independent: 4 standard errors.
    assert -float(log_prob.mean()) == pytest.approx(law.entropy(length), abs=4 * float(log_prob.std()) / n**0.5)


def test_papers_seed_gives_the_exponential_draws_of_numpy() -> None:
    expected = np.random.default_rng((2, 12345)).exponential(1.0, (128, 1024))
    np.testing.assert_array_equal(Exponential(1.0).sample(128, 1024, seed=(2, 12345)).numpy(), expected)


@pytest.mark.parametrize("mean", [0.3, 1.0, 4.0])
def test_exponential_has_the_density_and_entropy_of_scipy(mean: float) -> None:
    law, reference = Exponential(mean), scipy.stats.expon(scale=mean)
    x = law.sample(3, 7, seed=0)
    np.testing.assert_allclose(law.log_prob(x), reference.logpdf(x).sum(-1), rtol=0, atol=ROUND_OFF)
    assert law.entropy(10) == pytest.approx(10 * float(reference.entropy()), abs=ROUND_OFF)
    assert (law.mean, law.stddev) == (mean, mean)


def test_papers_seed_gives_the_truncated_draws_of_numpy() -> None:
    law = TruncatedGaussian(0.8, 2.1)
    rng = np.random.default_rng((2, 12345))
    expected = rng.standard_normal((128, 1024)) * 2.1 + 0.8
    rounds = 0
    while (refused := expected <= 0).any():
        expected[refused] = rng.standard_normal(refused.sum()) * 2.1 + 0.8
        rounds += 1
    assert rounds > 2
    np.testing.assert_array_equal(law.sample(128, 1024, seed=(2, 12345)).numpy(), expected)


def integrals_by_mpmath(law: TruncatedGaussian) -> tuple[float, float, float]:
    """Mean, sd and entropy of a point, from integrals of exp(−t²/2 − cut t)."""
    with mpmath.workdps(30):
        cut = -mpmath.mpf(law.location) / mpmath.mpf(law.scale)
        # The mode, with its width or, where the density falls from 0 on, its decay.
        mode, width = max(-cut, 0), 1 / max(cut, 1)
        ends = [0, *(t for k in range(-12, 13, 2) if (t := mode + k * width) > 0), mode + 40 * width, mode + 80 * width]

        def shifted(t: mpmath.mpf) -> mpmath.mpf:
            return -t * t / 2 - cut * t + mode**2 / 2 + cut * mode  # at most 0

        def moment(k: int) -> mpmath.mpf:
            return mpmath.quad(lambda t: t**k * mpmath.exp(shifted(t)), ends)

        mass = moment(0)
        mean = moment(1) / mass
        sd = mpmath.sqrt(mpmath.quad(lambda t: (t - mean) ** 2 * mpmath.exp(shifted(t)), ends) / mass)
        exponent = mpmath.quad(lambda t: -shifted(t) * mpmath.exp(shifted(t)), ends) / mass
        scale = mpmath.mpf(law.scale)
        return float(scale * mean), float(scale * sd), float(exponent + mpmath.log(mass * scale))


@pytest.mark.parametrize("law", TRUNCATED, ids=repr)
def test_truncated_gaussian_has_the_moments_and_entropy_of_quadrature(law: TruncatedGaussian) -> None:
    mean, stddev, entropy = integrals_by_mpmath(law)
    # Before the continued fraction takes over, 1 − hazard · excess has lost one digit or so.
    assert (law.mean, law.stddev) == (pytest.approx(mean, rel=ROUND_OFF), pytest.approx(stddev, rel=ROUND_OFF))
    assert law.entropy(10) == pytest.approx(10 * entropy, abs=10 * ROUND_OFF * max(1.0, abs(entropy)))


@pytest.mark.parametrize("law", TRUNCATED, ids=repr)
def test_truncated_gaussian_has_the_density_of_a_gaussian_over_its_mass(law: TruncatedGaussian) -> None:
    x = torch.tensor([0.0, 0.1, 0.5, 1.0, 2.0, 5.0], dtype=torch.float64) * law.mean
    with mpmath.workdps(40):
        cut = -mpmath.mpf(law.location) / mpmath.mpf(law.scale)
        log_mass = mpmath.log(mpmath.erfc(cut / mpmath.sqrt(2)) / 2)
        expected = [
            float(mpmath.log(mpmath.npdf(t / law.scale + cut) / law.scale) - log_mass)
            for t in map(mpmath.mpf, x.tolist())
        ]
    np.testing.assert_allclose(law.log_prob(x[:, None]), expected, rtol=1e-14, atol=ROUND_OFF)


@pytest.mark.parametrize("law", TRUNCATED, ids=repr)
def test_truncated_draws_have_their_distribution(law: TruncatedGaussian) -> None:
    x = np.sort(law.sample(200, 100, seed=3).flatten().numpy())
    with mpmath.workdps(30):
        cut = -mpmath.mpf(law.location) / mpmath.mpf(law.scale)
        mass = mpmath.erfc(cut / mpmath.sqrt(2))
        grid = x[::100]
        above = [mpmath.erfc((mpmath.mpf(t) / law.scale + cut) / mpmath.sqrt(2)) / mass for t in grid.tolist()]
    distance = np.abs(1 - np.array(above, dtype=float) - np.arange(0, len(x), 100) / len(x)).max()
    assert distance < 2.2 / len(x) ** 0.5  # Kolmogorov: exceeded with probability 1e-4


@pytest.mark.parametrize("ratio", [1e-6, 0.01, 0.1, 0.3, 0.5, 2**-0.5, 0.9, 0.99, 0.999, 1 - 1e-8])
@pytest.mark.parametrize("mean", [0.02, 1.0, 2**0.5])
def test_truncated_gaussian_from_moments_has_them(ratio: float, mean: float) -> None:
    law = TruncatedGaussian.from_moments(mean, ratio * mean)
    assert (law.mean, law.stddev) == (pytest.approx(mean, rel=1e-13), pytest.approx(ratio * mean, rel=1e-13))
    exact_mean, exact_stddev, _ = integrals_by_mpmath(law)
    assert exact_mean == pytest.approx(mean, rel=1e-12)
    assert exact_stddev == pytest.approx(ratio * mean, rel=1e-12)


@pytest.mark.parametrize(
    ("process", "name"),
    [
        (AR([0.1]), "WhiteNoise(mean=0, stddev=1)"),
        (AR([0.5], innovation_std=3**0.5), "WhiteNoise(mean=0, stddev=2)"),
        (GARCH(0.03, 0.1, 0.87), "WhiteNoise(mean=0, stddev=1)"),
        (WhiteNoise(3.0, 0.2), "WhiteNoise(mean=3, stddev=0.2)"),
        (CIR(0.5, 1.0, 1.0), "Exponential(mean=1)"),
        (CIR(0.5, 0.49, 0.7), "Exponential(mean=0.49)"),
        (CIR(2**-0.5, 2**0.5, 1.0), "TruncatedGaussian(location=0.567275, scale=1.48248)"),
        (Exponential(2.0), "Exponential(mean=2)"),
        (TruncatedGaussian(-1.0, 2.0), "TruncatedGaussian(location=-1, scale=2)"),
    ],
    ids=repr,
)
def test_start_has_the_mean_and_spread_of_the_process(process: Process, name: str) -> None:
    start = initial_distribution(process)
    assert repr(start) == name
    assert start.support is process.support
    assert (start.mean, start.stddev) == (pytest.approx(process.mean), pytest.approx(process.stddev))


@pytest.mark.parametrize("process", [CIR(2**-0.5, 2**0.5, 1.0), CIR(0.5, 9.65, 0.5)], ids=repr)
def test_start_has_more_entropy_than_the_points_of_the_process(process: CIR) -> None:
    start = initial_distribution(process)
    assert isinstance(start, TruncatedGaussian)
    shape = (process.mean / process.stddev) ** 2
    assert start.entropy(1) > scipy.stats.gamma(shape, scale=process.mean / shape).entropy() + 1e-3


def test_start_is_refused_where_the_support_is_not_known() -> None:
    class Share(WhiteNoise):
        support = Interval(0.0, 1.0)

    with pytest.raises(ValueError, match=r"WhiteNoise.*support.*expected the real line.*Build the starting law"):
        initial_distribution(Share())


def test_start_is_refused_where_no_law_has_the_most_entropy() -> None:
    with pytest.raises(ValueError, match=r"CIR.*stddev 1.41421 and mean 1; expected.*Build the starting law"):
        initial_distribution(CIR(0.25, 1.0, 1.0))
