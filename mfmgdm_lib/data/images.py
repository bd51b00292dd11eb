"""Grey pictures from PNG, TIFF and JPEG files, and patches of them."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from mfmgdm_lib._checks import as_shape, check_finite, check_positive_int
from mfmgdm_lib.errors import Message
from mfmgdm_lib.processes.base import Seed, generator

__all__ = ["CHANNELS", "IMAGE_SUFFIXES", "GreyImage", "as_grey_values", "cut_patches", "read_image"]

CHANNELS = ("grey", "red", "green", "blue")
"""What can be read of a colour picture: its luminance, or one of three."""

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
"""Suffixes of the files that are read."""

_FORMATS = ("PNG", "TIFF", "JPEG")
_MOST_PIXELS = 2**26
"""Pixels at most, 8192²: half a GB as float64. A small file can unpack to far more than there is memory."""

_LUMINANCE = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the grey of ITU-R BT.601, which Pillow uses as well."""

_GREY_MODES = {"1": 1.0, "L": 255.0, "I;16": 65535.0, "I;16B": 65535.0, "I;16L": 65535.0, "I": 65535.0, "F": None}
"""Pillow's modes of one channel, and the value of white in each; a file of floating numbers does not say."""

_COLOUR_MODES = ("LA", "La", "PA", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB")


@dataclass(frozen=True)
class GreyImage:
    """One channel of a picture.

    Attributes:
        values: (H, W), float64, in the units of the file: from 0 to 255 of 8 bits.
        white: the value of white, 255 of 8 bits and 65535 of 16; None where the file has floating numbers.
        channel: which of `CHANNELS` it is.
        source: the name of the file.
        sha256: of the file.
    """

    values: Tensor
    white: float | None = None
    channel: str = "grey"
    source: str = ""
    sha256: str = ""


def read_image(path: str | os.PathLike[str], channel: str | None = None) -> GreyImage:
    """Read one channel of a picture from a PNG, TIFF or JPEG file.

    It is turned the way its camera says that it was held. Nothing is scaled: values are those of the file.

    Args:
        path: where the file is.
        channel: of a colour picture: "grey" for 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601), or "red",
            "green" or "blue". None for a grey picture, which has no other channel than "grey".

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of another kind or damaged, of several frames, with transparent pixels, of more than 2²⁶
            pixels, or with values that are not finite; a colour picture without a channel, or another channel.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "picture.png")
        ...     Image.fromarray(np.array([[0, 128], [255, 7]], dtype=np.uint8)).save(path)
        ...     read_image(path).values.tolist()
        [[0.0, 128.0], [255.0, 7.0]]
    """
    path = Path(path)
    if channel is not None and channel not in CHANNELS:
        raise ValueError(f"channel is {channel!r}; expected one of {', '.join(map(repr, CHANNELS))}. Choose one.")
    content = path.read_bytes()
    picture = _opened(path, content)
    if picture.mode in _GREY_MODES:
        white, values = _GREY_MODES[picture.mode], np.asarray(picture, dtype=np.float64)
        if channel not in (None, "grey"):
            raise ValueError(
                Message(
                    f"{path} is grey, and channel is {channel!r}; expected grey.",
                    "Leave channel out.",
                    option="Leave --channel out.",
                )
            )
    elif picture.mode in _COLOUR_MODES:
        white, values = 255.0, _one_channel(path, picture, channel)
    else:
        raise ValueError(f"{path} has pixels of kind {picture.mode}; expected grey or red, green and blue. Convert it.")
    found = check_finite(f"{path}", torch.from_numpy(np.array(values)))
    return GreyImage(found, white, channel or "grey", path.name, hashlib.sha256(content).hexdigest())


def _opened(path: Path, content: bytes) -> Image.Image:
    """The picture of a file, unpacked, or an error that says what is wrong with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the number of pixels is checked below, and damage is no warning
            picture = Image.open(io.BytesIO(content), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise _too_large(path, str(error)) from error
    except (OSError, SyntaxError, ValueError, TypeError) as error:  # an unknown kind of file is an OSError
        what = "is empty" if not content else "is no picture that can be read"
        raise ValueError(f"{path} {what}; expected a PNG, TIFF or JPEG file. Save it as PNG.") from error
    width, height = picture.size
    if width * height > _MOST_PIXELS:
        raise _too_large(path, f"{height} × {width} pixels")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if (frames := getattr(picture, "n_frames", 1)) == 1:
                picture.load()
                return ImageOps.exif_transpose(picture)
    except Exception as error:  # a flipped bit makes the readers of PNG and TIFF raise nearly any
        raise ValueError(f"{path} is damaged ({error}); expected a whole picture. Fetch or save it again.") from error
    raise ValueError(f"{path} has {frames} frames or pages; expected one picture. Save one of them as PNG.")


def _too_large(path: Path, said: str) -> ValueError:
    return ValueError(f"{path} is too large: {said}; expected at most {_MOST_PIXELS} pixels. Crop it.")


def _one_channel(path: Path, picture: Image.Image, channel: str | None) -> np.ndarray:
    """A channel of a picture with a palette, colours or transparency, (H, W), 0 to 255."""
    pixels = np.asarray(picture.convert("RGBA"), dtype=np.float64)
    if clear := int((pixels[..., 3] < 255).sum()):
        raise ValueError(
            f"{path} has {clear} transparent pixels; expected values everywhere. Crop it, or put it on a background."
        )
    colours = pixels[..., :3]
    if (colours == colours[..., :1]).all():  # grey that was saved as colours
        return colours[..., 0]
    if channel is None:
        raise ValueError(
            Message(
                f"{path} has colours; expected one channel.",
                'Pass channel="grey", or "red", "green" or "blue".',
                option="Use --grey, or --channel red, green or blue.",
            )
        )
    return colours @ np.array(_LUMINANCE) if channel == "grey" else colours[..., CHANNELS.index(channel) - 1]


def as_grey_values(image: Any, name: str = "image") -> Tensor:
    """Return the values (H, W), float64, of a `GreyImage`, an array or a tensor.

    Raises:
        TypeError: values that are not real numbers.
        ValueError: another shape, values that are not finite, or all the same.

    Example:
        >>> as_grey_values(np.eye(2, dtype=np.uint8)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    raw = image.values if isinstance(image, GreyImage) else image
    array = raw.detach().cpu().numpy() if isinstance(raw, Tensor) else np.asarray(raw)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} has dtype {array.dtype}; expected real numbers. Convert it to float64 first.")
    if array.ndim != 2:
        mend = "Pass one channel, such as image[..., 0]." if array.ndim == 3 else "Pass an array of two axes."
        raise ValueError(f"{name} has shape {array.shape}; expected (height, width). {mend}")
    values = check_finite(name, torch.from_numpy(np.array(array, dtype=np.float64)))
    if not values.numel() or bool((values == values[0, 0]).all()):
        said = f"constant at {float(values[0, 0]):g}" if values.numel() else "empty"
        raise ValueError(f"{name} is {said}; expected values that vary. Use another picture.")
    return values


def cut_patches(image: Any, shape: int | tuple[int, int], n: int | None = None, seed: Seed = None) -> Tensor:
    """Cut patches out of a picture: as many as fit beside one another, or at random places.

    Args:
        image: a `GreyImage`, an array or a tensor (H, W).
        shape: of a patch, (h, w); a number for a square.
        n: patches at random places, which may overlap; None for those of a grid that begins at the upper left corner.
        seed: of the places: whatever `numpy.random.default_rng` takes.

    Returns:
        (n, h, w), float64; of a grid row by row.

    Raises:
        ValueError: a picture that is smaller than a patch, or random places without a seed.

    Example:
        >>> cut_patches(np.arange(8).reshape(2, 4), 2).tolist()
        [[[0.0, 1.0], [4.0, 5.0]], [[2.0, 3.0], [6.0, 7.0]]]
    """
    values = as_grey_values(image)
    height, width = as_shape("shape", (shape, shape) if isinstance(shape, int) else shape)
    rows, columns = values.shape
    if height > rows or width > columns:
        said = f"image has {rows} × {columns} pixels; expected at least one patch of {height} × {width}."
        raise ValueError(Message(said, "Use a smaller shape, or a larger picture.", option="Use a smaller --shape."))
    if n is None:
        grid = values[: rows - rows % height, : columns - columns % width]
        return grid.unfold(0, height, height).unfold(1, width, width).flatten(0, 1).clone()
    if seed is None:
        raise ValueError("seed is None with n patches at random places; expected a seed. Pass such as seed=0.")
    rng = generator(seed)
    n = check_positive_int("n", n)
    down, across = rng.integers(0, rows - height + 1, n), rng.integers(0, columns - width + 1, n)
    return torch.stack([values[i : i + height, j : j + width] for i, j in zip(down, across, strict=True)])
