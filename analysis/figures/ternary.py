"""The hull of a ternary at some pressures: Gibbs triangles."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.analysis.curve import Array
from megabar.analysis.figures.labels import Label, place_labels
from megabar.analysis.figures.style import INK, PAGE_IN, Margins, panels, pretty_formula
from megabar.analysis.hull import HullAt, hulls_at
from megabar.analysis.stability import Stability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
_FURTHEST_meV = 200.0


def ternary_hull_figure(stability: Stability, pressures_GPa: Sequence[float]) -> Figure | None:
    """Return stable phases, tie lines and heights above the hull (colour) at each pressure; None without a hull."""
    hulls = [hull for hull in hulls_at(stability.curves, pressures_GPa) if not hull.undefined]
    if not hulls:
        return None
    columns = 2 if len(hulls) in (1, 2, 4) else 3
    height = (PAGE_IN - 0.7) / columns * 0.92 + 0.2
    margins = Margins(0.03, 0.03, 0.22, 0.02)
    figure, axes = panels(max(len(hulls), columns), columns, height, PAGE_IN, margins, Margins(0, 0.7, 0, 0))
    for ax in axes:
        ax.set_axis_off()
    furthest = max(1.0, min(_FURTHEST_meV, 1000 * max(float(np.nanmax(hull.above_eV)) for hull in hulls)))
    drawn = [_draw(ax, hull, stability.elements, furthest) for ax, hull in zip(axes, hulls, strict=False)]
    points = next((each for each in drawn if each is not None), None)
    if points is not None:
        bar = figure.colorbar(points, cax=figure.add_axes((1 - 0.6 / PAGE_IN, 0.15, 0.016, 0.7)), extend="max")
        bar.set_label("Above the hull (meV/atom)", fontsize=7.5)
    for ax, hull in zip(axes, hulls, strict=False):
        _name(ax, hull, stability)
    return figure


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
    lowest = _lowest(hull)
    rest = [i for i in lowest if not hull.vertex[i]]
    stable = [i for i in lowest if hull.vertex[i]]
    ax.plot(*places[stable].T, "o", color=INK, ms=5, zorder=4, label="stable")
    if not rest:
        return None
    x, y = places[rest].T
    look: dict[str, Any] = {"marker": "s", "s": 22, "edgecolors": INK, "linewidths": 0.5, "zorder": 3}
    return ax.scatter(x, y, c=above[rest], cmap="cividis", vmin=0, vmax=furthest, **look)


def _lowest(hull: HullAt) -> list[int]:
    """Return the lowest entry of each composition that has a height."""
    found: dict[int, int] = {}
    for i in np.flatnonzero(np.isfinite(hull.above_eV)).tolist():
        group = int(hull.compositions.group[i])
        if group not in found or hull.above_eV[i] < hull.above_eV[found[group]]:
            found[group] = i
    return list(found.values())


def _name(ax: Axes, hull: HullAt, stability: Stability) -> None:
    places: Array = hull.compositions.fractions @ _CORNERS
    lowest = sorted(_lowest(hull), key=lambda i: not hull.vertex[i])
    labels = [
        Label(pretty_formula(stability.curves[i].formula), INK, places[[i]])
        for i in lowest
        if (hull.compositions.fractions[i] < 1).all()
    ]
    lines = [places[list(pair)] for facet in hull.facets for pair in combinations(facet.tolist(), 2)]
    place_labels(ax, labels, [*places[lowest][:, None, :], *lines], fontsize=6.5)
