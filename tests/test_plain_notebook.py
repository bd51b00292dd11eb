"""The notebooks that the book offers for download: no MyST markup is left in them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MACROS = {"KL": r"D_{\mathrm{KL}}", "E": r"\mathbb{E}", "R": r"\mathbb{R}"}


@pytest.fixture(scope="module")
def plain() -> ModuleType:
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        import plain_notebook
    finally:
        sys.path.pop(0)
    return plain_notebook


class Book:
    """Knows every label: figure 3 or exercise 3 of this page, equation (4) of this page or (5) of another one."""

    def __init__(self, plain: ModuleType) -> None:
        self.plain = plain

    def numbered(self, label: str) -> object:
        return self.plain.Place("Exercise 3" if label.startswith("ex-") else "Figure 3")

    def equation(self, label: str) -> object:
        return self.plain.Place("(5)", "Elsewhere") if label == "far" else self.plain.Place("(4)")

    def page(self, target: str) -> str:
        return f"Page {target}"

    def section(self, label: str) -> str:
        return f"Section {label}"

    def work(self, key: str) -> object:
        return self.plain.Work("Doe", "1999", "" if key == "book" else f"https://a.example/{key}")


def rewritten(plain: ModuleType, source: str, **values: str) -> str:
    cells = [nbformat.v4.new_markdown_cell(source), nbformat.v4.new_code_cell()]
    for name, value in values.items():
        data = {"application/papermill.record/text/plain": repr(value)}
        about = {"scrapbook": {"name": name, "mime_prefix": "application/papermill.record/"}}
        cells[1].outputs.append(nbformat.v4.new_output("display_data", data, metadata=about))
    notebook = nbformat.v4.new_notebook(cells=cells)
    plain.plain_notebook(notebook, Book(plain), MACROS)
    assert not notebook.cells[-1].outputs  # nothing of it would be shown
    return "\n".join(cell.source for cell in notebook.cells[:-1])


def test_figures_are_left_to_be_drawn(plain: ModuleType) -> None:
    cell = nbformat.v4.new_code_cell("figure")
    shown = {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"}
    cell.outputs = [nbformat.v4.new_output("display_data", shown), nbformat.v4.new_output("stream", text="0.09")]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    plain.plain_notebook(notebook, Book(plain), MACROS)
    assert notebook.cells[0].outputs[0].data == {"text/plain": "The figure is drawn when this cell is run."}
    assert notebook.cells[0].outputs[1].text == "0.09"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("comes to {glue:text}`best` nats", "comes to 0.09 nats"),
        ("see {numref}`fig-x`.", "see Figure 3."),
        ("by {eq}`near` and {eq}`far`", "by (4) and (5) of *Elsewhere*"),
        ("{doc}`01_x`, {doc}`that page <01_x>`", "*Page 01_x*, that page"),
        ("{ref}`x` and {ref}`there <x>`", "*Section x* and there"),
        ("a {term}`fold`, {term}`folds <fold>`", "a fold, folds"),
        ("{cite:t}`a` says", "[Doe (1999)](https://a.example/a) says"),
        ("so {cite:p}`a,\nbook`", "so ([Doe, 1999](https://a.example/a); Doe, 1999)"),
        ("$$ x = 1 $$ (near)", "$$ x = 1 \\tag{4}$$"),
        ("$$ x $$\n\n$$\ny\n$$ (near)\n", "$$ x $$\n\n$$\ny \\tag{4}$$"),
        ("```{math}\n:label: near\nx = 1\n```\nwhere", "$$\nx = 1 \\tag{4}$$\nwhere"),
        ("(paper-eq-1)=\n(paper-eq-2)=\n# Title", "# Title"),
        ("{.wide}\n% a comment\ntext", "text"),
        (r"$\KL(q) = \E x, \Ell, \R$", r"$D_{\mathrm{KL}}(q) = \mathbb{E} x, \Ell, \mathbb{R}$"),
        (":::{note}\nLook at {numref}`x`.\n:::", "> **Note**\n>\n> Look at Figure 3."),
        (
            "::::{admonition} My title\n:class: tip\nA\n\n:::{warning}\nB\n:::\n::::",
            "> **My title**\n>\n> A\n>\n> > **Warning**\n> >\n> > B",
        ),
        ("```{exercise}\n:label: ex-a\n\nSee {numref}`x`.\n```", "**Exercise 3**\n\nSee Figure 3."),
        ("```{exercise} On $x$\n:label: ex-a\n\nTry.\n```", "**Exercise 3: On $x$**\n\nTry."),
        ("```{exercise-start}\n:label: ex-a\n```\nTry.\n```{exercise-end}\n```", "**Exercise 3**\nTry."),
        ("```{solution} ex-a\n:class: dropdown\n\nOf {numref}`ex-a`.\n```", "**Solution**\n\nOf Exercise 3."),
        ("```{solution-start} ex-a\n:class: dropdown\n```\n\nSo:", "**Solution**\n\nSo:"),
        ("It grows.\n\n```{solution-end}\n```", "It grows."),
        ("```console\n$ mfmgdm {numref}`x`\n```", "```console\n$ mfmgdm {numref}`x`\n```"),
        ("the role `` {numref}`x` `` itself", "the role `` {numref}`x` `` itself"),
    ],
)
def test_what_only_the_book_understands_is_rewritten(plain: ModuleType, source: str, expected: str) -> None:
    assert rewritten(plain, source, best="0.09") == expected


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("{unknown}`x`", "has the role 'unknown'; expected one of glue:text, numref"),
        (":::{unknown}\nx\n:::", "directive 'unknown' is not known"),
        ("{glue:text}`worst`", "quotes 'worst'; expected a value that a cell has left by glue, such as best"),
    ],
)
def test_what_cannot_be_rewritten_is_an_error(plain: ModuleType, source: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        rewritten(plain, source, best="0.09")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_markup_of_the_book_is_left_in_a_page(plain: ModuleType, path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    captions = sum("caption" in cell.metadata.get("mystnb", {}).get("figure", {}) for cell in notebook.cells)
    plain.plain_notebook(notebook, Book(plain), MACROS)
    nbformat.validate(notebook)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert not re.findall(
        r"\{[\w:+-]+\}`|^:{3,}.*|^`{3,}\{.*|^\([\w.:-]+\)=|\$\$ *\([\w-]+\)", text, flags=re.MULTILINE
    )
    assert text.count("**Figure 3.** ") == captions
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert not re.search("myst_nb|jupyter_book|sphinx", code)


def test_the_macros_of_the_book_are_those_tested_here() -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]["mathjax3_config"]
    assert config["tex"]["macros"] == {name: [meaning] for name, meaning in MACROS.items()}
