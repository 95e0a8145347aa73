"""What a figure shows of many phases, and the sentence on what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from megabar.analysis.curve import Curve
from megabar.analysis.figures.style import pretty_formula
from megabar.analysis.stability import Stability

MOST_LISTED = 8


@dataclass(frozen=True)
class Choice:
    """Curves that are shown, in their own order, and those that are left out, the nearest first."""

    shown: tuple[Curve, ...]
    left_out: tuple[Curve, ...]


def nearness(curves: Sequence[Curve], stability: Stability | None) -> dict[str, float]:
    """Return how close each phase comes to the hull (meV/atom), by name; inf where that is nowhere known.

    Without a hull: to the lowest phase of its composition, at the middle of the pressures that it is known at.
    """
    if stability is not None:
        known = np.where(np.isfinite(stability.above_eV), stability.above_eV, np.inf)
        lowest = known.min(axis=0, initial=np.inf) if known.size else np.full(len(stability.curves), np.inf)
        found = {curve.phase: 1000 * float(each) for curve, each in zip(stability.curves, lowest, strict=True)}
        found |= {interval.phase: 0.0 for interval in stability.intervals}
        return {curve.phase: found.get(curve.phase, np.inf) for curve in curves}
    found = {}
    for group in by_formula(curves).values():
        middles = np.array([(curve.from_GPa + curve.to_GPa) / 2 for curve in group])
        enthalpy = np.array([curve.enthalpy(middles) for curve in group])
        above = np.diag(enthalpy) - np.nanmin(enthalpy, axis=0)
        found |= {curve.phase: 1000 * float(each) for curve, each in zip(group, above, strict=True)}
    return found


def by_formula(curves: Sequence[Curve]) -> dict[str, list[Curve]]:
    """Return curves by their formula, in the order in which it first comes."""
    groups: dict[str, list[Curve]] = {}
    for curve in curves:
        groups.setdefault(curve.formula, []).append(curve)
    return groups


def choose(curves: Sequence[Curve], near: Mapping[str, float], most: int) -> Choice:
    """Return so many of the curves that come nearest to the hull."""
    order = sorted(range(len(curves)), key=lambda i: (near.get(curves[i].phase, np.inf), i))
    kept = set(order[:most])
    shown = tuple(curve for i, curve in enumerate(curves) if i in kept)
    return Choice(shown, tuple(curves[i] for i in order[most:]))


def choose_formulas(
    groups: Mapping[str, Sequence[Curve]], near: Mapping[str, float], most: int, most_phases: int
) -> tuple[dict[str, Choice], list[str]]:
    """Return what is shown of so many formulas, those with the phases nearest to the hull, and the others' names."""

    def rank(formula: str) -> float:
        heights = sorted(near.get(curve.phase, np.inf) for curve in groups[formula])
        # Of several phases the second tells whether anything happens among them.
        return heights[min(1, len(heights) - 1)]

    kept = set(sorted(groups, key=rank)[:most])
    shown = {formula: choose(group, near, most_phases) for formula, group in groups.items() if formula in kept}
    return shown, [formula for formula in groups if formula not in kept]


def left_out(curves: Sequence[Curve], near: Mapping[str, float]) -> str:
    """Return the sentence on phases that are not shown; nothing where all are."""
    if not curves:
        return ""
    closest = min(near.get(curve.phase, np.inf) for curve in curves)
    count = f"{len(curves)} more phase{'s' if len(curves) > 1 else ''}"
    how = f", at least {closest:.3g} meV/atom above the hull at every pressure" if 0 < closest < np.inf else ""
    return f"Not shown: {count}{how}; see the tables."


def left_out_formulas(formulas: Sequence[str]) -> str:
    """Return the sentence on compositions that are not shown; nothing where all are."""
    if not formulas:
        return ""
    return f"Without a panel: {listed(formulas)}."


def listed(formulas: Sequence[str], most: int = MOST_LISTED) -> str:
    """Return formulas as text, of many the first and how many more."""
    text = ", ".join(pretty_formula(formula) for formula in formulas[:most])
    more = len(formulas) - most
    return f"{text} and {more} more" if more > 0 else text
