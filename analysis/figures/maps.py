"""Maps against pressure: which phase of each composition is stable, and how far every phase is above the hull."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.analysis.curve import Curve
from megabar.analysis.figures.labels import spread_widths
from megabar.analysis.figures.looks import Look
from megabar.analysis.figures.style import (
    FAINT,
    INK,
    PAGE_IN,
    PAPER,
    Margins,
    colour_bar,
    named,
    new_figure,
    panels,
    pretty_formula,
    wanted_width,
    widest_in,
)
from megabar.analysis.figures.transition_marks import UNRESOLVED
from megabar.analysis.hull import compositions, hulls_at
from megabar.analysis.stability import Stability, StableInterval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR = 0.46
_BELOW = 0.34
"""How far below the middle of a bar the errors of its ends are drawn, in rows."""
_FURTHEST_meV = 200.0
_NEGLIGIBLE_meV = 0.05
_SAME_GPa = 1e-3
_TIP_pt, _VISIBLE_pt = 6.0, 1.5


def _rows(formulas: Sequence[str]) -> list[str]:
    """Return formulas by composition, the richest in the first element first."""
    formulas = list(dict.fromkeys(formulas))
    fractions = compositions(formulas).fractions
    return [formulas[i] for i in np.lexsort(tuple(-fractions[:, j] for j in range(fractions.shape[1]))[::-1])]


def _row_panel(
    names: Sequence[str], row_in: float, limits_GPa: tuple[float, float], right_in: float = 0.15
) -> tuple[Figure, Axes]:
    """Return a page-wide figure and its one panel with a named row for each name."""
    left = 0.12 + widest_in(new_figure(1, 1), names, 8.0)
    margins = Margins(left, right_in, 0.1, 0.45)
    figure, [ax] = panels(1, 1, 0.55 + row_in * len(names), wanted_width(PAGE_IN), margins)
    ax.set_xlim(*limits_GPa)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_yticks(range(len(names)), names, fontsize=8.0)
    ax.tick_params(axis="y", which="both", length=0)
    ax.tick_params(axis="x", which="both", top=False)
    ax.set_xlabel("Pressure (GPa)")
    for side in ("top", "left", "right"):
        ax.spines[side].set_visible(False)
    return figure, ax


@dataclass(frozen=True)
class _End:
    """One end of a bar: a pressure (GPa), where data end or not, else a transition with its error."""

    pressure_GPa: float
    is_open: bool
    error_GPa: float | None
    resolved: bool


def stability_map(
    stability: Stability,
    look: Mapping[str, Look],
    limits_GPa: tuple[float, float],
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Return the stable phases of each composition that has some as bars over pressure.

    Ends with a bar of error below are transitions; a pointed end is where data end; hatched: not resolved.
    """
    shown = [each for each in stability.intervals if each.from_GPa < limits_GPa[1] and each.to_GPa > limits_GPa[0]]
    everything = _rows([curve.formula for curve in stability.curves])
    rows = [formula for formula in everything if any(each.formula == formula for each in shown)]
    figure, ax = _row_panel([pretty_formula(formula) for formula in rows], 0.44, limits_GPa)
    ax.set_gid("stability-map")
    for row in range(len(rows)):
        ax.axhline(row, color=FAINT, lw=0.6, zorder=0.5)
    for interval in shown:
        _bar(ax, rows.index(interval.formula), interval, look[interval.phase].color, stability)
    for row, formula in enumerate(rows):
        _names(ax, row, [each for each in shown if each.formula == formula], look, labels or {})
    return figure


def never_stable(stability: Stability) -> list[str]:
    """Return the compositions of which no phase is stable over a range of pressure."""
    stable = {interval.formula for interval in stability.intervals}
    return [formula for formula in _rows([c.formula for c in stability.curves]) if formula not in stable]


def _ends(interval: StableInterval, stability: Stability, limits_GPa: tuple[float, float]) -> tuple[_End, _End]:
    found = []
    for pressure, is_open, error in (
        (interval.from_GPa, interval.from_open, interval.from_error_GPa),
        (interval.to_GPa, interval.to_open, interval.to_error_GPa),
    ):
        inside = limits_GPa[0] <= pressure <= limits_GPa[1]
        resolved = not any(
            transition.resolved is False and interval.phase in transition.reaction.phases
            for transition in stability.transitions
            if abs(transition.pressure_GPa - pressure) < _SAME_GPa
        )
        found.append(_End(float(np.clip(pressure, *limits_GPa)), is_open or not inside, error, resolved))
    return found[0], found[1]


def _bar(ax: Axes, row: int, interval: StableInterval, color: str, stability: Stability) -> None:
    from matplotlib.patches import Polygon

    limits_GPa = ax.get_xlim()
    ends = left, right = _ends(interval, stability, limits_GPa)
    low, high = left.pressure_GPa, right.pressure_GPa
    per_pt = _per_pt(ax)
    tip, half = min(_TIP_pt * per_pt, (high - low) / 3), _BAR / 2
    first = [(low, row)] if left.is_open else []
    last = [(high, row)] if right.is_open else []
    start, end = low + tip * left.is_open, high - tip * right.is_open
    outline = [*first, (start, row - half), (end, row - half), *last, (end, row + half), (start, row + half)]
    lost = any(not each.resolved and (each.error_GPa or 0.0) >= high - low for each in ends)
    style: dict[str, Any] = {"fc": PAPER, "ec": color, "hatch": "/////"} if lost else {"fc": color, "ec": PAPER}
    ax.add_patch(Polygon(outline, closed=True, lw=0.8, zorder=2, label=interval.phase, **style))
    for each in ends:
        if each.is_open:
            continue
        tone = INK if each.resolved else UNRESOLVED
        ax.plot([each.pressure_GPa] * 2, [row - half, row + half], color=tone, lw=1.0, zorder=3, solid_capstyle="butt")
        if each.error_GPa is not None and each.error_GPa > _VISIBLE_pt * per_pt:
            _error(ax, row + _BELOW, each, tone)


def _error(ax: Axes, height: float, end: _End, color: str) -> None:
    [_, _, [bar]] = ax.errorbar(
        end.pressure_GPa, height, xerr=end.error_GPa, fmt="none", ecolor=color, elinewidth=0.8, capsize=2.0,
        capthick=0.8, zorder=4,
    )  # fmt: skip
    bar.set_label("_transition-error")
    if not end.resolved:
        bar.set_linestyle((0, (1.5, 1)))


def _per_pt(ax: Axes) -> float:
    """Return how much pressure (GPa) a point of the panel's width is."""
    low, high = ax.get_xlim()
    return (high - low) / (ax.bbox.width / ax.figure.dpi * 72)


def _names(
    ax: Axes, row: int, intervals: Sequence[StableInterval], look: Mapping[str, Look], labels: Mapping[str, str]
) -> None:
    """Write the names into the bars; above them, side by side, those of bars that are too short."""
    figure: Any = ax.figure
    renderer = figure.canvas.get_renderer()
    limits = ax.get_xlim()
    per_px = (limits[1] - limits[0]) / ax.get_window_extent(renderer).width
    outside = []
    for interval in sorted(intervals, key=lambda each: each.from_GPa):
        low, high = (float(np.clip(end, *limits)) for end in (interval.from_GPa, interval.to_GPa))
        name = named(interval.phase, interval.formula, labels, short=True)
        text = ax.text((low + high) / 2, row, name, ha="center", va="center")
        text.set(fontsize=7.5, color=PAPER, zorder=5, fontweight="bold")
        [patch] = [each for each in ax.patches if each.get_label() == interval.phase and _covers(each, low, high)][:1]
        if patch.get_hatch() is None and text.get_window_extent(renderer).width * per_px < 0.8 * (high - low):
            continue
        text.set(color=look[interval.phase].color, fontsize=6.5, fontweight="normal", va="bottom")
        outside.append((text, (low + high) / 2, text.get_window_extent(renderer).width * per_px + 4 * _per_pt(ax)))
    places = spread_widths([middle for _, middle, _ in outside], [width for _, _, width in outside], *limits)
    for (text, middle, width), place in zip(outside, places, strict=True):
        if place - width / 2 < limits[0] - 1e-9 or place + width / 2 > limits[1] + 1e-9:
            text.remove()  # more names than the row is wide
            continue
        top = row - _BAR / 2
        text.set(x=place, y=top - 0.05)
        if abs(place - middle) > 2 * _per_pt(ax):
            ax.plot([middle, place], [top, top - 0.06], color=text.get_color(), lw=0.5, zorder=4, label="_leader")


def _covers(patch: Any, low: float, high: float) -> bool:
    x = patch.get_xy()[:, 0]
    return bool(abs(x.min() - low) < 1e-9 and abs(x.max() - high) < 1e-9)


def distance_map(
    stability: Stability,
    shown: Sequence[Curve],
    limits_GPa: tuple[float, float],
    labels: Mapping[str, str] | None = None,
    points: int = 240,
) -> Figure | None:
    """Return the height of phases above the hull, as colour, over pressure; None for fewer than three."""
    grid = np.linspace(*limits_GPa, points)
    stable = {interval.phase for interval in stability.intervals}
    phases = {curve.phase for curve in shown}
    # Phases that are stable somewhere make the hull, whatever else there is.
    curves = [curve for curve in stability.curves if curve.phase in stable | phases]
    above = 1000 * np.array([hull.above_eV for hull in hulls_at(curves, grid)]).T
    rows = _rows([curve.formula for curve in curves])
    order = [i for formula in rows for i, curve in enumerate(curves) if curve.formula == formula]
    order = [i for i in order if curves[i].phase in phases and np.isfinite(above[i]).sum() > 1]
    if len(order) < 3:
        return None
    names = [named(curves[i].phase, curves[i].formula, labels or {}) for i in order]
    figure, ax = _row_panel(names, max(0.17, min(0.24, 1.4 / len(names))), limits_GPa, right_in=0.85)
    ax.set_gid("distance-map")
    furthest = min(_FURTHEST_meV, float(np.nanmax(above)))
    image = _strips(ax, grid, above[order], max(furthest, 1.0))
    place, width, height = ax.get_position(), figure.bbox.width / figure.dpi, figure.bbox.height / figure.dpi
    tall = min(place.height, 2.2 / height)
    beside = (place.x1 + 0.14 / width, place.y1 - tall, 0.11 / width, tall)
    bar = colour_bar(figure, image, [ax], beside, extend="max", ticks=[0, 2, 10, 25, 50, 100, 150, 200])
    bar.set_label("Above the hull\n(meV/atom)", fontsize=7.5)
    bar.outline.set_linewidth(0.5)
    return figure


def _scale(furthest: float) -> Any:
    """Return a colour scale that tells a few meV/atom apart near the hull."""
    from matplotlib.colors import PowerNorm

    return PowerNorm(0.5, 0.0, furthest)


def _strips(ax: Axes, grid: Any, above: Any, furthest: float) -> Any:
    """Draw one strip a phase, stable stretches as a dark line through its middle."""
    from matplotlib import colormaps

    edges = np.concatenate([[grid[0]], (grid[1:] + grid[:-1]) / 2, [grid[-1]]])
    image = None
    for row, values in enumerate(above):
        image = ax.pcolormesh(
            edges, [row - 0.36, row + 0.36], np.ma.masked_invalid(values)[None, :], cmap=colormaps["cividis"],
            norm=_scale(furthest), rasterized=True,
        )  # fmt: skip
        stable = np.where(values <= _NEGLIGIBLE_meV, row, np.nan)
        ax.plot(grid, stable, color="#ffffff", lw=2.0, solid_capstyle="butt", zorder=3)
    return image
