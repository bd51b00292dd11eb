"""Real series with dates and units, from files, publishers and installed packages."""

from mfmgdm_lib.data.cache import cached, verify_cache
from mfmgdm_lib.data.calendar import dates_after
from mfmgdm_lib.data.checks import check_series
from mfmgdm_lib.data.doubts import find_doubts
from mfmgdm_lib.data.files import read_csv, read_series
from mfmgdm_lib.data.series import levels, returns, standardize, unstandardize
from mfmgdm_lib.data.sources import ecb, fetch, fred, kept, riksbank, sp500, yahoo

__all__ = [
    "cached",
    "check_series",
    "dates_after",
    "ecb",
    "fetch",
    "find_doubts",
    "fred",
    "kept",
    "levels",
    "read_csv",
    "read_series",
    "returns",
    "riksbank",
    "sp500",
    "standardize",
    "unstandardize",
    "verify_cache",
    "yahoo",
]
