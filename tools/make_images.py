"""Draw the picture that the README and the first page of the book share: `python tools/make_images.py`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import mfmgdm_lib as mm
from mfmgdm_lib.plotting.widths import narrow_screen, png

IMAGES = Path(__file__).resolve().parents[1] / "book" / "images"


def main() -> None:
    """Draw the energies of both descents beside those of the true law, for a page and for a narrow screen."""
    experiment = mm.companion.AR_ILLUSTRATION
    true = experiment.energy(experiment.process.sample(1024, 1024, seed=(3, 12345)))
    panels = {}
    for name, ensemble_size, step in (("MGDM", 1, 100), ("MF–MGDM", None, 157)):
        clouds = experiment.clouds(ensemble_size, steps=(0, step))
        panels[f"{name} after {step} steps"] = {"start": clouds[0], "true": true, name: clouds[step]}
    IMAGES.mkdir(exist_ok=True)
    draw = partial(mm.companion.figures.energy_clouds, panels, experiment.target.mean)
    (IMAGES / "two_descents.png").write_bytes(png(draw()))
    with narrow_screen():
        (IMAGES / "two_descents-narrow.png").write_bytes(png(draw()))


if __name__ == "__main__":
    main()
