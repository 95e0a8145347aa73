"""The cells that a document of phonopy holds, and whether they are one and the same crystal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from megabar.analysis.phonons.harmonic import Array, atoms_of, phonopy_of
from megabar.analysis.phonons.readers.units import Units
from megabar.structures.errors import InputError

if TYPE_CHECKING:
    from phonopy import Phonopy

Places = NDArray[np.int64]
KEYS = (
    "phonopy", "supercell_matrix", "primitive_matrix", "unit_cell", "primitive_cell", "supercell", "lattice", "points",
)  # fmt: skip
SAME_A = 1e-3
"""Positions that differ by less (Å) are the same: files are rounded."""


@dataclass(frozen=True, eq=False)
class Cells:
    """The crystal of a document in Å, and how the document numbers the atoms.

    own: as phonopy builds it from the unit cell. supercell, primitive: for each atom as phonopy numbers them now its
    number in the document, for which older versions and other settings have other orders.
    """

    cell: Atoms
    supercell_matrix: NDArray[np.int64]
    primitive_matrix: Array
    own: Phonopy
    supercell: Places
    primitive: Places

    @property
    def in_order(self) -> bool:
        """Whether the document numbers the atoms of the supercell as phonopy does now."""
        return bool(np.array_equal(self.supercell, np.arange(len(self.supercell))))


def cells_of(document: Mapping[str, Any], path: Path, units: Units) -> Cells:
    """Return the cells of a document; InputError where there are none or where they contradict each other."""
    from phonopy.interface.phonopy_yaml import PhonopyYamlLoader

    plain = {key: document[key] for key in KEYS if key in document}
    try:
        if "unit_cell" not in document and "atoms" in document:  # disp.yaml of phonopy 1: the supercell alone
            atoms = [{"symbol": each["symbol"], "coordinates": each["position"]} for each in document["atoms"]]
            plain["points"] = atoms
        data = PhonopyYamlLoader(plain).parse().data
    except (KeyError, ValueError, TypeError, RuntimeError, IndexError, AttributeError) as error:
        raise InputError(f"{path}: its cells cannot be read ({type(error).__name__}: {error})") from None
    if data.unitcell is None:
        raise InputError(f"{path}: it holds no unit_cell; `phonopy-init` writes one into phonopy_disp.yaml")
    cell = _atoms(data.unitcell, path, units)
    matrix = np.eye(3, dtype=np.int64) if data.supercell_matrix is None else data.supercell_matrix
    own = _built(cell, matrix, data.primitive_matrix, path)
    supercell = _order(own.supercell, data.supercell, units, path, "supercell", "unit cell and supercell_matrix")
    # Without a primitive_matrix phonopy finds the primitive cell itself, whatever an older version wrote.
    theirs = None if data.primitive_matrix is None else data.primitive
    primitive = _order(own.primitive, theirs, units, path, "primitive_cell", "unit cell and primitive_matrix")
    return Cells(cell, np.array(matrix, np.int64), np.array(own.primitive_matrix, float), own, supercell, primitive)


def _atoms(cell: Any, path: Path, units: Units) -> Atoms:
    if getattr(cell, "has_weighted_species", False):
        raise InputError(f"{path}: sites are shared by several elements, which is not supported here")
    try:
        found = atoms_of(cell)
    except (KeyError, ValueError):
        raise InputError(f"{path}: an atom is called by what is no element: {', '.join(set(cell.symbols))}") from None
    found.set_cell(found.cell[:] * units.length_A, scale_atoms=True)
    if not found.get_volume() > 0 or not np.isfinite(found.positions).all():
        raise InputError(f"{path}: its unit cell has no volume, or coordinates that are no numbers")
    return found


def _built(cell: Atoms, matrix: Any, primitive_matrix: Any, path: Path) -> Phonopy:
    from megabar.analysis.phonons.supercells import primitive_matrix_of

    try:
        chosen = primitive_matrix_of(cell) if primitive_matrix is None else primitive_matrix
        return phonopy_of(cell, matrix, chosen)
    except (ValueError, RuntimeError, AssertionError, IndexError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{path}: its matrices make no supercell or primitive cell of its unit cell ({reason})"
        ) from None


def _order(ours: Any, theirs: Any, units: Units, path: Path, what: str, made_of: str) -> Places:
    """Return the number in the document of each atom of a cell as phonopy builds it."""
    if theirs is None:
        return np.arange(len(ours))
    if len(theirs) != len(ours):
        raise InputError(f"{path}: its {what} has {len(theirs)} atoms where its {made_of} make {len(ours)}")
    if np.abs(theirs.cell * units.length_A - ours.cell).max() > SAME_A:
        raise InputError(f"{path}: the lattice of its {what} is not that which its {made_of} make")
    steps = ours.scaled_positions[:, None] - theirs.scaled_positions[None]
    apart = np.linalg.norm((steps - np.round(steps)) @ ours.cell, axis=2)
    nearest = apart.argmin(axis=1)
    far = np.flatnonzero(apart[np.arange(len(ours)), nearest] > SAME_A * 10)
    wrong = [i for i in range(len(ours)) if ours.symbols[i] != theirs.symbols[nearest[i]]]
    if len(far) or wrong or len(set(nearest.tolist())) != len(ours):
        first = int(far[0]) if len(far) else wrong[0] if wrong else 0
        raise InputError(
            f"{path}: its {what} is not what its {made_of} make: no {ours.symbols[first]} at "
            f"({', '.join(f'{x:.4f}' for x in ours.scaled_positions[first])})"
        )
    return np.array(nearest, np.int64)
