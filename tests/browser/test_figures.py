"""Figures of the built site in a browser: drawings for narrow screens, full size on a click, and dark mode."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

Open = Callable[..., Page]

# What is shown of each figure: whether it is the narrow drawing, its width, and how much it is magnified.
# The still pictures of the explorer are hidden where its charts are shown.
SHOWN = """async () => Promise.all([...document.querySelectorAll('.cell_output img')].filter(
    image => image.checkVisibility()).map(async image => {
    image.loading = 'eager';
    await image.decode();
    return {narrow: image.currentSrc.includes('-narrow.'), width: image.clientWidth,
            magnified: 2 * image.clientWidth / image.naturalWidth};
}))"""
LEAST_LETTER_PX = 8.0 * 96 / 72
"""Of a figure at its own size, see tests/test_figures.py."""


def test_narrow_screens_get_the_narrow_drawing_with_letters_that_can_be_read(open_page: Open, name: str) -> None:
    page = open_page(name, width=390)
    if not (shown := page.evaluate(SHOWN)):
        pytest.skip("no figure on this page")
    assert all(figure["narrow"] for figure in shown)
    assert min(figure["magnified"] for figure in shown) * LEAST_LETTER_PX >= 9.0
    page.set_viewport_size({"width": 1400, "height": 900})
    shown = page.evaluate(SHOWN)
    assert not any(figure["narrow"] for figure in shown)
    assert min(figure["magnified"] for figure in shown) * LEAST_LETTER_PX >= 9.0


@pytest.mark.parametrize("width", [390, 1400])
def test_click_shows_the_wide_drawing_at_full_size(open_page: Open, width: int) -> None:
    page = open_page("notebooks/01_ar_illustration.html", width=width)
    page.locator(".cell_output a.image-reference").first.click()
    large = page.locator(".figure-dialog img")
    large.evaluate("image => image.decode()")
    assert "-narrow." not in large.evaluate("image => image.currentSrc")
    assert large.evaluate("image => image.clientWidth") >= 850
    page.keyboard.press("Escape")
    assert page.locator(".figure-dialog").count() == 0


@pytest.mark.parametrize("width", [390, 1400])
def test_paper_of_a_figure_is_dark_in_dark_mode_and_its_letters_are_light(open_page: Open, width: int) -> None:
    page = open_page("notebooks/01_ar_illustration.html", width=width, theme="dark")
    image = page.locator(".cell_output img").first
    image.evaluate("image => { image.loading = 'eager'; return image.decode(); }")
    with Image.open(BytesIO(image.screenshot())) as shot:
        shades = np.asarray(shot.convert("L"))
    assert np.median(shades) < 60
    assert shades.max() > 180


def test_captions_call_white_what_dark_mode_shows_white(open_page: Open) -> None:
    for theme, colour, other in (("light", "black", "white"), ("dark", "white", "black")):
        caption = open_page("book/get_started.html", theme=theme).locator("#fig-first-paths figcaption").inner_text()
        assert f"of the series in {colour} and" in caption
        assert other not in caption


def test_tables_have_powers_and_no_carets(open_page: Open) -> None:
    table = open_page("notebooks/12_paper_against_this_run.html").locator("table", has_text="CIR(")
    assert table.locator("sup").count() > 0
    assert "^" not in table.first.inner_text()
