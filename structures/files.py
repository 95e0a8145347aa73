"""Phases read from structure files: CIF, POSCAR, extended XYZ and whatever else ASE reads."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from megabar.structures.contacts import shortest_distances
from megabar.structures.errors import InputError
from megabar.structures.phase import Phase
from megabar.structures.symmetry import primitive, space_group

CLOSEST = 0.45
"""Atoms closer than this part of the sum of their covalent radii overlap.

Atomic hydrogen at 500 GPa keeps 1.6 times the sum, MgO at 500 GPa 0.9, sodium at 1 TPa about 0.55.
"""

VASP_NAMES = ("POSCAR", "CONTCAR")


UNKNOWN_GPA = (0.0, 10_000.0)
"""Where a phase from a file is taken as known: everywhere, because a file does not say."""


def read_phase(path: str | Path, name: str | None = None, pressure_GPa: float | None = None) -> Phase:
    """Return the phase in a structure file, its cell reduced to the standard primitive one.

    name: of the phase; without one, the file's name without its ending (for POSCAR and CONTCAR the folder's name).
    pressure_GPa: pressure of the cell (GPa); without it what an extended XYZ file says under ``pressure_GPa``,
    else 0, and the phase's note says so. The phase counts as known at all pressures.
    Raises InputError that names the file where it cannot be read, holds no crystal or more than one, has sites that
    are only partly occupied, or atoms that overlap.
    """
    path = Path(path)
    atoms = _read(path)
    _check(atoms, path)
    pressure, assumed = _pressure(atoms, path, pressure_GPa)
    reduced = primitive(atoms)
    notes = [f"Space group {space_group(reduced)}."]
    if len(reduced) < len(atoms):
        notes.append(f"Cell of {len(atoms)} atoms reduced to the primitive one of {len(reduced)}.")
    if assumed:
        notes.append("The file does not say the pressure of its cell: 0 GPa assumed.")
    return Phase(
        name=name or _default_name(path),
        atoms=reduced,
        pressure_GPa=pressure,
        known_GPa=UNKNOWN_GPA,
        source=path.name,
        note=" ".join(notes),
    )


def _read(path: Path) -> Atoms:
    from ase.io import read

    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            images: Any = read(path, index=":")
    except Exception as error:  # ASE's readers raise anything, StopIteration and AssertionError among it.
        reason = f" ({str(error).splitlines()[0]})" if str(error) else ""
        raise InputError(
            f"{path}: cannot be read as a structure{reason}; CIF, POSCAR and extended XYZ files can"
        ) from None
    if len(images) != 1:
        raise InputError(f"{path}: holds {len(images) or 'no'} structures; a file with one is needed")
    return images[0]


def _check(atoms: Atoms, path: Path) -> None:
    if len(atoms) == 0:
        raise InputError(f"{path}: holds no atoms")
    if "X" in atoms.get_chemical_symbols():
        raise InputError(f"{path}: has atoms of no known element")
    if not np.isfinite(atoms.cell[:]).all() or abs(np.linalg.det(atoms.cell[:])) < 1e-3:
        raise InputError(f"{path}: has no cell (three lattice vectors are needed)")
    if not np.isfinite(atoms.positions).all():
        raise InputError(f"{path}: has coordinates that are not numbers")
    partial = _partly_occupied(atoms)
    if partial:
        raise InputError(f"{path}: {partial}; write an ordered structure instead")
    for (first, second), distance in shortest_distances(atoms).items():
        radii = covalent_radii[atomic_numbers[first]] + covalent_radii[atomic_numbers[second]]
        if distance < CLOSEST * radii:
            raise InputError(
                f"{path}: {first} and {second} atoms overlap, {distance:.2f} Å apart "
                f"(at least {CLOSEST * radii:.2f} Å would be possible)"
            )


def _partly_occupied(atoms: Atoms) -> str:
    """Return in words which sites are only partly occupied, nothing where none is (ASE notes a CIF's occupancies)."""
    for site in atoms.info.get("occupancy", {}).values():
        if len(site) > 1 or any(abs(value - 1) > 1e-3 for value in site.values()):
            parts = ", ".join(f"{value:g} {symbol}" for symbol, value in sorted(site.items()))
            return f"has a site that is only partly occupied or shared ({parts})"
    return ""


def _pressure(atoms: Atoms, path: Path, given: float | None) -> tuple[float, bool]:
    """Return the pressure of the cell (GPa) and whether it had to be assumed."""
    found = given if given is not None else atoms.info.get("pressure_GPa")
    if found is None:
        return 0.0, True
    try:
        pressure = float(found)
    except (TypeError, ValueError):
        raise InputError(f"{path}: pressure_GPa is {found!r}, not a number") from None
    if not np.isfinite(pressure):
        raise InputError(f"{path}: pressure_GPa is {found!r}, not a finite number")
    return pressure, False


def _default_name(path: Path) -> str:
    if path.name in VASP_NAMES:
        return path.absolute().parent.name or path.name
    for start in VASP_NAMES:
        for separator in "._-":
            if path.name.startswith(start + separator):
                return path.name.removeprefix(start + separator)
    return path.stem
