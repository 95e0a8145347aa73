"""Born effective charges and dielectric tensor, from BORN or from a document of phonopy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from megabar.analysis.phonons.harmonic import Array, Polar
from megabar.analysis.phonons.readers.cells import Cells
from megabar.analysis.phonons.readers.documents import text_of
from megabar.analysis.phonons.readers.units import Units, coulomb
from megabar.structures.errors import InputError

LARGE_SUM, SUM = 0.3, 0.03
"""Sum of the charges over the largest charge: from the first on they are not of this crystal, from the second on it is
said."""
UNSYMMETRIC = 0.3


def polar_in_document(document: Mapping[str, Any], path: Path, cells: Cells, units: Units) -> Polar | None:
    """Return the charges of a document of phonopy; None where it holds none."""
    nac = document.get("nac")
    own = nac if isinstance(nac, dict) else document
    if "born_effective_charge" not in own or "dielectric_constant" not in own:
        return None
    try:
        born = np.array(own["born_effective_charge"], float)
        dielectric = np.array(own["dielectric_constant"], float).reshape(3, 3)
        header = document.get("phonopy")
        older = header.get("nac_unit_conversion_factor") if isinstance(header, dict) else None
        factor = own.get("unit_conversion_factor", older)
        found = Polar(
            born,
            dielectric,
            coulomb(None if factor is None else float(factor), units, path),
            str(own.get("method", "gonze")).lower(),
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: its Born charges cannot be read ({error})") from None
    atoms = len(cells.own.primitive)
    if born.shape != (atoms, 3, 3):
        raise InputError(f"{path}: it holds Born charges of {len(born)} atoms, the primitive cell has {atoms}")
    ordered = Polar(born[cells.primitive], dielectric, found.coulomb_eV_A, found.method)
    return _checked(ordered, cells, path)


def read_born(path: Path, cells: Cells, units: Units) -> Polar:
    """Return the charges of a BORN file: those of the atoms that symmetry leaves independent, or of all.

    Raises InputError where they are of another number of atoms, do not sum to about zero, or lack the symmetry of the
    crystal.
    """
    lines = [line.split() for line in text_of(path).splitlines() if line.strip()]
    try:
        rows = np.array([[float(word) for word in line] for line in lines[1:]]).reshape(-1, 3, 3)
    except ValueError:
        raise InputError(
            f"{path}: after the first line each line must hold the nine numbers of a tensor: the dielectric one, "
            "then one an atom"
        ) from None
    if not len(rows):
        raise InputError(f"{path}: it holds no dielectric tensor")
    try:
        factor = float(lines[0][0])
    except ValueError:
        factor = None
    found = Polar(_expanded(rows[1:], cells, path), rows[0], coulomb(factor, units, path))
    return _checked(found, cells, path)


def _expanded(charges: Array, cells: Cells, path: Path) -> Array:
    from phonopy.structure.symmetry import Symmetry
    from phonopy.utils import similarity_transformation

    primitive = cells.own.primitive
    symmetry = Symmetry(primitive)
    independent = symmetry.get_independent_atoms()
    if len(charges) == len(primitive) and len(charges) != len(independent):
        return charges
    if len(charges) != len(independent):
        raise InputError(
            f"{path}: it holds charges of {len(charges)} atoms; the primitive cell has {len(primitive)}, of which "
            f"symmetry leaves {len(independent)} independent"
        )
    own = dict(zip(independent.tolist(), charges, strict=True))
    operations, sources = symmetry.get_map_operations(), symmetry.get_map_atoms()
    rotations = symmetry.symmetry_operations["rotations"]
    lattice = primitive.cell.T
    turns = [similarity_transformation(lattice, rotations[operations[i]]) for i in range(len(primitive))]
    return np.array([similarity_transformation(turn.T, own[int(i)]) for turn, i in zip(turns, sources, strict=True)])


def _checked(found: Polar, cells: Cells, path: Path) -> Polar:
    from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

    largest = float(np.abs(found.born).max())
    if not np.isfinite(found.born).all() or not largest > 0:
        raise InputError(f"{path}: all its Born charges are zero, or no numbers")
    eigenvalues = np.linalg.eigvalsh((found.dielectric + found.dielectric.T) / 2)
    if not eigenvalues.min() >= 1:
        raise InputError(
            f"{path}: its dielectric tensor has the eigenvalue {eigenvalues.min():.3g}; electrons make it 1 at least"
        )
    if found.drift > LARGE_SUM * largest:
        raise InputError(
            f"{path}: its Born charges sum to {found.drift:.3g} e over the primitive cell where the largest is "
            f"{largest:.3g} e; they must sum to zero: charges of other atoms or in another order?"
        )
    mean = found.born - found.born.mean(axis=0)
    symmetric, _ = symmetrize_borns_and_epsilon(mean, found.dielectric, cells.own.primitive)
    off = float(np.abs(mean - symmetric).max())
    if off > UNSYMMETRIC * largest:
        raise InputError(
            f"{path}: its Born charges lack the symmetry of the crystal by {off:.3g} e: charges of other atoms, or in "
            "other axes?"
        )
    return found
