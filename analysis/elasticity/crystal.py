"""What symmetry leaves of the elastic constants of a crystal, in the orientation that its cell has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms

from megabar.analysis.elasticity.tensors import Array, rotation, turned, voigt
from megabar.structures.errors import InputError
from megabar.structures.symmetry import SYMPREC_A, ask_spglib

LAUE = (
    (2, "-1"),
    (15, "2/m"),
    (74, "mmm"),
    (88, "4/m"),
    (142, "4/mmm"),
    (148, "-3"),
    (167, "-3m"),
    (176, "6/m"),
    (194, "6/mmm"),
    (206, "m-3"),
    (230, "m-3m"),
)
"""The last space group of each Laue class."""
ORDER = (
    *("11", "12", "13", "22", "23", "33", "44", "55", "66"),
    *("14", "15", "16", "24", "25", "26", "34", "35", "36", "45", "46", "56"),
)
"""Which of equal constants is named: the first of these."""
SMALL = 1e-6


@dataclass(frozen=True, eq=False)
class Crystal:
    """The point symmetry of a crystal.

    laue: its Laue class, e.g. ``m-3m``. operations: orthogonal matrices in the cell's Cartesian axes, shape (n, 3, 3).
    frame: rows are the crystal's own axes x, y, z in those of the cell: z along the conventional c, x in the plane of a
    and c, and along a twofold axis where -3m has one across c.
    """

    laue: str
    operations: Array
    frame: Array

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the independent constants, in Voigt's indices of the crystal's axes, e.g. 11, 12, 44."""
        return tuple(name for name, _ in self._independent)

    @cached_property
    def basis(self) -> Array:
        """Stiffnesses (Kelvin, the cell's axes), shape (n, 6, 6), of each independent constant being 1."""
        space = np.array([matrix for _, matrix in self._independent])
        values = np.array([[_entry(self.in_frame(each), name) for each in space] for name in self.names])
        return np.asarray(np.einsum("ab,aij->bij", np.linalg.inv(values), space))

    @cached_property
    def _independent(self) -> list[tuple[str, Array]]:
        """Names of independent constants, each with an invariant stiffness that the ones before it do not make."""
        turns = [rotation(each) for each in self.operations]
        found: list[tuple[str, Array]] = []
        flat: list[Array] = []
        for name in ORDER:
            one, other = _places(name)
            unit = np.zeros((6, 6))
            unit[one, other] = unit[other, one] = 1.0
            invariant = turned(unit, self.frame.T)
            invariant = np.mean([turn @ invariant @ turn.T for turn in turns], axis=0)
            rest = invariant.ravel() - sum((each * (each @ invariant.ravel()) for each in flat), np.zeros(36))
            length = float(np.linalg.norm(rest))
            if length > SMALL:
                flat.append(rest / length)
                found.append((name, invariant))
        return found

    def in_frame(self, stiffness: Array) -> Array:
        """Return a stiffness (Kelvin) of the cell's axes in those of the crystal."""
        return turned(stiffness, self.frame)

    def stiffness(self, constants: Array) -> Array:
        """Return the stiffness (Kelvin, the cell's axes) with some values of the independent constants."""
        return np.asarray(np.einsum("a,aij->ij", constants, self.basis))


def crystal_of(atoms: Atoms, symprec: float = SYMPREC_A) -> Crystal:
    """Return the point symmetry of a cell; raises InputError where none can be determined."""
    cell = np.asarray(atoms.cell[:], float)
    found = ask_spglib("get_symmetry_dataset", (cell, atoms.get_scaled_positions(), atoms.numbers), symprec=symprec)
    if found is None:
        formula = atoms.get_chemical_formula()
        raise InputError(f"no symmetry can be determined for {formula}: are two atoms in the same place?")
    laue = next(name for last, name in LAUE if found.number <= last)
    operations = np.array(
        [_orthogonal(cell.T @ each @ np.linalg.inv(cell.T)) for each in np.unique(found.rotations, axis=0)]
    )
    conventional = np.linalg.inv(found.transformation_matrix).T @ cell
    return Crystal(laue, operations, _frame(laue, conventional, operations))


def _orthogonal(matrix: Array) -> Array:
    """Return the orthogonal matrix nearest to one that is so but for the noise of its cell."""
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ right)


def _frame(laue: str, conventional: Array, operations: Array) -> Array:
    z = conventional[2] / np.linalg.norm(conventional[2])
    x = conventional[0] - (conventional[0] @ z) * z
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    if laue == "-3m" and not _has(operations, 2 * np.outer(x, x) - np.eye(3)):
        x, y = y, -x
    return np.array([x, y, z])


def _has(operations: Array, half_turn: Array) -> bool:
    """Return whether a half turn, or the reflection that is its product with the inversion, is among operations."""
    return any(np.abs(sign * half_turn - each).max() < 0.01 for each in operations for sign in (1, -1))


def _places(name: str) -> tuple[int, int]:
    return int(name[0]) - 1, int(name[1]) - 1


def _entry(stiffness: Array, name: str) -> float:
    """Return the constant with a name of a stiffness (Kelvin)."""
    return float(voigt(stiffness)[_places(name)])
