"""Routes through the book: the directives `{route-cards}` and `{route}`, and a line at the foot of each page on one.

A route is an ordered list of pages for a reader with one purpose. All of them are in `ROUTES`: the cards of the
contents page, the lists of the page *Get started* and the lines at the foot of pages are made from it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Step(NamedTuple):
    """A page of a route, and what a reader gets there."""

    page: str
    gain: str


class Route(NamedTuple):
    """What a reader wants, for whom that is meant, and the pages in the order of reading."""

    wish: str
    summary: str
    steps: tuple[Step, ...]


ROUTES = {
    "paper": Route(
        "I want to understand the paper",
        "What the method is, why the older one fails, and how anybody can tell. No finance is needed.",
        (
            Step("notebooks/00_background", "what the words mean: energies, ensembles, entropy, divergence"),
            Step(
                "notebooks/01_ar_illustration", "both methods in a few lines of code, and Figures 1 to 4 of the paper"
            ),
            Step("notebooks/02_explorer", "sliders for the step and the size of the ensemble: see the samples move"),
            Step("notebooks/03_sp500_first_look", "the same two methods on daily returns of the S&P 500"),
            Step("notebooks/04_what_the_energies_see", "what the statistics of the paper can tell apart, and what not"),
            Step("notebooks/08_kl_derivation", "how the divergence, by which all is judged, can be computed at all"),
        ),
    ),
    "series": Route(
        "I want paths like my series",
        "From a CSV file of prices, rates or volumes to simulated paths, and what to check before you use them.",
        (
            Step("notebooks/14_your_own_series", "the whole way on one page, and four series that it warns of"),
            Step(
                "notebooks/04_what_the_energies_see", "which properties of a series the paths keep, and which they lose"
            ),
            Step("notebooks/15_frozen_flow", "as many independent paths as you like, each with its density"),
            Step("notebooks/16_tomorrow_given_today", "the days ahead: forecasts, and whether to trust them"),
            Step("book/api/index", "every function and class, with its arguments and an example"),
        ),
    ),
    "numbers": Route(
        "I want to check the numbers",
        "Every number of the paper beside the one computed here, with the error of both.",
        (
            Step("notebooks/12_paper_against_this_run", "all numbers of the paper beside ours, with a verdict on each"),
            Step("notebooks/05_synthetic_table", "Table 1 and Figure 5, and which differences are larger than chance"),
            Step("notebooks/06_financial_data", "Figures 6 and 7: the S&P 500 and four interest rates"),
            Step("notebooks/07_financial_scattering", "Figures 8, 9 and 10: the same series with wavelets"),
            Step("notebooks/13_oddities", "where the paper says something other than what its numbers show"),
            Step("book/map", "from any figure or equation of the paper to its place here, to look up the rest"),
        ),
    ),
    "beyond": Route(
        "I want what the paper does not have",
        "What an ensemble costs, when to stop, the strongest rival, and fields in place of series.",
        (
            Step("notebooks/17_what_an_ensemble_costs", "how much entropy each step takes, with bounds and proofs"),
            Step("notebooks/18_when_to_stop", "a rule that does not know the truth, and where it fails"),
            Step("notebooks/19_moment_guided_diffusion", "a newer method on the same energies, and which one wins"),
            Step("notebooks/20_fields", "images in place of series: Gaussian fields, where all is exact"),
            Step("notebooks/21_ising", "spins that order themselves, and what wavelets hear of it"),
            Step("notebooks/22_textures", "a photograph of gravel, and a test of which imitation is nearer"),
        ),
    ),
}


def anchor(key: str) -> str:
    """Name the section of *Get started* that lists a route."""
    return f"route-{key}"


class _Written(SphinxDirective):
    """A directive that writes Markdown, so that Sphinx resolves its links and fails on one that leads nowhere."""

    def parsed(self, lines: list[str]) -> list[nodes.Node]:
        container = nodes.container()
        self.state.nested_parse(StringList(lines, source=self.name), self.content_offset, container)
        return container.children


class RouteCards(_Written):
    """A card for each route, which leads to its list."""

    def run(self) -> list[nodes.Node]:
        """Return a grid of cards."""
        lines = [":::::{grid} 1 1 2 2", ":gutter: 3", ""]
        for key, route in ROUTES.items():
            lines += [f"::::{{grid-item-card}} {route.wish}", f":link: {anchor(key)}", ":link-type: ref", ""]
            lines += [route.summary, "", ":::{card-footer}", f"{len(route.steps)} pages", ":::", "::::", ""]
        return self.parsed([*lines, ":::::"])


class RouteList(_Written):
    """The pages of one route, with what a reader gets from each."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return what the route is for, and its pages as a numbered list."""
        route = ROUTES[self.arguments[0]]
        steps = [f"1. {{doc}}`/{step.page}`: {step.gain}." for step in route.steps]
        return self.parsed([route.summary, "", *steps])


def link(page: str, target: str, kind: str, text: str = "") -> addnodes.pending_xref:
    """Refer from a page to another one (kind "doc", by its title unless a text is given) or to a label (kind "ref")."""
    options = {"refdomain": "std", "refdoc": page, "refexplicit": bool(text), "refwarn": True}
    return addnodes.pending_xref(
        "", nodes.inline(text, text), reftype=kind, reftarget=target, **options, **{"classes": ["route-link"]}
    )


def foot(page: str, key: str, route: Route) -> nodes.paragraph:
    """Say at which step of a route a page is, and what comes next."""
    place = [step.page for step in route.steps].index(page) + 1
    line = nodes.paragraph("", "Route: ", link(page, anchor(key), "ref", route.wish), classes=["route"])
    line += nodes.Text(f" · step {place} of {len(route.steps)} · ")
    if place < len(route.steps):
        line += [nodes.Text("next: "), link(page, f"/{route.steps[place].page}", "doc")]
    else:
        line += [nodes.Text("the last one; "), link(page, "routes", "ref", "see the other routes")]
    return line


def add_feet(app: Sphinx, document: nodes.document) -> None:
    """Put a line for each of its routes at the end of a page."""
    page = app.env.docname
    feet = [foot(page, key, route) for key, route in ROUTES.items() if page in {step.page for step in route.steps}]
    if feet:
        next(iter(document.findall(nodes.section))).append(nodes.container("", *feet, classes=["routes"]))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives, and the lines at the foot of pages."""
    app.add_directive("route-cards", RouteCards)
    app.add_directive("route", RouteList)
    app.connect("doctree-read", add_feet)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
