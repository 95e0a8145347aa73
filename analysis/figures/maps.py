"""Maps against pressure: which phase of each composition is stable, and how far every phase is above the hull."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.analysis.figures.style import (
    FAINT,
    INK,
    PAGE_IN,
    PAPER,
    Look,
    Margins,
    new_figure,
    panels,
    pretty_formula,
    pretty_phase,
    short_name,
    widest_in,
)
from megabar.analysis.hull import compositions, hulls_at
from megabar.analysis.stability import Stability, StableInterval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR = 0.52
_FURTHEST_meV = 200.0
_NEGLIGIBLE_meV = 0.05


def _rows(stability: Stability) -> list[str]:
    """Return the formulas, by composition, the richest in the first element first."""
    formulas = list(dict.fromkeys(curve.formula for curve in stability.curves))
    fractions = compositions(formulas).fractions
    return [formulas[i] for i in np.lexsort(tuple(-fractions[:, j] for j in range(fractions.shape[1]))[::-1])]


def _row_panel(
    names: Sequence[str], row_in: float, limits_GPa: tuple[float, float], right_in: float = 0.15
) -> tuple[Figure, Axes]:
    """Return a page-wide figure and its one panel with a named row for each name."""
    left = 0.12 + widest_in(new_figure(1, 1), names, 8.0)
    margins = Margins(left, right_in, 0.1, 0.45)
    figure, [ax] = panels(1, 1, 0.55 + row_in * len(names), PAGE_IN, margins)
    ax.set_xlim(*limits_GPa)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_yticks(range(len(names)), names, fontsize=8.0)
    ax.tick_params(axis="y", which="both", length=0)
    ax.tick_params(axis="x", which="both", top=False)
    ax.set_xlabel("Pressure (GPa)")
    for side in ("top", "left", "right"):
        ax.spines[side].set_visible(False)
    return figure, ax


def stability_map(stability: Stability, look: Mapping[str, Look], limits_GPa: tuple[float, float]) -> Figure:
    """Return the stable phases of each composition as bars over pressure.

    Ends with a bar of error are transitions; a pointed end is where data end.
    """
    rows = _rows(stability)
    names = [pretty_formula(formula) for formula in rows]
    figure, ax = _row_panel(names, 0.42, limits_GPa)
    ax.set_gid("stability-map")
    for row in range(len(rows)):
        ax.axhline(row, color=FAINT, lw=0.6, zorder=0.5)
    for interval in stability.intervals:
        _bar(ax, rows.index(interval.formula), interval, look[interval.phase].color, limits_GPa)
    _names(ax, stability.intervals, rows, look, limits_GPa)
    return figure


def _bar(ax: Axes, row: int, interval: StableInterval, color: str, limits_GPa: tuple[float, float]) -> None:
    from matplotlib.patches import Polygon

    low, high = (float(np.clip(end, *limits_GPa)) for end in (interval.from_GPa, interval.to_GPa))
    if high <= low:
        return
    width_pt = ax.get_position().width * ax.figure.get_figwidth() * 72  # type: ignore[union-attr]
    tip = min(6.0 * (limits_GPa[1] - limits_GPa[0]) / width_pt, (high - low) / 3)
    open_low = interval.from_open or interval.from_GPa < limits_GPa[0]
    open_high = interval.to_open or interval.to_GPa > limits_GPa[1]
    half = _BAR / 2
    left = [(low, row)] if open_low else []
    right = [(high, row)] if open_high else []
    start, end = low + tip * open_low, high - tip * open_high
    outline = [*left, (start, row - half), (end, row - half), *right, (end, row + half), (start, row + half)]
    ax.add_patch(Polygon(outline, closed=True, fc=color, ec=PAPER, lw=0.8, zorder=2, label=interval.phase))
    for pressure, error, is_open in (
        (low, interval.from_error_GPa, open_low),
        (high, interval.to_error_GPa, open_high),
    ):
        if not is_open:
            ax.plot([pressure] * 2, [row - half, row + half], color=INK, lw=1.0, zorder=3, solid_capstyle="butt")
            if error is not None and error > tip / 4:  # a smaller one would be hidden by the line
                ax.errorbar(pressure, row, xerr=error, color=INK, lw=0.8, capsize=2.0, capthick=0.8, zorder=4)


def _names(
    ax: Axes,
    intervals: Sequence[StableInterval],
    rows: Sequence[str],
    look: Mapping[str, Look],
    limits_GPa: tuple[float, float],
) -> None:
    """Write the names into the bars, or above those that are too short, on the line where there is room."""
    figure: Any = ax.figure
    renderer = figure.canvas.get_renderer()
    to_data = ax.transData.inverted()
    taken: dict[int, float] = {}
    for interval in sorted(intervals, key=lambda each: each.from_GPa):
        low, high = (float(np.clip(end, *limits_GPa)) for end in (interval.from_GPa, interval.to_GPa))
        if high <= low:
            continue
        row = rows.index(interval.formula)
        text = ax.text((low + high) / 2, row, short_name(interval.phase, interval.formula), ha="center", va="center")
        text.set(fontsize=7.5, color=PAPER, zorder=5, fontweight="bold")
        extent = text.get_window_extent(renderer)
        width = (to_data.transform((extent.x1, 0)) - to_data.transform((extent.x0, 0)))[0]
        if width < 0.8 * (high - low):
            continue
        start = max((low + high - width) / 2, taken.get(row, -np.inf), limits_GPa[0])
        text.set(x=start + width / 2, y=row - _BAR / 2 - 0.02, va="bottom", color=look[interval.phase].color)
        text.set(fontsize=6.5, fontweight="normal")
        taken[row] = start + width


def distance_map(stability: Stability, limits_GPa: tuple[float, float], points: int = 240) -> Figure | None:
    """Return the height of every phase above the hull, as colour, over pressure; None for fewer than three."""
    grid = np.linspace(*limits_GPa, points)
    above = 1000 * np.array([hull.above_eV for hull in hulls_at(stability.curves, grid)]).T
    order = [i for formula in _rows(stability) for i, c in enumerate(stability.curves) if c.formula == formula]
    order = [i for i in order if np.isfinite(above[i]).sum() > 1]
    if len(order) < 3:
        return None
    names = [pretty_phase(stability.curves[i].phase, stability.curves[i].formula) for i in order]
    figure, ax = _row_panel(names, max(0.2, 1.4 / len(names)), limits_GPa, right_in=0.85)
    ax.set_gid("distance-map")
    furthest = min(_FURTHEST_meV, float(np.nanmax(above)))
    image = _strips(ax, grid, above[order], max(furthest, 1.0))
    place = ax.get_position()
    colours = figure.add_axes((place.x1 + 0.02, place.y0, 0.016, place.height))
    bar = figure.colorbar(image, cax=colours, extend="max", ticks=[0, 2, 10, 25, 50, 100, 150, 200])
    bar.set_label("Above the hull (meV/atom)", fontsize=7.5)
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
