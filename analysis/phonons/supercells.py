"""Supercells and displacements from which force constants follow."""

from __future__ import annotations

from itertools import product

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.phonons.harmonic import Array, atoms_of, bare, independent_constants, phonopy_of
from megabar.structures.errors import InputError
from megabar.structures.symmetry import conventional_matrix

MOST_REPEATS = 12
OVERDETERMINED = 2.0
"""Forces wanted for each independent force constant of a fit, so that what does not fit is seen."""
LEAST_RANDOM = 2
"""Two supercells at least, so that one can be compared with the other."""


def shortest_vector(cell: ArrayLike) -> float:
    """Return the shortest distance (Å) of an atom from its own images, of a cell (rows, Å)."""
    from ase.geometry.minkowski_reduction import minkowski_reduce

    reduced, _ = minkowski_reduce(np.asarray(cell, float))
    return float(np.linalg.norm(reduced, axis=1).min())


def supercell_matrix(cell: Atoms, length_A: float) -> NDArray[np.int64]:
    """Return the smallest supercell whose atoms are at least a length (Å) away from their images.

    Multiples of the cell and of its conventional one are tried, as phonopy's matrix: columns in the cell's vectors.
    Raises InputError where more than MOST_REPEATS cells along an axis would be needed.
    """
    bases = [np.eye(3, dtype=np.int64)]
    centred = conventional_matrix(cell)
    if centred is not None and not np.array_equal(centred, bases[0]):
        bases.append(centred)
    found: list[tuple[int, float, NDArray[np.int64]]] = []
    for base in bases:
        rows = base.T @ cell.cell.array
        counts = np.ceil(length_A / np.linalg.norm(rows, axis=1) - 1e-6).astype(int)
        most = round(float(counts.max())) + 2
        if most > MOST_REPEATS:
            raise InputError(f"a supercell of {length_A:g} Å would need {most} cells along an axis")
        for extra in product(range(3), repeat=3):
            matrix = base @ np.diag(np.maximum(counts, 1) + np.array(extra))
            length = shortest_vector(matrix.T @ cell.cell.array)
            if length >= length_A - 1e-6:
                found.append((round(abs(np.linalg.det(matrix))), -length, matrix))
    if not found:
        raise InputError(f"no supercell with images {length_A:g} Å apart was found")
    return min(found, key=lambda each: (each[0], round(each[1], 3), each[2].tolist()))[2]


def supercell_of(cell: Atoms, matrix: ArrayLike) -> Atoms:
    """Return the supercell of a cell, its atoms as phonopy orders them."""
    from phonopy.structure.cells import get_supercell

    return atoms_of(get_supercell(bare(cell), np.asarray(matrix)))


def primitive_matrix_of(cell: Atoms) -> Array:
    """Return the matrix whose columns are the primitive cell's vectors in the cell's own."""
    from phonopy.structure.cells import guess_primitive_matrix

    return np.array(guess_primitive_matrix(bare(cell)), float)


def finite_moves(
    cell: Atoms, matrix: ArrayLike, primitive_matrix: ArrayLike, distance_A: float
) -> tuple[tuple[int, tuple[float, float, float]], ...]:
    """Return the displacements that symmetry leaves, one atom each: its number in the supercell and its move (Å)."""
    found = phonopy_of(cell, matrix, primitive_matrix)
    found.generate_displacements(distance=distance_A)
    moves = []
    for each in found.dataset["first_atoms"]:
        x, y, z = (float(value) for value in each["displacement"])
        moves.append((int(each["number"]), (x, y, z)))
    return tuple(moves)


def random_count(cell: Atoms, matrix: ArrayLike, primitive_matrix: ArrayLike) -> int:
    """Return how many supercells with all atoms displaced determine the force constants OVERDETERMINED times."""
    atoms = len(cell) * round(abs(np.linalg.det(np.asarray(matrix))))
    wanted = OVERDETERMINED * independent_constants(cell, matrix, primitive_matrix)
    return max(LEAST_RANDOM, int(np.ceil(wanted / (3 * atoms))))
