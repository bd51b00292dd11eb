"""The built API reference: every public name has its place, pages fit a phone, and links lead in and to the source."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import posixpath
from collections.abc import Callable

import pytest
from conftest import SITE
from playwright.sync_api import Page, expect
from sphinx.util.inventory import InventoryFile
from test_site import OVERFLOW, violations

import mfmgdm_lib as mm

MODELS = "book/api/mfmgdm_lib.models.html"
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def places() -> dict[str, str]:
    """The page and anchor of each name of Python that the site documents."""
    with (SITE / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", posixpath.join)
    kinds = [entries for kind, entries in inventory.items() if kind.startswith("py:")]
    return {name: entry[2] for entries in kinds for name, entry in entries.items()}


def members(cls: type) -> set[str]:
    """Public methods of a class that the library has written."""
    own = [base for base in cls.__mro__ if base.__module__.startswith("mfmgdm_lib")]
    names = {name for base in own for name in vars(base) if not name.startswith("_")}
    values = {name: getattr(cls, name, None) for name in names}
    return {name for name, value in values.items() if inspect.isfunction(value) or inspect.ismethod(value)}


def public_names() -> set[str]:
    """What the modules say is public, and the methods of it."""
    modules = [found.name for found in pkgutil.walk_packages(mm.__path__, "mfmgdm_lib.") if "._" not in found.name]
    names = set()
    for module in ["mfmgdm_lib", *(name for name in modules if not name.startswith("mfmgdm_lib.cli"))]:
        found = importlib.import_module(module)
        for name in found.__all__:
            value = getattr(found, name)
            names.add(f"{module}.{name}")
            if isinstance(value, type):
                names |= {f"{module}.{name}.{member}" for member in members(value)}
    return names


def test_every_public_name_has_an_anchor(places: dict[str, str]) -> None:
    names = public_names()
    assert len(names) > 800
    assert names - places.keys() == set()
    texts = {path: path.read_text(encoding="utf-8") for path in SITE.glob("book/api/*.html")}
    for name in names:
        page, _, anchor = places[name].partition("#")
        assert f'id="{anchor}"' in texts[SITE / page], name


def test_page_of_the_reference_fits_a_phone_and_is_accessible(open_page: Open, reference: str) -> None:
    page = open_page(reference, width=390)
    assert page.evaluate(OVERFLOW) <= 0
    assert violations(page) == []


def test_reference_is_accessible_in_the_dark(open_page: Open) -> None:
    page = open_page(MODELS, theme="dark")
    assert page.evaluate(OVERFLOW) <= 0
    assert violations(page) == []


def test_entry_shows_a_doctest_with_its_output_and_leads_to_the_source(open_page: Open) -> None:
    page = open_page(f"{MODELS}#mfmgdm_lib.MFMGDM")
    entry = page.locator("dl.py.class:has(> dt[id='mfmgdm_lib.MFMGDM'])")
    expect(entry.locator("> dt").first).to_contain_text("mm.MFMGDM")
    example = entry.locator("div.highlight pre").last.inner_text()
    assert ">>> losses[0] > losses[-1]\nTrue" in example
    source = entry.locator("> dt a:has(.viewcode-link), > dt a:has(.linkcode-link)").first
    address = str(source.get_attribute("href"))
    if "://" in address:  # in the repository, which a test does not ask for
        assert "/mfmgdm_lib/models.py#L" in address
    else:
        source.click()
        page.wait_for_url("**/_modules/mfmgdm_lib/models.html#MFMGDM")
        expect(page.locator("[id='MFMGDM']")).to_contain_text("class MFMGDM(Model)")


@pytest.mark.parametrize(
    ("start", "code", "anchor"),
    [
        ("book/notation.html", "mm.MFMGDM", "mfmgdm_lib.MFMGDM"),
        ("book/notation.html", "energy.jacobian(x)", "mfmgdm_lib.energies.Energy.jacobian"),
        (MODELS, "FrozenFlow", "mfmgdm_lib.FrozenFlow"),
    ],
)
def test_code_in_a_text_leads_to_the_reference(open_page: Open, start: str, code: str, anchor: str) -> None:
    page = open_page(start)
    page.locator("article a code", has_text=code).first.click()
    page.wait_for_url(f"**/book/api/*#{anchor}")


@pytest.mark.parametrize("width", [390, 1300])
def test_a_page_of_source_fits(open_page: Open, width: int) -> None:
    if not (SITE / "_modules").exists():
        pytest.skip("the reference links to the repository")
    page = open_page("_modules/mfmgdm_lib/models.html", width=width)
    assert page.evaluate(OVERFLOW) == 0 and not violations(page)
    page.get_by_role("link", name="Reference").click()
    page.wait_for_url("**/book/api/index.html")
