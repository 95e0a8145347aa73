"""Runs one calculation in its folder, through ASE; killed at any moment, it goes on from its last ionic step.

The folder holds ``input.json`` (the calculation and the structure to start from), ``state.json`` (the last ionic
step, while it runs) and at the end ``result.json``, written before anything else hears of the result.
"""

from __future__ import annotations

import errno
import json
import platform
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import BaseCalculator

from megabar.structures.contacts import overlaps
from megabar.structures.names import visible
from megabar.structures.symmetry import same_symmetry, space_group
from megabar.workflows.calculation import ENERGY, Calculation, Relaxation, Structure
from megabar.workflows.codes.finite import check_finite, guard
from megabar.workflows.codes.interface import CalculationFailed, Code
from megabar.workflows.codes.registry import ADAPTERS
from megabar.workflows.codes.registry import code as find_code
from megabar.workflows.config import Config
from megabar.workflows.files import packed, read_json, write_atomically, write_json
from megabar.workflows.mending.record import forget_steps, steps_taken
from megabar.workflows.resuming import kept_steps, place, replay
from megabar.workflows.stopping import Stopped

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
INPUT, STATE, RESULT, HISTORY = "input.json", "state.json", "result.json", "history.npz"
SPENT = "spent.json"
"""Time that the parts of a calculation took before they were stopped; where one was killed, ``state.json`` has that of
its last ionic step."""
Spent = Callable[[], dict[str, float]]


def prepare(folder: Path, calculation: Calculation, start: Atoms, stiffness: float | None = None) -> None:
    """Write the input of a calculation into its folder; what an interrupted run left there is kept.

    stiffness: curvature (eV/Å²) that the relaxation of its neighbour found, to begin with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "calculation": calculation.to_dict(),
        "start": asdict(Structure.of(start)),
        "stiffness_eV_A2": stiffness,
    }
    # Compared as JSON has it: a tuple is a list there, and a difference would cost the steps already done.
    if read_json(folder / INPUT) != json.loads(json.dumps(content)):
        (folder / STATE).unlink(missing_ok=True)
        (folder / SPENT).unlink(missing_ok=True)
        forget_steps(folder)
        write_json(folder / INPUT, content)


def finished(folder: Path) -> dict[str, Any] | None:
    """Return the result that a folder holds, None where its calculation has not ended."""
    result = read_json(folder / RESULT)
    return result if isinstance(result, dict) and "state" in result else None


def execute(folder: Path, config: Config) -> dict[str, Any]:
    """Run the calculation of a folder to its end and return its result, which is on disk then.

    A failure of the code is a result too (``state`` is ``failed``, with ``cause`` and ``detail``). Where the
    calculation is told to stop, Stopped passes through: there is no result, and run again it goes on from there.
    """
    done = finished(folder)
    if done is not None:
        return done
    content: dict[str, Any] = read_json(folder / INPUT) or {}
    calculation = Calculation.from_dict(content["calculation"])
    start = Structure.from_dict(content["start"]).atoms()
    before = _spent_before(folder)
    began, counted, cpu = time.time(), time.monotonic(), _cpu_seconds()

    def spent() -> dict[str, float]:
        wall_s, cpu_s = time.monotonic() - counted, _cpu_seconds() - cpu
        return {"wall_s": round(before["wall_s"] + wall_s, 3), "cpu_s": round(before["cpu_s"] + cpu_s, 3)}

    try:
        stiffness = content.get("stiffness_eV_A2") or STIFFNESS
        if calculation.task != ENERGY:
            result = _task(calculation, folder, config)
            check_finite(result, calculation.code)
        else:
            result = _run(find_code(calculation.code), calculation, start, stiffness, folder, config, spent)
    except CalculationFailed as failure:
        if failure.cause == "disk-full":
            raise OSError(errno.ENOSPC, failure.detail, str(folder)) from failure  # no property of the calculation
        if failure.cause == "killed":
            raise ChildProcessError(failure.detail) from failure  # nor is this: it is tried again
        state = "left" if failure.cause == LEFT_PHASE else "failed"
        result = {"state": state, "cause": failure.cause, "detail": visible(failure.detail)}
    except Stopped:
        write_json(folder / SPENT, spent())
        raise
    result["mendings"] = steps_taken(folder)
    result["provenance"] = {
        "host": platform.node(),
        "started": datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        **spent(),
        **({"interrupted_wall_s": before["wall_s"]} if before["wall_s"] else {}),
        "peak_memory_MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "python": platform.python_version(),
        "packages": _versions(),
    }
    write_json(folder / RESULT, result)
    (folder / STATE).unlink(missing_ok=True)
    (folder / SPENT).unlink(missing_ok=True)
    forget_steps(folder)
    return result


def _spent_before(folder: Path) -> dict[str, float]:
    """Return the time that the parts of a calculation took that did not come to its end, as far as it is known."""
    kept = [content for content in (read_json(folder / SPENT), read_json(folder / STATE)) if isinstance(content, dict)]

    def most(name: str) -> float:
        found = [each.get(name) for each in kept]
        return max((float(each) for each in found if isinstance(each, int | float)), default=0.0)

    return {"wall_s": most("wall_s"), "cpu_s": most("cpu_s")}


def is_known(calculation: Calculation) -> bool:
    """Return whether this version has the code of a calculation, and what it is to do."""
    if calculation.task == ENERGY:
        return calculation.code in ADAPTERS
    from megabar.workflows.codes.espresso.phonons import TASKS

    return calculation.code == "espresso" and calculation.task in TASKS


def _task(calculation: Calculation, folder: Path, config: Config) -> dict[str, Any]:
    """Run what is no energy of a structure, and return its result."""
    from megabar.workflows.codes.espresso.phonons import TASKS

    return TASKS[calculation.task](calculation, folder, config)


def _run(
    code: Code,
    calculation: Calculation,
    start: Atoms,
    stiffness: float,
    folder: Path,
    config: Config,
    spent: Spent,
) -> dict[str, Any]:
    found = None
    relaxes = calculation.relaxation is not None
    atoms, history = start.copy(), kept_steps(read_json(folder / STATE), len(start)) if relaxes else []
    calculator = code.calculator(calculation.settings, calculation.data, atoms, folder, config)
    guard(calculator, calculation.code)
    atoms.calc = calculator
    if calculation.relaxation is None:
        _record(atoms, history, forces=False)
    else:
        # The cell of a library may be rough; a neighbour's relaxed one is the phase itself.
        phase = start.copy() if calculation.starts else None
        found = _relax(atoms, calculation.relaxation, stiffness, folder, history, phase, spent)
    arrays = {name: np.array([step[name] for step in history]) for name in history[-1]}
    write_atomically(folder / HISTORY, packed(arrays))
    result = _result(code, calculator, calculation, atoms, folder, history)
    return {**result, "stiffness_eV_A2": found}


def _record(atoms: Atoms, history: list[dict[str, Any]], forces: bool = True) -> dict[str, Any]:
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


def _relax(
    atoms: Atoms,
    limits: Relaxation,
    stiffness: float,
    folder: Path,
    history: list[dict[str, Any]],
    phase: Atoms | None,
    spent: Spent,
) -> float | None:
    """Relax internal coordinates, and the shape of the cell where asked, at fixed volume with the symmetry kept.

    ASE's filters mix forces and stress in one number, so both limits are checked here, each in its unit.
    Returns the curvature (eV/Å²) along the last step, None where it took none.
    phase: the cell that it started from; far from it, it is another phase, though of the same symmetry.
    spent: wall and CPU time so far, kept with each step.
    """
    from ase.constraints import FixSymmetry
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    if not limits.rattle_A:
        atoms.set_constraint(FixSymmetry(atoms))
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
        place(atoms, history[-1])
        if _relaxed(history[-1], atoms, limits):
            history.pop()  # computed again, for what else the code says of it
        path = replay(optimizer, target, atoms, history)
    done = len(history)
    for count, _ in enumerate(optimizer.irun(fmax=0.0, steps=max(limits.max_steps - done, 0)), done):
        step = _record(atoms, history)
        write_json(folder / STATE, {"steps": history, **spent()})
        path.append((target.get_positions().copy(), target.get_forces().copy()))
        if _relaxed(step, atoms, limits):
            return _curvature(path)
        # Uphill it is the optimiser that has gone too far, not the phase.
        if phase is not None and not limits.rattle_A and step["energy_eV"] < history[0]["energy_eV"]:
            _check_same_phase(phase, atoms)
        if count >= limits.max_steps:
            break
    worst = _largest_force(step, atoms)
    raise CalculationFailed(
        "relaxation-not-converged",
        f"after {len(history)} ionic steps the largest force is {worst:.3f} eV/Å "
        f"and the stress deviates by {_stress_deviation(step):.2f} GPa",
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


def _relaxed(step: dict[str, Any], atoms: Atoms, limits: Relaxation) -> bool:
    forces_ok = _largest_force(step, atoms) <= limits.force_eV_A
    return forces_ok and (not limits.shape or _stress_deviation(step) <= limits.stress_GPa)


def _largest_force(step: dict[str, Any], atoms: Atoms) -> float:
    forces = np.array(step["forces_eV_A"])
    for constraint in atoms.constraints:
        constraint.adjust_forces(atoms, forces)
    return float(np.sqrt((forces**2).sum(axis=1).max()))


def _stress_deviation(step: dict[str, Any]) -> float:
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
        "largest_force_eV_A": _largest_force(last, atoms) if calculation.relaxation else None,
        "stress_deviation_GPa": _stress_deviation(last) if "stress_GPa" in last else None,
        "space_group": space_group(atoms).symbol,
        "symmetry_change": change,
        "warnings": warnings,
        "observables": code.observables(calculator, folder),
    }


def _cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("megabar", "ase", "numpy", "spglib")}
