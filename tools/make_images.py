"""Draw the committed images."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

import mfmgdm_lib as mm
from mfmgdm_lib.plotting.widths import narrow_screen, png

BOOK = Path(__file__).resolve().parents[1] / "book"
CARD_PX = (1200, 630)
"""Size of the picture that services show beside a link to a page."""


def two_descents() -> Callable[[], Figure]:
    """The energies of both descents beside those of the true law, to be drawn."""
    experiment = mm.companion.AR_ILLUSTRATION
    true = experiment.energy(experiment.process.sample(1024, 1024, seed=(3, 12345)))
    panels = {}
    for name, ensemble_size, step in (("MGDM", 1, 100), ("MF–MGDM", None, 157)):
        clouds = experiment.clouds(ensemble_size, steps=(0, step))
        panels[f"{name} after {step} steps"] = {"start": clouds[0], "true": true, name: clouds[step]}
    return partial(mm.companion.figures.energy_clouds, panels, experiment.target.mean)


def first_paths() -> Callable[[], Figure]:
    """The report of the first paths of *Get started*, as the command there draws it."""
    returns = mm.data.returns(mm.data.sp500(), "log")
    made = mm.generate(returns, n_paths=50, seed=0)
    return partial(mm.plotting.generation_report, made, unit=returns.attrs["unit"])


def save(draw: Callable[[], Figure], name: str) -> None:
    """Save a figure for a page and for a narrow screen."""
    images = BOOK / "images"
    (images / f"{name}.png").write_bytes(png(draw()))
    with narrow_screen():
        (images / f"{name}-narrow.png").write_bytes(png(draw()))


def save_card(figure: Figure, path: Path) -> None:
    """Give a figure the size of a card and the name of the paper, and save it."""
    dots_per_inch = 192
    figure.set_size_inches(CARD_PX[0] / dots_per_inch, CARD_PX[1] / dots_per_inch)
    figure.suptitle("Mean-Field Microcanonical Gradient Descent, run again", fontsize=12, fontweight="bold")
    figure.savefig(path, dpi=dots_per_inch)


def main() -> None:
    """Draw them all."""
    descents = two_descents()
    save(descents, "two_descents")
    save(first_paths(), "first_paths")
    save_card(descents(), BOOK / "_static" / "card.png")


if __name__ == "__main__":
    main()
