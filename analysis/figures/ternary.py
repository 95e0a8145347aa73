"""The hull of a ternary at some pressures: Gibbs triangles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.analysis.curve import Array
from megabar.analysis.figures.hulls import MOST_METASTABLE, HullFigure, lowest_of_each
from megabar.analysis.figures.labels import Label, place_labels
from megabar.analysis.figures.style import (
    INK,
    LEAST_IN,
    PAGE_IN,
    Margins,
    colour_bar,
    columns_for,
    named,
    panels,
    wanted_width,
)
from megabar.analysis.hull import HullAt, hulls_at
from megabar.analysis.stability import Stability

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
_FURTHEST_meV = 200.0
_BAR_IN = 0.75
"""Room for the scale of colours beside the triangles (inches)."""
SOFT = "#5b626d"


def ternary_hull_figure(
    stability: Stability, pressures_GPa: Sequence[float], labels: Mapping[str, str] | None = None
) -> HullFigure | None:
    """Return stable phases, tie lines and heights above the hull (colour) at each pressure; None without a hull."""
    hulls = [hull for hull in hulls_at(stability.curves, pressures_GPa) if not hull.undefined]
    if not hulls:
        return None
    columns = columns_for(len(hulls), 3)
    width = wanted_width((4.4, PAGE_IN, PAGE_IN)[columns - 1])
    columns = max(1, min(columns, int((width - _BAR_IN) / LEAST_IN)))
    height = (width - _BAR_IN) / columns * 0.92 + 0.2
    margins = Margins(0.03, 0.03, 0.22, 0.02)
    figure, axes = panels(len(hulls), columns, height, width, margins, Margins(0, _BAR_IN, 0, 0))
    for ax in axes:
        ax.set_axis_off()
    furthest = max(1.0, min(_FURTHEST_meV, 1000 * max(float(np.nanmax(hull.above_eV)) for hull in hulls)))
    drawn = [_draw(ax, hull, stability.elements, furthest) for ax, hull in zip(axes, hulls, strict=False)]
    points = next((each for each in drawn if each is not None), None)
    if points is not None:
        tall = min(0.7, 2.2 / (figure.bbox.height / figure.dpi))
        place = (1 - (_BAR_IN - 0.1) / width, 0.5 - tall / 2, 0.11 / width, tall)
        bar = colour_bar(figure, points, axes, place, extend="max")
        bar.set_label("Above the hull (meV/atom)", fontsize=7.5)
        bar.outline.set_linewidth(0.5)
    unnamed = [_name(ax, hull, stability, labels or {}) for ax, hull in zip(axes, hulls, strict=False)]
    return HullFigure(figure, sum(unnamed))


def _draw(ax: Axes, hull: HullAt, elements: Sequence[str], furthest: float) -> Any:
    ax.set_gid(f"hull-{hull.pressure_GPa:g}")
    ax.set_title(f"{hull.pressure_GPa:g} GPa", loc="left", fontweight="bold", pad=2)
    ax.set_aspect("equal")
    ax.set_xlim(-0.12, 1.12)
    ax.set_ylim(-0.14, 1.0)
    ax.plot(*np.vstack([_CORNERS, _CORNERS[:1]]).T, color=INK, lw=0.8, zorder=1)
    for corner, element, (dx, dy) in zip(_CORNERS, elements, ((-0.06, -0.05), (0.06, -0.05), (0, 0.06)), strict=True):
        ax.text(corner[0] + dx, corner[1] + dy, element, ha="center", va="center", fontweight="bold")
    places = hull.compositions.fractions @ _CORNERS
    for one, other in {pair for facet in hull.facets for pair in combinations(sorted(facet.tolist()), 2)}:
        ax.plot(*places[[one, other]].T, color=INK, lw=0.7, zorder=2)
    above = 1000 * hull.above_eV
    lowest = lowest_of_each(hull)
    rest = [i for i in lowest if not hull.vertex[i]]
    stable = [i for i in lowest if hull.vertex[i]]
    ax.plot(*places[stable].T, "o", color=INK, ms=5, zorder=4, label="stable")
    if not rest:
        return None
    x, y = places[rest].T
    look: dict[str, Any] = {"marker": "s", "s": 22, "edgecolors": INK, "linewidths": 0.5, "zorder": 3}
    return ax.scatter(x, y, c=above[rest], cmap="cividis", vmin=0, vmax=furthest, **look)


def _name(ax: Axes, hull: HullAt, stability: Stability, names: Mapping[str, str]) -> int:
    """Name the stable compounds and the lowest of the others; return how many have no name."""
    places: Array = hull.compositions.fractions @ _CORNERS
    lowest = lowest_of_each(hull)
    compounds = [i for i in lowest if (hull.compositions.fractions[i] < 1).all()]
    stable = [i for i in compounds if hull.vertex[i]]
    rest = sorted((i for i in compounds if not hull.vertex[i]), key=lambda i: hull.above_eV[i])
    labels = [
        Label.beside(
            named(stability.curves[i].phase, stability.curves[i].formula, names), INK if hull.vertex[i] else SOFT,
            float(places[i, 0]), float(places[i, 1]), i in stable,
        )
        for i in [*stable, *rest[:MOST_METASTABLE]]
    ]  # fmt: skip
    lines = [places[list(pair)] for facet in hull.facets for pair in combinations(facet.tolist(), 2)]
    left = place_labels(ax, labels, [*places[lowest][:, None, :], *lines], fontsize=6.5)
    return len(left) + max(0, len(rest) - MOST_METASTABLE)
