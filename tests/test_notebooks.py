"""Values that cells glue for the text of a page, and pages that nbval has executed for the book."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import jupytext
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


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).resolve().parent.parent / "tools")
    return importlib.import_module("nbval_cache")


@pytest.mark.parametrize(("failing", "changed", "kept"), [(None, False, 1), (1, False, 0), (None, True, 0)])
def test_page_is_kept_for_the_book_once_all_its_cells_have_passed(
    plugin: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int | None, changed: bool, kept: int
) -> None:
    pages: list[NotebookNode] = []
    monkeypatch.setattr(plugin, "CACHE", tmp_path / "build" / "cache")
    monkeypatch.setattr(plugin, "get_cache", lambda path: path)
    monkeypatch.setattr(plugin, "keep", lambda cache, notebook, source, seconds: pages.append(notebook))
    cells = [new_code_cell("1"), new_markdown_cell("text"), new_code_cell("2")]
    source = new_notebook(cells=[*cells, new_markdown_cell("more")] if changed else cells)
    jupytext.write(source, tmp_path / "page.md", fmt="md:myst")
    parent = SimpleNamespace(nb=new_notebook(cells=cells))
    for number in range(2):
        outputs = [new_output("stream", name="stdout", text=f"{number}")]
        item = SimpleNamespace(path=tmp_path / "page.ipynb", parent=parent, cell_num=number, test_outputs=outputs)
        call = SimpleNamespace(when="call", excinfo="an error" if number == failing else None)
        plugin.pytest_runtest_makereport(item, call)
    assert len(pages) == kept
    for page in pages:
        assert [cell.outputs[0].text for cell in page.cells if cell.cell_type == "code"] == ["0", "1"]
