"""Relaxation at fixed volume through ASE; stopped at any moment, it goes on from its last ionic step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.files import read_json, write_json
from megabar.workflows.folder import STATE
from megabar.workflows.resuming import kept_steps, replay, set_to
from megabar.workflows.tasks.interface import Run
from megabar.workflows.tasks.through_ase import kept, largest_force, prepared, record_step, stress_deviation

if TYPE_CHECKING:
    from megabar.workflows.tasks.relax import Relax

LEFT_PHASE = "left-its-phase"


LARGEST_STRAIN = 0.12
"""Strain beyond the hydrostatic one between neighbours of a ladder above which they are taken for different phases:
twice what hP4 sodium shows, whose c/a changes fastest of all that are known."""


SOFTEST, STIFFNESS, STIFFEST = 0.5, 3.0, 70.0


LONGEST_STEP_A, LONGEST_STRAIN = 0.15, 0.04
"""Curvature (eV/Å²) that relaxations begin with where no neighbour found one, and the limits of what is believed;
ASE's 70 suits molecules, cells under pressure are softer."""


SHEAR_MODULUS_eV_A3 = 1.5
"""A rough one (240 GPa): the curvature of the cell's own coordinates, which matters in cells of few atoms."""


SYMPREC_A = 0.01
"""Distance (Å) below which positions and cells count as symmetric, and are made so."""


def relax(run: Run, limits: Relax, symprec_A: float = SYMPREC_A) -> dict[str, Any]:
    """Relax the cell that a calculation begins with and return its result; raises CalculationFailed."""
    atoms, calculator, code = prepared(run)
    history = kept_steps(read_json(run.folder / STATE), len(atoms))
    # The cell of a library may be rough; a neighbour's relaxed one is the phase itself.
    phase = run.begin.atoms.copy() if run.calculation.inputs else None
    stiffness = run.begin.stiffness_eV_A2 or STIFFNESS
    found = _relax(atoms, limits, stiffness, run.folder, history, phase, run.spent, symprec_A)
    return {**kept(run, atoms, calculator, code, history, relaxed=True), "stiffness_eV_A2": found}


def _relax(
    atoms: Atoms,
    limits: Relax,
    stiffness: float,
    folder: Path,
    history: list[dict[str, Any]],
    phase: Atoms | None,
    spent: Callable[[], dict[str, float]],
    symprec_A: float,
) -> float | None:
    """Relax internal coordinates, and the shape of the cell where asked, at fixed volume with the symmetry kept.

    ASE's filters mix forces and stress in one number, so both limits are checked here, each in its unit.
    Returns the curvature (eV/Å²) along the last step, None where it took none.
    phase: the cell that it started from; far from it, it is another phase, though of the same symmetry.
    spent: wall and CPU time so far, kept with each step. symprec_A: how near to symmetry is symmetry.
    """
    from ase.constraints import FixSymmetry
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    if not limits.rattle_A:
        atoms.set_constraint(FixSymmetry(atoms, symprec=symprec_A))
    target = FrechetCellFilter(atoms, constant_volume=True) if limits.shape else atoms
    longest = LONGEST_STEP_A
    if limits.shape:
        # The filter's coordinate of the cell is the logarithmic strain times the number of atoms.
        stiffness = max(stiffness, SHEAR_MODULUS_eV_A3 * atoms.get_volume() / len(atoms) ** 2)
        longest = min(longest, LONGEST_STRAIN * len(atoms))
    optimizer = BFGS(
        target, logfile=folder / "relaxation.log", append_trajectory=False, alpha=stiffness, maxstep=longest
    )
    path: list[tuple[Any, Any]] = []
    if history:
        set_to(atoms, history[-1])
        if _relaxed(history[-1], atoms, limits):
            history.pop()  # computed again, for what else the code says of it
        path = replay(optimizer, target, atoms, history)
    done = len(history)
    for count, _ in enumerate(optimizer.irun(fmax=0.0, steps=max(limits.max_steps - done, 0)), done):
        step = record_step(atoms, history)
        write_json(folder / STATE, {"steps": history, **spent()})
        path.append((target.get_positions().copy(), target.get_forces().copy()))
        if _relaxed(step, atoms, limits):
            return _curvature(path)
        # Uphill it is the optimiser that has gone too far, not the phase.
        if phase is not None and not limits.rattle_A and step["energy_eV"] < history[0]["energy_eV"]:
            _check_same_phase(phase, atoms)
        if count >= limits.max_steps:
            break
    worst = largest_force(step, atoms)
    raise CalculationFailed(
        "relaxation-not-converged",
        f"after {len(history)} ionic steps the largest force is {worst:.3f} eV/Å "
        f"and the stress deviates by {stress_deviation(step):.2f} GPa",
    )


def _curvature(path: Sequence[tuple[Any, Any]]) -> float | None:
    """Return the curvature (eV/Å²) between the last two steps of a relaxation, within sane limits."""
    if len(path) < 2:
        return None
    (before, force_before), (after, force_after) = path[-2:]
    step = after - before
    curvature = -float(np.vdot(force_after - force_before, step) / max(float(np.vdot(step, step)), 1e-12))
    return min(max(curvature, SOFTEST), STIFFEST)


def _check_same_phase(phase: Atoms, atoms: Atoms) -> None:
    """Raise CalculationFailed where a cell has been distorted too far to be the phase that it started from."""
    deformation = np.linalg.solve(phase.cell.array, atoms.cell.array)
    strains = 0.5 * np.log(np.linalg.eigvalsh(deformation @ deformation.T))
    strain = float(np.abs(strains - strains.mean()).max())
    if strain > LARGEST_STRAIN:
        raise CalculationFailed(
            LEFT_PHASE,
            f"the relaxation distorted the cell by {100 * strain:.0f} % from its neighbour's: at this volume the phase "
            "turns into another one of the same symmetry",
        )


def _relaxed(step: dict[str, Any], atoms: Atoms, limits: Relax) -> bool:
    forces_ok = largest_force(step, atoms) <= limits.force_eV_A
    return forces_ok and (not limits.shape or stress_deviation(step) <= limits.stress_GPa)
