"""The study of the gravel: patches to train and to test with, targets, and what is stored of it."""

from __future__ import annotations

import pytest
import torch

import mfmgdm_lib as mm
from mfmgdm_lib.field_generation import group_tests


def test_patches_are_the_whole_photograph_once() -> None:
    mean, stddev = mm.companion.gravel_units()
    whole = (mm.companion.texture("gravel").values - mean) / stddev
    for side in (32, 128):
        training, held_out = mm.companion.gravel_patches(side)
        assert len(training) == len(held_out) == 512**2 // side**2 // 2
        both = torch.cat([training, held_out]).flatten().sort().values
        assert torch.equal(both, whole.flatten().sort().values)


def test_target_is_the_energy_of_the_patches_to_train_with_for_larger_fields_too() -> None:
    energy, target = mm.companion.texture_target(128)
    torch.testing.assert_close(target.mean, energy(mm.companion.gravel_patches()[0]).mean(0))
    larger, same = mm.companion.texture_target(256)
    assert larger.event_shape == (256, 256) and larger.labels == energy.labels
    assert torch.equal(same.mean, target.mean)


def test_stored_test_of_patches_is_found_again() -> None:
    stored = mm.companion.stored("texture_tests").set_index(["fields", "group"]).loc["training, 128"]
    training, held_out = mm.companion.gravel_patches()
    found = group_tests(held_out, training)
    for column in found:
        assert found[column].tolist() == pytest.approx(stored[column].tolist(), rel=1e-3)


def test_stored_fields_are_grey_and_have_the_lightness_of_gravel() -> None:
    mean, stddev = mm.companion.gravel_units()
    for name, fields in mm.companion.stored_fields().items():
        side = int(name.partition("-")[2])
        assert fields.dtype == torch.uint8 and fields.shape[1:] == (side, side)
        # Six times the spread of the patches' means, which the stored table has as 0.09 standard deviations.
        assert (fields.double().mean((-2, -1)) - mean).abs().max() < 0.6 * stddev
