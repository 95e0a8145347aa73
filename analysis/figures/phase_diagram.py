"""The P–T diagram of several phases: boundaries with their errors as bands, triple points, the names in the fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.figures.drawing import Drawing
from megabar.analysis.thermo.boundaries import Boundary
from megabar.analysis.thermo.diagram import PhaseDiagram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
HEIGHT_IN = 2.8
CAPTION = (
    "Phases of lowest Gibbs energy; lines: equal Gibbs energies, with their standard error as a band; points: three "
    "phases of equal Gibbs energy. Shaded: some phase is not known there and could be lower."
)
_SMOOTH = 40
_MOST = 60
"""Points of a side of the grid among which the place of a name is looked for."""


def phase_diagram_drawing(diagram: PhaseDiagram, labels: Mapping[str, str] | None = None, title: str = "") -> Drawing:
    """Return the figure with its caption; labels: what phases are called, by name."""
    figure = phase_diagram_figure(diagram, labels or {}, title)
    return Drawing("phase-diagram", "Phases against pressure and temperature", CAPTION, figure)


def phase_diagram_figure(diagram: PhaseDiagram, labels: Mapping[str, str], title: str = "") -> Figure:
    """Return the diagram: pressure to the right, temperature upwards, as far as the grid goes."""
    from megabar.analysis.figures.style import COLUMN_IN, FAINT, INK, Margins, journal_style, panels

    with journal_style():
        figure, [axes] = panels(1, 1, HEIGHT_IN, COLUMN_IN, Margins(left=0.56, right=0.16, top=0.24))
        p, t = diagram.pressures_GPa, diagram.temperatures_K
        if diagram.incomplete.any():
            axes.contourf(p, t, diagram.incomplete.T.astype(float), levels=[0.5, 1.5], colors=[FAINT], alpha=0.35)
        for line in diagram.boundaries:
            _draw(axes, line)
        for point in diagram.triple_points:
            errors = np.nan_to_num([point.pressure_error_GPa, point.temperature_error_K])
            axes.errorbar(
                point.pressure_GPa, point.temperature_K, xerr=errors[0], yerr=errors[1], fmt="o", color=INK, lw=0.8
            )
        for number, name in enumerate(diagram.phases):
            place = name_place(diagram, number)
            if place is not None:
                axes.text(*place, labels.get(name, name), ha="center", va="center")
        axes.set_xlim(p[0], p[-1])
        axes.set_ylim(t[0], t[-1])
        axes.set_xlabel("Pressure (GPa)")
        axes.set_ylabel("Temperature (K)")
        if title:
            axes.text(0.0, 1.02, title, transform=axes.transAxes, ha="left", va="bottom")
    return figure


def name_place(diagram: PhaseDiagram, number: int) -> tuple[float, float] | None:
    """Return the point (GPa, K) of a phase's field that is farthest from its edges; None where it has no field."""
    p, t = (_thinned(axis) for axis in (diagram.pressures_GPa, diagram.temperatures_K))
    own = (diagram.lowest == number)[np.ix_(p, t)]
    if not own.any():
        return None
    x, y = (
        (axis - axis[0]) / max(float(np.ptp(axis)), 1e-300)
        for axis in (diagram.pressures_GPa[p], diagram.temperatures_K[t])
    )
    at = np.stack(np.meshgrid(x, y, indexing="ij"), -1)
    inside, outside = at[own], at[~own]
    room = np.minimum(inside, 1.0 - inside).min(-1)
    for i in range(0, len(outside), 500):
        gaps = np.linalg.norm(inside[:, None] - outside[None, i : i + 500], axis=-1)
        room = np.minimum(room, gaps.min(1))
    best = inside[int(np.argmax(room))]
    low, high = diagram.pressures_GPa[[0, -1]], diagram.temperatures_K[[0, -1]]
    return float(low[0] + best[0] * np.ptp(low)), float(high[0] + best[1] * np.ptp(high))


def _thinned(axis: Array) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, len(axis) - 1, min(len(axis), _MOST)).round().astype(np.intp))


def _draw(axes: Axes, line: Boundary) -> None:
    """Draw a boundary as the cubic that its slopes make of it, and its error as a band."""
    from megabar.analysis.figures.style import PALETTE

    known = np.array([point.temperature_K for point in line.points])
    t = np.unique(np.concatenate([known, np.linspace(known[0], known[-1], _SMOOTH)]))
    p = np.array([line.pressure_at(float(each)) for each in t])
    error = np.interp(t, known, np.nan_to_num([point.pressure_error_GPa for point in line.points]))
    axes.fill_betweenx(t, p - error, p + error, color=PALETTE[0], alpha=0.22, lw=0)
    axes.plot(p, t, color=PALETTE[0])
