"""Statistics of fields: values by hand, and what they do not depend on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from mfmgdm_lib.field_statistics import (
    FEATURE_GROUPS,
    describe_fields,
    difference_statistics,
    local_patterns,
    pair_patterns,
    value_statistics,
)


def noise(n: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, height, width)))


def test_values_are_those_of_scipy() -> None:
    fields = noise(3, 9, 7).exp()
    found = value_statistics(fields)
    flat = fields.flatten(1).numpy()
    for name, expected in {
        "mean": flat.mean(1),
        "standard deviation": flat.std(1),
        "skewness": scipy.stats.skew(flat, axis=1),
        "kurtosis": scipy.stats.kurtosis(flat, axis=1, fisher=False),
        "25 % quantile": np.quantile(flat, 0.25, axis=1),
    }.items():
        np.testing.assert_allclose(found[name].numpy(), expected, rtol=1e-12)


def test_differences_of_a_plane_wave_are_known() -> None:
    # cos φ at all phases: differences at distance d are 2 sin(ω d / 2) times a wave, whose mean size is 2√2/π in units
    # of the wave's standard deviation times that, and whose kurtosis is 3/2.
    omega = 2 * math.pi / 16
    wave = torch.cos(omega * torch.arange(4096, dtype=torch.float64)).expand(1, 40, 4096)
    found = difference_statistics(wave)
    for distance in (1, 2, 4, 8):
        size = 2 * math.sin(omega * distance / 2)
        # Of 4096 − d points the last d are missing, and sums over phases are not integrals: (π / 16)² / 6 at most.
        assert float(found[f"{distance} across: size"][0]) == pytest.approx(size * 2 * math.sqrt(2) / math.pi, rel=0.02)
        assert float(found[f"{distance} across: kurtosis"][0]) == pytest.approx(1.5, rel=0.01)
        assert float(found[f"{distance} across: correlation"][0]) == pytest.approx(math.cos(omega * distance), abs=0.01)
        assert float(found[f"{distance} down: size"][0]) == 0.0


def test_skewness_of_differences_tells_a_ramp_from_its_mirror_image() -> None:
    saw = (torch.arange(64, dtype=torch.float64) % 8).expand(1, 64, 64)
    forward, backward = (difference_statistics(x)["1 across: skewness"] for x in (saw, saw.flip(-1)))
    assert float(forward) < -1.0  # seven steps up, then a fall
    torch.testing.assert_close(backward, -forward)


def test_nothing_wraps_around() -> None:
    step = torch.zeros(1, 8, 8, dtype=torch.float64)
    step[..., 4:] = 1.0
    # One edge in 7 pairs, and none between the last column and the first: the standard deviation is 1/2.
    assert float(difference_statistics(step)["1 across: size"]) == pytest.approx(2.0 / 7.0)


def test_patterns_of_small_pictures_by_hand() -> None:
    spot, hole = (torch.full((1, 3, 3), value, dtype=torch.float64) for value in (0.0, 1.0))
    spot[0, 1, 1], hole[0, 1, 1] = 1.0, 0.0
    corner = torch.tensor([[[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]]])
    edge = torch.tensor([[[2.0, 2.0, 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]])
    for picture, name in ((spot, "pattern 0"), (hole, "pattern 8"), (corner, "other patterns"), (edge, "pattern 3")):
        assert {key for key, share in local_patterns(picture).items() if float(share) > 0} == {name}


def test_patterns_and_pairs_do_not_change_with_brightness_and_contrast() -> None:
    fields = noise(4, 20, 24, seed=1)
    for group in (local_patterns, pair_patterns):
        for name, share in group(fields).items():
            torch.testing.assert_close(group(100.0 + 7.0 * fields)[name], share, rtol=0, atol=0)
        assert all(((share >= 0) & (share <= 1)).all() for share in group(fields).values())
    assert torch.allclose(sum(local_patterns(fields).values()), torch.ones(4, dtype=torch.float64))  # type: ignore[arg-type]


def test_pairs_of_independent_values_are_products_of_shares() -> None:
    found = pair_patterns(noise(1, 400, 400, seed=2))
    for name, share in found.items():
        expected = 0.125 if name.endswith("opposite") else 0.0625
        # 5 standard errors of a share of about 160 000 pairs, more than those of dependent pairs.
        assert float(share) == pytest.approx(expected, abs=5 * (expected / 150_000) ** 0.5)


def test_groups_are_what_they_are_called_and_bad_fields_are_refused() -> None:
    fields = noise(2, 40, 40)
    everything = describe_fields(fields)
    assert list(everything) == [name for group in FEATURE_GROUPS.values() for name in group(fields)]
    assert list(describe_fields(fields, ("values",))) == list(value_statistics(fields))
    with pytest.raises(ValueError, match="groups has 'colours'; expected some of values"):
        describe_fields(fields, ("colours",))
    with pytest.raises(ValueError, match=r"fields have shape \(40, 40\); expected a tensor \(N, height, width\)"):
        describe_fields(fields[0])
    with pytest.raises(ValueError, match="fields has 1 entries"):
        describe_fields(fields.masked_fill(torch.arange(40) + 40 * torch.arange(40)[:, None] == 7, torch.nan)[:1])
    with pytest.raises(ValueError, match="fields have 2 × 9 pixels; expected at least 3 × 3"):
        local_patterns(noise(1, 2, 9))
