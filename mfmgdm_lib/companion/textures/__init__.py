"""Photographs of textures that come with the library, with their licences beside them."""

from __future__ import annotations

from pathlib import Path

from mfmgdm_lib._checks import check_member
from mfmgdm_lib.data import GreyImage, read_image

__all__ = ["TEXTURES", "texture"]

TEXTURES = ("gravel",)
"""Names of the photographs; NAME.txt beside each says where it is from and under which licence."""


def texture(name: str = "gravel") -> GreyImage:
    """Return a photograph of a texture: "gravel", 512 × 512 pixels, in the public domain (CC0 1.0).

    It is the one of scikit-image (van der Walt et al. 2014), from CC0Textures.

    Args:
        name: one of `TEXTURES`.

    Raises:
        ValueError: another name.

    Example:
        >>> gravel = texture("gravel")
        >>> tuple(gravel.values.shape), gravel.white, round(float(gravel.values.mean()), 1)
        ((512, 512), 255.0, 126.5)
    """
    return read_image(Path(__file__).with_name(f"{check_member('name', name, TEXTURES)}.png"))
