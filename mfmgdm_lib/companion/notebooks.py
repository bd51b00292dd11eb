"""Values of a notebook's cells that its text quotes (MyST-NB's glue), and data that a script of its page reads."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["embed", "glue"]

_HIDDEN = "application/papermill.record/"
"""What stands before a type of content that is kept in the notebook without being shown."""


def glue(name: str, value: object, display: bool = True) -> None:
    """Keep a value in the running notebook under a name that its text can quote.

    The pages of the book write the name in a `glue` role of MyST-NB, which reads what this leaves. It needs IPython
    alone, so that the cells of a page run where the book's tools are not installed. Outside IPython it does nothing.

    Args:
        name: unique within the notebook.
        value: what to keep; its `repr` is what is quoted.
        display: whether to show it below the cell as well.

    Example:
        >>> glue("best_step", "157", display=False)
    """
    prefix = "" if display else _HIDDEN
    _show({f"{prefix}text/plain": repr(value)}, metadata={"scrapbook": {"name": name, "mime_prefix": prefix}})


def embed(name: str, data: object) -> None:
    """Leave a place in the page that is made of the running notebook, with data from which a script draws there.

    The data travel as JSON in an element that no browser shows or runs, so that without the script, as in Jupyter,
    nothing is seen. Outside IPython it does nothing.

    Args:
        name: the place's id, unique within the page, by which the script finds it.
        data: what `json` can write.

    Example:
        >>> embed("explorer-ar", {"steps": [0, 1]})
    """
    # Within a script element a browser looks for its end, and for nothing else.
    content = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/")
    element = f'<script type="application/json">{content}</script>'
    _show({"text/html": f'<div class="explorer" id="{name}">{element}</div>'})


def _show(content: dict[str, str], **options: Any) -> None:
    """Display content by its types, in IPython alone."""
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import display
    except ImportError:
        return
    if get_ipython() is not None:
        display(content, raw=True, **options)  # type: ignore[no-untyped-call]
