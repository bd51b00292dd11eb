"""Real series with dates and units, from files, publishers and installed packages, and pictures."""

from mfmgdm_lib.data.cache import cached, verify_cache
from mfmgdm_lib.data.calendar import dates_after
from mfmgdm_lib.data.checks import check_series
from mfmgdm_lib.data.doubts import find_doubts
from mfmgdm_lib.data.files import read_csv, read_series
from mfmgdm_lib.data.images import GreyImage, cut_patches, read_image
from mfmgdm_lib.data.series import levels, returns, standardize, unstandardize
from mfmgdm_lib.data.sources import ecb, fetch, fred, kept, riksbank, sp500, yahoo

__all__ = [
    "GreyImage",
    "cached",
    "check_series",
    "cut_patches",
    "dates_after",
    "ecb",
    "fetch",
    "find_doubts",
    "fred",
    "kept",
    "levels",
    "read_csv",
    "read_image",
    "read_series",
    "returns",
    "riksbank",
    "sp500",
    "standardize",
    "unstandardize",
    "verify_cache",
    "yahoo",
]
