"""White noise and the maximum-entropy start."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import constraints

from mfmgdm_lib.processes import AR, WhiteNoise, initial_distribution


def test_papers_seed_gives_the_draws_of_numpy() -> None:
    expected = np.random.default_rng((2, 12345)).standard_normal((128, 1024))
    np.testing.assert_array_equal(WhiteNoise().sample(128, 1024, seed=(2, 12345)).numpy(), expected)


def test_log_prob_is_the_sum_of_normal_log_densities() -> None:
    law = WhiteNoise(mean=-1.5, stddev=2.5)
    x = law.sample(3, 17, seed=0)
    expected = torch.distributions.Normal(torch.tensor(-1.5).double(), 2.5).log_prob(x).sum(-1)
    torch.testing.assert_close(law.log_prob(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("stddev", [0.3, 1.0, 4.0])
def test_entropy_is_that_of_independent_normals(stddev: float) -> None:
    one = float(torch.distributions.Normal(0.0, torch.tensor(stddev, dtype=torch.float64)).entropy())
    assert WhiteNoise(2.0, stddev).entropy(10) == pytest.approx(10 * one, abs=1e-12)


def test_entropy_is_minus_the_mean_log_prob() -> None:
    law, n, length = WhiteNoise(1.0, 3.0), 2000, 50
    # −log q is a constant plus half a chi-square with `length` degrees of freedom: its sd is √(length / 2).
    tolerance = 4 * math.sqrt(length / 2 / n)
    assert -float(law.log_prob(law.sample(n, length, seed=1)).mean()) == pytest.approx(
        law.entropy(length), abs=tolerance
    )


@pytest.mark.parametrize("process", [AR([0.1]), AR([0.5], innovation_std=2.0), WhiteNoise(3.0, 0.2)], ids=repr)
def test_start_has_the_mean_and_spread_of_the_process(process: AR | WhiteNoise) -> None:
    start = initial_distribution(process)
    assert (start.mean, start.stddev) == (process.mean, process.stddev)


def test_start_is_refused_where_the_support_is_not_the_real_line() -> None:
    class Positive(WhiteNoise):
        support = constraints.positive

    with pytest.raises(ValueError, match=r"WhiteNoise.*support.*expected the real line.*Build the starting law"):
        initial_distribution(Positive())
