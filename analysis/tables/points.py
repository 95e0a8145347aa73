"""The points of a phase in a table, put together from its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from megabar.analysis.curve import Array
from megabar.analysis.tables.rows import Row
from megabar.structures.composition import parse_formula
from megabar.structures.errors import InputError


@dataclass(frozen=True, eq=False)
class Points:
    """A phase as it is written: n pressures (GPa, increasing), enthalpies and uncertainties (eV/atom).

    counts: atoms of the reduced formula. rounding_eV: half a unit of the last digit of the enthalpies, 0 where all are
    zero: what others are relative to is exact however few digits it has. lines: in the file, shape (n,).
    """

    phase: str
    formula: str
    counts: Mapping[str, int]
    pressures: Array
    enthalpies: Array
    uncertainties: Array
    rounding_eV: float
    lines: tuple[int, ...]

    @property
    def written(self) -> int:
        """Atoms of the formula as it is written."""
        return sum(parse_formula(self.formula).values())


def points_of(path: Path, rows: Sequence[Row]) -> list[Points]:
    """Return the points of each phase, in the order in which the phases first appear.

    Raises InputError for a phase with two formulas or twice at a pressure, and an element without a phase.
    """
    by_phase: dict[str, list[Row]] = {}
    for row in rows:
        by_phase.setdefault(row.phase, []).append(row)
    found = [_points(path, group) for group in by_phase.values()]
    _check_elements(path, rows)
    return found


def _points(path: Path, rows: Sequence[Row]) -> Points:
    first = rows[0]
    for row in rows:
        if row.counts != first.counts:
            raise InputError(
                f"{path}: line {row.line}: phase {row.phase} has the formula {row.formula}, "
                f"but {first.formula} in line {first.line}; a phase has one formula"
            )
    rows = sorted(rows, key=lambda row: row.pressure)
    for one, other in pairwise(rows):
        if one.pressure == other.pressure:
            raise InputError(
                f"{path}: line {max(one.line, other.line)}: phase {first.phase} already has "
                f"{one.pressure:g} GPa in line {min(one.line, other.line)}"
            )
    pressures, enthalpies, uncertainties = np.array([(r.pressure, r.enthalpy, r.uncertainty) for r in rows], float).T
    # A cell that happens to end in zeros that were not written says nothing of the others.
    rounding = float(np.median([row.rounding for row in rows if row.enthalpy] or [0.0]))
    lines = tuple(row.line for row in rows)
    return Points(first.phase, first.formula, first.counts, pressures, enthalpies, uncertainties, rounding, lines)


def _check_elements(path: Path, rows: Sequence[Row]) -> None:
    """Formation enthalpies need at least one phase of each pure element."""
    pure = {symbol for row in rows if len(row.counts) == 1 for symbol in row.counts}
    for row in rows:
        for symbol in row.counts:
            if symbol not in pure:
                raise InputError(
                    f"{path}: line {row.line}: {row.formula} contains {symbol}, but no phase of pure {symbol} "
                    "is in the file; a hull needs at least one phase of each element"
                )
