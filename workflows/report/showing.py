"""What answers show in a notebook: one figure of several, tables below each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from megabar.structures.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from megabar.analysis.figures.drawing import Options
    from megabar.workflows.kinds.interface import Figures


Into = Any
"""Axes of matplotlib's that a figure is drawn into: one, or as many as the figure has panels; None: into its own."""


def options(
    name: str | None = None, *, pressure: float | tuple[float, ...] = (), labels: Mapping[str, str] | None = None
) -> Options:
    """Return what is wanted of a figure: its name, pressures (GPa) and what phases are called."""
    from megabar.analysis.figures.drawing import Options

    at = (float(pressure),) if isinstance(pressure, int | float) else tuple(sorted(map(float, pressure)))
    return Options(() if name is None else (name,), labels or {}, at)


def figure(figures: Figures, wanted: Options, width_mm: float | None = None, ax: Into = None) -> Figure:
    """Return one figure as matplotlib's, which a notebook shows by itself; ax: axes that it is drawn into instead.

    Raises InputError for a name that there is not, with those that there are, and for more or fewer axes than panels.
    """
    from megabar.analysis.figures.style import drawn_into, figures_of_width, png

    into = axes_of(ax)
    if into and not wanted.panels:
        wanted = replace(wanted, panels=tuple(figures.panels(wanted))[:1])
    with figures_of_width(None if width_mm is None else width_mm / 25.4), drawn_into(into):
        drawn = figures.draw(wanted)
    if not drawn.drawings:
        raise InputError(f"there is no figure yet: {' '.join(drawn.remarks)}")
    found = drawn.drawings[0].figure
    if into:
        return found
    found._repr_png_ = lambda: png(found, dpi=150)  # type: ignore[attr-defined]  # IPython's name; drawn in the journal's style
    return found


def axes_of(ax: Into) -> list[Axes]:
    """Return the axes that a user gives, one or several, as a list; raises InputError where it is something else."""
    import numpy as np
    from matplotlib.axes import Axes

    found = [] if ax is None else np.ravel(np.array(ax, dtype=object)).tolist()
    wrong = next((each for each in found if not isinstance(each, Axes)), None)
    if wrong is not None or (ax is not None and not found):
        raise InputError(f"`ax` is {type(ax).__name__}: axes of matplotlib are needed, one for each panel")
    return found


def page(frames: Mapping[str, DataFrame]) -> str:
    """Return tables as HTML, one below the other."""
    return "\n".join(f"<h4>{name}</h4>{frame.to_html(notebook=True)}" for name, frame in frames.items())
