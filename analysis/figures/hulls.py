"""The convex hull of a binary at some pressures, as small multiples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.analysis.curve import Array
from megabar.analysis.figures.labels import Label, place_labels
from megabar.analysis.figures.looks import Look
from megabar.analysis.figures.style import (
    COLUMN_IN,
    FAINT,
    INK,
    PAGE_IN,
    PAPER,
    Margins,
    columns_for,
    given_axes,
    named,
    panels,
)
from megabar.analysis.hull import HullAt, hulls_at
from megabar.analysis.stability import Stability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 6
MOST_OTHERS = 300
"""Phases without a look of their own that are drawn in a panel, as grey points."""
MOST_METASTABLE = 5
"""Metastable phases that are named in a panel, the lowest ones."""
_COLUMNS = 3
_FORMATION = "Formation enthalpy (meV/atom)"
OTHERS = "#9aa1ab"
_EDGE = 0.035
"""How far below the upper edge what lies beyond it is drawn, as a share of the panel."""


@dataclass(frozen=True)
class HullFigure:
    """The figure, and how many names found no room in it or were too many."""

    figure: Figure
    unnamed: int


def chosen_pressures(stability: Stability, asked_GPa: Sequence[float], most: int = MOST_PANELS) -> list[float]:
    """Return at most so many of the pressures asked for: one in each set of stable compounds, then evenly spread.

    Where few enough are asked for, all of them; those without a hull of all elements are left out.
    """
    hulls = [hull for hull in hulls_at(stability.curves, asked_GPa) if not hull.undefined]
    known = [hull.pressure_GPa for hull in hulls]
    if len(known) <= most:
        return known
    mixed = ~(stability.compositions.fractions == 1).any(axis=1)
    telling = [hull.pressure_GPa for hull in hulls if np.isfinite(hull.above_eV[mixed]).any()] or known
    stages: dict[tuple[str, ...], list[float]] = {}
    for pressure in telling:
        stages.setdefault(_stable_compounds(stability, pressure), []).append(pressure)
    chosen = {group[len(group) // 2] for group in list(stages.values())[:most]}
    while len(chosen) < min(most, len(telling)):
        chosen.add(max(telling, key=lambda p: min(abs(p - other) for other in chosen)))
    return sorted(chosen)


def _stable_compounds(stability: Stability, pressure: float) -> tuple[str, ...]:
    here = {each.formula for each in stability.intervals if each.from_GPa <= pressure <= each.to_GPa}
    return tuple(sorted(here))


def binary_hull_figure(
    stability: Stability,
    look: Mapping[str, Look],
    pressures_GPa: Sequence[float],
    labels: Mapping[str, str] | None = None,
) -> HullFigure | None:
    """Return formation enthalpy against composition at each pressure; None where no pressure has a hull.

    look: of the phases that are told apart; the others are grey points.
    """
    hulls = [hull for hull in hulls_at(stability.curves, pressures_GPa) if not hull.undefined]
    if not hulls:
        return None
    columns = columns_for(len(hulls), _COLUMNS)
    usual = (COLUMN_IN, 5.2, PAGE_IN)[columns - 1]
    height_in = 2.6 if len(hulls) == 1 else 2.1
    outer = Margins(0.2, 0.02, 0.0, 0.33)
    figure, axes = panels(len(hulls), columns, height_in, usual, Margins(0.36, 0.06, 0.24, 0.06), outer)
    if given_axes(len(hulls)):
        for ax, hull in zip(axes, hulls, strict=True):
            _draw(ax, hull, stability, look, _limits([hull]))
            ax.set(xlabel=_fraction(stability), ylabel=_FORMATION)
        return _with_names(figure, axes, hulls, stability, look, labels or {})
    columns = sum(abs(ax.get_position().y0 - axes[0].get_position().y0) < 1e-6 for ax in axes)
    for start in range(0, len(hulls), columns):
        row = slice(start, start + columns)
        limits = _limits(hulls[row])
        for place, (ax, hull) in enumerate(zip(axes[row], hulls[row], strict=True)):
            _draw(ax, hull, stability, look, limits)
            ax.tick_params(labelleft=place == 0, labelbottom=start + place + columns >= len(hulls))
    width, height = figure.get_size_inches()
    style: dict[str, Any] = {"fontsize": 8, "ha": "center", "va": "center"}
    figure.text(0.11 / width, 0.5 + 0.12 / height, _FORMATION, rotation=90, **style)
    figure.text(0.5 + 0.25 / width, 0.09 / height, _fraction(stability), **style)
    return _with_names(figure, axes, hulls, stability, look, labels or {})


def _with_names(
    figure: Figure,
    axes: Sequence[Axes],
    hulls: Sequence[HullAt],
    stability: Stability,
    look: Mapping[str, Look],
    labels: Mapping[str, str],
) -> HullFigure:
    unnamed = [_name(ax, hull, stability, look, labels) for ax, hull in zip(axes, hulls, strict=True)]
    return HullFigure(figure, sum(unnamed))


def _fraction(stability: Stability) -> str:
    return f"Atomic fraction of {stability.elements[1]}"


def _limits(hulls: Sequence[HullAt]) -> tuple[float, float]:
    """Return what is shown of the formation enthalpies (meV/atom): the hulls, and above them what is not too far."""
    values = 1000 * np.concatenate([hull.formation_eV for hull in hulls])
    values = values[np.isfinite(values)]
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    high = min(high, max(60.0, 0.6 * -low))
    span = max(high - low, 20.0)
    return low - 0.16 * span, high + 0.14 * span


def lowest_of_each(hull: HullAt) -> list[int]:
    """Return the lowest entry of each composition that has a height, by composition."""
    known = np.flatnonzero(np.isfinite(hull.above_eV))
    order = known[np.lexsort((hull.above_eV[known], hull.compositions.group[known]))]
    _, first = np.unique(hull.compositions.group[order], return_index=True)
    found: list[int] = order[first].tolist()
    return found


def _draw(ax: Axes, hull: HullAt, stability: Stability, look: Mapping[str, Look], limits: tuple[float, float]) -> None:
    ax.set_gid(f"hull-{hull.pressure_GPa:g}")
    ax.set_title(f"{hull.pressure_GPa:g} GPa", loc="left", pad=4, fontweight="bold")
    ax.set_xlim(-0.06, 1.06)
    ax.set_ylim(*limits)
    ax.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0", "", "0.5", "", "1"])
    ax.axhline(0.0, color=FAINT, lw=0.8, zorder=0.5)
    x, y = hull.compositions.fractions[:, 1], 1000 * hull.formation_eV
    corners = np.flatnonzero(hull.vertex)
    corners = corners[np.argsort(x[corners])]
    ax.plot(x[corners], y[corners], "-", color=INK, lw=1.1, zorder=2, label="hull")
    edge = limits[1] - _EDGE * (limits[1] - limits[0])
    lowest, others = set(lowest_of_each(hull)), []
    for i, curve in enumerate(stability.curves):
        beyond = y[i] > limits[1]
        if not np.isfinite(y[i]) or (beyond and i not in lowest):
            continue
        if curve.phase not in look:
            others += [] if beyond else [i]
            continue
        style, stable = look[curve.phase], bool(hull.vertex[i])
        ax.plot(
            x[i], edge if beyond else y[i], "^" if beyond else style.marker, label=curve.phase, ls="none",
            zorder=4 if stable else 3, ms=5.5 if stable else 4.2, mew=1.0, mec=style.color,
            mfc=style.color if stable else PAPER,
        )  # fmt: skip
    others = sorted(others, key=lambda i: hull.above_eV[i])[:MOST_OTHERS]
    ax.plot(x[others], y[others], "o", ms=2.0, mew=0, color=OTHERS, zorder=1.5, label="others")


def _name(ax: Axes, hull: HullAt, stability: Stability, look: Mapping[str, Look], names: Mapping[str, str]) -> int:
    """Name the lowest phase of each composition, those beyond the edge with their height; return how many are not."""
    x, y = hull.compositions.fractions[:, 1], 1000 * hull.formation_eV
    low, high = ax.get_ylim()
    edge = high - _EDGE * (high - low)
    lowest = [i for i in lowest_of_each(hull) if stability.curves[i].phase in look]
    stable = [i for i in lowest if hull.vertex[i]]
    rest = sorted((i for i in lowest if not hull.vertex[i]), key=lambda i: hull.above_eV[i])
    labels = []
    for i in [*stable, *rest[:MOST_METASTABLE]]:
        curve, beyond = stability.curves[i], y[i] > high
        text = named(curve.phase, curve.formula, names)
        text = f"{text}, {y[i]:.0f}" if beyond else text
        labels.append(
            Label.beside(text, look[curve.phase].color, float(x[i]), edge if beyond else float(y[i]), i in stable)
        )
    # Markers and grey points; the hull's line is told by its corners.
    marks: list[Array] = [np.asarray(line.get_xydata()) for line in ax.lines if line.get_linestyle() == "None"]
    points = np.concatenate([np.empty((0, 2)), *marks])
    corners = np.flatnonzero(hull.vertex)
    corners = corners[np.argsort(x[corners])]
    left = place_labels(ax, labels, [*points[:, None, :], np.column_stack([x, y])[corners]])
    return len(left) + max(0, len(rest) - MOST_METASTABLE)
