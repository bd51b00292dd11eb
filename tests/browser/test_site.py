"""The built site in a browser: every page at three widths, light and dark, and everything that can be pressed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import SITE
from playwright.sync_api import Page, expect

WIDTHS = (390, 800, 1400)
CODE = "notebooks/01_ar_illustration.html"
Open = Callable[..., Page]

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
EMPTY_TOGGLES = """() => [...document.querySelectorAll('article details')].filter(details => {
    details.open = true;
    const shown = [...details.children].slice(1);
    return !shown.some(part => part.innerText.trim() || part.querySelector('img, svg, table'));
}).length"""


def violations(page: Page) -> list[str]:
    """What axe-core calls serious or critical, one line for each rule."""
    found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
    return [
        f"{rule['id']}: {len(rule['nodes'])}, such as {rule['nodes'][0]['html'][:160]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_page_fits_and_is_accessible(open_page: Open, name: str, theme: str) -> None:
    page = open_page(name, theme=theme)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(OVERFLOW) <= 0, f"{name} moves sideways at {width} px"
    assert violations(page) == []
    assert page.evaluate(EMPTY_TOGGLES) == 0
    assert page.locator("img.noimage, a.image-reference:not([title])").count() == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_menu_and_contents(open_page: Open, width: int) -> None:
    page = open_page(CODE, width)
    menu = page.locator(".primary-toggle")
    link = page.locator("#pst-primary-sidebar a[href*='03_kl_derivation']")
    if width < 992:
        expect(link).to_be_hidden()
        menu.click()
        expect(page.locator("#pst-primary-sidebar-modal")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#pst-primary-sidebar-modal")).to_be_hidden()
        page.locator(".secondary-toggle").click()
        expect(page.locator("#pst-secondary-sidebar-modal")).to_be_visible()
        page.locator("#pst-secondary-sidebar-modal .close-dialog").click()
        expect(page.locator("#pst-secondary-sidebar-modal")).to_be_hidden()
    else:
        sidebar = page.locator("#pst-primary-sidebar")
        expect(sidebar).to_be_visible()
        expect(page.locator(".close-dialog:visible")).to_have_count(0)
        menu.click()
        expect(sidebar).to_be_hidden()
        menu.click()
        expect(sidebar).to_be_visible()
        expect(page.locator("#pst-page-toc-nav")).to_be_visible()


def test_search(open_page: Open) -> None:
    page = open_page("search.html?q=capacitance")
    expect(page.locator("#search-results li a").first).to_be_visible()


def test_copy(open_page: Open) -> None:
    page = open_page(CODE)
    cell = page.locator("div.highlight:has(button.copybtn):visible").first
    cell.hover()
    cell.get_by_role("button", name="Copy this code").click()
    assert page.evaluate("navigator.clipboard.readText()").strip() == cell.locator("pre").inner_text().strip()


def test_code_toggles(open_page: Open) -> None:
    page = open_page("notebooks/08_synthetic_table.html")
    toggle = page.locator("article details").first
    code = toggle.locator("pre").first
    expect(code).to_be_hidden()
    toggle.locator("summary").click()
    expect(code).to_be_visible()


@pytest.mark.parametrize("from_disk", [False, True])
def test_notebook_downloads(open_page: Open, from_disk: bool) -> None:
    page = open_page(CODE, base=SITE.as_uri() if from_disk else "")
    page.locator(".dropdown-download-buttons > button").click()
    with page.expect_download() as download:
        page.locator(".btn-download-notebook-button").click()
    assert download.value.suggested_filename == Path(CODE).with_suffix(".ipynb").name
    assert json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["nbformat"] == 4


@pytest.mark.parametrize("width", [390, 1400])
def test_figure_opens_at_full_size(open_page: Open, width: int) -> None:
    page = open_page(CODE, width)
    link = page.locator("a.image-reference").first
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.figure-dialog")
    expect(dialog).to_be_visible()
    assert dialog.get_attribute("aria-label")
    assert dialog.locator("img").bounding_box()["width"] >= 800
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(link).to_be_focused()
