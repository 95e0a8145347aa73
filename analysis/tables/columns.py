"""The columns of a table: which quantity each holds, in which unit, and how it is converted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import scipy.constants
from ase import units

from megabar.structures.errors import InputError

WANTED = "phase,formula,pressure_GPa,enthalpy_eV_per_atom"
PRESSURES: dict[str, float] = {
    "GPa": 1.0,
    "TPa": 1e3,
    "MPa": 1e-3,
    "Pa": units.Pascal / units.GPa,
    "kbar": 1e3 * units.bar / units.GPa,
    "Mbar": 1e6 * units.bar / units.GPa,
    "bar": units.bar / units.GPa,
    "mbar": 1e-3 * units.bar / units.GPa,
    "atm": scipy.constants.atm / scipy.constants.giga,
}
"""Units of pressure, in GPa."""
ENERGIES: dict[str, float] = {
    "eV": 1.0,
    "meV": 1e-3,
    "Ry": units.Ry,
    "mRy": 1e-3 * units.Ry,
    "Ha": units.Ha,
    "mHa": 1e-3 * units.Ha,
    "kJ_per_mol": units.kJ / units.mol,
    "J_per_mol": 1e-3 * units.kJ / units.mol,
    "kcal_per_mol": units.kcal / units.mol,
}
"""Units of energy, in eV."""
_PER = re.compile(r"^(?P<unit>.+?)_(?:per_|of_)?(?P<what>atoms?|fu|formula_units?|formulas?)$", re.IGNORECASE)
_PLAIN = ("phase", "formula")
_MEASURED = ("pressure", "enthalpy", "uncertainty")
_OTHER_NAMES = {"p": "pressure", "h": "enthalpy"}
_LIKE = "pressure_kbar, enthalpy_Ry_per_atom, enthalpy_eV_per_fu or enthalpy_kJ_per_mol_atoms"


@dataclass(frozen=True)
class Column:
    """Where a quantity stands and what it is in: multiplied by factor it is in GPa or eV, per formula or per atom."""

    name: str
    place: int
    factor: float = 1.0
    per_formula: bool = False

    @property
    def converted(self) -> bool:
        """Whether its numbers are not taken as they are."""
        return self.factor != 1.0 or self.per_formula


Columns = Mapping[str, Column]


def read_header(where: str, cells: Sequence[str]) -> dict[str, Column]:
    """Return the columns of a header by quantity: phase, formula, pressure, enthalpy and, where given, uncertainty.

    Raises InputError for a unit that is not known, two columns of one quantity, and what is missing or misspelt.
    """
    columns: dict[str, Column] = {}
    refused: dict[str, InputError] = {}
    for place, cell in enumerate(cells):
        try:
            found = _column(where, cell, place)
        except InputError as error:
            refused.setdefault(_quantity(_plain_name(cell)), error)
            continue
        if found is None:
            continue
        quantity, column = found
        if quantity in columns:
            other = columns[quantity].name
            what = (
                f"the column {cell} appears twice" if other == cell else f"{other} and {cell} are both the {quantity}"
            )
            raise InputError(f"{where}: {what}; leave one of them")
        columns[quantity] = column
    for quantity, refusal in refused.items():
        if quantity not in columns:
            raise refusal
    _check_others(where, cells, columns)
    return columns


def count_known(cells: Sequence[str]) -> int:
    """Return how many cells of a line look like the name of a column that is read."""
    first = [re.split(r"[^a-z]", cell.strip().lower())[0] for cell in cells]
    return len({_OTHER_NAMES.get(each, each) for each in first} & {*_PLAIN, *_MEASURED})


def _column(where: str, cell: str, place: int) -> tuple[str, Column] | None:
    """Return the quantity and column of a cell of the header, None for a column that is left aside."""
    name = _plain_name(cell)
    if name.lower() in _PLAIN:
        return name.lower(), Column(cell, place)
    quantity, unit = _quantity(name), name.partition("_")[2]
    if quantity not in _MEASURED or (not unit and len(name) == 1):
        return None
    if quantity == "pressure":
        return quantity, Column(cell, place, _factor(where, cell, unit, PRESSURES))
    per = _PER.match(unit)
    if per is None:
        if not unit or _known_unit(unit, ENERGIES) is None:
            return quantity, Column(cell, place, _factor(where, cell, unit, ENERGIES, "_per_atom"))
        raise InputError(
            f"{where}: the column {cell} does not say whether it is per atom or per formula unit; "
            f"name it {quantity}_{unit}_per_atom or {quantity}_{unit}_per_fu"
        )
    factor = _factor(where, cell, per["unit"], ENERGIES, f"_per_{per['what']}")
    return quantity, Column(cell, place, factor, not per["what"].lower().startswith("atom"))


def _quantity(name: str) -> str:
    first = name.partition("_")[0].lower()
    return _OTHER_NAMES.get(first, first)


def _plain_name(cell: str) -> str:
    """Return a name without brackets, slashes and blanks: ``Enthalpy (eV/f.u.)`` as ``Enthalpy_eV_per_fu``."""
    text = re.sub(r"f\.\s?u\.?", "fu", cell.strip()).replace("/", " per ").replace("formula unit", "formula_unit")
    return re.sub(r"[\s()\[\],_]+", "_", text).strip("_")


def _known_unit(text: str, known: Mapping[str, float]) -> str | None:
    """Return the unit that a text names; capitals count where they tell units apart (Mbar, mbar)."""
    if text in known:
        return text
    alike = [unit for unit in known if unit.lower() == text.lower()]
    return alike[0] if len(alike) == 1 and text in (text.lower(), text.upper(), text.capitalize()) else None


def _factor(where: str, cell: str, unit: str, known: Mapping[str, float], after: str = "") -> float:
    found = _known_unit(unit, known)
    if found is None:
        said = f"has the unit {unit!r}, which is not known" if unit else "does not say its unit"
        raise InputError(
            f"{where}: the column {cell} {said}; it can be {', '.join(each + after for each in known)} (as in {_LIKE})"
        )
    return known[found]


def _check_others(where: str, cells: Sequence[str], columns: Columns) -> None:
    """Say which column is missing, or which one is misspelt."""
    wanted = {each.partition("_")[0]: each for each in [*WANTED.split(","), "uncertainty_eV_per_atom"]}
    taken = {column.place for column in columns.values()}
    missing = {name.lower(): name for quantity, name in wanted.items() if quantity not in columns}
    for place, cell in enumerate(cells):
        near = get_close_matches(cell.lower(), missing, 1, 0.7)
        if near and place not in taken:
            raise InputError(f"{where}: unknown column {cell!r}; is {missing[near[0]]} meant?")
    for quantity in (*_PLAIN, *_MEASURED[:2]):
        if quantity not in columns:
            raise InputError(
                f"{where}: the column {wanted[quantity]} is missing; the first line must name {WANTED}, in other units "
                f"like {_LIKE}, separated by commas, semicolons or tabs (found {','.join(cells)[:120]})"
            )
