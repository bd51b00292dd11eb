"""The explorer in a browser: sliders by mouse and keyboard, from a disk, narrow, dark, printed and without scripts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import SITE
from playwright.sync_api import Browser, Locator, Page, expect

PAGE = "notebooks/02_explorer.html"
AR, MARKET = "#explorer-ar", "#explorer-market"
WEIGHT = """performance.getEntries().filter(entry => /explorer|vendor.d3/.test(entry.name))
    .reduce((sum, entry) => sum + (entry.decodedBodySize || 0), 0)"""
Open = Callable[..., Page]


def drag(page: Page, slider: Locator, share: float) -> None:
    """Drag a slider's thumb to a share of its way."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    first, last = (float(slider.get_attribute(name) or 0) for name in ("min", "max"))
    now = (float(slider.input_value()) - first) / (last - first)
    thumb, middle = 16.0, box["y"] + box["height"] / 2
    place = [box["x"] + thumb / 2 + at * (box["width"] - thumb) for at in (now, share)]
    page.mouse.move(place[0], middle)
    page.mouse.down()
    page.mouse.move(place[1], middle, steps=8)
    page.mouse.up()


def size_and_step(page: Page) -> tuple[Locator, Locator]:
    return page.locator(f"{AR}-size"), page.locator(f"{AR}-step")


@pytest.mark.parametrize("from_disk", [False, True])
def test_dragging_to_128_paths_and_step_157_shows_the_papers_divergence(open_page: Open, from_disk: bool) -> None:
    page = open_page(PAGE, base=SITE.as_uri() if from_disk else "")
    size, step = size_and_step(page)
    drag(page, size, 0.0)
    drag(page, step, 0.1)
    expect(page.locator(f"{AR} .explorer-status")).to_contain_text("MGDM, N = 1,")
    drag(page, size, 1.0)
    drag(page, step, 157 / 200)
    # A pixel is less than half a step here, but a hand may miss: the keys go the rest of the way.
    while (now := int(step.input_value())) != 157:
        assert abs(now - 157) <= 2
        step.press("ArrowRight" if now < 157 else "ArrowLeft")
    expect(page.locator(f"{AR} .explorer-status")).to_contain_text("MF–MGDM, N = 128, step 157: KL 0.09 nats per path")
    expect(page.locator(f"{AR} .explorer-kl")).to_have_text("0.09")
    expect(page.locator(f"{AR} text.value")).to_have_text("0.09")


def test_keys_and_the_choice_of_a_model_lead_to_the_best_step_of_mgdm(open_page: Open) -> None:
    page = open_page(PAGE)
    size, step = size_and_step(page)
    page.get_by_role("radio", name="MGDM", exact=True).check(force=True)
    assert size.input_value() == "0"
    step.focus()
    step.press("Home")
    for _ in range(36):
        step.press("ArrowRight")
    assert step.get_attribute("aria-valuetext") == "36"
    expect(page.locator(f"{AR} .explorer-kl")).to_have_text("2.76")
    size.press("End")
    expect(page.locator(AR).get_by_role("radio", name="MF–MGDM")).to_be_checked()
    expect(page.locator(f"{AR} .explorer-status")).to_contain_text("N = 128, step 36: KL 1.37")


def test_the_cloud_of_mgdm_shrinks(open_page: Open) -> None:
    page = open_page(PAGE)
    width = f"document.querySelector('{AR} path.now.line').getBBox().width"
    page.locator(f"{AR}-step").press("Home")
    start = page.evaluate(width)
    page.get_by_role("button", name="MGDM collapsed").click()
    page.wait_for_function(f"{width} < {0.1 * start}")
    page.get_by_role("button", name="MF–MGDM at its best").click()
    page.wait_for_function(f"{width} > {0.8 * start}")


def test_a_press_in_a_chart_chooses_the_step(open_page: Open) -> None:
    page = open_page(PAGE)
    chart = page.locator(f"{AR} svg.draggable").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] - 13, box["y"] + 50)
    assert int(page.locator(f"{AR}-step").input_value()) >= 198


def test_returns_get_clusters_on_the_way(open_page: Open) -> None:
    page = open_page(PAGE)
    step, status = page.locator(f"{MARKET}-step"), page.locator(f"{MARKET} .explorer-status")
    expect(status).to_contain_text("MF–MGDM from noise, step 20\u202f000.")
    page.get_by_role("radio", name="MGDM from noise", exact=True).check(force=True)
    expect(status).to_contain_text("MGDM from noise, step 20\u202f000.")
    expect(status).to_contain_text("0.23 on the median path, 0.22 in the index")
    step.press("Home")
    expect(status).to_contain_text("step 0.")
    page.get_by_role("radio", name="MF–MGDM from GARCH").check(force=True)
    expect(status).to_contain_text("MF–MGDM from GARCH, step 0.")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_narrow_screen(open_page: Open, theme: str) -> None:
    page = open_page(PAGE, 390, theme)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    charts = page.locator(".explorer-chart svg")
    assert charts.count() == 8
    for box in (chart.bounding_box() for chart in charts.all()):
        assert box is not None
        assert 300 < box["width"] <= 390
    for slider in page.locator(".explorer input[type=range]").all():
        assert slider.bounding_box()["height"] >= 32  # type: ignore[index]


def test_the_model_keeps_its_colour_in_dark_mode(open_page: Open) -> None:
    stroke = f"getComputedStyle(document.querySelector('{AR} path.now.line')).stroke"
    assert open_page(PAGE).evaluate(stroke) == "rgb(0, 114, 178)"
    assert open_page(PAGE, theme="dark").evaluate(stroke) == "rgb(86, 180, 233)"


def pictures(page: Page) -> Locator:
    return page.locator(".tag_explorer-still img")


def test_charts_take_the_place_of_the_pictures_and_captions_stay(open_page: Open) -> None:
    page = open_page(PAGE)
    expect(page.locator(".explorer.ready")).to_have_count(2)
    expect(pictures(page)).to_have_count(2)
    for number in range(2):
        expect(pictures(page).nth(number)).to_be_hidden()
        expect(page.locator(".tag_explorer-still figcaption").nth(number)).to_be_visible()


def test_print_shows_the_pictures(open_page: Open) -> None:
    page = open_page(PAGE)
    page.emulate_media(media="print")
    for number in range(2):
        expect(pictures(page).nth(number)).to_be_visible()
        expect(page.locator(".explorer").nth(number)).to_be_hidden()


def test_without_scripts_the_pictures_are_seen(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/{PAGE}")
    for number in range(2):
        expect(pictures(page).nth(number)).to_be_visible()
        expect(page.locator(".explorer").nth(number)).to_be_hidden()
    context.close()


def test_a_script_that_fails_leaves_the_pictures(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.route("**/vendor/d3-*", lambda route: route.abort())
    page.goto(f"{address}/{PAGE}")
    for number in range(2):
        expect(pictures(page).nth(number)).to_be_visible()
    context.close()


def test_play_moves_the_step_and_calm_visitors_are_not_offered_it(
    browser: Browser, open_page: Open, address: str
) -> None:
    expect(open_page(PAGE).locator(AR).get_by_role("button", name="Play")).to_have_count(0)  # motion is reduced there
    context = browser.new_context(reduced_motion="no-preference")
    page = context.new_page()
    page.goto(f"{address}/{PAGE}")
    page.locator(AR).get_by_role("button", name="Play").click()
    page.wait_for_function(f"document.querySelector('{AR}-step').value > 40")
    page.locator(AR).get_by_role("button", name="Pause").click()
    expect(page.locator(AR).get_by_role("button", name="Play")).to_be_visible()
    context.close()


def test_the_page_weighs_little_and_nothing_moves_while_it_loads(
    open_page: Open, browser: Browser, address: str
) -> None:
    assert 0.5e6 < open_page(PAGE).evaluate(WEIGHT) < 0.9e6  # the theme and the pictures come on top
    context = browser.new_context(viewport={"width": 1400, "height": 1200})
    context.add_init_script(
        "window.shifts = 0; new PerformanceObserver((list) => list.getEntries().forEach((e) => (shifts += e.value)))"
        ".observe({ type: 'layout-shift', buffered: true })"
    )
    page = context.new_page()
    page.goto(f"{address}/{PAGE}", wait_until="load")
    page.wait_for_timeout(500)
    assert page.evaluate("shifts") < 0.02
    context.close()
