"""Fields like a picture: what they match, what is said of them, files of them, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mfmgdm_lib as mm
from mfmgdm_lib.energies import FieldMoments
from mfmgdm_lib.field_generation import (
    FieldGeneration,
    checkerboard,
    field_target,
    generate_fields,
    group_tests,
    texture_energy,
)
from mfmgdm_lib.io.fields import field_provenance, field_report_text, grey_levels, save_fields, save_tiles
from mfmgdm_lib.plotting.fields import field_report

GRAVEL = mm.companion.texture("gravel")
QUICK = FieldMoments()


@pytest.fixture(scope="module")
def made() -> FieldGeneration:
    """With the energy of textures, on a quarter of the photograph."""
    return generate_fields(replace(GRAVEL, values=GRAVEL.values[:256, :256]), 3, 32, seed=4)


@pytest.fixture(scope="module")
def quick() -> FieldGeneration:
    return generate_fields(GRAVEL, 5, (32, 64), seed=1, energy=QUICK, hold_out=True)


def test_the_mean_energy_of_the_fields_is_that_of_the_patches(made: FieldGeneration) -> None:
    assert made.fields.shape == (3, 32, 32) and made.fields.dtype == torch.float64
    assert len(made.patches) == 64 and len(made.held_out) == 0
    patches = (made.patches - made.mean) / made.stddev
    torch.testing.assert_close(made.energy(patches).mean(0), made.target.mean)
    assert made.loss < 1e-5 and made.steps < 60
    assert made.target.labels == made.energy.labels
    # Where the mean energy is that of the patches, so are means of moments in grey levels.
    report = made.report
    for name in ("mean", "standard deviation"):
        assert report.loc[name, "low"] < report.loc[name, "patches"] < report.loc[name, "high"]
    assert report.loc["2 across: correlation", "fields"] > 0.4  # white noise has 0


def test_the_same_seed_makes_the_same_fields_and_another_seed_others(quick: FieldGeneration) -> None:
    again, other = (generate_fields(GRAVEL, 5, (32, 64), seed=seed, energy=QUICK, hold_out=True) for seed in (1, 2))
    assert torch.equal(quick.fields, again.fields)
    assert not torch.isclose(quick.fields, other.fields).any()
    array = generate_fields(GRAVEL.values.numpy(), 5, (32, 64), seed=1, energy=QUICK, hold_out=True)
    assert torch.equal(quick.fields, array.fields) and array.image is None


def test_patches_kept_out_are_the_other_squares_of_a_chessboard(quick: FieldGeneration) -> None:
    assert len(quick.patches) == len(quick.held_out) == 16 * 8 // 2
    assert torch.equal(quick.patches[0], GRAVEL.values[:32, :64])
    assert torch.equal(quick.held_out[0], GRAVEL.values[:32, 64:128])
    assert torch.equal(quick.patches[4], GRAVEL.values[32:64, 64:128])
    white, black = checkerboard(torch.arange(9).reshape(9, 1, 1), 3)
    assert white.flatten().tolist() == [0, 2, 4, 6, 8] and black.flatten().tolist() == [1, 3, 5, 7]


def test_tests_leave_out_what_the_energy_has_and_find_noise(made: FieldGeneration, quick: FieldGeneration) -> None:
    assert list(made.tests.index) == ["values", "differences", "local patterns", "pairs of quarters", "all"]
    # Fields with the moments of gravel and no other likeness: of 1000 divisions none is as far.
    assert (quick.tests.loc[["differences", "local patterns", "all"], "p_value"] == 0.001).all()
    assert made.tests.loc["all", "distance"] < quick.tests.loc["all", "distance"]
    known = set(made.report.index[made.report["in energy"].astype(bool)])
    assert len(known) == 10 and not quick.report["in energy"].any()


def test_patches_against_patches_of_the_same_picture_are_not_told_apart() -> None:
    white, black = checkerboard(mm.data.cut_patches(GRAVEL, 64), 8)
    assert group_tests(white, black).loc["all", "p_value"] > 0.01


def test_target_has_the_error_of_a_mean() -> None:
    patches = torch.from_numpy(np.random.default_rng(0).standard_normal((400, 8, 8)))
    target = field_target(FieldMoments((1, 2)), patches)
    # Means of 64 standard Gaussian values and of their squares: variances 1/64 and 2/64.
    torch.testing.assert_close(target.standard_error, torch.tensor([1.0, 2.0]).double().sqrt() / 160, rtol=0.2, atol=0)


def test_energy_has_as_many_octaves_as_fit() -> None:
    assert texture_energy((32, 64)).energies[0].J == 4  # type: ignore[attr-defined]
    assert texture_energy((64, 256)).dim == 8 * 5 + 8 + 4
    with pytest.raises(ValueError, match=r"shape is \(16, 64\); expected at least 32 points either way") as caught:
        texture_energy((16, 64))
    assert "--shape" in caught.value.args[0].in_shell


@pytest.mark.parametrize(
    ("image", "options", "said"),
    [
        (GRAVEL.values[:60, :60], {"shape": 64}, "image has 60 × 60 pixels; expected at least one patch of 64 × 64"),
        (GRAVEL.values[:99, :70], {"shape": 32}, None),
        (GRAVEL.values[:95, :63], {"shape": 32}, r"are 2 patches of 32 × 32; expected at least 4.* larger picture"),
        (GRAVEL.values[:70, :70], {"shape": 32, "hold_out": True}, "are 4 patches .* at least 8.* or no hold_out"),
        (torch.zeros(64, 64), {"shape": 32}, "image is constant at 0"),
        (torch.zeros(64, 64, 3), {"shape": 32}, "expected .height, width.. Pass one channel"),
        (GRAVEL, {"shape": 0}, "shape is 0"),
        (GRAVEL, {"n_fields": 0}, "n_fields is 0"),
    ],
)
def test_pictures_and_settings_that_do_not_do_are_refused(image: object, options: dict[str, int], said: str) -> None:
    if said is None:
        assert generate_fields(image, 1, energy=QUICK, **options).fields.shape == (1, 32, 32)
        return
    with pytest.raises(ValueError, match=said):
        generate_fields(image, **options)


def test_values_that_no_picture_has_are_noted(quick: FieldGeneration) -> None:
    assert ((quick.fields < 0) | (quick.fields > 255)).double().mean() > 1e-4
    assert any("below black or above white" in note for note in quick.notes)


def test_files_have_the_fields_their_report_and_where_they_are_from(quick: FieldGeneration, tmp_path: Path) -> None:
    plain = np.load(save_fields(quick, tmp_path / "fields.npy"))
    with np.load(save_fields(quick, tmp_path / "fields.npz")) as arrays:
        assert np.array_equal(arrays["fields"], plain) and np.array_equal(plain, quick.fields.numpy())
        assert str(arrays["sha256"]) == GRAVEL.sha256 and str(arrays["source"]) == "gravel.png"
        assert arrays["report"].shape == quick.report.shape
        assert arrays["tests_rows"].tolist() == list(quick.tests.index)
        assert arrays["notes"].tolist() == list(quick.notes)
        assert int(arrays["held_out"]) == 64
    assert field_provenance(quick)["energy"] == "FieldMoments((1, 2, 3, 4))"
    with pytest.raises(FileExistsError, match="force=True"):
        save_fields(quick, tmp_path / "fields.npy")
    with pytest.raises(ValueError, match=r"expected .\.npz. or .\.npy."):
        save_fields(quick, tmp_path / "fields.csv")


def test_tiles_are_the_fields_pixel_by_pixel(quick: FieldGeneration, tmp_path: Path) -> None:
    sheet = np.asarray(Image.open(save_tiles(quick, tmp_path / "tiles.png")))
    assert sheet.shape == (2 * 32 + 4, 3 * 64 + 2 * 4) and sheet.dtype == np.uint8
    expected = quick.fields[4].clamp(0, 255).round().numpy()  # the second of the second row
    assert np.array_equal(sheet[36:, 68:132], expected)
    assert (sheet[:, 64:68] == 255).all()


def test_grey_levels_without_a_white_use_the_whole_range() -> None:
    assert grey_levels(torch.tensor([[-1.0, 1.0, 3.0]]), None).tolist() == [[0, 128, 255]]


def test_report_is_said_and_drawn(quick: FieldGeneration, made: FieldGeneration) -> None:
    text = field_report_text(quick)
    assert "5 fields of 32 × 64" in text and "64 patches that were kept out" in text and text.count("Note:") > 0
    assert "the patches that the fields were made from" in field_report_text(made)
    figure = field_report(quick)
    assert len(figure.axes) == 8 + 3
    assert {axis.get_title(loc="left") for axis in figure.axes} >= {
        "patch of the picture",
        "generated",
        "local patterns",
    }
