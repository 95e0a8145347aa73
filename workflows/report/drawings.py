"""The figures of a report as files and on its page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from megabar.workflows.files import write_atomically

if TYPE_CHECKING:
    from megabar.analysis.figures.drawing import Drawings


MOST_SVG_BYTES = 800_000
"""A larger figure stands on the page as its PNG."""


def write_drawings(folder: Path, drawings: Drawings) -> dict[str, str]:
    """Write figures as PNG, SVG and PDF to ``figures/`` of a report; return each as an element for the page, by name.

    An SVG that would make the page large is there as its PNG.
    """
    from megabar.analysis.figures.style import inline_png, inline_svg, pdf, png, svg

    (folder / "figures").mkdir(parents=True, exist_ok=True)
    inline = {}
    for drawing in drawings.drawings:
        text, picture = svg(drawing.figure), png(drawing.figure)
        write_atomically(folder / "figures" / f"{drawing.name}.svg", text)
        write_atomically(folder / "figures" / f"{drawing.name}.png", picture)
        write_atomically(folder / "figures" / f"{drawing.name}.pdf", pdf(drawing.figure))
        small = len(text) <= MOST_SVG_BYTES
        inline[drawing.name] = inline_svg(text, drawing.name) if small else inline_png(picture, drawing.title)
    return inline
