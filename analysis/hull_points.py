"""The hull at pressures that no range contains: tables at one pressure, and phases that share only single pressures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from megabar.analysis.curve import Array, Curve
from megabar.analysis.hull import compositions, hulls_at
from megabar.analysis.hull_events import SAME_GPa

_APART_GPa = 10 * SAME_GPa


@dataclass(frozen=True)
class HullPoint:
    """The hull at one pressure: stable phases, and formation enthalpy and height above the hull (eV/atom) by phase."""

    pressure_GPa: float
    stable: tuple[str, ...]
    formation_eV: dict[str, float]
    above_eV: dict[str, float]


def single_pressures(curves: Sequence[Curve]) -> list[float]:
    """Return the pressures (GPa) at which every element has a phase, but that stability over ranges leaves out.

    No range of pressure about them has phases of all elements, or a phase is known there alone.
    """
    entries = compositions([curve.formula for curve in curves])
    alone = {curve.from_GPa for curve in curves if curve.from_GPa == curve.to_GPa}
    ends = sorted(alone | {curve.from_GPa for curve in curves} | {curve.to_GPa for curve in curves})
    pure = [np.flatnonzero(entries.fractions[:, column] == 1).tolist() for column in range(len(entries.elements))]

    def complete(low: float, high: float) -> bool:
        return all(any(curves[i].from_GPa <= low and curves[i].to_GPa >= high for i in phases) for phases in pure)

    found: list[float] = []
    for at in ends:
        inside = complete(at, at + _APART_GPa) or complete(at - _APART_GPa, at)
        if complete(at, at) and (at in alone or not inside):
            found.append(at)
    return found


def hull_points(curves: Sequence[Curve], pressures_GPa: Sequence[float] | Array) -> list[HullPoint]:
    """Return the hull at each of some pressures (GPa)."""
    found = []
    for hull in hulls_at(curves, pressures_GPa):
        known = np.flatnonzero(np.isfinite(hull.above_eV)).tolist()
        found.append(
            HullPoint(
                hull.pressure_GPa,
                tuple(curves[i].phase for i in known if hull.vertex[i]),
                {curves[i].phase: float(hull.formation_eV[i]) for i in known},
                {curves[i].phase: float(hull.above_eV[i]) for i in known},
            )
        )
    return found
