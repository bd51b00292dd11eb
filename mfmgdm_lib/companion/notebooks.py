"""Values of a notebook's cells that its text quotes (MyST-NB's glue)."""

from __future__ import annotations

__all__ = ["glue"]

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
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import display as show
    except ImportError:
        return
    if get_ipython() is None:
        return
    prefix = "" if display else _HIDDEN
    show(  # type: ignore[no-untyped-call]
        {f"{prefix}text/plain": repr(value)},
        raw=True,
        metadata={"scrapbook": {"name": name, "mime_prefix": prefix}},
    )
