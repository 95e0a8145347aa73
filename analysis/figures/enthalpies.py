"""Enthalpy differences against pressure, with uncertainty bands, computed volumes and transitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from megabar.analysis.curve import Curve
from megabar.analysis.figures.differences import Difference, compound_differences, polymorph_differences
from megabar.analysis.figures.labels import Label, mark_pressures, place_labels
from megabar.analysis.figures.style import (
    FAINT,
    INK,
    Look,
    Margins,
    is_element,
    page_panels,
    pretty_formula,
    pretty_phase,
    short_name,
)
from megabar.analysis.stability import Stability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_meV = 250.0
"""Phases further than this above what they are compared with leave the panel at its upper edge."""
_PANEL_IN = 2.75
_MARGINS = Margins(top=0.56)
"""Room above the panels for the numbers of the transitions."""


def polymorph_figure(
    curves: Sequence[Curve],
    stability: Stability | None,
    look: Mapping[str, Look],
    limits_GPa: tuple[float, float],
) -> Figure | None:
    """Return ΔH(P) of the phases of each formula that has several, None where none has."""
    groups: dict[str, list[Curve]] = {}
    for curve in curves:
        groups.setdefault(curve.formula, []).append(curve)
    several = {formula: group for formula, group in groups.items() if len(group) > 1}
    if not several:
        return None
    figure, axes = page_panels(len(several), _PANEL_IN, _MARGINS)
    for ax, (formula, group) in zip(axes, several.items(), strict=True):
        reference, found = polymorph_differences(group, limits_GPa)
        against = f"relative to {short_name(reference, formula)}" if reference else "above the stable phase"
        ax.set_ylabel(f"ΔH {against} (meV/atom)")
        _title(ax, pretty_formula(formula))
        names = {curve.phase: short_name(curve.phase, formula) for curve in group}
        own = set(names)
        marks = [
            (t.pressure_GPa, t.error_GPa)
            for t in (stability.transitions if stability else ())
            if t.reaction.polymorphic and own.issuperset(t.reaction.phases)
        ]
        _draw(ax, found, look, limits_GPa, marks)
        ax.set_gid(f"polymorphs-{formula}")
        _finish(ax, found, names, look)
    return figure


def compound_figure(
    curves: Sequence[Curve], stability: Stability, look: Mapping[str, Look], limits_GPa: tuple[float, float]
) -> Figure | None:
    """Return the formation and, where it differs, the decomposition enthalpy of each compound against pressure."""
    if all(is_element(curve.formula) for curve in curves):
        return None
    formation, decomposition = compound_differences(curves, limits_GPa)
    pairs = zip(formation, decomposition, strict=True)
    same = all(np.allclose(a.delta_meV, b.delta_meV, atol=1e-3, equal_nan=True) for a, b in pairs)
    several_phases = len({each.phase for each in formation}) > len({each.formula for each in formation})
    names = {
        each.phase: pretty_phase(each.phase, each.formula) if several_phases else pretty_formula(each.formula)
        for each in formation
    }
    shown = [("relative to the elements", "Formation enthalpy", formation)]
    if not same:
        shown.append(("relative to all other compositions", "Decomposition enthalpy", decomposition))
    figure, axes = page_panels(len(shown), _PANEL_IN, _MARGINS)
    for ax, (title, name, found) in zip(axes, shown, strict=True):
        ax.set_ylabel(f"{name} (meV/atom)")
        _title(ax, title)
        _draw(ax, found, look, limits_GPa, _ends_of_compounds(stability))
        ax.set_gid(name.split()[0].lower())
        _finish(ax, found, names, look)
    return figure


def _ends_of_compounds(stability: Stability) -> list[tuple[float, float | None]]:
    compounds = {curve.phase for curve in stability.curves if not is_element(curve.formula)}
    return [
        (transition.pressure_GPa, transition.error_GPa)
        for transition in stability.transitions
        if compounds.intersection(transition.appears + transition.disappears)
    ]


def _title(ax: Axes, text: str) -> None:
    # The numbers of the transitions stand between title and panel.
    ax.set_title(text, loc="left", pad=27, fontweight="bold")


def _draw(
    ax: Axes,
    found: Sequence[Difference],
    look: Mapping[str, Look],
    limits_GPa: tuple[float, float],
    marks: Sequence[tuple[float, float | None]],
) -> None:
    ax.axhline(0.0, color=FAINT, lw=0.8, zorder=0.5)
    for each in found:
        style, p = look[each.phase], each.pressure_GPa
        ax.plot(p, each.delta_meV, color=style.color, ls=style.line, label=each.phase)
        low, high = each.delta_meV - each.sigma_meV, each.delta_meV + each.sigma_meV
        ax.fill_between(p, low, high, color=style.color, alpha=0.18, lw=0)
        ax.plot(
            each.computed_GPa, each.at(each.computed_GPa), style.marker, color=style.color, mew=0, ls="none", zorder=3
        )
    ax.set_xlim(*limits_GPa)
    ax.set_ylim(*_limits(found))
    ax.set_xlabel("Pressure (GPa)")
    mark_pressures(ax, marks)


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
    return low - margin, high + margin


def _finish(ax: Axes, found: Sequence[Difference], names: Mapping[str, str], look: Mapping[str, Look]) -> None:
    """Write the phases' names beside their curves, and a legend for those that find no room."""
    low, high = ax.get_ylim()
    lines = [np.column_stack([each.pressure_GPa, each.delta_meV]) for each in found]
    labels = []
    for each in found:
        known = np.isfinite(each.delta_meV) & (each.delta_meV > low) & (each.delta_meV < high)
        places = np.column_stack([each.pressure_GPa, each.delta_meV])[known]
        if len(places):
            labels.append(Label.along(names[each.phase], look[each.phase].color, places))
    zero = np.array([[ax.get_xlim()[0], 0.0], [ax.get_xlim()[1], 0.0]])
    verticals = [np.array([[x, low], [x, high]]) for x in _vertical_lines(ax)]
    left = place_labels(ax, labels, [*lines, zero, *verticals])
    if left:
        texts = {label.text for label in left}
        handles = [line for line in ax.lines if names.get(str(line.get_label())) in texts]
        ax.legend(handles, [names[str(line.get_label())] for line in handles], loc="best", labelcolor=INK)


def _vertical_lines(ax: Axes) -> list[float]:
    found = [np.asarray(line.get_xdata(), float) for line in ax.lines if len(np.asarray(line.get_xdata())) == 2]
    return [float(x[0]) for x in found if x[0] == x[1]]
