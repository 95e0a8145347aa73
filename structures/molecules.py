"""Elements that are made of molecules: how a chemist counts them."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from megabar.structures.composition import formula_text, reduced

LONGEST_BOND_A = {"H": 0.9, "N": 1.3, "O": 1.4, "F": 1.6, "Cl": 2.2, "Br": 2.5}
"""Between the bond of the molecule and the shortest distance in atomic phases (H: 0.74 and 0.98 Å at 500 GPa)."""


def formula_unit(atoms: Atoms) -> str:
    """Return the formula that reactions count: ``H2`` for an element of diatomic molecules, else the reduced one.

    It is one of diatomic molecules where every atom has one neighbour, and one only, at the length of the bond.
    """
    counts: dict[str, int] = {}
    for symbol in atoms.get_chemical_symbols():
        counts[symbol] = counts.get(symbol, 0) + 1
    formula = formula_text(reduced(counts))
    if formula not in LONGEST_BOND_A:
        return formula
    bonded = np.bincount(neighbor_list("i", atoms, LONGEST_BOND_A[formula]), minlength=len(atoms))
    return f"{formula}2" if (bonded == 1).all() else formula
