"""The pressure of a cell as files of different kinds tell it, in GPa."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
from ase import Atoms, units

from megabar.structures.errors import InputError
from megabar.structures.readers.cif_blocks import Block

GPA = {"TPa": 1e3, "GPa": 1.0, "MPa": 1e-3, "kPa": 1e-6, "Pa": 1e-9, "Mbar": 100.0, "kbar": 0.1, "bar": 1e-4}
KPA_GPA = 1e-6
LEAST_KPA = 50.0
"""A pressure below this (half an atmosphere) is none that anybody measures a crystal at: another unit was meant."""
MOST_GPA = 10_000.0
_SPELT = {"Gpa": "GPa", "gpa": "GPa", "kb": "kbar", "Kb": "kbar", "Kbar": "kbar"}
_UNITS = "|".join((*GPA, *_SPELT))
_IN_TEXT = re.compile(rf"\b[Pp](?:ressure)?\s*=\s*(\d*\.?\d+)\s*({_UNITS})\b")


def pressure_of_cif(block: Block) -> tuple[float | None, tuple[str, ...]]:
    """Return the pressure (GPa) that a CIF tells, None without, and what to say of it.

    ``_cell_measurement_pressure`` and ``_diffrn_ambient_pressure`` are in kilopascals (core dictionary of the IUCr);
    the American Mineralogist database writes it into the title instead: ``Sample: P = 12.6 GPa``.
    """
    for tag in ("_cell_measurement_pressure", "_diffrn_ambient_pressure"):
        value = block.number(tag)
        if value is None:
            continue
        if abs(value) * KPA_GPA > MOST_GPA:
            raise InputError(f"its {tag} is {value:g} kPa, which cannot be")
        if 0 < value < LEAST_KPA:
            return None, (
                f"Its {tag} is {value:g}, in kPa as CIFs have it: no pressure to speak of. If another unit was meant, "
                f"say it as `pressure` (GPa).",
            )
        return value * KPA_GPA, ()
    for tag in ("_publ_section_title", "_exptl_special_details", "_cell_special_details"):
        match = _IN_TEXT.search(block.text(tag))
        if match:
            unit = _SPELT.get(match[2], match[2])
            return float(match[1]) * GPA[unit], (f"Pressure from its title: {match[0].strip()}.",)
    return None, ()


def pressure_of_atoms(atoms: Atoms) -> tuple[float | None, tuple[str, ...]]:
    """Return the pressure (GPa) that ASE found beside a structure, None without, and what to say of it.

    ``pressure_GPa`` (or another unit), the stress of a calculation (eV/Å³, tension positive), a virial (eV,
    compression positive), and ``pressure`` without a unit, which is taken as GPa, as in AIRSS's .res files.
    """
    info: Mapping[str, Any] = atoms.info
    for name, unit in GPA.items():
        for key in info:
            if str(key) == f"pressure_{name}":
                return _number(key, info[key]) * unit, ()
    stress = _stress(atoms)
    if stress is not None:
        return -float(np.trace(stress)) / 3 / units.GPa, ("Pressure from the stress in the file.",)
    if "pressure" in info:
        return _number("pressure", info["pressure"]), ("Pressure without a unit in the file: taken as GPa.",)
    return None, ()


def _number(key: str, value: Any) -> float:
    try:
        pressure = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{key} is {value!r}, not a number") from None
    if not isfinite(pressure):
        raise InputError(f"{key} is {value!r}, not a finite number")
    return pressure


def _stress(atoms: Atoms) -> Any:
    """Return the stress (eV/Å³, 3×3) that a file has beside its structure, None without."""
    found = getattr(atoms.calc, "results", {}).get("stress") if atoms.calc is not None else None
    if found is None:
        found = atoms.info.get("stress")
    if found is None:
        virial = next((atoms.info[each] for each in ("virial", "virials") if each in atoms.info), None)
        if virial is None:
            return None
        found = -np.asarray(virial, dtype=float) / atoms.get_volume()
    stress = np.asarray(found, dtype=float)
    if stress.shape == (6,):
        xx, yy, zz, yz, xz, xy = stress
        stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    if stress.size != 9 or not np.isfinite(stress).all():
        raise InputError("its stress is no 3×3 tensor of numbers")
    return stress.reshape(3, 3)
