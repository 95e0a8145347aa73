"""Enthalpy curves from a table that somebody else computed."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache
from itertools import pairwise
from math import isfinite
from pathlib import Path

import numpy as np
from ase.units import GPa
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.curve import Array
from megabar.analysis.interpolation import Interpolant, interpolate
from megabar.structures.composition import parse_formula, reduced
from megabar.structures.errors import InputError

REQUIRED = ("phase", "formula", "pressure_GPa", "enthalpy_eV_per_atom")
OPTIONAL = "uncertainty_eV_per_atom"


@dataclass(frozen=True, eq=False)
class TabulatedCurve:
    """A phase known by its enthalpy at some pressures (a `Curve`); smooth between them, nothing beyond them.

    pressures_GPa: increasing, shape (n,). enthalpies_eV, uncertainties_eV: per atom, shape (n,); nan where the
    uncertainty is not known. With a single point the volume is not known (nan).
    """

    phase: str
    formula: str
    pressures_GPa: Array
    enthalpies_eV: Array
    uncertainties_eV: Array

    @property
    def from_GPa(self) -> float:
        """Lowest pressure of the table (GPa)."""
        return float(self.pressures_GPa[0])

    @property
    def to_GPa(self) -> float:
        """Highest pressure of the table (GPa)."""
        return float(self.pressures_GPa[-1])

    def enthalpy(self, pressure_GPa: ArrayLike) -> Array:
        """Enthalpy (eV/atom); nan outside the table."""
        pressure = np.asarray(pressure_GPa, float)
        if len(self.pressures_GPa) == 1:
            return np.where(self._known(pressure), self.enthalpies_eV[0], np.nan)
        return np.where(self._known(pressure), self._interpolant.value(self._clip(pressure)), np.nan)

    def volume(self, pressure_GPa: ArrayLike) -> Array:
        """Slope dH/dP (Å³/atom); nan outside the table and for a single point."""
        pressure = np.asarray(pressure_GPa, float)
        if len(self.pressures_GPa) == 1:
            return np.full(pressure.shape, np.nan)
        return np.where(self._known(pressure), self._interpolant.slope(self._clip(pressure)) / GPa, np.nan)

    def uncertainty(self, pressure_GPa: ArrayLike) -> Array:
        """Standard uncertainty of the enthalpy (eV/atom), linear between the points; nan where it is not known."""
        pressure = np.asarray(pressure_GPa, float)
        between = np.interp(pressure, self.pressures_GPa, self.uncertainties_eV)
        return np.where(self._known(pressure), between, np.nan)

    @cached_property
    def _interpolant(self) -> Interpolant:
        return interpolate(self.pressures_GPa, self.enthalpies_eV)

    def _known(self, pressure: Array) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = (pressure >= self.from_GPa) & (pressure <= self.to_GPa)
        return inside

    def _clip(self, pressure: Array) -> Array:
        return np.clip(pressure, self.from_GPa, self.to_GPa)


@dataclass(frozen=True)
class _Row:
    line: int
    phase: str
    formula: str
    counts: dict[str, int]
    pressure: float
    enthalpy: float
    uncertainty: float


def read_curves(path: str | Path) -> list[TabulatedCurve]:
    """Read enthalpy curves from a CSV, in the order in which their phases first appear.

    Columns ``phase,formula,pressure_GPa,enthalpy_eV_per_atom`` and, where known, ``uncertainty_eV_per_atom`` (an
    empty cell: not known); further columns are left aside; lines that begin with ``#`` are comments.
    Raises InputError, with file and line, for anything that cannot be meant.
    """
    path = Path(path)
    lines = _lines(path)
    if not lines:
        raise InputError(f"{path}: the file is empty; it needs the columns {','.join(REQUIRED)}")
    columns = _header(path, *lines[0])
    rows = [_row(path, number, cells, columns) for number, cells in lines[1:]]
    if not rows:
        raise InputError(f"{path}: no rows below the header; each row is a phase at a pressure")
    by_phase: dict[str, list[_Row]] = {}
    for row in rows:
        by_phase.setdefault(row.phase, []).append(row)
    curves = [_curve(path, group) for group in by_phase.values()]
    _check_elements(path, rows)
    return curves


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Return (line number, cells) of the lines that are neither empty nor comments."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            f"{path}: not a text file in UTF-8; give a CSV with the columns {','.join(REQUIRED)}"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip(" \t,") and not line.lstrip().startswith("#"):
            try:
                cells = next(csv.reader([line], skipinitialspace=True, strict=True))
            except csv.Error as error:
                raise InputError(f"{path}: line {number}: not a line of a CSV ({error})") from None
            found.append((number, [cell.strip() for cell in cells]))
    return found


def _header(path: Path, line: int, cells: list[str]) -> dict[str, int]:
    """Return the place of each known column."""
    known = {name.lower(): name for name in (*REQUIRED, OPTIONAL)}
    columns: dict[str, int] = {}
    for place, cell in enumerate(cells):
        name = known.get(cell.lower())
        if name in columns:
            raise InputError(f"{path}: line {line}: the column {name} appears twice")
        if name is not None:
            columns[name] = place
    for place, cell in enumerate(cells):
        near = get_close_matches(cell.lower(), [low for low, name in known.items() if name not in columns], 1, 0.7)
        if near and place not in columns.values():
            raise InputError(f"{path}: line {line}: unknown column {cell!r}; is {known[near[0]]} meant?")
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise InputError(
            f"{path}: line {line}: the column {missing[0]} is missing; "
            f"the first line must name {','.join(REQUIRED)} (found {','.join(cells)[:120]})"
        )
    return columns


@lru_cache(maxsize=4096)
def _counts(formula: str) -> dict[str, int]:
    """Return the atoms of the reduced formula; the same few formulas fill a table."""
    return reduced(parse_formula(formula))


def _row(path: Path, line: int, cells: list[str], columns: dict[str, int]) -> _Row:
    where = f"{path}: line {line}"
    width = max(columns.values()) + 1
    if len(cells) < width:
        raise InputError(f"{where}: {len(cells)} cells where the header has at least {width}")
    for name in ("phase", "formula"):
        if not cells[columns[name]]:
            raise InputError(f"{where}: the {name} is missing")
    formula = cells[columns["formula"]]
    try:
        counts = _counts(formula)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    pressure, enthalpy = (_number(where, name, cells[columns[name]]) for name in REQUIRED[2:])
    uncertainty = float("nan")
    if OPTIONAL in columns and cells[columns[OPTIONAL]]:
        uncertainty = _number(where, OPTIONAL, cells[columns[OPTIONAL]])
        if uncertainty < 0:
            raise InputError(f"{where}: {OPTIONAL} is {uncertainty:g}; an uncertainty is not negative")
    return _Row(line, cells[columns["phase"]], formula, counts, pressure, enthalpy, uncertainty)


def _number(where: str, name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise InputError(f"{where}: {name} is {text!r}; it must be a finite number (with a point, not a comma)")
    return number


def _curve(path: Path, rows: list[_Row]) -> TabulatedCurve:
    """Return the curve of the rows of one phase."""
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
    columns = np.array([(row.pressure, row.enthalpy, row.uncertainty) for row in rows], float).T
    return TabulatedCurve(first.phase, first.formula, *columns)


def _check_elements(path: Path, rows: list[_Row]) -> None:
    """Formation enthalpies need at least one phase of each pure element."""
    pure = {symbol for row in rows if len(row.counts) == 1 for symbol in row.counts}
    for row in rows:
        for symbol in row.counts:
            if symbol not in pure:
                raise InputError(
                    f"{path}: line {row.line}: {row.formula} contains {symbol}, but no phase of pure {symbol} "
                    "is in the file; a hull needs at least one phase of each element"
                )
