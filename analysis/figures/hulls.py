"""The convex hull of a binary at some pressures, as small multiples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.analysis.curve import Array
from megabar.analysis.figures.labels import Label, place_labels
from megabar.analysis.figures.style import (
    COLUMN_IN,
    FAINT,
    INK,
    PAGE_IN,
    PAPER,
    Look,
    Margins,
    panels,
    pretty_formula,
)
from megabar.analysis.hull import HullAt, hulls_at
from megabar.analysis.stability import Stability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 6
_COLUMNS = 3


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


def binary_hull_figure(stability: Stability, look: Mapping[str, Look], pressures_GPa: Sequence[float]) -> Figure | None:
    """Return formation enthalpy against composition at each pressure; None where no pressure has a hull."""
    hulls = [hull for hull in hulls_at(stability.curves, pressures_GPa) if not hull.undefined]
    if not hulls:
        return None
    columns = min(_COLUMNS, len(hulls))
    width = PAGE_IN if columns == _COLUMNS else COLUMN_IN * (0.15 + 0.85 * columns)
    figure, axes = panels(
        len(hulls), columns, 1.95, width, Margins(0.08, 0.08, 0.24, 0.06), Margins(0.5, 0.02, 0.0, 0.33)
    )
    limits = _limits(hulls)
    for number, (ax, hull) in enumerate(zip(axes, hulls, strict=True)):
        _draw(ax, hull, stability, look, limits)
        ax.tick_params(labelleft=number % columns == 0, labelbottom=number + columns >= len(hulls))
    height = figure.get_figheight()
    style: dict[str, Any] = {"fontsize": 8, "ha": "center", "va": "center"}
    figure.text(0.13 / width, 0.5 + 0.2 / height, "Formation enthalpy (meV/atom)", rotation=90, **style)
    figure.text(0.5 + 0.25 / width, 0.09 / height, f"Atomic fraction of {stability.elements[1]}", **style)
    for ax, hull in zip(axes, hulls, strict=True):
        _name(ax, hull, stability, look)
    return figure


def _limits(hulls: Sequence[HullAt]) -> tuple[float, float]:
    """Return what is shown of the formation enthalpies (meV/atom): the hulls, and above them what is not too far."""
    values = 1000 * np.concatenate([hull.formation_eV for hull in hulls])
    values = values[np.isfinite(values)]
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    high = min(high, max(100.0, 0.7 * -low))
    span = max(high - low, 20.0)
    return low - 0.16 * span, high + 0.12 * span


def _draw(ax: Axes, hull: HullAt, stability: Stability, look: Mapping[str, Look], limits: tuple[float, float]) -> None:
    ax.set_gid(f"hull-{hull.pressure_GPa:g}")
    ax.set_title(f"{hull.pressure_GPa:g} GPa", loc="left", pad=4, fontweight="bold")
    ax.set_xlim(-0.05, 1.05)
    ax.set_ylim(*limits)
    ax.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0", "", "0.5", "", "1"])
    ax.axhline(0.0, color=FAINT, lw=0.8, zorder=0.5)
    x, y = hull.compositions.fractions[:, 1], 1000 * hull.formation_eV
    corners = np.flatnonzero(hull.vertex)
    corners = corners[np.argsort(x[corners])]
    ax.plot(x[corners], y[corners], "-", color=INK, lw=1.1, zorder=2, label="hull")
    for i, curve in enumerate(stability.curves):
        if not np.isfinite(y[i]):
            continue
        style, stable = look[curve.phase], bool(hull.vertex[i])
        beyond = y[i] > limits[1]
        ax.plot(
            x[i], limits[1] - 0.03 * (limits[1] - limits[0]) if beyond else y[i],
            "^" if beyond else style.marker, label=curve.phase, ls="none", zorder=4 if stable else 3,
            ms=5.5 if stable else 4.2, mew=1.0, mec=style.color, mfc=style.color if stable else PAPER,
        )  # fmt: skip


def _name(ax: Axes, hull: HullAt, stability: Stability, look: Mapping[str, Look]) -> None:
    """Name the lowest phase of each composition; compounds too far above for the panel with their height."""
    x, y = hull.compositions.fractions[:, 1], 1000 * hull.formation_eV
    low, high = ax.get_ylim()
    labels = []
    for group in dict.fromkeys(hull.compositions.group.tolist()):
        own = np.flatnonzero((hull.compositions.group == group) & np.isfinite(y))
        if not len(own):
            continue
        lowest = int(own[np.argmin(y[own])])
        curve = stability.curves[lowest]
        text, height = pretty_formula(curve.formula), y[lowest]
        if height > high:
            text, height = f"{text}, {height:.0f}", high - 0.03 * (high - low)
        labels.append(
            (bool(hull.vertex[lowest]), Label(text, look[curve.phase].color, np.array([[x[lowest], height]])))
        )
    labels.sort(key=lambda pair: not pair[0])
    shown: Array = np.column_stack([x, np.minimum(y, high - 0.03 * (high - low))])
    corners = np.flatnonzero(hull.vertex)
    corners = corners[np.argsort(x[corners])]
    place_labels(ax, [label for _, label in labels], [*shown[:, None, :], shown[corners]])
