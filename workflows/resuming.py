"""A relaxation that was interrupted goes on as if it had not been: same Hessian, same next geometry.

Going on from the last geometry alone would compute that one again and then step elsewhere, so that in jobs shorter than
two self-consistencies a relaxation would never come to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator


def place(atoms: Atoms, step: dict[str, Any]) -> None:
    """Give atoms the cell and positions of a recorded ionic step, whatever their constraints."""
    atoms.set_cell(step["cell_A"], apply_constraint=False)
    atoms.positions[:] = np.array(step["positions"]) @ atoms.cell.array


def replay(optimizer: Any, target: Any, atoms: Atoms, steps: Sequence[dict[str, Any]]) -> list[tuple[Any, Any]]:
    """Take an optimiser of ASE through recorded ionic steps without computing them, and on to the next geometry.

    target: what it optimises: the atoms or a filter of them, made with the cell that the relaxation started from.
    Returns the coordinates and forces of the target at each of the steps.
    """
    calculator, path = atoms.calc, []
    for number, step in enumerate(steps, 1):
        place(atoms, step)
        known = {"energy": step["energy_eV"], "free_energy": step["energy_eV"], "forces": step["forces_eV_A"]}
        if "stress_GPa" in step:
            known["stress"] = np.array(step["stress_GPa"]) * units.GPa
        atoms.calc = SinglePointCalculator(atoms, **known)
        path.append((target.get_positions().copy(), target.get_forces().copy()))
        if number < len(steps):
            optimizer.prepare_step(optimizer.optimizable.get_x(), optimizer.optimizable.get_gradient())
        else:
            optimizer.step()
    atoms.calc = calculator
    return path
