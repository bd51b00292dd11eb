"""Sums and linear algebra held to one thread, where what follows would make much of their round-off."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import product
from typing import Any

import torch

__all__ = ["one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold PyTorch, and the OpenBLAS of NumPy and of SciPy, to one thread in the whole process, and set them back.

    They add in another order with other numbers of threads. Where NumPy or SciPy are linked to something else than
    OpenBLAS, or where a library does not show what it is linked to, as on Windows, that is left as it is.
    """
    with ExitStack() as back:
        for get, put in ((torch.get_num_threads, torch.set_num_threads), *_controls()):
            back.callback(put, get())
            put(1)
        yield


@cache
def _controls() -> tuple[tuple[Callable[[], int], Callable[[int], Any]], ...]:
    """Functions that read and set the number of threads of each OpenBLAS."""
    found = []
    for module in ("numpy.linalg._umath_linalg", "scipy.linalg.cython_blas"):
        try:
            library = ctypes.CDLL(importlib.import_module(module).__file__)
        except (ImportError, OSError):
            continue
        for prefix, suffix in product(("scipy_", ""), ("", "64_")):  # as the wheels name them, and others
            names = [f"{prefix}openblas_{verb}_num_threads{suffix}" for verb in ("get", "set")]
            if all(hasattr(library, name) for name in names):
                found.append((getattr(library, names[0]), getattr(library, names[1])))
                break
    return tuple(found)
