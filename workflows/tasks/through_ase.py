"""Energies, forces and stresses by the calculator of a code."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import BaseCalculator

from megabar.structures.contacts import overlaps
from megabar.structures.symmetry import same_symmetry, space_group
from megabar.workflows.codes.finite import guard
from megabar.workflows.codes.interface import CalculationFailed, Code
from megabar.workflows.codes.registry import code as find_code
from megabar.workflows.files import packed, write_atomically
from megabar.workflows.folder import HISTORY
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Run

if TYPE_CHECKING:
    from megabar.workflows.calculation import Calculation


def prepared(run: Run, forces: bool = True) -> tuple[Atoms, BaseCalculator, Code]:
    """Return the cell that a calculation begins with, with the calculator of its code, which is watched.

    forces: whether they are wanted; raises CalculationFailed where the code gives none here.
    """
    calculation, code = run.calculation, find_code(run.calculation.code)
    atoms = run.begin.atoms.copy()
    calculator = code.calculator(calculation.settings, calculation.data, atoms, run.folder, run.config)
    if forces and "forces" not in calculator.implemented_properties:
        raise CalculationFailed(
            "no-forces", f"{calculation.code} gives energies here, and no forces: choose another code"
        )
    guard(calculator, calculation.code)
    atoms.calc = calculator
    return atoms, calculator, code


def compute(run: Run, forces: bool) -> dict[str, Any]:
    """Run a single point; forces: whether they are wanted."""
    atoms, calculator, code = prepared(run, forces)
    history: list[dict[str, Any]] = []
    record_step(atoms, history, forces)
    return kept(run, atoms, calculator, code, history)


def kept(
    run: Run, atoms: Atoms, calculator: BaseCalculator, code: Code, history: list[dict[str, Any]], relaxed: bool = False
) -> dict[str, Any]:
    """Keep the arrays of all steps in the folder and return the result of the last one."""
    arrays = {name: np.array([step[name] for step in history]) for name in history[-1]}
    write_atomically(run.folder / HISTORY, packed(arrays))
    return _result(code, calculator, run.calculation, atoms, run.folder, history, relaxed)


def record_step(atoms: Atoms, history: list[dict[str, Any]], forces: bool = True) -> dict[str, Any]:
    """Append energy, forces and stress of the present step to the history and return them.

    forces: not needed where nothing is relaxed; an all-electron code takes as long for them as for the energy.
    """
    step: dict[str, Any] = {
        "energy_eV": float(atoms.get_potential_energy(force_consistent=True)),
        "cell_A": atoms.cell.array.tolist(),
        "positions": atoms.get_scaled_positions(wrap=False).tolist(),
    }
    if forces:
        step["forces_eV_A"] = atoms.get_forces(apply_constraint=False).tolist()
    if "stress" in atoms.calc.implemented_properties:
        step["stress_GPa"] = (atoms.get_stress(apply_constraint=False) / units.GPa).tolist()
    history.append(step)
    return step


def largest_force(step: dict[str, Any], atoms: Atoms) -> float:
    """Return the largest force (eV/Å) that the constraints of the atoms leave."""
    forces = np.array(step["forces_eV_A"])
    for constraint in atoms.constraints:
        constraint.adjust_forces(atoms, forces)
    return float(np.sqrt((forces**2).sum(axis=1).max()))


def stress_deviation(step: dict[str, Any]) -> float:
    """Return the largest component of the stress that is not hydrostatic (GPa)."""
    stress = np.array(step["stress_GPa"])
    stress[:3] -= stress[:3].mean()
    return float(np.abs(stress).max())


def _result(
    code: Code,
    calculator: BaseCalculator,
    calculation: Calculation,
    atoms: Atoms,
    folder: Path,
    history: list[dict[str, Any]],
    relaxed: bool,
) -> dict[str, Any]:
    last, before = history[-1], calculation.structure.atoms()
    after = Structure.of(atoms)
    warnings = [
        f"{first}-{second}: neighbours at {overlap.distance_A:.2f} Å, closer than the {overlap.allowed_A:.2f} Å "
        "that the core or PAW spheres want"
        for overlap in overlaps(atoms, {each.element: each.radius_A for each in calculation.data})
        for first, second in [overlap.pair]
    ]
    change = same_symmetry(before, atoms)
    return {
        "state": "done",
        "energy_eV_per_atom": last["energy_eV"] / len(atoms),
        "pressure_GPa": -float(np.mean(last["stress_GPa"][:3])) if "stress_GPa" in last else None,
        "volume_A3_per_atom": after.volume_per_atom,
        "structure": asdict(after),
        "ionic_steps": len(history),
        "largest_force_eV_A": largest_force(last, atoms) if relaxed else None,
        "stress_deviation_GPa": stress_deviation(last) if "stress_GPa" in last else None,
        "space_group": space_group(atoms).symbol,
        "symmetry_change": change,
        "warnings": warnings,
        "observables": code.observables(calculator, folder),
    }
