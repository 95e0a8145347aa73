"""Cells against pressure: lengths, their ratio, and the coordinates that symmetry leaves free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from megabar.analysis.figures.drawing import Drawing
from megabar.structures.series import CellParameters, CellSeries

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CAPTION = (
    "Conventional cells: lengths (above), ratio c/a and the free coordinates of independent atoms (below). Markers: "
    "computed; lines: interpolated between them in ln V."
)
_MOVES = 2e-4
"""Change of a fractional coordinate over all pressures from which on it is drawn."""
_DIFFERS = 1e-4
_NARROWEST = 0.02
"""Least height of a panel: below it noise would look like a change."""
Quantity = tuple[str, Callable[[CellParameters], float]]


def cells_drawing(series: Sequence[CellSeries]) -> Drawing:
    """Return a figure with a column of panels for each phase."""
    from matplotlib.figure import Figure

    from megabar.analysis.figures.style import PAGE_IN, journal_style, pretty_phase

    with journal_style():
        columns = min(len(series), 3)
        rows = -(-len(series) // columns)
        figure = Figure(figsize=(PAGE_IN * min(1.0, 0.4 * columns + 0.05), 3.6 * rows), layout="constrained")
        panels = figure.subplots(2 * rows, columns, squeeze=False)
        for number, each in enumerate(series):
            upper = panels[2 * (number // columns)][number % columns]
            lower = panels[2 * (number // columns) + 1][number % columns]
            upper.set_title(pretty_phase(each.phase, each.formula), loc="left", fontweight="bold")
            _draw(upper, each, lengths(each), "Length (Å)")
            _draw(lower, each, shape(each), "c/a, coordinates")
        for number in range(len(series), rows * columns):
            for row in (0, 1):
                panels[2 * (number // columns) + row][number % columns].set_visible(False)
    return Drawing("cells", "Cells against pressure", _CAPTION, figure)


def lengths(series: CellSeries) -> list[Quantity]:
    """Return the lengths of a cell that differ from each other."""
    cells = series.computed or series.parameters
    found: list[Quantity] = [("a", lambda cell: cell.a_A)]
    if any(abs(cell.b_A - cell.a_A) > _DIFFERS for cell in cells):
        found.append(("b", lambda cell: cell.b_A))
    if any(abs(cell.c_A - cell.a_A) > _DIFFERS for cell in cells):
        found.append(("c", lambda cell: cell.c_A))
    return found


def shape(series: CellSeries) -> list[Quantity]:
    """Return c/a where it is not one by symmetry, and the coordinates that change with pressure."""
    cells = series.computed or series.parameters
    found: list[Quantity] = []
    if any(abs(cell.c_over_a - 1) > _DIFFERS for cell in cells):
        found.append(("c/a", lambda cell: cell.c_over_a))
    for number, (symbol, *_) in enumerate(cells[0].sites):
        for axis, name in enumerate("xyz", start=1):
            values = np.array([cell.sites[number][axis] for cell in cells if number < len(cell.sites)], float)
            if np.ptp(values) > _MOVES:
                found.append((f"{name}({symbol}{number + 1})", _coordinate(number, axis)))
    return found


def _coordinate(number: int, axis: int) -> Callable[[CellParameters], float]:
    return lambda cell: float(cell.sites[number][axis]) if number < len(cell.sites) else float("nan")


def _draw(ax: Axes, series: CellSeries, quantities: Sequence[Quantity], label: str) -> None:
    from megabar.analysis.figures.looks import LINES, MARKERS
    from megabar.analysis.figures.style import PALETTE

    ax.set_xlabel("Pressure (GPa)")
    ax.set_ylabel(label)
    if not quantities:
        ax.text(0.5, 0.5, "fixed by symmetry", transform=ax.transAxes, ha="center", va="center")
        ax.set_yticks([])
        return
    for number, (name, value) in enumerate(quantities):
        color, line = PALETTE[number % len(PALETTE)], LINES[number // len(PALETTE) % len(LINES)]
        ax.plot(series.pressures_GPa, [value(cell) for cell in series.parameters], color=color, ls=line)
        computed = [value(cell) for cell in series.computed]
        ax.plot(series.computed_GPa, computed, MARKERS[number % len(MARKERS)], color=color, mew=0, label=name)
    ax.margins(y=0.15)
    low, high = ax.get_ylim()
    if high - low < _NARROWEST:
        ax.set_ylim((low + high - _NARROWEST) / 2, (low + high + _NARROWEST) / 2)
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.legend(ncols=min(len(quantities), 3), loc="best")
