"""Rewrite a page's notebook so that Jupyter alone can show it: numbers, titles and captions in place of MyST's markup.

Jupyter knows Markdown and TeX. A page uses roles, directives, labels and captions of MyST besides, and what becomes of
these only the book knows: it says so as `References`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import nbformat

__all__ = ["Place", "References", "Work", "plain_notebook"]

_HIDDEN = "application/papermill.record/"

_FENCED = re.compile(r"(?ms)^(?P<fence>`{3,}|:{3,})(?P<head>[^`\n]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$")
_DIRECTIVE = re.compile(r"\{(?P<name>[\w:-]+)\}[ \t]*(?P<title>.*)")
_OPTION = re.compile(r":(?P<name>[\w-]+):[ \t]*(?P<value>.*)\n?")
_DISPLAY = re.compile(r"(?s)\$\$(?P<body>.+?)\$\$(?:[ \t]*\((?P<label>[\w:-]+)\))?")
# Either is found where it begins first, so that what looks like a role within code is left alone.
_ROLE_OR_CODE = re.compile(
    r"(?s)\{(?P<name>[\w:+-]+)\}`(?P<content>[^`]+)`|(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)",
)
_DROPPED_LINES = re.compile(
    r"(?m)^(?:\([\w:.-]+\)=|\{[.#][^}\n]*\}|%.*)[ \t]*(?:\n|\Z)"
)  # labels, attributes, comments
_WITH_TITLE = re.compile(r"(?s)(?P<title>.+?)\s*<(?P<target>[^<>]+)>")

_TITLED_BOXES = ("admonition", "dropdown", "margin", "sidebar", "topic")
# Those that start or end are cells of their own, with cells of code between them.
_EXERCISES = ("exercise", "exercise-start")
_SOLUTIONS = ("solution", "solution-start")
_ENDS = ("exercise-end", "solution-end")
_BOXES = (
    *("attention", "caution", "danger", "error", "hint", "important", "note", "seealso", "tip", "warning"),
    *_TITLED_BOXES,
)


class Place(NamedTuple):
    """What a label is called, such as "Figure 3" or "(3)", and the title of its page, empty where that is this one."""

    name: str
    page: str = ""


class Work(NamedTuple):
    """A cited work: its authors, its year, and where it is to be found, if anywhere."""

    authors: str
    year: str
    address: str


class References(Protocol):
    """What the book knows."""

    def numbered(self, label: str) -> Place:
        """Return where a figure or an exercise is."""

    def equation(self, label: str) -> Place:
        """Return where an equation is."""

    def page(self, target: str) -> str:
        """Return the title of a page."""

    def section(self, label: str) -> str:
        """Return the title of the section that a label is of."""

    def work(self, key: str) -> Work:
        """Return a work of the bibliography."""


def plain_notebook(notebook: nbformat.NotebookNode, references: References, macros: Mapping[str, str]) -> None:
    """Rewrite the text of a notebook in place, and put the caption of a figure into a cell below it.

    Args:
        notebook: an executed one, which has the values that its text quotes.
        references: what the book knows.
        macros: TeX commands of the book, without their backslash, and what they stand for.

    Raises:
        ValueError: a role or a directive that is not known here, or a value that no cell has left.
    """
    writer = _Writer(references, macros, _glued(notebook))
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = writer.text(cell.source)
            cells += [cell] if cell.source else []
            continue
        cells.append(cell)
        if cell.cell_type == "code":
            cell.outputs = [_without_picture(output) for output in cell.outputs if not _is_hidden(output)]
        if caption := writer.caption(cell.metadata.get("mystnb", {}).get("figure", {})):
            cells.append(_markdown(f"{cell['id']}-caption"[-64:], caption))
    notebook.cells = cells


def _glued(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """Collect what the cells have left for the text, by name."""
    values = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if kept := output.get("metadata", {}).get("scrapbook"):
                shown = output["data"][f"{kept['mime_prefix']}text/plain"]
                values[kept["name"]] = str(ast.literal_eval(shown)) if shown[:1] in ("'", '"') else shown
    return values


def _is_hidden(output: Mapping[str, Any]) -> bool:
    kinds = output.get("data", {})
    return bool(kinds) and all(kind.startswith(_HIDDEN) for kind in kinds)


def _without_picture(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Leave out a figure, which the site has on the page already: twice, they would be a seventh of its weight."""
    if "image/png" in output.get("data", {}):
        output["data"] = {"text/plain": "The figure is drawn when this cell is run."}
    return output


def _markdown(identifier: str, source: str) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_markdown_cell(source)
    cell["id"] = identifier
    return cell


class _Writer:
    """Rewrites the text of one page."""

    def __init__(self, references: References, macros: Mapping[str, str], values: Mapping[str, str]) -> None:
        self._references = references
        self._macros = macros
        self._values = values
        self._roles: dict[str, Callable[[str], str]] = {
            "glue:text": self._value,
            "numref": lambda label: _spelled(references.numbered(label)),
            "eq": lambda label: _spelled(references.equation(label)),
            "doc": lambda target: _titled(target, references.page),
            "ref": lambda target: _titled(target, references.section),
            "cite:t": lambda keys: self._cited(keys, "{} ({})"),
            "cite:p": lambda keys: f"({self._cited(keys, '{}, {}')})",
            "term": lambda term: _WITH_TITLE.sub(r"\g<title>", term),
            "math": lambda formula: f"${formula}$",
            "sub": lambda text: f"<sub>{text}</sub>",
            "sup": lambda text: f"<sup>{text}</sup>",
        }

    def text(self, source: str) -> str:
        """Rewrite the Markdown of a cell."""
        parts, end = [], 0
        for block in _FENCED.finditer(source):
            parts += [self._prose(source[end : block.start()]), self._block(block)]
            end = block.end()
        return "".join([*parts, self._prose(source[end:])]).strip("\n")

    def caption(self, figure: Mapping[str, str]) -> str:
        """Write the caption of a figure, with its number."""
        number = f"**{self._references.numbered(figure['name']).name}.** " if "name" in figure else ""
        return (number + self.text(figure.get("caption", ""))).strip()

    def _prose(self, source: str) -> str:
        source = _DISPLAY.sub(
            lambda found: self._display(found["body"], found["label"]), _DROPPED_LINES.sub("", source)
        )
        for name, meaning in self._macros.items():
            source = re.sub(rf"\\{name}(?![A-Za-z])", meaning.replace("\\", r"\\"), source)
        return _ROLE_OR_CODE.sub(self._role, source)

    def _display(self, formula: str, label: str | None) -> str:
        number = self._references.equation(label).name.strip("()") if label else ""
        return f"$${formula.rstrip()} \\tag{{{number}}}$$" if number else f"$${formula}$$"

    def _role(self, found: re.Match[str]) -> str:
        if found["name"] is None:
            return found[0]
        if found["name"] not in self._roles:
            raise ValueError(
                f"{found[0]} has the role {found['name']!r}; expected one of {', '.join(self._roles)}."
                " Use one of these, or say in plain_notebook.py what Jupyter shall show."
            )
        return self._roles[found["name"]](" ".join(found["content"].split()))

    def _block(self, block: re.Match[str]) -> str:
        head = _DIRECTIVE.fullmatch(block["head"].strip())
        if head is None:
            return block[0]
        options, body = {}, block["body"]
        while option := _OPTION.match(body):
            options[option["name"]] = option["value"]
            body = body[option.end() :]
        if head["name"] == "math":
            return self._prose(self._display(f"\n{body.strip()}\n", options.get("label")))
        if head["name"] in _BOXES:
            title = self.text(head["title"]) if head["name"] in _TITLED_BOXES else head["name"].capitalize()
            lines = [*([f"**{title}**", ""] if title else []), *self.text(body).split("\n")]
            return "\n".join(f"> {line}".rstrip() for line in lines)
        if head["name"] in _EXERCISES:
            number = self._references.numbered(options["label"]).name if "label" in options else "Exercise"
            return self._under(f"{number}: {self.text(head['title'])}" if head["title"] else number, body)
        if head["name"] in _SOLUTIONS:
            return self._under("Solution", body)
        if head["name"] in _ENDS:
            return ""
        known = ("math", *_EXERCISES, *_SOLUTIONS, *_ENDS, *_BOXES)
        raise ValueError(
            f"the directive {head['name']!r} is not known here; expected one of {', '.join(known)}."
            " Use one of these, or say in plain_notebook.py what Jupyter shall show."
        )

    def _under(self, heading: str, body: str) -> str:
        return f"**{heading}**\n\n{self.text(body)}".rstrip()

    def _value(self, name: str) -> str:
        if name not in self._values:
            raise ValueError(
                f"the text quotes {name!r}; expected a value that a cell has left by glue, such as"
                f" {', '.join(self._values) or 'none, here'}. Call glue({name!r}, ...) in a cell."
            )
        return self._values[name]

    def _cited(self, keys: str, form: str) -> str:
        works = [self._references.work(key.strip()) for key in keys.split(",")]
        named = [(form.format(work.authors, work.year), work.address) for work in works]
        return "; ".join(f"[{name}]({address})" if address else name for name, address in named)


def _spelled(place: Place) -> str:
    return f"{place.name} of *{place.page}*" if place.page else place.name


def _titled(content: str, title_of: Callable[[str], str]) -> str:
    own = _WITH_TITLE.fullmatch(content)
    return own["title"] if own else f"*{title_of(content)}*"
