"""Public names of a package, and pandas, that are loaded when they are first used."""

from __future__ import annotations

import ast
import pkgutil
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

__all__ = ["lazy_names", "pandas"]


class _Later(ModuleType):
    """What stands for a module until one of its names is asked for."""

    def __getattr__(self, name: str) -> object:
        return getattr(import_module(self.__name__), name)


if TYPE_CHECKING:
    import pandas
else:
    # For modules that take or return tables only in some of their functions: pandas takes 70 MB and half a second.
    # SciPy needs no such thing: after `import scipy` it loads each of its subpackages when it is first used.
    pandas = _Later("pandas")


def lazy_names(
    package: str, file: str, moved: Mapping[str, str] | None = None
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Make `__getattr__`, `__dir__` and `__all__` of a package from its stub, the file `__init__.pyi` beside it.

    Args:
        package: its name.
        file: its `__init__.py`; the imports of the stub say which names there are, and from where.
        moved: former names, and what they are called now, in full; they work for one release, with a warning.
    """
    stub, former = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8")), moved or {}
    imports = [statement for statement in stub.body if isinstance(statement, ast.ImportFrom)]
    homes = {alias.name: str(statement.module) for statement in imports for alias in statement.names}

    def load(name: str) -> object:
        if name in former:
            now = former[name]
            warnings.warn(f"{package}.{name} is now {now}", DeprecationWarning, stacklevel=2)
            return pkgutil.resolve_name(now)
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        is_module = homes[name] == package
        value = import_module(f"{package}.{name}") if is_module else getattr(import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return load, lambda: sorted({*vars(sys.modules[package]), *homes}), list(homes)
