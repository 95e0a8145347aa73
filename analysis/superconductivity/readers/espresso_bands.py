"""``prefix.a2Fsave`` of pw.x: bands on the dense grid of k that the double delta of ph.x is taken over.

Format (a2fmod.f90): numbers of bands and of k; energies (Ry), k by k; k (Cartesian, 2π/a); weights; the grid; number of
symmetry operations; their matrices, on the reciprocal vectors; and where they take the atoms.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase.units import Ry
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.superconductivity.readers.text import read_text
from megabar.analysis.superconductivity.tetrahedra import BandsOnGrid
from megabar.structures.errors import InputError

_ON_GRID = 1e-4


def read_bands(path: Path, cell_A: ArrayLike) -> BandsOnGrid:
    """Return the bands of the whole grid, of which the file has the irreducible k.

    cell_A: lattice vectors (Å), rows, shape (3, 3); pw.x takes the length of the first for a.
    Raises InputError where the file is none, or k and symmetry operations do not make up the grid.
    """
    cell = np.array(cell_A, float)
    try:
        values = [float(word.lower().replace("d", "e")) for word in read_text(path).split()]
        energies, k, grid, operations = _parts(values)
    except (ValueError, IndexError):
        raise InputError(f"{path}: not an a2Fsave of pw.x, or only a part of one") from None
    fractions = k @ cell.T / np.linalg.norm(cell[0])
    place = np.full(tuple(grid), -1)
    for operation in operations:
        for sign in (1, -1):  # time reversal
            steps = sign * fractions @ operation.T * grid
            whole = np.round(steps)
            if np.abs(steps - whole).max() > _ON_GRID * max(grid):
                raise InputError(f"{path}: its k-points do not lie on the grid {'×'.join(map(str, grid))} through Γ")
            place[tuple((whole.astype(int) % grid).T)] = np.arange(len(k))
    if (place < 0).any():
        raise InputError(f"{path}: its k-points and symmetry operations leave {int((place < 0).sum())} of the grid out")
    return BandsOnGrid(energies * Ry, place, 2 * np.pi * np.linalg.inv(cell).T, str(path))


def _parts(
    values: list[float],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], list[NDArray[np.float64]]]:
    bands, points = int(values[0]), int(values[1])
    place = 2
    energies = np.array(values[place : place + bands * points]).reshape(points, bands)
    place += bands * points
    k = np.array(values[place : place + 3 * points]).reshape(points, 3)
    place += 4 * points
    grid = np.array(values[place : place + 3]).astype(int)
    count = int(values[place + 3])
    place += 4
    operations = [np.array(values[place + 9 * n : place + 9 * (n + 1)]).reshape(3, 3) for n in range(count)]
    if min(grid) < 1 or not operations:
        raise ValueError
    return energies, k, grid, operations
