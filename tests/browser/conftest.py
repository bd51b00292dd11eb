"""Fixtures that open the built site in a browser, for `make browse`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("SITE", ROOT / "_build" / "html")).resolve()

sys.path.insert(0, str(ROOT / "tools"))
from chromium import CHROMIUM, start  # noqa: E402 (the folder of tools is no package)

PAGES = sorted(path for folder in ("book", "notebooks") for path in (SITE / folder).glob("*.html"))
REFERENCE = sorted((SITE / "book" / "api").glob("*.html"))


def pytest_sessionstart() -> None:
    """Say what is missing before processes are started that could not say it."""
    if not PAGES:
        pytest.exit(f"no page of the book in {SITE}: run `make book` first", returncode=2)
    if CHROMIUM is None:
        pytest.exit("no chromium on the PATH: apt-get install chromium, or set CHROMIUM to one", returncode=2)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for a page every page of the book, or of its reference."""
    if "reference" in metafunc.fixturenames:
        metafunc.parametrize("reference", [path.relative_to(SITE).as_posix() for path in REFERENCE])
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", ["search.html", *(path.relative_to(SITE).as_posix() for path in PAGES)])


class Silent(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Drop the message."""


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the site is served on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(SITE)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium of this machine: none is downloaded."""
    with sync_playwright() as playwright:
        started = start(playwright)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Open a page at a width, light or dark; errors on its console fail the test."""
    errors: list[str] = []
    contexts = []

    def opened(name: str, width: int = 1400, theme: str = "light", base: str = "") -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.add_init_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{base or address}/{name}", wait_until="load")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []
