"""Units of the codes that computed forces, as phonopy knows them; ours are eV and Å."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from megabar.structures.errors import InputError

CODES = (
    "vasp", "qe", "abinit", "wien2k", "elk", "exciting", "siesta", "crystal", "dftbp", "turbomole", "cp2k", "aims",
    "castep", "fleur", "abacus", "lammps", "qlm", "pwmat", "octopus",
)  # fmt: skip
KEYS = {"length": "length_unit", "force": "force_unit", "force_constants": "force_constants_unit"}
SAME_COULOMB = 5e-3
"""Relative difference up to which a factor of a file is e²/4πε₀, rounded."""


@dataclass(frozen=True)
class Units:
    """Units of a file. code: as phonopy names it. A length, force, … of the file times the number is in eV and Å."""

    code: str
    length_A: float
    force_eV_A: float

    @property
    def constants_eV_A2(self) -> float:
        """Of force constants."""
        return self.force_eV_A / self.length_A

    @property
    def coulomb_eV_A(self) -> float:
        """Of the factor of the Born charges, e²/4πε₀."""
        return self.force_eV_A * self.length_A**2


def units_of(document: Mapping[str, Any], path: Path) -> Units:
    """Return the units of a document of phonopy: those of its calculator, which `physical_unit` must be.

    Where no calculator is named, the one is taken whose units `physical_unit` has. Raises InputError where both are
    named and differ, and for units or calculators that phonopy does not know.
    """
    from phonopy.physical_units import get_calculator_physical_units

    header = document.get("phonopy")
    code = header.get("calculator") if isinstance(header, dict) else None
    units = document.get("physical_unit")
    named = units if isinstance(units, dict) else {}
    told = {key: str(value).lower() for key, value in named.items() if key in KEYS}

    def fits(name: str) -> bool:
        units = get_calculator_physical_units(name)
        return all(str(getattr(units, KEYS[key])).lower() == value for key, value in told.items())

    if code is not None:
        code = str(code).lower()
        if code not in CODES:
            raise InputError(
                f"{path}: its calculator is {code!r}, whose units phonopy does not know ({', '.join(CODES)})"
            )
        if not fits(code):
            words = ", ".join(f"{key} in {value}" for key, value in told.items())
            raise InputError(f"{path}: it names the calculator {code} and other units than its ({words})")
    else:
        code = next((name for name in CODES if fits(name)), None)
        if code is None:
            words = ", ".join(f"{key} in {value}" for key, value in told.items())
            raise InputError(f"{path}: no code that phonopy knows has these units: {words}")
    found = get_calculator_physical_units(code)
    return Units(code, float(found.distance_to_A), float(found.force_to_eVperA))


def coulomb(factor: float | None, units: Units, source: Path) -> float | None:
    """Return the factor of the Born charges (eV Å), None where there is none; InputError where it is of other units."""
    from phonopy.physical_units import get_calculator_physical_units

    if factor is None:
        return None
    usual = float(get_calculator_physical_units(units.code).nac_factor)
    if not abs(factor / usual - 1) < SAME_COULOMB:
        raise InputError(
            f"{source}: the factor of its Born charges is {factor:g}; with the units of {units.code} it is {usual:.5g}"
        )
    return factor * units.coulomb_eV_A


def constants_unit(unit: str, source: Path) -> float:
    """Return what force constants in a unit that a file names are to be multiplied by for eV/Å²."""
    from phonopy.interface.calculator import get_force_constant_conversion_factor

    try:
        return float(get_force_constant_conversion_factor(unit, None))
    except (KeyError, NotImplementedError):
        raise InputError(f"{source}: its force constants are in {unit!r}, which phonopy does not know") from None
