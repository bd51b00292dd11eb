"""Numbers of threads: one where round-off would be made much of, and a record of those that a run has had."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import product
from typing import Any

import torch

__all__ = ["one_thread", "threads_so_far"]


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


def threads_so_far(before: Sequence[int], report: Callable[[str], None]) -> list[int]:
    """The numbers of threads that a run has had, the present one last, which is reported where it is another.

    Args:
        before: those recorded by its checkpoint; none for a run that begins, or where it does not say.
        report: what to do with a sentence for the user.
    """
    now = torch.get_num_threads()
    if not before or before[-1] == now:
        return [*before] or [now]
    report(
        f"It goes on with {now} thread{'s' * (now != 1)} after {before[-1]}: sums may be rounded differently from here"
        f" on. OMP_NUM_THREADS={before[-1]} gives the bits of an undisturbed run."
    )
    return [*before, now]


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
