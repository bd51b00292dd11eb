"""The figures of the book, drawn from results that are calculated elsewhere.

Colours mean the same everywhere: black is the true law, grey the start, orange MGDM, blue MF–MGDM.
"""

from mfmgdm_lib._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
