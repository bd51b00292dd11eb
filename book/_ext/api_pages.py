"""Write the pages of the API reference, one for each module and one for the command, and link names in code to them.

The pages are made before Sphinx looks for sources, from the public names of the modules (`api_names.py`); what they say
is in the docstrings, which autodoc reads. `book/_toc.yml` takes whatever pages there are.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from abc import ABC
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import api_names
import click
from api_names import PACKAGE, Entry, Room
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

from mfmgdm_lib.cli import main

FOLDER = "book/api"
COMMAND = "mfmgdm"
NOTATION = "book/notation"
VARIABLES = {
    "energy": f"{PACKAGE}.energies.Energy",
    "flow": f"{PACKAGE}.FrozenFlow",
    "model": f"{PACKAGE}.Model",
    "process": f"{PACKAGE}.processes.Process",
    "state": f"{PACKAGE}.State",
    "target": f"{PACKAGE}.Target",
    "trace": f"{PACKAGE}.DivergenceTrace",
}
"""What the notation page calls what, as it says at its head."""

_DIRECTIVES = {"class": "autoclass", "exception": "autoexception", "function": "autofunction"}
_IN_CODE = re.compile(r"(?P<name>[A-Za-z_]\w*(?:\.\w+)*)(?:\(.*\))?", re.DOTALL)

_NO_MARKUP = re.compile(r"(?<![\w*])\*(?=[,)\w])(?!\w[^*()]*\w\*(?!\w))|(?<=\w)_(?!\w)|\|")
_COLON = "\ue000"
"""Stands for a colon that begins no description of a type."""
_MEMBERS = (types.FunctionType, property, classmethod, staticmethod)


# --- the pages ---


def pages() -> dict[str, str]:
    """Return the text of each page by the name of its file without suffix: that of its module, or of the command."""
    rooms = {room.module: _front_door(room) if room.module == PACKAGE else _page(room) for room in api_names.rooms()}
    return {COMMAND: _commands(), **rooms}


def _title(text: str, rule: str) -> list[str]:
    return [text, rule * len(text), ""]


def _module(name: str, docstring: str) -> list[str]:
    return [f".. py:module:: {name}", "", *plain(docstring.splitlines()), ""]


def _link(name: str) -> str:
    return f":py:obj:`{api_names.shown(name)} <{name}>`"


def _line(entry: Entry) -> str:
    return f"- {_link(entry.name)}: {plain([entry.summary])[0]}"


def _front_door(room: Room) -> str:
    """Write the page of the names in the package itself, and of the rooms."""
    own = [entry for entry in api_names.entries() if entry.name in room.guests]
    lines = [*_title(PACKAGE, "="), *_module(room.module, room.docstring)]
    lines += [f"After ``import {PACKAGE} as {api_names.SHORT}`` these are there; all else is in a module below.", ""]
    lines += [_line(entry) for entry in sorted(own, key=lambda entry: entry.name.casefold())]
    lines += ["", *_title("Modules", "-")]
    others = [other for other in api_names.rooms() if other.module != PACKAGE]
    lines += [
        f"- :py:mod:`{api_names.shown(other.module)} <{other.module}>`: "
        f"{plain([api_names.first_sentence(other.docstring)])[0]}"
        for other in others
    ]
    return "\n".join([*lines, ""])


def _page(room: Room) -> str:
    """Write the page of a module: a list of what is there, then each thing, those of inner modules alone last."""
    parts: dict[str, list[Entry]] = {room.module: []}
    for entry in room.entries:
        home = entry.name.rpartition(".")[0]
        inner = home if home.startswith(f"{room.module}.") else room.module
        parts.setdefault(inner, []).append(entry)
    lines = [*_title(room.module.removeprefix(f"{PACKAGE}."), "="), *_module(room.module, room.docstring)]
    lines += [_line(entry) for entry in parts[room.module]]
    if room.guests:
        lines += ["", f"Here too: {', '.join(map(_link, room.guests.values()))}."]
    lines.append("")
    for entry in parts.pop(room.module):
        lines += _entry(entry)
    for module, inside in parts.items():
        docstring = inspect.getdoc(sys.modules[module]) or ""
        lines += [*_title(module.removeprefix(f"{PACKAGE}."), "-"), *_module(module, docstring)]
        for entry in inside:
            lines += _entry(entry)
    return "\n".join(lines)


def _entry(entry: Entry) -> list[str]:
    if entry.kind == "data":
        # autodoc finds the string below a constant under the name of its own module only
        module, _, name = entry.name.rpartition(".")
        text = [f"   {line}" for line in plain(entry.docstring.splitlines())]
        return [f".. py:data:: {name}", f"   :module: {module}", "", *text, ""]
    lines = [f".. {_DIRECTIVES[entry.kind]}:: {entry.name}"]
    if isinstance(entry.value, type) and {*entry.value.__bases__} - {object, ABC}:
        lines.append("   :show-inheritance:")
    if isinstance(entry.value, type) and any(base.__name__.startswith("_") for base in entry.value.__mro__):
        # what a private base has is documented nowhere else; up to these bases everything is
        public = [base.__name__ for base in entry.value.__mro__[1:] if not base.__name__.startswith("_")]
        lines.append(f"   :inherited-members: {', '.join(public)}")
    return [*lines, ""]


def commands(command: click.Command = main, typed: str = COMMAND) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and those below it, with what is typed for each."""
    yield typed, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{typed} {name}")


def _commands() -> str:
    """Write the page of the command: what `--help` says of each."""
    lines = _title(f"The command {COMMAND}", "=")
    for typed, command in commands():
        context = click.Context(command, info_name=typed, terminal_width=80, color=False)
        if command is not main:
            lines += _title(typed, "-")
        lines += [".. code-block:: text", "", *(f"   {line}" for line in command.get_help(context).splitlines()), ""]
    return "\n".join(lines)


def write_pages(app: Sphinx) -> None:
    """Bring the pages on disk up to date; what has not changed is not read again."""
    folder, wanted = Path(app.srcdir) / FOLDER, pages()
    for path in folder.glob(f"{COMMAND}*.rst"):
        if path.stem not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


# --- what autodoc says ---


def inherited(cls: type) -> dict[str, str]:
    """Return what a class has from documented bases: the names in full by the short ones."""
    known = _names()
    found: dict[str, str] = {}
    for base in (base for base in cls.__mro__[1:] if id(base) in known):
        for name, value in vars(base).items():
            if isinstance(value, _MEMBERS) and not name.startswith("_") and name not in vars(cls):
                found.setdefault(name, f"{known[id(base)]}.{name}")
    return found


def add_inherited(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Say below the docstring of a class what else it has, and where that is documented."""
    if isinstance(value, type) and (members := inherited(value)):
        links = ", ".join(f":py:obj:`{short} <{full}>`" for short, full in members.items())
        lines += ["", f"Inherited: {links}.", ""]


def name_public_bases(app: Sphinx, name: str, value: type, options: object, bases: list[Any]) -> None:
    """In place of a private base name what that is derived from; bases that say nothing are left out."""
    while private := next((base for base in bases if getattr(base, "__name__", "").startswith("_")), None):
        place = bases.index(private)
        bases[place : place + 1] = [base for base in private.__bases__ if base not in bases]
    bases[:] = [base for base in bases if base is not ABC]


def plain(lines: list[str]) -> list[str]:
    r"""Escape what is no markup in a docstring: the star of a shape (*, time), the end of x_ in x_{t}, bars of |x|."""
    written, indented = [], False
    for line in lines:
        indented = line.startswith(".. math::") or (indented and line[:1] in ("", " "))
        if not indented and not line.lstrip().startswith((">>>", "...")):
            parts = re.split(r"(``.+?``|:math:`.+?`|`.+?`)", line)
            parts[::2] = [_NO_MARKUP.sub(r"\\\g<0>", part) for part in parts[::2]]
            line = "".join(parts)
        written.append(line)
    return written


def mend_markup(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Write as reStructuredText what docstrings of this library say plainly, before napoleon reads their sections.

    The first line of a property and of "Returns:" is a text, which may have a colon, with no type before that: types
    are taken from the annotations.
    """
    lines[:] = plain(lines)
    is_text = what in ("attribute", "data", "property")
    for number, line in enumerate(lines):
        if is_text or (number and lines[number - 1] == "Returns:"):
            lines[number] = line.replace(":", _COLON)
        is_text = is_text and bool(line)


def restore_colons(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Put the colons back after napoleon."""
    lines[:] = [line.replace(_COLON, ":") for line in lines]


def shorten_names(app: Sphinx, doctree: nodes.document) -> None:
    """Show names as they are typed, and types by their last word."""
    for part in doctree.findall(addnodes.desc_addname):
        full = f"{part.parent.get('module')}.{part.parent.get('fullname')}"
        part.children[:] = [nodes.Text(f"{api_names.shown(full).rpartition('.')[0]}.")]
    for link in doctree.findall(addnodes.pending_xref):
        for text in list(link.findall(nodes.Text)) if link.get("reftype") == "class" else []:
            if text.startswith(f"{PACKAGE}."):
                text.parent.replace(text, nodes.Text(text.rpartition(".")[2]))


# --- other names of the same things ---


def add_other_names(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Let each other name of a documented thing, and of what is in it, lead there."""
    domain = _python(env)
    for entry in api_names.entries():
        names = [name for name in domain.objects if name == entry.name or name.startswith(f"{entry.name}.")]
        for name in names:
            own = domain.objects[name]
            for other in entry.others:
                domain.objects[other + name.removeprefix(entry.name)] = own._replace(aliased=True)
    for entry in api_names.entries():
        if isinstance(entry.value, type):
            for short, full in inherited(entry.value).items():
                if full in domain.objects:
                    for name in (entry.name, *entry.others):
                        domain.objects.setdefault(f"{name}.{short}", domain.objects[full]._replace(aliased=True))
    return []


def resolve_type(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, shown: nodes.Node
) -> nodes.Node | None:
    """Resolve a type as the source spells it: link what is public, and show what is not, such as a type variable.

    Sphinx knows types in full where they can be evaluated; of attributes it knows what is written, such as `Tensor`.
    """
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"])
    objects = _python(env).objects
    same = [entry.name for entry in api_names.entries() if entry.name.endswith(f".{target}")]
    if len(same) == 1 and same[0] in objects:
        own = objects[same[0]]
        return make_refnode(app.builder, str(node["refdoc"]), own.docname, own.node_id, [shown], same[0])
    home, _, name = target.rpartition(".")
    if home.startswith(PACKAGE):
        return shown if hasattr(sys.modules.get(home), name) else None
    first = target.partition(".")[0]
    return shown if any(hasattr(module, first) for module in api_names.modules()) else None


def _python(env: BuildEnvironment) -> PythonDomain:
    domain = env.get_domain("py")
    assert isinstance(domain, PythonDomain)
    return domain


# --- links from code in a text ---


def target_of(code: str, page: str, objects: Mapping[str, Any], scope: Iterable[str] = ()) -> str | None:
    """Return the documented name that a piece of code stands for, or None.

    Args:
        code: a name, with or without a call: "mm.MFMGDM", "mm.processes.AR([0.1])", "energy.jacobian(x)".
        page: where it stands.
        objects: what is documented, by name.
        scope: what to look in, the innermost first, where it is a docstring's.
    """
    found = _IN_CODE.fullmatch(code)
    if found is None:
        return None
    name = found["name"]
    first, dot, rest = name.partition(".")
    if first in (api_names.SHORT, PACKAGE):
        candidates = [f"{PACKAGE}{dot}{rest}"]
    elif page == NOTATION and first in VARIABLES and rest:
        candidates = [f"{VARIABLES[first]}.{rest}"]
    else:
        candidates = [candidate for within in scope for candidate in (f"{within}.{name}", _imported(within, name))]
        if candidates and re.search("[A-Z_]", name):  # a word alone may mean much
            candidates += [full for full in api_names.paths() if full.endswith(f".{name}")][:1]
    return next((candidate for candidate in candidates if candidate in objects), None)


def _imported(module: str, name: str) -> str:
    """Return the public name of what a module calls by a name."""
    first, dot, rest = name.partition(".")
    value = vars(sys.modules[module]).get(first) if module in sys.modules else None
    return f"{_names()[id(value)]}{dot}{rest}" if id(value) in _names() else ""


@cache
def _names() -> dict[int, str]:
    """Public names of classes and functions by their identity."""
    return {id(entry.value): entry.name for entry in api_names.entries() if entry.kind != "data"}


@cache
def _homes() -> dict[str, str]:
    """Where what has a public name is defined."""
    return {entry.name: entry.module for entry in api_names.entries()}


def scope_of(node: nodes.Node) -> Iterator[str]:
    """Yield the names that a node of a docstring is within: a method, its class, the module that defines it."""
    parent = node.parent
    while parent is not None:
        if isinstance(parent, addnodes.desc) and parent.get("domain") == "py":
            name = f"{parent[0].get('module')}.{parent[0].get('fullname')}"
            yield from (name, _homes().get(name, ""))
        parent = parent.parent
    yield PACKAGE


def parameters_of(node: nodes.Node) -> set[str]:
    """Names of the arguments of what a docstring is of: these mean themselves."""
    names: set[str] = set()
    parent = node.parent
    while parent is not None:
        if isinstance(parent, addnodes.desc):
            names.update(name.astext() for name in parent[0].findall(addnodes.desc_sig_name))
        parent = parent.parent
    return names


def link_code(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Make links of the names in the text of a page, where the reference has them."""
    objects = _python(app.env).objects
    in_reference = page.startswith(f"{FOLDER}/")
    for literal in list(doctree.findall(nodes.literal)):
        code = literal.astext()
        if isinstance(literal.parent, nodes.reference):
            continue
        is_own = in_reference and code.partition("(")[0] not in parameters_of(literal)
        target = target_of(code, page, objects, scope_of(literal) if is_own else ())
        if target is not None:
            own = objects[target]
            link = make_refnode(app.builder, page, own.docname, own.node_id, [literal.deepcopy()], target)
            literal.replace_self(link)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", mend_markup, priority=400)
    app.connect("autodoc-process-docstring", restore_colons, priority=600)
    app.connect("autodoc-process-docstring", add_inherited)
    app.connect("autodoc-process-bases", name_public_bases)
    app.connect("missing-reference", resolve_type)
    app.connect("doctree-read", shorten_names)
    app.connect("env-updated", add_other_names)
    app.connect("doctree-resolved", link_code)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
