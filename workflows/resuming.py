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


def kept_steps(content: Any, atoms: int) -> list[dict[str, Any]]:
    """Return the ionic steps of a cell of some atoms in what was kept of a relaxation, up to the first damaged one.

    Of content that is none there are none: what cannot be trusted is computed again.
    """
    steps = content.get("steps") if isinstance(content, dict) else None
    shapes = {"cell_A": (3, 3), "positions": (atoms, 3), "forces_eV_A": (atoms, 3), "stress_GPa": (6,), "energy_eV": ()}
    found: list[dict[str, Any]] = []
    for step in steps if isinstance(steps, list) else []:
        known = isinstance(step, dict) and {*shapes} - {"stress_GPa"} <= step.keys() <= {*shapes}
        if not known or (found and step.keys() != found[0].keys()):
            break
        if not all(_is_array(value, shapes[name]) for name, value in step.items()):
            break
        found.append(step)
    return found


def _is_array(value: Any, shape: tuple[int, ...]) -> bool:
    """Return whether a value is a finite number, or nested lists of them, of a shape."""
    try:
        array = np.array(value, dtype=float)
    except (TypeError, ValueError):
        return False
    return array.shape == shape and bool(np.isfinite(array).all())


def set_to(atoms: Atoms, step: dict[str, Any]) -> None:
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
        set_to(atoms, step)
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
