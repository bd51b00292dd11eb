"""Public names of a package that are loaded when they are first used."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module

__all__ = ["lazy_names"]


def lazy_names(
    package: str, public: Iterable[str], homes: Mapping[str, str], moved: Mapping[str, str] | None = None
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make the functions `__getattr__` and `__dir__` of a package.

    Args:
        package: its name.
        public: the names that it offers.
        homes: the module of the package that a name comes from; a name without one is a module itself.
        moved: former names of modules, and what they are called now; they work for one release, with a warning.
    """
    offered, former = {*public}, moved or {}

    def load(name: str) -> object:
        if name in former:
            warnings.warn(f"{package}.{name} is now {package}.{former[name]}", DeprecationWarning, stacklevel=2)
            return import_module(f"{package}.{former[name]}")
        if name not in offered:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = import_module(f"{package}.{homes.get(name, name)}")
        value = getattr(home, name) if name in homes else home
        setattr(sys.modules[package], name, value)
        return value

    return load, lambda: sorted({*vars(sys.modules[package]), *offered})
