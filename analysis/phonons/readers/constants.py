"""Force constants as others wrote them: FORCE_CONSTANTS, force_constants.hdf5, or in a document of phonopy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from megabar.analysis.phonons.harmonic import Array
from megabar.analysis.phonons.readers.cells import Cells
from megabar.analysis.phonons.readers.documents import numbers_of, text_of
from megabar.analysis.phonons.readers.units import Units, constants_unit
from megabar.structures.errors import InputError

BLOCK = 11
"""Numbers of a pair in FORCE_CONSTANTS: two of atoms, nine of its matrix."""


def constants_in_document(document: Mapping[str, Any], path: Path, cells: Cells, units: Units) -> Array | None:
    """Return the force constants (eV/Å²) of a document of phonopy; None where it holds none."""
    own = document.get("force_constants")
    if own is None:
        return None
    try:
        found = np.reshape(np.array(own["elements"], float), (*own["shape"], 3, 3))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its force constants are no array of the shape that it says ({error})") from None
    return _checked(found * units.constants_eV_A2, None, cells, path)


def read_constants(path: Path, cells: Cells, units: Units) -> Array:
    """Return the force constants (eV/Å²) of FORCE_CONSTANTS or force_constants.hdf5, as phonopy orders atoms.

    Raises InputError where they are of another supercell or primitive cell, or the file is cut off.
    """
    if path.name.endswith(".hdf5"):
        return _hdf5(path, cells, units)
    text = text_of(path)
    head, _, rest = text.partition("\n")
    try:
        shape = [int(word) for word in head.split()]
    except ValueError:
        shape = []
    if len(shape) not in (1, 2):
        raise InputError(f"{path}: it is no FORCE_CONSTANTS: its first line holds no numbers of atoms")
    rows, columns = shape[0], shape[-1]
    values = numbers_of(rest, path)
    if len(values) != rows * columns * BLOCK:
        raise InputError(
            f"{path}: it says {rows} × {columns} pairs of atoms and holds {len(values) // BLOCK}; is it cut off?"
        )
    blocks = np.array(values).reshape(rows, columns, BLOCK)
    numbers = np.round(blocks[:, 0, 0]).astype(int) - 1
    return _checked(blocks[..., 2:].reshape(rows, columns, 3, 3) * units.constants_eV_A2, numbers.tolist(), cells, path)


def _hdf5(path: Path, cells: Cells, units: Units) -> Array:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            key = next((key for key in ("force_constants", "fc2") if key in file), None)
            if key is None:
                raise InputError(f"{path}: it holds neither force_constants nor fc2")
            found = np.array(file[key], float)
            numbers = np.array(file["p2s_map"]).tolist() if "p2s_map" in file else None
            unit = file["physical_unit"][0] if "physical_unit" in file else None
    except OSError as error:
        raise InputError(f"{path}: it cannot be read as HDF5 ({error})") from None
    name = unit.decode() if isinstance(unit, bytes) else unit
    factor = units.constants_eV_A2 if name is None else constants_unit(str(name), path)
    return _checked(found * factor, numbers, cells, path)


def _checked(found: Array, numbers: list[int] | None, cells: Cells, path: Path) -> Array:
    """Return force constants whose shape fits the cells, their atoms as phonopy orders them now."""
    atoms, own = len(cells.own.supercell), cells.own.primitive.p2s_map.tolist()
    if found.ndim != 4 or found.shape[2:] != (3, 3):
        raise InputError(f"{path}: its force constants have the shape {found.shape}; rows, columns, 3, 3 is right")
    rows, columns = found.shape[:2]
    if columns != atoms or rows not in (atoms, len(own)):
        raise InputError(
            f"{path}: its force constants are of {rows} × {columns} atoms, the supercell has {atoms} and the primitive "
            f"cell {len(own)}: force constants of another supercell or primitive cell"
        )
    if not np.isfinite(found).all():
        raise InputError(f"{path}: it holds force constants that are no numbers")
    if rows == atoms:
        return np.ascontiguousarray(found[np.ix_(cells.supercell, cells.supercell)])
    if not cells.in_order:
        raise InputError(
            f"{path}: its supercell is in another order than phonopy's; force constants between all its atoms can be "
            "read, those of the primitive cell's cannot"
        )
    if numbers is not None and numbers != own:
        raise InputError(
            f"{path}: its rows are the atoms {[n + 1 for n in numbers]} of the supercell, the primitive cell has "
            f"{[n + 1 for n in own]}: another primitive_matrix"
        )
    return found
