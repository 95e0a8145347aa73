"""Tc against what it depends on: the smearing of the double delta, the grid of q, pressure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT_IN = 2.4
SOURCES_IN = 3.0
"""Room beside the curve for the sources of the published values (inches)."""
SOURCE_LINE_IN = 0.115
"""Height of a line of a source (inches)."""
SOURCE_WIDTH = 46
"""Characters of a line of a source."""
_DOI = re.compile(r",? doi:[^\s,;]+")


@dataclass(frozen=True)
class TcLine:
    """Tc (K) along pressures (GPa) or smearings (Ry), with errors where known; chosen: the place that is quoted.

    lambda_: λ at the same places, or nothing.
    """

    label: str
    at: Sequence[float]
    tc_K: Sequence[float]
    error_K: Sequence[float | None] = ()
    chosen: int | None = None
    lambda_: Sequence[float] = ()


@dataclass(frozen=True)
class PublishedTc:
    """A published Tc (K) at a pressure (GPa). measured: in an experiment, not calculated."""

    pressure_GPa: float
    tc_K: float
    source: str
    measured: bool


@dataclass(frozen=True)
class GridRow:
    """λ and Tc (K, None where there is none) on a grid of q."""

    grid: tuple[int, ...]
    lambda_: float
    tc_K: float | None

    @property
    def name(self) -> str:
        """The grid as text."""
        return "×".join(map(str, self.grid))


def smearing_figure(lines: Sequence[TcLine], title: str = "", judged: tuple[float, float] | None = None) -> Figure:
    """Return the figure of λ and Tc against the smearing of the double delta; the values that are quoted are filled.

    judged: the smearings (Ry) between which the quoted one is judged: shaded, with the spread of λ and Tc in them.
    """
    from megabar.analysis.figures.looks import MARKERS
    from megabar.analysis.figures.style import PAGE_IN, PALETTE, Margins, journal_style, panels, symbols

    with journal_style():
        figure, [left, right] = panels(2, 2, HEIGHT_IN, PAGE_IN, Margins(left=0.52, right=0.12, top=0.26))
        first = next((line for line in lines if line.lambda_), None)
        if first is not None:
            _curve(left, first, first.lambda_, PALETTE[2], "o", "")
        for number, line in enumerate(lines):
            color, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
            _curve(right, line, line.tc_K, color, marker, line.label)
        for axes, values in ((left, first.lambda_ if first else ()), (right, lines[0].tc_K)):
            if judged is not None:
                _spread(axes, lines[0].at, values, judged)
            shown = [*values] if axes is left else [value for line in lines for value in line.tc_K]
            axes.set_ylim(0, 1.08 * max(shown, default=1.0) or 1.0)
            axes.margins(x=0.06)
            axes.set_xlabel("Smearing of the double delta (Ry)")
        left.set_ylabel("λ")
        right.set_ylabel(symbols("Tc (K)"), parse_math=True)
        if len(lines) > 1 or lines[0].label:
            right.legend(loc="best")
        if title:
            left.text(0.0, 1.02, title, transform=left.transAxes, ha="left", va="bottom")
    return figure


def grid_figure(rows: Sequence[GridRow], title: str = "") -> Figure:
    """Return the figure of λ and Tc on the grids of q that lie within one another, the finest last."""
    from megabar.analysis.figures.style import PAGE_IN, PALETTE, PAPER, Margins, journal_style, panels, symbols

    with journal_style():
        width_in = 4.8 if len(rows) < 4 else PAGE_IN
        figure, axes = panels(2, 2, 2.1, width_in, Margins(left=0.52, right=0.12, top=0.26))
        places = list(range(len(rows)))
        series: tuple[list[float | None], ...] = ([row.lambda_ for row in rows], [row.tc_K for row in rows])
        for each, values, name, color in zip(axes, series, ("λ", "Tc (K)"), PALETTE, strict=False):
            known = [(place, value) for place, value in zip(places, values, strict=True) if value is not None]
            x, y = [place for place, _ in known], [value for _, value in known]
            each.plot(x, y, marker="o", ls="none", color=color, mfc=PAPER)  # no grid lies between two of them
            each.plot(x[-1:], y[-1:], marker="o", ls="none", color=color)
            for place, value in known:
                each.annotate(
                    f"{value:.3g}", (place, value), (0, 5), textcoords="offset points", ha="center", fontsize=7
                )
            each.set_xlim(-0.4, len(rows) - 0.6)
            each.set_ylim(0, 1.2 * max(value for _, value in known) or 1.0)
            each.set_xticks(places, [row.name for row in rows])
            each.set_xlabel("Grid of q")
            each.set_ylabel(symbols(name), parse_math=True)
        if title:
            axes[0].text(0.0, 1.02, title, transform=axes[0].transAxes, ha="left", va="bottom")
    return figure


def pressure_figure(lines: Sequence[TcLine], published: Sequence[PublishedTc], title: str = "") -> Figure:
    """Return the figure of Tc against pressure: ours with errors, published values with their sources beside them.

    Only what was computed is drawn: no line leads through pressures that nothing was computed at.
    """
    from megabar.analysis.figures.style import (
        COLUMN_IN,
        PAGE_IN,
        Margins,
        given_axes,
        journal_style,
        panels,
        symbols,
        wanted_width,
    )

    with journal_style():
        width = wanted_width(PAGE_IN if published else COLUMN_IN)
        beside = bool(published) and width > COLUMN_IN + 1.5
        named = {_source(each): None for each in published}
        room = SOURCES_IN if beside else 0.0
        rows = len(lines) + sum(2 + name.count("\n") for name in named)
        height = max(2.5, 0.7 + SOURCE_LINE_IN * rows) if beside else 2.5
        below = 0.0 if beside or not published else 0.2 + SOURCE_LINE_IN * rows
        margins = Margins(left=0.5, right=0.1 + room, top=0.26 if title else 0.1, bottom=0.42 + below)
        figure, [axes] = panels(1, 1, height + below, width, margins)
        _computed(axes, lines)
        _published(axes, published)
        _limits(axes, lines, published)
        axes.set_xlabel("Pressure (GPa)")
        axes.set_ylabel(symbols("Tc (K)"), parse_math=True)
        handles, labels = axes.get_legend_handles_labels()
        ours = sorted(range(len(labels)), key=lambda place: labels[place] in named)
        legend = ([handles[place] for place in ours], [labels[place] for place in ours])
        if published and not given_axes(1):
            corner = (1.02, 1.0) if beside else (0.0, -0.42 / (height - margins.top - 0.42) - 0.02)
            axes.legend(
                *legend, loc="upper left", bbox_to_anchor=corner, borderaxespad=0.0, fontsize=6.5, labelspacing=0.6
            )
        elif labels:
            axes.legend(*legend, loc="best")
        if title:
            axes.text(0.0, 1.02, title, transform=axes.transAxes, ha="left", va="bottom")
    return figure


def _computed(axes: Axes, lines: Sequence[TcLine]) -> None:
    """Draw computed values with their errors, those of several lines at one pressure side by side."""
    from megabar.analysis.figures.looks import MARKERS
    from megabar.analysis.figures.style import PALETTE

    at = [value for line in lines for value in line.at]
    apart = 0.012 * ((max(at) - min(at)) or 10.0) if at else 0.0
    for number, line in enumerate(lines):
        errors = [each or 0.0 for each in line.error_K] if any(line.error_K) else None
        aside = (number - (len(lines) - 1) / 2) * apart if errors is not None else 0.0
        axes.errorbar(
            [value + aside for value in line.at], line.tc_K, errors, marker=MARKERS[number % len(MARKERS)], ls="none",
            markersize=4.5, color=PALETTE[number % len(PALETTE)], capsize=2, elinewidth=0.9, label=line.label,
        )  # fmt: skip


def _limits(axes: Axes, lines: Sequence[TcLine], published: Sequence[PublishedTc]) -> None:
    """Show Tc from 0, or from where it matters, and room around the outermost pressures, also around a single one."""
    values = [*(value for line in lines for value in line.tc_K), *(each.tc_K for each in published)]
    at = [*(value for line in lines for value in line.at), *(each.pressure_GPa for each in published)]
    if not at:
        return
    reach = [value + (error or 0.0) for line in lines for value, error in zip(line.tc_K, line.error_K, strict=False)]
    highest = max([*values, *reach]) or 1.0
    errors = [value - (error or 0.0) for line in lines for value, error in zip(line.tc_K, line.error_K, strict=False)]
    lowest = max(0.0, min([*values, *errors]))
    bottom = lowest - 0.5 * (highest - lowest) if lowest > 0.5 * highest else 0.0
    if min(values) < 0.04 * highest:
        bottom = -0.04 * highest  # a marker at 0 is seen whole
    axes.set_ylim(bottom, highest + 0.08 * (highest - bottom))
    beside = 0.08 * (max(at) - min(at)) or 5.0
    axes.set_xlim(min(at) - beside, max(at) + beside)


def _source(each: PublishedTc) -> str:
    """Return the source as it stands beside the curve: without its DOI, in short lines."""
    how = "measured" if each.measured else "not measured"
    return fill(f"{_DOI.sub('', each.source)} ({how})", SOURCE_WIDTH)


def _published(axes: Axes, published: Sequence[PublishedTc]) -> None:
    """Draw published values, one symbol a source: black and filled if measured, open if calculated."""
    from megabar.analysis.figures.style import INK, PAPER

    symbols = {True: "*^vP", False: "oDsp"}
    for measured in (True, False):
        sources = dict.fromkeys(each.source for each in published if each.measured == measured)
        for number, source in enumerate(sources):
            own = [each for each in published if each.measured == measured and each.source == source]
            axes.plot(
                [each.pressure_GPa for each in own],
                [each.tc_K for each in own],
                marker=symbols[measured][number % 4],
                markersize=8 if measured and number % 4 == 0 else 5,
                color=INK if measured else "#666667",
                mfc=INK if measured else PAPER,
                linestyle="none",
                label=_source(own[0]),
            )


def _curve(axes: Axes, line: TcLine, values: Sequence[float], color: str, marker: str, label: str) -> None:
    from megabar.analysis.figures.style import PAPER

    axes.plot(line.at, values, marker=marker, markersize=4, color=color, mfc=PAPER, label=label)
    if line.chosen is not None:
        axes.plot([line.at[line.chosen]], [values[line.chosen]], marker=marker, markersize=5.5, color=color)


def _spread(axes: Axes, at: Sequence[float], values: Sequence[float], judged: tuple[float, float]) -> None:
    """Shade the smearings that the choice is judged by, and the range of the values in them."""
    low, high = judged
    inside = [value for each, value in zip(at, values, strict=False) if low - 1e-9 <= each <= high + 1e-9]
    if len(inside) < 2:
        return
    axes.fill_between([low, high], min(inside), max(inside), color="#b9bec6", alpha=0.5, linewidth=0, zorder=0)
    middle = (max(inside) + min(inside)) / 2
    spread = (max(inside) - min(inside)) / middle if middle else 0.0
    axes.text(1, 1.02, f"shaded: ± {spread / 2:.1%}", transform=axes.transAxes, ha="right", va="bottom", fontsize=7)
