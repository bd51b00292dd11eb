"""Start a Chromium of this machine: none is downloaded."""

from __future__ import annotations

import os
import shutil

from playwright.sync_api import Browser, Playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync"]


def start(playwright: Playwright) -> Browser:
    """Start it, without a window and without asking any service for anything.

    Raises:
        FileNotFoundError: there is none.
    """
    if CHROMIUM is None:
        raise FileNotFoundError("no chromium on the PATH: apt-get install chromium, or set CHROMIUM to one")
    return playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
