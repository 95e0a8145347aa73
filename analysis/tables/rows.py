"""The rows of a table of others, each a phase at a pressure, in GPa and eV per atom."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite, nan
from pathlib import Path

from megabar.analysis.tables.columns import WANTED, Column, Columns, count_known, read_header
from megabar.structures.composition import parse_formula, reduced
from megabar.structures.errors import InputError

SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas"}
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Row:
    """A phase at a pressure (GPa): enthalpy and its uncertainty (eV/atom, nan where not given), and where it stands.

    rounding: half a unit of the last digit of the enthalpy as it was written (eV/atom).
    """

    line: int
    phase: str
    formula: str
    counts: dict[str, int]
    pressure: float
    enthalpy: float
    uncertainty: float
    rounding: float


def read_rows(path: Path) -> tuple[list[Row], list[str]]:
    """Return the rows of a file, and what was done to their numbers.

    Raises InputError, with file and line, for anything that cannot be meant.
    """
    lines = _lines(path)
    if not lines:
        raise InputError(f"{path}: the file is empty; it needs the columns {WANTED}")
    separator = _separator(lines[0][1])
    split = [(number, _cells(path, number, line, separator)) for number, line in lines]
    header = split[0][1]
    columns = read_header(f"{path}: line {split[0][0]}", header)
    body = [(number, cells) for number, cells in split[1:] if any(cells)]
    if not body:
        raise InputError(f"{path}: no rows below the header; each row is a phase at a pressure")
    comma = _decimal_commas(path, body, columns, separator)
    rows = [_row(f"{path}: line {number}", number, cells, columns, len(header), comma) for number, cells in body]
    return rows, _notes(columns, comma)


def _lines(path: Path) -> list[tuple[int, str]]:
    """Return (line number, text) of the lines that are neither empty nor comments."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8; give a CSV with the columns {WANTED}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    return [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip(" \t,;") and not line.lstrip().startswith("#")
    ]


def _separator(header: str) -> str:
    """Return the separator by which most columns of the header are understood; a comma where none is."""
    return max(reversed(SEPARATORS), key=lambda each: count_known(header.split(each)))


def _cells(path: Path, number: int, line: str, separator: str) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=separator != "\t", strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: line {number}: not a line of a CSV ({error})") from None
    return [cell.strip() for cell in cells]


def _decimal_commas(path: Path, body: Sequence[tuple[int, list[str]]], columns: Columns, separator: str) -> bool:
    """Tell whether numbers have commas for points; InputError where they have both."""
    if separator == ",":
        return False
    comma, point = (0, ""), (0, "")
    for number, cells in body:
        for quantity in ("pressure", "enthalpy", "uncertainty"):
            if quantity in columns and columns[quantity].place < len(cells):
                text = cells[columns[quantity].place]
                comma = (number, text) if "," in text else comma
                point = (number, text) if "." in text else point
    if comma[0] and point[0]:
        raise InputError(
            f"{path}: line {comma[0]}: {comma[1]!r} has a comma and {point[1]!r} in line {point[0]} a point; "
            "write all numbers with points, and none for thousands"
        )
    return bool(comma[0])


@lru_cache(maxsize=4096)
def _atoms(formula: str) -> tuple[dict[str, int], int]:
    """Return the atoms of the reduced formula and the number as written; the same few formulas fill a table."""
    counts = parse_formula(formula)
    return reduced(counts), sum(counts.values())


def _row(where: str, line: int, cells: list[str], columns: Columns, most: int, comma: bool) -> Row:
    width = max(column.place for column in columns.values()) + 1
    if len(cells) < width:
        raise InputError(f"{where}: {len(cells)} cells where the header has at least {width}")
    if any(cells[most:]):
        raise InputError(
            f"{where}: {len(cells)} cells where the header has {most}; "
            "numbers with decimal commas need semicolons between the columns"
        )
    for name in ("phase", "formula"):
        if not cells[columns[name].place]:
            raise InputError(f"{where}: the {name} is missing")
    formula = cells[columns["formula"].place]
    try:
        counts, atoms = _atoms(formula)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None

    def number(column: Column) -> tuple[float, float]:
        value, rounding = _number(where, column.name, cells[column.place], comma)
        factor = column.factor / (atoms if column.per_formula else 1)
        return value * factor, rounding * factor

    pressure, (enthalpy, rounding) = number(columns["pressure"])[0], number(columns["enthalpy"])
    uncertainty, given = nan, columns.get("uncertainty")
    if given is not None and cells[given.place]:
        uncertainty = number(given)[0]
        if uncertainty < 0:
            raise InputError(f"{where}: {given.name} is {uncertainty:g}; an uncertainty is not negative")
    return Row(line, cells[columns["phase"].place], formula, counts, pressure, enthalpy, uncertainty, rounding)


def _number(where: str, name: str, text: str, comma: bool) -> tuple[float, float]:
    """Return a number and half a unit of its last digit as written."""
    plain = text.replace("−", "-")
    if comma and _DECIMAL_COMMA.fullmatch(plain):
        plain = plain.replace(",", ".")
    try:
        number = float(plain)
    except ValueError:
        number = nan
    if not isfinite(number):
        raise InputError(f"{where}: {name} is {text!r}; it must be a finite number (with a point, not a comma)")
    mantissa, _, exponent = plain.lower().partition("e")
    return number, 0.5 * 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def _notes(columns: Columns, comma: bool) -> list[str]:
    """Say what was done to the numbers of which column."""
    said = ["numbers are read with decimal commas"] if comma else []
    for quantity, column in columns.items():
        if not column.converted:
            continue
        unit = "GPa" if quantity == "pressure" else "eV"
        parts = [f"multiplied by {column.factor:.8g} to {unit}"] if column.factor != 1.0 else []
        parts += ["divided by the atoms of the formula as written"] if column.per_formula else []
        said.append(f"column {column.name}: {' and '.join(parts)}")
    return said
