"""What answers show in a notebook: one figure of several, tables below each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from megabar.structures.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from megabar.analysis.figures.drawing import Options
    from megabar.workflows.kinds.interface import Figures


def options(
    name: str | None = None, *, pressure: float | tuple[float, ...] = (), labels: Mapping[str, str] | None = None
) -> Options:
    """Return what is wanted of a figure: its name, pressures (GPa) and what phases are called."""
    from megabar.analysis.figures.drawing import Options

    at = (float(pressure),) if isinstance(pressure, int | float) else tuple(sorted(map(float, pressure)))
    return Options(() if name is None else (name,), labels or {}, at)


def figure(figures: Figures, wanted: Options, width_mm: float | None = None) -> Figure:
    """Return one figure as matplotlib's, which a notebook shows by itself.

    Raises InputError for a name that there is not, with those that there are.
    """
    from megabar.analysis.figures.style import figures_of_width, png

    with figures_of_width(None if width_mm is None else width_mm / 25.4):
        drawn = figures.draw(wanted)
    if not drawn.drawings:
        raise InputError(f"there is no figure yet: {' '.join(drawn.remarks)}")
    found = drawn.drawings[0].figure
    found._repr_png_ = lambda: png(found, dpi=150)  # type: ignore[attr-defined]  # IPython's name; drawn in the journal's style
    return found


def page(frames: Mapping[str, DataFrame]) -> str:
    """Return tables as HTML, one below the other."""
    return "\n".join(f"<h4>{name}</h4>{frame.to_html(notebook=True)}" for name, frame in frames.items())
