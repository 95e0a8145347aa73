"""Phases read from structure files: CIF, POSCAR, extended XYZ, .res and whatever else ASE reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms

from megabar.structures.contacts import too_close
from megabar.structures.errors import InputError
from megabar.structures.phase import Phase
from megabar.structures.readers.cif import read_cif
from megabar.structures.readers.found import Found
from megabar.structures.readers.others import read_other
from megabar.structures.symmetry import primitive, space_group

VASP_NAMES = ("POSCAR", "CONTCAR")
CIF_ENDINGS = (".cif", ".mcif")

UNKNOWN_GPA = (0.0, 10_000.0)
"""Where a phase from a file is taken as known: everywhere, because a file does not say."""


def read_phase(path: str | Path, name: str | None = None, pressure_GPa: float | None = None) -> Phase:
    """Return the phase in a structure file, its cell reduced to the standard primitive one.

    name: of the phase; without one, the file's name without its ending (for POSCAR and CONTCAR the folder's name).
    pressure_GPa: pressure of the cell (GPa); without it what the file says (``readers.pressures``), else 0, and the
    phase's note says so. The phase counts as known at all pressures.
    Raises InputError that names the file where it cannot be read, holds no crystal or more than one, has sites that
    are only partly occupied, or atoms that overlap, or where a CIF contradicts itself.
    """
    path = Path(path)
    found = _found(path)
    atoms = found.atoms
    _check(atoms, path)
    reduced = primitive(atoms)
    notes = [f"Space group {space_group(reduced)}."]
    if len(reduced) < len(atoms):
        notes.append(f"Cell of {len(atoms)} atoms reduced to the primitive one of {len(reduced)}.")
    notes += found.notes
    if pressure_GPa is None and found.pressure_GPa is None:
        notes.append("The file does not say the pressure of its cell: 0 GPa assumed.")
    return Phase(
        name=name or _default_name(path),
        atoms=reduced,
        pressure_GPa=pressure_GPa if pressure_GPa is not None else found.pressure_GPa or 0.0,
        known_GPa=UNKNOWN_GPA,
        source=path.name,
        note=" ".join(notes),
    )


def _found(path: Path) -> Found:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    return read_cif(path) if path.suffix.lower() in CIF_ENDINGS else read_other(path)


def _check(atoms: Atoms, path: Path) -> None:
    if len(atoms) == 0:
        raise InputError(f"{path}: holds no atoms")
    if not np.isfinite(atoms.positions).all():
        raise InputError(f"{path}: has coordinates that are not numbers")
    close = too_close(atoms)
    if close:
        raise InputError(f"{path}: {close}")


def _default_name(path: Path) -> str:
    if path.name in VASP_NAMES:
        return path.absolute().parent.name or path.name
    for start in VASP_NAMES:
        for separator in "._-":
            if path.name.startswith(start + separator):
                return path.name.removeprefix(start + separator)
    return path.stem
