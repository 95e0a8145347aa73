"""Born charges from changes of the polarisation: what a few displacements and the crystal's symmetry give."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike

from megabar.analysis.phonons.harmonic import Array, phonopy_of
from megabar.structures.errors import InputError


def born_charges(cell: Atoms, atoms: ArrayLike, moves_A: ArrayLike, dipoles_eA: ArrayLike) -> Array:
    """Return the Born charges (e) of all atoms, shape (n, 3, 3), the field first: Z_ij = V ∂P_i/∂u_j.

    atoms: numbers of those displaced, shape (m,). moves_A: how, shape (m, 3). dipoles_eA: by how much the cell's dipole
    V P changed, shape (m, 3). Every operation of the space group makes further displacements of them; the tensors are
    those of least squares. Raises InputError where they do not determine all tensors.
    """
    from phonopy.structure.symmetry import Symmetry

    group = Symmetry(phonopy_of(cell, np.eye(3, dtype=int), np.eye(3)).unitcell)
    lattice = cell.cell.array.T
    moves: list[list[Array]] = [[] for _ in range(len(cell))]
    changes: list[list[Array]] = [[] for _ in range(len(cell))]
    rotations = group.symmetry_operations["rotations"]
    for rotation, permutation in zip(rotations, group.atomic_permutations, strict=True):
        turned = lattice @ rotation @ np.linalg.inv(lattice)
        for atom, move, change in zip(np.asarray(atoms), np.asarray(moves_A), np.asarray(dipoles_eA), strict=True):
            moves[permutation[atom]].append(turned @ move)
            changes[permutation[atom]].append(turned @ change)
    found = np.empty((len(cell), 3, 3))
    for atom, (own, change) in enumerate(zip(moves, changes, strict=True)):
        if not own or np.linalg.matrix_rank(np.array(own), tol=1e-6 * np.abs(own).max()) < 3:
            raise InputError(f"these displacements do not determine the Born charges of atom {atom + 1}")
        found[atom] = np.linalg.lstsq(np.array(own), np.array(change), rcond=None)[0].T
    return found
