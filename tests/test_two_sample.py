"""The two-sample test: its distance by hand, its level where both samples are from one law, and its power."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
import torch

from mfmgdm_lib.two_sample import two_sample_test


def sample(n: int, seed: int, shift: float = 0.0) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return {name: torch.from_numpy(rng.standard_normal(n) + shift) for name in ("a", "b", "c")}


def test_distance_is_that_of_its_definition() -> None:
    first, second = sample(4, 1), sample(6, 2, shift=0.5)
    rows = np.array([np.concatenate([first[name], second[name]]) for name in first]).T
    rows = rows / rows.std(0)
    x, y = rows[:4], rows[4:]

    def mean(p: np.ndarray, q: np.ndarray) -> float:
        return float(np.mean([np.linalg.norm(one - two) for one, two in itertools.product(p, q)]))

    expected = (2 * mean(x, y) - mean(x, x) - mean(y, y)) / (2 * mean(x, y))
    assert two_sample_test(first, second).distance == pytest.approx(expected, rel=1e-12)


def test_distance_of_one_statistic_is_twice_cramers() -> None:
    # In one dimension it is 2 ∫ (F − G)² (Székely and Rizzo 2013), the square of SciPy's energy distance.
    first, second = sample(20, 3)["a"], sample(30, 4, shift=1.0)["a"]
    spread = float(torch.cat([first, second]).std(correction=0))
    square = scipy.stats.energy_distance(first.numpy() / spread, second.numpy() / spread) ** 2
    across = float((first[:, None] - second[None]).abs().mean()) / spread
    found = two_sample_test({"a": first}, {"a": second})
    assert found.distance == pytest.approx(square / (2 * across), rel=1e-10)


def test_p_values_are_uniform_where_both_samples_are_from_one_law() -> None:
    # Of 99 divisions and the given one, p is one of 1/100 … 1, each as likely: exactly, whatever the sizes and laws.
    rng = np.random.default_rng(7)
    p_values = []
    for trial in range(400):
        draws = torch.from_numpy(rng.standard_t(3, (14, 4)) @ rng.standard_normal((4, 4)))
        parts = [{str(k): part[:, k] for k in range(4)} for part in (draws[:6], draws[6:])]
        p_values.append(two_sample_test(*parts, n_permutations=99, seed=trial).p_value)
    assert scipy.stats.kstest(np.array(p_values) - rng.uniform(0, 0.01, 400), "uniform").pvalue > 1e-3
    # 5 standard errors of a share of 400.
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=5 * (0.05 * 0.95 / 400) ** 0.5)


def test_other_laws_are_found() -> None:
    for shift, low, high in ((0.0, 0.02, 1.0), (2.0, 0.0, 0.002)):
        assert low <= two_sample_test(sample(12, 5), sample(12, 6, shift=shift)).p_value <= high
    wide = {name: 5.0 * values for name, values in sample(20, 8).items()}
    assert two_sample_test(sample(20, 9), wide).p_value < 0.005  # of one mean, and another spread


def test_limit_is_exceeded_by_one_division_in_twenty_and_the_smallest_p_counts_itself() -> None:
    found = two_sample_test(sample(20, 1), sample(20, 2, shift=9.0), n_permutations=199)
    assert found.p_value == 1 / 200
    assert found.chance < found.limit < found.distance < 1.0
    assert found.sizes == (20, 20)


def test_divisions_into_the_same_two_sets_are_as_far() -> None:
    # Of 3 and 3 draws far apart, 2 divisions of 20 are the given one or its mirror image: p is about 1/10, not 1/1000.
    first, second = ({"a": torch.arange(3.0).double() + at} for at in (0.0, 100.0))
    assert two_sample_test(first, second).p_value == pytest.approx(0.1, abs=5 * (0.09 / 999) ** 0.5)


def test_order_and_units_do_not_matter() -> None:
    first, second = sample(9, 1), sample(11, 2, shift=0.4)
    found = two_sample_test(first, second)
    other = {name: 1e6 * values.flip(0) - 3.0 for name, values in first.items()}
    scaled = {name: 1e6 * values - 3.0 for name, values in second.items()}
    assert two_sample_test(other, scaled).distance == pytest.approx(found.distance, rel=1e-9)
    assert found.differences.loc["a", "difference"] == pytest.approx(
        float((second["a"].mean() - first["a"].mean()) / first["a"].std())
    )


def test_a_statistic_that_is_the_same_for_all_counts_for_nothing() -> None:
    first, second = sample(9, 1), sample(11, 2, shift=0.4)
    constant = [dict(x, d=torch.ones(len(x["a"]), dtype=torch.float64)) for x in (first, second)]
    assert two_sample_test(*constant).distance == two_sample_test(first, second).distance


def test_what_cannot_be_compared_is_refused() -> None:
    first = sample(5, 1)
    with pytest.raises(ValueError, match="first has 3 statistics, second 1; expected the same ones"):
        two_sample_test(first, {"a": first["a"]})
    with pytest.raises(ValueError, match="second has 2 draws; expected at least 3"):
        two_sample_test(first, {name: values[:2] for name, values in first.items()})
    with pytest.raises(ValueError, match="first has 1 entries that are NaN"):
        two_sample_test({"a": torch.tensor([1.0, torch.nan, 2.0])}, {"a": torch.arange(3.0)})
