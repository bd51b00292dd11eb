"""Draw the project's logo and favicon: two clouds of energies, one moved onto the other.

    python tools/draw_logo.py

The drawing is the idea of the paper's Figure 2(b): particles keep their spread while their mean reaches the target.
"""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).resolve().parent.parent / "book" / "_static"
BLUE, ORANGE = "#3b82b5", "#e8912d"
SPREAD = [(-10.5, -11.0), (0.0, 0.0), (10.5, 11.0)]
START, TARGET = (15.5, 48.0), (40.5, 24.5)
REACH = 1.1  # a little past the middle, so that the heads are well inside


def draw() -> str:
    """Return the drawing as SVG, 64 by 64."""
    dx, dy = (REACH * (end - start) for start, end in zip(START, TARGET, strict=True))
    particles = "".join(
        f'<g transform="translate({START[0] + x:g} {START[1] + y:g})">'
        f'<path d="M0 0L{dx:.1f} {dy:.1f}m-6.5 1l6.5-1l-.8 6.4"/><circle r="3.2" fill="{ORANGE}"/></g>\n'
        for x, y in SPREAD
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" role="img" aria-label="MF-MGDM">\n'
        f'<circle cx="{TARGET[0]:g}" cy="{TARGET[1]:g}" r="21.5" fill="{BLUE}" fill-opacity="0.28"'
        f' stroke="{BLUE}" stroke-width="2.6"/>\n'
        f'<g fill="none" stroke="{ORANGE}" stroke-width="2.8" stroke-linecap="round" stroke-linejoin="round">\n'
        f"{particles}</g>\n</svg>\n"
    )


if __name__ == "__main__":
    for name in ["logo.svg", "favicon.svg"]:
        (STATIC / name).write_text(draw(), encoding="utf-8")
