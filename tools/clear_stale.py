"""Clear what the book's build keeps and would not notice to be out of date, before pages are executed.

The execution cache knows a notebook by its own cells, not by the library that they call or the results that they load.
Sphinx knows a page by its own file, and copies stylesheets and images once, not when they change.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
BEHIND_THE_NOTEBOOKS = ["mfmgdm_lib", "results", "constraints.txt"]
BEHIND_THE_SITE = ["_config.yml", "book/_ext", "book/_static", "book/_toc.yml", "book/references.bib"]


def fingerprint(names: list[str]) -> str:
    """Hash the names and contents of some files and folders, and the version of Python."""
    digest = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    for name in names:
        top = ROOT / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                digest.update(f"{path.relative_to(ROOT).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def has_changed(what: str, names: list[str]) -> bool:
    """Compare with the fingerprint left by the last call, and leave the one of now."""
    stamp, now = BUILD / f"{what}.sha256", fingerprint(names)
    if stamp.is_file() and stamp.read_text() == now:
        return False
    BUILD.mkdir(exist_ok=True)
    stamp.write_text(now)
    return True


def clear_stale() -> None:
    """Clear the site if anything behind it changed, the execution cache only with the code behind the notebooks."""
    code, site = has_changed("notebooks", BEHIND_THE_NOTEBOOKS), has_changed("site", BEHIND_THE_SITE)
    if code and (BUILD / ".jupyter_cache").exists():
        print("The library, its results or the pins changed: every notebook will be executed again.")
    if code:
        shutil.rmtree(BUILD / ".jupyter_cache", ignore_errors=True)
    if code or site:
        for kept in [".doctrees", "html", "jupyter_execute"]:
            shutil.rmtree(BUILD / kept, ignore_errors=True)
