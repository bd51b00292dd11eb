"""Values that cells glue for the text of a page, with and without MyST-NB."""

from __future__ import annotations

import subprocess
import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from myst_nb.ext.glue import extract_glue_data_cell
from nbformat.v4 import new_code_cell, new_output

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
