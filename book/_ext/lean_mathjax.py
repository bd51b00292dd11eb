"""Ship MathJax as one script of the components that a page uses, with its fonts, in place of all of its builds.

MathJax's own combined script holds a menu and its accessibility explorer besides, which _config.yml turns off. The
components come from the package sphinx-mathjax-offline.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

COMPONENTS = ["core", "input/tex", "output/chtml", "output/chtml/fonts/tex.js", "a11y/assistive-mml"]
"""By the names of MathJax's loader, each after what it needs."""

BESIDE = ["output/chtml/fonts/woff-v2", "input/tex/extensions"]
"""What a page loads when a formula asks for it."""

UNUSED = ["all-packages.js"]  # every extension once more
SCRIPT = "mathjax/tex-chtml.js"


def source() -> Path:
    """Return the folder of MathJax; the package's name is none that Python could import."""
    spec = find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the package sphinx-mathjax-offline is not installed")
    return Path(spec.origin).parent / "static" / "mathjax"


def combined(folder: Path) -> str:
    """Join the components into one script: MathJax's start waits until a whole script has run."""
    names = ", ".join(f'"{name}"' for name in COMPONENTS)
    files = [(folder / name).with_suffix(".js") for name in ["startup", *COMPONENTS]]
    start, *others = [path.read_text(encoding="utf-8") for path in files]
    return "\n".join([start, f'MathJax.loader.preLoad("startup", {names});', *others])


def ship(app: Sphinx) -> None:
    """Write the script and what it loads into the site."""
    target = Path(app.outdir) / "_static" / SCRIPT
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(combined(source()), encoding="utf-8")
    for name in BESIDE:
        unused = shutil.ignore_patterns(*UNUSED)
        shutil.copytree(source() / name, target.parent / name, ignore=unused, dirs_exist_ok=True)


def ship_at_end(app: Sphinx, exception: Exception | None) -> None:
    """Ship once the pages are written."""
    if exception is None and app.builder.format == "html":
        ship(app)


def setup(app: Sphinx) -> dict[str, Any]:
    """Point the pages to the script."""
    app.config.mathjax_path = SCRIPT
    app.connect("build-finished", ship_at_end)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
