"""A stretch of molecular dynamics through ASE; killed at any moment, it goes on from the last step that was kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.files import packed, read_json, write_atomically, write_json
from megabar.workflows.folder import HISTORY, STATE
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Run
from megabar.workflows.tasks.through_ase import prepared

if TYPE_CHECKING:
    from megabar.workflows.tasks.stretch import Stretch

TRAJECTORY = "trajectory.bin"
"""The steps kept so far, as double precision numbers one after the other; ``state.json`` says how many are whole."""
HOTTEST = 20.0
"""Times the temperature asked for above which a stretch has run away."""


def run_stretch(run: Run, task: Stretch) -> dict[str, Any]:
    """Run a stretch and return its result; the arrays of the steps that are kept lie in the folder.

    Positions and momenta are kept as they are and the state of the random numbers with them, so that a stretch that
    was killed goes on to the same numbers as one that was not, as far as the code's forces are the same.
    Raises CalculationFailed where the temperature runs away.
    """
    atoms, calculator, code = prepared(run)
    rng = np.random.default_rng(task.seed)
    frames = _kept(run.folder, len(atoms), rng)
    if frames:
        _place(atoms, frames[-1]["positions_A"], frames[-1]["momenta"])
    elif run.calculation.inputs and not run.begin.arrays:
        raise RuntimeError("what the stretch before this one ended with is not in the folder")
    elif run.begin.arrays:
        _place(atoms, run.begin.arrays["positions_A"], run.begin.arrays["momenta"])
    else:
        _draw_velocities(atoms, task.temperature_K, rng)
    dynamics = _dynamics(atoms, task, rng)
    done = int(frames[-1]["step"]) if frames else 0
    if not frames:
        (run.folder / TRAJECTORY).unlink(missing_ok=True)
    if done >= task.steps:
        atoms.get_potential_energy()  # killed after its last step: for what else the code says of it
    while done < task.steps:
        count = min(task.every, task.steps - done)
        dynamics.run(count)
        done += count
        frame = _frame(atoms, done)
        temperature = float(frame["temperature_K"])
        if not np.isfinite(temperature) or temperature > HOTTEST * max(task.temperature_K, 100.0):
            raise CalculationFailed(
                "dynamics-ran-away",
                f"at step {done} the temperature is {temperature:.0f} K: a time step of {task.timestep_fs:g} fs may be "
                "too long for these forces",
            )
        frames.append(frame)
        _keep(run, frame, len(frames), rng)
    arrays = {name: np.array([frame[name] for frame in frames]) for name in frames[-1]}
    write_atomically(run.folder / HISTORY, packed(arrays))
    (run.folder / TRAJECTORY).unlink(missing_ok=True)
    return _result(atoms, arrays, task, code.observables(calculator, run.folder))


def _draw_velocities(atoms: Atoms, temperature_K: float, rng: np.random.Generator) -> None:
    """Give atoms momenta of the Maxwell-Boltzmann distribution, of which the sum is zero."""
    width = np.sqrt(atoms.get_masses() * units.kB * temperature_K)[:, None]
    momenta = width * rng.standard_normal((len(atoms), 3))
    shares = (atoms.get_masses() / atoms.get_masses().sum())[:, None]
    atoms.set_momenta(momenta - shares * momenta.sum(axis=0))


def _dynamics(atoms: Atoms, task: Stretch, rng: np.random.Generator) -> Any:
    timestep = task.timestep_fs * units.fs
    if task.friction_per_fs:
        from ase.constraints import FixCom
        from ase.md.langevin import Langevin

        atoms.set_constraint(FixCom())  # the random forces would let the whole cell drift
        friction = task.friction_per_fs / units.fs
        return Langevin(atoms, timestep, temperature_K=task.temperature_K, friction=friction, fixcm=False, rng=rng)
    from ase.md.verlet import VelocityVerlet

    return VelocityVerlet(atoms, timestep)


def _frame(atoms: Atoms, step: int) -> dict[str, NDArray[np.float64]]:
    """Return what is kept of a step; the stress (GPa) has the kinetic part."""
    kinetic = float(atoms.get_kinetic_energy())
    frame = {
        "step": np.array(float(step)),
        "energy_eV": np.array(atoms.get_potential_energy(force_consistent=True)),
        "kinetic_eV": np.array(kinetic),
        "temperature_K": np.array(2 * kinetic / (_freedoms(atoms) * units.kB)),
        "positions_A": atoms.get_positions(),
        "momenta": atoms.get_momenta(),
    }
    if "stress" in atoms.calc.implemented_properties:
        frame["stress_GPa"] = atoms.get_stress(include_ideal_gas=True) / units.GPa
    return frame


def _freedoms(atoms: Atoms) -> int:
    """Return how many momenta are free: the sum of all is zero, with a thermostat and without."""
    return max(3 * len(atoms) - 3, 1)


def _shapes(atoms: int, with_stress: bool) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what is kept of a step, in the order of the file."""
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("step", "energy_eV", "kinetic_eV", "temperature_K"), ())
    shapes |= {"positions_A": (atoms, 3), "momenta": (atoms, 3)}
    return {**shapes, "stress_GPa": (6,)} if with_stress else shapes


def _keep(run: Run, frame: Mapping[str, NDArray[np.float64]], number: int, rng: np.random.Generator) -> None:
    """Append a step to those kept, and then note that it is there and how the random numbers stand."""
    numbers = np.concatenate([np.ravel(frame[name]) for name in _shapes(len(frame["momenta"]), "stress_GPa" in frame)])
    path = run.folder / TRAJECTORY
    with path.open("r+b" if path.exists() else "wb") as file:
        file.seek((number - 1) * numbers.nbytes)  # what a kill left half-written beyond is overwritten
        file.write(numbers.tobytes())
        file.flush()
        os.fsync(file.fileno())  # or a power cut leaves a state that tells of steps which are not there
    state = {"frames": number, "stress": "stress_GPa" in frame, "random": rng.bit_generator.state}
    write_json(run.folder / STATE, {**state, **run.spent()})


def _kept(folder: Path, atoms: int, rng: np.random.Generator) -> list[dict[str, NDArray[np.float64]]]:
    """Return the steps that were kept and set the random numbers to where they stood; none where anything is amiss."""
    state: Any = read_json(folder / STATE)
    try:
        shapes = _shapes(atoms, bool(state["stress"]))
        sizes = [int(np.prod(shape)) for shape in shapes.values()]
        numbers = np.fromfile(folder / TRAJECTORY, dtype=np.float64, count=int(state["frames"]) * sum(sizes)).reshape(
            -1, sum(sizes)
        )
        if len(numbers) != state["frames"] or not np.isfinite(numbers).all():
            return []
        rng.bit_generator.state = state["random"]
    except (OSError, TypeError, KeyError, ValueError):
        return []
    parts = np.split(numbers, np.cumsum(sizes)[:-1], axis=1)
    return [
        {name: part[row].reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        for row in range(len(numbers))
    ]


def _place(atoms: Atoms, positions_A: NDArray[np.float64], momenta: NDArray[np.float64]) -> None:
    atoms.set_positions(positions_A)
    atoms.set_momenta(momenta)


def _result(
    atoms: Atoms, arrays: Mapping[str, NDArray[np.float64]], task: Stretch, observables: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the result: means over the steps kept, and the last structure."""
    stress = arrays.get("stress_GPa")
    after = Structure.of(atoms)
    return {
        "state": "done",
        "energy_eV_per_atom": float(arrays["energy_eV"].mean()) / len(atoms),
        "pressure_GPa": None if stress is None else -float(stress[:, :3].mean()),
        "volume_A3_per_atom": after.volume_per_atom,
        "structure": after.to_dict(),
        "ionic_steps": task.steps,
        "observables": {**observables, "temperature_K": float(arrays["temperature_K"].mean())},
    }
