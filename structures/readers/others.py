"""Structures from what else ASE reads: POSCAR, extended XYZ, .res and so on; one a file, never silently the first."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.structures.errors import InputError
from megabar.structures.readers.found import Found
from megabar.structures.readers.pressures import pressure_of_atoms

_NUMBERS = re.compile(r"\s*[-+]?\d*\.?\d+(?:[eEdD][-+]?\d+)?(?:\s+[-+]?\d*\.?\d+(?:[eEdD][-+]?\d+)?)*\s*")


def read_other(path: Path) -> Found:
    """Return the one structure of a file; raises InputError where it cannot be read or holds several."""
    from ase.io import read
    from ase.io.formats import UnknownFileTypeError, filetype

    try:
        kind = filetype(str(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            images: Any = read(path, index=":")
    except Exception as error:  # ASE's readers raise anything, StopIteration and AssertionError among it.
        reason = (
            f" ({str(error).splitlines()[0]})" if str(error) and not isinstance(error, UnknownFileTypeError) else ""
        )
        raise InputError(
            f"{path}: cannot be read as a structure{reason}; CIF, POSCAR and extended XYZ files can"
        ) from None
    count = len(images)
    if count == 1:
        count = max(count, _more(path, kind, len(images[0])))
    if count != 1:
        raise InputError(f"{path}: holds {count or 'no'} structures; a file with one is needed")
    atoms: Atoms = images[0]
    _check(atoms, path)
    if kind == "res" and "pressure" in atoms.info and not _airss(path, atoms):
        del atoms.info["pressure"]  # a title in free words, as SHELX allows it
    try:
        pressure, notes = pressure_of_atoms(atoms)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return Found(atoms, pressure, () if kind == "res" else notes)


def _check(atoms: Atoms, path: Path) -> None:
    if "X" in atoms.get_chemical_symbols():
        raise InputError(f"{path}: has atoms of no known element")
    partial = _partly_occupied(atoms)
    if partial:
        raise InputError(f"{path}: {partial}; write an ordered structure instead")
    if len(atoms) and (not np.isfinite(atoms.cell[:]).all() or abs(np.linalg.det(atoms.cell[:])) < 1e-3):
        raise InputError(f"{path}: has no cell (three lattice vectors are needed)")


def _partly_occupied(atoms: Atoms) -> str:
    """Return in words which sites are only partly occupied, nothing where none is (ASE notes occupancies)."""
    for site in atoms.info.get("occupancy", {}).values():
        if len(site) > 1 or any(abs(value - 1) > 1e-3 for value in site.values()):
            parts = ", ".join(f"{value:g} {symbol}" for symbol, value in sorted(site.items()))
            return f"has a site that is only partly occupied or shared ({parts})"
    return ""


def _more(path: Path, kind: str, atoms: int) -> int:
    """Return how many structures a file holds of a kind whose first one ASE takes without a word."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if kind == "res":
        return sum(line.upper().startswith("TITL") for line in lines)
    if kind == "vasp":
        return 1 + sum(_begins_a_poscar(lines[start : start + 7]) for start in range(5 + atoms, len(lines) - 5))
    return 1


def _begins_a_poscar(lines: list[str]) -> bool:
    """Return whether lines are a title, a scale, three vectors, and elements or their numbers.

    Velocities, and what VASP writes to go on with a dynamics run, hold rows of numbers only.
    """
    _, scale, *vectors, kinds = lines[:6]
    numbers = [kinds, *lines[6:7]]
    return (
        len(scale.split()) in (1, 3)
        and bool(_NUMBERS.fullmatch(scale))
        and all(len(row.split()) == 3 and _NUMBERS.fullmatch(row) for row in vectors)
        and any(row.split() and all(word.isdecimal() for word in row.split()) for row in numbers)
    )


def _airss(path: Path, atoms: Atoms) -> bool:
    """Return whether the title of a .res file is AIRSS's: name, pressure, volume, enthalpy, …"""
    title = next(
        line.split()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.upper().startswith("TITL")
    )
    try:
        return bool(abs(float(title[3]) / atoms.get_volume() - 1) < 0.02)
    except (IndexError, ValueError):
        return False
