"""The public names of the library, by the module whose page in the reference has them.

A name is public where a module's `__all__` has it. Packages have the names of their modules too: a thing is documented
once, under the shortest of its names, which is the one to be typed. The other names link there.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import mfmgdm_lib

__all__ = ["PACKAGE", "SHORT", "Entry", "Room", "entries", "first_sentence", "modules", "paths", "rooms", "shown"]

PACKAGE = mfmgdm_lib.__name__
SHORT = "mm"
"""What the package is called where it is used."""

_WITH_PAGE_OF_ITS_OWN = f"{PACKAGE}.cli"
"""The command, whose help is its documentation."""


@dataclass(frozen=True)
class Entry:
    """One documented thing.

    Attributes:
        name: the public name in full, such as "mfmgdm_lib.MFMGDM".
        others: its other names, in the same form.
        module: where it is defined.
        kind: "class", "exception", "function" or "data".
        value: the thing itself.
    """

    name: str
    others: tuple[str, ...]
    module: str
    kind: str
    value: object = field(repr=False)

    @property
    def summary(self) -> str:
        """The first sentence of its docstring, on one line."""
        return first_sentence(self.docstring)

    @property
    def docstring(self) -> str:
        """Its docstring; of a constant, the string below it in the source."""
        if self.kind == "data":
            return _constant_docstrings(self.module).get(self.name.rpartition(".")[2], "")
        return inspect.getdoc(self.value) or ""


@dataclass(frozen=True)
class Room:
    """A module with a page of its own: those directly in the package, and those that a package offers by name.

    Attributes:
        module: its name in full; the package's own name is that of the front door.
        entries: what is documented on its page, in the order of the modules that define it.
        guests: names that the module has too and that are documented elsewhere: public names by its own.
    """

    module: str
    entries: tuple[Entry, ...]
    guests: dict[str, str]

    @property
    def docstring(self) -> str:
        """What its module says of itself."""
        return inspect.getdoc(import_module(self.module)) or ""


def first_sentence(docstring: str) -> str:
    """Return the first sentence of a docstring on one line: up to a full stop that ends a line, or an empty line."""
    lines: list[str] = []
    for line in docstring.splitlines():
        if not line.strip():
            break
        lines.append(line.strip())
        if line.rstrip().endswith("."):
            break
    return " ".join(lines)


def shown(name: str) -> str:
    """Spell a name as it is typed: `mm.` for the package where that is how one gets there."""
    package, _, rest = name.partition(".")
    first = rest.partition(".")[0]
    return f"{SHORT}.{rest}" if package == PACKAGE and first in listed(mfmgdm_lib) else name


def modules() -> Iterator[ModuleType]:
    """Every module that is not private, the package first, parents before their children."""
    yield mfmgdm_lib
    for found in pkgutil.walk_packages(mfmgdm_lib.__path__, prefix=f"{PACKAGE}."):
        if "._" not in found.name and not f"{found.name}.".startswith(f"{_WITH_PAGE_OF_ITS_OWN}."):
            yield import_module(found.name)


def listed(module: ModuleType) -> list[str]:
    """What a module says is public."""
    return list(module.__all__)


@cache
def entries() -> tuple[Entry, ...]:
    """Everything that is documented, once."""
    names: dict[tuple[str, int], list[str]] = {}
    values: dict[str, object] = {}
    for module in modules():
        for name in listed(module):
            value = getattr(module, name)
            if not isinstance(value, ModuleType):
                path = f"{module.__name__}.{name}"
                values[path] = value
                names.setdefault((name, id(value)), []).append(path)
    found = []
    for (name, _), alike in names.items():
        # sorted is stable: of equally short names the one that stands first among the modules
        first, *others = sorted(alike, key=lambda path: path.count("."))
        (home,) = {path.rpartition(".")[0] for path in alike if name in _defined(path.rpartition(".")[0])}
        found.append(Entry(first, tuple(others), home, _kind(values[first]), values[first]))
    return tuple(found)


@cache
def paths() -> dict[str, Entry]:
    """Every name of everything documented, the public ones among them."""
    return {name: entry for entry in entries() for name in (entry.name, *entry.others)}


@cache
def rooms() -> tuple[Room, ...]:
    """The pages of the reference, the front door first, by name."""
    own = [PACKAGE]
    for module in modules():
        if module.__name__.count(".") == 1:
            own.append(module.__name__)
        own += [f"{module.__name__}.{name}" for name in listed(module) if isinstance(getattr(module, name), ModuleType)]
    order = [module.__name__ for module in modules()]
    kept: dict[str, list[Entry]] = {module: [] for module in sorted(set(own))}
    for entry in sorted(entries(), key=lambda entry: (order.index(entry.module), _line(entry))):
        kept[_page(entry.module, kept)].append(entry)
    return tuple(Room(module, tuple(inside), _guests(module, inside)) for module, inside in kept.items())


def _page(module: str, pages: dict[str, list[Entry]]) -> str:
    """The innermost of the modules with a page that a module is in."""
    while module not in pages:
        module = module.rpartition(".")[0]
    return module


def _guests(module: str, inside: list[Entry]) -> dict[str, str]:
    """Names of a module that are documented on another page."""
    here = {entry.name for entry in inside}
    every = paths()
    names = [f"{module}.{name}" for name in listed(import_module(module))]
    return {name: every[name].name for name in names if name in every and every[name].name not in here}


def _kind(value: object) -> str:
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    return "function" if inspect.isroutine(value) else "data"


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(Path(str(import_module(module).__file__)).read_text(encoding="utf-8"))


def _targets(statement: ast.stmt) -> list[str]:
    """Names that a statement at the top of a module defines."""
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        return [statement.name]
    if isinstance(statement, ast.AnnAssign):
        return [ast.unparse(statement.target)]
    return [ast.unparse(target) for target in statement.targets] if isinstance(statement, ast.Assign) else []


@cache
def _defined(module: str) -> dict[str, int]:
    """Names that a module defines itself, with their lines."""
    return {name: statement.lineno for statement in _tree(module).body for name in _targets(statement)}


def _line(entry: Entry) -> int:
    return _defined(entry.module)[entry.name.rpartition(".")[2]]


@cache
def _constant_docstrings(module: str) -> dict[str, str]:
    """The strings that stand below constants."""
    body = _tree(module).body
    return {
        name: inspect.cleandoc(below.value.value)
        for above, below in pairwise(body)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
        for name in _targets(above)
        if not isinstance(above, ast.ClassDef | ast.FunctionDef)
    }
