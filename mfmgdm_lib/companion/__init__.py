"""The paper's experiments: specifications, stored results, and comparison with the printed numbers."""

from mfmgdm_lib._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
