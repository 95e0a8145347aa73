"""Born charges and dielectric tensor as computed: made symmetric, with the sum rule, for the cell that wants them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.phonons.harmonic import Array, Polar, phonopy_of
from megabar.structures.errors import InputError

BROKEN_E = 0.1
"""Largest change (e) that symmetry may make to a component: phonopy's own limit."""
SAME_PLACE_A = 0.05
"""Distance (Å) up to which an atom of one cell is that of another."""


@dataclass(frozen=True, eq=False)
class Charges:
    """Born charges of a cell's atoms with their dielectric tensor.

    cell: the calculation's. polar: symmetric, the charges summing to zero. violation_e: the largest component of the
    sum over the cell of the charges as computed (e), which the sum rule takes out in equal parts.
    """

    cell: Atoms
    polar: Polar
    violation_e: float

    def of(self, primitive: Atoms) -> Polar:
        """Return the same for the atoms of a primitive cell, in their order.

        The cells are of one lattice, in one orientation: each atom of the primitive cell is some of the calculation's.
        Raises InputError where that is not so.
        """
        places = _places(self.cell, primitive)
        born = np.array([self.polar.born[atoms].mean(axis=0) for atoms in places])
        return Polar(born, self.polar.dielectric)


def charges(cell: Atoms, born: ArrayLike, dielectric: ArrayLike) -> Charges:
    """Return Born charges as the crystal's symmetry and the acoustic sum rule have them.

    born: (e), shape (atoms, 3, 3), the field first: Z_ij = V ∂P_i/∂u_j = ∂F_j/∂E_i. dielectric: at fixed nuclei, 3 × 3.
    Sum rule: Pick, Cohen & Martin, Phys. Rev. B 1, 910 (1970). Raises InputError where the shapes are not those, or the
    charges have not the symmetry of the cell.
    """
    import warnings

    from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

    found, tensor = np.asarray(born, float), np.asarray(dielectric, float)
    if found.shape != (len(cell), 3, 3) or tensor.shape != (3, 3):
        raise InputError(
            f"Born charges have shape (atoms, 3, 3) and the dielectric tensor (3, 3): found {found.shape} and "
            f"{tensor.shape} for {len(cell)} atoms"
        )
    violation = float(np.abs(found.sum(axis=0)).max())
    unitcell = phonopy_of(cell, np.eye(3, dtype=int), np.eye(3)).unitcell
    found = found - found.mean(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is told here
        own, tensor = symmetrize_borns_and_epsilon(found, tensor, unitcell)
    broken = float(np.abs(own - found).max())
    if broken > BROKEN_E:
        raise InputError(
            f"the Born charges lack the symmetry of their cell by {broken:.2g} e: are they in the order of its atoms?"
        )
    return Charges(cell, Polar(np.array(own), np.array(tensor)), violation)


def _places(cell: Atoms, primitive: Atoms) -> list[NDArray[np.intp]]:
    """Return for each atom of a primitive cell those of a cell that it stands for."""
    lattice: Array = primitive.cell.array
    whole = np.linalg.solve(lattice.T, cell.cell.array.T)
    if np.abs(whole - np.round(whole)).max() > 1e-3:
        raise InputError("the Born charges are of another lattice than the force constants")
    found = []
    for symbol, position in zip(primitive.symbols, primitive.positions, strict=True):
        steps = np.linalg.solve(lattice.T, (cell.positions - position).T).T
        off = np.linalg.norm((steps - np.round(steps)) @ lattice, axis=1)
        near = np.flatnonzero((off < SAME_PLACE_A) & (np.array(cell.get_chemical_symbols()) == symbol))
        if not len(near):
            raise InputError(f"there is no {symbol} at {np.round(position, 3).tolist()} Å among the Born charges")
        found.append(near)
    return found
