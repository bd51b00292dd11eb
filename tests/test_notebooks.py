"""Values that cells glue for the text of a page, and the comparison of pages with the committed notebooks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from myst_nb.ext.glue import extract_glue_data_cell
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mfmgdm_lib.companion.notebooks import glue


@pytest.mark.parametrize("display", [False, True])
def test_what_is_glued_is_what_myst_nb_reads(display: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = InteractiveShell()
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    monkeypatch.setattr(InteractiveShell, "_instance", shell)
    with capture_output() as captured:
        glue("best_step", "157", display=display)
    (left,) = captured.outputs
    cell = new_code_cell(outputs=[new_output("display_data", data=left.data, metadata=left.metadata)])
    ((name, read),) = extract_glue_data_cell(cell)
    assert (name, read["data"]) == ("best_step", {"text/plain": "'157'"})
    assert len(cell.outputs) == display


def test_glue_is_made_without_the_tools_of_the_book() -> None:
    code = "import sys; sys.modules['myst_nb'] = None; from mfmgdm_lib.companion.notebooks import glue; glue('a', '1')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == ""


@pytest.fixture(scope="module")
def executing() -> ModuleType:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
    try:
        import execute_notebooks
    finally:
        sys.path.pop(0)
    return execute_notebooks


def page(before: str = "", after: str = "") -> NotebookNode:
    """A page whose cell prints in two pieces, shows a figure and ends with a table, with one thing in another way."""

    def mend(text: str) -> str:
        return text.replace(before, after, 1) if before else text

    outputs = [
        new_output("stream", name=mend("stdout"), text=mend("one\n")),
        new_output("display_data", data={mend("image/png"): mend("pixels"), "text/plain": mend("<Figure>")}),
        new_output("stream", name="stdout", text=mend("two\n")),
        new_output("execute_result", data={"text/html": mend("<table>"), "text/plain": mend("table")}),
    ]
    tagged = {"tags": [mend("hide-input")]}
    return new_notebook(cells=[new_markdown_cell("text"), new_code_cell(mend("f()"), outputs=outputs, metadata=tagged)])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("one", "eins"),
        ("two\n", "two\nthree\n"),
        ("stdout", "stderr"),
        ("image/png", "image/svg+xml"),
        ("<Figure>", "<Figure with 2 Axes>"),
        ("<table>", "<table class='dataframe'>"),
        ("table", ""),
        ("f()", "g()"),
        ("hide-input", "hide-cell"),
    ],
)
def test_page_that_shows_something_else_is_noticed(executing: ModuleType, before: str, after: str) -> None:
    assert executing.differences(page(), page(before, after))


def test_pieces_of_what_is_printed_and_pixels_do_not_count(executing: ModuleType) -> None:
    whole = page("one\n", "one\ntwo\n")
    del whole.cells[1].outputs[2]
    assert executing.differences(page(), whole) == []
    assert executing.differences(page(), page("pixels", "other pixels")) == []


def test_page_with_an_output_more_or_less_is_noticed(executing: ModuleType) -> None:
    for number in range(4):
        fewer = page()
        del fewer.cells[1].outputs[number]
        assert executing.differences(page(), fewer) and executing.differences(fewer, page())
