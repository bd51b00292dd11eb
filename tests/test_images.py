"""Pictures from files: what is read, what is refused and how, and patches."""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mfmgdm_lib as mm
from mfmgdm_lib.companion.textures import TEXTURES
from mfmgdm_lib.data.images import GreyImage, as_grey_values, cut_patches, read_image

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def saved(tmp_path: Path, array: np.ndarray, name: str = "picture.png", **options: object) -> Path:
    path = tmp_path / name
    Image.fromarray(array).save(path, **options)
    return path


def coloured(alpha: int | None = None) -> np.ndarray:
    pixels = np.zeros((3, 4, 3 if alpha is None else 4), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1], pixels[..., 2] = 10, 100, 200
    if alpha is not None:
        pixels[..., 3] = 255
        pixels[1, 2, 3] = alpha
    return pixels


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF"])
def test_grey_values_are_those_of_the_file(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, RAMP, name)
    image = read_image(path)
    assert image.values.dtype == torch.float64
    assert np.array_equal(image.values.numpy(), RAMP)
    assert (image.white, image.channel, image.source) == (255.0, "grey", name)
    assert image.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_jpeg_is_read_as_pillow_unpacks_it(tmp_path: Path) -> None:
    path = saved(tmp_path, np.full((16, 16), 77, dtype=np.uint8), "flat.jpg")
    assert torch.equal(read_image(path).values, torch.full((16, 16), 77.0, dtype=torch.float64))


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_sixteen_bits_are_kept(tmp_path: Path, name: str) -> None:
    deep = (np.arange(12, dtype=np.uint16) * 5001).reshape(3, 4)
    image = read_image(saved(tmp_path, deep, name))
    assert image.white == 65535.0
    assert np.array_equal(image.values.numpy(), deep)


def test_floating_numbers_are_kept_and_nan_is_refused(tmp_path: Path) -> None:
    values = np.array([[0.25, -1.5], [3.0, 4.0]], dtype=np.float32)
    image = read_image(saved(tmp_path, values, "float.tif"))
    assert image.white is None
    assert np.array_equal(image.values.numpy(), values)
    values[1, 0] = np.nan
    with pytest.raises(ValueError, match=r"nan.tif has 1 entries .* index \(1, 0\)"):
        read_image(saved(tmp_path, values, "nan.tif"))


def test_colours_need_a_channel(tmp_path: Path) -> None:
    path = saved(tmp_path, coloured())
    with pytest.raises(ValueError, match=r"has colours; expected one channel. Pass channel=") as caught:
        read_image(path)
    assert "--grey" in caught.value.args[0].in_shell
    grey = 0.299 * 10 + 0.587 * 100 + 0.114 * 200
    for channel, value in {"grey": grey, "red": 10, "green": 100, "blue": 200}.items():
        assert torch.allclose(read_image(path, channel).values, torch.tensor(value, dtype=torch.float64), atol=1e-12)


def test_grey_saved_as_colours_or_with_a_palette_is_grey(tmp_path: Path) -> None:
    assert np.array_equal(read_image(saved(tmp_path, np.stack([RAMP] * 3, -1))).values.numpy(), RAMP)
    Image.fromarray(RAMP).convert("P").save(tmp_path / "palette.png")
    assert np.array_equal(read_image(tmp_path / "palette.png").values.numpy(), RAMP)


def test_black_and_white_is_zero_and_one(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False], [False, True]])).save(tmp_path / "bits.png")
    image = read_image(tmp_path / "bits.png")
    assert image.values.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert image.white == 1.0


def test_transparency_is_refused_unless_all_is_opaque(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has 1 transparent pixels"):
        read_image(saved(tmp_path, coloured(alpha=10)), "grey")
    assert float(read_image(saved(tmp_path, coloured(alpha=255)), "red").values.max()) == 10.0


def test_a_picture_is_turned_as_its_camera_was_held(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90° clockwise to see it upright
    path = saved(tmp_path, RAMP, "turned.png", exif=exif)
    assert np.array_equal(read_image(path).values.numpy(), np.rot90(RAMP, -1))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A few hundred bytes that say they are a picture of side² pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize("side", [9_000, 100_000])
def test_a_file_that_would_unpack_to_too_much_is_refused_before(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(side))
    with pytest.raises(ValueError, match=r"is too large: .* expected at most 67108864 pixels"):
        read_image(path)


def test_several_frames_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(RAMP + add) for add in (0, 1)]
    for name in ("moving.png", "pages.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.raises(ValueError, match="has 2 frames or pages"):
            read_image(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b"Date,Close\n2024-01-02,1\n", "is no picture that can be read"), (b"GIF89a", "no picture")],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ValueError, match=f"{said}.*PNG, TIFF or JPEG"):
        read_image(tmp_path / "x.png")
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "none.png")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    for name in ("a.png", "a.jpg"):
        whole = saved(tmp_path, noise, name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match="is damaged"):
            read_image(tmp_path / name)
    whole = bytearray(saved(tmp_path, noise).read_bytes())
    whole[len(whole) // 2] ^= 255
    (tmp_path / "flipped.png").write_bytes(whole)
    with pytest.raises(ValueError, match="is damaged"):
        read_image(tmp_path / "flipped.png")


def test_another_channel_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, RAMP)
    with pytest.raises(ValueError, match="channel is 'alpha'; expected one of 'grey'"):
        read_image(path, "alpha")
    with pytest.raises(ValueError, match="is grey, and channel is 'red'"):
        read_image(path, "red")


@pytest.mark.parametrize(
    ("image", "error", "said"),
    [
        (np.zeros((4, 4, 3)) + np.arange(3), ValueError, r"shape \(4, 4, 3\); expected \(height, width\). Pass one"),
        (np.arange(4.0), ValueError, r"shape \(4,\)"),
        (np.ones((4, 4)), ValueError, "is constant at 1"),
        (np.ones((0, 4)), ValueError, "is empty"),
        (np.array([[1.0, np.inf]]), ValueError, r"1 entries .* index \(0, 1\)"),
        (np.array([["a", "b"]]), TypeError, "has dtype"),
    ],
)
def test_values_that_are_no_picture_are_refused(image: np.ndarray, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        as_grey_values(image)


def test_patches_of_a_grid_leave_out_what_is_too_narrow() -> None:
    image = torch.arange(35.0).reshape(5, 7)
    patches = cut_patches(GreyImage(image.double()), (2, 3))
    assert patches.shape == (4, 2, 3)
    assert patches[1].tolist() == image[0:2, 3:6].tolist()
    assert patches[2].tolist() == image[2:4, 0:3].tolist()


def test_patches_at_random_places_are_parts_and_reach_all_edges() -> None:
    image = np.arange(20.0).reshape(4, 5)
    patches = cut_patches(image, 3, n=200, seed=1)
    corners = {float(patch[0, 0]) for patch in patches}
    assert corners == {0.0, 1.0, 2.0, 5.0, 6.0, 7.0}  # all six places of the upper left corner: missed once in 10¹⁵
    assert all(patch.tolist() == image[i : i + 3, j : j + 3].tolist() for patch in patches for i, j in [place(patch)])
    assert torch.equal(patches, cut_patches(image, 3, n=200, seed=1))


def place(patch: torch.Tensor) -> tuple[int, int]:
    return divmod(int(patch[0, 0]), 5)


def test_patches_say_what_is_wrong() -> None:
    image = np.arange(20.0).reshape(4, 5)
    with pytest.raises(ValueError, match="image has 4 × 5 pixels; expected at least one patch of 4 × 6") as caught:
        cut_patches(image, (4, 6))
    assert "--shape" in caught.value.args[0].in_shell
    with pytest.raises(ValueError, match="seed is None"):
        cut_patches(image, 2, n=3)


@pytest.mark.parametrize("name", TEXTURES)
def test_a_texture_is_the_file_whose_licence_is_stated_beside_it(name: str) -> None:
    image = mm.companion.texture(name)
    stated = (Path(mm.companion.__file__).parent / "textures" / f"{name}.txt").read_text()
    found = re.search(r"SHA-256: ([0-9a-f]{64})", stated)
    assert found is not None
    assert found[1] == image.sha256
    assert "CC0 1.0" in stated
    with pytest.raises(ValueError, match="name is 'bubbles'"):
        mm.companion.texture("bubbles")
