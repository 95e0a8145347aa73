"""Enthalpy curves from a table that somebody else computed: read, converted and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from megabar.analysis.tables.checks import check_differences, check_enthalpies
from megabar.analysis.tables.curve import TabulatedCurve
from megabar.analysis.tables.points import Points, points_of
from megabar.analysis.tables.rows import read_rows
from megabar.analysis.tables.system import are_differences, check_compounds

LEAST_TIE_eV = 1e-6
"""Enthalpies closer than this (eV/atom) are the same, however many digits are written."""
TELLING_POINTS = 3
INTERPOLATION = (
    "H(P) is smooth between the points of the table: a cubic spline in (P + c)^q, in which a solid is nearly straight, "
    "concave where the points are; no phase takes part beyond its points"
)
AT_ONE_PRESSURE = "All points are at one pressure: nothing is interpolated"
DIFFERENCES = (
    "every element is zero at all pressures: the enthalpies are taken as differences (formation enthalpies, or "
    "relative to a phase), whose slope is no volume, so that less of them can be checked"
)


@dataclass(frozen=True)
class Table:
    """The curves of a table, in the order in which their phases first appear.

    differences: elements are zero at all pressures. given: uncertainties are given. tie_eV: enthalpies closer than this
    (eV/atom) are the same as written. notes: what was done to the numbers, and what is unusual in them.
    """

    path: Path
    curves: tuple[TabulatedCurve, ...]
    differences: bool
    given: bool
    tie_eV: float
    notes: tuple[str, ...]

    @property
    def interpolation(self) -> str:
        """How the enthalpies between the points are had, in a sentence without its full stop."""
        return INTERPOLATION if len(self.pressures_GPa) > 1 else AT_ONE_PRESSURE

    @property
    def pressures_GPa(self) -> list[float]:
        """All pressures of the table (GPa), increasing."""
        return sorted({float(pressure) for curve in self.curves for pressure in curve.pressures_GPa})


def read_table(path: str | Path) -> Table:
    """Read enthalpy curves from a table: CSV, or with semicolons or tabs.

    Columns ``phase,formula,pressure_GPa,enthalpy_eV_per_atom`` and, where known, ``uncertainty_eV_per_atom`` (an
    empty cell: not known), or the same in units that their names say (`megabar.analysis.tables.columns`); further
    columns are left aside; lines that begin with ``#`` are comments. Raises InputError, with file and line, for
    anything that cannot be meant or cannot be right.
    """
    path = Path(path)
    rows, notes = read_rows(path)
    points = points_of(path, rows)
    differences = are_differences(points)
    notes += [DIFFERENCES] if differences else []
    check = check_differences if differences else check_enthalpies
    checked = []
    for each in points:
        found, said = check(path, each)
        checked.append(found)
        notes += said
    curves = tuple(
        TabulatedCurve(each.phase, each.formula, each.pressures, each.enthalpies, each.uncertainties)
        for each in checked
    )
    check_compounds(path, checked, curves, differences)
    given = any(bool(np.isfinite(each.uncertainties).any()) for each in points)
    return Table(path, curves, differences, given, _tie_eV(points), tuple(notes))


def _tie_eV(points: Sequence[Points]) -> float:
    """Return how close enthalpies (eV/atom) are the same as written.

    The digits of a phase are told by several points, as zeros at the end may not be written; where no phase has so
    many, the finest number tells them.
    """
    told = [each.rounding_eV for each in points if each.rounding_eV and len(each.pressures) >= TELLING_POINTS]
    every = [each.rounding_eV for each in points if each.rounding_eV]
    return max(LEAST_TIE_eV, 2 * (max(told) if told else min(every, default=0.0)))


def read_curves(path: str | Path) -> list[TabulatedCurve]:
    """Return the curves of a table (see `read_table`)."""
    return list(read_table(path).curves)


__all__ = ["Table", "TabulatedCurve", "read_curves", "read_table"]
