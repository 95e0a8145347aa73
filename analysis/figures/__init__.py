"""Figures of a stability study, for a journal and for the page of its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from megabar.analysis.curve import Curve
from megabar.analysis.stability import Stability

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure with its name (of its files) and the sentence that belongs below it."""

    name: str
    title: str
    caption: str
    figure: Figure


@dataclass(frozen=True, eq=False)
class Drawings:
    """The figures of a study, and in words which ones there are not and why."""

    drawings: tuple[Drawing, ...]
    remarks: tuple[str, ...]


def draw_stability(
    curves: Sequence[Curve],
    stability: Stability | None,
    pressures_GPa: Sequence[float],
    warning: str = "",
    volumes: bool = True,
) -> Drawings:
    """Return the figures of some phases: those of the hull too where it is known.

    pressures_GPa: pressures asked for, ascending; they set what is shown. warning: written on every figure.
    volumes: whether the slopes of the curves are volumes.
    """
    from megabar.analysis.figures.differences import pressure_range
    from megabar.analysis.figures.enthalpies import polymorph_figure
    from megabar.analysis.figures.style import journal_style, looks, mark
    from megabar.analysis.figures.volumes import volume_figure

    if not curves:
        return Drawings((), ("There is no phase with a converged calculation, so there are no figures yet.",))
    look = looks(curves)
    limits = pressure_range(curves, pressures_GPa)
    with journal_style():
        found, remarks = ([], []) if stability is None else _of_the_hull(curves, stability, pressures_GPa, limits)
        figure = polymorph_figure(curves, stability, look, limits)
        if figure is not None:
            found.append(Drawing("polymorphs", "Phases of one composition among themselves", _POLYMORPHS, figure))
        figure = volume_figure(curves, look, limits) if volumes else None
        if figure is not None:
            found.append(Drawing("volumes", "Equations of state", _VOLUMES, figure))
        for drawing in found:
            mark(drawing.figure, warning)
    return Drawings(tuple(found), tuple(remarks))


def _of_the_hull(
    curves: Sequence[Curve], stability: Stability, pressures_GPa: Sequence[float], limits: tuple[float, float]
) -> tuple[list[Drawing], list[str]]:
    from megabar.analysis.figures.enthalpies import compound_figure
    from megabar.analysis.figures.hulls import binary_hull_figure, chosen_pressures
    from megabar.analysis.figures.maps import distance_map, stability_map
    from megabar.analysis.figures.style import looks
    from megabar.analysis.figures.ternary import ternary_hull_figure

    look = looks(curves)
    found = []
    if stability.intervals:
        found.append(Drawing("stability", "Stable phases", _STABILITY, stability_map(stability, look, limits)))
    remarks = []
    chosen = chosen_pressures(stability, pressures_GPa)
    elements = len(stability.elements)
    figure = None
    if elements == 2:
        figure = binary_hull_figure(stability, look, chosen)
        caption = _BINARY
    elif elements == 3:
        figure = ternary_hull_figure(stability, chosen)
        caption = _TERNARY
    elif elements > 3:
        remarks.append(f"A hull of {elements} elements cannot be drawn in a plane; the tables hold all of it.")
    if figure is not None:
        found.append(Drawing("hull", "Convex hull", caption, figure))
    elif elements in (2, 3):
        remarks.append("No pressure asked for has a phase of every element, so no hull is drawn.")
    figure = compound_figure(curves, stability, look, limits)
    if figure is not None:
        found.append(Drawing("compounds", "Compounds against pressure", _COMPOUNDS, figure))
    figure = distance_map(stability, limits)
    if figure is not None:
        found.append(Drawing("distance", "Height above the hull", _DISTANCE, figure))
    return found, remarks


_STABILITY = (
    "Stable phases of each composition. A line at the end of a bar is a transition, with its standard uncertainty "
    "where that is visible; a pointed end is where the data end."
)
_BINARY = (
    "Formation enthalpy relative to the stable elements. Filled: stable; open: metastable, the lowest one of each "
    "composition named; triangles at the upper edge lie beyond it, by the number (meV/atom) beside them."
)
_TERNARY = "Circles: stable phases, joined by tie lines; squares: the lowest metastable phase of a composition."
_COMPOUNDS = (
    "Enthalpy of each compound relative to what competes with it; stable below zero. Bands: standard uncertainty; "
    "symbols: computed volumes; dashed: pressures (GPa) where a compound becomes stable or ceases to be."
)
_POLYMORPHS = (
    "Enthalpy of the phases of one composition. Bands: standard uncertainty of the difference; symbols: computed "
    "volumes; dashed: transitions between them (GPa)."
)
_DISTANCE = "Height of each phase above the hull where it is known; a white line marks where it is stable."
_VOLUMES = "Volume against pressure: computed volumes and the curve through them."

__all__ = ["Drawing", "Drawings", "draw_stability"]
