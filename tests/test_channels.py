"""Energies of channels: values by hand and by pandas, names, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Autocovariance, CrossCorrelations, EachChannel, ScatteringMean, StylizedFacts


def test_products_at_both_signs_of_a_lag_are_those_worked_out_by_hand() -> None:
    x = torch.tensor([[1.0, 2.0, 0.0, -1.0], [3.0, -1.0, 2.0, 0.5]], dtype=torch.float64)
    values = dict(zip((energy := CrossCorrelations(("a", "b"), lags=2)).labels, (4 * energy(x)).tolist(), strict=True))
    assert values == {
        "a × b, lag -2": 0.0 * 3.0 + -1.0 * -1.0,
        "a × b, lag -1": 2.0 * 3.0 + 0.0 * -1.0 + -1.0 * 2.0,
        "a × b, lag 0": 3.0 - 2.0 - 0.5,
        "a × b, lag 1": 1.0 * -1.0 + 2.0 * 2.0 + 0.0 * 0.5,
        "a × b, lag 2": 1.0 * 2.0 + 2.0 * 0.5,
        "a × b, squares, lag -2": 1.0,
        "a × b, squares, lag -1": 4.0 * 9.0 + 1.0 * 4.0,
        "a × b, squares, lag 0": 9.0 + 4.0 + 0.25,
        "a × b, squares, lag 1": 1.0 + 4.0 * 4.0,
        "a × b, squares, lag 2": 1.0 * 4.0 + 4.0 * 0.25,
    }


def test_every_pair_and_lag_of_three_channels_is_that_of_pandas(noise: Callable[..., Tensor]) -> None:
    x, names = noise(3, 50), ("a", "b", "c")
    energy, frame = CrossCorrelations(names, lags=3), pd.DataFrame(x.T.numpy(), columns=list(names))
    expected = {}
    for kind, table in (("", frame), (", squares", frame**2)):
        for first, second in (("a", "b"), ("a", "c"), ("b", "c")):
            for lag in range(-3, 4):
                products = table[first] * table[second].shift(-lag)
                expected[f"{first} × {second}{kind}, lag {lag}"] = products.sum() / 50
    assert list(energy.labels) == list(expected)
    # Sums of 50 products of up to four standard normal numbers, over 50.
    assert energy(x).tolist() == pytest.approx(list(expected.values()), abs=1e-13)


def test_energies_of_each_channel_are_those_of_its_series(noise: Callable[..., Tensor]) -> None:
    x, energy = noise(4, 3, 40), StylizedFacts(lags=2, leverage=1)
    each = EachChannel(energy, ("a", "b", "c"))
    assert torch.equal(each(x), torch.cat([energy(x[:, channel]) for channel in range(3)], dim=-1))
    assert each.labels[:2] == ("a: variance", "a: lag 1") and each.labels[-1] == "c: leverage, lag 1"
    assert each.event_shape == (3, None) and EachChannel(ScatteringMean(256), ("a", "b")).event_shape == (2, 256)


def test_energies_of_channels_are_built_from_their_descriptions() -> None:
    for energy in (CrossCorrelations(("a", "b"), lags=1), EachChannel(StylizedFacts(3), ("a", "b"))):
        assert repr(mm.from_spec(mm.spec(energy))) == repr(energy)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CrossCorrelations(("a",)), r"channels is \('a',\); expected at least 2 names"),
        (lambda: CrossCorrelations("ab"), "channels is 'ab'; expected a name for each channel"),
        (lambda: CrossCorrelations((1, 2)), r"channels is \(1, 2\); expected a name for each"),  # type: ignore[arg-type]
        (lambda: CrossCorrelations(("a", "a")), r"channels is \('a', 'a'\); expected names that differ"),
        (lambda: CrossCorrelations(("a", "b"), lags=-1), "lags is -1; expected a whole number of at least 0"),
        (lambda: EachChannel(CrossCorrelations(("a", "b")), ("a", "b")), r"energy is Cross.*expected one of series"),
        (lambda: EachChannel(Autocovariance(), ()), r"channels is \(\); expected a name"),
    ],
)
def test_channels_that_are_none_are_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
