"""The way into the built book in a browser: routes lead to their ends, BibTeX is copied, every page has a preview."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest
from conftest import SITE
from PIL import Image
from playwright.sync_api import Page, expect

Open = Callable[..., Page]
WISHES = {
    "paper": "I want to understand the paper",
    "series": "I want paths like my series",
    "numbers": "I want to check the numbers",
    "beyond": "I want what the paper does not have",
}


@pytest.mark.parametrize("key", WISHES)
def test_a_route_leads_from_its_card_over_all_its_pages_and_back(open_page: Open, key: str) -> None:
    page = open_page("book/index.html")
    page.locator(".sd-card", has_text=WISHES[key]).click()
    page.wait_for_url(f"**/get_started.html#route-{key}")
    section = page.locator(f"section:has(> #route-{key}), #route-{key}").first
    listed = section.locator("ol a")
    addresses = [urljoin(page.url, listed.nth(place).get_attribute("href")) for place in range(listed.count())]
    assert len(addresses) > 3
    listed.first.click()
    for place, address in enumerate(addresses, 1):
        assert page.url == address
        foot = page.locator(".routes p", has_text=WISHES[key])
        expect(foot).to_contain_text(f"step {place} of {len(addresses)}")
        foot.locator("a").last.click()
    page.wait_for_url("**/get_started.html#routes")


def test_entries_of_bibtex_can_be_copied(open_page: Open) -> None:
    page = open_page("book/get_started.html")
    boxes = page.locator("div.highlight-bibtex")
    for box, start in zip(boxes.all(), ("@article{", "@software{", "@inproceedings{"), strict=True):
        box.hover()
        box.get_by_role("button", name="Copy this code").click()
        copied = page.evaluate("navigator.clipboard.readText()").strip()
        assert copied == box.locator("pre").inner_text().strip()
        assert copied.startswith(start) and copied.endswith("}")


class Head(HTMLParser):
    """The tags of one page that describe it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.described: dict[str, str] = {}
        self.feed((SITE / name).read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        named = values.get("property") or values.get("name", "")
        if tag == "meta" and named.startswith(("og:", "twitter:", "description")):
            assert named not in self.described, f"{named} is there twice"
            self.described[named] = values["content"]


def assert_described(name: str) -> None:
    tags = Head(name).described
    assert {"og:title", "og:url", "og:image:alt"} <= {named for named, content in tags.items() if content}
    assert tags["twitter:card"] == "summary_large_image"
    assert tags["description"] == tags["og:description"]
    assert 40 <= len(tags["description"]) <= 200
    assert not set("\\$") & set(tags["description"]), "no formula"
    if "://" not in tags["og:image"]:  # built without SITE_URL
        picture = SITE / name / ".." / tags["og:image"]
        with Image.open(picture.resolve()) as card:
            assert card.size == (int(tags["og:image:width"]), int(tags["og:image:height"])) == (1200, 630)


def test_a_preview_of_a_page_has_what_it_needs(name: str) -> None:
    assert_described(name)


def test_a_preview_of_the_site_has_what_it_needs(open_page: Open) -> None:
    assert_described("index.html")
    open_page("").wait_for_url("**/book/index.html")
