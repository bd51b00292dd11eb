"""Figures of the built site in a browser: drawings for narrow screens, full size on a click, and dark mode."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

Open = Callable[..., Page]

# What is shown of each figure: whether it is the narrow drawing, its width, and how much it is magnified.
SHOWN = """async () => Promise.all([...document.querySelectorAll('.cell_output img')].map(async image => {
    image.loading = 'eager';
    await image.decode();
    return {narrow: image.currentSrc.endsWith('-narrow.png'), width: image.clientWidth,
            magnified: 2 * image.clientWidth / image.naturalWidth};
}))"""
# Mean brightness (0 to 1) of the paper of a figure and of the page behind it, as the screen shows them.
LEAST_LETTER_PX = 8.0 * 96 / 72  # see tests/test_figures.py


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
    assert not large.evaluate("image => image.currentSrc").endswith("-narrow.png")
    assert large.evaluate("image => image.clientWidth") >= 850
    page.keyboard.press("Escape")
    assert page.locator(".figure-dialog").count() == 0


@pytest.mark.parametrize("width", [390, 1400])
def test_paper_of_a_figure_is_dark_in_dark_mode_and_its_letters_are_light(open_page: Open, width: int) -> None:
    page = open_page("notebooks/01_ar_illustration.html", width=width, theme="dark")
    image = page.locator(".cell_output img").first
    image.evaluate("image => { image.loading = 'eager'; return image.decode(); }")
    darkness = page.evaluate(
        """async png => {
            const image = new Image();
            image.src = 'data:image/png;base64,' + png;
            await image.decode();
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [image.width, image.height];
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0);
            const values = [...context.getImageData(0, 0, image.width, image.height).data].filter((_, k) => k % 4 === 1);
            values.sort((a, b) => a - b);
            return {paper: values[values.length >> 1], ink: values.at(-1)};
        }""",
        __import__("base64").b64encode(image.screenshot()).decode(),
    )
    assert darkness["paper"] < 60 and darkness["ink"] > 180
