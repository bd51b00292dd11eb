"""Time from opening a page of the built book from a disk until it can be read, by page.

`python benchmarks/first_paint.py [_build/html]` prints, for each page, the seconds to the first paint with content in a
Chromium that has read nothing before (the best of three), the same over those of a page with one word, and the bytes of
the page's own file. It ends with status 1 if a page takes over a second.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from chromium import start  # noqa: E402 (the folder of tools is no package)

LIMIT = 1.0
"""Seconds."""

PAINTED = """new Promise((resolve) => new PerformanceObserver((list) => resolve(list.getEntries().find(
  (entry) => entry.name === "first-contentful-paint").startTime / 1000)).observe({type: "paint", buffered: true}))"""


def first_paint(browser: Browser, page: Path, rounds: int = 3) -> float:
    """Shortest of `rounds` times to the first paint with content, seconds; each round has a cache of its own."""
    times = []
    for _ in range(rounds):
        with browser.new_context() as context:
            opened = context.new_page()
            opened.goto(page.as_uri(), wait_until="commit")
            times.append(opened.evaluate(PAINTED))
    return min(times)


def main() -> int:
    """Print the table, slowest first."""
    site = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "_build" / "html").resolve()
    pages = sorted([site / "search.html", *(site / "book").rglob("*.html"), *(site / "notebooks").glob("*.html")])
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright, start(playwright) as browser:
        bare = Path(folder) / "bare.html"
        bare.write_text("<!doctype html><p>word</p>", encoding="utf-8")
        least = first_paint(browser, bare)
        times = {page: first_paint(browser, page) for page in pages}
    print(f"a page of one word: {least:.2f} s\n\n  seconds   ratio      kB  page")
    for page, seconds in sorted(times.items(), key=lambda item: -item[1]):
        kilobytes = page.stat().st_size / 1000
        print(f"{seconds:9.2f} {seconds / least:7.1f} {kilobytes:7.0f}  {page.relative_to(site)}")
    return int(max(times.values()) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
