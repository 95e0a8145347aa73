"""What a table says as a whole: enthalpies or differences of them, and compounds against their elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ase.units import GPa

from megabar.analysis.curve import Array
from megabar.analysis.tables.curve import TabulatedCurve
from megabar.analysis.tables.points import Points
from megabar.structures.composition import parse_formula
from megabar.structures.elements import elements_volume
from megabar.structures.errors import InputError

ZERO_eV = 1e-3
"""Elements are zero where their lowest phase is this near to it."""
MOST_eV = 5.0
"""Formation enthalpies (eV/atom) at low pressure are smaller: those of LaF3, CaF2 and ThO2 are -4.4, -4.2, -4.2."""
MOST_EXCESS = 1.6
"""Volume of a compound over that of its elements at the same pressure, in one table; dry ice has 1.1."""


def are_differences(points: Sequence[Points]) -> bool:
    """Whether every element is zero at all its pressures: its lowest phase, or one to which the others relate."""
    elements = dict.fromkeys(symbol for each in points for symbol in each.counts)
    return all(_is_zero([each for each in points if set(each.counts) == {element}]) for element in elements)


def _is_zero(phases: Sequence[Points]) -> bool:
    if any(len(each.pressures) > 1 and np.all(np.abs(each.enthalpies) < ZERO_eV) for each in phases):
        return True
    lowest: dict[float, float] = {}
    for each in phases:
        for pressure, enthalpy in zip(each.pressures.tolist(), each.enthalpies.tolist(), strict=True):
            lowest[pressure] = min(enthalpy, lowest.get(pressure, np.inf))
    return len(lowest) > 1 and all(abs(enthalpy) < ZERO_eV for enthalpy in lowest.values())


def check_compounds(path: Path, points: Sequence[Points], curves: Sequence[TabulatedCurve], differences: bool) -> None:
    """Refuse compounds that do not go with the elements of their own table: too large, or too far from them."""
    pure = {
        element: [curve for curve in curves if set(parse_formula(curve.formula)) == {element}]
        for element in dict.fromkeys(symbol for each in points for symbol in each.counts)
    }
    known: dict[tuple[str, bytes], Array] = {}
    for each, curve in zip(points, curves, strict=True):
        if len(each.counts) == 1:
            continue
        enthalpy, volume = _elements(each, pure, known)
        formation = each.enthalpies - enthalpy
        reach = MOST_eV + 0.5 * GPa * np.abs(each.pressures) * elements_volume(each.counts, each.pressures)
        beyond = np.flatnonzero(np.abs(formation) > reach)
        if len(beyond):
            _refuse(path, each, int(beyond[0]), f"a formation enthalpy of {formation[beyond[0]]:+.3g} eV/atom")
        ratio = np.array([]) if differences else curve.volume(each.pressures) / volume
        ratio = ratio[np.isfinite(ratio)]
        if len(ratio) and np.median(ratio) > MOST_EXCESS:
            _refuse(path, each, 0, f"{np.median(ratio):.3g} times the volume of its elements in this table")


def _elements(
    each: Points, pure: Mapping[str, Sequence[TabulatedCurve]], known: dict[tuple[str, bytes], Array]
) -> tuple[Array, Array]:
    """Return enthalpy (eV/atom) and volume (Å³/atom) of a compound's elements at its pressures; nan where unknown.

    known: what was found for other compounds at the same pressures.
    """
    total = sum(each.counts.values())
    found = np.zeros((2, len(each.pressures)))
    for element, count in each.counts.items():
        place = element, each.pressures.tobytes()
        if place not in known:
            known[place] = _lowest(pure[element], each.pressures)
        found += count / total * known[place]
    return found[0], found[1]


def _lowest(curves: Sequence[TabulatedCurve], pressures: Array) -> Array:
    """Return enthalpy and volume of the lowest phase at each pressure, shape (2, n)."""
    heights = np.array([curve.enthalpy(pressures) for curve in curves])
    lowest = np.where(np.isfinite(heights), heights, np.inf).argmin(axis=0)
    volumes = np.array([curve.volume(pressures) for curve in curves])
    columns = np.arange(len(pressures))
    return np.array([heights[lowest, columns], volumes[lowest, columns]])


def _refuse(path: Path, each: Points, at: int, what: str) -> None:
    per = f"per formula unit of {each.written} atoms (then name the column enthalpy_eV_per_fu)"
    raise InputError(
        f"{path}: line {each.lines[at]}: phase {each.phase} at {each.pressures[at]:g} GPa would have {what}, which no "
        f"compound has; its enthalpies look like those {per}, or not computed in the same way as the elements'"
    )
