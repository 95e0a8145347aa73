"""Enthalpy differences against pressure, with uncertainty bands, computed volumes and transitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.analysis.curve import Array, Curve
from megabar.analysis.figures.differences import (
    Break,
    Difference,
    compound_differences,
    polymorph_differences,
    shared_range,
)
from megabar.analysis.figures.labels import Label, place_labels
from megabar.analysis.figures.looks import Look, handle
from megabar.analysis.figures.selection import Choice
from megabar.analysis.figures.style import (
    FAINT,
    INK,
    Margins,
    given_axes,
    is_element,
    named,
    new_figure,
    page_panels,
    pretty_formula,
    shortened,
    widest_in,
)
from megabar.analysis.figures.transition_marks import ROOM_IN, Mark, draw_marks, inside
from megabar.analysis.stability import Stability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_meV = 100.0
"""Phases further than this above what they are compared with leave the panel at its upper edge."""
SHORT = 0.12
"""A phase known over a smaller share of a panel than this has a panel of its own range too."""
MOST_ZOOMS = 2
MOST_SYMBOLS = 16
"""Computed points of one line that are drawn; of more, as in tables, every so-many-th only tells the lines apart."""
LONGEST_NAME = 24
"""Characters of a phase's name in a panel that the user has not named; of a longer one the middle is left out."""
RELATIVE = "ΔH relative to "
_PANEL_IN, _TOP_IN, _LEFT_IN = 2.2, 0.24, 0.56
_FRAME_IN = _PANEL_IN - _TOP_IN - Margins.bottom
_BEYOND_IN, _LINE_IN = 0.2, 0.12
"""How far the name of an axis may reach beyond either end of it, and the height of a line of it (inches)."""
Limits = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Panel:
    """What one panel shows: ΔH of phases between pressures (GPa), transitions, and breaks of what is compared with."""

    gid: str
    title: str
    ylabel: str
    limits_GPa: Limits
    differences: Sequence[Difference]
    names: Mapping[str, str]
    marks: Sequence[Mark]
    breaks: Sequence[Break]


def polymorph_panels(
    shown: Mapping[str, Choice], stability: Stability | None, limits_GPa: Limits, labels: Mapping[str, str]
) -> list[Panel]:
    """Return a panel for each formula with several phases, and more for phases that are known in a small part of it.

    A panel reaches over the pressures at which at least two of its phases are known.
    """
    found = []
    for formula, choice in shown.items():
        group = choice.shown
        limits = shared_range(group, limits_GPa)
        found.append(_polymorphs(f"polymorphs-{formula}", group, formula, stability, limits, labels))
        for number, zoom in enumerate(_zooms(group, limits)):
            near = [curve for curve in group if curve.from_GPa < zoom[1] and curve.to_GPa > zoom[0]]
            if len(near) > 1:
                gid = f"polymorphs-{formula}-{number + 1}"
                found.append(_polymorphs(gid, near, formula, stability, zoom, labels))
    return found


def _polymorphs(
    gid: str,
    group: Sequence[Curve],
    formula: str,
    stability: Stability | None,
    limits: Limits,
    labels: Mapping[str, str],
) -> Panel:
    found = polymorph_differences(group, limits)
    names = _names(group, formula, labels)
    own = set(names)
    marks = [
        Mark.of(t)
        for t in (stability.transitions if stability else ())
        if t.reaction.polymorphic and own.issuperset(t.reaction.phases)
    ]
    against = f"{RELATIVE}{names[found.reference]}" if found.reference else "ΔH above the stable phase"
    part = f", {limits[0]:.3g} to {limits[1]:.3g} GPa" if gid != f"polymorphs-{formula}" else ""
    return Panel(
        gid,
        f"{pretty_formula(formula)}{part}",
        f"{against} (meV/atom)",
        limits,
        found.differences,
        names,
        marks,
        found.breaks,
    )


def _names(group: Sequence[Curve], formula: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Return what phases are called in a panel; long names are shortened where they differ all the same."""
    whole = {curve.phase: named(curve.phase, formula, labels, short=True) for curve in group}
    short = {phase: name if phase in labels else shortened(name, LONGEST_NAME) for phase, name in whole.items()}
    return short if len(set(short.values())) == len(set(whole.values())) else whole


def _zooms(group: Sequence[Curve], limits: Limits) -> list[Limits]:
    """Return the ranges (GPa) of phases that are known in a small part of some limits, joined where they overlap."""
    low, high = limits
    short = []
    for curve in group:
        start, end = max(low, curve.from_GPa), min(high, curve.to_GPa)
        if 0 < end - start < SHORT * (high - low):
            beside = 0.25 * (end - start)
            short.append((max(low, start - beside), min(high, end + beside)))
    joined: list[Limits] = []
    for start, end in sorted(short):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined[:MOST_ZOOMS]


def compound_panels(
    curves: Sequence[Curve],
    shown: Sequence[Curve],
    stability: Stability,
    limits_GPa: Limits,
    labels: Mapping[str, str],
) -> list[Panel]:
    """Return the formation and, where it differs, the decomposition enthalpy of compounds against pressure."""
    phases = [curve.phase for curve in shown if not is_element(curve.formula)]
    if not phases:
        return []
    known = [curve for curve in shown if curve.phase in phases]
    low = min(max(limits_GPa[0], curve.from_GPa) for curve in known)
    high = max(min(limits_GPa[1], curve.to_GPa) for curve in known)
    limits = (low, high) if high - low > 1e-3 * (limits_GPa[1] - limits_GPa[0]) else limits_GPa
    found = compound_differences(curves, limits, phases)
    pairs = zip(found.formation, found.decomposition, strict=True)
    same = all(np.allclose(a.delta_meV, b.delta_meV, atol=1e-3, equal_nan=True) for a, b in pairs)
    names = {each.phase: named(each.phase, each.formula, labels) for each in found.formation}
    marks = _ends_of_compounds(stability, set(phases))
    panels = [
        Panel(
            "formation", "relative to the elements", "Formation enthalpy (meV/atom)",
            limits, found.formation, names, marks, found.formation_breaks,
        )
    ]  # fmt: skip
    if not same:
        panels.append(
            Panel(
                "decomposition", "relative to all other compositions", "Decomposition enthalpy (meV/atom)",
                limits, found.decomposition, names, marks, found.decomposition_breaks,
            )
        )  # fmt: skip
    return panels


def _ends_of_compounds(stability: Stability, phases: set[str]) -> list[Mark]:
    """Return the transitions at which one of some phases becomes stable or ceases to be."""
    return [
        Mark.of(transition)
        for transition in stability.transitions
        if phases.intersection(transition.appears + transition.disappears)
    ]


def enthalpy_figure(panels: Sequence[Panel], look: Mapping[str, Look]) -> Figure:
    """Return the panels beside and below one another."""
    above = [ROOM_IN if inside(panel.marks, panel.limits_GPa) else 0.0 for panel in panels]
    given, most = given_axes(len(panels)), 3 if len(panels) in (3, 9) else 2
    heights = [ax.bbox.height / ax.figure.dpi for ax in given] or [_FRAME_IN] * len(panels)
    names = [axis_name(panel.ylabel, height) for panel, height in zip(panels, heights, strict=True)]
    left = _LEFT_IN + (_LINE_IN if any("\n" in name for name in names) else 0.0)
    figure, axes = page_panels(len(panels), _PANEL_IN, Margins(left=left, top=_TOP_IN), most, above)
    for ax, panel, name in zip(axes, panels, names, strict=True):
        ax.set_ylabel(name)
        _draw(ax, panel, look)
        _title(ax, panel.title)
    return figure


def axis_name(text: str, height_in: float) -> str:
    """Return the name of a vertical axis that is so high: its unit on a line of its own where it would be too long.

    Where that does not help, the middle of the phase that it names is left out.
    """
    canvas, room = new_figure(1, 1), height_in + 2 * _BEYOND_IN
    head, bracket, unit = text.rpartition(" (")
    if widest_in(canvas, [text], 8.0) <= room:
        return text
    phase = head.removeprefix(RELATIVE)
    fitting = (
        short
        for most in range(len(phase), 2, -1)
        if widest_in(canvas, [short := head.replace(phase, shortened(phase, most))], 8.0) <= room
    )
    return f"{next(fitting, head)}\n{bracket.strip()}{unit}"


def _title(ax: Axes, text: str) -> None:
    """Write a heading above the panel, over the numbers of transitions where it would stand among them."""
    figure: Any = ax.figure
    renderer = figure.canvas.get_renderer()
    numbers = [each.get_window_extent(renderer) for each in ax.texts if each.get_rotation() == 90]
    for pad in (4.0, 4.0 + 72 * ROOM_IN):
        ax.set_title(text, loc="left", pad=pad, fontweight="bold")
        own = ax._left_title.get_window_extent(renderer)  # type: ignore[attr-defined]
        if not any(own.overlaps(each) for each in numbers):
            return


def _draw(ax: Axes, panel: Panel, look: Mapping[str, Look]) -> None:
    ax.set_gid(panel.gid)
    ax.axhline(0.0, color=FAINT, lw=0.8, zorder=0.5)
    ax.set_xlim(*panel.limits_GPa)
    ax.set_ylim(*_limits(panel.differences))
    ax.set_xlabel("Pressure (GPa)")
    for each in panel.differences:
        style, p = look[each.phase], each.pressure_GPa
        ax.plot(p, each.delta_meV, color=style.color, ls=style.line, label=each.phase)
        low, high = each.delta_meV - each.sigma_meV, each.delta_meV + each.sigma_meV
        ax.fill_between(p, low, high, color=style.color, alpha=0.18, lw=0)
        at = each.computed_GPa[:: max(1, -(-len(each.computed_GPa) // MOST_SYMBOLS))]
        ax.plot(at, each.at(at), style.marker, color=style.color, mew=0, ls="none", zorder=3)
    for each_break in panel.breaks:
        ax.axvline(each_break.pressure_GPa, color=FAINT, lw=0.8, ls=(0, (1, 1.5)), zorder=0.6, label="_data-end")
    busy = draw_marks(ax, panel.marks)
    _write_names(ax, panel, look, busy)


def _limits(found: Sequence[Difference]) -> tuple[float, float]:
    """Return what a panel shows of ΔH (meV/atom): all that is below zero, and above it what competes."""
    values = np.concatenate([each.delta_meV for each in found])
    values = values[np.isfinite(values)]
    if not len(values):
        return -10.0, 10.0
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    nearest = max(float(np.nanmin(each.delta_meV)) for each in found if np.isfinite(each.delta_meV).any())
    high = min(high, max(MOST_meV, 0.6 * -low, nearest + 40.0))
    margin = 0.08 * max(high - low, 4.0)
    return low - margin, high + 1.6 * margin


def _write_names(ax: Axes, panel: Panel, look: Mapping[str, Look], busy: Sequence[Array]) -> None:
    """Write the phases' names beside their curves, and a legend for those that find no room."""
    low, high = ax.get_ylim()
    lines = [np.column_stack([each.pressure_GPa, each.delta_meV]) for each in panel.differences]
    labels = []
    for each in panel.differences:
        known = np.isfinite(each.delta_meV) & (each.delta_meV > low) & (each.delta_meV < high)
        places = np.column_stack([each.pressure_GPa, each.delta_meV])[known]
        if len(places):
            labels.append(Label.along(panel.names[each.phase], look[each.phase].color, places))
    zero = np.array([[ax.get_xlim()[0], 0.0], [ax.get_xlim()[1], 0.0]])
    left = place_labels(ax, labels, [*lines, zero, *busy])
    if left:
        texts = {label.text for label in left}
        without = [each.phase for each in panel.differences if panel.names[each.phase] in texts]
        handles = [handle(look[phase], panel.names[phase]) for phase in without]
        ax.legend(handles=handles, loc="best", labelcolor=INK, fontsize=6.5, handlelength=2.4)
