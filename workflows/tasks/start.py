"""What a calculation starts with: the structure of its neighbours, continued to its volume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Begin

if TYPE_CHECKING:
    from megabar.workflows.calculation import Calculation
    from megabar.workflows.store import CalculationRecord

RATTLE_SEED = 1


def continued(calculation: Calculation, parents: Sequence[CalculationRecord], rattle_A: float = 0.0) -> Begin:
    """Return the cell that a calculation starts with, and the curvature that its nearest neighbour found.

    rattle_A: random displacements (Å) that it is given, always the same ones.
    """
    from megabar.structures.symmetry import rattled

    relaxed = [Structure.from_dict(each.structure) for each in parents if each.structure is not None]
    if len(relaxed) < len(calculation.inputs):
        raise RuntimeError(f"not all of {', '.join(calculation.starts)}, to start from, have a result")
    atoms = started_from(calculation, relaxed) if relaxed else calculation.structure.atoms()
    if rattle_A:
        atoms = rattled(atoms, rattle_A, RATTLE_SEED)
    return Begin(atoms, parents[0].stiffness_eV_A2 if parents else None)


def started_from(calculation: Calculation, relaxed: Sequence[Structure]) -> Atoms:
    """Return the cell that a calculation starts with: that of a relaxed neighbour, scaled to its volume.

    With two neighbours, shape and fractional coordinates are continued linearly in ln V, which between them or
    one step beyond them saves about half of the ionic steps. All structures have their atoms in the same order.
    """
    near, weight = relaxed[0], 0.0
    if len(relaxed) > 1:
        here, one, other = (math.log(each.volume_per_atom) for each in (calculation.structure, *relaxed[:2]))
        weight = (here - one) / (other - one)
    shapes = [np.array(each.cell) / each.volume_per_atom ** (1 / 3) for each in relaxed]
    places = [np.array(each.positions) for each in relaxed]
    shape, place = (each[0] + weight * (each[-1] - each[0]) for each in (shapes, places))
    volume = calculation.structure.volume_per_atom * len(near.symbols)
    cell = shape * (volume / abs(np.linalg.det(shape))) ** (1 / 3)
    return Atoms(near.symbols, cell=cell, scaled_positions=place, pbc=True)
