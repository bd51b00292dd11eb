"""The values that options of the commands accept, listed so that `--help` loads no numerical package."""

from __future__ import annotations

__all__ = [
    "CHECKPOINT_SECONDS",
    "DTYPES",
    "ENERGIES",
    "FIGURE_SUFFIXES",
    "MODELS",
    "PATHS_SUFFIXES",
    "PROCESSES",
    "PROFILES",
    "PUBLISHERS",
    "STARTS",
    "STREAM_SUFFIXES",
]

CHECKPOINT_SECONDS = 30.0
DTYPES = ("float64", "float32")
ENERGIES = ("acf", "scatmean", "scatcov", "spectra")
FIGURE_SUFFIXES = (".pdf", ".png", ".svg")
MODELS = ("mgdm", "mf")
PATHS_SUFFIXES = (".parquet", ".csv", ".npz")
PROCESSES = ("ar01", "ar02", "arm01", "cir-exp", "cir-trunc")
PROFILES = ("paper", "quick")
PUBLISHERS = ("yahoo", "riksbank", "fred", "ecb")
STARTS = ("noise", "student", "garch", "argarch", "argarch-t")
STREAM_SUFFIXES = (".parquet", ".npz")
