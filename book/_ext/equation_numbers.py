"""Number the book's equations (E1), (E2), …, so that none is taken for an equation of the paper.

Sphinx formats references to an equation by `math_eqref_format`, but the number beside the equation by nothing at all.
Both read the same table, in which this extension puts the letter.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

LETTER = "E"


def number(app: Sphinx, env: BuildEnvironment) -> None:
    """Put the letter before the numbers, once the environment is stored: the next build compares those in it."""
    for figures in env.toc_fignumbers.values():
        equations: dict[str, Any] = figures.get("displaymath", {})
        equations.update(
            {key: (f"{LETTER}{first}", *rest) for key, (first, *rest) in equations.items() if isinstance(first, int)}
        )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the numbering."""
    app.connect("env-check-consistency", number)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
